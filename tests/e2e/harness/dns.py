# SPDX-License-Identifier: Apache-2.0
"""DNS messages, made and read, and a small server that answers from data and records every query.

A zone is {name: records}: "A", "AAAA" (lists), "CNAME", "TXT" (texts), "HTTPS" ({"v4": [...], "v6": [...]}), and
how to answer: "ttl" (default 60), "rotate" (that many of the addresses, others each time), "udp": "tc" (cut short:
ask again by TCP), "split" (TCP: sizes of the pieces), "late" (TCP: it is answered after the next query is),
"delay" (seconds), "silent", "rcode", "case" (the question as it came, 0x20 and all, or "lower"), "faults" (forged answers that are sent before the true one; "only" among them
leaves the true one out). "*" answers for every name that is not there.
"""
import select
import socket
import struct
import threading
import time

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "NULL": 10, "PTR": 12, "TXT": 16, "AAAA": 28, "SRV": 33, "HTTPS": 65, "ANY": 255}
NAMES = {number: name for name, number in TYPES.items()}
NXDOMAIN = 3
ANSWER, TRUNCATED = 0x8180, 0x0200


# ---- Messages ------------------------------------------------------------------------------------------------


def put_name(name):
    labels = [label for label in name.split(".") if label]
    return b"".join(bytes([len(label)]) + label.encode("latin-1") for label in labels) + b"\0"


def get_name(message, at):
    """(name, the offset behind it); compressed or not."""
    labels, behind = [], None
    for _ in range(128):
        size = message[at]
        if size >= 0xC0:
            behind = behind or at + 2
            at = (size & 0x3F) << 8 | message[at + 1]
        elif not size:
            return ".".join(labels), behind or at + 1
        else:
            labels.append(message[at + 1 : at + 1 + size].decode("latin-1"))
            at += 1 + size
    raise ValueError("the name has no end")


def query(name, qtype="A", number=0x1234, edns=False, flags=0x0100, questions=1):
    """qtype: a name of TYPES, or a number."""
    qtype = TYPES.get(qtype, qtype)
    made = struct.pack("!HHHHHH", number, flags, questions, 0, 0, 1 if edns else 0)
    made += (put_name(name) + struct.pack("!HH", qtype, 1)) * questions
    return made + (b"\0" + struct.pack("!HHIH", 41, 1232, 0, 0) if edns else b"")


def read_query(message):
    """{"id", "name", "type"}, and the question's bytes."""
    number = struct.unpack_from("!H", message)[0]
    name, at = get_name(message, 12)
    qtype = struct.unpack_from("!H", message, at)[0]
    return {"id": number, "name": name, "type": NAMES.get(qtype, qtype)}, message[12 : at + 4]


def record(owner, qtype, ttl, data):
    return owner + struct.pack("!HHIH", TYPES[qtype], 1, ttl & 0xFFFFFFFF, len(data)) + data


def packed(address):
    return socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)


def hints(service):
    """HTTPS: priority 1, the owner itself, the address hints (RFC 9460)."""
    made = struct.pack("!H", 1) + b"\0"
    for key, addresses in ((4, service.get("v4", ())), (6, service.get("v6", ()))):
        if addresses:
            made += struct.pack("!HH", key, len(addresses) * (4 if key == 4 else 16))
            made += b"".join(map(packed, addresses))
    return made


def answer(number, question, records, flags=ANSWER, rcode=0, count=None):
    head = struct.pack("!HHHHHH", number, flags | rcode, 1, len(records) if count is None else count, 0, 0)
    return head + question + b"".join(records)


def read_answer(message):
    number, flags, questions, count = struct.unpack_from("!HHHH", message)
    at, addresses = 12, []
    for _ in range(questions):
        at = get_name(message, at)[1] + 4
    for _ in range(count):
        at = get_name(message, at)[1]
        qtype, _, _, size = struct.unpack_from("!HHIH", message, at)
        at += 10
        if qtype in (TYPES["A"], TYPES["AAAA"]):
            family = socket.AF_INET if size == 4 else socket.AF_INET6
            addresses.append(socket.inet_ntop(family, message[at : at + size]))
        at += size
    return {"id": number, "rcode": flags & 15, "tc": bool(flags & TRUNCATED), "addresses": addresses}


# ---- The server --------------------------------------------------------------------------------------------------


class DnsServer:
    """UDP and TCP on port 53 of each address. `bytes` are those that came by TCP, of a query or not."""

    def __init__(self, addresses, zone, port=53):
        self.zone, self.port, self.addresses = zone, port, addresses
        self.asked, self.lock, self.turns = [], threading.Lock(), {}
        self.socks, self.bytes = {}, 0
        for address in addresses:
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            for kind, serve in ((socket.SOCK_DGRAM, self.datagrams), (socket.SOCK_STREAM, self.accept)):
                sock = socket.socket(family, kind)
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                sock.bind((address, port))
                if kind == socket.SOCK_STREAM:
                    sock.listen(64)
                else:
                    self.socks[address] = sock
                threading.Thread(target=serve, args=(sock,), daemon=True).start()

    # -- what it says

    def find(self, name):
        return self.zone.get(name.lower(), self.zone.get("*"))

    def some(self, name, qtype, entry):
        """All the addresses, or the next few."""
        found = entry.get(qtype, [])
        if "rotate" not in entry or not found:
            return found
        with self.lock:
            turn = self.turns[name, qtype] = self.turns.get((name, qtype), -1) + 1
        few = entry["rotate"]
        return [found[(turn * few + number) % len(found)] for number in range(few)]

    def records(self, name, qtype, owner=b"\xc0\x0c", depth=0):
        """The answer section, aliases followed. None: there is no such name."""
        entry = self.find(name)
        if entry is None:
            return None
        ttl = entry.get("ttl", 60)
        if "CNAME" in entry and depth < 16:
            target = put_name(entry["CNAME"])
            rest = self.records(entry["CNAME"], qtype, target, depth + 1) or []
            return [record(owner, "CNAME", ttl, target), *rest]
        if qtype in ("A", "AAAA"):
            return [record(owner, qtype, ttl, packed(address)) for address in self.some(name.lower(), qtype, entry)]
        if qtype == "HTTPS" and "HTTPS" in entry:
            return [record(owner, qtype, ttl, hints(entry["HTTPS"]))]
        if qtype == "TXT":
            return [record(owner, qtype, ttl, bytes([len(text)]) + text.encode()) for text in entry.get("TXT", [])]
        return []

    def reply(self, asked, question, proto):
        entry = self.find(asked["name"]) or {}
        if entry.get("case") == "lower":
            question = question.lower()
        if proto == "udp" and entry.get("udp") == "tc":
            return answer(asked["id"], question, [], ANSWER | TRUNCATED)
        records = self.records(asked["name"], asked["type"])
        if records is None or "rcode" in entry:
            return answer(asked["id"], question, [], rcode=entry.get("rcode", NXDOMAIN))
        return answer(asked["id"], question, records)

    def take(self, message, proto, address):
        """Records the query: what it was, or None if it is none."""
        try:
            asked, question = read_query(message)
        except (struct.error, IndexError, ValueError):
            asked, question = {"id": None, "name": message.hex(), "type": None}, None
        with self.lock:
            self.asked.append({**asked, "proto": proto, "to": address})
        entry = self.find(asked["name"]) or {}
        time.sleep(entry.get("delay", 0))
        return (asked, question, entry) if question else (None, None, None)

    # -- how it says it

    def datagrams(self, sock):
        while True:
            message, peer = sock.recvfrom(1 << 16)
            threading.Thread(target=self.one, args=(sock, message, peer), daemon=True).start()

    def one(self, sock, message, peer):
        asked, question, entry = self.take(message, "udp", sock.getsockname()[0])
        if not asked:
            return
        faults = ["only"] if entry.get("silent") else entry.get("faults", [])
        for fault in faults:
            if fault != "only":
                self.forge(sock, asked, question, peer, fault, entry.get("evil", "192.0.2.66"))
        if "only" not in faults:
            sock.sendto(self.reply(asked, question, "udp"), peer)

    def forge(self, sock, asked, question, peer, fault, evil):
        """An answer that names `evil` and must not be believed."""
        owner = b"\xc0\x0c"
        number, records, sender = asked["id"], [record(owner, "A", 60, packed(evil))], sock
        count = None
        if fault == "id":
            number ^= 1
        elif fault == "name":
            question = put_name("x" + asked["name"][1:]) + question[-4:]
        elif fault == "type":
            question = question[:-4] + struct.pack("!HH", 28 if asked["type"] == "A" else 1, 1)
        elif fault == "loop":  # the owner leads to itself
            records = [record(struct.pack("!H", 0xC000 | 12 + len(question)), "A", 60, packed(evil))]
        elif fault == "question loop":
            question = b"\xc0\x0c" + question[-4:]
        elif fault == "count":  # more records than there are
            count = 9
        elif fault == "size":
            records = [owner + struct.pack("!HHIH", 1, 1, 60, 400) + packed(evil)]
        elif fault == "query":  # no answer at all
            sock.sendto(answer(number, question, records, flags=0x0100), peer)
            return
        elif fault in ("address", "port"):
            sender = socket.socket(sock.family, socket.SOCK_DGRAM)
            here = sock.getsockname()[0]
            sender.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sender.bind((here, 5300) if fault == "port" else (("fd77:1::11" if ":" in here else "10.77.1.11"), 53))
        else:
            raise ValueError(fault)
        sender.sendto(answer(number, question, records, count=count), peer)

    def accept(self, sock):
        while True:
            conn, _ = sock.accept()
            conn.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=self.stream, args=(conn, sock.getsockname()[0]), daemon=True).start()

    def stream(self, conn, address):
        buffer, late = b"", []
        with conn:
            try:
                while True:
                    more = conn.recv(1 << 16)
                    if not more:
                        return
                    self.bytes += len(more)
                    buffer += more
                    while len(buffer) >= 2 and len(buffer) >= 2 + struct.unpack_from("!H", buffer)[0]:
                        size = 2 + struct.unpack_from("!H", buffer)[0]
                        taken = self.take(buffer[2:size], "tcp", address)
                        buffer = buffer[size:]
                        if taken[0] and taken[2].get("late"):
                            late.append(taken)
                            continue
                        self.write(conn, *taken)
                        while late:
                            self.write(conn, *late.pop())
            except OSError:
                pass  # the client went away

    def write(self, conn, asked, question, entry):
        if not asked or entry.get("silent"):
            return
        said = self.reply(asked, question, "tcp")
        data, at = struct.pack("!H", len(said)) + said, 0
        for size in [*entry.get("split", []), len(data)]:
            if data[at : at + size]:
                conn.sendall(data[at : at + size])
                time.sleep(0.03)  # a segment of its own
            at += size


# ---- The client ------------------------------------------------------------------------------------------------------


def ask(sock, message, proto, address=None, timeout=5):
    """One query over the socket, and its answer, parsed. address: it is not connected."""
    if proto == "tcp":
        message = struct.pack("!H", len(message)) + message
    sock.settimeout(timeout)
    sock.sendto(message, address) if address else sock.send(message)
    return hear(sock, proto, timeout)


def hear(sock, proto, timeout=5):
    deadline = time.monotonic() + timeout
    if proto == "udp":
        sock.settimeout(timeout)
        return read_answer(sock.recv(1 << 16))
    got = b""
    while len(got) < 2 or len(got) < 2 + struct.unpack_from("!H", got)[0]:
        if not select.select([sock], [], [], max(0, deadline - time.monotonic()))[0]:
            raise TimeoutError("no answer")
        more = sock.recv(1 << 16)
        if not more:
            raise ConnectionResetError("the end came before the answer")
        got += more
    return read_answer(got[2:])

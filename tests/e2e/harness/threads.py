# SPDX-License-Identifier: Apache-2.0
"""What worker.py runs on threads: servers that record, floods, and the capture of a device."""
import errno
import select
import socket
import struct
import threading
import time

ETH_P_ALL = 3
SOL_PACKET, PACKET_VNET_HDR, PACKET_STATISTICS, PACKET_OUTGOING = 263, 15, 6, 4
SO_RCVBUFFORCE = 33
IPPROTO_MPTCP = 262
PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp", 58: "icmp"}

# ---- Sockets -----------------------------------------------------------------------------------------


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def make(address, proto):
    family = family_of(address)
    if proto == "tcp":
        return socket.socket(family, socket.SOCK_STREAM)
    if proto == "udp":
        return socket.socket(family, socket.SOCK_DGRAM)
    if proto == "mptcp":
        return socket.socket(family, socket.SOCK_STREAM, IPPROTO_MPTCP)
    raise ValueError(proto)


def echo_packet(family, sequence, size):
    """A ping socket fills in identifier and checksum."""
    return struct.pack("!BBHHH", 8 if family == socket.AF_INET else 128, 0, 0, 0, sequence) + b"e" * size


def reset_on_close(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Flood(threading.Thread):
    """Calls step() until told to stop, or for `count` times, with a pause after each; tallies what it returned."""

    def __init__(self, step, count=None, pause=0):
        super().__init__(daemon=True)
        self.step, self.count, self.pause = step, count, pause
        self.stopping, self.tally = False, {}
        self.start()

    def run(self):
        done = 0
        while not self.stopping and (self.count is None or done < self.count):
            try:
                outcome = self.step()
            except OSError as error:
                timeout = isinstance(error, TimeoutError)
                outcome = "ETIMEDOUT" if timeout else errno.errorcode.get(error.errno, str(error))
            self.tally[outcome] = self.tally.get(outcome, 0) + 1
            done += 1
            if self.pause:
                time.sleep(self.pause)

    def stop(self):
        self.stopping = True
        self.join(30)
        return self.tally


class Listener:
    """A server on one address and port. mode: echo, sink, or source:BYTES (sends that much, then ends)."""

    def __init__(self, proto, address, port, mode):
        self.mode, self.records, self.lock = mode, [], threading.Lock()
        self.sock = make(address, proto)
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if self.sock.family == socket.AF_INET6:
            self.sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        self.sock.bind((address, port))
        self.port = self.sock.getsockname()[1]
        if proto == "tcp":
            self.sock.listen(512)
        else:
            self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
        self.conns = []
        threading.Thread(target=self.accept if proto == "tcp" else self.datagrams, daemon=True).start()

    def accept(self):
        while True:
            try:
                conn, peer = self.sock.accept()
            except OSError:
                return
            record = {"peer": peer[0], "peer_port": peer[1], "bytes": 0, "sent": 0, "text": "", "end": None}
            with self.lock:
                self.records.append(record)
                self.conns.append(conn)
            threading.Thread(target=self.serve, args=(conn, record), daemon=True).start()

    def serve(self, conn, record):
        try:
            if self.mode.startswith("source:"):
                self.give(conn, record, int(self.mode.partition(":")[2]))
            while True:
                data = conn.recv(1 << 16)
                if not data:
                    record["end"] = "eof"
                    break
                self.note(record, data)
                if self.mode == "echo":
                    conn.sendall(data)
        except OSError as error:
            record["end"] = errno.errorcode.get(error.errno, str(error))
        conn.close()

    def give(self, conn, record, total):
        while record["sent"] < total:
            record["sent"] += conn.send(b"s" * min(1 << 16, total - record["sent"]))
        conn.shutdown(socket.SHUT_WR)

    def datagrams(self):
        while True:
            try:
                data, peer = self.sock.recvfrom(1 << 16)
            except OSError:
                return
            with self.lock:
                record = next((r for r in self.records if (r["peer"], r["peer_port"]) == peer[:2]), None)
                if not record:
                    record = {"peer": peer[0], "peer_port": peer[1], "bytes": 0, "datagrams": 0, "text": ""}
                    self.records.append(record)
            self.note(record, data)
            record["datagrams"] += 1
            if self.mode == "echo":
                try:
                    self.sock.sendto(data, peer)
                except OSError:
                    pass  # the port is closed already

    @staticmethod
    def note(record, data):
        record["bytes"] += len(data)
        if len(record["text"]) < 4096:
            record["text"] += data[:4096].decode("latin-1")


class Wire(threading.Thread):
    """Everything on a device, in bytes as they go on the wire: a GSO packet has its headers once a segment."""

    def __init__(self, device):
        super().__init__(daemon=True)
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
        self.sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 256 << 20)
        self.sock.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
        self.sock.bind((device, ETH_P_ALL))
        self.tally, self.lost = {}, 0
        self.start()

    def run(self):
        buffer = bytearray(512)
        while True:
            size, _, _, sender = self.sock.recvmsg_into([buffer], 0, socket.MSG_TRUNC)
            try:
                self.note(memoryview(buffer)[: min(size, 512)], size, sender)
            except (struct.error, IndexError):
                self.lost += 1

    def note(self, head, size, sender):
        gso_type, gso_size = head[1], struct.unpack_from("=H", head, 4)[0]
        ip = head[10 + 14 :]
        protocol = struct.unpack_from("!H", head, 10 + 12)[0]
        if protocol == 0x0800:
            length, header, upper = struct.unpack_from("!H", ip, 2)[0], (ip[0] & 15) * 4, ip[9]
            src, dst = socket.inet_ntoa(ip[12:16]), socket.inet_ntoa(ip[16:20])
        elif protocol == 0x86DD:
            length, header, upper = struct.unpack_from("!H", ip, 4)[0] + 40, 40, ip[6]
            src = socket.inet_ntop(socket.AF_INET6, ip[8:24])
            dst = socket.inet_ntop(socket.AF_INET6, ip[24:40])
        else:
            return
        length = length or size - 24  # a packet over 64 KiB (BIG TCP) says 0
        packets, sport, dport = 1, 0, 0
        if upper in (6, 17):
            sport, dport = struct.unpack_from("!HH", ip, header)
        elif upper in (1, 58):
            sport = dport = ip[header]
        if gso_type and gso_size:
            headers = header + ((ip[header + 12] >> 4) * 4 if upper == 6 else 8)
            packets = -(-(length - headers) // gso_size)
            length += (packets - 1) * headers
        way = "out" if sender[2] == PACKET_OUTGOING else "in"
        port = sport if way == "out" else dport  # the server's; the app's are many and tell nothing
        entry = self.tally.setdefault((way, src, dst, PROTOCOLS.get(upper, upper), port), [0, 0])
        entry[0] += packets
        entry[1] += length

    def settle(self):
        """Returns once nothing came for a while."""
        deadline = time.monotonic() + 10
        before = None
        while time.monotonic() < deadline:
            now = sum(entry[0] for entry in list(self.tally.values()))
            if now == before and not select.select([self.sock], [], [], 0)[0]:
                return
            before = now
            time.sleep(0.06)

    def incomplete(self):
        """True if a packet was lost, or could not be read; asking forgets the lost ones."""
        _, dropped = struct.unpack("=II", self.sock.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))
        return dropped > 0 or self.lost > 0

# SPDX-License-Identifier: Apache-2.0
"""A process that opens sockets as it is told: an app inside its cgroup and namespace, or a server.

argv[1] is a JSON object: `control` (fd of a SOCK_SEQPACKET socket), and what to become first:
`netns` (path), `files` (what is to be seen at other paths, such as a resolv.conf), `procs` (fd of a
cgroup's cgroup.procs), `uid`, `caps` (numbers to keep), `comm`.
The cgroup is entered before any socket is made, as a launcher would before exec.

One request is one message, {"op": name, "args": [...], "kw": {...}}; the answer is {"value": ...},
{"errno": n, "text": ...} or {"bug": traceback}. Sockets are known by names that the caller chose.
Servers and floods run on threads; the rest answers when it is done.
"""
import array
import ctypes
import errno
import json
import os
import resource
import select
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # python -I leaves it out

import dns  # noqa: E402
import rings  # noqa: E402
from beats import Beats  # noqa: E402
from threads import Flood, Listener, Wire, echo_packet, family_of, make, reset_on_close  # noqa: E402

MESSAGE_MAX = 1 << 20
SO_ZEROCOPY, MSG_ZEROCOPY, IP_PKTINFO = 60, 0x4000000, 8
CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWNET, CLONE_INTO_CGROUP = 0x20000, 0x10000000, 0x40000000, 0x200000000
SYS_BPF, SYS_PIDFD_GETFD, SYS_PROCESS_VM_READV, BPF_OBJ_GET = 321, 438, 310, 7
SYS_CLONE3, SOL_PACKET, PACKET_QDISC_BYPASS, TCP_REPAIR = 435, 263, 20, 19
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_KEEPCAPS, PR_SET_NAME, PR_CAPBSET_DROP = 1, 4, 8, 15, 24

libc = ctypes.CDLL(None, use_errno=True)


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")


# ---- Becoming the app ------------------------------------------------------------------------------


def become_user(uid, caps):
    """An unprivileged user with these capabilities alone; none of the others can come back by exec."""
    for cap in range(64):
        if cap not in caps and libc.prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0:
            break  # past the last one that the kernel knows
    check(libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0), "keepcaps")
    os.setgroups([])
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    header = struct.pack("=II", 0x20080522, 0)
    words = [0, 0]
    for cap in caps:
        words[cap // 32] |= 1 << cap % 32
    data = b"".join(struct.pack("=III", word, word, 0) for word in words)
    check(libc.capset(header, data), "capset")


def see_files(files):
    """In a mount namespace of its own: {path that is opened: path that is read}."""
    check(libc.unshare(CLONE_NEWNS), "unshare")
    check(libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None), "mount --make-rprivate")
    for seen, real in files.items():
        check(libc.mount(real.encode(), os.path.realpath(seen).encode(), None, MS_BIND, None), f"mount --bind {seen}")


def become(wanted):
    if wanted.get("netns"):
        namespace = os.open(wanted["netns"], os.O_RDONLY | os.O_CLOEXEC)
        check(libc.setns(namespace, CLONE_NEWNET), "setns")
        os.close(namespace)
    if wanted.get("files"):
        see_files(wanted["files"])
    if wanted.get("uid") is not None:
        become_user(wanted["uid"], wanted.get("caps", []))
    if wanted.get("procs") is not None:  # opened by root, which is what the kernel asks for
        os.write(wanted["procs"], b"0")
        os.close(wanted["procs"])
    if wanted.get("comm"):
        libc.prctl(PR_SET_NAME, os.fsencode(wanted["comm"]), 0, 0, 0)
    check(libc.prctl(PR_SET_PDEATHSIG, 9, 0, 0, 0), "pdeathsig")


# ---- Operations ------------------------------------------------------------------------------------------


class Operations:
    def __init__(self, control):
        self.control = control
        self.socks, self.listeners, self.floods, self.wire = {}, {}, {}, None
        self.dns_server = self.beats = None

    def pid(self):
        return os.getpid()

    def rename(self, comm):
        check(libc.prctl(PR_SET_NAME, os.fsencode(comm), 0, 0, 0), "name")

    # -- sockets by name

    def open(self, name, address, proto="tcp"):
        self.socks[name] = make(address, proto)

    def connect(self, name, address, port, proto="tcp", timeout=5):
        """Makes the socket unless it is there. A failed one stays open under its name."""
        sock = self.socks.get(name) or make(address, proto)
        self.socks[name] = sock
        sock.settimeout(timeout)
        sock.connect((address, port))
        return sock.getsockname()[1]

    def socket_name(self, name):
        return self.socks[name].getsockname()[:2]

    def connect_many(self, prefix, count, address, port, timeout=10):
        for number in range(count):
            self.connect(f"{prefix}{number}", address, port, timeout=timeout)

    def fast_open(self, name, address, port, data):
        sock = self.socks[name] = make(address, "tcp")
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, struct.pack("ll", 5, 0))
        return sock.sendto(data.encode(), socket.MSG_FASTOPEN, (address, port))

    def disconnect(self, name):
        """connect(AF_UNSPEC)"""
        check(libc.connect(self.socks[name].fileno(), struct.pack("=H14x", socket.AF_UNSPEC), 16), "connect")

    def bind(self, name, address, port, proto="tcp"):
        sock = self.socks.get(name) or make(address, proto)
        self.socks[name] = sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((address, port))
        return sock.getsockname()[1]

    def listen(self, name, address, port, backlog=64):
        bound = self.bind(name, address, port)
        self.socks[name].listen(backlog)
        return bound

    def accept(self, name, accepted, timeout=5):
        self.socks[name].settimeout(timeout)
        self.socks[accepted], peer = self.socks[name].accept()
        return [peer[0], peer[1]]

    def self_connect(self, data="x"):
        """A socket connected to itself (a simultaneous open): what it reads back."""
        with socket.socket() as sock:
            sock.settimeout(5)
            sock.bind(("127.0.0.1", 0))
            sock.connect(sock.getsockname())
            sock.sendall(data.encode())
            return sock.recv(1 << 16).decode()

    def source_route(self, name, *hops):
        """Packets of a connected socket go by these hops first (a loose source route, RFC 791)."""
        route = b"".join(socket.inet_aton(hop) for hop in hops)
        self.socks[name].setsockopt(socket.IPPROTO_IP, socket.IP_OPTIONS, bytes([1, 131, 3 + len(route), 4]) + route)

    def icmp_errors(self, source, address, count, size):
        """Sends "time exceeded" messages, each with size bytes of anything."""
        with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
            sock.bind((source, 0))
            for number in range(count):
                body = struct.pack("!BBHI", 11, 0, 0, number) + b"e" * size
                total = sum(struct.unpack(f"!{len(body) // 2}H", body))
                total = (total & 0xFFFF) + (total >> 16)
                check_sum = ~(total + (total >> 16)) & 0xFFFF
                sock.sendto(body[:2] + struct.pack("!H", check_sum) + body[4:], (address, 0))

    def send(self, name, data="x", timeout=5):
        self.socks[name].settimeout(timeout)
        return self.socks[name].send(data.encode())

    def sendto(self, name, address, port, data="x", proto="udp"):
        sock = self.socks.get(name) or make(address, proto)
        self.socks[name] = sock
        sock.settimeout(5)
        return sock.sendto(data.encode(), (address, port))

    def recv(self, name, size=1 << 16, timeout=5):
        self.socks[name].settimeout(timeout)
        return self.socks[name].recv(size).decode("latin-1")

    def ask(self, name, data="ping", timeout=5):
        """Sends and reads back as much (of an echo server)."""
        sock = self.socks[name]
        sock.settimeout(timeout)
        sock.send(data.encode())
        answer = b""
        while len(answer) < len(data):
            got = sock.recv(1 << 16)
            if not got:
                break
            answer += got
        return answer.decode("latin-1")

    def push(self, name, size, timeout=10, chunk=1 << 16):
        """Sends up to size bytes: {"bytes": sent, "end": null or errno's name}. Stalling is ETIMEDOUT."""
        sock, sent = self.socks[name], 0
        sock.settimeout(timeout)
        try:
            while sent < size:
                sent += sock.send(b"p" * min(chunk, size - sent))
        except TimeoutError:
            return {"bytes": sent, "end": "ETIMEDOUT"}
        except OSError as error:
            return {"bytes": sent, "end": errno.errorcode[error.errno]}
        return {"bytes": sent, "end": None}

    def push_by(self, way, name, size, timeout=10):
        """As push, by another way into the socket: "zerocopy", "sendfile" or "splice"."""
        sock, sent = self.socks[name], 0
        sock.settimeout(timeout)
        data = b"p" * (1 << 16)
        if way == "zerocopy":
            sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        with tempfile.TemporaryFile() as file:
            file.write(data)
            file.flush()
            source, sink = os.pipe()
            try:
                while sent < size:
                    if way == "zerocopy":
                        sent += sock.send(data, MSG_ZEROCOPY)
                        continue
                    if not select.select([], [sock], [], timeout)[1]:
                        return {"bytes": sent, "end": "ETIMEDOUT"}
                    if way == "sendfile":
                        sent += os.sendfile(sock.fileno(), file.fileno(), 0, len(data))
                    else:
                        left = os.splice(file.fileno(), sink, len(data), offset_src=0)
                        while left:
                            select.select([], [sock], [], timeout)
                            moved = os.splice(source, sock.fileno(), left)
                            left -= moved
                            sent += moved
            except BlockingIOError:
                return {"bytes": sent, "end": "ETIMEDOUT"}
            except TimeoutError:
                return {"bytes": sent, "end": "ETIMEDOUT"}
            except OSError as error:
                return {"bytes": sent, "end": errno.errorcode[error.errno]}
            finally:
                os.close(source)
                os.close(sink)
        return {"bytes": sent, "end": None}

    def send_zerocopy(self, name, size):
        self.socks[name].setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        return self.socks[name].send(b"z" * size, MSG_ZEROCOPY)

    def option(self, name, level, option, value):
        """setsockopt by names of the socket module, or an option's number; value is a number, or bytes in hex."""
        value = bytes.fromhex(value) if isinstance(value, str) else value
        self.socks[name].setsockopt(getattr(socket, level), option if isinstance(option, int) else getattr(socket, option), value)

    def pull(self, name, timeout=5, size=None):
        """Reads until the end, or nothing came for timeout: {"bytes", "end": "eof", errno's name}."""
        sock, got = self.socks[name], 0
        sock.settimeout(timeout)
        try:
            while size is None or got < size:
                data = sock.recv(1 << 16)
                if not data:
                    return {"bytes": got, "end": "eof"}
                got += len(data)
        except TimeoutError:
            return {"bytes": got, "end": "ETIMEDOUT"}
        except OSError as error:
            return {"bytes": got, "end": errno.errorcode[error.errno]}
        return {"bytes": got, "end": None}

    def burst(self, name, address, port, size, count, proto="udp"):
        """count datagrams of size bytes (payload): how many had which outcome. address None: it is connected."""
        sock = self.socks.get(name) or make(address, proto)
        self.socks[name] = sock
        sock.settimeout(5)
        tally, data = {}, b"u" * size
        for _ in range(count):
            try:
                sock.sendto(data, (address, port)) if address else sock.send(data)
                outcome = "sent"
            except OSError as error:
                outcome = errno.errorcode[error.errno]
            tally[outcome] = tally.get(outcome, 0) + 1
        return tally

    def count_datagrams(self, name, timeout=1):
        """Reads until none comes for timeout: [how many, bytes of payload]."""
        count = total = 0
        self.socks[name].settimeout(timeout)
        try:
            while True:
                total += len(self.socks[name].recv(1 << 16))
                count += 1
        except TimeoutError:
            return [count, total]

    def end(self, name, timeout=10):
        """Waits for the socket to fail or end: errno's name, or "eof". None if it lives on."""
        sock = self.socks[name]
        poll = select.poll()
        poll.register(sock, select.POLLIN | select.POLLERR | select.POLLHUP)
        if not poll.poll(timeout * 1000):
            return None
        number = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if number:
            return errno.errorcode[number]
        try:
            sock.settimeout(0)
            return "eof" if not sock.recv(1 << 16) else None
        except BlockingIOError:
            return None
        except OSError as error:
            return errno.errorcode[error.errno]

    def ends(self, prefix, count, timeout=10):
        """The ends of connect_many's sockets, as a tally."""
        tally, deadline = {}, time.monotonic() + timeout
        for number in range(count):
            end = str(self.end(f"{prefix}{number}", max(0, deadline - time.monotonic())))
            tally[end] = tally.get(end, 0) + 1
        return tally

    def sock_error(self, name):
        number = self.socks[name].getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        return errno.errorcode[number] if number else None

    def close(self, name, reset=False):
        sock = self.socks.pop(name)
        if reset:
            reset_on_close(sock)
        sock.close()

    def close_all(self):
        for name in list(self.socks):
            self.socks.pop(name).close()

    def shutdown(self, name):
        self.socks[name].shutdown(socket.SHUT_WR)

    def raw(self, family, kind, protocol=0):
        """Tries to make a socket by numbers of the socket module: raw("AF_PACKET", "SOCK_RAW", 768)."""
        socket.socket(getattr(socket, family), getattr(socket, kind), protocol).close()

    def open_raw(self, name, address, protocol, hops=None):
        """A raw socket of the address' family that is kept; hops is the hop limit of what it sends."""
        sock = self.socks[name] = socket.socket(family_of(address), socket.SOCK_RAW, protocol)
        if hops:
            for option in (socket.IPV6_UNICAST_HOPS, socket.IPV6_MULTICAST_HOPS):
                sock.setsockopt(socket.IPPROTO_IPV6, option, hops)

    def frame(self, device, data, bypass=False):
        """A frame as it is (hexadecimal), by an AF_PACKET socket; bypass: past the queue of the device."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as sock:
            if bypass:
                sock.setsockopt(SOL_PACKET, PACKET_QDISC_BYPASS, 1)
            sock.bind((device, 0))
            return sock.send(bytes.fromhex(data))

    def frame_by_xdp(self, device, data):
        rings.send_by_xdp(device, bytes.fromhex(data))

    def uring(self, way, name, address, port, data="x", sqpoll=False):
        """By io_uring, the socket included: "connect", and sends then, or "sendto". Bytes sent."""
        ring = rings.Uring(sqpoll)
        try:
            kind = socket.SOCK_STREAM if way == "connect" else socket.SOCK_DGRAM
            sock = self.socks[name] = ring.socket(family_of(address), kind)
            if way == "sendto":
                return ring.sendto(sock, data.encode(), address, port)
            ring.connect(sock, address, port)
            return ring.send(sock, data.encode())
        finally:
            ring.close()

    def header(self, address, data, protocol=socket.IPPROTO_RAW):
        """A packet with a header of our own (hexadecimal), by a raw socket."""
        with socket.socket(family_of(address), socket.SOCK_RAW, protocol) as sock:
            return sock.sendto(bytes.fromhex(data), (address, 0))

    def corked(self, name, first, second, port):
        """A datagram begun for one address and ended for another."""
        sock = self.socks[name] = make(first, "udp")
        sock.sendto(b"begun", socket.MSG_MORE, (first, port))
        return sock.sendto(b"ended", (second, port))

    def repaired(self, name, source, address, port):
        """A connection that was never opened on the wire (TCP_REPAIR); sends once."""
        sock = self.socks[name] = make(address, "tcp")
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
        sock.bind((source, 0))
        sock.connect((address, port))
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 0)
        return sock.send(b"secret")

    def abstract(self, name, listen=False):
        """Connects to an abstract Unix socket, or listens there until the worker ends."""
        sock = self.socks[name] = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if listen:
            sock.bind("\0" + name)
            sock.listen(1)
        else:
            sock.connect("\0" + name)

    def move(self, procs):
        """Moves itself, by that cgroup.procs."""
        with open(procs, "w", encoding="ascii") as file:
            file.write("0")

    def clone_into(self, directory):
        """A child that begins in that cgroup (clone3, CLONE_INTO_CGROUP)."""
        cgroup = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        arguments = struct.pack("=11Q", CLONE_INTO_CGROUP, 0, 0, 0, 17, 0, 0, 0, 0, 0, cgroup)
        child = libc.syscall(SYS_CLONE3, arguments, len(arguments))
        if child == 0:
            os._exit(0)
        number = ctypes.get_errno()
        os.close(cgroup)
        if child < 0:
            raise OSError(number, "clone3")
        os.waitpid(child, 0)

    def unshare_user(self):
        """From now on root of a user and a network namespace of its own."""
        uid, gid = os.getuid(), os.getgid()
        check(libc.prctl(PR_SET_DUMPABLE, 1, 0, 0, 0), "dumpable")  # else /proc/self is root's
        check(libc.unshare(CLONE_NEWUSER | CLONE_NEWNET), "unshare")
        for file, text in (("setgroups", "deny"), ("uid_map", f"0 {uid} 1"), ("gid_map", f"0 {gid} 1")):
            with open(f"/proc/self/{file}", "w", encoding="ascii") as out:
                out.write(text)

    def threads(self, count):
        """So many more of them, which do nothing."""
        begun = threading.active_count()
        threading.stack_size(1 << 16)
        for _ in range(count):
            threading.Thread(target=threading.Event().wait, daemon=True).start()
        return threading.active_count() - begun

    def unshare_nets(self, count):
        """So many threads, each in a network namespace of its own; after unshare_user."""
        outcomes = []

        def live():
            outcomes.append(libc.unshare(CLONE_NEWNET))
            threading.Event().wait()

        for _ in range(count):
            threading.Thread(target=live, daemon=True).start()
        while len(outcomes) < count:
            time.sleep(0.01)
        return outcomes.count(0)

    def status(self, *argv):
        """The exit status of a program that is run here."""
        return subprocess.run(argv, capture_output=True, timeout=60, check=False).returncode

    def sendraw(self, address, protocol):
        """An ICMP echo request by a raw socket."""
        with socket.socket(family_of(address), socket.SOCK_RAW, protocol) as sock:
            return sock.sendto(struct.pack("!BBHHH", 8, 0, 0xF7FE, 0, 1), (address, 0))

    def send_hex(self, name, address, data):
        return self.socks[name].sendto(bytes.fromhex(data), (address, 0))

    def recv_hex(self, name, timeout=5):
        self.socks[name].settimeout(timeout)
        return self.socks[name].recv(1 << 16).hex()

    def option32(self, name, level, option, value):
        """setsockopt by a 32-bit system call: int 0x80, from a page of code made for it."""
        libc.mmap.restype = ctypes.c_void_p
        page = libc.mmap(None, 4096, 7, 0x62, -1, 0)  # PROT_READ|WRITE|EXEC; MAP_PRIVATE|ANONYMOUS|32BIT
        arguments = (self.socks[name].fileno(), getattr(socket, level), option, page + 2048, 4)
        code = b"\x53"  # push rbx
        for opcode, argument in zip(b"\xbb\xb9\xba\xbe\xbf\xb8", (*arguments, 366)):  # mov ebx, ecx, edx, esi, edi, eax
            code += struct.pack("<BI", opcode, argument)
        ctypes.memmove(page, code + b"\xcd\x80\x5b\xc3", len(code) + 4)  # int 0x80; pop rbx; ret
        ctypes.memmove(page + 2048, struct.pack("=i", value), 4)
        result = ctypes.CFUNCTYPE(ctypes.c_int)(page)()
        if result < 0:
            raise OSError(-result, "setsockopt by int 0x80")

    def unshare_net(self):
        """From now on in a network namespace of its own, made by this process in its cgroup."""
        check(libc.unshare(CLONE_NEWNET), "unshare")

    def ping(self, address, timeout=5, size=56):
        """True: the reply came. Raises what sendto says."""
        family = family_of(address)
        protocol = socket.IPPROTO_ICMP if family == socket.AF_INET else socket.IPPROTO_ICMPV6
        with socket.socket(family, socket.SOCK_DGRAM, protocol) as sock:
            sock.settimeout(timeout)
            sock.sendto(echo_packet(family, 1, size), (address, 0))
            try:
                return sock.recv(4096)[0] in (0, 129)
            except TimeoutError:
                return False

    def fork(self, seconds=60):
        """A child that does nothing for a while, in the same cgroup."""
        child = os.fork()
        if not child:
            self.control.close()
            time.sleep(seconds)
            os._exit(0)
        return child

    # -- what is another's

    def syscall(self, number, *arguments):
        """Texts are given as pointers to them."""
        given = [argument.encode() if isinstance(argument, str) else ctypes.c_long(argument) for argument in arguments]
        result = libc.syscall(ctypes.c_long(number), *given)
        check(result, f"call {number}")
        return result

    def look_into(self, path, flags=os.O_RDONLY):
        """Opens it and reads a byte, or lists it, or begins to write."""
        fd = os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            if os.path.isdir(path):
                os.listdir(fd)
            elif flags == os.O_RDONLY:
                os.read(fd, 1)
        finally:
            os.close(fd)

    def connect_unix(self, path):
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
            sock.connect(path)

    def get_map(self, pin):
        """BPF_OBJ_GET"""
        path = ctypes.create_string_buffer(pin.encode())
        attribute = struct.pack("=QII", ctypes.addressof(path), 0, 0)
        check(libc.syscall(SYS_BPF, BPF_OBJ_GET, attribute, len(attribute)), "BPF_OBJ_GET")

    def steal_fd(self, pid, fd):
        """pidfd_getfd"""
        pidfd = os.pidfd_open(pid)
        try:
            self.syscall(SYS_PIDFD_GETFD, pidfd, fd, 0)
        finally:
            os.close(pidfd)

    def read_memory(self, pid):
        """process_vm_readv"""
        mine = ctypes.create_string_buffer(8)
        local = struct.pack("=QQ", ctypes.addressof(mine), 8)
        remote = struct.pack("=QQ", 0x400000, 8)
        check(libc.syscall(SYS_PROCESS_VM_READV, pid, local, 1, remote, 1, 0), "process_vm_readv")

    def command(self, *argv):
        """Runs a program here, with what rights there are; what it prints."""
        done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
        if done.returncode:
            raise RuntimeError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
        return done.stdout

    # -- passing sockets

    def take(self, name, message, family="AF_INET", kind="SOCK_STREAM"):
        fds = message["fds"]
        if len(fds) != 1:
            raise OSError(errno.EBADMSG, "no fd came")
        self.socks[name] = socket.socket(getattr(socket, family), getattr(socket, kind), fileno=fds[0])

    def give(self, name):
        return {"give": name}

    # -- servers

    def serve(self, proto, address, port, mode="echo"):
        listener = Listener(proto, address, port, mode)
        self.listeners[proto, address, listener.port] = listener
        return listener.port

    def served(self, proto, address, port):
        listener = self.listeners[proto, address, port]
        with listener.lock:
            return list(listener.records)

    def reset_served(self, proto, address, port):
        """Cuts the server's side of every connection."""
        for conn in self.listeners[proto, address, port].conns:
            reset_on_close(conn)
            conn.close()

    def watch_wire(self, device):
        self.wire = Wire(device)

    def wire_tally(self):
        self.wire.settle()
        if self.wire.incomplete():
            raise OSError(errno.EOVERFLOW, "the capture is not complete")
        return [[*key, *value] for key, value in list(self.wire.tally.items())]

    # -- beats

    def beat(self, senders, ports, address):
        """Sockets of these names send to receivers at these ports, which it makes unless they are there."""
        for port in ports:
            if f"beats:{port}" not in self.socks:
                self.bind(f"beats:{port}", address, port, "udp")
        if self.beats:
            self.beats.stop()
        self.beats = Beats([self.socks[name] for name in senders], {port: self.socks[f"beats:{port}"] for port in ports},
                           address)

    def beat_phase(self, port=None, until_refused=False):
        self.beats.phase(port, until_refused)

    def beaten(self):
        return self.beats.seen()

    # -- a socket in each of many cgroups

    def stand_in(self, prefix, paths, address):
        """Goes to each cgroup, and makes a UDP socket there: prefix0, prefix1 ..."""
        most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
        for number, path in enumerate(paths):
            with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as procs:
                procs.write("0")
            self.open(f"{prefix}{number}", address, "udp")

    def storm(self, prefix, count, address, port, times):
        """Sends from each; how often that was refused."""
        refused = 0
        for number in [number for _ in range(times) for number in range(count)]:
            try:
                self.socks[f"{prefix}{number}"].sendto(b"x", (address, port))
            except PermissionError:
                refused += 1
        return refused

    # -- DNS

    def dns_serve(self, addresses, zone, port=53):
        self.dns_server = dns.DnsServer(addresses, zone, port)

    def dns_zone(self, zone):
        self.dns_server.zone = zone

    def dns_asked(self):
        """Every query that came, oldest first."""
        with self.dns_server.lock:
            return list(self.dns_server.asked)

    def dns_bytes(self):
        return self.dns_server.bytes

    def dns_say(self, server, data, address, port):
        """Sends anything (in hex) from the server's own port."""
        self.dns_server.socks[server].sendto(bytes.fromhex(data), (address, port))

    def dns_ask(self, server, asked, qtype="A", proto="udp", name=None, connected=False, timeout=5, port=53, **how):
        """Asks by a socket of its own, or the one of that name, which is made unless it is there."""
        sock, made = self.socks.get(name), not name or name not in self.socks
        if made:
            sock = make(server, proto)
            if name:
                self.socks[name] = sock
            sock.settimeout(timeout)
            if connected or proto == "tcp":
                sock.connect((server, port))
        try:
            address = None if connected or proto == "tcp" else (server, port)
            return dns.ask(sock, dns.query(asked, qtype, **how), proto, address, timeout)
        finally:
            if not name:
                sock.close()

    def dns_hear(self, name, proto="udp", timeout=5):
        return dns.hear(self.socks[name], proto, timeout)

    def put(self, name, data, address=None, port=53):
        """Sends bytes (in hex)."""
        sock, data = self.socks[name], bytes.fromhex(data)
        sock.settimeout(5)
        return sock.sendto(data, (address, port)) if address else sock.send(data)

    def lookup(self, name, family="AF_UNSPEC"):
        """getaddrinfo: {"addresses", "error" (EAI_*), "seconds"}."""
        begun, addresses, error = time.monotonic(), [], None
        try:
            found = socket.getaddrinfo(name, 443, getattr(socket, family), socket.SOCK_STREAM)
            addresses = sorted({each[4][0] for each in found})
        except socket.gaierror as failure:
            error = next(key for key in dir(socket) if key.startswith("EAI_") and getattr(socket, key) == failure.errno)
        return {"addresses": addresses, "error": error, "seconds": time.monotonic() - begun}

    def rounds(self, server, name, count, port, timeout=5):
        """Resolve, send one datagram to each address, and have it echoed: a tally of what became of the rounds."""
        tally, resolver = {}, make(server, "udp")
        resolver.connect((server, 53))
        for number in range(count):
            try:
                found = dns.ask(resolver, dns.query(name, "A", number & 0xFFFF), "udp", timeout=timeout)
                for address in found["addresses"]:
                    with make(address, "udp") as sock:
                        sock.settimeout(timeout)
                        sock.connect((address, port))
                        sock.send(b"round")
                        outcome = "ok" if sock.recv(16) == b"round" else "bad"
            except OSError as error:
                outcome = "ETIMEDOUT" if isinstance(error, TimeoutError) else errno.errorcode[error.errno]
            tally[outcome] = tally.get(outcome, 0) + 1
        resolver.close()
        return tally

    def reflect(self, port):
        """Echoes datagrams to any address that is this namespace's, from that address."""
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        sock.bind(("0.0.0.0", port))

        def step():
            data, more, _, peer = sock.recvmsg(2048, 64)
            info = next(body for level, kind, body in more if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO))
            back = struct.pack("=I", 0) + info[4:8] + bytes(4)
            sock.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, back)], 0, peer)
            return "ok"

        self.floods[f"reflect {port}"] = Flood(step)

    # -- floods

    def flood_udp(self, name, address, port, size=64, count=None, pause=0):
        sock = make(address, "udp")
        data = b"f" * size

        def step():
            sock.sendto(data, (address, port))
            return "sent"

        self.floods[name] = Flood(step, count, pause)

    def flood_connect(self, name, address, port, data="", timeout=5, count=None, reset=False, pause=0):
        """Connects, has its data echoed, closes. reset: so that no TIME_WAIT answers for it, which is no app's."""

        def step():
            with make(address, "tcp") as sock:
                sock.settimeout(timeout)
                sock.connect((address, port))
                if data:
                    sock.sendall(data.encode())
                    got = b""
                    while len(got) < len(data):
                        more = sock.recv(1 << 16)
                        if not more:
                            return "eof"
                        got += more
                if reset:
                    reset_on_close(sock)
            return "ok"

        self.floods[name] = Flood(step, count, pause)

    def flood_ask(self, name, address, port, proto="tcp", size=64, timeout=5, count=None, pause=0):
        """Asks over one connection: an error, or no answer in time, ends nothing but is tallied."""
        sock = make(address, proto)
        sock.settimeout(timeout)
        sock.connect((address, port))
        data = b"a" * size

        def step():
            sock.send(data)
            left = size
            while left > 0:
                got = sock.recv(left)
                if not got:
                    return "eof"
                left -= len(got)
            return "ok"

        self.floods[name] = Flood(step, count, pause)

    def flood_push(self, name, timeout=5, chunk=1 << 16):
        """Sends as fast as it can over the connection of that name."""
        sock = self.socks[name]
        sock.settimeout(timeout)
        data = b"p" * chunk

        def step():
            sock.send(data)
            return "ok"

        self.floods[name] = Flood(step)

    def flood_tally(self, name):
        return dict(self.floods[name].tally)

    def flood_running(self, name):
        return self.floods[name].is_alive()

    def flood_stop(self, name):
        return self.floods.pop(name).stop()


# ---- The loop -----------------------------------------------------------------------------------------------


def answer(operations, message):
    try:
        if message["op"] == "take":
            message["kw"]["message"] = message
        return {"value": getattr(operations, message["op"])(*message["args"], **message["kw"])}
    except TimeoutError as error:
        return {"errno": errno.ETIMEDOUT, "text": str(error)}
    except OSError as error:
        return {"errno": error.errno or 0, "text": str(error)}
    except Exception:  # pylint: disable=broad-except
        return {"bug": traceback.format_exc()}


def receive(control):
    ints = array.array("i")
    data, ancillary, _, _ = control.recvmsg(MESSAGE_MAX, socket.CMSG_SPACE(4 * ints.itemsize))
    for level, kind, body in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            ints.frombytes(body[: len(body) - len(body) % ints.itemsize])
    if not data:
        return None
    return {**json.loads(data), "fds": list(ints)}


def main():
    wanted = json.loads(sys.argv[1])
    control = socket.socket(fileno=wanted["control"])
    try:
        become(wanted)
    except OSError as error:
        control.send(json.dumps({"bug": f"could not become {wanted}: {error}"}).encode())
        return
    control.send(json.dumps({"value": "ready"}).encode())
    operations = Operations(control)
    while True:
        message = receive(control)
        if message is None:
            return
        reply = answer(operations, message)
        value = reply.get("value")
        if isinstance(value, dict) and "give" in value:
            socket.send_fds(control, [b'{"value": "given"}'], [operations.socks[value["give"]].fileno()])
        else:
            control.send(json.dumps(reply).encode())


if __name__ == "__main__":
    main()

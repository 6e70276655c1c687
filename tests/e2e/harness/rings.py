# SPDX-License-Identifier: Apache-2.0
"""Sockets driven through shared memory: io_uring, and AF_XDP's ring of frames to send."""
import ctypes
import errno
import mmap
import os
import socket
import struct
import time

libc = ctypes.CDLL(None, use_errno=True)

SYS_IO_URING_SETUP, SYS_IO_URING_ENTER = 425, 426
SETUP_SQPOLL, ENTER_GETEVENTS, ENTER_SQ_WAKEUP = 2, 1, 2
OFF_SQ_RING, OFF_CQ_RING, OFF_SQES = 0, 0x8000000, 0x10000000
OP_SENDMSG, OP_CONNECT, OP_SEND, OP_SOCKET = 9, 16, 26, 45
SHARED = mmap.MAP_SHARED | mmap.MAP_POPULATE
PAGE = mmap.PAGESIZE


def checked(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def address_of(buffer):
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


def sockaddr(address, port):
    if ":" in address:
        return bytearray(struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) +
                         socket.inet_pton(socket.AF_INET6, address) + bytes(4))
    return bytearray(struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + socket.inet_aton(address) + bytes(8))


class Uring:
    """One request at a time. sqpoll: a kernel thread takes them up."""

    def __init__(self, sqpoll=False):
        params = bytearray(120)
        struct.pack_into("=3I", params, 0, 0, 0, SETUP_SQPOLL if sqpoll else 0)
        self.sqpoll = sqpoll
        self.fd = checked(libc.syscall(SYS_IO_URING_SETUP, 4, (ctypes.c_char * 120).from_buffer(params)), "io_uring_setup")
        sq, cq = struct.unpack_from("=8I", params, 40), struct.unpack_from("=8I", params, 80)
        self.sq_tail, self.sq_mask, self.sq_array = sq[1], sq[2], sq[6]
        self.cq_head, self.cq_tail, self.cq_mask, self.cqes = cq[0], cq[1], cq[2], cq[5]
        entries = struct.unpack_from("=2I", params)
        self.sq = mmap.mmap(self.fd, self.sq_array + 4 * entries[0], SHARED, offset=OFF_SQ_RING)
        self.cq = mmap.mmap(self.fd, self.cqes + 16 * entries[1], SHARED, offset=OFF_CQ_RING)
        self.entries = mmap.mmap(self.fd, 64 * entries[0], SHARED, offset=OFF_SQES)

    @staticmethod
    def word(ring, place):
        return struct.unpack_from("=I", ring, place)[0]

    def do(self, opcode, fd, address=0, length=0, offset=0, timeout=5):
        """The result of one request; raises OSError of what it failed with."""
        struct.pack_into("=BBHiQQII28x", self.entries, 0, opcode, 0, 0, fd, offset, address, length, 0)
        tail = self.word(self.sq, self.sq_tail)
        struct.pack_into("=I", self.sq, self.sq_array + 4 * (tail & self.word(self.sq, self.sq_mask)), 0)
        struct.pack_into("=I", self.sq, self.sq_tail, tail + 1)
        checked(libc.syscall(SYS_IO_URING_ENTER, self.fd, 1, 0, ENTER_SQ_WAKEUP if self.sqpoll else 0, None, 0),
                "io_uring_enter")
        deadline = time.monotonic() + timeout
        while (head := self.word(self.cq, self.cq_head)) == self.word(self.cq, self.cq_tail):
            if time.monotonic() > deadline:
                raise TimeoutError("io_uring")
            time.sleep(0.01)
        place = self.cqes + 16 * (head & self.word(self.cq, self.cq_mask))
        result = struct.unpack_from("=i", self.cq, place + 8)[0]
        struct.pack_into("=I", self.cq, self.cq_head, head + 1)
        if result < 0:
            raise OSError(-result, os.strerror(-result))
        return result

    def socket(self, family, kind):
        return socket.socket(family, kind, fileno=self.do(OP_SOCKET, family, offset=kind))

    def connect(self, sock, address, port):
        there = sockaddr(address, port)
        self.do(OP_CONNECT, sock.fileno(), address_of(there), offset=len(there))

    def send(self, sock, data):
        data = bytearray(data)
        return self.do(OP_SEND, sock.fileno(), address_of(data), len(data))

    def sendto(self, sock, data, address, port):
        there, data = sockaddr(address, port), bytearray(data)
        vector = bytearray(struct.pack("=QQ", address_of(data), len(data)))
        message = bytearray(struct.pack("=QI4xQQQQi4x", address_of(there), len(there), address_of(vector), 1, 0, 0, 0))
        return self.do(OP_SENDMSG, sock.fileno(), address_of(message), 1)

    def close(self):
        for ring in (self.sq, self.cq, self.entries):
            ring.close()
        os.close(self.fd)


SOL_XDP, XDP_MMAP_OFFSETS, XDP_TX_RING, XDP_UMEM_REG, XDP_UMEM_FILL, XDP_UMEM_COMPLETION = 283, 1, 3, 4, 5, 6
XDP_COPY, XDP_PGOFF_TX_RING, AF_XDP = 2, 0x80000000, 44


def bind(sock, where, timeout=5):
    """The queue of the socket before is given back a moment after its close."""
    deadline = time.monotonic() + timeout
    while libc.bind(sock.fileno(), where, len(where)) < 0:
        number = ctypes.get_errno()
        if number != errno.EBUSY or time.monotonic() > deadline:
            raise OSError(number, "bind")
        time.sleep(0.01)


def send_by_xdp(device, frame):
    """One frame out of an AF_XDP socket's ring."""
    with socket.socket(AF_XDP, socket.SOCK_RAW, 0) as sock:
        memory = mmap.mmap(-1, 4 * PAGE)
        sock.setsockopt(SOL_XDP, XDP_UMEM_REG, struct.pack("=QQIIII", address_of(memory), 4 * PAGE, PAGE, 0, 0, 0))
        for ring in (XDP_UMEM_FILL, XDP_UMEM_COMPLETION, XDP_TX_RING):
            sock.setsockopt(SOL_XDP, ring, 4)
        offsets = struct.unpack("=16Q", sock.getsockopt(SOL_XDP, XDP_MMAP_OFFSETS, 128))
        producer, _, descriptors, _ = offsets[4:8]
        ring = mmap.mmap(sock.fileno(), descriptors + 4 * 16, SHARED, offset=XDP_PGOFF_TX_RING)
        where = struct.pack("=HHIII", AF_XDP, XDP_COPY, socket.if_nametoindex(device), 0, 0)
        bind(sock, where)
        memory[:len(frame)] = frame
        struct.pack_into("=QII", ring, descriptors, 0, len(frame), 0)
        struct.pack_into("=I", ring, producer, 1)
        if libc.sendto(sock.fileno(), None, 0, socket.MSG_DONTWAIT, None, 0) < 0:
            number = ctypes.get_errno()
            if number not in (errno.EAGAIN, errno.EBUSY):
                raise OSError(number, "sendto")
        ring.close()

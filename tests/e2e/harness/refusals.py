# SPDX-License-Identifier: Apache-2.0
"""System calls that a program's own list refused, as the kernel tells whoever listens to its audit records."""
import re
import socket
import struct

NETLINK_AUDIT, READLOG, AUDIT_SECCOMP, SO_RCVBUFFORCE = 9, 1, 1326, 33
RECORD = re.compile(r"comm=(\S+) exe=(\S+) sig=(\d+) arch=\w+ syscall=(\d+)")


def text(field):
    """Quoted, or in hexadecimal where there is a space in it."""
    return field.strip('"') if field.startswith('"') else bytes.fromhex(field).decode(errors="replace")


class Refusals:
    """What is told from now on."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, NETLINK_AUDIT)
        self.socket.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 4 << 20)
        self.socket.bind((0, 1 << READLOG - 1))

    def close(self):
        self.socket.close()

    def records(self):
        while True:
            try:
                message = self.socket.recv(1 << 16)
            except BlockingIOError:
                return
            if struct.unpack_from("=IH", message)[1] == AUDIT_SECCOMP:
                yield RECORD.search(message[16:].decode(errors="replace")).groups()

    def take(self, *programs):
        """{"comm: number of the call", ...} of programs whose path begins with one of these."""
        return {f"{text(comm)}: {call}" + (", ended by it" if signal != "0" else "")
                for comm, exe, signal, call in self.records() if text(exe).startswith(programs)}

    def expect_none(self, *programs):
        found = self.take(*programs)
        assert not found, f"calls that are missing in a program's list: {sorted(found)}"

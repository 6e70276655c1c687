# SPDX-License-Identifier: Apache-2.0
"""Senders that beat about once a millisecond, and when the first and the last beat of each arrived."""
import os
import socket
import threading
import time

SO_TIMESTAMPNS = 35
SO_RCVBUFFORCE = 33
BEAT_S = 0.001
NICE = -15  # else it would be silent itself where all that it watches wants the CPU


class Beats(threading.Thread):
    """One thread for all of them, so that a beat of each costs next to nothing: senders are UDP sockets of apps,
    which are judged by where they were made; receivers are bound, {port: socket}."""

    def __init__(self, senders, receivers, address):
        super().__init__(daemon=True)
        self.senders, self.receivers, self.address = senders, receivers, address
        self.payloads = [str(number).encode() for number in range(len(senders))]
        self.lock, self.stopping = threading.Lock(), False
        self.port, self.until_refused = None, False
        self.first, self.last, self.refused, self.ended = {}, {}, {}, {}
        for sock in senders:
            sock.setblocking(False)
        for sock in receivers.values():
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 16 << 20)
            sock.setblocking(False)
        self.start()

    def phase(self, port, until_refused):
        """Beats to that port from now on (None: to none); a sender that was refused may be silent from then on."""
        with self.lock:
            self.port, self.until_refused = port, until_refused
            self.drain()
            self.first, self.last, self.refused, self.ended = {}, {}, {}, {}

    def seen(self):
        """{"first", "last": {sender: ns, as the kernel stamped it}, "refused": {sender: count}, "ended": {sender: ns,
        of its first refusal}}"""
        with self.lock:
            self.drain()
            return {"first": dict(self.first), "last": dict(self.last), "refused": dict(self.refused),
                    "ended": dict(self.ended)}

    def drain(self):
        for sock in self.receivers.values():
            while True:
                try:
                    data, ancillary, _, _ = sock.recvmsg(64, 64)
                except BlockingIOError:
                    break
                stamp = int.from_bytes(ancillary[0][2][:8], "little") * 10**9 + int.from_bytes(ancillary[0][2][8:16], "little")
                number = int(data)
                self.first.setdefault(number, stamp)
                self.last[number] = stamp

    def beat(self):
        for number, sock in enumerate(self.senders):
            if self.until_refused and number in self.refused:
                continue
            try:
                sock.sendto(self.payloads[number], (self.address, self.port))
            except OSError:
                self.refused[number] = self.refused.get(number, 0) + 1
                self.ended.setdefault(number, time.time_ns())

    def run(self):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE)
        while not self.stopping:
            due = time.monotonic() + BEAT_S
            with self.lock:
                if self.port is not None:
                    self.beat()
                self.drain()
            time.sleep(max(0.0002, due - time.monotonic()))

    def stop(self):
        self.stopping = True
        self.join(30)

# SPDX-License-Identifier: Apache-2.0
"""The handle of a worker.py process."""
import errno
import json
import os
import socket
import subprocess
import sys

WORKER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "worker.py")
ANSWER_S = 90
BUFFER = 4 << 20
SO_SNDBUFFORCE = 32


class Worker:
    """worker.method(...) runs Operations.method of worker.py there. What fails there raises OSError here."""

    def __init__(self, cgroup=None, netns=None, uid=None, caps=(), comm=None, files=None):
        mine, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        for end in (mine, theirs):  # a whole tally is one message
            end.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, BUFFER)
        wanted = {"control": theirs.fileno(), "netns": netns, "uid": uid, "caps": list(caps), "comm": comm,
                  "files": files}
        fds = [theirs.fileno()]
        procs = -1
        if cgroup:
            procs = os.open(os.path.join(cgroup, "cgroup.procs"), os.O_WRONLY | os.O_CLOEXEC)
            wanted["procs"] = procs
            fds.append(procs)
        try:
            self.process = subprocess.Popen(
                [sys.executable, "-I", "-S", WORKER, json.dumps(wanted)],
                pass_fds=fds, stdin=subprocess.DEVNULL,
            )
        finally:
            theirs.close()
            if procs >= 0:
                os.close(procs)
        self.control = mine
        self.control.settimeout(ANSWER_S)
        self.pid = self.process.pid
        self.receive("start")

    def receive(self, what):
        data, fds, _, _ = socket.recv_fds(self.control, 1 << 20, 4)
        if not data:
            raise RuntimeError(f"the worker ended at {what}: exit status {self.process.wait(10)}")
        reply = json.loads(data)
        if "bug" in reply:
            raise RuntimeError(f"{what}: {reply['bug']}")
        if "errno" in reply:
            raise OSError(reply["errno"], f"{what}: {reply['text']}")
        return fds[0] if fds else reply["value"]

    def call(self, op, args, kw, fds=()):
        message = json.dumps({"op": op, "args": args, "kw": kw}).encode()
        if fds:
            socket.send_fds(self.control, [message], fds)
        else:
            self.control.send(message)
        return self.receive(op)

    def __getattr__(self, op):
        if op.startswith("_"):
            raise AttributeError(op)
        return lambda *args, **kw: self.call(op, args, kw)

    def fails(self, op, *args, **kw):
        """The name of the errno, or None if it works."""
        try:
            self.call(op, args, kw)
        except OSError as error:
            return errno.errorcode.get(error.errno, str(error.errno))
        return None

    def hand(self, name, sock):
        """Gives it our socket, under that name there."""
        self.call("take", [name], {"family": sock.family.name, "kind": sock.type.name}, [sock.fileno()])

    def lend(self, name):
        """Their socket, in this process."""
        return socket.socket(fileno=self.call("give", [name], {}))

    def stop(self):
        self.control.close()
        try:
            self.process.wait(2)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)

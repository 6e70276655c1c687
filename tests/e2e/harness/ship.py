# SPDX-License-Identifier: Apache-2.0
"""egret-ship by hand: a spool made here, and the program without an agent."""
import json
import os
import signal
import struct
import subprocess
import zlib

from .agent import BUILD
from .wait import eventually

EGRET_SHIP = os.path.join(BUILD, "egret-ship")
EPOCH = 1


def frame(number, text, kind=1, epoch=EPOCH):
    """One record: see agent/lib/spool_frame.h."""
    head = struct.pack("<4sIQB3x", b"\xffEG1", len(text), number, kind)
    return head + struct.pack("<I", zlib.crc32(struct.pack("<Q", epoch) + head + text)) + text


def event(number, **members):
    """A denial, unless told otherwise; as the agent writes it."""
    second = number // 1000
    return {
        "schema": 1, "ts": f"2026-01-01T{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}.{number % 1000:03}000000Z",
        "type": "deny", "event_id": f"h-{EPOCH}-{number}", "host": "h", "app": "web", "seq": number, "verdict": "deny",
        "reason": "no_rule", **members,
    }


def flow(number, **members):
    """Of a hundred an app, to one of ten destinations."""
    return event(number, type="flow", verdict="allow", reason=None, direction="egress", proto="tcp", phase="end",
                 dst=f"10.0.0.{number % 10}", dst_port=443, flow_id=f"1-1-{number}", bytes_out=number, bytes_in=2 * number,
                 packets_out=1, packets_in=2, **members)


class Ship:
    """With its directories below `directory`, which others may enter."""

    def __init__(self, directory, sinks):
        self.log_dir, self.state_dir = os.path.join(directory, "log"), os.path.join(directory, "state")
        self.config, self.said = os.path.join(directory, "ship.json"), os.path.join(directory, "ship.log")
        for path in (self.log_dir, self.state_dir):
            os.makedirs(path)
        self.configure(sinks)
        self.next, self.process = 1, None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process and self.process.poll() is None:
            self.kill()

    def configure(self, sinks):
        with open(self.config, "w", encoding="utf-8") as out:
            json.dump({"log_dir": self.log_dir, "state_dir": self.state_dir, "ship_user": "nobody", "host": "h",
                       "sinks": sinks}, out)

    def add(self, events):
        """A segment with these."""
        path = os.path.join(self.log_dir, f"events-{EPOCH:010}-{self.next:012}.spool")
        with open(path + ".new", "wb") as out:
            for one in events:
                text = json.dumps({key: value for key, value in one.items() if value is not None}, separators=(",", ":"))
                out.write(frame(self.next, text.encode() + b"\n"))
                self.next += 1
        os.chmod(path + ".new", 0o644)
        os.rename(path + ".new", path)

    def start(self, **popen):
        with open(self.said, "ab") as log:
            self.process = subprocess.Popen([EGRET_SHIP, "--config", self.config], stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, **popen)
        return self

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self, within=5):
        self.process.terminate()
        status = self.process.wait(within)
        assert status in (0, -signal.SIGTERM), (status, self.words())  # the latter: it had hardly begun

    def words(self):
        with open(self.said, encoding="utf-8", errors="replace") as log:
            return log.read()

    def cursor(self, name="hook"):
        """As stored: what it says by name."""
        with open(os.path.join(self.state_dir, "ship", f"{name}.cursor"), encoding="utf-8") as line:
            numbers = [int(word) for word in line.read().split()[1:-1]]
        names = ("epoch", "n", "window_epoch", "window", "close_epoch", "close", "closing", "rolled", "held", "delivered",
                 "filtered", "dead_lettered", "evicted")
        return dict(zip(names, numbers))

    def settled(self, name="hook"):
        """Waits until the stored cursor has come to the end."""

        def look():
            if self.process.poll() is not None:
                raise RuntimeError(f"egret-ship ended with {self.process.returncode}: {self.words()}")
            try:
                cursor = self.cursor(name)
            except FileNotFoundError:
                return None
            return cursor["n"] >= self.next and not cursor["held"] and cursor

        try:
            return eventually(look, 120, "the end of the spool")
        except AssertionError as failure:
            raise AssertionError(f"{name}: {failure}; egret-ship says: {self.words()}") from failure

    def memory(self, which="VmHWM"):
        """In MiB."""
        with open(f"/proc/{self.process.pid}/status", encoding="utf-8") as text:
            return next(int(line.split()[1]) for line in text if line.startswith(which)) / 1024

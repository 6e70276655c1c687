# SPDX-License-Identifier: Apache-2.0
"""One protocol of egret-ship by itself (tests/unit/ship_driver.c), and batches for it."""
import itertools
import json
import os
import select
import signal
import subprocess

from .agent import BUILD

DRIVER = os.path.join(BUILD, "tests", "ship_driver")
ANSWER_S = 60
numbers = itertools.count(1)


def event(size=0, **more):
    """An item as the engine would hand it over; of about `size` bytes."""
    number = next(numbers)
    ident = f"host-1-{number}"
    text = {"event_id": ident, "type": "deny", "app": "app-a", "n": number, **more}
    if size:
        text["comm"] = "x" * size
    return {"id": ident, "type": "deny", "app": "app-a", "host": "host", "severity": 4,
            "ts_ns": 1795608000000000000 + number * 1000, "text": json.dumps(text, separators=(",", ":"))}


def events(count, size=0, **more):
    return [event(size, **more) for _ in range(count)]


def ids(*batches):
    return [item["id"] for batch in batches for item in batch]


class Driver:
    """A running sink; `refused` is why it could not be opened. ca, cert and key are used with tls:// only."""

    def __init__(self, protocol, netns=None, ca=None, cert=None, key=None, timeout=30, **config):
        argv = ["ip", "netns", "exec", netns] if netns else []
        whole = {"name": "driver", "type": protocol, **config}
        if protocol == "syslog":
            whole["timeout"] = f"{timeout}s"
        if config.get("url", "").startswith("tls:"):
            whole["tls"] = {k: v for k, v in (("ca", ca), ("cert", cert), ("key", key)) if v}
        # A proxy that the environment names must not be asked.
        env = {**os.environ, "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1",
               "ALL_PROXY": "http://127.0.0.1:1"}
        self.process = subprocess.Popen([*argv, DRIVER, json.dumps(whole)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)
        self.refused = self.answer().get("refused")

    def begin(self, batch):
        self.process.stdin.write(json.dumps(batch).encode() + b"\n")
        self.process.stdin.flush()

    def answer(self):
        ready, _, _ = select.select([self.process.stdout], [], [], ANSWER_S)
        assert ready, "the driver does not answer"
        line = self.process.stdout.readline()
        assert line, f"the driver ended: {self.process.wait(10)} {self.process.stderr.read()}"
        return json.loads(line)

    def send(self, batch):
        self.begin(batch)
        return self.answer()

    def deliver(self, batch):
        result = self.send(batch)
        assert result["outcome"] == "delivered" and result["error"] == "", result

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def kill(self):
        self.process.kill()
        self.close(-signal.SIGKILL)

    def close(self, expected=0):
        self.process.stdin.close()
        try:
            status = self.process.wait(20)
            assert status == expected, f"the driver's exit status is {status}: {self.process.stderr.read()}"
        finally:
            if self.process.returncode is None:
                self.process.kill()
                self.process.wait(10)
            self.process.stdout.close()
            self.process.stderr.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if not self.process.stdin.closed:
            self.close(1 if self.refused else 0)

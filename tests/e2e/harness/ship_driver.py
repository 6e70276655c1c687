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
    def __init__(self, protocol, netns=None, **config):
        argv = ["ip", "netns", "exec", netns] if netns else []
        # A proxy that the environment names must not be asked.
        env = {**os.environ, "http_proxy": "http://127.0.0.1:1", "https_proxy": "http://127.0.0.1:1",
               "ALL_PROXY": "http://127.0.0.1:1"}
        self.process = subprocess.Popen([*argv, DRIVER, protocol, json.dumps(config)], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env)

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
        self.close()

    def close(self):
        self.process.stdin.close()
        try:
            status = self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
            raise
        finally:
            self.process.stdout.close()
            self.process.stderr.close()
        return status

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.returncode is None:
            self.close()

# SPDX-License-Identifier: Apache-2.0
"""A handle of build/tests/ship_driver: one HTTP sink of egret-ship, and what the engine does with its answers."""
import json
import os
import signal
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))
BUILD = os.path.join(ROOT, os.environ.get("BUILD", "build"))
FIRST_NS = 1764105634123456789  # in November 2025


def event(number, **members):
    """An item with a native event in it."""
    name = f"host-1-{number}"
    base = {"ts": "2025-11-25T21:20:34.123456789Z", "type": "deny", "event_id": name, "host": "h1", "app": "hr",
            "pid": number, "bytes_out": 2**53 + number, "rtt_ms": 0.5, "labels": {"team": "hr"}, "tags": ["a", 1, None],
            "final": True}
    base.update(members)
    return {"id": name, "type": base["type"], "app": base["app"], "host": base["host"], "ts_ns": FIRST_NS + number,
            "severity": 4, "event": base}


class Refused(Exception):
    """The sink did not open."""


class Sink:
    """prefix: of the command, such as one that makes a namespace."""

    def __init__(self, receiver, directory, environment=None, prefix=(), **config):
        token = os.path.join(directory, "token")
        if not os.path.exists(token):
            with open(token, "w", encoding="ascii") as out:
                out.write("11111111-2222-3333-4444-555555555555\n")
        whole = {"name": "soc", "type": receiver.kind, "url": receiver.url, "timeout": "5s"} | config
        if "username" not in whole:
            whole = {"token_file": token} | whole
        self.token = token
        self.process = subprocess.Popen([*prefix, os.path.join(BUILD, "tests", "ship_driver"), json.dumps(whole)],
                                        text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        env=os.environ | (environment or {}))
        first = json.loads(self.process.stdout.readline())
        if "refused" in first:
            self.stop()
            raise Refused(first["refused"])

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        status = self.stop()
        assert kind or status == 0, f"ship_driver ended with {status}"

    def begin(self, items):
        self.process.stdin.write(json.dumps(items) + "\n")
        self.process.stdin.flush()

    def end(self):
        return json.loads(self.process.stdout.readline())

    def send(self, items):
        self.begin(items)
        return self.end()

    def terminate(self):
        self.process.send_signal(signal.SIGTERM)

    def stop(self):
        """Its exit status; it ends by itself, at the end of its input. May be called again."""
        self.process.stdin.close()
        try:
            return self.process.wait(20)
        finally:
            self.process.kill()
            self.process.stdout.close()


class Delivery:
    """As the engine: again what is to be tried again, halves of what is to be split, poison put aside."""

    def __init__(self, sink, items, tries=400):
        self.results, self.dead = [], []
        todo = [items]
        while todo:
            batch = todo.pop(0)
            assert len(self.results) < tries, self.results[-3:]
            result = sink.send(batch)
            self.results.append(result)
            todo = self.left(batch, result) + todo

    def left(self, batch, result):
        if result["items"]:
            self.dead += [item["id"] for item, one in zip(batch, result["items"]) if one == "split"]
            again = [item for item, one in zip(batch, result["items"]) if one in ("retry", "pause")]
            return [again] if again else []
        if result["outcome"] == "delivered":
            return []
        if result["outcome"] != "split":
            return [batch]
        if len(batch) == 1:
            self.dead.append(batch[0]["id"])
            return []
        half = len(batch) // 2
        return [batch[:half], batch[half:]]

    def outcomes(self):
        return [one["outcome"] for one in self.results]

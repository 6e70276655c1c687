# SPDX-License-Identifier: Apache-2.0
"""Alerts by their own routes: at once, signed, beside a log that can't be written and sinks that stand still."""
import hashlib
import hmac
import json
import os
import signal
import socket
import time

import pytest

from harness import ALLOWED, DENIED, eventually, holds, policy, rule
from harness.http_faults import black_hole, says
from harness.http_receivers import Receiver, Webhook, need

KEY = "the-key-that-both-know"
USER = "nobody"
UID = 20700


class Pager(Receiver):
    """Checks the signature, and keeps events in the order they came."""

    kind, content_type = "webhook", "application/json"

    def __init__(self, *args, key=None, **kw):
        self.key, self.events, self.paths = key, [], []
        super().__init__(*args, **kw)

    def check(self, handler):
        need(handler.headers["Content-Type"] == self.content_type, "content type")

    def take(self, handler, body):
        event = json.loads(body)
        need(handler.headers["Idempotency-Key"] == event["event_id"], "the key is the id")
        if self.key:
            need(signed(handler.headers["X-Egret-Signature"], self.key, body), "signature")
        else:
            need("X-Egret-Signature" not in handler.headers, "no signature")
        self.keep([event["event_id"]])
        self.events.append(event)
        self.paths.append(handler.path)
        return 202, {}, b"ok"

    def of(self, **wanted):
        with self.lock:
            return [event for event in self.events if wanted.items() <= event.items()]


def signed(header, key, body):
    """As a receiver has to look at it."""
    parts = dict(part.split("=", 1) for part in header.split(","))
    want = hmac.new(key.encode(), parts["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(want, parts["v1"]) and abs(time.time() - int(parts["t"])) < 60


def hook(name, receiver, path="/", **more):
    return {"name": name, "type": "webhook", "url": receiver.url + path, "timeout": "2s", **more}


def route(agent, name):
    return next((one for one in agent.get("/v1/sinks")["routes"] if one["name"] == name), {"state": None})


def metric(agent, name, **labels):
    text = ",".join(f'{key}="{value}"' for key, value in labels.items())
    line = next(line for line in agent.get("/metrics").splitlines() if line.startswith(f"{name}{{{text}}} "))
    return float(line.split()[-1])


def begin(host, routes, sinks=()):
    agent = host.agent
    agent.configure(ship_user=USER, sinks=list(sinks), routes=list(routes))
    agent.start()
    for one in routes:
        eventually(lambda one=one: route(agent, one["name"])["state"] == "ok", what=one["name"])
    host.serve([ALLOWED], 443)
    return agent


@pytest.fixture
def key_file(bare_host):
    path = os.path.join(bare_host.directory, "hmac.key")
    with open(path, "w", encoding="ascii") as out:
        out.write(KEY + "\n")
    os.chmod(path, 0o644)
    return path


@pytest.fixture
def soc():
    with Pager(key=KEY) as pager:
        yield pager


@pytest.fixture
def others():
    with Pager() as pager:
        yield pager


def test_with_the_disk_full_and_every_sink_stalled(bare_host, key_file, soc, others):
    host = bare_host
    disk = host.small_disk(host.agent.log_dir)
    inbox = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    inbox.bind(("127.0.0.1", 0))
    inbox.settimeout(10)
    with inbox, Webhook([black_hole] * 100) as stalled:
        agent = begin(host, [
            hook("soc", soc, "/alerts?app={app}", hmac_key_file=key_file),
            hook("owners", others, "/to/{owner}", types=["kill"], labels="env=prod"),
            {"name": "pager", "type": "syslog", "url": f"udp://127.0.0.1:{inbox.getsockname()[1]}", "types": ["kill"]},
        ], [{"name": "stalled", "type": "webhook", "url": stalled.url, "timeout": "60s", "batch": {"wait": "100ms"}}])
        app = host.app(policy("web", [rule(ALLOWED, 443)], owner="hr/tools@example.com", labels={"env": "prod"}), uid=UID)
        dev = host.app(policy("dev", [rule(ALLOWED, 443)], owner="dev@example.com"))
        app.connect("c", ALLOWED, 443)
        dev.connect("c", ALLOWED, 443)
        eventually(lambda: len(stalled.faults) < 100, what="a sink that waits")
        disk.fill()
        app.flood_udp("d", ALLOWED, 9, count=3000)
        eventually(lambda: not app.flood_running("d"))
        eventually(lambda: any("events" in alarm for alarm in agent.status()["alarms"]), what="a full disk")
        agent.kill("web", reason="data theft", ticket="INC-7")
        agent.kill("dev")
        (kill,) = eventually(lambda: soc.of(type="kill", app="web"), what="the kill at the SOC")
        assert (kill["owner"], kill["ticket"], kill["labels"]) == ("hr/tools@example.com", "INC-7", {"env": "prod"})
        assert (kill["layer"], kill["cause"]) == ("local", "data theft") and "uid=0" in kill["actor"]
        assert kill["cgroups"] == [host.cgroup_of("web")] and kill["uids"] == [UID]
        eventually(lambda: soc.of(type="kill", app="dev"))
        eventually(lambda: others.of(app="web"))
        assert others.paths == ["/to/hr%2Ftools%40example.com"] and "/alerts?app=web" in soc.paths
        message = inbox.recv(65536).decode()
        assert "egret" in message and json.loads(message[message.index("{") :])["event_id"] == kill["event_id"]
        agent.restore("web")
        eventually(lambda: soc.of(type="restore", app="web"), what="the restore")
        holds(lambda: not others.of(app="dev"), 0.3, "its labels are others")
        assert agent.status()["alarms"] and not stalled.stored  # all of that while neither moved
        one = eventually(lambda: route(agent, "owners")["filtered"] and route(agent, "owners"))
        assert (one["delivered"], one["filtered"], one["queued"], one["dropped"]) == (1, 1, 0, 0)
        assert metric(agent, "egret_route_delivered_total", route="owners") == 1
        assert not soc.complaints + others.complaints and set(soc.stored.values()) == {1}
        status, out, _ = agent.cli("sinks")
        assert status == 0 and "ROUTE" in out and "owners" in out
        status, out, _ = agent.cli("sinks", "test", "soc")
        assert status == 0 and "delivered" in out
        disk.free()
        logged = agent.event(type="kill", app="web")  # and in the log as well, once it can be
        assert logged["event_id"] != kill["event_id"] and logged["ts"] == kill["ts"]


def test_a_killed_ship_loses_none(bare_host, key_file, soc):
    agent = begin(bare_host, [hook("soc", soc, hmac_key_file=key_file)])
    names = [f"app-{number}" for number in range(20)]
    for name in names:
        agent.put(policy(name, [rule(ALLOWED, 443)]))
    soc.faults = [says(503)] * 10_000
    for name in names:
        agent.kill(name)
    eventually(lambda: route(agent, "soc")["state"] == "retrying" and route(agent, "soc")["queued"] == 20)
    assert any("route soc is retrying" in alarm for alarm in agent.status()["alarms"])
    pid = agent.get("/v1/sinks")["pid"]
    os.kill(pid, signal.SIGKILL)
    eventually(lambda: agent.get("/v1/sinks")["pid"] not in (0, pid), what="another egret-ship")
    with soc.lock:
        soc.faults = []
    eventually(lambda: len(soc.stored) == 20, 60, "all of them")
    eventually(lambda: route(agent, "soc")["queued"] == 0)
    assert [event["app"] for event in soc.events] == names and not soc.complaints
    assert set(soc.stored.values()) == {1} and route(agent, "soc")["dropped"] == 0


def test_what_the_kernel_ends_and_what_a_receiver_refuses(bare_host, soc, others, key_file):
    """An expiry, a cap's kill; one alert is refused, and holds up no other; another key is read without a restart."""
    host = bare_host
    agent = begin(host, [hook("soc", soc, hmac_key_file=key_file, types=["expire", "kill", "cap"])])
    soon = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 5))
    late = host.app(policy("late", [rule(ALLOWED, 443)], expires=soon))
    soc.faults = [says(400)]
    agent.kill("nobody")
    eventually(lambda: route(agent, "soc")["refused"] == 1, what="a refusal")
    assert "was refused" in route(agent, "soc")["last_error"]
    soc.key = "another-key"
    with open(key_file, "w", encoding="ascii") as out:
        out.write("another-key")
    app = host.app(policy("capped", [rule(ALLOWED, 443)],
                          limits={"egress": {"bytes": "10kB", "per": "1h", "action": "kill"}}))
    app.connect("c", ALLOWED, 443)
    app.push("c", 50_000)
    (kill,) = eventually(lambda: soc.of(type="kill", app="capped"), what="the cap's kill")
    assert kill["layer"] == "auto" and "cap" in kill["cause"]
    eventually(lambda: agent.app("late")["state"] == "expired")
    assert late.fails("connect", "e", ALLOWED, 443) == "EPERM"
    (expiry,) = eventually(lambda: soc.of(type="expire", app="late"), what="the expiry")
    assert expiry["owner"] and expiry["policy_rev"]
    assert len(soc.of(type="kill", app="capped")) == 1 and not soc.complaints
    agent.configure(routes=[hook("other", others, types=["kill"])])
    agent.reload()
    eventually(lambda: route(agent, "other")["state"] == "ok")
    agent.kill("late")
    eventually(lambda: others.of(type="kill", app="late"))
    assert not soc.of(type="kill", app="late")


def test_networks_with_a_name(bare_host, soc, key_file):
    """On events, in explain, and alerts on them, which wait for no disk."""
    host, agent = bare_host, bare_host.agent
    disk = host.small_disk(agent.log_dir)
    region = {"when": "network", "region": "eu-1", "over": "2/min", "action": "alert"}
    agent.configure(networks={"eu-db": {"cidrs": [f"{ALLOWED}/32"], "region": "eu-1", "owner": "dba@example.com"}})
    begin(host, [hook("soc", soc, hmac_key_file=key_file)])
    app = host.app(policy("web", [rule(ALLOWED, 443)], alerts=[region]))
    eventually(lambda: agent.app("web")["alerts"], what="the first round")
    app.connect("a", ALLOWED, 443)
    start = agent.event(type="flow", app="web", phase="start")
    assert start["network"] == {"name": "eu-db", "region": "eu-1"}
    assert app.fails("connect", "d", ALLOWED, 9) == "EPERM"
    assert agent.event(type="deny", app="web")["network"] == {"name": "eu-db", "region": "eu-1"}
    assert agent.explain("web", f"{ALLOWED}:443")["network"]["owner"] == "dba@example.com"
    _, out, _ = agent.cli("explain", "web", f"{ALLOWED}:443")
    assert "eu-db, region eu-1" in out
    disk.fill()
    app.flood_udp("f", DENIED, 9, count=3000)
    eventually(lambda: not app.flood_running("f"))
    eventually(lambda: agent.status()["events"]["failing"], what="a full disk")
    app.connect("b", ALLOWED, 443)
    holds(lambda: not soc.of(type="alert", app="web"), 1.2, "two are not over two")
    app.connect("c", ALLOWED, 443)
    (told,) = eventually(lambda: soc.of(type="alert", app="web"), what="the alert")
    assert (told["alert"], told["to_region"], told["value"], told["over"]) == ("network", "eu-1", 3, 2)
    assert agent.status()["events"]["failing"] and "\negret_alert_flows_missed_total 0\n" in agent.get("/metrics")
    assert agent.app("web")["alerts"][0]["firing"]
    agent.configure(networks={}, alerts=[{**region, "region": "us-1"}])
    agent.reload()
    eventually(lambda: 'is about "us-1", which is not among "networks"' in agent.stderr())
    agent.configure(alerts=None)
    agent.reload()
    eventually(lambda: agent.explain("web", f"{ALLOWED}:443")["network"] is None)

# SPDX-License-Identifier: Apache-2.0
"""What a real agent tells, in the words of ECS and OCSF: checked by rules that know nothing of the code.

One agent makes events of every type it has; `render` puts them into the schemas as egret-ship does.
"""
import base64
import hashlib
import ipaddress
import json
import os
import struct
import subprocess

import pytest

from harness import ALLOWED, ALLOWED6, APP, DENIED, Host, cgroup, eventually, in_seconds, policy, rule, schemas, source
from harness.agent import BUILD
from harness.names import begin, named
from harness.net import ROUTER

RENDER = os.path.join(BUILD, "tests/render")
LABELS = {"team": "hr", "env": "prod"}
TYPES = {"flow", "deny", "cap", "rate", "kill", "restore", "expire", "policy", "dns", "alert", "agent", "suppressed"}
CHECKS = {"ecs": schemas.ecs, "ocsf": schemas.ocsf}


def make_flows(host, app):
    for name, address in (("v4", ALLOWED), ("v6", ALLOWED6)):
        app.connect(name, address, 443)
        assert app.ask(name) == "ping"
        app.close(name)
    app.sendto("u", ALLOWED, 443)
    app.ping(ALLOWED)
    app.ping(ALLOWED6)
    assert app.fails("connect", "no", DENIED, 443) == "EPERM"
    assert app.fails("sendto", "nu", DENIED, 53) == "EPERM"
    app.listen("l", "0.0.0.0", 8080)
    assert app.fails("listen", "no-l", "0.0.0.0", 8081) == "EPERM"
    host.server.connect("in", APP, 8080)
    host.server.close("in")


def make_names(host):
    app = host.app(named("names", ["api.example", "*.wild.example"], labels=LABELS))
    assert app.dns_ask(ROUTER, "api.example")["addresses"]
    assert app.dns_ask(ROUTER, "api.example", "AAAA")["addresses"]
    assert app.fails("dns_ask", ROUTER, "secret.example") == "EPERM"
    app.connect("c", "198.51.100.1", 443)
    app.close("c")


def make_limits(host):
    cap = {"egress": {"bytes": "100000B", "per": "31d", "action": "drop"}}
    app = host.app(policy("cap", [rule(ALLOWED, 4443, "udp")], limits=cap))
    app.burst("u", ALLOWED, 4443, 972, 120)
    kill = {"egress": {"bytes": "20000B", "per": "31d", "action": "kill"}}
    host.app(policy("autokill", [rule(ALLOWED, 4443, "udp")], limits=kill)).burst("u", ALLOWED, 4443, 972, 40)
    app = host.app(policy("slow", [rule(ALLOWED, 4443, "udp")], limits={"egress_rate": "1Mbit/s"}))
    app.burst("u", ALLOWED, 4443, 972, 300)


def make_noise(host):
    alert = {"when": "denied", "over": "5/10s", "action": "alert"}
    app = host.app(policy("noisy", [rule(ALLOWED, 443)], alerts=[alert]))
    for _ in range(400):
        app.fails("connect", "d", DENIED, 443)


def act(host, agent):
    """What people do."""
    agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web"), labels=LABELS))
    agent.kill("web", reason="drill", ticket="T-1")
    agent.restore("web", reason="drill over")
    agent.api("POST", "/v1/kill", {"all": True, "reason": "all of them"})
    agent.api("POST", "/v1/restore", {"reason": "and back"})
    agent.api("POST", "/v1/apps/web/relax", {"for": "1m", "reason": "drill"})
    agent.api("POST", "/v1/apps/web/relax", {"for": "0", "reason": "over"})
    cgroup.make(host.cgroup_of("late"))
    agent.tag(host.cgroup_of("late"), "web")
    agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web"), mode="audit"))
    agent.reload()
    agent.event(type="agent", action="reload")


@pytest.fixture(scope="module")
def events():
    """Of every type, as they are on disk."""
    with Host(events={"ring": "4MiB", "priority_ring": "1MiB", "rate": "20/s", "burst": 200},
              host_labels={"region": "eu-1"}) as host:
        agent = host.agent
        agent.start()
        begin(host)
        host.serve([ALLOWED], 4443, ["udp"], mode="sink")
        host.app(policy("old", [rule(ALLOWED, 443)], expires=in_seconds(4)))
        app = host.app(policy("web", [
            rule([ALLOWED, ALLOWED6], [443], id="web"), rule([ALLOWED, ALLOWED6], [443], "udp", id="udp"),
            rule([ALLOWED, ALLOWED6], proto="icmp"),
        ], ingress=[source(["0.0.0.0/0"], 8080, id="gw")], labels=LABELS))
        make_flows(host, app)
        make_names(host)
        make_limits(host)
        make_noise(host)
        act(host, agent)
        audited = host.app(policy("audited", [rule(ALLOWED, 443)], mode="audit"))
        audited.sendto("u", DENIED, 443)
        agent.api("DELETE", "/v1/policies/audited")
        eventually(lambda: agent.app("old")["state"] == "expired", 20)
        agent.event(type="expire", app="old")
        agent.event(type="policy", action="delete")
        agent.event(type="suppressed", app="noisy")
        agent.event(type="alert", app="noisy", alert="denied")
        agent.stop()
        yield agent.log()


def render(schema, events):
    done = subprocess.run(
        [RENDER, schema], input="".join(json.dumps(event) + "\n" for event in events), capture_output=True, text=True,
        timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_there_are_events_of_every_type(events):
    assert TYPES <= {event["type"] for event in events}, sorted({event["type"] for event in events})
    wanted = {
        ("flow", "start"), ("flow", "end"), ("dns", "learned"), ("dns", "refused"), ("policy", "apply"),
        ("policy", "delete"), ("alert", "relax"), ("alert", "relax_end"), ("agent", "start"), ("agent", "stop"),
        ("agent", "reload"), ("agent", "tag")}
    assert wanted <= {(event["type"], event.get("phase") or event.get("action")) for event in events}
    assert {"allow", "audit", "deny", None} <= {event.get("verdict") for event in events}
    assert {"tcp", "udp", "icmp", "icmpv6"} <= {event.get("proto") for event in events if event["type"] == "flow"}
    assert {80, 100} <= {event.get("percent") for event in events if event["type"] == "cap"}
    assert {"ingress", "egress"} <= {event.get("direction") for event in events if event["type"] == "flow"}
    assert {"local", "auto"} <= {event.get("layer") for event in events if event["type"] == "kill"}


@pytest.mark.parametrize("schema", CHECKS)
def test_every_event_keeps_the_rules(events, schema):
    rendered = render(schema, events)
    assert len(rendered) == len(events) > 100
    for event, made in zip(events, rendered):
        wrong = CHECKS[schema](made) + [f"lost: {each}" for each in schemas.kept(event, made)]
        assert not wrong, (wrong, event, made)


def test_egret_is_what_it_was(events):
    assert render("egret", events) == events


def test_ids_and_order_are_the_same_everywhere(events):
    ecs, ocsf = render("ecs", events), render("ocsf", events)
    assert [one["event"]["id"] for one in ecs] == [one["metadata"]["uid"] for one in ocsf] == [
        event["event_id"] for event in events]
    numbers = [one["event"]["sequence"] for one in ecs]
    assert numbers == [one["metadata"]["sequence"] for one in ocsf] == sorted(numbers)


def test_classes(events):
    """The table of the documentation, by type."""
    classes = {}
    for event, made in zip(events, render("ocsf", events)):
        classes.setdefault(event["type"], set()).add(made["class_uid"])
    assert classes["flow"] == classes["deny"] == classes["cap"] == classes["rate"] == {4001}
    assert classes["kill"] == classes["restore"] == classes["expire"] == {6002}
    assert (classes["policy"], classes["dns"], classes["alert"]) == ({3004}, {4003}, {2004})
    assert classes["suppressed"] == {6008}


# ---- Community ID, from the specification ---------------------------------------------------------------------

PAIRS = {1: {8: 0, 0: 8, 13: 14, 14: 13, 15: 16, 16: 15, 10: 9, 17: 18, 18: 17},
         58: {128: 129, 129: 128, 133: 134, 134: 133, 135: 136, 136: 135, 130: 131, 131: 130, 139: 140, 140: 139,
              144: 145, 145: 144}}


def community_id(event):
    proto = {"tcp": 6, "udp": 17, "icmp": 1, "icmpv6": 58}[event["proto"]]
    ends = [[ipaddress.ip_address(event[end]).packed, event.get(f"{end}_port")] for end in ("src", "dst")]
    ordered = True
    if proto in PAIRS:
        answer = PAIRS[proto].get(event["icmp_type"])
        ends[0][1], ends[1][1] = event["icmp_type"], event["icmp_code"] if answer is None else answer
        ordered = answer is not None
    if ordered:
        ends.sort()
    data = struct.pack("!H", 0) + ends[0][0] + ends[1][0] + struct.pack("!BB", proto, 0)
    data += struct.pack("!HH", ends[0][1], ends[1][1])
    return "1:" + base64.b64encode(hashlib.sha1(data).digest()).decode()


def test_community_ids(events):
    whole = [event for event in events if {"src", "dst", "proto"} <= set(event)
             and ({"src_port", "dst_port"} <= set(event) or "icmp_type" in event)]
    assert {"tcp", "udp", "icmp", "icmpv6"} <= {event["proto"] for event in whole}
    for event, facts, ecs in zip(whole, render("facts", whole), render("ecs", whole)):
        assert facts["community_id"] == ecs["network"]["community_id"] == community_id(event), event


def test_severity(events):
    for event, facts in zip(events, render("facts", events)):
        expected = {
            "kill": {1}, "deny": {4, 5}, "flow": {6}, "policy": {5}, "restore": {5}, "expire": {4}, "cap": {4, 5}}
        assert facts["severity"] in expected.get(event["type"], {1, 4, 5, 6}), event


# ---- The rules themselves -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("path, value", [
    ("event.kind", "happening"), ("event.category", ["netting"]), ("event.type", ["creation"]),
    ("event.outcome", "ok"), ("source.port", "443"), ("source.ip", "localhost"), ("network.bytes", 1),
    ("process.pid", "7"), ("user.id", 7), ("event.duration", 1.5), ("ecs.version", "8.0"), ("network.made_up", 1),
    ("@timestamp", 1795640400), ("host.name", None),
])
def test_the_rules_of_ecs_find_faults(events, path, value):
    assert finds("ecs", events, path, value)


@pytest.mark.parametrize("path, value", [
    ("class_uid", 4002), ("type_uid", 400199), ("activity_name", "Opened"), ("severity_id", 9), ("severity", "low"),
    ("time", 1795640400), ("time", 1795640400123456789), ("start_time", "2026-11-25T21:00:00Z"), ("action_id", 2),
    ("disposition_id", 6), ("src_endpoint.port", 65536), ("traffic.bytes", 1), ("connection_info.direction_id", None),
    ("device.type_id", None), ("metadata.product.name", None), ("metadata.profiles", ["cloud"]), ("made_up", 1),
    ("actor.user.uid", 7),
])
def test_the_rules_of_ocsf_find_faults(events, path, value):
    assert finds("ocsf", events, path, value)


def finds(schema, events, path, value):
    """Whether the rules find it when one member of a good flow's end is made wrong; None: it is taken away."""
    flow = next(event for event in events if event.get("phase") == "end" and event.get("rule") == "web")
    (made,) = render(schema, [flow])
    assert CHECKS[schema](made) == []
    *way, last = path.split(".")
    at = made
    for name in way:
        at = at.setdefault(name, {})
    if value is None:
        del at[last]
    else:
        at[last] = value
    return CHECKS[schema](made)

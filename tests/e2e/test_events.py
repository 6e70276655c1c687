# SPDX-License-Identifier: Apache-2.0
"""The log: complete, in order, and it adds up."""
import json
import os
import re
import signal
import threading

import pytest

from harness import ALLOWED, ALLOWED6, APP, DENIED, OTHER, eventually, policy, rule, source
from harness.agent import UnixConnection
from harness.events import flow_sums, segments
from harness.preload import SlowDisk

SUMS = ("bytes_out", "bytes_in", "packets_out", "packets_in")
PLENTY = {"rate": "1000000/s", "burst": 1000000, "ring": "4MiB", "priority_ring": "1MiB"}


@pytest.fixture
def config():
    return {"events": PLENTY}


@pytest.fixture
def servers(host):
    host.serve([ALLOWED, ALLOWED6, OTHER], 443)
    host.serve([ALLOWED], 4443, ["tcp", "udp"], "sink")


@pytest.fixture
def web(host, servers):
    return host.app(policy("web", [
        rule([ALLOWED, ALLOWED6, OTHER], [443, 4443]), rule([ALLOWED, ALLOWED6, OTHER], [443, 4443], "udp"),
        rule(ALLOWED, proto="icmp"),
    ], labels={"team": "hr"}, catalog_id="cat-7", request_id="req-9", log="full"))


def counters(agent, app):
    counted = agent.app(app)
    return {key: counted[key] for key in SUMS}


def add_up(agent, app="web"):
    """Once its sockets are closed: the log tells what the kernel counted."""

    def look():
        told, counted = flow_sums(agent.log(), app), counters(agent, app)
        assert told == counted, f"the log tells {told}, the kernel counted {counted}"
        return True

    eventually(look, what=f"that the log of {app} adds up")


# ---- What an event says ------------------------------------------------------------------------------------


def test_members_of_flow_events(host, agent, web):
    port = web.connect("c", ALLOWED, 443)
    web.ask("c", "hello")
    start = agent.event(type="flow", phase="start", app="web")
    web.close("c")
    end = agent.event(type="flow", phase="end", app="web")
    for event in (start, end):
        assert event["schema"] == 1 and event["host"] == "test-host"
        assert (event["owner"], event["ticket"], event["labels"]) == ("owner@example.com", "SEC-1", {"team": "hr"})
        assert (event["catalog_id"], event["request_id"], event["log"]) == ("cat-7", "req-9", "full")
        assert event["cgroup"].endswith(host.cgroup_of("web"))
        assert (event["pid"], event["comm"]) == (web.pid, "testapp") and event["uid"] >= 20000
        assert (event["src"], event["src_port"], event["dst"], event["dst_port"]) == (APP, port, ALLOWED, 443)
        assert (event["direction"], event["proto"], event["verdict"]) == ("egress", "tcp", "allow")
        assert event["rule"] == "egress[0]" and event["policy_rev"] == agent.app("web")["policy_rev"]
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z", event["ts"])
        assert re.fullmatch(r"test-host-\d+-\d+", event["event_id"])
    assert start["flow_id"] == end["flow_id"]
    assert start["start"][:23] == end["start"][:23]  # UTC itself is adjusted by some ns between the two
    assert start["seq"] < end["seq"]
    assert end["rtt_us"] > 0 and end["retransmits"] == 0 and end["duration_ms"] >= 0
    assert (end["packets_out"], end["bytes_out"]) == host.wire("in", dst=ALLOWED)
    assert (end["packets_in"], end["bytes_in"]) == host.wire("out", src=ALLOWED)


def test_event_ids_and_sequences_have_no_holes(host, agent, web):
    for number in range(50):
        web.connect(f"c{number}", ALLOWED, 443)
        web.fails("sendto", f"u{number}", DENIED, 443)
    web.close_all()
    add_up(agent)
    eventually(lambda: len(agent.log(type="deny", app="web")) == 50)
    events = agent.log()
    ids = [tuple(map(int, event["event_id"].rsplit("-", 2)[1:])) for event in events]
    assert ids == [(ids[0][0], ids[0][1] + n) for n in range(len(ids))]
    seqs = [event["seq"] for event in events if event.get("app") == "web" and "seq" in event]
    assert sorted(seqs) == list(range(1, len(seqs) + 1))


def test_numbers_go_on_after_a_restart(host, agent, web):
    web.fails("connect", "c", DENIED, 443)
    agent.event(type="deny", app="web")
    agent.kill9()
    web.fails("connect", "c", DENIED, 443)  # waits in the ring
    agent.start()
    web.fails("connect", "c", DENIED, 443)
    eventually(lambda: len(agent.log(type="deny", app="web")) == 3)
    assert [event["seq"] for event in agent.log(type="deny", app="web")] == [1, 2, 3]
    ids = [tuple(map(int, event["event_id"].rsplit("-", 2)[1:])) for event in agent.log()]
    assert ids == sorted(set(ids))


# ---- It adds up ------------------------------------------------------------------------------------------------


def total(*pairs):
    return [sum(numbers) for numbers in zip(*pairs)]


def test_flows_add_up_to_the_counters_and_the_wire(host, agent, web):
    web.connect("tcp", ALLOWED, 4443)
    web.push("tcp", 3_000_000)
    web.connect("six", ALLOWED6, 443)
    web.ask("six", "x" * 10_000)
    web.connect("udp", ALLOWED, 443, "udp")
    web.ask("udp", "y" * 1000)
    web.burst("many", ALLOWED, 4443, 500, 200)
    web.ping(ALLOWED)
    eventually(lambda: host.received("tcp", ALLOWED, 4443) == 3_000_000)
    web.close_all()
    add_up(agent)
    counted = counters(agent, "web")
    sent = total(host.wire("in", dst=ALLOWED), host.wire("in", dst=ALLOWED6))
    got = total(*(host.wire("out", src=ALLOWED, proto=proto) for proto in ("tcp", "udp", "icmp")),
                host.wire("out", src=ALLOWED6, proto="tcp"))
    assert [counted["packets_out"], counted["bytes_out"]] == sent
    assert [counted["packets_in"], counted["bytes_in"]] == got


def load(host, web):
    """Many short flows by several processes."""
    workers = [web] + [host.process(host.cgroup_of("web")) for _ in range(3)]
    for number, worker in enumerate(workers):
        worker.flood_connect("c", (ALLOWED, ALLOWED6)[number % 2], 443, "hello", count=300)
        worker.flood_ask("u", OTHER, 443, "udp", count=300)
        worker.flood_udp("d", DENIED, 443, count=200)
    for worker in workers:
        eventually(lambda w=worker: not any(w.flood_running(name) for name in "cud"), 120)
        assert worker.flood_stop("c") == {"ok": 300} and worker.flood_stop("u") == {"ok": 300}
        assert worker.flood_stop("d") == {"EPERM": 200}
        worker.stop()  # releases the sockets of the floods


def test_it_adds_up_under_load(host, agent, web):
    load(host, web)
    add_up(agent)
    events = agent.log(app="web")
    assert len([e for e in events if e["type"] == "deny"]) == agent.count("web", "no_rule") == 800
    assert agent.status()["events"]["lost"] == agent.status()["events"]["suppressed"] == 0
    flows = agent.app("web")["flows"]
    assert len({e["flow_id"] for e in events if e["type"] == "flow"}) == flows >= 1204
    assert sorted(e["seq"] for e in events if "seq" in e) == list(range(1, 1 + sum("seq" in e for e in events)))
    host.unseen(DENIED)


class TestSmallRing:
    @pytest.fixture
    def config(self):
        return {"events": {**PLENTY, "ring": "64KiB", "priority_ring": "64KiB"}}

    def test_it_adds_up_when_rings_overflow(self, host, agent, web):
        """The agent stands still: what it could not be told is counted, and told as that."""
        agent.process.send_signal(signal.SIGSTOP)
        try:
            load(host, web)
        finally:
            agent.process.send_signal(signal.SIGCONT)
        eventually(lambda: agent.status()["events"]["lost"] > 0)
        assert agent.log(type="lost", app="web") or agent.event(type="lost", app="web")
        add_up(agent)
        told = sum(e["deny_events"] for e in agent.log(app="web") if e["type"] in ("lost", "suppressed"))
        eventually(lambda: len(agent.log(app="web", type="deny")) + told == agent.count("web", "no_rule") == 800)

    def test_flows_whose_start_was_lost_add_up(self, host, agent, web):
        """What a lost event would have told is not told a second time by the flow's end."""
        agent.process.send_signal(signal.SIGSTOP)
        try:
            web.flood_connect("c", ALLOWED, 443, "fill the ring", count=500)
            eventually(lambda: not web.flood_running("c"), 60)
            for number in range(20):
                web.connect(f"lost{number}", ALLOWED, 443)
                web.ask(f"lost{number}", "x" * 1000)
        finally:
            agent.process.send_signal(signal.SIGCONT)
        eventually(lambda: agent.log(type="lost", app="web"))
        eventually(lambda: agent.status()["events"]["queue"] == 0)
        for number in range(20):
            web.ask(f"lost{number}", "x" * 1000)
        web.close_all()
        eventually(lambda: len(agent.log(type="flow", phase="end", app="web")) >= 20)
        add_up(agent)


class TestUpdates:
    @pytest.fixture
    def config(self):
        return {"events": PLENTY, "flow_update": "1s"}

    def test_long_flows_are_updated(self, host, agent, web):
        web.connect("c", ALLOWED, 443)
        web.flood_ask("f", ALLOWED, 443)
        eventually(lambda: len(agent.log(type="flow", phase="update", app="web")) >= 3)
        web.flood_stop("f")
        updates = agent.log(type="flow", phase="update", app="web")
        sizes = [event["bytes_out"] for event in updates if event["flow_id"] == updates[0]["flow_id"]]
        assert sizes == sorted(sizes) and sizes[0] > 0
        web.stop()
        add_up(agent)


class TestBudget:
    @pytest.fixture
    def config(self):
        return {"events": {"rate": "1/min", "burst": 10, "ring": "4MiB", "priority_ring": "1MiB"}}

    def test_a_flood_is_suppressed_and_counted(self, host, agent, web):
        """A chatty app fills nobody's log, and what it did is still in the sums."""
        web.flood_udp("d", DENIED, 443, count=5000)
        eventually(lambda: not web.flood_running("d"))
        for number in range(20):
            web.connect(f"c{number}", ALLOWED, 443)
            web.ask(f"c{number}")
        quiet = host.app(policy("quiet", [rule(ALLOWED, 443)]))
        quiet.fails("connect", "c", DENIED, 443)
        assert agent.event(type="deny", app="quiet")["comm"] == "testapp"
        web.close_all()
        eventually(lambda: agent.log(type="suppressed", app="web"))
        add_up(agent)
        denies = agent.log(type="deny", app="web")
        assert 5 <= len(denies) <= 11
        eventually(lambda: len(denies) + sum(e["deny_events"] for e in agent.log(type="suppressed", app="web")) == 5000)
        assert agent.count("web", "no_rule") == 5000
        assert agent.app("web")["losses"]["suppressed"]["deny_events"] == 5000 - len(denies)
        assert agent.log(type="suppressed", app="quiet") == []

    def test_a_scan_from_outside_hides_nothing_that_the_app_does(self, host, agent, servers):
        app = host.app(policy("scanned", [rule(ALLOWED, 443)]))
        app.bind("u", APP, 7000, "udp")
        host.server.burst("s", APP, 7000, 100, 2000)
        eventually(lambda: agent.count("scanned", "no_ingress_rule", "ingress") == 2000)
        assert app.fails("connect", "c", DENIED, 443) == "EPERM"
        agent.event(type="deny", app="scanned", reason="no_rule")


class TestQuota:
    @pytest.fixture
    def config(self):
        return {"events": PLENTY, "event_quota": "1MiB", "event_segment": "64KiB"}

    def test_the_oldest_segments_go_and_are_told(self, host, agent, web):
        web.flood_udp("d", DENIED, 443, count=6000)
        eventually(lambda: not web.flood_running("d"))
        eventually(lambda: agent.status()["events"]["dropped_by_quota"] > 0)
        lost = agent.event(type="lost", cause="quota")
        assert lost["events"] > 0
        eventually(lambda: agent.status()["events"]["log_bytes"] <= 1 << 20)
        assert lost["vital"] + lost["other"] + lost["allowed_flows"] == lost["events"]
        paths = segments(agent.log_dir)
        assert len(paths) > 5
        last = agent.log()[-1]
        assert int(last["event_id"].rsplit("-", 1)[1]) >= 6000
        web.fails("connect", "c", DENIED, 9)
        agent.event(type="deny", app="web", dst_port=9)


def test_a_full_disk_stops_the_log_and_nothing_else(bare_host):
    host, agent = bare_host, bare_host.agent
    disk = host.small_disk(agent.log_dir)
    agent.start()
    host.serve([ALLOWED], 443)
    web = host.app(policy("web", [rule(ALLOWED, 443)]))
    disk.fill()
    web.flood_udp("d", DENIED, 443, count=3000)
    eventually(lambda: not web.flood_running("d"))
    eventually(lambda: any("events" in alarm for alarm in agent.status()["alarms"]))
    web.connect("c", ALLOWED, 443)
    assert web.ask("c") == "ping"
    assert agent.kill("web")["durable"] is True
    assert web.fails("connect", "d", ALLOWED, 443) == "EPERM"
    assert agent.get("/v1/denied?app=web&last=10m")["denied"]  # from the kernel's own table
    disk.free()
    eventually(lambda: not agent.status()["alarms"])
    agent.restore("web")
    agent.event(type="restore", app="web")


def test_a_disk_that_stands_still_delays_no_kill(bare_host, tmp_path):
    host, agent, disk = bare_host, bare_host.agent, SlowDisk(str(tmp_path))
    agent.start(env=disk.env)
    host.serve([ALLOWED], 443)
    web = host.app(policy("web", [rule(ALLOWED, 443)]))
    disk.stall()
    assert web.fails("connect", "d", DENIED, 443) == "EPERM"  # its event is vital, and the disk is asked at once
    eventually(lambda: agent.status()["events"]["unsynced_bytes"] > 0)
    web.connect("c", ALLOWED, 443)
    assert web.ask("c") == "ping"
    assert agent.kill("web")["durable"] is True
    assert web.fails("connect", "e", ALLOWED, 443) == "EPERM"
    agent.event(type="kill", app="web")  # who reads doesn't wait for the disk either
    agent.event(type="deny", app="web", reason="killed")
    assert agent.status()["events"]["unsynced_bytes"] > 0  # it stood still all the time
    assert not agent.status()["events"]["failing"]
    disk.go_on()
    eventually(lambda: agent.status()["events"]["unsynced_bytes"] == 0)


# ---- Asking for it ---------------------------------------------------------------------------------------------------


def test_filters(host, agent, web):
    other = host.app(policy("other", [rule(ALLOWED, 443)]))
    for app in (web, other):
        app.connect("c", ALLOWED, 443)
        app.fails("connect", "d", DENIED, 443)
        app.fails("connect", "e", DENIED, 444)
        app.close("c")
    agent.event(type="flow", phase="end", app="other")
    agent.event(type="deny", app="other", dst_port=444)
    whole = agent.query()
    assert whole == agent.log()
    assert {e["app"] for e in agent.query("?app=other")} == {"other"}
    assert {e["type"] for e in agent.query("?type=deny,flow&app=web")} == {"deny", "flow"}
    assert [e["dst_port"] for e in agent.query("?type=deny&app=web")] == [443, 444]
    assert agent.query("?limit=3") == whole[-3:]
    assert agent.query("?last=1h") == whole
    assert agent.query("?app=nobody") == []


def test_a_slow_follower_holds_nobody_up(host, agent, web):
    connection = UnixConnection(agent.socket, 30)
    connection.request("GET", "/v1/events?follow=1&type=deny")
    answer = connection.getresponse()
    web.flood_udp("d", DENIED, 443, count=3000)
    eventually(lambda: not web.flood_running("d"))
    eventually(lambda: len(agent.log(type="deny", app="web")) == 3000)
    lines = []

    def read():
        while len(lines) < 3000:
            lines.append(json.loads(answer.readline()))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    thread.join(30)
    assert len(lines) == 3000 and [e["seq"] for e in lines] == sorted(e["seq"] for e in lines)
    connection.close()


def test_what_people_did_is_in_the_log(host, agent, web):
    agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    agent.kill("web", reason="drill", ticket="T-1")
    agent.restore("web", reason="drill over")
    agent.api("POST", "/v1/apps/web/relax", {"for": "1m", "reason": "drill"})
    agent.api("DELETE", "/v1/policies/web")
    agent.event(type="policy", app="web", action="delete")
    events = agent.log(app="web")
    said = [(event["type"], event.get("action")) for event in events
            if event["type"] in ("policy", "kill", "restore", "alert")]
    assert said[-5:] == [
        ("policy", "apply"), ("kill", None), ("restore", None), ("alert", "relax"), ("policy", "delete")]
    for event in events:
        if event["type"] in ("policy", "kill", "restore"):
            assert "uid=0" in event["actor"], event


def test_denied_groups_for_people(host, agent, web):
    for _ in range(5):
        web.fails("connect", "c", DENIED, 443)
    web.fails("sendto", "u", ALLOWED, 9)
    rows = {(row["peer"], row["port"], row["proto"]): row for row in agent.get("/v1/denied?app=web&last=10m")["denied"]}
    row = rows[DENIED, 443, "tcp"]
    assert (row["count"], row["reason"], row["direction"], row["app"]) == (5, "no_rule", "egress", "web")
    assert row["comm"] == "testapp" and row["pid"] == web.pid and row["sentence"]
    assert DENIED in row["fix"] and "443" in row["fix"]
    assert rows[ALLOWED, 9, "udp"]["reason"] == "no_rule_port"


def test_denied_keeps_the_recent_ones(host, agent, web):
    """The table is small: a sweep over many ports leaves the latest, and the counter knows all."""
    for port in range(1000, 1200):
        web.fails("connect", "c", DENIED, port)
    rows = agent.get("/v1/denied?app=web")["denied"]
    assert 8 <= len(rows) <= 32
    assert agent.count("web", "no_rule") == 200


def test_ingress_flows(host, agent, servers):
    app = host.app(policy("listener", ingress=[source(ALLOWED, 8080, id="in")]))
    app.listen("l", APP, 8080)
    for number in range(10):
        host.server.bind(f"s{number}", ALLOWED, 0)
        host.server.connect(f"s{number}", APP, 8080)
        app.accept("l", f"a{number}")
        host.server.send(f"s{number}", "hello")
        app.recv(f"a{number}")
        # The client closes first: what reaches a socket in TIME_WAIT meets no hook, so the app's must not get there.
        host.server.close(f"s{number}")
        assert app.end(f"a{number}") == "eof"
        app.close(f"a{number}")
    app.close("l")
    add_up(agent, "listener")
    ends = agent.log(type="flow", phase="end", app="listener", src=ALLOWED)
    assert len(ends) >= 10
    assert all(e["direction"] == "ingress" and e["rule"] == "in" for e in ends if "listener" not in e)
    counted = agent.app("listener")
    assert [counted["packets_in"], counted["bytes_in"]] == list(host.wire("out", src=ALLOWED))
    assert [counted["packets_out"], counted["bytes_out"]] == list(host.wire("in", dst=ALLOWED))

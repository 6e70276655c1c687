# SPDX-License-Identifier: Apache-2.0
"""Kill: on the next packet, with an error for the app, outliving everything until it is restored."""
import concurrent.futures
import json
import os
import socket

import pytest

from harness import (
    ALLOWED, ALLOWED6, APP, OTHER, cgroup, eventually, holds, policy, rule, source,
)

RESET = {"ECONNABORTED", "ECONNRESET", "EPIPE"}


@pytest.fixture
def servers(host):
    host.serve([ALLOWED, ALLOWED6, OTHER], 443)


@pytest.fixture
def web(host, servers):
    return host.app(policy("web", [
        rule([ALLOWED, ALLOWED6], 443), rule([ALLOWED, ALLOWED6], 443, "udp"), rule(ALLOWED, proto="icmp"),
    ], labels={"team": "hr", "env": "prod"}))


def killed(host, app, name="web"):
    """Nothing of the app's goes through, each try is counted and told."""
    before = host.wire("in", dst=ALLOWED)
    assert app.fails("connect", "after", ALLOWED, 443) == "EPERM"
    assert app.fails("sendto", "after-udp", ALLOWED, 443) == "EPERM"
    assert app.fails("ping", ALLOWED) == "EPERM"
    assert host.wire("in", dst=ALLOWED) == before
    host.agent.event(type="deny", app=name, reason="killed", hook="connect")
    assert host.agent.app(name)["state"] == "killed"
    assert host.agent.count(name, "killed") >= 3


def works(app, suffix):
    app.connect(f"works-{suffix}", ALLOWED, 443)
    return app.ask(f"works-{suffix}") == "ping"


# ---- What it does --------------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [ALLOWED, ALLOWED6], ids=["ipv4", "ipv6"])
def test_live_tcp_is_reset(host, agent, web, address):
    web.connect("c", address, 443)
    assert web.ask("c") == "ping"
    answer = agent.kill("web", reason="leaked key", ticket="INC-7")
    assert answer["count"] == 1 and answer["durable"] is True and answer["dry_run"] is False
    (entry,) = answer["apps"]
    assert (entry["app"], entry["already"]) == ("web", False)
    assert answer["sockets"] >= 1
    assert web.end("c") in RESET
    event = agent.event(type="kill", app="web")
    assert (event["layer"], event["ticket"]) == ("local", "INC-7")
    assert "uid=0" in event["actor"]


def test_hundred_flows_end_at_once(host, agent, web):
    web.connect_many("c", 100, ALLOWED, 443)
    for number in range(0, 100, 10):
        assert web.ask(f"c{number}") == "ping"
    answer = agent.kill("web")
    assert answer["sockets"] >= 100
    tally = web.ends("c", 100)
    assert sum(tally.get(name, 0) for name in RESET) == 100, tally
    after = host.wire("in", dst=ALLOWED)
    assert web.fails("send", "c1") is not None
    assert host.wire("in", dst=ALLOWED) == after


def test_no_packet_leaves_after_the_answer(host, agent, web):
    """Under load, over UDP, whose sender needs no connection."""
    web.flood_udp("f", ALLOWED, 443, 100)
    eventually(lambda: web.flood_tally("f").get("sent", 0) > 500)
    agent.kill("web")
    after = host.wire("in", dst=ALLOWED)
    sent = web.flood_tally("f")["sent"]
    eventually(lambda: web.flood_tally("f").get("EPERM", 0) > 500)
    tally = web.flood_stop("f")
    assert tally["sent"] <= sent + 1  # one may have been on its way out of sendto()
    assert host.wire("in", dst=ALLOWED) == after
    assert agent.count("web", "killed") >= tally["EPERM"]


def test_everything_is_refused_until_restored(host, agent, web):
    agent.kill("web")
    killed(host, web)
    answer = agent.restore("web", reason="false alarm")
    assert answer["lifted"] == ["local"] and answer["remaining"] == []
    assert works(web, "restored")
    agent.event(type="restore", app="web")
    assert agent.app("web")["killed"] is False


def test_connected_udp_gets_an_error(host, agent, web):
    """Also one that waits for an answer."""
    web.connect("u", ALLOWED, 443, "udp")
    assert web.ask("u") == "ping"
    with concurrent.futures.ThreadPoolExecutor() as pool:
        blocked = pool.submit(web.fails, "recv", "u", timeout=30)
        assert agent.kill("web")["sockets"] >= 1
        assert blocked.result() == "ECONNABORTED"
    assert agent.event(type="kill", app="web")["sockets"] >= 1
    assert web.fails("sendto", "u", ALLOWED, 443) == "EPERM"
    assert agent.count("web", "killed") >= 1


def test_incoming_is_cut_too(host, agent, servers):
    app = host.app(policy("listener", ingress=[source(ALLOWED, 8080), source(ALLOWED, 8080, "udp")]))
    app.listen("l", APP, 8080)
    app.bind("u", APP, 8080, "udp")
    host.server.bind("s", ALLOWED, 0)
    host.server.connect("s", APP, 8080)
    app.accept("l", "a")
    agent.kill("listener")
    assert app.end("a") in RESET
    host.server.sendto("t", APP, 8080, "late")
    assert app.fails("recv", "u", timeout=0.5) is not None
    assert host.server.fails("connect", "n", APP, 8080, timeout=1.5) in ("ETIMEDOUT", "ECONNREFUSED", "ECONNRESET")


def test_other_apps_go_on(host, agent, web):
    other = host.app(policy("other", [rule(ALLOWED, 443)]))
    other.connect("c", ALLOWED, 443)
    agent.kill("web")
    assert other.ask("c") == "ping"
    assert works(other, "new")
    assert agent.app("other")["state"] == "enforce"


def test_sockets_in_every_namespace_of_the_app(host, agent, web):
    """A process of the app in another network namespace, and a nested cgroup, are the app, too."""
    host.network.add_app(f"{host.name}-two", [("10.78.1.2", "10.78.1.1")])
    agent.put(policy("web", [rule([ALLOWED, "10.78.1.1"], 443)], cgroups=host.glob_of("web")))
    host.server.serve("tcp", "10.78.1.1", 443)
    second = host.process(f"{host.cgroup_of('web')}/nested", netns=f"{host.name}-two")
    second.connect("c", "10.78.1.1", 443)
    web.connect("c", ALLOWED, 443)
    assert second.ask("c") == web.ask("c") == "ping"
    answer = agent.kill("web")
    assert answer["sockets"] >= 2
    assert web.end("c") in RESET and second.end("c") in RESET


# ---- Whom ------------------------------------------------------------------------------------------------


def test_it_is_idempotent(host, agent, web):
    first, second = agent.kill("web", reason="one"), agent.kill("web", reason="two")
    assert [first["apps"][0]["already"], second["apps"][0]["already"]] == [False, True]
    (hold,) = agent.app("web")["holds"]
    assert (hold["layer"], hold["reason"]) == ("local", "one")
    assert hold["durable"] is True
    agent.restore("web")
    assert works(web, "once")
    assert agent.refused("POST", "/v1/apps/web/restore", {}).code == "not_killed"


def test_an_app_not_seen_yet(host, agent, servers):
    """The hold waits for it, and holds from its first packet."""
    answer = agent.kill("unseen", reason="revoked upstream")
    assert answer["apps"][0]["seen"] is False
    app = host.app(policy("unseen", [rule(ALLOWED, 443), rule(ALLOWED, 443, "udp"), rule(ALLOWED, proto="icmp")]))
    killed(host, app, "unseen")
    host.unseen(ALLOWED)
    agent.restore("unseen")
    assert works(app, "later")


def test_a_policy_change_lifts_nothing(host, agent, web):
    agent.kill("web")
    agent.put(policy("web", [rule("0.0.0.0/0", "any")], cgroups=host.glob_of("web"), mode="audit"))
    assert web.fails("connect", "c", ALLOWED, 443) == "EPERM"
    agent.api("DELETE", "/v1/policies/web")
    agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    assert web.fails("connect", "d", ALLOWED, 443) == "EPERM"
    assert agent.app("web")["state"] == "killed"


@pytest.fixture
def three(host, servers):
    """Apps one, two (team hr) and three (team it)."""
    apps = {}
    for name, team in (("one", "hr"), ("two", "hr"), ("three", "it")):
        apps[name] = host.app(policy(name, [rule(ALLOWED, 443)], labels={"team": team}))
        apps[name].connect("c", ALLOWED, 443)
        assert apps[name].ask("c") == "ping"
    return apps


def test_by_label(host, agent, three):
    answer = agent.api("POST", "/v1/kill", {"labels": "team=hr", "reason": "team compromised"})
    assert answer["count"] == 2 and {app["app"] for app in answer["apps"]} == {"one", "two"}
    for name in ("one", "two"):
        assert three[name].end("c") in RESET
        assert agent.app(name)["state"] == "killed"
    assert three["three"].ask("c") == "ping"


def test_a_dry_run_changes_nothing(host, agent, three):
    answer = agent.api("POST", "/v1/kill", {"labels": "team!=it", "dry_run": True})
    assert answer["dry_run"] is True and {app["app"] for app in answer["apps"]} == {"one", "two"}
    assert agent.api("POST", "/v1/kill", {"all": True, "dry_run": True})["count"] == 3
    assert agent.kill("one", dry_run=True)["dry_run"] is True
    for name, app in three.items():
        assert app.ask("c") == "ping", name
    assert agent.log(type="kill") == []
    assert agent.status()["kill_all"] is False and agent.status()["holds"] == []


def test_a_changed_count_is_refused(host, agent, three):
    error = agent.refused("POST", "/v1/kill", {"labels": "team=hr", "expect": 1})
    assert (error.status, error.code) == (409, "count_changed")
    assert three["one"].ask("c") == "ping"
    assert agent.api("POST", "/v1/kill", {"labels": "team=hr", "expect": 2})["count"] == 2


def test_all(host, agent, three):
    answer = agent.api("POST", "/v1/kill", {"all": True, "reason": "site incident"})
    assert answer["all"] is True and answer["count"] == 3 and answer["sockets"] >= 3
    for app in three.values():
        assert app.end("c") in RESET
        assert app.fails("connect", "d", ALLOWED, 443) == "EPERM"
    agent.event(type="deny", app="one", reason="killed_all")
    assert agent.status()["kill_all"] is True
    newcomer = host.app(policy("newcomer", [rule(ALLOWED, 443)]))
    assert newcomer.fails("connect", "c", ALLOWED, 443) == "EPERM"
    answer = agent.api("POST", "/v1/restore", {"reason": "over"})
    assert answer["lifted"] == ["local"]
    for app in (*three.values(), newcomer):
        assert works(app, "again")


def test_all_does_not_lift_single_holds(host, agent, three):
    agent.kill("one")
    agent.api("POST", "/v1/kill", {"all": True})
    agent.api("POST", "/v1/restore", {})
    assert works(three["two"], "two")
    assert three["one"].fails("connect", "d", ALLOWED, 443) == "EPERM"


@pytest.mark.parametrize("body, code", [
    ({}, None), ({"labels": "team=="}, "bad_selector"), ({"labels": "=x"}, "bad_selector"), ({"labels": ""}, None),
    ({"all": False}, None), ({"all": True, "labels": "team=hr"}, None), ({"labels": "team=hr", "expect": -1}, None),
])
def test_what_is_no_selector_kills_nobody(host, agent, three, body, code):
    error = agent.refused("POST", "/v1/kill", body)
    assert error.status == 400 and (code is None or error.code == code)
    assert agent.status()["holds"] == []
    assert three["one"].ask("c") == "ping"


@pytest.mark.parametrize("name", ["UPPER", "a" * 64, "-dash", "%2e%2e", "a%20b"])
def test_what_is_no_name_is_refused(agent, name):
    assert agent.refused("POST", f"/v1/apps/{name}/kill", {}).status in (400, 404)
    assert agent.status()["holds"] == []


# ---- What it outlives --------------------------------------------------------------------------------------


def test_it_survives_a_restart(host, agent, web):
    agent.kill("web", reason="kept")
    agent.restart()
    killed(host, web)
    (hold,) = agent.app("web")["holds"]
    assert hold["reason"] == "kept"
    agent.restore("web")
    assert works(web, "restored")


def test_it_is_in_force_while_the_agent_is_dead(host, agent, web):
    agent.kill("web")
    agent.kill9()
    before = host.wire("in", dst=ALLOWED)
    assert web.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert web.fails("sendto", "u", ALLOWED, 443) == "EPERM"
    assert host.wire("in", dst=ALLOWED) == before
    agent.start()
    killed(host, web)


def test_it_survives_a_reboot(host, agent, web):
    """SIGKILL right after the answer, and the pins are gone."""
    agent.kill("web")
    agent.reboot()
    killed(host, web)
    agent.restore("web")
    agent.reboot()
    assert works(web, "restored")


def test_all_survives_a_reboot(host, agent, web):
    agent.api("POST", "/v1/kill", {"all": True})
    agent.reboot()
    assert web.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert agent.status()["kill_all"] is True


def test_a_hold_that_is_not_on_disk_is_said_and_in_force(bare_host):
    """The disk is full: durable is false, an alarm tells, the kill works, and is recorded when there is room."""
    host, agent = bare_host, bare_host.agent
    disk = host.small_disk(agent.state_dir)
    agent.start()
    host.serve([ALLOWED], 443)
    app = host.app(policy("web", [rule(ALLOWED, 443)]))
    disk.fill()
    assert agent.kill("web")["durable"] is False
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert agent.app("web")["holds"][0]["durable"] is False
    eventually(lambda: agent.status()["alarms"], what="an alarm")
    disk.free()
    eventually(lambda: agent.app("web")["holds"][0]["durable"], what="the record, once there is room")
    agent.reboot()
    assert app.fails("connect", "d", ALLOWED, 443) == "EPERM"


# ---- Without the agent -----------------------------------------------------------------------------------------


def kill_direct(agent, name, *arguments):
    """egret kill --direct: its answer."""
    status, out, error = agent.cli(
        "kill", name, "--direct", "--bpffs", agent.bpffs, "--state-dir", agent.state_dir, "-o", "json", *arguments)
    assert status == 0, out + error
    return json.loads(out)


def test_direct_with_a_dead_agent(host, agent, web):
    web.flood_udp("f", ALLOWED, 443, 100)
    agent.kill9()
    answer = kill_direct(agent, "web", "--reason", "agent down")
    assert (answer["stored"], answer["durable"], answer["already"]) == (True, True, False)
    after = host.wire("in", dst=ALLOWED)
    eventually(lambda: web.flood_tally("f").get("EPERM", 0) > 100)
    web.flood_stop("f")
    assert web.fails("connect", "d", ALLOWED, 443) == "EPERM"
    assert host.wire("in", dst=ALLOWED) == after
    agent.start()
    killed(host, web)
    (hold,) = eventually(lambda: agent.app("web")["holds"])
    assert (hold["layer"], hold["reason"]) == ("local", "agent down")
    agent.restore("web")
    assert works(web, "restored")


def test_direct_outlives_a_reboot(host, agent, web):
    agent.kill9()
    kill_direct(agent, "web")
    agent.wipe_pins()
    agent.start()
    killed(host, web)


def test_direct_beside_a_living_agent(host, agent, web):
    """The agent takes the record over and resets the sockets."""
    web.connect("c", ALLOWED, 443)
    assert web.ask("c") == "ping"
    kill_direct(agent, "web")
    assert web.fails("connect", "d", ALLOWED, 443) == "EPERM"
    eventually(lambda: agent.app("web")["holds"], what="the merged record")
    assert web.end("c") in RESET
    killed(host, web)


def test_direct_for_all(host, agent, web):
    agent.kill9()
    status, out, error = agent.cli(
        "kill", "--all", "--direct", "--bpffs", agent.bpffs, "--state-dir", agent.state_dir)
    assert status == 0, out + error
    assert web.fails("connect", "c", ALLOWED, 443) == "EPERM"
    agent.start()
    assert agent.status()["kill_all"] is True
    assert web.fails("connect", "d", ALLOWED, 443) == "EPERM"
    agent.api("POST", "/v1/restore", {})
    assert works(web, "restored")


def test_direct_for_an_app_not_seen_waits(host, agent, web):
    agent.kill9()
    answer = kill_direct(agent, "later")
    assert (answer["seen"], answer["stored"], answer["durable"]) == (False, False, True)
    assert works(web, "unharmed")
    agent.start()
    later = host.app(policy("later", [rule(ALLOWED, 443)]))
    assert later.fails("connect", "c", ALLOWED, 443) == "EPERM"


# ---- What a dying app can't do -------------------------------------------------------------------------------------


def test_new_processes_and_cgroups_of_the_app_are_held(host, agent, web):
    agent.kill("web")
    late = host.process(host.cgroup_of("web"))
    nested = host.process(f"{host.cgroup_of('web')}/below")
    for process in (late, nested):
        assert process.fails("connect", "c", ALLOWED, 443) == "EPERM"
    cgroup.make(f"{host.root}/web2.scope")
    agent.tag(f"{host.root}/web2.scope", "web")
    second = host.process(f"{host.root}/web2.scope")
    assert second.fails("connect", "c", ALLOWED, 443) == "EPERM"


def test_retransmits_of_a_cut_connection_stay_inside(host, agent, web):
    """Data in flight when the kill comes doesn't trickle out afterwards."""
    host.serve([ALLOWED], 4443, ["tcp"], "sink")
    agent.put(policy("web", [rule(ALLOWED, 4443)], cgroups=host.glob_of("web")))
    web.connect("p", ALLOWED, 4443)
    web.flood_push("p")
    eventually(lambda: host.received("tcp", ALLOWED, 4443) > 1 << 20)
    agent.kill("web")
    after = host.wire("in", dst=ALLOWED)
    holds(lambda: host.wire("in", dst=ALLOWED) == after, 2, "silence after the kill")
    tally = web.flood_stop("p")
    assert set(tally) & RESET, tally


def test_audit_mode_does_not_weaken_it(host, agent, servers):
    app = host.app(policy("auditing", mode="audit"))
    app.connect("c", ALLOWED, 443)
    agent.kill("auditing")
    assert app.fails("connect", "d", ALLOWED, 443) == "EPERM"


# ---- Before all else -----------------------------------------------------------------------------------


def urgent_threads(agent):
    """How many of the agent's threads run under SCHED_RR: field 41 of proc_pid_stat(5)."""
    count = 0
    for thread in os.listdir(f"/proc/{agent.process.pid}/task"):
        try:
            with open(f"/proc/{agent.process.pid}/task/{thread}/stat", encoding="utf-8", errors="replace") as stat:
                count += int(stat.read().rpartition(")")[2].split()[41 - 3]) == os.SCHED_RR
        except (FileNotFoundError, ProcessLookupError):
            pass  # it has ended
    return count


def test_a_kills_way_to_its_word_is_urgent(agent, web):
    """No app that wants every CPU makes it wait; nothing else is done that way."""
    always = urgent_threads(agent)
    assert always >= 1  # what takes the request
    with socket.socket(socket.AF_UNIX) as follower, socket.socket(socket.AF_UNIX) as killer:
        follower.connect(agent.socket)
        follower.sendall(b"GET /v1/events?follow=1 HTTP/1.1\r\nHost: x\r\n\r\n")
        assert follower.recv(1) == b"H"
        assert urgent_threads(agent) == always
        killer.connect(agent.socket)
        killer.sendall(b"POST /v1/apps/web/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n")
        eventually(lambda: urgent_threads(agent) == always + 1)
        killer.sendall(b"{}")
        assert killer.recv(12) == b"HTTP/1.1 200"
        assert urgent_threads(agent) == always
    assert agent.app("web")["state"] == "killed"

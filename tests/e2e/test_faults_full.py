# SPDX-License-Identifier: Apache-2.0
"""Every table full, each for its own reason, and beside them an app that notices nothing."""
import os

import pytest

from harness import ALLOWED, DENIED, Host, cgroup, eventually, policy, rule
from harness.agent import SANITIZED
from harness.names import API, MANY, begin, named, opens
from harness.net import ROUTER

APPS, GRANTS, SOCKETS, PEERS = 8, 16, 20, 10
CGROUPS = (APPS + 1) * 16 + 1024  # what the table has room for: agent/core/kern.c
CHURN = int(os.environ.get("FAULT_CHURN", "1500"))  # a release does 10,000


@pytest.fixture(scope="module")
def shared():
    limits = {"sockets": SOCKETS, "udp_peers": PEERS, "grants": GRANTS}
    with Host(max_apps=APPS, max_rules=100, max_names=8, limits=limits) as made:
        made.lax = f"{made.name}.pass"
        made.outside.append(made.lax)
        made.agent.configure(cgroup_root=[{"path": made.root, "create": True},
                                          {"path": made.lax, "create": True, "unknown": "pass"}])
        made.agent.start()
        begin(made, {"api.example": {"A": [API], "ttl": 300},
                     **{f"n{n}.wild.example": {"A": [MANY[n]], "ttl": 300} for n in range(30)}})
        calm = named("calm", "api.example")
        calm["egress"].append(rule(ALLOWED, 443))
        made.calm = made.app(calm)
        made.calm.dns_ask(ROUTER, "api.example")
        yield made


@pytest.fixture
def host(shared):
    """With an app that asks all the while, by address and by name, opens new connections, and is refused others."""
    app, agent = shared.calm, shared.agent
    eventually(lambda: len(agent.apps()) <= 2, what="room for others")  # peers of the one before are kept for a while
    app.flood_ask("live", ALLOWED, 443, pause=0.005)
    app.flood_connect("new", API, 443, "hello", reset=True, pause=0.005)
    before = agent.app("calm")
    yield shared
    assert app.fails("connect", "d", DENIED, 443) == "EPERM"
    app.close("d")
    assert set(app.flood_stop("live")) == {"ok"}
    assert set(app.flood_stop("new")) == {"ok"}
    now = agent.app("calm")
    assert now["denied"] == before["denied"] + 1
    assert now["losses"] == before["losses"]
    for name in set(agent.apps()) - {"calm"}:
        agent.request("DELETE", f"/v1/policies/{name}")  # it may be over already
        cgroup.remove(shared.cgroup_of(name))


@pytest.fixture
def agent(host):
    return host.agent


def only_calm(agent):
    """no app but one"""
    return set(agent.apps()) == {"calm"}


def used(agent, table):
    return next(each["used"] for each in agent.status()["maps"] if each["name"] == table)


def test_apps(host, agent):
    eventually(lambda: only_calm(agent))
    made = 0
    while made < APPS and agent.request("PUT", f"/v1/policies/app{made}", policy(f"app{made}"))[0] < 300:
        made += 1
    assert made == APPS - 1
    error = agent.refused("PUT", "/v1/policies/more", policy("more", cgroups=host.glob_of("more")))
    assert (error.status, error.code) == (507, "apps_full") and "max_apps" in str(error)
    assert any("table apps" in alarm for alarm in agent.status()["alarms"])
    before = agent.status()["unknown"]["denied"]
    more = host.process(host.cgroup_of("more"))
    assert more.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert agent.status()["unknown"]["denied"] > before
    event = agent.event(type="deny", reason="unknown_cgroup")
    assert event["cgroup"].endswith(host.cgroup_of("more"))
    more.stop()


def test_rules(host, agent):
    app = host.app(policy("rules", [rule(ALLOWED, 443)]))
    many = [rule([f"198.18.{n >> 8}.{n & 255}" for n in range(2000)], 443)]
    error = agent.refused("PUT", "/v1/policies/rules", policy("rules", many, cgroups=host.glob_of("rules")))
    assert (error.status, error.code) == (507, "rules_full") and "max_rules" in str(error)
    app.connect("c", ALLOWED, 443)  # what was in force still is
    assert app.ask("c") == "ping"
    assert app.fails("connect", "d", DENIED, 443) == "EPERM"
    assert agent.count("rules", "no_rule") == 1


def test_a_refused_policy_takes_no_app_s_place(host, agent):
    eventually(lambda: only_calm(agent))
    for number in range(3 * APPS):
        many = named(f"names{number}", [f"h{n}.example" for n in range(100)])
        status, _, text = agent.request("PUT", f"/v1/policies/names{number}", many)
        assert status == 507 and ("max_names" in text or "max_apps" in text)
    eventually(lambda: only_calm(agent))
    assert used(agent, "names") == 1
    for number in range(APPS - 1):
        agent.put(policy(f"app{number}", [rule(ALLOWED, 443)]))


def test_sockets(host, agent):
    app = host.app(policy("sockets", [rule(ALLOWED, 443)]))
    outcomes = [app.fails("open", f"s{number}", ALLOWED) for number in range(SOCKETS + 5)]
    assert outcomes == [None] * SOCKETS + ["EPERM"] * 5
    assert agent.count("sockets", "socket_quota") == 5
    agent.event(type="deny", app="sockets", reason="socket_quota", hook="create")
    app.close("s0")
    app.connect("again", ALLOWED, 443)
    assert app.ask("again") == "ping"


def test_peers(host, agent):
    app = host.app(policy("peers", [rule(ALLOWED, "any", "udp")]))
    outcomes = [app.fails("sendto", "u", ALLOWED, port) for port in range(1000, 1000 + PEERS + 6)]
    assert outcomes == [None] * (PEERS + 1) + ["EPERM"] * 5  # the first one is the socket's own
    assert agent.count("peers", "flow_quota") == 5
    agent.event(type="deny", app="peers", reason="flow_quota")


def test_grants(host, agent):
    app = host.app(named("grants", "*.wild.example"))
    for number in range(30):
        app.dns_ask(ROUTER, f"n{number}.wild.example")
        app.close(opens(app, MANY[number]))
    found = agent.get("/v1/apps/grants?grants=1")["grants"]
    assert len(found["list"]) <= GRANTS and found["evicted"] >= 30 - GRANTS
    assert app.fails("connect", "gone", MANY[0], 443) == "EPERM"
    assert agent.event(type="deny", app="grants", dst=MANY[0])["reason"] == "no_grant"
    assert agent.count("grants", "no_grant") == 1
    assert agent.get("/v1/apps/calm?grants=1")["grants"]["evicted"] == 0


# ---- Cgroups -------------------------------------------------------------------------------------------------


def room_alarm(agent):
    return [alarm for alarm in agent.status()["alarms"] if "could not be tagged" in alarm]


def test_cgroups(host, agent):
    """As many as the table holds: one more is denied, as is what would pass as unknown, until there is room."""
    path, lax = f"{host.root}/job{{}}.scope", f"{host.lax}/job.scope"
    agent.put(policy("jobs", [rule(ALLOWED, 443)], cgroups=[path.format("*"), lax]))
    stranger = host.process(f"{host.lax}/stranger.scope")
    stranger.connect("a", DENIED, 443, "udp")
    for number in range(CGROUPS):
        cgroup.make(path.format(number))
    eventually(lambda: room_alarm(agent), what="the alarm")
    assert "can't be tagged" in agent.stderr()
    last = host.process(lax)
    eventually(lambda: len(agent.app("jobs")["cgroups"]) == CGROUPS + 1, 60, "all cgroups")
    assert last.fails("connect", "c", ALLOWED, 443) == "EPERM"
    agent.event(type="deny", reason="unknown_cgroup", hook="connect", cgroup=lax)
    assert stranger.fails("connect", "b", DENIED, 443) == stranger.fails("send", "a") == "EPERM"
    tag = f"{host.root}/by-hand.scope"
    cgroup.make(tag)
    error = agent.refused("POST", "/v1/tags", {"cgroup": tag, "app": "jobs"})
    assert (error.status, error.code) == (507, "cgroups_full") and "max_apps" in str(error)
    agent.restart()
    assert room_alarm(agent)
    assert stranger.fails("connect", "c", DENIED, 443) == "EPERM"
    for number in range(10):
        os.rmdir(cgroup.full(path.format(number)))
    eventually(lambda: not room_alarm(agent), what="the end of the alarm")
    assert "every cgroup has its tag again" in agent.stderr()
    assert tag not in agent.app("jobs")["cgroups"]
    agent.tag(tag, "jobs")
    for app in (last, host.process(tag)):
        app.connect("d", ALLOWED, 443)
        assert app.ask("d") == "ping"
        assert app.fails("connect", "e", DENIED, 443) == "EPERM"
        app.stop()
    stranger.connect("d", DENIED, 443)
    stranger.stop()
    for number in range(10, CGROUPS):
        os.rmdir(cgroup.full(path.format(number)))
    for left in (tag, lax, f"{host.lax}/stranger.scope"):
        cgroup.remove(left)


def open_files(agent):
    return len(os.listdir(f"/proc/{agent.process.pid}/fd"))


def memory(agent):
    with open(f"/proc/{agent.process.pid}/status", encoding="ascii") as lines:
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) << 10


def test_churn(host, agent):
    """Jobs by names used again, more than the table holds: each has its tag, whatever died before it."""
    path, ids = f"{host.root}/turn{{}}.scope", set()
    agent.put(policy("turns", [rule(ALLOWED, 443)], cgroups=[path.format("*")]))
    before = None
    for first in range(0, CHURN, 100):
        for number in range(100):
            cgroup.make(path.format(number))
            ids.add(cgroup.cgroup_id(path.format(number)))
        eventually(lambda: len(agent.app("turns")["cgroups"]) == 100, what="the tags")
        if first % 500 == 0:
            app = host.process(path.format(99))
            app.connect("c", ALLOWED, 443)
            assert app.ask("c") == "ping"
            assert app.fails("connect", "d", DENIED, 443) == "EPERM"
            app.stop()
            cgroup.remove(path.format(99))
        for number in range(100):
            cgroup.remove(path.format(number))
        eventually(lambda: agent.app("turns")["cgroups"] == [], what="their end")
        before = before or (open_files(agent), memory(agent))
    assert len(ids) == CHURN
    assert not room_alarm(agent)
    assert agent.count("turns", "no_rule") == len(range(0, CHURN, 500))
    eventually(lambda: open_files(agent) <= before[0] + 2, what="as many descriptors")
    assert SANITIZED or memory(agent) <= before[1] + (4 << 20)

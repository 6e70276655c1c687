# SPDX-License-Identifier: Apache-2.0
"""Names that the agent looks up itself: the app never asks, and connects by address."""
import os
import pwd
import signal

import pytest

from harness import ALLOWED, ALLOWED6, DENIED, OTHER, Host, eventually, holds, policy, rule
from harness.net import batch

RESOLVER = "127.0.0.9"
PRIVATE = ["10.77.1.0/24", "fd77:1::/64"]


@pytest.fixture
def config():
    return {"grant_floor": "300s"}


@pytest.fixture
def bare_host(config):
    with Host(inside=True, **config) as host:
        yield host


class Resolver:
    """In the agent's network namespace."""

    def __init__(self, host):
        batch(host.network.host, [f"addr add {RESOLVER}/32 dev lo"])
        self.worker = host.outsider(netns=host.network.host)
        self.worker.dns_serve([RESOLVER], {})
        self.say, self.stop = self.worker.dns_zone, self.worker.stop

    def queries(self):
        return [(one["name"], one["type"], one["proto"]) for one in self.worker.dns_asked()]


@pytest.fixture
def resolver(host):
    return Resolver(host)


def named(app="web", names=("api.example",), **more):
    return policy(app, [rule(list(names), 443, prefetch=True, private=PRIVATE)], dns={"resolvers": [RESOLVER]}, **more)


def status(agent):
    return agent.status()["prefetch"]


def grants(agent, app="web"):
    return {(one["name"], one["address"]) for one in agent.get(f"/v1/apps/{app}?grants=1")["grants"]["list"]}


def process_status(pid):
    with open(f"/proc/{pid}/status", encoding="utf-8") as text:
        return dict(line.split(":\t", 1) for line in text.read().splitlines() if ":\t" in line)


def test_an_app_that_never_asks_connects(host, agent, resolver):
    host.serve([ALLOWED, ALLOWED6, DENIED], 443)
    app = host.app(named())
    assert app.fails("connect", "early", ALLOWED, 443) == "EPERM"
    assert agent.count("web", "no_grant") == 1
    eventually(lambda: status(agent)["failing"] == 1, what="the first look-up")
    resolver.say({"api.example": {"A": [ALLOWED], "AAAA": [ALLOWED6]}})
    eventually(lambda: len(grants(agent)) == 2, 30)
    assert grants(agent) == {("api.example", ALLOWED), ("api.example", ALLOWED6)}
    for name, address in (("4", ALLOWED), ("6", ALLOWED6)):
        app.connect(name, address, 443)
        assert app.ask(name) == "ping"
    assert app.fails("connect", "other", DENIED, 443) == "EPERM"
    host.unseen(DENIED)
    event = agent.event(type="dns", app="web", action="prefetched", addresses=[ALLOWED])
    assert (event["name"], event["address_count"], event["ttl"]) == ("api.example", 1, 60)
    assert event["owner"] and event["policy_rev"], event
    app.close("4")
    flow = agent.event(type="flow", app="web", dst=ALLOWED, phase="end")
    assert flow["name"] == "api.example"
    seen = status(agent)
    assert (seen["names"], seen["failing"], seen["granted"], seen["restarts"]) == (1, 0, 2, 0)
    assert seen["failures"] >= 1 and "api.example: there is no such name" in seen["last_error"]
    metrics = agent.get("/metrics")
    assert "\negret_prefetch_names 1\n" in metrics and "\negret_prefetch_granted_total 2\n" in metrics


def test_the_helper_has_no_privileges(agent, resolver):
    resolver.say({"api.example": {"A": [ALLOWED]}})
    assert status(agent)["helper_pid"] == 0  # nobody needs it
    agent.put(named())
    eventually(lambda: grants(agent))
    pid, nobody = status(agent)["helper_pid"], pwd.getpwnam("nobody")
    seen = process_status(pid)
    assert seen["Name"] == "egret-lookup"
    assert set(seen["Uid"].split()) == {str(nobody.pw_uid)} and set(seen["Gid"].split()) == {str(nobody.pw_gid)}
    assert seen["Groups"].strip() == ""
    assert {seen[kind] for kind in ("CapEff", "CapPrm", "CapInh", "CapBnd", "CapAmb")} == {"0" * 16}
    assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", "2")
    with open(f"/proc/{pid}/environ", "rb") as environment:
        assert environment.read() == b""
    assert sorted(os.listdir(f"/proc/{pid}/fd")) == ["0", "1", "2", "3"]
    agent.put(policy("web", [rule(ALLOWED, 443)]))
    eventually(lambda: status(agent)["helper_pid"] == 0, what="its end, once nobody needs it")
    assert status(agent)["names"] == 0


def test_a_killed_helper_is_started_again(host, agent, resolver):
    resolver.say({"api.example": {"A": [ALLOWED]}, "two.example": {"A": [OTHER]}})
    host.app(named())
    eventually(lambda: grants(agent))
    before = status(agent)["helper_pid"]
    os.kill(before, 9)
    eventually(lambda: status(agent)["restarts"] == 1)
    assert status(agent)["helper_pid"] != before
    agent.put(named("second", ["two.example"]))
    eventually(lambda: grants(agent, "second") == {("two.example", OTHER)})
    assert grants(agent) == {("api.example", ALLOWED)}
    assert not os.path.exists(f"/proc/{before}") and agent.status()["enforcement_ok"]
    assert "\negret_prefetch_restarts_total 1\n" in agent.get("/metrics")


def test_a_restart_keeps_the_grants(host, agent, resolver):
    host.serve([ALLOWED], 443)
    resolver.say({"api.example": {"A": [ALLOWED]}})
    app = host.app(named())
    eventually(lambda: grants(agent))
    helper = status(agent)["helper_pid"]
    resolver.stop()
    agent.kill9()
    eventually(lambda: not os.path.exists(f"/proc/{helper}"), what="the helper's end after the agent's")
    app.connect("down", ALLOWED, 443)
    assert app.ask("down") == "ping"
    agent.start()
    assert grants(agent) == {("api.example", ALLOWED)}
    app.connect("up", ALLOWED, 443)
    assert app.ask("up") == "ping"
    eventually(lambda: status(agent)["failing"] == 1, 30)
    assert "no resolver" in status(agent)["last_error"]


@pytest.mark.parametrize("config", [{"grant_floor": "2s"}])
def test_names_are_looked_up_again_before_the_end(agent, resolver):
    resolver.say({"api.example": {"A": [ALLOWED], "ttl": 1}})
    agent.put(named())
    eventually(lambda: grants(agent))

    def good():
        return any(not one["expired"] for one in agent.get("/v1/apps/web?grants=1")["grants"]["list"])

    holds(good, 6, "a grant that is good all the time")
    assert resolver.queries().count(("api.example", "A", "udp")) >= 4
    resolver.say({"api.example": {"A": [OTHER], "ttl": 1}})
    eventually(lambda: ("api.example", OTHER) in grants(agent))
    agent.api("DELETE", "/v1/policies/web?take_over=1")
    eventually(lambda: status(agent)["names"] == 0)
    asked = len(resolver.queries())
    holds(lambda: len(resolver.queries()) <= asked + 2, 3, "nobody wants the name any more")


def test_a_name_of_several_apps_is_asked_for_once(agent, resolver):
    for app in ("a", "b", "c"):
        agent.put(named(app, cgroups=None))
    eventually(lambda: status(agent)["failing"] == 1)
    assert status(agent)["names"] == 1
    resolver.say({"api.example": {"A": [ALLOWED]}})
    for app in ("a", "b", "c"):
        eventually(lambda app=app: grants(agent, app) == {("api.example", ALLOWED)}, 30)
        agent.event(type="dns", app=app, action="prefetched")


def test_what_is_not_public_needs_private(host, agent, resolver):
    resolver.say({"api.example": {"A": [ALLOWED]}})
    app = host.app(policy("web", [rule("api.example", 443, prefetch=True)], dns={"resolvers": [RESOLVER]}))
    eventually(lambda: "is not public" in (status(agent)["last_error"] or ""))
    assert grants(agent) == set() and agent.log(type="dns", action="prefetched") == []
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    host.unseen(ALLOWED)


def test_the_next_resolver_is_asked(agent, resolver):
    """Nobody listens at the first, which an ICMP error tells at once."""
    resolver.say({"api.example": {"A": [ALLOWED]}})
    agent.put({**named(), "dns": {"resolvers": ["127.0.0.8", RESOLVER]}})
    eventually(lambda: grants(agent) == {("api.example", ALLOWED)})
    assert status(agent)["failures"] == 0


def test_a_short_answer_is_followed_by_tcp(agent, resolver):
    many = [f"10.77.1.{number}" for number in range(100, 140)]
    resolver.say({"big.example": {"A": many, "udp": "tc", "split": [1, 1, 10, 30]}})
    agent.put(named(names=["big.example"]))
    eventually(lambda: len(grants(agent)) == len(many))
    assert ("big.example", "A", "tcp") in resolver.queries()
    assert agent.event(type="dns", app="web", action="prefetched", name="big.example")["address_count"] == len(many)
    assert status(agent)["failures"] == 0 and status(agent)["restarts"] == 0


def test_a_hanging_helper_is_replaced(agent, resolver):
    """It is stopped before it can say a word; the one after it does the work."""
    resolver.say({"api.example": {"A": [ALLOWED]}, "two.example": {"A": [OTHER]}})
    agent.put(named())
    eventually(lambda: grants(agent))
    before = status(agent)["helper_pid"]
    os.kill(before, signal.SIGSTOP)
    agent.put(named("second", ["two.example"]))
    eventually(lambda: status(agent)["restarts"] == 1, 60, "another helper")
    assert not os.path.exists(f"/proc/{before}") and "hangs" in status(agent)["last_error"]
    eventually(lambda: grants(agent, "second") == {("two.example", OTHER)})
    assert grants(agent) == {("api.example", ALLOWED)} and agent.status()["enforcement_ok"]


@pytest.mark.parametrize("config", [{"helper_user": "root"}, {"helper_user": "no-such-user"}])
def test_a_helper_that_would_be_root_is_not_started(agent, resolver):
    resolver.say({"api.example": {"A": [ALLOWED]}})
    agent.put(named())
    eventually(lambda: "can't be started as user" in (status(agent)["last_error"] or ""))
    holds(lambda: status(agent)["helper_pid"] == 0, 2)
    assert resolver.queries() == [] and grants(agent) == set()

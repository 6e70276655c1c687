# SPDX-License-Identifier: Apache-2.0
"""Caps and expiry are told and acted upon whatever else the app does, and whether the agent was there or not."""
import pytest

from harness import ALLOWED, DENIED, eventually, in_seconds, policy, rule

RESET = {"ECONNABORTED", "ECONNRESET", "EPIPE"}


def egress(size, per="31d", action="drop"):
    return {"egress": {"bytes": f"{size}B", "per": per, "action": action}}


@pytest.fixture
def servers(host):
    host.serve([ALLOWED, DENIED], 443)
    host.serve([ALLOWED], 4443, mode="sink")


class TestBudget:
    """An app that has spent all of its event budget on denials."""

    @pytest.fixture
    def config(self):
        return {"events": {"rate": "1/min", "burst": 10, "ring": "4MiB", "priority_ring": "1MiB"}}

    @staticmethod
    def noisy(host, app, name):
        for _ in range(50):
            assert app.fails("connect", "d", DENIED, 443) == "EPERM"
        assert host.agent.count(name, "no_rule") == 50
        assert host.agent.app(name)["losses"]["suppressed"]["deny_events"] >= 40

    def test_it_can_not_hide_its_expiry(self, host, agent, servers):
        app = host.app(policy("ex", [rule(ALLOWED, 443)], expires=in_seconds(15)))
        app.connect("live", ALLOWED, 443)
        assert app.ask("live") == "ping"
        self.noisy(host, app, "ex")
        eventually(lambda: agent.app("ex")["state"] == "expired", 40)
        assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
        assert agent.count("ex", "expired") >= 1
        assert agent.event(type="expire", app="ex")["reason"] == "expired"
        assert app.end("live") in RESET

    def test_it_can_not_hide_its_cap(self, host, agent, servers):
        app = host.app(policy("cp", [rule(ALLOWED, 4443)], limits=egress(200_000)))
        self.noisy(host, app, "cp")
        app.connect("c", ALLOWED, 4443)
        outcome = app.push("c", 10_000_000, timeout=20)
        assert outcome["end"] in RESET, outcome
        assert agent.event(type="cap", app="cp", percent=100)["reason"] == "cap_egress"
        assert agent.count("cp", "cap_egress") >= 1

    def test_it_can_not_hide_a_kill(self, host, agent, servers):
        app = host.app(policy("kl", [rule(ALLOWED, 443), rule(ALLOWED, 4443, "udp")],
                              limits=egress(20_000, action="kill")))
        app.connect("live", ALLOWED, 443)
        assert app.ask("live") == "ping"
        self.noisy(host, app, "kl")
        app.burst("u", ALLOWED, 4443, 972, 40)
        assert agent.event(type="cap", app="kl", percent=100)
        assert app.end("live") in RESET
        assert agent.event(type="kill", app="kl", layer="auto")


# ---- No event comes while no agent runs -----------------------------------------------------------------


def test_a_cap_that_was_used_up_while_no_agent_ran(host, agent, servers):
    app = host.app(policy("cap", [rule(ALLOWED, 4443)], limits=egress(200_000)))
    app.connect("c", ALLOWED, 4443)
    agent.kill9()
    assert app.push("c", 10_000_000, timeout=2)["end"] == "ETIMEDOUT"
    agent.start()
    assert app.end("c", 20) in RESET
    assert agent.count("cap", "cap_egress") >= 1


def test_a_policy_that_expired_while_no_agent_ran(host, agent, servers):
    app = host.app(policy("old", [rule(ALLOWED, 443), rule(ALLOWED, 443, "udp")], expires=in_seconds(15)))
    app.connect("live", ALLOWED, 443)
    assert app.ask("live") == "ping"
    agent.kill9()
    eventually(lambda: app.fails("sendto", "u", ALLOWED, 443) == "EPERM", 40)
    agent.start()
    assert app.end("live", 20) in RESET
    assert agent.app("old")["state"] == "expired"
    assert agent.count("old", "expired") >= 1

# SPDX-License-Identifier: Apache-2.0
"""Alerts of policies and of the host: told once, to whom they belong, and a kill where that is wanted."""
import pytest

from harness import ALLOWED, APP, DENIED, eventually, holds, policy, rule
from harness.names import named
from harness.net import ROUTER

RESET = {"ECONNABORTED", "ECONNRESET", "EPIPE"}


def alert(when="denied", over="5/min", action="alert", **more):
    return {"when": when, "over": over, "action": action, **more}


@pytest.fixture
def servers(host):
    host.serve([ALLOWED, DENIED], 443)
    host.serve([ALLOWED], 4443, mode="sink")


def deny(app, count):
    for _ in range(count):
        assert app.fails("connect", "d", DENIED, 443) == "EPERM"


def told(agent, app):
    return agent.log(type="alert", app=app)


def stands(agent, app, when="denied"):
    return next((one for one in agent.app(app)["alerts"] if one["alert"] == when), {})


def test_denials_are_told_once(host, agent, servers):
    app = host.app(policy("web", [rule(ALLOWED, 443)], alerts=[alert(over="5/10s")]))
    deny(app, 5)
    eventually(lambda: stands(agent, "web").get("value") == 5)
    holds(lambda: not told(agent, "web"), 2, "no alert at the threshold itself")
    deny(app, 1)
    event = agent.event(type="alert", app="web")
    assert (event["alert"], event["over"], event["value"], event["window_s"]) == ("denied", 5, 6, 10)
    assert (event["action"], event["from"], event["audit"]) == ("alert", "policy", False)
    assert event["owner"] and event["policy_rev"]
    assert stands(agent, "web")["firing"]
    deny(app, 10)
    holds(lambda: len(told(agent, "web")) == 1, 3, "one alert while it lasts")
    eventually(lambda: not stands(agent, "web")["firing"], 30, "the end of the window")
    deny(app, 6)
    eventually(lambda: len(told(agent, "web")) == 2, what="the next one")
    assert agent.app("web")["state"] == "enforce"
    assert "\negret_alerts_total 2\n" in agent.get("/metrics")
    status, out, _ = agent.cli("app", "web")
    assert status == 0 and "Alerts:" in out and "firing" in out


def test_a_kill_cuts_the_app_off(host, agent, servers):
    app = host.app(policy("web", [rule(ALLOWED, 443)], alerts=[alert(action="kill")]))
    app.connect("live", ALLOWED, 443)
    assert app.ask("live") == "ping"
    deny(app, 6)
    assert app.end("live") in RESET
    event = agent.event(type="alert", app="web")
    assert event["action"] == "kill"
    kill = agent.event(type="kill", app="web")
    assert (kill["layer"], kill["flows"]) == ("auto", 1) and kill["cause"].startswith("alert: denied over 5 in 1m")
    assert agent.app("web")["state"] == "killed"
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert agent.count("web", "killed") >= 1
    agent.reboot()  # it is as durable as any
    assert agent.app("web")["state"] == "killed"
    agent.restore("web")
    app = host.process(host.cgroup_of("web"))
    app.connect("again", ALLOWED, 443)
    assert app.ask("again") == "ping"
    holds(lambda: agent.app("web")["state"] == "enforce", 3, "what it was killed for is over")


def test_audit_tells_and_does_not_kill(host, agent, servers):
    app = host.app(policy("web", [rule(ALLOWED, 443)], mode="audit", alerts=[alert(action="kill")]))
    for number in range(6):
        app.connect(f"c{number}", DENIED, 443)
    event = agent.event(type="alert", app="web")
    assert (event["action"], event["audit"]) == ("alert", True)
    assert agent.app("web")["state"] == "audit" and not agent.log(type="kill", app="web")


def test_flows_bytes_and_lookups(host, agent, servers):
    app = host.app(policy("web", [rule(ALLOWED, [443, 4443])], alerts=[
        alert("new_flows", "3/min"), alert("egress_bytes", "100kB/min"), alert("ingress_bytes", "1MB/min")]))
    for number in range(4):
        app.connect(f"c{number}", ALLOWED, 443)
    assert agent.event(type="alert", app="web", alert="new_flows")["value"] == 4
    app.connect("s", ALLOWED, 4443)
    app.push("s", 200_000)
    assert agent.event(type="alert", app="web", alert="egress_bytes")["value"] > 100_000
    assert len(told(agent, "web")) == 2
    asker = host.app(named("asker", "api.example", alerts=[alert("dns_refused", "2/min")]))
    for _ in range(3):
        assert asker.fails("dns_ask", ROUTER, "secret.other.example") == "EPERM"
    assert agent.event(type="alert", app="asker", alert="dns_refused")["value"] == 3


def test_strangers_can_not_make_an_alert(host, agent, servers):
    """What comes in is not the app's doing."""
    app = host.app(policy("web", [rule(ALLOWED, 443)], alerts=[alert(over="1/min", action="kill")]))
    app.bind("u", "0.0.0.0", 9999, "udp")
    for _ in range(50):
        host.server.sendto("scan", APP, 9999)
    eventually(lambda: agent.count("web", "no_ingress_rule", "ingress") == 50)
    agent.event(type="deny", app="web", reason="no_ingress_rule", direction="ingress")
    holds(lambda: not told(agent, "web") and agent.app("web")["state"] == "enforce", 3)


class TestHost:
    @pytest.fixture
    def config(self):
        return {"alerts": [alert(action="kill", labels="env=prod"), alert(over="3/min")]}

    def test_the_hosts_alerts_are_for_all(self, host, agent, servers):
        prod = host.app(policy("prod", [rule(ALLOWED, 443)], labels={"env": "prod"}))
        dev = host.app(policy("dev", [rule(ALLOWED, 443)], labels={"env": "dev"}))
        deny(prod, 6)
        deny(dev, 6)
        assert agent.event(type="alert", app="dev")["from"] == "host"
        assert agent.event(type="kill", app="prod")["layer"] == "auto"
        assert {event["action"] for event in told(agent, "prod")} == {"alert", "kill"}
        assert [event["action"] for event in told(agent, "dev")] == ["alert"]
        assert agent.app("dev")["state"] == "enforce"


def test_a_new_revision_keeps_what_was_seen(host, agent, servers):
    made = policy("web", [rule(ALLOWED, 443)], alerts=[alert(over="5/min")], cgroups=host.glob_of("web"))
    app = host.app(made)
    deny(app, 4)
    eventually(lambda: stands(agent, "web").get("value") == 4)
    agent.put({**made, "ticket": "SEC-2"})
    deny(app, 2)
    assert agent.event(type="alert", app="web")["value"] == 6


def test_an_agent_that_starts_sees_nothing_of_before(host, agent, servers):
    app = host.app(policy("web", [rule(ALLOWED, 443)], alerts=[alert(over="5/min", action="kill")]))
    agent.kill9()
    deny(app, 50)
    agent.start()
    holds(lambda: not told(agent, "web") and agent.app("web")["state"] == "enforce", 3)
    deny(app, 6)
    eventually(lambda: agent.app("web")["state"] == "killed")

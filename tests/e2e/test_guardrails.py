# SPDX-License-Identifier: Apache-2.0
"""What the host's configuration says of every policy: denied whatever it allows, allowed beside it, ceilings."""
import pytest

from harness import ALLOWED, ALLOWED6, DENIED, OTHER, eventually, in_days, policy, rule
from harness.names import API, MANY, begin, named, opens, refused
from harness.net import ROUTER

RESET = {"ECONNABORTED", "ECONNRESET", "EPIPE"}


@pytest.fixture
def config():
    return {"guardrails": {
        "always_deny": [DENIED, "fd77:1::20", "198.51.100.128/25", "*.evil.example", "bad.example"],
        "always_allow": [{"id": "host-ntp", "to": [OTHER], "proto": "udp", "ports": [123]}],
        "ceilings": [{"labels": "sensitivity=high", "require": ["cap", "verify-sni", "owner", "ticket"],
                      "forbid": ["audit", "raw_sockets", "allow_netns_admin"], "max_lifetime_days": 30}],
    }}


@pytest.fixture
def servers(host):
    host.serve([ALLOWED, ALLOWED6, DENIED, OTHER], 443)
    host.serve([OTHER], 123)


@pytest.mark.parametrize("mode", ["enforce", "audit"])
@pytest.mark.parametrize("to", [DENIED, "10.77.1.0/24", "0.0.0.0/0"])
def test_what_is_always_denied(host, agent, servers, to, mode):
    app = host.app(policy("web", [rule(to, 443), rule(to, 443, "udp")], mode=mode))
    assert app.fails("connect", "c", DENIED, 443) == "EPERM"
    assert app.fails("sendto", "u", DENIED, 443) == "EPERM"
    for proto in ("tcp", "udp"):
        event = agent.event(type="deny", app="web", dst=DENIED, proto=proto)
        assert (event["reason"], event["rule"], event["verdict"]) == ("guardrail", "guardrail", "deny")
    assert agent.count("web", "guardrail") == 2
    host.unseen(DENIED)
    if to != DENIED:
        app.connect("ok", ALLOWED, 443)
        assert app.ask("ok") == "ping"
    answer = agent.explain("web", f"{DENIED}:443")
    assert (answer["verdict"], answer["reason"]) == ("deny", "guardrail")


def test_names_that_are_always_denied(host, agent):
    """The name is not asked for, and an address that another name has is not opened either."""
    begin(host)
    host.server.dns_zone({"api.example": {"A": [API]}, "x.evil.example": {"A": [API]}, "bad.example": {"A": [API]},
                          "cdn.example": {"A": [MANY[39]]}, "good.bad.example": {"A": ["198.51.100.7"]}})
    app = host.app(named("web", ["api.example", "*.evil.example", "a.x.evil.example", "*.example", "cdn.example"]))
    for name in ("x.evil.example", "a.x.evil.example", "bad.example"):
        assert app.fails("dns_ask", ROUTER, name) == "EPERM"
    refused(agent, "web", "x.evil.example", 3)
    app.dns_ask(ROUTER, "api.example")
    opens(app, API)
    app.dns_ask(ROUTER, "good.bad.example")
    opens(app, "198.51.100.7")
    assert app.dns_ask(ROUTER, "cdn.example")["addresses"] == [MANY[39]]  # 198.51.100.139
    assert app.fails("connect", "c", MANY[39], 443) == "EPERM"
    assert agent.event(type="deny", app="web", dst=MANY[39])["reason"] == "guardrail"


def test_what_is_always_allowed(host, agent, servers):
    app = host.app(policy("web", [rule(ALLOWED, 443)]))
    app.connect("ntp", OTHER, 123, "udp")
    assert app.ask("ntp") == "ping"
    app.close("ntp")
    assert agent.event(type="flow", app="web", phase="end", dst=OTHER)["rule"] == "host-ntp"
    assert app.fails("connect", "c", OTHER, 443) == "EPERM"
    assert agent.count("web", "no_rule_port") == 1
    assert agent.event(type="deny", app="web", dst=OTHER)["proto"] == "tcp"


def test_a_change_cuts_what_is_denied_now(host, agent, servers):
    agent.configure(guardrails=None)
    agent.restart()
    app = host.app(policy("web", [rule("10.77.1.0/24", 443)]))
    app.connect("bad", DENIED, 443)
    app.connect("good", ALLOWED, 443)
    assert app.ask("bad") == app.ask("good") == "ping"
    rev = agent.app("web")["policy_rev"]
    agent.configure(guardrails={"always_deny": [DENIED]})
    agent.reload()
    assert app.end("bad") in RESET
    assert app.ask("good") == "ping"
    assert app.fails("connect", "again", DENIED, 443) == "EPERM"
    assert agent.count("web", "guardrail") >= 1 and agent.app("web")["policy_rev"] == rev
    agent.kill9()  # what is in force then is what the new configuration says
    agent.configure(guardrails={"always_deny": [ALLOWED]})
    agent.start()
    app.connect("now", DENIED, 443)
    assert app.ask("now") == "ping"
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert agent.event(type="deny", app="web", dst=ALLOWED, reason="guardrail")


HIGH = {"labels": {"sensitivity": "high"}, "owner": "a@example.com", "ticket": "SEC-1", "expires": in_days(20),
        "limits": {"egress": {"bytes": "1MiB", "per": "1h"}}}


@pytest.mark.parametrize("change,path", [
    ({"limits": None}, "limits.egress"), ({"owner": None}, "owner"), ({"ticket": None}, "ticket"),
    ({"mode": "audit"}, "mode"), ({"raw_sockets": True}, "raw_sockets"), ({"allow_netns_admin": True}, "allow_netns_admin"),
    ({"expires": in_days(40)}, "expires"),
    ({"egress": [rule("api.example", 443)], "dns": {"resolvers": [ROUTER]}}, "egress[0]"),
])
def test_ceilings(agent, change, path):
    made = {key: value for key, value in {**policy("web", [rule(ALLOWED, 443)]), **HIGH, **change}.items()
            if value is not None}
    error = agent.refused("PUT", "/v1/policies/web", made)
    assert (error.status, error.code) == (400, "bad_policy")
    (found,) = [one for one in error.details if one["level"] == "error"]
    assert found["path"] == path and "guardrails" in found["message"]
    assert "web" not in agent.apps() or not agent.app("web")["policy_rev"]
    agent.put({**made, "app": "low", "labels": {"sensitivity": "low"}})


def test_what_a_ceiling_finds_in_force_stays(host, agent, servers):
    agent.configure(guardrails=None)
    agent.restart()
    app = host.app(policy("web", [rule(ALLOWED, 443)], labels={"sensitivity": "high"}))
    agent.configure(guardrails={"ceilings": [{"require": ["cap"]}]})
    agent.restart()
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    eventually(lambda: "web is beyond the host's guardrails" in agent.stderr())
    made = {**policy("web", [rule(ALLOWED, 443)]), "cgroups": host.glob_of("web")}
    assert agent.refused("PUT", "/v1/policies/web", made).code == "bad_policy"

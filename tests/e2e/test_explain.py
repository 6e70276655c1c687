# SPDX-License-Identifier: Apache-2.0
"""What explain says of addresses, prefixes and names, in both directions, is what the kernel does."""
import pytest

from harness import ALLOWED, APP, DENIED, policy, rule, source
from harness.names import API, begin, named
from harness.net import ROUTER

DAY = {"bytes": "1MiB", "per": "31d"}


def parts(agent, dest, **more):
    answer = agent.explain("web", dest, **more)
    return answer["verdict"], [(one["first"], one["last"], one["verdict"], one["rule"]) for one in answer["parts"]]


@pytest.fixture
def config():
    return {"guardrails": {"always_deny": ["10.21.9.0/24"],
                           "always_allow": [{"id": "ntp", "to": ["10.22.0.3"], "proto": "udp", "ports": [123]}]}}


@pytest.fixture
def app(host):
    host.serve([ALLOWED], 443, protos=("tcp",))
    return host.app(policy(
        "web",
        [rule(["10.20.0.0/16", "10.21.0.0/16"], 443, id="wide"), rule(["10.20.5.0/24", "10.20.5.7"], "any", id="inner"),
         rule("2001:db8::/32", 443, id="six"), rule(ALLOWED, 443, id="own", limits={"egress": DAY})],
        ingress=[source("10.30.0.0/24", 8080, id="gateway")],
        limits={"egress": {"bytes": "9MiB", "per": "31d"}}))


def test_prefixes(host, agent, app):
    assert parts(agent, "10.20.0.0/16:443") == ("allow", [("10.20.0.0", "10.20.255.255", "allow", "wide")])
    assert parts(agent, "10.20.0.0/16:22") == ("mixed", [
        ("10.20.0.0", "10.20.4.255", "deny", None),
        ("10.20.5.0", "10.20.5.255", "allow", "inner"),
        ("10.20.6.0", "10.20.255.255", "deny", None),
    ])
    assert parts(agent, "10.19.0.0/16:443") == ("deny", [("10.19.0.0", "10.19.255.255", "deny", None)])
    assert parts(agent, "10.16.0.0/12:443")[1][1] == ("10.20.0.0", "10.21.8.255", "allow", "wide")
    assert parts(agent, "[2001:db8:1::/48]:443") == (
        "allow", [("2001:db8:1::", "2001:db8:1:ffff:ffff:ffff:ffff:ffff", "allow", "six")])
    assert parts(agent, "[2001:db8::]/32:444")[0] == "deny"
    assert parts(agent, "10.30.0.0/23:8080", direction="ingress") == ("mixed", [
        ("10.30.0.0", "10.30.0.255", "allow", "gateway"), ("10.30.1.0", "10.30.1.255", "deny", None)])
    assert parts(agent, "10.20.0.0/16", proto="icmp")[0] == "deny"
    # what the host says to every app
    assert [one[:3] for one in parts(agent, "10.21.8.0/22:443")[1]] == [
        ("10.21.8.0", "10.21.8.255", "allow"), ("10.21.9.0", "10.21.9.255", "deny"), ("10.21.10.0", "10.21.11.255", "allow")]
    assert agent.explain("web", "10.21.8.0/22:443")["parts"][1]["reason"] == "guardrail"
    assert parts(agent, "10.22.0.2/31:123", proto="udp")[1][1] == ("10.22.0.3", "10.22.0.3", "allow", "ntp")
    # the ends are where the kernel says that they are
    for _, found in (parts(agent, "10.16.0.0/12:22"), parts(agent, "10.20.0.0/16:22")):
        for first, last, verdict, named_rule in found:
            for address in (first, last):
                answer = agent.explain("web", f"{address}:22")
                assert (answer["verdict"], answer["rule"]) == (verdict, named_rule), address
    for bad in ("10.20.0.1/16:443", "10.20.0.0/33:443", "10.20.0.0/16:0", "10.20.0.0/16"):
        assert agent.refused("GET", f"/v1/explain?app=web&dest={bad}").code == "bad_query"
    status, out, _ = agent.cli("explain", "web", "10.20.0.0/16:22")
    assert status == 1 and "part of it is allowed" in out and "inner" in out
    assert agent.cli("explain", "web", "[2001:db8::/32]:443")[0] == 0
    status, _, errors = agent.cli("explain", "web", "10.20.0.0/16")
    assert status == 2 and "needs a port" in errors


def test_caps_and_expiry(host, agent, app):
    """The caps are those that count it, with what is left; the expiry is the policy's."""
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    answer = agent.explain("web", f"{ALLOWED}:443")
    caps = {cap["scope"]: cap for cap in answer["caps"]}
    assert set(caps) == {"app", "own"}
    for cap in caps.values():
        assert cap["used"] > 0 and cap["rest"] == cap["limit"] - cap["used"]
    assert answer["expires"] == agent.app("web")["expires"]
    assert [cap["scope"] for cap in agent.explain("web", "10.20.0.1:443")["caps"]] == ["app"]
    assert agent.explain("web", f"{DENIED}:443")["reason"] == "no_rule"
    assert app.fails("connect", "d", DENIED, 443) == "EPERM"
    assert agent.explain("web", f"{APP}:8080", direction="ingress")["reason"] == "no_ingress_rule"


def test_names_and_their_grants(host, agent):
    begin(host)
    app = host.app(named("web", ["api.example", "*.wild.example"]))
    before = agent.explain("web", "api.example:443")
    assert (before["verdict"], before["rule"], before["grants"]) == ("allow", "named", [])
    assert agent.explain("web", f"{API}:443")["reason"] == "no_grant"
    assert app.dns_ask(ROUTER, "api.example")["addresses"] == [API]
    after = agent.explain("web", f"{API}:443")
    assert (after["verdict"], after["rule"], after["grant"]["name"]) == ("allow", "named", "api.example")
    assert after["grant"]["rest_s"] > 0
    assert [grant["address"] for grant in agent.explain("web", "api.example:443")["grants"]] == [API]
    assert agent.explain("web", "deep.a.wild.example:443")["verdict"] == "allow"
    assert agent.explain("web", "wild.example:443")["reason"] == "dns_name"
    # of a prefix a note says that grants are not in it
    found = agent.explain("web", "198.51.100.0/24:443")
    assert found["verdict"] == "deny" and "learned from DNS" in found["notes"][0]

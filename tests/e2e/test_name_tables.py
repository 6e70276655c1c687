# SPDX-License-Identifier: Apache-2.0
"""Names as the agent keeps them: the resolvers in force, the kernel's tables, and what is taken back."""
import os
import struct

import pytest

from harness import eventually, policy, rule
from harness.pinned import Map

ADDRESS = bytes(10) + b"\xff\xff\x0a\x00\x00\x63"
GRANT_SIZE = 280
GRANTS = 5000  # more than one step of the sweep looks at


@pytest.fixture
def config(tmp_path):
    return {"resolv_conf": str(tmp_path / "resolv.conf"), "max_names": 8}  # 80 with both revisions of a change


def resolvers_are(agent, *addresses):
    """Replaces the host's resolv.conf as resolvconf(8) and systemd do."""
    path = agent.config["resolv_conf"]
    with open(path + ".new", "w", encoding="ascii") as out:
        out.write("".join(f"nameserver {address}\n" for address in addresses) + "search corp.example\n")
    os.rename(path + ".new", path)


def used(agent, table="names"):
    return next(each["used"] for each in agent.status()["maps"] if each["name"] == table)


def named(app, *names, **more):
    return policy(app, [rule(list(names), 443)], **more)


def asked(agent, app):
    return agent.app(app)["dns"]


# ---- Resolvers -----------------------------------------------------------------------------------------------


def test_the_hosts_resolvers_are_followed(host, agent):
    resolvers_are(agent, "10.0.0.2", "fd00::53")
    agent.put(named("web", "a.example"))
    agent.put(named("fixed", "a.example", dns={"resolvers": ["10.0.0.9"]}))
    agent.put(policy("plain", [rule("10.0.0.1", 443)]))
    assert asked(agent, "web") == {"resolvers": ["10.0.0.2", "fd00::53"], "from": "host"}
    assert asked(agent, "fixed") == {"resolvers": ["10.0.0.9"], "from": "policy"}
    assert asked(agent, "plain") is None
    before = {name: app["policy_rev"] for name, app in agent.apps().items()}
    resolvers_are(agent, "10.0.0.3")
    eventually(lambda: asked(agent, "web") == {"resolvers": ["10.0.0.3"], "from": "host"})
    assert asked(agent, "fixed")["resolvers"] == ["10.0.0.9"]
    assert {name: app["policy_rev"] for name, app in agent.apps().items()} == before
    agent.event(type="policy", app="web", action="apply", policy_rev=before["web"], previous_rev=before["web"])
    assert "1 of 1 policies" in agent.stderr()
    # nobody is named while the network is down: what was known stays
    resolvers_are(agent)
    resolvers_are(agent, "10.0.0.4")
    eventually(lambda: asked(agent, "web")["resolvers"] == ["10.0.0.4"])
    eventually(lambda: used(agent) == 2)


def test_no_resolver_is_an_error_with_a_fix(host, agent):
    refusal = agent.refused("PUT", "/v1/policies/web", named("web", "a.example"))
    assert (refusal.status, refusal.code) == (400, "bad_policy")
    [error] = [diag for diag in refusal.details if diag["level"] == "error"]
    assert error["path"] == "egress[0].to" and error["line"] and "No resolver is known" in error["message"]
    assert '"dns": {"resolvers":' in error["fix"] and "resolv.conf" in error["fix"]
    assert agent.refused("GET", "/v1/apps/web").status == 404
    assert agent.put(named("web", "a.example", dns={"resolvers": ["10.0.0.2"]}))["changed"]


def test_an_agent_that_starts_before_the_network(bare_host):
    agent = bare_host.agent
    agent.write_policy(named("web", "a.example"))
    agent.start()
    assert agent.applied("web")["dns"] == {"resolvers": [], "from": "host"}
    resolvers_are(agent, "10.0.0.2")
    eventually(lambda: asked(agent, "web")["resolvers"] == ["10.0.0.2"])


def test_resolvers_that_changed_while_no_agent_ran(host, agent):
    """The tables of before are not taken for those of now, though the policy is the same."""
    resolvers_are(agent, "10.0.0.2")
    agent.put(named("web", "a.example", "*.b.example"))
    rules = Map(agent, "rules")
    before = rules.keys()
    agent.kill9()
    resolvers_are(agent, "10.0.0.3")
    agent.start()
    assert agent.applied("web")["dns"]["resolvers"] == ["10.0.0.3"]
    eventually(lambda: len(rules.keys()) == len(before) and not set(rules.keys()) & set(before))
    eventually(lambda: len(Map(agent, "names").keys()) == used(agent) == 2)


# ---- Tables ----------------------------------------------------------------------------------------------------


def test_names_come_and_go_with_their_revision(host, agent):
    names, more = Map(agent, "names"), {"dns": {"resolvers": ["10.0.0.2"], "ask_only": ["corp.example"]}}
    agent.put(named("web", "a.example", "*.b.example", **more))
    assert used(agent) == len(names.keys()) == 4
    wildcard = next(key for key in names.keys() if key[8:].startswith(b"elpmaxe.b."))
    assert struct.unpack("=I", wildcard[:4])[0] == 32 + 8 * len("b.example.") and wildcard[18:] == bytes(242)
    exact = next(key for key in names.keys() if key[8:].startswith(b"elpmaxe.a\0"))
    assert struct.unpack("=I", exact[:4])[0] == 32 + 8 * len("a.example.")
    agent.put(named("web", "c.example", **more))
    eventually(lambda: used(agent) == len(names.keys()) == 3)
    assert not set(names.keys()) & {wildcard, exact}
    agent.restart()  # adopts them
    agent.applied("web")
    assert used(agent) == len(names.keys()) == 3
    agent.api("DELETE", "/v1/policies/web")
    eventually(lambda: "web" not in agent.apps())
    eventually(lambda: used(agent) == len(names.keys()) == 0)


def test_names_that_a_killed_agent_left_behind(host, agent):
    agent.put(named("web", "a.example", dns={"resolvers": ["10.0.0.2"]}))
    names = Map(agent, "names")
    [mine] = names.keys()
    agent.kill9()
    names.update((mine[:4] + struct.pack(">I", 900000 + number) + mine[8:], bytes(16)) for number in range(20))
    assert len(names.keys()) == 21
    agent.start()
    eventually(lambda: names.keys() == [mine])
    assert used(agent) == 1


def test_a_full_table_refuses_the_policy(host, agent):
    more = {"dns": {"resolvers": ["10.0.0.2"]}}
    agent.put(named("web", *(f"h{number}.example" for number in range(70)), **more))
    rev = agent.app("web")["policy_rev"]
    assert any("table names is 87 % full" in alarm for alarm in agent.status()["alarms"])
    error = agent.refused("PUT", "/v1/policies/other", named("other", *(f"h{n}.example" for n in range(11)), **more))
    assert (error.status, error.code) == (507, "names_full")
    assert "max_names" in str(error) and "80 DNS names, 70 are in use" in str(error) and "11 more" in str(error)
    assert agent.app("web")["policy_rev"] == rev and used(agent) == len(Map(agent, "names").keys()) == 70
    agent.put(named("other", *(f"h{number}.example" for number in range(10)), **more))
    assert used(agent) == 80
    assert 'egret_table_entries{table="names"} 80' in agent.get("/metrics")


def grant_key(app, number):
    return struct.pack("=II", app["slot"], app["gen"]) + ADDRESS + struct.pack("=II", number, 0)


def test_grants_go_with_their_app(host, agent):
    for name in ("gone", "stays"):
        agent.put(named(name, "a.example", dns={"resolvers": ["10.0.0.2"]}))
    gone, stays = agent.app("gone"), agent.app("stays")
    grants = Map(agent, "grants")
    grants.update((grant_key(gone, number), bytes(GRANT_SIZE)) for number in range(GRANTS))
    kept = {grant_key(stays, number) for number in range(100)}
    grants.update((key, bytes(GRANT_SIZE)) for key in kept)
    assert len(grants.keys()) == GRANTS + 100
    agent.api("DELETE", "/v1/policies/gone")
    eventually(lambda: "gone" not in agent.apps())
    agent.put(named("next", "a.example", dns={"resolvers": ["10.0.0.2"]}))
    assert agent.app("next")["slot"] == gone["slot"] and agent.app("next")["gen"] != gone["gen"]
    eventually(lambda: set(grants.keys()) == kept)

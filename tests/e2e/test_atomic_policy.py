# SPDX-License-Identifier: Apache-2.0
"""A policy is switched whole: what the old and the new both deny never passes, what both allow never fails."""
import pytest

from harness import ALLOWED, ALLOWED6, DENIED, DENIED6, OTHER, eventually, policy, rule

FLIPS = 1000


def versions(**more):
    """Two policies: both allow ALLOWED, both deny DENIED, OTHER is in the second one only, with many more rules."""
    always = [rule([ALLOWED, ALLOWED6], 443), rule([ALLOWED, ALLOWED6], 443, "udp")]
    many = [rule([f"192.0.2.{n}" for n in range(100)], f"{port}-{port + 5}") for port in range(1000, 1200, 10)]
    return [
        policy("web", always, **more),
        policy("web", [rule(OTHER, "any"), *many, rule(OTHER, "any", "udp"), *always], **more),
    ]


@pytest.fixture
def web(host):
    host.serve([ALLOWED, ALLOWED6, OTHER, DENIED, DENIED6], 443)
    return host.app(versions()[0])


def start_floods(host, web):
    """Four processes, so that they meet the change on every CPU."""
    workers = [web] + [host.process(host.cgroup_of("web")) for _ in range(3)]
    for address in (ALLOWED, ALLOWED6):
        workers[0].flood_ask(f"tcp-{address}", address, 443)
        workers[1].flood_ask(f"udp-{address}", address, 443, "udp")
    workers[2].flood_connect("connect", ALLOWED, 443, "hello")
    workers[2].flood_udp("denied", DENIED, 443)
    workers[3].flood_udp("denied6", DENIED6, 443)
    workers[3].flood_connect("denied-connect", DENIED, 443, timeout=1)
    return workers


def stop_floods(workers):
    floods = [[f"tcp-{ALLOWED}", f"tcp-{ALLOWED6}"], [f"udp-{ALLOWED}", f"udp-{ALLOWED6}"],
              ["connect", "denied"], ["denied6", "denied-connect"]]
    return {name: worker.flood_stop(name) for worker, names in zip(workers, floods) for name in names}


def judge(host, tallies):
    for name, tally in tallies.items():
        wanted = {"EPERM"} if name.startswith("denied") else {"ok"}
        assert set(tally) == wanted, (name, tally)
        assert sum(tally.values()) > 50, (name, tally)
    host.unseen(DENIED)
    host.unseen(DENIED6)


def test_pushed_policies(host, agent, web):
    workers = start_floods(host, web)
    texts = versions(cgroups=host.glob_of("web"))
    for flip in range(FLIPS):
        assert agent.put(texts[flip % 2])["reset_sockets"] == 0, flip
    judge(host, stop_floods(workers))
    eventually(lambda: {m["name"]: m["used"] for m in agent.status()["maps"]}["rulesets"] <= 2)
    used = {m["name"]: m["used"] for m in agent.status()["maps"]}
    assert used["rules"] < 250, used  # of two revisions at most, the larger having 103


def test_policy_files(host, agent, web):
    agent.api("DELETE", "/v1/policies/web")
    texts = versions(cgroups=host.glob_of("web"))
    agent.write_policy(texts[0])
    revs = set()
    eventually(lambda: agent.apps()["web"]["source"] == "directory")
    workers = start_floods(host, web)
    for flip in range(1, 41):
        before = agent.app("web")["policy_rev"]
        revs.add(before)
        agent.write_policy(texts[flip % 2])
        eventually(lambda seen=before: agent.app("web")["policy_rev"] != seen)
    judge(host, stop_floods(workers))
    assert len(revs) > 1


def test_the_address_that_changes_follows(host, agent, web):
    """When PUT has answered, the new policy is what every packet meets."""
    texts = versions(cgroups=host.glob_of("web"))
    for flip in range(1, 101):
        agent.put(texts[flip % 2])
        if flip % 2:
            assert web.sendto("u", OTHER, 443) == 1
        else:
            assert web.fails("sendto", "u", OTHER, 443) == "EPERM"
    assert host.wire("in", dst=OTHER) == (50, 50 * 29)


def test_audit_and_enforce(host, agent, web):
    """Turning audit on and off never drops what is allowed, and PUT's answer is its border."""
    web.flood_ask("tcp", ALLOWED, 443)
    for flip in range(100):
        agent.put(policy("web", [rule([ALLOWED, ALLOWED6], 443), rule(ALLOWED, 443, "udp")],
                         cgroups=host.glob_of("web"), mode="audit" if flip % 2 else "enforce"))
        outcome = web.fails("sendto", "u", DENIED, 443)
        assert outcome == (None if flip % 2 else "EPERM")
    assert set(web.flood_stop("tcp")) == {"ok"}

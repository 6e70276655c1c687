# SPDX-License-Identifier: Apache-2.0
"""One build is replaced by the next, and that by the one before, under load: not one packet is judged wrongly."""
import os
import subprocess

from harness import ALLOWED, ALLOWED6, DENIED, DENIED6, OTHER, eventually, policy, rule
from harness.agent import BUILD, EGRETD
from harness.events import flow_sums

NEXT = os.path.join(BUILD, "next", "egretd")
FLOWS = 12
CAP = 100_000
SUMS = ("bytes_out", "bytes_in", "packets_out", "packets_in")


def version(program):
    return subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout.split()[1]


def pinned(agent):
    (build,) = os.listdir(f"{agent.bpffs}/programs")
    return build


def load(host, web):
    """Long flows and short ones, of TCP and UDP, IPv4 and IPv6; and what is not allowed, in each of these ways."""
    for number in range(FLOWS):
        web.flood_ask(f"tcp{number}", (ALLOWED, ALLOWED6)[number % 2], 443, size=200, pause=0.01)
        web.flood_ask(f"udp{number}", (ALLOWED, ALLOWED6)[number % 2], 443, "udp", pause=0.01)
    for number, (good, bad) in enumerate(((ALLOWED, DENIED), (ALLOWED6, DENIED6))):
        web.flood_connect(f"new{number}", good, 443, "hello", reset=True, pause=0.01)
        web.flood_udp(f"bad-udp{number}", bad, 443, pause=0.01)
        web.flood_connect(f"bad-tcp{number}", bad, 443, "hello", pause=0.01)




def test_up_and_down_under_load(host, agent):
    versions = {EGRETD: version(EGRETD), NEXT: version(NEXT)}
    assert versions[EGRETD] != versions[NEXT]
    agent.stop()
    agent.configure(events={"rate": "1000000/s", "burst": 1000000, "ring": "4MiB", "priority_ring": "1MiB"})
    agent.start()
    host.serve([ALLOWED, ALLOWED6, DENIED, DENIED6], 443)
    host.serve([OTHER], 443, ["udp"], "sink")
    web = host.app(policy("web", [rule([ALLOWED, ALLOWED6], 443), rule([ALLOWED, ALLOWED6], 443, "udp")], log="full"))
    limits = {"egress": {"bytes": f"{CAP}B", "per": "31d", "action": "drop"}}
    capped = host.app(policy("capped", [rule(OTHER, 443, "udp")], limits=limits))
    held = host.app(policy("held", [rule(ALLOWED, 443)]))
    agent.kill("held")
    load(host, web)
    capped.flood_udp("all", OTHER, 443, size=500, pause=0.01)
    builds, before = {}, agent.app("web")
    for turn, program in enumerate((NEXT, EGRETD, NEXT, EGRETD)):
        agent.kill9() if turn % 2 else agent.stop()
        agent.program = program
        agent.start()
        assert agent.status()["agent"]["version"] == versions[program]
        builds.setdefault(program, set()).add(pinned(agent))
        now = agent.app("web")
        assert [now[key] for key in ("slot", "gen", "policy_rev")] == [before[key] for key in ("slot", "gen", "policy_rev")]
        assert all(now[key] > before[key] for key in SUMS)
        before = now
        agent.put(policy(f"turn{turn}", [rule(ALLOWED, 443)]))  # what one writes the other reads
        assert set(agent.apps()) == {"web", "capped", "held"} | {f"turn{number}" for number in range(turn + 1)}
        assert held.fails("connect", f"c{turn}", ALLOWED, 443) == "EPERM"
        eventually(lambda: agent.app("web")["flows"] > before["flows"], what="new flows under the new build")
    assert len(builds[EGRETD]) == len(builds[NEXT]) == 1 and builds[EGRETD] != builds[NEXT]

    # Not one wrong answer, on either side.
    for number in range(FLOWS):
        for name in ("tcp", "udp"):
            assert set(web.flood_stop(f"{name}{number}")) == {"ok"}, (name, number)
    refused = 0
    for number in range(2):
        assert set(web.flood_stop(f"new{number}")) == {"ok"}
        for name in ("bad-udp", "bad-tcp"):
            tally = web.flood_stop(f"{name}{number}")
            assert set(tally) == {"EPERM"}, (name, tally)
            refused += tally["EPERM"]
    host.unseen(DENIED)
    host.unseen(DENIED6, proto="tcp")
    host.unseen(DENIED6, proto="udp")
    assert set(capped.flood_stop("all")) == {"sent", "EPERM"}
    packet = 500 + 28
    assert host.wire("in", dst=OTHER)[1] == CAP // packet * packet

    # Counters have gone on, and the log adds up with them.
    assert agent.count("web", "no_rule") == refused
    assert agent.count("capped", "cap_egress") >= 1
    web.stop()

    def adds_up():
        told, counted = flow_sums(agent.log(), "web"), agent.app("web")
        assert told == {key: counted[key] for key in SUMS}
        return [counted["packets_out"], counted["bytes_out"]] == [sum(pair) for pair in zip(
            host.wire("in", dst=ALLOWED), host.wire("in", dst=ALLOWED6, proto="tcp"),
            host.wire("in", dst=ALLOWED6, proto="udp"))]

    eventually(adds_up, 30, "that the wire, the kernel and the log agree")
    assert len(agent.log(app="web", type="deny")) == refused

# SPDX-License-Identifier: Apache-2.0
"""A fleet on one etcd: pushed and cut, each host of it, through restarts, a compaction and wrong clocks.

EGRET_FLEET_AGENTS (6), EGRET_FLEET_ROUNDS (3) and EGRET_FLEET_RESTARTS (2) make it larger: `make fleet`. What was
measured over all of the hosts is printed: pytest -s.
"""
import os
import signal

import pytest

from harness import Host, eventually
from harness.fleet import PORTS, Fleet
from harness.policy import in_days
from harness.preload import WrongClock

AGENTS, ROUNDS, RESTARTS = (int(os.environ.get(f"EGRET_FLEET_{name}", default))
                            for name, default in (("AGENTS", 6), ("ROUNDS", 3), ("RESTARTS", 2)))
DAY_S = 86400


@pytest.fixture(scope="module")
def fleet():
    with Host() as host, Fleet(host, AGENTS) as made:
        made.push("web", PORTS[0])
        made.in_force("web", PORTS[0], 180)
        made.beat("web")
        yield made


def tell(what, times_ns):
    times = sorted(time / 1e6 for time in times_ns)
    print(f"\n{what}, {len(times)} times on {AGENTS} hosts: p50 {times[len(times) // 2]:.1f} ms, "
          f"p99 {times[int(len(times) * 0.99)]:.1f} ms, most {times[-1]:.1f} ms, load {os.getloadavg()[0]:.1f}")


def refused_by_all(fleet, what):
    """Each sends, each is refused, and nothing arrives."""
    eventually(lambda: len(fleet.sender.beaten()["refused"]) == AGENTS, what=what)
    assert fleet.sender.beaten()["first"] == {}


def test_each_push_is_enforced_by_all(fleet):
    took = []
    for turn in range(ROUNDS):
        port = PORTS[(turn + 1) % 2]
        fleet.sender.beat_phase(port)
        refused_by_all(fleet, "each refused before")
        sent = fleet.push("web", port)
        first = fleet.beaten("first", "the new rule on all")
        took += [when - sent for when in first.values()]
        fleet.sender.beat_phase()
    assert all(agent.count("web", "no_rule_port") >= ROUNDS for agent in fleet.agents)
    tell("control-plane write to enforced", took)


def test_each_kill_stops_all(fleet):
    port, took, upto = PORTS[ROUNDS % 2], [], []
    for turn in range(ROUNDS):
        fleet.sender.beat_phase(port)
        fleet.beaten("first", "packets of all")
        fleet.sender.beat_phase(port, until_refused=True)
        fleet.beaten("first", "packets of all")
        sent = fleet.gateway.put("/egret/kills/web", {"killed": True, "reason": f"round {turn}"})
        last, ended = fleet.beaten("last", "the kill on all")
        took += [max(0, when - sent) for when in last.values()]
        upto += [when - sent for when in ended.values()]
        fleet.state("web", "killed")
        fleet.sender.beat_phase(port)
        refused_by_all(fleet, "each refused again")
        fleet.sender.beat_phase()
        fleet.gateway.put("/egret/kills/web", {"killed": False})
        fleet.state("web", "enforce")
        # what the kills leave to do is done before the next round: here all hosts have the same few CPUs
        fleet.each(lambda agent, count=turn + 1: eventually(
            lambda: len(agent.log(type="agent", app="web", action="snapshot")) == count, 120, "its snapshot"))
    for agent in fleet.agents:
        kills = eventually(lambda a=agent: len(a.log(type="kill", app="web")) == ROUNDS and a.log(type="kill", app="web"))
        assert [kill["cause"] for kill in kills] == [f"round {turn}" for turn in range(ROUNDS)]
        assert agent.count("web", "killed") >= ROUNDS
    tell("kill through etcd to last packet", took)
    tell("kill through etcd to the first that is refused", upto)


def freeze(agents, how):
    for agent in agents:
        os.kill(agent.status()["control"]["pid"], how)


def test_nothing_is_missed_through_restarts(fleet):
    """Policies and kills written right before and right after etcd was killed; half sleep through a compaction."""
    asleep = fleet.agents[: AGENTS // 2]
    for turn in range(RESTARTS):
        compacts = turn == RESTARTS // 2
        app, port = f"turn{turn}", 6000 + turn
        if compacts:
            freeze(asleep, signal.SIGSTOP)
        fleet.push(app, port)
        fleet.gateway.put(f"/egret/kills/{app}", "killed")
        fleet.etcd.restart()
        fleet.gateway.connect()
        fleet.gateway.put(f"/egret/kills/after{turn}", "killed")
        if compacts:
            fleet.etcd.ctl("compact", str(fleet.etcd.revision()))
            freeze(asleep, signal.SIGCONT)
        fleet.state(app, "killed", 120)
        fleet.in_force(app, port, 120)
        for agent in fleet.agents:
            agent.event(120, type="kill", app=f"after{turn}")
        fleet.gateway.put(f"/egret/kills/{app}", {"killed": False})
        fleet.state(app, "enforce", 120)
    for agent in fleet.agents:
        control = eventually(lambda a=agent: a.status()["control"]["connected"] and a.status()["control"])
        assert control["errors"] == [] and control["starts"] == 1, control
        for turn in range(RESTARTS):
            assert len(agent.log(type="kill", app=f"turn{turn}")) == 1
            assert len(agent.log(type="restore", app=f"turn{turn}")) == 1
            assert len(agent.log(type="kill", app=f"after{turn}")) == 1
        assert {hold["app"] for hold in agent.status()["holds"]} == {f"after{turn}" for turn in range(RESTARTS)}
    states = eventually(lambda: len(fleet.gateway.states()) == AGENTS and fleet.gateway.states(), 60, "all states")
    assert all(state["error_count"] == 0 for state in states.values())
    print(f"\n{RESTARTS} restarts of etcd and a compaction, {AGENTS} hosts: "
          f"{3 * RESTARTS * AGENTS} kills and restores, none missed, none twice")


def test_wrong_clocks(fleet):
    """Kills and restores go by their numbers, whatever the hosts' clocks say. What a policy says of time is by them."""
    for agent, days in zip(fleet.agents, (1, -1)):
        clock = WrongClock(agent.directory)
        clock.set(days * DAY_S)
        agent.stop()
        agent.start(env=clock.env)
    for turn in range(2):
        fleet.gateway.put("/egret/kills/web", {"killed": True, "reason": f"clocks {turn}"})
        fleet.state("web", "killed")
        fleet.gateway.put("/egret/kills/web", {"killed": False})
        fleet.state("web", "enforce")
    days = {agent.log(type="kill", cause="clocks 1")[0]["ts"][:10] for agent in fleet.agents}
    assert len(days) == 3, "the clocks were not wrong"

    # half a day to go: over for the one that is ahead, who says so; the others have it
    fleet.push("short", PORTS[0], expires=in_days(0.5))

    def told():
        states = fleet.gateway.states()
        of = {host: state["policies"].get("short", {}) for host, state in states.items()}
        return len(of) == AGENTS and all(of.values()) and of

    of = eventually(told, 60, "what each made of it")
    assert of.pop("host-0")["error"]["code"] == "bad_policy"
    assert all(set(policy) == {"rev"} for policy in of.values())
    fleet.push("short", PORTS[0], expires=in_days(2))
    fleet.in_force("short", PORTS[0])

# SPDX-License-Identifier: Apache-2.0
"""Thousands of policies, and of alerts that all kill at once: each is taken, and a kill through etcd waits for none.

EGRET_STORM_APPS (1000) makes it larger: `make fleet`. What was measured is printed: pytest -s.
"""
import os
import signal
import time

import pytest

from harness import ALLOWED, Host, cgroup, eventually
from harness.fleet import PORTS, Fleet

APPS = int(os.environ.get("EGRET_STORM_APPS", "1000"))
NAMES = [f"many{number}" for number in range(APPS)]
PATIENCE_S = 600
ALERT = {"when": "denied", "over": "1/min", "action": "kill"}


@pytest.fixture(scope="module")
def fleet():
    with Host() as host, Fleet(host, 1, max_apps=APPS + 64, max_rules=APPS + 1000) as made:
        made.push("web", PORTS[0])
        made.in_force("web", PORTS[0])
        made.beat("web")
        yield made


@pytest.fixture
def agent(fleet):
    return fleet.agents[0]


def kill_web(fleet, why, before=None):
    """While it sends, and right after before(); ms to the first that is refused."""
    for until_refused in (False, True):  # the first beat may be told of the last kill's reset
        fleet.sender.beat_phase(PORTS[0], until_refused)
        fleet.beaten("first", "its packets")
    if before:
        before()
    sent = fleet.gateway.put("/egret/kills/web", {"killed": True, "reason": why})
    _, ended = fleet.beaten("last", "its kill", PATIENCE_S)
    fleet.sender.beat_phase()
    return (ended["0"] - sent) / 1e6


def restore_web(fleet):
    fleet.gateway.put("/egret/kills/web", {"killed": False})
    fleet.state("web", "enforce", PATIENCE_S)


def came_before_the_end(agent, why, **of_the_others):
    """Whether its kill is in the log before the last of the others' events."""
    events = agent.log()
    (mine,) = [at for at, event in enumerate(events) if event["type"] == "kill" and event.get("cause") == why]
    others = [at for at, event in enumerate(events) if event.get("app") in NAMES and
              all(event.get(key) == value for key, value in of_the_others.items())]
    assert len(others) == APPS
    return mine < others[-1]


def test_all_policies_are_synced(fleet, agent):
    quiet = kill_web(fleet, "quiet")
    restore_web(fleet)
    sync = agent.status()["control"]["pid"]
    os.kill(sync, signal.SIGSTOP)  # so that all of them are to be put when it is killed
    fleet.gateway.put_many({f"/egret/policies/{name}": fleet.policy(name, PORTS[0], alerts=[ALERT]) for name in NAMES})
    began = time.monotonic()
    took = kill_web(fleet, "amid policies", lambda: os.kill(sync, signal.SIGCONT))

    def there():
        control = agent.status()["control"]
        return control["policies"] == APPS + 1 and control

    control = eventually(there, PATIENCE_S, "every policy")
    print(f"\n{APPS} policies from etcd in force after {time.monotonic() - began:.1f} s; kill to the first refused {took:.1f} ms, "
          f"{quiet:.1f} ms before, load {os.getloadavg()[0]:.1f}")
    assert control["errors"] == [] and set(NAMES) <= set(agent.apps())
    eventually(lambda: len(agent.log(type="policy", action="apply")) >= APPS + 1, PATIENCE_S, "their events")
    assert came_before_the_end(agent, "amid policies", type="policy")
    eventually(lambda: fleet.gateway.states()["host-0"]["policy_count"] == APPS + 1, 60, "the state")
    restore_web(fleet)


def test_a_storm_of_alerts_delays_no_kill(fleet, agent):
    """All of the apps send what is denied, and are killed for it, one after the other; the kill from etcd is among them."""
    paths = [f"{agent.root}/{name}.scope" for name in NAMES]
    for path in paths:
        cgroup.make(path)
    eventually(lambda: all(app["cgroups"] for app in agent.apps().values()), PATIENCE_S, "their tags")
    uid = next(fleet.host.uids)
    worker = fleet.host.process(paths[0], uid=uid)
    for path in [agent.root, *paths]:  # it is moved by itself, and has no rights beside
        os.chown(os.path.join(cgroup.full(path), "cgroup.procs"), uid, -1)
    worker.stand_in("s", [cgroup.full(path) for path in paths], ALLOWED)

    began = time.monotonic()

    def storm():
        assert worker.storm("s", APPS, ALLOWED, PORTS[1], 3) == 3 * APPS
        agent.event(60, type="kill", layer="auto")

    took = kill_web(fleet, "amid alerts", storm)
    eventually(lambda: len(agent.log(type="kill", layer="auto")) == APPS, PATIENCE_S, "every alert's kill")
    print(f"\n{APPS} alerts that kill, told and done after {time.monotonic() - began:.1f} s; kill to the first refused {took:.1f} ms, "
          f"load {os.getloadavg()[0]:.1f}")
    assert came_before_the_end(agent, "amid alerts", type="kill", layer="auto")
    eventually(lambda: len(agent.log(type="alert", alert="denied", action="kill")) == APPS, 60, "every alert")
    assert {app["state"] for name, app in agent.apps().items() if name in NAMES} == {"killed"}
    assert worker.storm("s", APPS, ALLOWED, PORTS[0], 1) == APPS
    fleet.state("web", "killed")

# SPDX-License-Identifier: Apache-2.0
"""A first start, and a removal, that are cut short: nothing half made is taken for whole, nothing old comes back."""
import os
import time

from harness import ALLOWED, DENIED, policy, rule


def works(app, name, address=ALLOWED):
    app.connect(name, address, 443)
    answer = app.ask(name)
    app.close(name, reset=True)
    return answer == "ping"


def test_a_first_start_that_is_cut_short(bare_host):
    """At any moment of it: the next one finds nothing in its way, and takes nothing half made for whole."""
    host, agent = bare_host, bare_host.agent
    host.serve([ALLOWED, DENIED], 443)
    agent.write_policy(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    web = host.process(host.cgroup_of("web"))
    cut = 0
    for delay in (0.03, 0.06, 0.1, 0.2, 0.4, 0.8):
        agent.process = agent.spawn()
        time.sleep(delay)
        cut += agent.process.poll() is None
        agent.kill9()
    assert cut == 6, agent.stderr()
    agent.start()
    assert works(web, "c")
    assert web.fails("connect", "d", DENIED, 443) == "EPERM"
    assert agent.count("web", "no_rule") == 1
    agent.event(type="deny", app="web", dst=DENIED, reason="no_rule")
    host.unseen(DENIED)
    assert "draft" not in os.listdir(f"{agent.bpffs}/programs")


def test_a_removal_that_is_cut_short(host, agent):
    """What is left of the maps is nobody's any more: no app of it, and no rule of it, comes back."""
    host.serve([ALLOWED, DENIED], 443)
    web = host.app(policy("web", [rule(ALLOWED, 443)]))
    old = host.app(policy("old", [rule(DENIED, 443)]))
    assert works(old, "c", DENIED)
    agent.api("DELETE", "/v1/policies/old")
    agent.stop()
    os.unlink(f"{agent.bpffs}/maps/host_ctl")  # the first that goes
    for turn in range(3):
        agent.start()
        assert works(web, "c")
        for number, app in enumerate((web, old)):
            assert app.fails("connect", f"d{turn}{number}", DENIED, 443) == "EPERM"
        agent.stop()
        done = agent.spawn("--detach-all")
        time.sleep(0.03 * turn)
        done.kill()
        done.wait()
    agent.start()
    assert "fresh maps" in agent.stderr()
    assert works(web, "c")
    assert web.fails("connect", "d", DENIED, 443) == "EPERM"
    agent.event(type="deny", app="web", dst=DENIED, reason="no_rule")


def test_a_pin_that_can_not_be_opened_is_no_leftover(host, agent):
    """Whatever it is that stands in the way: what is in force stays, and the start fails in one line."""
    host.serve([ALLOWED, DENIED], 443)
    web = host.app(policy("web", [rule(ALLOWED, 443)]))
    agent.stop()
    maps = f"{agent.bpffs}/maps"
    os.unlink(f"{maps}/host_ctl")
    os.mkdir(f"{maps}/host_ctl")
    before = sorted(os.listdir(maps))
    status, errors, _ = agent.run()
    assert status == 1 and f"{maps}/host_ctl can't be opened" in errors[-1], errors
    assert sorted(os.listdir(maps)) == before
    assert works(web, "c")
    assert web.fails("connect", "d", DENIED, 443) == "EPERM"
    os.rmdir(f"{maps}/host_ctl")

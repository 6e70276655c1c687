# SPDX-License-Identifier: Apache-2.0
"""The host runs out of something under egretd: enforcement stands, kills work, and it is said what is amiss."""
from harness import ALLOWED, DENIED, cgroup, eventually, policy, rule
from harness.preload import NoInotify


def works(app, name):
    app.connect(name, ALLOWED, 443)
    answer = app.ask(name)
    app.close(name, reset=True)
    return answer == "ping"


# ---- Inotify instances: any process of root's, in any container, can use up the limit ---------------------------


def test_without_inotify_instances(bare_host, tmp_path):
    host, agent, inotify = bare_host, bare_host.agent, NoInotify(str(tmp_path))
    host.serve([ALLOWED, DENIED], 443)
    agent.write_policy(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    cgroup.make(host.cgroup_of("early"))
    agent.start(env={**inotify.env, "ASAN_OPTIONS": "verify_asan_link_order=0"})
    eventually(lambda: any("max_user_instances" in alarm for alarm in agent.status()["alarms"]), what="the alarm")
    web = host.app(name="web")  # its cgroup is found by looking
    assert works(web, "c")
    assert web.fails("connect", "d", DENIED, 443) == "EPERM"
    assert agent.count("web", "no_rule") == 1
    agent.event(type="deny", app="web", dst=DENIED, reason="no_rule")
    agent.write_policy(policy("late", [rule(ALLOWED, 443)], cgroups=host.glob_of("late")))
    agent.applied("late")
    assert agent.kill("web")["durable"] is True
    assert web.fails("connect", "e", ALLOWED, 443) == "EPERM"
    inotify.free()
    eventually(lambda: not agent.status()["alarms"], what="the end of the alarm")
    assert "all cgroups are watched again" in agent.stderr()
    late = host.app(name="late")
    assert works(late, "c")

# SPDX-License-Identifier: Apache-2.0
"""The host fails egretd: it runs out of something, its clock is set, what an app lives in is removed. Enforcement
stands, kills work, what is amiss is said, and afterwards all is as ever."""
import os
import signal

from harness import ALLOWED, ALLOWED6, DENIED, OTHER, cgroup, eventually, in_days, policy, rule
from harness.events import flow_sums
from harness.net import run
from harness.preload import NoInotify, WrongClock

MONTH = 31  # days: the longest window
CAP = 10_000
CAP_NET_ADMIN = 12
SUMS = ("bytes_out", "bytes_in", "packets_out", "packets_in")
RESET = ("ECONNABORTED", "ECONNRESET", "EPIPE")
ASAN = {"ASAN_OPTIONS": "verify_asan_link_order=0"}


def works(app, name, address=ALLOWED):
    app.connect(name, address, 443)
    answer = app.ask(name)
    app.close(name, reset=True)
    return answer == "ping"


def sends(app, count=20):
    """How many of them get through, in packets of 1,000 bytes; the others are refused at once."""
    tally = app.burst("u", OTHER, 443, 972, count)
    assert set(tally) <= {"sent", "EPERM"} and sum(tally.values()) == count
    return tally.get("sent", 0)


def capped(app):
    return policy(app, [rule(OTHER, 443, "udp")], expires=in_days(80),
                  limits={"egress": {"bytes": f"{CAP}B", "per": f"{MONTH}d", "action": "drop"}})


class Load:
    """An app that asks by an old connection and by new ones, and is refused others: with no wrong answer at the end."""

    def __init__(self, host):
        self.host, self.agent = host, host.agent
        host.serve([ALLOWED, ALLOWED6, DENIED], 443)
        self.app = host.app(policy("load", [rule(ALLOWED6, 443)], log="full", expires=in_days(80)))
        self.app.flood_ask("live", ALLOWED6, 443, pause=0.005)
        self.app.flood_connect("new", ALLOWED6, 443, "hello", reset=True, pause=0.01)
        self.app.flood_connect("denied", DENIED, 443, "hello", pause=0.01)

    def end(self, new=("ok",)):
        """new: what may come of new connections."""
        assert set(self.app.flood_stop("live")) == {"ok"}
        assert set(self.app.flood_stop("new")) <= set(new)
        assert set(self.app.flood_stop("denied")) == {"EPERM"}
        self.host.unseen(DENIED)
        self.app.stop()

    def adds_up(self):
        """the wire, the kernel and the log agree"""
        told, counted = flow_sums(self.agent.log(), "load"), self.agent.app("load")
        assert told == {key: counted[key] for key in SUMS}
        return (counted["packets_out"], counted["bytes_out"]) == self.host.wire("in", dst=ALLOWED6, proto="tcp")


# ---- Inotify instances: any process of root's, in any container, can use up the limit ---------------------------


def test_without_inotify_instances(bare_host, tmp_path):
    host, agent, inotify = bare_host, bare_host.agent, NoInotify(str(tmp_path))
    host.serve([ALLOWED, DENIED], 443)
    agent.write_policy(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    cgroup.make(host.cgroup_of("early"))
    agent.start(env={**inotify.env, **ASAN})
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


# ---- Disks -----------------------------------------------------------------------------------------------------


def test_full_disks(bare_host):
    """Of state and log: what can't be kept is refused or said, also by an agent that starts then."""
    host, agent = bare_host, bare_host.agent
    disks = [host.small_disk(directory) for directory in (agent.state_dir, agent.log_dir)]
    agent.start()
    load = Load(host)
    cap = host.app(capped("cap"))
    held = host.app(policy("held", [rule(ALLOWED, 443)]))
    host.serve([OTHER], 443, ["udp"], "sink")
    for disk in disks:
        disk.fill()
    wider = policy("held", [rule([ALLOWED, DENIED], 443)], cgroups=host.glob_of("held"))
    before = agent.app("held")["policy_rev"]
    error = agent.refused("PUT", "/v1/policies/held", wider)
    assert (error.status, error.code) == (507, "not_stored")
    assert agent.app("held")["policy_rev"] == before
    assert held.fails("connect", "c", DENIED, 443) == "EPERM"
    assert works(held, "d")
    assert sends(cap) == CAP // 1000
    assert agent.kill("held")["durable"] is False
    assert held.fails("connect", "e", ALLOWED, 443) == "EPERM"
    alarms = ("kills can't", "the use of caps can't", "events can't")
    eventually(lambda: {words for words in alarms for alarm in agent.status()["alarms"] if words in alarm} == set(alarms),
               what="the alarms")
    agent.kill9()
    agent.start()
    assert agent.app("held")["state"] == "killed"
    assert held.fails("connect", "f", ALLOWED, 443) == "EPERM"
    assert sends(cap) == 0
    agent.kill("held")
    for disk in disks:
        disk.free()
    eventually(lambda: not agent.status()["alarms"], what="the end of the alarms")
    assert agent.app("held")["holds"][0]["durable"]
    agent.put(wider)
    load.end()
    eventually(load.adds_up, 30)
    agent.event(type="deny", app="held", reason="killed")
    agent.event(type="cap", app="cap", percent=100)
    agent.reboot()
    assert held.fails("connect", "g", ALLOWED, 443) == "EPERM"
    assert sends(cap) == 0
    assert agent.count("cap", "cap_egress") == 20


# ---- Memory ----------------------------------------------------------------------------------------------------


def test_no_memory(bare_host):
    """What egretd and its maps may have is used up: nothing is let through for that, and connections go on."""
    host, agent = bare_host, bare_host.agent
    limit = host.memory_limit()
    agent.configure(max_rules=1_000_000)
    agent.start()
    load = Load(host)
    held = host.app(policy("held", [rule(ALLOWED, 443)]))
    held.connect("c", ALLOWED, 443)
    limit.set(limit.usage() + (2 << 20))
    statuses = []
    try:
        while len(statuses) < 40 and all(status < 300 for status in statuses):
            many = [f"198.18.{n >> 8}.{n & 255}" for n in range(4000)]
            big = policy(f"big{len(statuses)}", [rule(many, 443)])
            statuses.append(agent.request("PUT", f"/v1/policies/{big['app']}", big)[0])
        agent.kill("held")
    except OSError:  # the kernel has ended it
        agent.process.wait(20)
        agent.process = None
        killed = agent.cli("kill", "held", "--direct", "--bpffs", agent.bpffs, "--state-dir", agent.state_dir)
        assert killed[0] == 0, killed
    assert limit.hits() > 0 and (not agent.process or statuses[-1] in (500, 507)), statuses
    assert held.fails("connect", "d", ALLOWED, 443) == "EPERM"
    limit.set()
    if not agent.process:
        agent.start()
    eventually(lambda: agent.app("held")["state"] == "killed")
    agent.put(policy("after", [rule(ALLOWED, 443)]))
    assert works(host.app(policy("later", [rule(ALLOWED, 443)])), "c")
    load.end(new=("ok", "EPERM", "ENOMEM"))
    eventually(load.adds_up, 30)
    agent.event(type="deny", app="held", reason="killed")


# ---- The clock -------------------------------------------------------------------------------------------------


def test_the_clock_is_set(bare_host, tmp_path):
    """A month ahead while egretd stands still, as after a suspend, and back: what has ended stays so, and no window
    is given twice."""
    host, agent, clock = bare_host, bare_host.agent, WrongClock(str(tmp_path))
    environment = {**clock.env, **ASAN}
    agent.start(env=environment)
    load = Load(host)
    cap = host.app(capped("cap"))
    ends = host.app(policy("ends", [rule(ALLOWED, 443)], expires=in_days(20)))
    lax = host.app(policy("lax", [rule(ALLOWED, 443)], expires=in_days(80)))
    host.serve([OTHER], 443, ["udp"], "sink")
    host.serve([OTHER], 443, ["tcp"])
    ends.connect("live", ALLOWED, 443)
    agent.api("POST", "/v1/apps/lax/relax", {"for": "1h", "reason": "drill"})
    assert sends(cap) == CAP // 1000

    agent.process.send_signal(signal.SIGSTOP)
    clock.set(MONTH * 86400)
    agent.process.send_signal(signal.SIGCONT)
    assert ends.end("live") in RESET
    assert ends.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert agent.app("ends")["state"] == "expired"
    assert agent.event(type="expire", app="ends")["ts"] > in_days(MONTH - 1)
    eventually(lambda: agent.app("cap")["caps"][0]["used"] == 0, what="the next window")
    assert sends(cap) == CAP // 1000

    for again in (False, True):
        clock.set(0)
        if again:
            agent.kill9()
            agent.start(env=environment)
        eventually(lambda: agent.log(app="ends", type="deny")[-1]["ts"] < in_days(1)
                   if ends.fails("connect", "d", ALLOWED, 443) == "EPERM" else False, what="the time of before")
        assert agent.app("ends")["state"] == "expired"
        assert sends(cap) == 0
        clock.set(MONTH * 86400)
        eventually(lambda: agent.log(app="ends", type="deny")[-1]["ts"] > in_days(1)
                   if ends.fails("connect", "d", ALLOWED, 443) == "EPERM" else False, what="the time ahead")
        assert sends(cap) == 0
        assert works(lax, "c", OTHER)  # an hour by the kernel's own clock
    clock.set(0)
    load.end()
    assert host.wire("in", dst=OTHER, proto="udp") == (2 * CAP // 1000, 2 * CAP)
    eventually(load.adds_up, 30)
    assert len(agent.log(type="expire", app="ends")) == 1


def test_looks_go_on_when_the_clock_is_set_back(bare_host, tmp_path):
    """What is looked at every second is, though the clock on the wall needs a month to be where it was."""
    host, agent, clock = bare_host, bare_host.agent, WrongClock(str(tmp_path))
    clock.set(MONTH * 86400)  # for who waits by the kernel's own clock, that is set back from there
    agent.start(env={**clock.env, **ASAN})
    host.serve([OTHER], 443, ["udp"], "sink")
    assert sends(host.app(capped("cap"))) == CAP // 1000

    def written():
        with open(os.path.join(agent.state_dir, "usage"), encoding="utf-8") as lines:
            return [line for line in lines if line.startswith("cap ") and line.endswith(f" {CAP}\n")]

    eventually(written, what="what is used of the cap, on disk")
    agent.put(policy("admin", [rule(OTHER, 443)], cgroups=host.glob_of("admin"), expires=in_days(80)))
    cgroup.make(host.cgroup_of("admin"))
    host.tagged("admin")
    admin = host.process(host.cgroup_of("admin"), caps=[CAP_NET_ADMIN])
    agent.event(type="alert", app="admin", action="netns_admin")
    assert admin.fails("connect", "c", OTHER, 443) == "EPERM"
    assert agent.count("admin", "netns_admin") >= 1


# ---- What an app lives in --------------------------------------------------------------------------------------


def test_its_cgroup_is_removed_under_a_live_app(host, agent):
    """Somebody moves its processes out: their sockets are the app's still, and a kill stops them."""
    load = Load(host)
    web = host.app(policy("web", [rule(ALLOWED, 443), rule(ALLOWED, 443, "udp")]))
    web.connect("c", ALLOWED, 443)
    web.sendto("u", ALLOWED, 443)
    other = host.other_cgroup()
    with open(f"{cgroup.full(other)}/cgroup.procs", "w", encoding="ascii") as procs:
        procs.write(str(web.pid))
    os.rmdir(cgroup.full(host.cgroup_of("web")))
    eventually(lambda: agent.app("web")["cgroups"] == [], what="the end of its cgroup")
    assert web.ask("c") == "ping"
    assert web.fails("sendto", "u", DENIED, 443) == "EPERM"
    assert agent.count("web", "no_rule") == 1
    assert agent.event(type="deny", app="web", dst=DENIED)["cgroup"].endswith(host.cgroup_of("web"))
    load.end()
    agent.kill("web")
    before = host.wire("in", dst=ALLOWED)
    assert web.fails("sendto", "u", ALLOWED, 443) == "EPERM"
    assert web.fails("ask", "c", timeout=1) in ("ETIMEDOUT", *RESET)
    assert host.wire("in", dst=ALLOWED) == before
    assert agent.count("web", "killed") >= 2
    eventually(lambda: agent.status()["enforcement_ok"])


def test_its_network_is_removed_under_a_live_app(host, agent):
    """The name of its namespace, and the link that leads out of it: the sockets are found all the same."""
    host.serve([ALLOWED], 443)
    web = host.app(policy("web", [rule(ALLOWED, 443)]))
    gone = host.app(policy("gone", [rule(ALLOWED, 443)]))
    gone.unshare_user()
    for name in ("c", "d"):
        web.connect(name, ALLOWED, 443)
    run("ip", "netns", "del", host.network.app)
    gone.stop()
    run("ip", "-n", host.network.server, "link", "del", "up0")
    agent.kill("web")
    assert {web.end(name) for name in ("c", "d")} <= set(RESET)
    assert web.fails("connect", "e", ALLOWED, 443) == "EPERM"
    assert agent.count("web", "killed") >= 1
    agent.event(type="deny", app="web", reason="killed")
    agent.kill("gone")
    assert agent.status()["enforcement_ok"] and not agent.status()["alarms"]

# SPDX-License-Identifier: Apache-2.0
"""Least privilege: what egretd and its processes have left, and what others and apps can do to them: nothing."""
import os
import re
import subprocess

import pytest

from harness import ALLOWED, Host, Worker, cgroup, eventually, policy, rule
from harness.agent import EGRETD, TREE
from harness.privileges import bits, capabilities, expected, status, table

UNITS = ("egretd.service", "egret-early.service")
PROCESSES = ("egretd", "ship", "sync", "lookup", "keeper")
OUTSIDER = 20990
SYS_PTRACE, SYS_KILL, SYS_SETPRIORITY, SYS_PRLIMIT64, SYS_MOVE_PAGES = 101, 62, 141, 302, 279
PTRACE_ATTACH, PTRACE_SEIZE, RLIMIT_NOFILE = 16, 0x4206, 7
NO = ("EACCES", "EPERM")


class Site:
    """A running agent with a child of each kind, an app, and users without rights."""

    def __init__(self, host):
        self.host, self.agent = host, host.agent
        host.agent.configure(
            ship_user="nobody", sinks=[{"name": "far", "type": "webhook", "url": "http://127.0.0.1:9/", "timeout": "1s"}],
            helper_user="games",
            control={"source": "etcd", "endpoints": ["http://127.0.0.1:9"], "user": "daemon"})
        host.agent.start(extra_groups=[0])  # as sudo does
        host.serve([ALLOWED], 443)
        self.app = host.app(policy("web", [rule(ALLOWED, 443)]))
        host.agent.put(policy("names", [rule(["x.example"], 443, prefetch=True)], dns={"resolvers": ["127.0.0.9"]}))
        self.rootlike = host.process(host.cgroup_of("web"))  # root of a user namespace of its own
        self.rootlike.unshare_user()
        self.outsider = Worker(uid=OUTSIDER)
        host.workers.append(self.outsider)
        keepers = os.path.join(cgroup.full(host.root), "egret-keeper")
        self.pids = {
            "egretd": host.agent.process.pid,
            "ship": eventually(lambda: host.agent.get("/v1/sinks")["pid"], what="egret-ship"),
            "sync": eventually(lambda: host.agent.status()["control"]["pid"], what="egret-sync"),
            "lookup": eventually(lambda: host.agent.status()["prefetch"]["helper_pid"], what="egret-lookup"),
            "keeper": int(open(f"{keepers}/cgroup.procs", encoding="ascii").read()),
        }
        for name, pid in self.pids.items():  # the agent's two filters are its children's from the beginning
            jailed = 2 if name == "egretd" else 3
            eventually(lambda p=pid, n=jailed: int(status(p)["Seccomp_filters"]) >= n, what=f"{name}'s jail")

    def users(self):
        return {"outsider": self.outsider, "app": self.app, "root of a user namespace": self.rootlike}


@pytest.fixture(scope="module")
def site():
    with Host() as host:
        yield Site(host)


def unharmed(site):
    """Enforcement, the app's way, and every process are as they were."""
    assert site.agent.status()["enforcement_ok"] is True and site.agent.app("web")["state"] == "enforce"
    for name, pid in site.pids.items():
        assert status(pid)["State"][0] in "SR", name
    site.app.connect("still", ALLOWED, 443)
    assert site.app.ask("still") == "ping"
    site.app.close("still")


# ---- What they have ------------------------------------------------------------------------------------------


def test_egretd_has_the_table_and_no_more(site):
    permitted, children = table()
    threads = []
    for task in os.listdir(f"/proc/{site.pids['egretd']}/task"):  # capabilities and filters are each thread's own
        try:
            threads.append(status(f"{site.pids['egretd']}/task/{task}"))
        except FileNotFoundError:
            pass  # one that had only a little to do
    assert len(threads) > 3
    for seen in threads:
        assert capabilities(seen) == expected(permitted, children), seen["Name"]
        assert (seen["NoNewPrivs"], seen["Seccomp"], seen["Seccomp_filters"]) == ("1", "2", "2"), seen["Name"]


@pytest.mark.parametrize("name, user, filters", [
    ("ship", 65534, 4), ("sync", 1, 4), ("lookup", 5, 3), ("keeper", 0, 3)])  # the agent's two, and their own
def test_children_have_nothing(site, name, user, filters):
    seen = status(site.pids[name])
    assert capabilities(seen) == expected()
    assert set(seen["Uid"].split()) == {str(user)} and seen["Groups"].strip() == ""
    assert (seen["NoNewPrivs"], seen["Seccomp"], seen["Seccomp_filters"]) == ("1", "2", str(filters))
    assert os.stat(f"/proc/{site.pids[name]}/mem").st_uid == 0  # not dumpable


def test_children_come_back_and_go(site):
    """egretd can start and end other users' processes with what it has left."""
    for name, ask in (("ship", lambda: site.agent.get("/v1/sinks")["pid"]),
                      ("sync", lambda: site.agent.status()["control"]["pid"]),
                      ("lookup", lambda: site.agent.status()["prefetch"]["helper_pid"])):
        os.kill(site.pids[name], 9)
        site.pids[name] = eventually(lambda: ask() not in (0, site.pids[name]) and ask(), 60, name)  # pylint: disable=W0640
    os.kill(site.pids["keeper"], 9)
    procs = os.path.join(cgroup.full(site.host.root), "egret-keeper/cgroup.procs")

    def another():
        with open(procs, encoding="ascii") as file:
            return next((int(line) for line in file if int(line) != site.pids["keeper"]), 0)

    site.pids["keeper"] = eventually(another, what="another keeper")
    for name in PROCESSES[1:]:
        eventually(lambda: capabilities(status(site.pids[name])) == expected(), what=name)  # pylint: disable=W0640


@pytest.mark.parametrize("missing", ["CAP_SYS_PTRACE", "CAP_SYS_ADMIN"])
def test_a_start_without_what_it_needs_fails(bare_host, missing):
    """It says what is missing and for what, and attaches nothing."""
    agent = bare_host.agent
    done = subprocess.run(["setpriv", f"--bounding-set=-{missing[4:].lower()}", EGRETD, "--config", agent.config_file],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert re.fullmatch(rf"(<\d>)?egretd: egretd lacks {missing}, which it needs for .+\n", done.stderr), done.stderr
    assert not os.path.exists(agent.bpffs) and not os.path.exists(agent.state_dir)


# ---- What others can do to them --------------------------------------------------------------------------------


@pytest.mark.parametrize("who", ["outsider", "app", "root of a user namespace"])
@pytest.mark.parametrize("name", PROCESSES)
def test_no_process_of_it_can_be_touched(site, who, name):
    user, pid = site.users()[who], site.pids[name]
    attempts = {
        "a signal": ("syscall", SYS_KILL, pid, 9),
        "signal 0": ("syscall", SYS_KILL, pid, 0),
        "PTRACE_ATTACH": ("syscall", SYS_PTRACE, PTRACE_ATTACH, pid, 0, 0),
        "PTRACE_SEIZE": ("syscall", SYS_PTRACE, PTRACE_SEIZE, pid, 0, 0),
        "process_vm_readv": ("read_memory", pid),
        "pidfd_getfd": ("steal_fd", pid, 0),
        "prlimit": ("syscall", SYS_PRLIMIT64, pid, RLIMIT_NOFILE, 0, 0),
        "setpriority": ("syscall", SYS_SETPRIORITY, 0, pid, 19),
        "move_pages": ("syscall", SYS_MOVE_PAGES, pid, 0, 0, 0, 0, 0),
        **{file: ("look_into", f"/proc/{pid}/{file}")
           for file in ("mem", "environ", "maps", "auxv", "fd", "fdinfo", "map_files", "io", "stack", "syscall", "ns/net")},
        "root": ("look_into", f"/proc/{pid}/root/etc/passwd"),
        "oom_score_adj": ("look_into", f"/proc/{pid}/oom_score_adj", os.O_WRONLY),
        "coredump_filter": ("look_into", f"/proc/{pid}/coredump_filter", os.O_WRONLY),
    }
    got = {what: user.fails(*attempt) for what, attempt in attempts.items()}
    assert {what: error for what, error in got.items() if error not in NO} == {}
    unharmed(site)


@pytest.mark.parametrize("name, user", [("ship", 65534), ("sync", 1), ("lookup", 5)])
def test_its_secrets_are_safe_from_its_own_user(site, name, user):
    """Whoever runs as the same user can signal it, but reads nothing of it."""
    same, pid = Worker(uid=user), site.pids[name]
    site.host.workers.append(same)
    attempts = [("syscall", SYS_PTRACE, PTRACE_ATTACH, pid, 0, 0), ("read_memory", pid), ("steal_fd", pid, 0),
                *(("look_into", f"/proc/{pid}/{file}") for file in ("mem", "environ", "maps", "fd"))]
    assert {attempt: same.fails(*attempt) for attempt in attempts if same.fails(*attempt) not in NO} == {}


def test_the_keeper_is_safe_from_a_root_without_capabilities(site):
    """As which a container may run that shares the host's PID namespace."""
    root, pid = Worker(uid=0), site.pids["keeper"]
    site.host.workers.append(root)
    for attempt in (("syscall", SYS_PTRACE, PTRACE_ATTACH, pid, 0, 0), ("read_memory", pid), ("look_into", f"/proc/{pid}/mem")):
        assert root.fails(*attempt) in NO, attempt


@pytest.mark.parametrize("who", ["outsider", "app", "root of a user namespace"])
def test_no_file_of_it_is_open(site, who):
    agent, user = site.agent, site.users()[who]
    agent.event(type="policy", app="web")
    paths = [agent.bpffs, agent.state_dir, agent.log_dir]
    for top in (agent.bpffs, agent.state_dir):
        paths += [os.path.join(directory, name) for directory, below, files in os.walk(top) for name in below + files]
    paths += [os.path.join(agent.log_dir, name) for name in os.listdir(agent.log_dir)]
    assert len(paths) > 30
    assert {path: user.fails("look_into", path) for path in paths if user.fails("look_into", path) not in NO} == {}
    assert user.fails("connect_unix", agent.socket) in NO
    for pin in os.listdir(f"{agent.bpffs}/maps"):
        assert user.fails("get_map", f"{agent.bpffs}/maps/{pin}") in NO, pin
    root = cgroup.full(site.host.root)
    for file in ("cgroup.procs", "cgroup.freeze", "cgroup.kill", "cgroup.subtree_control", "egret-keeper/cgroup.procs",
                 "egret-keeper/cgroup.kill"):
        assert user.fails("look_into", f"{root}/{file}", os.O_WRONLY) in NO, file
    unharmed(site)


def test_files_of_others_are_no_hindrance(bare_host):
    """As where a backup was put back, or the log given to somebody: egretd may not chmod(2) what is not root's."""
    agent = bare_host.agent
    agent.start()
    bare_host.app(policy("web", [rule(ALLOWED, 443)]))
    agent.kill("web")
    agent.stop()
    for top in (agent.state_dir, agent.log_dir):
        os.chown(top, OUTSIDER, OUTSIDER)
        for directory, below, files in os.walk(top):
            for name in below + files:
                os.chown(os.path.join(directory, name), OUTSIDER, OUTSIDER)
    os.chmod(f"{agent.state_dir}/holds.journal", 0o644)
    agent.configure(ship_user="nobody", sinks=[{"name": "far", "type": "webhook", "url": "http://127.0.0.1:9/"}])
    agent.start()
    assert agent.app("web")["state"] == "killed"
    eventually(lambda: agent.get("/v1/sinks")["pid"], what="egret-ship")
    modes = {path: (os.stat(path).st_uid, os.stat(path).st_mode & 0o7777)
             for path in (f"{agent.state_dir}/holds.journal", agent.log_dir, f"{agent.state_dir}/ship")}
    assert list(modes.values()) == [(OUTSIDER, 0o600), (OUTSIDER, 0o750), (65534, 0o700)]


# ---- The units ----------------------------------------------------------------------------------------------------


def unit(name):
    """{setting: words}, as systemd adds them up."""
    settings = {}
    with open(os.path.join(TREE, "agent/core", name), encoding="ascii") as file:
        for line in file:
            if "=" in line and not line.startswith("#"):
                key, value = line.rstrip("\n").split("=", 1)
                settings.setdefault(key, []).extend(value.split())
    return settings


@pytest.mark.parametrize("name", UNITS)
def test_the_units_leave_what_the_table_has(name):
    settings = unit(name)
    assert bits(word[4:] for word in settings["CapabilityBoundingSet"]) == bits(table()[0])
    assert set(settings["RestrictAddressFamilies"]) == {"AF_UNIX", "AF_INET", "AF_INET6", "AF_NETLINK"}
    for key, value in {"NoNewPrivileges": "yes", "ProtectSystem": "strict", "RestrictNamespaces": "net",
                       "MemoryDenyWriteExecute": "yes", "SystemCallArchitectures": "native", "UMask": "0077"}.items():
        assert settings[key] == [value], key


def calls_of(name):
    """What a name in SystemCallFilter= stands for."""
    if not name.startswith("@"):
        return {name}
    said = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, timeout=60, check=True)
    words = [line.strip() for line in said.stdout.splitlines() if line.startswith("    ")]
    return set().union(*(calls_of(word) for word in words if not word.startswith("#")))


@pytest.mark.parametrize("name, less", [("egretd.service", set()), ("egret-early.service", {"sched_setscheduler"})])
def test_the_units_refuse_no_call_of_egretds_own_list(name, less):
    """Theirs holds from the first instruction on, and its refusals are told nowhere. The early one serves no kills."""
    refused = set()
    with open(os.path.join(TREE, "agent/core", name), encoding="ascii") as file:
        for sign, names in re.findall(r"^SystemCallFilter=(~?)(.+)$", file.read(), re.M):
            calls = set().union(*map(calls_of, names.split()))
            refused = refused | calls if sign else refused - calls
    with open(os.path.join(TREE, "agent/core/syscalls.c"), encoding="ascii") as file:
        own = set(re.findall(r"(?:ALLOW\(|\bIS\(SYS_)(\w+)", file.read()))
    assert len(refused) > 100 and len(own) > 100
    assert refused & own == less


def test_the_man_page_has_the_table():
    with open(os.path.join(TREE, "agent/core/egretd.8"), encoding="ascii") as file:
        section = file.read().split(".SH CAPABILITIES\n")[1].split("\n.SH ")[0]
    assert set(re.findall(r"^\.B CAP_(\w+)$", section, re.M)) == table()[0]

# SPDX-License-Identifier: Apache-2.0
"""What is wrong with the host or the call is said in one line, and leaves nothing half-started."""
import os
import re
import signal
import socket
import subprocess
import time

import pytest

from harness import ALLOWED, DENIED, cgroup, eventually, policy, rule
from harness.agent import EGRETD


def one_line(status, errors, *words):
    """It failed, with one line for a person."""
    assert status not in (0, None) and status > 0, (status, errors)
    assert len(errors) == 1, errors
    for word in words:
        assert word in errors[0], errors
    assert len(errors[0]) < 600


def untouched(host, agent):
    """No pins, no socket, no keeper."""
    assert not os.path.exists(agent.socket)
    assert not os.path.isdir(f"{agent.bpffs}/links") or not os.listdir(f"{agent.bpffs}/links")
    assert cgroup.pids(host.root) == []


@pytest.fixture
def agent(bare_host):
    return bare_host.agent


@pytest.fixture
def host(bare_host):
    return bare_host


@pytest.mark.parametrize("arguments", [[], ["--early"], ["--detach-all"]], ids=["run", "early", "detach-all"])
def test_not_root(host, agent, arguments):
    os.chmod(host.directory, 0o777)
    status, errors, _ = agent.run(*arguments, user=65534, group=65534, extra_groups=[])
    one_line(status, errors, "root")
    untouched(host, agent)


@pytest.mark.parametrize("text, words", [
    ("{", ["egret.json:"]),
    ("[]", ["egret.json", "object"]),
    ('{"sockett": "/x"}', ["egret.json", "sockett"]),
    ('{"max_apps": 0}', ["max_apps"]),
    ('{"max_apps": "many"}', ["max_apps"]),
    ('{"max_apps": 99999999999999999999}', ["egret.json"]),
    ('{"cgroup_root": []}', ["cgroup_root"]),
    ('{"cgroup_root": ["a.slice", "a.slice/b.slice"]}', ["a.slice/b.slice"]),
    ('{"cgroup_root": "../x"}', ["cgroup_root"]),
    ('{"unknown_cgroup": "ignore"}', ["unknown_cgroup"]),
    ('{"max_apps": 5, "max_apps": 6}', ["egret.json:1"]),
    ('{"event_quota": "5 parsecs"}', ["event_quota"]),
    ('{"groups": {"admin": 5}}', ["groups.admin"]),
    ('{"sinks": [{"name": "a", "type": "hec"}]}', ["sinks[0].url"]),
])
@pytest.mark.parametrize("check", [False, True], ids=["run", "check-config"])
def test_bad_config(host, agent, text, words, check):
    with open(agent.config_file, "w", encoding="utf-8") as config:
        config.write(text)
    status, errors, _ = agent.run(*(["--check-config"] if check else []))
    one_line(status, errors, *words)
    untouched(host, agent)


def test_missing_config(host, agent):
    os.unlink(agent.config_file)
    status, errors, _ = agent.run()
    one_line(status, errors, agent.config_file)


@pytest.mark.parametrize("arguments, word", [
    (["--no-such-flag"], "--no-such-flag"), (["-x"], "-x"), (["--socket"], "--socket"), (["extra"], "extra"),
    (["--early", "--detach-all"], "exclude"), (["--max-apps", "x"], "--max-apps"),
])
def test_bad_flags(host, agent, arguments, word):
    status, errors, _ = agent.run(*arguments)
    one_line(status, errors, word)
    assert status == 2


def test_help_version_and_a_good_config(host, agent):
    status, errors, out = agent.run("--help")
    assert (status, errors) == (0, []) and out.startswith("Usage: egretd")
    status, errors, out = agent.run("--version")
    assert (status, errors) == (0, []) and out.startswith("egretd ")
    assert agent.run("--check-config")[0] == 0
    untouched(host, agent)


def in_other_mounts(agent, *preparation):
    """egretd where these mounts were changed before, in a mount namespace of its own."""
    script = " && ".join([*preparation, f"exec {EGRETD} --config {agent.config_file}"])
    done = subprocess.run(["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, timeout=60,
                          stdin=subprocess.DEVNULL, check=False)
    return done.returncode, done.stderr.splitlines()


def test_no_bpffs(host, agent):
    one_line(*in_other_mounts(agent, "umount -l /sys/fs/bpf"), "mount -t bpf")
    untouched(host, agent)


def test_a_bpffs_that_is_none(host, agent):
    agent.configure(bpffs=os.path.join(host.directory, "bpf"))
    status, errors, _ = agent.run()
    one_line(status, errors, "BPF filesystem")
    agent.configure(bpffs=agent.bpffs)
    untouched(host, agent)


def test_no_cgroup2(host, agent):
    one_line(*in_other_mounts(agent, f"umount -l {cgroup.CGROUP2}"), "cgroup")
    untouched(host, agent)


def test_no_btf(host, agent):
    one_line(*in_other_mounts(agent, "mount -t tmpfs none /sys/kernel/btf"), "BTF")
    untouched(host, agent)


def test_a_root_that_is_missing(host, agent):
    agent.configure(cgroup_root=host.root)
    status, errors, _ = agent.run()
    one_line(status, errors, host.root, "create")
    untouched(host, agent)
    assert not os.path.exists(cgroup.full(host.root))


def test_stale_pins(host, agent):
    """Maps of another version: nothing is touched, and it is said what to do."""
    os.makedirs(f"{agent.bpffs}/maps")
    subprocess.run(["bpftool", "map", "create", f"{agent.bpffs}/maps/host_ctl", "type", "array", "key", "4", "value",
                    "8", "entries", "1", "name", "host_ctl"], check=True, capture_output=True)
    status, errors, _ = agent.run()
    one_line(status, errors, "--detach-all", agent.bpffs)
    assert os.listdir(f"{agent.bpffs}/maps") == ["host_ctl"]
    assert agent.detach_all()[0] == 0
    agent.start()


@pytest.mark.parametrize("name, kind, key, value", [
    ("denied", "array", 4, 8), ("cgroups", "hash", 4, 16), ("meters", "hash", 4, 32),
])
def test_stale_pins_of_any_map(host, agent, name, kind, key, value):
    """Sizes or kind of one map are not ours: the same line, and what is in force stays so."""
    host.serve([ALLOWED, DENIED], 443)
    agent.start()
    app = host.app(policy("web", [rule(ALLOWED, 443)]))
    agent.stop()
    os.unlink(f"{agent.bpffs}/maps/{name}")
    subprocess.run(["bpftool", "map", "create", f"{agent.bpffs}/maps/{name}", "type", kind, "key", str(key), "value",
                    str(value), "entries", "65", "name", name], check=True, capture_output=True)
    maps = sorted(os.listdir(f"{agent.bpffs}/maps"))
    status, errors, _ = agent.run()
    one_line(status, errors, "--detach-all", agent.bpffs, "another version")
    assert sorted(os.listdir(f"{agent.bpffs}/maps")) == maps
    assert app.fails("connect", "c", DENIED, 443) == "EPERM"
    app.connect("d", ALLOWED, 443)
    assert app.ask("d") == "ping"
    assert agent.detach_all()[0] == 0
    agent.start()
    assert agent.status()["enforcement_ok"] is True


def test_a_second_agent_on_the_same_state_dir(host, agent):
    agent.start()
    host.serve([ALLOWED, DENIED], 443)
    app = host.app(policy("web", [rule(ALLOWED, 443)]))
    second = host.make_agent("second", state_dir=agent.state_dir)
    status, errors, _ = second.run()
    one_line(status, errors, agent.state_dir)
    assert not os.path.exists(second.bpffs)
    assert app.fails("connect", "c", DENIED, 443) == "EPERM"
    app.connect("d", ALLOWED, 443)
    assert agent.status()["enforcement_ok"] is True


def test_a_second_agent_on_the_same_pins_or_socket(host, agent):
    agent.start()
    for shared in ("bpffs", "socket"):
        second = host.make_agent(f"second-{shared}", **{shared: agent.config[shared]})
        second.configure(cgroup_root={"path": f"{host.name}.second.slice", "create": True})
        host.outside.append(f"{host.name}.second.slice")
        status, errors, _ = second.run()
        one_line(status, errors, agent.config[shared])
        assert agent.status()["enforcement_ok"] is True
        if shared == "socket":
            assert second.detach_all()[0] == 0


def test_a_dead_agents_socket_is_replaced(host, agent):
    agent.start()
    agent.kill9()
    assert os.path.exists(agent.socket)
    agent.start()


def test_what_is_no_socket_is_not_replaced(host, agent):
    with open(agent.socket, "w", encoding="ascii") as precious:
        precious.write("precious")
    status, errors, _ = agent.run()
    one_line(status, errors, agent.socket)
    with open(agent.socket, encoding="ascii") as precious:
        assert precious.read() == "precious"


def test_two_agents_side_by_side(host, agent):
    agent.start()
    host.serve([ALLOWED, DENIED], 443)
    other = host.make_agent("other", root=f"{host.name}.side.slice")
    other.start()
    one = host.app(policy("web", [rule(ALLOWED, 443)]))
    path = f"{other.root}/web.scope"
    other.put(policy("web", [rule(DENIED, 443)], cgroups=[path]))
    cgroup.make(path)
    other.tag(path, "web")
    two = host.process(path)
    one.connect("c", ALLOWED, 443)
    two.connect("c", DENIED, 443)
    assert one.fails("connect", "d", DENIED, 443) == two.fails("connect", "d", ALLOWED, 443) == "EPERM"
    assert other.detach_all()[0] != 0  # it runs
    other.stop()
    assert other.detach_all()[0] == 0
    assert one.fails("connect", "e", DENIED, 443) == "EPERM"


def test_a_poor_environment(host, agent):
    """No locked memory, few files, no variables, closed standard input and output."""
    agent.process = subprocess.Popen(
        ["prlimit", "--memlock=0", "--nofile=256", "--core=0", "sh", "-c",
         f"exec env -i {EGRETD} --config {agent.config_file} <&- >&- 2>&-"])
    eventually(agent.ready, 60)
    host.serve([ALLOWED, DENIED], 443)
    app = host.app(policy("web", [rule(ALLOWED, 443)]))
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    assert app.fails("connect", "d", DENIED, 443) == "EPERM"


def test_systemd_is_told(host, agent):
    """READY=1 comes when enforcement is on, and not before."""
    path = os.path.join(host.directory, "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(60)
        agent.process = agent.spawn(env={**os.environ, "NOTIFY_SOCKET": path})
        message = ""
        while "READY=1" not in message:
            message = notify.recv(4096).decode()
        assert agent.status()["enforcement_ok"] is True
        agent.process.terminate()
        while "STOPPING=1" not in message:
            message = notify.recv(4096).decode()
        assert agent.process.wait(20) == 0
        agent.process = None


def test_a_long_start_says_how_far_it_is(bare_host):
    """To systemd and in the log; the agent is held up here, so that it takes long."""
    agent, path, many = bare_host.agent, os.path.join(bare_host.directory, "notify"), 2000
    agent.configure(max_apps=many)
    for number in range(many):
        agent.write_policy(policy(f"app-{number}", [rule(ALLOWED, 443)]))
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notify:
        notify.bind(path)
        notify.settimeout(60)
        agent.process = agent.spawn(env={**os.environ, "NOTIFY_SOCKET": path})
        messages = [notify.recv(4096).decode()]
        while "STATUS=loading policies" not in messages[-1]:
            messages.append(notify.recv(4096).decode())
        agent.process.send_signal(signal.SIGSTOP)
        time.sleep(2.2)
        agent.process.send_signal(signal.SIGCONT)
        while "READY=1" not in messages[-1]:
            messages.append(notify.recv(4096).decode())
    found = re.search(r"STATUS=(loading: (\d+) policies with (\d+) addresses so far)", "\n".join(messages))
    assert 0 < int(found[2]) <= int(found[3]) + 1 <= many + 1 and found[1] in agent.stderr()
    assert agent.status()["apps"]["enforce"] == many

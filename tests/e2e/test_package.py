# SPDX-License-Identifier: Apache-2.0
"""The Debian package, on a machine with systemd: installed, upgraded under traffic, removed, purged."""
import json
import os
import re
import shutil
import subprocess

import pytest

from harness import ALLOWED, DENIED, cgroup, eventually, policy, rule
from harness.agent import BUILD, TREE
from harness.machine import Machine
from harness.privileges import capabilities, expected, status, table

UNITS = {"egretd.service": 43, "egret-early.service": 43}  # tenths of what `systemd-analyze security` may say at most


@pytest.fixture(scope="module")
def package():
    """Its file, made from what was built."""
    done = subprocess.run(["make", "-s", "-C", TREE, "deb", f"BUILD={BUILD}"], capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.search(r"^deb: (\S+)$", done.stdout, re.M).group(1)


def rebuilt(egretd):
    """As if its programs had been compiled from other source: the same, under another build's digest."""
    with open(egretd, "r+b") as file:
        program = file.read()
        at = program.index(b"\0bind.bpf.c\0")  # a symbol that names a source file
        file.seek(at + 1)
        file.write(b"BIND")


def newer(package, directory):
    """The same package as a later version, with one file more and other programs."""
    tree = os.path.join(directory, "newer")
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = os.path.join(tree, "DEBIAN/control")
    with open(control, encoding="utf-8") as file:
        text = file.read()
    with open(control, "w", encoding="utf-8") as file:
        file.write(re.sub(r"^(Version: .*)$", r"\1+later", text, flags=re.M))
    with open(os.path.join(tree, "usr/share/doc/egret/later"), "w", encoding="utf-8") as file:
        file.write("later\n")
    rebuilt(os.path.join(tree, "usr/sbin/egretd"))
    made = f"{tree}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "-Znone", "-b", tree, made], check=True, capture_output=True)
    return made


def dpkg(machine, *arguments):
    return machine.run("dpkg", "--no-triggers", "--force-confold,unsafe-io", *arguments,
                       DEBIAN_FRONTEND="noninteractive")


@pytest.fixture
def machine(bare_host):
    """A machine on which the package's agent would keep its pins away from others'."""
    with Machine(bare_host) as machine:
        os.makedirs(machine.path("/etc/egret"))
        with open(machine.path("/etc/egret/egret.json"), "w", encoding="utf-8") as file:
            json.dump({"bpffs": bare_host.bpffs, "max_apps": 64, "max_rules": 8192, "host": "test-host",
                       "helper_user": "egret-lookup", "events": {"ring": "4MiB", "priority_ring": "1MiB"},
                       "sinks": [{"name": "disk", "type": "file", "path": "/var/log/egret-events/events.ndjson"}]},
                      file)
        bare_host.agent.socket = machine.path("/run/egret/egret.sock")
        bare_host.agent.log_dir = machine.path("/var/log/egret")
        yield machine


def process(machine, name):
    """(PID as seen there, status as /proc tells it) of the oldest that runs: a child has its name until it executes."""
    pid = machine.try_run("pgrep", "-o", "-x", name).stdout.strip()
    return (int(pid), status(pid, machine.path("/proc"))) if pid else None


def running(machine):
    """egretd's PID. It has what its table and its unit leave to it, and no more."""
    said = machine.try_run("systemctl", "is-active", "egretd.service", "egret-early.service").stdout
    assert said.split() == ["active", "active"], said + machine.journal()
    pid, seen = process(machine, "egretd")
    permitted, children = table()
    unit = machine.run("systemctl", "show", "-P", "CapabilityBoundingSet", "egretd.service").split()
    assert {name[4:].upper() for name in unit} == permitted
    assert capabilities(seen) == expected(permitted, children)
    assert (seen["NoNewPrivs"], seen["Seccomp"]) == ("1", "2") and int(seen["Seccomp_filters"]) > 1
    with open(machine.path(f"/proc/{pid}/mountinfo"), encoding="utf-8") as mounts:
        options = {line.split()[4]: line.split()[5].split(",")[0] for line in mounts}
    assert [options[path] for path in ("/", "/proc/sys", "/sys", "/sys/fs/bpf", "/sys/fs/cgroup", "/var/log")] == [
        "ro", "ro", "ro", "rw", "rw", "rw"]
    return pid


def web(host):
    """An app of the machine's, tagged."""
    host.serve([ALLOWED, DENIED], 443)
    path = "microapps.slice/web.scope"
    host.agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=[path]))
    cgroup.make(f"{host.root}/{path}")
    eventually(lambda: host.agent.app("web")["cgroups"], what="the tag")
    return host.process(f"{host.root}/{path}")


def built(agent):
    """The digest of the programs that are in force."""
    (build,) = os.listdir(f"{agent.bpffs}/programs")
    return build


def swapped(host, machine, app, arguments):
    """dpkg under traffic: another egretd, the same connections, nothing let through, nothing counted anew."""
    agent, before = host.agent, host.agent.app("web")
    pid, denied = running(machine), agent.count("web", "no_rule")
    app.flood_ask("live", ALLOWED, 443)
    app.flood_connect("new", ALLOWED, 443, "hello")
    app.flood_udp("denied", DENIED, 443)
    app.flood_connect("denied too", DENIED, 443)
    dpkg(machine, *arguments)
    assert running(machine) != pid
    after = agent.app("web")
    ends = {name: app.flood_stop(name) for name in ("live", "new", "denied", "denied too")}
    assert {name: set(end) for name, end in ends.items()} == {
        "live": {"ok"}, "new": {"ok"}, "denied": {"EPERM"}, "denied too": {"EPERM"}}
    host.unseen(DENIED)
    assert after["slot"] == before["slot"] and after["policy_rev"] == before["policy_rev"]
    assert after["bytes_out"] > before["bytes_out"] and after["flows"] > before["flows"]
    assert agent.count("web", "no_rule") >= denied + ends["denied too"]["EPERM"]
    assert agent.log(type="deny", app="web", dst=DENIED) and agent.log(type="agent", action="start", adopted=True)


def left(machine):
    """What the machine has of Egret that this one has not."""
    upper = machine.path("/") + machine.disk.lstrip("/") + "/upper"
    return sorted(os.path.join(directory, name)[len(upper):] for directory, below, files in os.walk(upper)
                  for name in below + files if "egret" in name.lower())


@pytest.mark.without_sanitizers(reason="at their end they trace the program, which the machine's container refuses")
def test_the_package_from_install_to_purge(bare_host, machine, package):
    host, agent = bare_host, bare_host.agent
    for name in ("first.deb", "later.deb"):
        shutil.copy(package if name == "first.deb" else newer(package, host.directory), machine.path(f"/tmp/{name}"))

    # Installed: it runs as its unit says, under users of its own.
    dpkg(machine, "-i", "/tmp/first.deb")
    running(machine)
    assert machine.run("systemd-analyze", "verify", *UNITS) == ""
    assert "enforcement is on" in machine.journal() and "real-time scheduling is refused" not in machine.journal()
    assert agent.status()["enforcement_ok"] is True
    app = web(host)
    users = machine.run("getent", "passwd", "egret", "egret-lookup").splitlines()
    assert [user.split(":")[0] for user in users] == ["egret", "egret-lookup"]
    agent.put(policy("names", [{"id": "n", "to": ["x.example"], "proto": "tcp", "ports": [443], "prefetch": True}],
                     cgroups=["microapps.slice/names.scope"], dns={"resolvers": ["127.0.0.53"]}))
    for child, user in zip(("egret-ship", "egret-lookup"), users):
        seen = eventually(lambda: process(machine, child), what=child)[1]  # pylint: disable=cell-var-from-loop
        assert seen["Uid"].split("\t")[0] == user.split(":")[2] and capabilities(seen) == expected()
    assert machine.run("dpkg", "--verify", "egret").split() == ["??5??????", "c", "/etc/egret/egret.json"]
    assert "egret_enforcement_ok" in machine.run("cat", "/usr/share/egret/egret-alerts.yml")
    assert json.loads(machine.run("cat", "/usr/share/egret/egret-dashboard.json"))["title"] == "Egret"
    machine.run("man", "-w", "egretd", "egret", "egret-policy", "egret-event", "egret-ship")
    assert "kill" in machine.run("bash", "-c", ". /usr/share/bash-completion/completions/egret && complete -p egret && "
                                 "egret __complete -- k")

    # Upgraded under traffic, then back to the older one, as an operator would.
    builds = [built(agent)]
    for options, name in (((), "later.deb"), (("--force-downgrade",), "first.deb")):
        swapped(host, machine, app, [*options, "-i", f"/tmp/{name}"])
        builds.append(built(agent))
    assert builds[0] == builds[2] != builds[1]
    assert '"test-host"' in machine.run("cat", "/etc/egret/egret.json")

    # An upgrade to one that does not start leaves in force what was.
    config = machine.path("/etc/egret/egret.json")
    os.rename(config, f"{config}.aside")
    with open(config, "w", encoding="utf-8") as file:
        file.write("no JSON")
    assert "egretd did not restart; what was enforced before stays enforced" in dpkg(machine, "-i", "/tmp/later.deb")
    assert process(machine, "egretd") is None and app.fails("connect", "denied", DENIED, 443) == "EPERM"
    app.connect("more", ALLOWED, 443)
    assert app.ask("more") == "ping"

    # A removal that can't end enforcement is none.
    done = machine.try_run("dpkg", "-r", "egret")
    assert done.returncode != 0 and "enforcement could not be ended, so the package stays" in done.stdout
    assert app.fails("connect", "denied", DENIED, 443) == "EPERM"
    assert os.path.exists(machine.path("/usr/sbin/egretd"))
    os.rename(f"{config}.aside", config)

    # Removed: nothing is enforced, what it knew stays.
    machine.run("dpkg", "-r", "egret")
    assert machine.try_run("pgrep", "-l", "egret").stdout == ""
    assert not os.path.exists(host.bpffs)
    app.connect("free", DENIED, 443)
    assert app.ask("free") == "ping"
    assert os.path.isdir(machine.path("/var/lib/egret")) and os.path.isdir(machine.path("/etc/egret"))

    # Purged: nothing is left.
    machine.run("dpkg", "-P", "egret")
    assert [path for path in left(machine) if not path.startswith("/var/log/egret-events")] == []


@pytest.mark.parametrize("unit", UNITS)
def test_the_units_leave_little(unit):
    """Their exposure, as systemd rates it from 0 to 10, stays where it is."""
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", f"--threshold={UNITS[unit]}",
                           f"{TREE}/agent/core/{unit}"], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0 and "Overall exposure level" in done.stdout, done.stdout[-300:] + done.stderr

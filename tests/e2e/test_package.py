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

UNITS = {"egretd.service": 5.1, "egret-early.service": 5.4}  # what `systemd-analyze security` may say at most


@pytest.fixture(scope="module")
def package():
    """Its file, made from what was built."""
    done = subprocess.run(["make", "-s", "-C", TREE, "deb", f"BUILD={BUILD}"], capture_output=True, text=True,
                          timeout=300, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return re.search(r"^deb: (\S+)$", done.stdout, re.M).group(1)


def newer(package, directory):
    """The same package as a later version, with one file more."""
    tree = os.path.join(directory, "newer")
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    control = os.path.join(tree, "DEBIAN/control")
    with open(control, encoding="utf-8") as file:
        text = file.read()
    with open(control, "w", encoding="utf-8") as file:
        file.write(re.sub(r"^(Version: .*)$", r"\1+later", text, flags=re.M))
    with open(os.path.join(tree, "usr/share/doc/egret/later"), "w", encoding="utf-8") as file:
        file.write("later\n")
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
    """(PID as seen there, status as /proc tells it) of the one that runs."""
    pid = machine.try_run("pgrep", "-x", name).stdout.strip()
    if not pid:
        return None
    with open(machine.path(f"/proc/{pid}/status"), encoding="utf-8") as status:
        return int(pid), dict(line.rstrip("\n").split(":\t", 1) for line in status if ":\t" in line)


def running(machine):
    """egretd's PID. It has what its unit leaves to it, and no more."""
    said = machine.try_run("systemctl", "is-active", "egretd.service", "egret-early.service").stdout
    assert said.split() == ["active", "active"], said + machine.journal()
    pid, status = process(machine, "egretd")
    unit = machine.run("systemctl", "show", "-P", "CapabilityBoundingSet", "egretd.service").split()
    assert status["CapEff"] == status["CapBnd"] and bin(int(status["CapBnd"], 16)).count("1") == len(unit) < 16
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    return pid


def web(host):
    """An app of the machine's, tagged."""
    host.serve([ALLOWED, DENIED], 443)
    path = "microapps.slice/web.scope"
    host.agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=[path]))
    cgroup.make(f"{host.root}/{path}")
    eventually(lambda: host.agent.app("web")["cgroups"], what="the tag")
    return host.process(f"{host.root}/{path}")


def left(machine):
    """What the machine has of Egret that this one has not."""
    upper = machine.path("/") + machine.disk.lstrip("/") + "/upper"
    return sorted(os.path.join(directory, name)[len(upper):] for directory, below, files in os.walk(upper)
                  for name in below + files if "egret" in name.lower())


def test_the_package_from_install_to_purge(bare_host, machine, package):
    host, agent = bare_host, bare_host.agent
    for name in ("first.deb", "later.deb"):
        shutil.copy(package if name == "first.deb" else newer(package, host.directory), machine.path(f"/tmp/{name}"))

    # Installed: it runs as its unit says, under users of its own.
    dpkg(machine, "-i", "/tmp/first.deb")
    first = running(machine)
    assert agent.status()["enforcement_ok"] is True
    app = web(host)
    users = machine.run("getent", "passwd", "egret", "egret-lookup").splitlines()
    assert [user.split(":")[0] for user in users] == ["egret", "egret-lookup"]
    agent.put(policy("names", [{"id": "n", "to": ["x.example"], "proto": "tcp", "ports": [443], "prefetch": True}],
                     cgroups=["microapps.slice/names.scope"], dns={"resolvers": ["127.0.0.53"]}))
    for child, user in zip(("egret-ship", "egret-lookup"), users):
        status = eventually(lambda: process(machine, child), what=child)[1]  # pylint: disable=cell-var-from-loop
        assert status["Uid"].split("\t")[0] == user.split(":")[2] and int(status["CapBnd"], 16) == 0
    assert machine.run("dpkg", "--verify", "egret").split() == ["??5??????", "c", "/etc/egret/egret.json"]
    assert "egret_enforcement_ok" in machine.run("cat", "/usr/share/egret/egret-alerts.yml")
    assert json.loads(machine.run("cat", "/usr/share/egret/egret-dashboard.json"))["title"] == "Egret"
    machine.run("man", "-w", "egretd", "egret", "egret-policy", "egret-event", "egret-ship")
    assert "kill" in machine.run("bash", "-c", ". /usr/share/bash-completion/completions/egret && complete -p egret && "
                                 "egret __complete -- k")

    # Upgraded under traffic: another process, the same connections, nothing let through, nothing counted anew.
    app.flood_ask("tcp", ALLOWED, 443)
    app.flood_udp("denied", DENIED, 443)
    before = agent.app("web")
    dpkg(machine, "-i", "/tmp/later.deb")
    assert running(machine) != first
    after = agent.app("web")
    assert set(app.flood_stop("tcp")) == {"ok"}
    assert set(app.flood_stop("denied")) == {"EPERM"}
    host.unseen(DENIED)
    assert after["slot"] == before["slot"] and after["policy_rev"] == before["policy_rev"]
    assert after["bytes_out"] >= before["bytes_out"] > 0 and agent.count("web", "no_rule") > 0
    assert agent.log(type="deny", app="web") and agent.log(type="agent")
    assert '"test-host"' in machine.run("cat", "/etc/egret/egret.json")

    # Back to the older one, as an operator would.
    dpkg(machine, "--force-downgrade", "-i", "/tmp/first.deb")
    running(machine)
    assert app.fails("connect", "denied", DENIED, 443) == "EPERM"

    # A removal that can't end enforcement is none.
    config = machine.path("/etc/egret/egret.json")
    os.rename(config, f"{config}.aside")
    with open(config, "w", encoding="utf-8") as file:
        file.write("no JSON")
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
    done = subprocess.run(["systemd-analyze", "security", "--offline=yes", "--no-pager", f"{TREE}/agent/core/{unit}"],
                          capture_output=True, text=True, timeout=60, check=False)
    found = re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout)
    assert found and float(found.group(1)) <= UNITS[unit], done.stdout + done.stderr

# SPDX-License-Identifier: Apache-2.0
"""What a host of each size takes: kernel memory, the agent's own, and how long a start lasts.

README's table of sizes comes from here. Kernel memory is what the memory controller charges to a group
in which the agent starts: what a map says of itself leaves out the inner nodes of tries, and what the
allocators round up. The agent's is its RssAnon. Both once it answers; CPU time is that of the start.
"""
import os
import re

from harness import policy, rule
from scale import memory_mib, started
from table import QUICK, row

SIZES = ((100, 10_000), (1000, 10_000), (1000, 100_000)) if QUICK else (
    (100, 10_000), (100, 1_000_000), (1000, 100_000), (10_000, 100_000), (10_000, 1_000_000))


class Group:
    """A group of the memory controller, of version 1 or 2, that this process is in for a while.

    The agent was started before, so that what keeps its root, and stays, is not in it.
    """

    def __init__(self, name):
        self.old = os.path.exists("/sys/fs/cgroup/memory/memory.kmem.usage_in_bytes")
        with open("/proc/self/cgroup", encoding="utf-8") as file:
            home = re.search(r"^\d+:memory:/(.*)$" if self.old else r"^0::/(.*)$", file.read(), re.M)[1]
        top = "/sys/fs/cgroup/memory" if self.old else "/sys/fs/cgroup"
        self.home, self.path = os.path.join(top, home), os.path.join(top, name)

    def __enter__(self):
        os.mkdir(self.path)
        self.move(self.path)
        return self

    def __exit__(self, *_):
        self.move(self.home)
        os.rmdir(self.path)

    def move(self, path):
        with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as out:
            out.write(str(os.getpid()))

    def kernel_mib(self):
        with open(f"{self.path}/memory.{'kmem.usage_in_bytes' if self.old else 'stat'}", encoding="ascii") as file:
            return int(re.search(r"^(\d+)$" if self.old else r"^kernel (\d+)$", file.read(), re.M)[1]) / 2**20


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def address(number):
    """Every other one, so that none is merged with the next."""
    return f"10.{number * 2 >> 16}.{number * 2 >> 8 & 255}.{number * 2 & 255}"


def write_policies(agent, apps, rules):
    each = rules // apps
    for number in range(apps):
        mine = range(number * each, (number + 1) * each)
        agent.write_policy(policy(f"app-{number}", [rule([address(n) for n in mine], 443)]))


def wiped(host, apps, rules):
    agent = host.agent
    agent.stop()
    agent.wipe_pins()
    for file in os.listdir(agent.policy_dir):
        os.unlink(os.path.join(agent.policy_dir, file))
    agent.configure(max_apps=apps, max_rules=rules, events=None)  # the rings' size is the default's
    return agent


def measured(host, group, size):
    agent, before = host.agent, group.kernel_mib()
    took = started(agent)
    row(f"kernel memory, {size}", f"{group.kernel_mib() - before:.0f} MiB", "once", "charged to the agent's group")
    row(f"agent's memory, {size}", f"{memory_mib(agent):.0f} MiB", "once", "RssAnon")
    row(f"start, {size}", f"{took:.2f} s", "once", f"until it answers; {cpu_s(agent.process.pid):.2f} s of CPU")


def sizing(host):
    for apps, rules in SIZES:
        with Group(f"{host.name}-sizing") as group:
            wiped(host, apps, rules)
            measured(host, group, f"room for {apps} apps, {rules} rules")
            write_policies(wiped(host, apps, rules), apps, rules)
            measured(host, group, f"{apps} apps, {rules} rules")
            assert host.agent.status()["apps"]["enforce"] == apps
            host.agent.stop()
            host.agent.wipe_pins()

# SPDX-License-Identifier: Apache-2.0
"""What a host of each size takes: kernel memory of the maps, the agent's own, and how long a start lasts.

README's table of sizes comes from here. Memory of maps is what the kernel says of each (memlock in
fdinfo, which counts the entries that are there), the agent's RssAnon, both once it answers.
"""
import os
import re

from harness import policy, rule
from scale import memory_mib, started
from table import QUICK, row

SIZES = ((100, 10_000), (1000, 10_000), (1000, 100_000)) if QUICK else (
    (100, 10_000), (100, 1_000_000), (1000, 100_000), (10_000, 100_000), (10_000, 1_000_000))


def maps_mib(agent):
    """{name: MiB} of the maps that the agent holds."""
    found = {}
    directory = f"/proc/{agent.process.pid}"
    for number in os.listdir(f"{directory}/fdinfo"):
        with open(f"{directory}/fdinfo/{number}", encoding="ascii") as file:
            info = dict(re.findall(r"^(\w+):\s+(\d+)$", file.read(), re.M))
        if "memlock" in info and "map_id" in info:
            found[info["map_id"]] = int(info["memlock"]) / 2**20
    return found


def address(number):
    """Every other one, so that none is merged with the next."""
    return f"10.{number * 2 >> 16}.{number * 2 >> 8 & 255}.{number * 2 & 255}"


def write_policies(agent, apps, rules):
    each = rules // apps
    for number in range(apps):
        mine = range(number * each, (number + 1) * each)
        agent.write_policy(policy(f"app-{number}", [rule([address(n) for n in mine], 443)]))


def sizing(host):
    agent = host.agent
    for apps, rules in SIZES:
        agent.stop()
        agent.wipe_pins()
        for file in os.listdir(agent.policy_dir):
            os.unlink(os.path.join(agent.policy_dir, file))
        agent.configure(max_apps=apps, max_rules=rules)
        size = f"{apps} apps, {rules} rules"
        agent.start()
        empty = sum(maps_mib(agent).values())
        agent.stop()
        agent.wipe_pins()
        write_policies(agent, apps, rules)
        took = started(agent)
        assert agent.status()["apps"]["enforce"] == apps
        row(f"memory of maps, {size}", f"{sum(maps_mib(agent).values()):.0f} MiB", "once", f"{empty:.0f} MiB before any policy")
        row(f"agent's memory beside its maps, {size}", f"{memory_mib(agent):.0f} MiB", "once", "RssAnon after the start")
        row(f"start, {size}", f"{took:.2f} s", "once", "until it answers")

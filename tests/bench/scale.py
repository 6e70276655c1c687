# SPDX-License-Identifier: Apache-2.0
"""egretd with 10,000 apps and 1,000,000 rules: start, adopting restart, memory, a change of policy, rates."""
import re
import subprocess
import time

from harness import ALLOWED, policy, rule
from network import binary, compare, entering, fast_policy
from table import QUICK, ROUNDS, median_row, row

APPS = 1000 if QUICK else 10_000
RULES_EACH = 100
FULL = "" if APPS == 10_000 else " with 10,000"


def verdict(met):
    """Only of the size that the goal names."""
    return met if APPS == 10_000 else None


def write_policies(agent):
    for number in range(APPS):
        base = f"10.{number // 250 + 100}.{number % 250}"
        agent.write_policy(policy(f"app-{number}", [rule([f"{base}.{i}" for i in range(RULES_EACH)], 443)]))


def started(agent):
    before = time.monotonic()
    agent.start()
    return time.monotonic() - before


def memory_mib(agent):
    with open(f"/proc/{agent.process.pid}/status", encoding="ascii") as status:
        return int(re.search(r"RssAnon:\s+(\d+)", status.read())[1]) / 1024


def change(host):
    """1,000 rules, other ones each time; the server is allowed by all of them, and spoken to all the time."""
    agent = host.agent
    always = [rule(ALLOWED, 9, "udp")]
    host.app(policy("big", always, allow_netns_admin=True))
    client = subprocess.Popen(
        entering(host.cgroup_of("big"), host.network.app, binary("bench_net"), "udp", ALLOWED, 9, 600_000),
        stdout=subprocess.DEVNULL)
    times = []
    try:
        for flip in range(2 * ROUNDS + 2):
            spare = [f"172.{16 + flip % 2}.{i // 250}.{i % 250}" for i in range(1000)]
            made = {"cgroups": host.glob_of("big"), **policy("big", [*always, rule(spare, 443 + flip)], allow_netns_admin=True)}
            before = time.monotonic()
            agent.put(made)
            times.append((time.monotonic() - before) * 1000)
        assert client.poll() is None, "the client was refused"
    finally:
        client.kill()
        client.wait()
    dropped = sum(each.get("egress", 0) for each in agent.app("big")["reasons"].values())
    median_row(f"policy of 1,000 rules changed, {APPS} apps", times[2:], "ms", f"{dropped} packets of a live flow dropped",
               f"20 ms, 0 dropped{FULL}", lambda middle: verdict(middle < 20 and not dropped))


def many(host, peers):
    agent = host.agent
    agent.stop()
    agent.wipe_pins()
    agent.configure(max_apps=APPS + 64, max_rules=APPS * RULES_EACH + 100_000)
    write_policies(agent)
    size = f"{APPS} apps, {APPS * RULES_EACH} rules"
    took = started(agent)
    row(f"start, {size}", f"{took:.2f} s", "once", "until it answers", f"10 s{FULL}", verdict(took < 10))
    used = memory_mib(agent)
    row(f"agent's memory beside its maps, {size}", f"{used:.0f} MiB", "once", "RssAnon after the start", f"100 MiB{FULL}",
        verdict(used < 100))
    adopted = []
    for _ in range(1 if QUICK else 3):
        agent.stop()
        adopted.append(started(agent))
    median_row(f"restart that adopts, {size}", adopted, "s", "until it answers", f"1 s{FULL}",
               lambda middle: verdict(middle < 1), form="{:.2f}")
    used = memory_mib(agent)
    row(f"agent's memory after that, {size}", f"{used:.0f} MiB", "once", "RssAnon", f"100 MiB{FULL}", verdict(used < 100))
    change(host)
    host.app(fast_policy("many", 1))
    compare(host, {"free": peers["free"], "empty": peers["empty"]}, {f"egretd, {size}": "many"}, ", loaded")

# SPDX-License-Identifier: Apache-2.0
"""Rates of real sockets over veth: unfiltered, an empty program, nftables, egretd; and kills as the server sees them.

Rates of sends and connects are per second of the client's CPU time, in which all of the path to the
server's socket runs: that is the rate of a machine that has nothing else to do.
"""
import contextlib
import statistics
import subprocess
import time

from harness import ALLOWED, cgroup, policy, rule
from harness.net import Network, run
from table import QUICK, ROUND_MS, ROUNDS, binary, in_turns, median_row, ratios, row, spread

KILLS = 10 if QUICK else 100
FLOWS = 100
SERVER, CLIENT = "10.77.2.1", "10.77.2.2"  # of the namespace that nftables filters
KINDS = (("udp", "UDP 18-byte sends", 95), ("connect", "connect and close", 90))
RESOLVED = 8  # addresses in an answer of bench_net's resolver
EGRESS, INGRESS, CGROUP_SKB = 1, 0, 8
CAP = {"egress": {"bytes": "100TiB", "per": "24h", "action": "drop"}, "new_flows": "100000000/min"}


@contextlib.contextmanager
def serving(netns, name, *arguments):
    """A bench program in a namespace; its end is ours."""
    process = subprocess.Popen(["nsenter", f"--net={Network.path(netns)}", binary(name), *map(str, arguments)],
                               stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def entering(path, netns, *command):
    """A command line that puts itself into a cgroup and a namespace first."""
    script = 'echo $$ > "$1/cgroup.procs"; shift; exec nsenter --net="$@"'
    return ["sh", "-c", script, "sh", cgroup.full(path), Network.path(netns), *map(str, command)]


def rate(path, netns, kind, address, port, milliseconds=ROUND_MS):
    done = subprocess.run(entering(path, netns, binary("bench_net"), kind, address, port, milliseconds),
                          stdout=subprocess.PIPE, text=True, timeout=60, check=True)
    return float(done.stdout)


def nft_rules(path):
    """The same policy: the app's cgroup, 10,000 networks and the server, a quota."""
    networks = ", ".join([f"11.{i // 250}.{i % 250}.0/25" for i in range(10_000)] + [SERVER])
    return f"""table inet bench {{
 set allowed {{ type ipv4_addr; flags interval; elements = {{ {networks} }}; }}
 quota out {{ over 100000000 mbytes; }}
 quota in {{ over 100000000 mbytes; }}
 chain egress {{ type filter hook output priority 0; policy accept; socket cgroupv2 level 1 "{path}" goto app_out; }}
 chain ingress {{ type filter hook input priority 0; policy accept; socket cgroupv2 level 1 "{path}" goto app_in; }}
 chain app_out {{ ip daddr != @allowed drop; meta l4proto {{ tcp, udp }} th dport != 9 drop; quota name "out" drop; accept; }}
 chain app_in {{ ip saddr != @allowed drop; quota name "in" drop; accept; }}
}}
"""


def nft_load(netns, rules):
    """nft looks for cgroups below /sys/fs/cgroup only, which need not be where version 2 is mounted."""
    script = 'mount -t cgroup2 none /sys/fs/cgroup && exec nsenter --net="$0" nft -f -'
    run("unshare", "-m", "sh", "-c", script, Network.path(netns), text=rules)


def other_cgroup(host, suffix):
    path = f"{host.name}.{suffix}"
    host.outside.append(path)
    cgroup.make(path)
    return path


def contenders(host):
    """{name: (cgroup, namespace, server's address)}: the peers of egretd."""
    filtered = f"{host.name}-nft"
    host.network.add_app(filtered, [(CLIENT, SERVER)])
    free, empty, nft = (other_cgroup(host, suffix) for suffix in ("other", "empty", "nft"))
    for direction in (EGRESS, INGRESS):
        cgroup.attach_empty(empty, CGROUP_SKB, direction)
    nft_load(filtered, nft_rules(nft))
    app = host.network.app
    return {"free": (free, app, ALLOWED), "empty": (empty, app, ALLOWED), "nft": (nft, filtered, SERVER)}


def fast_policy(name, rules):
    """Of so many rules; the last names the server."""
    spare = [f"172.{16 + i // 62500}.{i // 250 % 250}.{i % 250}" for i in range(rules - 1)]
    return policy(name, [*([rule(spare, 443)] if spare else []), rule(ALLOWED, 9), rule(ALLOWED, 9, "udp")],
                  allow_netns_admin=True, limits=CAP)


def compare(host, peers, apps, label):
    """apps: {label: name of an app}. Each in turn with the peers, server started anew for each kind."""
    for kind, what, goal in KINDS:
        turns = {**peers, **{key: (host.cgroup_of(app), host.network.app, ALLOWED) for key, app in apps.items()}}
        with contextlib.ExitStack() as servers:
            life = (len(turns) * ROUNDS + 2) * (ROUND_MS + 500) + 5000
            for address in (ALLOWED, SERVER):
                servers.enter_context(serving(host.network.server, "bench_net", "serve", address, 9, life))
            found = in_turns(ROUNDS, {key: lambda at=at: rate(at[0], at[1], kind, at[2], 9) for key, at in turns.items()})
        for key in turns:
            if key == "free":
                median_row(f"{what}, unfiltered{label}", found[key], "/s", "-", form="{:.0f}")
                continue
            of_free = ratios(found[key], found["free"])
            peer = f"{statistics.median(found[key]):.0f}/s"
            if key not in apps:
                median_row(f"{what}, {key}{label}", of_free, "%", peer)
                continue
            points = statistics.median(of_free) - statistics.median(ratios(found["empty"], found["free"]))
            near = kind != "udp" or points >= -2
            median_row(f"{what}, {key}{label}", of_free, "%", f"{peer}; {points:+.1f} points to an empty program",
                       f"{goal} %{', within 2 points' if kind == 'udp' else ''}", lambda middle: middle >= goal and near)


def rates(host, peers):
    apps = {}
    for rules in (1, 10_000):
        name = f"fast-{rules}"
        host.app(fast_policy(name, rules))
        apps[f"egretd, {rules} rules"] = name
    compare(host, peers, apps, "")


# ---- Kills -------------------------------------------------------------------------------------------


def cut_flows(host, path, last, kill):
    """While flows of that cgroup's send: what kill() said, ms to that, ms to the last packet on the server's device."""
    flows = subprocess.Popen(
        entering(path, host.network.app, binary("bench_kill"), "flows", ALLOWED, 443, FLOWS),
        stdout=subprocess.PIPE, text=True)
    try:
        assert flows.stdout.readline() == "ready\n", "the flows did not connect"
        time.sleep(0.05)
        before = time.time_ns()
        answer = kill()
        answered = time.time_ns()
        flows.wait(20)  # each has seen its error
    finally:
        flows.kill()
        flows.wait()
    last.stdin.write("\n")
    last.stdin.flush()
    arrived = int(last.stdout.readline())
    return answer, (answered - before) / 1e6, max(0, arrived - before) / 1e6


def kill_once(host, last):
    """(ms from before the command to the last packet on the server's device, ms to the answer, us to the store)."""
    answer, answered, ended = cut_flows(host, host.cgroup_of("victim"), last, lambda: host.agent.kill("victim"))
    assert answer["sockets"] == FLOWS, answer
    host.agent.restore("victim")
    return ended, answered, answer["stored_us"]


def kills(host):
    """100 flows send all the time, and another app's short connections make events as fast as they can."""
    host.app(policy("victim", [rule(ALLOWED, 443)], allow_netns_admin=True))
    host.app(fast_policy("noisy", 1))
    server, noisy = host.network.server, host.cgroup_of("noisy")
    life = KILLS * 1500 + 20000
    with serving(server, "bench_kill", "sink", ALLOWED, 443), serving(server, "bench_net", "serve", ALLOWED, 9, life), \
            serving(server, "bench_kill", "last", "up0", 443) as last:
        flood = subprocess.Popen(entering(noisy, host.network.app, binary("bench_net"), "connect", ALLOWED, 9, life),
                                 stdout=subprocess.DEVNULL)
        try:
            time.sleep(0.3)
            taken = [kill_once(host, last) for _ in range(KILLS)]
            assert flood.poll() is None, "the flood ended early"
        finally:
            flood.kill()
            flood.wait()
    ends, answers, stores = (sorted(values) for values in zip(*taken))
    tail = min(KILLS - 1, int(KILLS * 0.99))
    row("kill: command sent to last packet at the server", f"{ends[KILLS // 2]:.2f} ms", spread(ends, "{:.2f}"),
        f"p99 {ends[tail]:.2f} ms; {FLOWS} flows, events flooding", "1 ms median, 5 ms p99",
        ends[KILLS // 2] < 1 and ends[tail] < 5)
    row("kill: command sent to answer (reset, on disk)", f"{answers[KILLS // 2]:.2f} ms", spread(answers, "{:.2f}"),
        f"p99 {answers[tail]:.2f} ms")
    row("kill: word stored after the request was read", f"{stores[KILLS // 2]} us", spread(stores, "{}"),
        f"p99 {stores[tail]} us")


# ---- Names -------------------------------------------------------------------------------------------


def resolving(host):
    """A query and its answer through real sockets; each answer grants eight addresses that are new."""
    host.app(policy("asker", [rule("api.bench.example", 443)], allow_netns_admin=True,
                    dns={"resolvers": [ALLOWED], "rate": "100000000/min"}))
    free = f"{host.name}.other"
    life = 2 * (ROUNDS + 1) * (ROUND_MS + 500) + 5000
    with serving(host.network.server, "bench_net", "resolve", ALLOWED, 53, life):
        time.sleep(0.2)
        found = in_turns(ROUNDS, {
            "free": lambda: rate(free, host.network.app, "dns", ALLOWED, 53),
            "ours": lambda: rate(host.cgroup_of("asker"), host.network.app, "dns", ALLOWED, 53),
        })
    added = [1e6 / ours - 1e6 / other for ours, other in zip(found["ours"], found["free"])]
    median_row("DNS: added to a query and its answer", added, "us",
               f"{statistics.median(found['ours']):.0f}/s of {statistics.median(found['free']):.0f}/s unfiltered",
               form="{:.2f}")
    median_row("DNS: addresses granted by answers", [RESOLVED * each for each in found["ours"]], "/s",
               f"{RESOLVED} in each answer", form="{:.0f}")

# SPDX-License-Identifier: Apache-2.0
"""Kills and packets while every sink is stalled and the disk is full, in turns with the same agent when all is well."""
import contextlib
import os
import statistics

from harness import ALLOWED, Host, eventually, policy, rule
from harness import http_faults as faults
from harness.http_receivers import Elastic, Webhook
from network import FLOWS, fast_policy, kill_once, rate, serving
from table import QUICK, ROUND_MS, median_row, ratios, row, spread

TURNS = 3 if QUICK else 8
KILLS, RATES = 4, 3  # in each turn
STALLED = ("retrying", "failing", "paused")
SMALL = {"event_quota": "1MiB", "event_segment": "64KiB"}  # beside 3 MiB that are free


class Surroundings:
    """A disk for the log, one for the file sink, and two receivers."""

    def __init__(self, host, stack):
        out = os.path.join(host.directory, "out")
        self.agent = host.agent
        self.disks = [host.small_disk(directory) for directory in (host.agent.log_dir, out)]
        self.receivers = [stack.enter_context(kind()) for kind in (Webhook, Elastic)]
        os.chmod(out, 0o777)
        sinks = [{"name": receiver.kind, "type": receiver.kind, "url": receiver.url, "timeout": "2s"}
                 for receiver in self.receivers]
        sinks.append({"name": "disk", "type": "file", "path": f"{out}/events.ndjson", "flows": "full",
                      "rotate": {"size": "256KiB"}, "keep": {"size": "1MiB"}})
        host.agent.configure(ship_user="nobody", sinks=sinks)

    def states(self):
        return [one["state"] for one in self.agent.get("/v1/sinks")["sinks"]]

    def stall(self):
        for receiver in self.receivers:
            receiver.stopping.clear()
            receiver.faults = [faults.black_hole] * 1000
        log, files = self.disks
        files.fill()
        eventually(self.sinks_stalled, 60, "the sinks' failure")
        log.fill()
        eventually(self.log_stalled, 60, "the log's failure")

    def write(self):
        """An event or two, which somebody may then be unable to take."""
        self.agent.kill("victim")
        self.agent.restore("victim")

    def sinks_stalled(self):
        self.write()
        return all(state in STALLED for state in self.states())

    def log_stalled(self):
        self.write()
        return self.agent.status()["events"]["failing"]

    def mend(self):
        for disk in self.disks:
            disk.free()
        for receiver in self.receivers:
            receiver.faults.clear()
            receiver.stopping.set()
        eventually(lambda: not self.agent.status()["events"]["failing"], 60, "the log's recovery")
        eventually(lambda: set(self.states()) == {"ok"}, 120, "the sinks' recovery")


def turn(host, last):
    packets = [rate(host.cgroup_of("fast-1"), host.network.app, "udp", ALLOWED, 9) for _ in range(RATES)]
    return packets, [kill_once(host, last) for _ in range(KILLS)]


def trouble():
    with contextlib.ExitStack() as stack:
        host = stack.enter_context(Host(max_apps=64, **SMALL))
        around = Surroundings(host, stack)
        host.agent.start()
        host.app(fast_policy("fast-1", 1))
        host.app(policy("victim", [rule(ALLOWED, 443)], allow_netns_admin=True))
        life, server = TURNS * 2 * (RATES * (ROUND_MS + 500) + KILLS * 2000 + 180_000), host.network.server
        stack.enter_context(serving(server, "bench_net", "serve", ALLOWED, 9, life))
        stack.enter_context(serving(server, "bench_kill", "sink", ALLOWED, 443))
        last = stack.enter_context(serving(server, "bench_kill", "last", "up0", 443))
        well, bad = [], []
        for _ in range(TURNS):
            well.append(turn(host, last))
            around.stall()
            bad.append(turn(host, last))
            assert all(state in STALLED for state in around.states()), around.states()
            around.mend()
        report(well, bad)


def report(well, bad):
    packets = [[figure for packets, _ in turns for figure in packets] for turns in (well, bad)]
    median_row("UDP 18-byte sends, sinks stalled, disk full", ratios(packets[1], packets[0]), "%",
               f"{statistics.median(packets[0]):.0f}/s when all is well", "unchanged: at least 97 %",
               lambda middle: middle >= 97)
    for index, what in ((0, "last packet"), (1, "answer")):
        calm, stalled = ([figures[index] for _, kills in turns for figures in kills] for turns in (well, bad))
        middle, before = statistics.median(stalled), statistics.median(calm)
        row(f"kill to {what}, sinks stalled, disk full", f"{middle:.2f} ms", spread(stalled, "{:.2f}"),
            f"{before:.2f} ms when all is well; {FLOWS} flows", "unchanged: at most +20 %", middle <= before * 1.2)

# SPDX-License-Identifier: Apache-2.0
"""egretd, egret-ship and egret-sync killed at any moment, under traffic: nothing denied passes, nothing allowed fails,
kills and caps hold, every byte is counted and told, and nothing is left behind.

FAULT_KILLS: how often (CI does few, a release a thousand).
"""
import collections
import glob
import gzip
import json
import os
import random
import signal
import time

import pytest

from harness import ALLOWED, ALLOWED6, DENIED, OTHER, Host, cgroup, eventually, policy, rule
from harness.etcd import Etcd
from harness.events import flow_sums

KILLS = int(os.environ.get("FAULT_KILLS", "12"))
SEED = int(os.environ.get("FAULT_SEED", "1"))
CAP = 64 << 10
SUMS = ("bytes_out", "bytes_in", "packets_out", "packets_in")


def works(app, name, address=ALLOWED, port=443):
    app.connect(name, address, port)
    answer = app.ask(name)
    app.close(name, reset=True)
    return answer == "ping"


# ---- What a process has and leaves -------------------------------------------------------------------------


def stat(pid):
    """(state, parent, comm) of a process, or None."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as file:
            head, _, tail = file.read().rpartition(")")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return tail.split()[0], int(tail.split()[1]), head.partition("(")[2]


def children(pid):
    """[(is it a zombie, comm)] of a process' children. The keeper is nobody's, once its first agent was killed."""
    found = [stat(entry.rpartition("/")[2]) for entry in glob.glob("/proc/[0-9]*")]
    return sorted((one[0] == "Z", one[2]) for one in found if one and one[1] == pid and one[2] != "egret-keeper")


def open_files(pid):
    """What its descriptors are, by kind."""
    kinds = collections.Counter()
    for link in glob.glob(f"/proc/{pid}/fd/*"):
        try:
            kinds[os.readlink(link).partition(":[")[0]] += 1
        except FileNotFoundError:
            pass
    return kinds


def pins(agent):
    return sorted(os.path.join(os.path.relpath(directory, agent.bpffs), name)
                  for directory, _, names in os.walk(agent.bpffs) for name in names)


def leftovers(directory):
    """Files that were being written when their writer was killed, and that nothing has replaced since."""
    return [name for _, _, names in os.walk(directory) for name in names if name.endswith((".new", ".copy", ".tmp"))]


# ---- All three, again and again ----------------------------------------------------------------------------


class Site:
    """A host with etcd as its control plane, a sink, and apps that send all the time."""

    def __init__(self, host, etcd):
        self.host, self.etcd, self.agent = host, etcd, host.agent
        self.rng, self.killed = random.Random(SEED), collections.Counter()
        self.out = os.path.join(host.directory, "out")
        self.children = set()  # pids of all that there ever were

    def begin(self):
        os.mkdir(self.out)
        os.chmod(self.out, 0o777)
        self.agent.configure(
            control={"source": "etcd", "endpoints": [self.etcd.url], "user": "daemon", "lease": "5s"}, ship_user="nobody",
            sinks=[{"name": "disk", "type": "file", "path": f"{self.out}/events.ndjson", "flows": "full"}],
            events={"rate": "1000000/s", "burst": 1000000, "ring": "4MiB", "priority_ring": "1MiB"})
        self.agent.start()
        self.host.serve([ALLOWED, ALLOWED6, DENIED], 443)
        self.host.serve([OTHER], 443, ["udp"], "sink")
        self.push("web", [rule([ALLOWED, ALLOWED6], 443)], log="full")
        eventually(lambda: self.agent.apps().get("web", {}).get("policy_rev"), what="the policy")
        self.web = self.host.app(name="web")
        self.held = self.host.app(policy("held", [rule(ALLOWED, 443)]))
        limits = {"egress": {"bytes": f"{CAP}B", "per": "31d", "action": "drop"}}
        self.capped = self.host.app(policy("capped", [rule(OTHER, 443, "udp")], limits=limits, log="full"))
        self.agent.kill("held")
        self.web.flood_ask("live", ALLOWED, 443, pause=0.002)
        self.web.flood_connect("connects", ALLOWED6, 443, "hello", reset=True, pause=0.005)
        self.web.flood_udp("denied", DENIED, 443, pause=0.005)

    def push(self, app, egress, **more):
        self.etcd.put(f"/egret/policies/{app}", policy(app, egress, cgroups=self.host.glob_of(app), **more))

    def pid_of(self, which):
        pid = self.agent.status()["control"].get("pid") if which == "sync" else self.agent.get("/v1/sinks")["pid"]
        self.children |= {pid} - {0, None}
        return pid

    def both_children(self):
        return eventually(lambda: self.pid_of("ship") and self.pid_of("sync"), 90, "both children")

    def kill_agent(self):
        self.agent.kill9()
        if self.rng.random() < 0.4:  # and the next one before it is up
            self.agent.process = self.agent.spawn()
            time.sleep(self.rng.uniform(0, 0.3))
            self.agent.kill9()
            self.killed["egretd"] += 1
        self.agent.start()

    def kill_child(self, which):
        pid = self.pid_of(which)
        if not pid:
            return False
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:  # it died with an agent's end a moment ago
            return False
        return True

    def round(self):
        time.sleep(self.rng.expovariate(8))
        which = self.rng.choice(("egretd", "egretd", "ship", "sync"))
        if which != "egretd" and self.kill_child(which):
            self.killed[which] += 1
        else:
            self.kill_agent()
            self.killed["egretd"] += 1
        self.capped.burst("u", OTHER, 443, 100, 10)
        assert self.held.fails("connect", f"h{self.killed.total()}", ALLOWED, 443) == "EPERM"
        self.held.close_all()
        assert self.agent.app("held")["state"] == "killed"

    def sink_files(self):
        """How often each event is in the files that the sink made."""
        found, names = collections.Counter(), set(os.listdir(self.out))
        for name in names:
            if name.removesuffix(".gz") in names - {name} or name.endswith(".tmp"):
                continue  # it is being compressed
            with (gzip.open if name.endswith(".gz") else open)(os.path.join(self.out, name), "rt") as lines:
                found.update(json.loads(line)["event_id"] for line in lines)
        return found

    def add_up(self, app):
        def look():
            told, counted = flow_sums(self.agent.log(), app), self.agent.app(app)
            counted = {key: counted[key] for key in SUMS}
            assert told == counted, f"the log tells {told}, the kernel counted {counted}"
            return True

        eventually(look, 30, f"that the log of {app} adds up")

    def sequence_whole(self, app):
        """No number of the app's events is missing but those that losses account for, and none comes twice."""
        events = [event for event in self.agent.log(app=app) if "seq" in event]
        seen = collections.Counter(event["seq"] for event in events)
        lost = sum(event["events"] for event in self.agent.log(app=app, type="lost"))
        assert seen and max(seen.values()) == 1, seen.most_common(3)
        assert max(seen) - len(seen) == lost, f"{max(seen) - len(seen)} are missing, {lost} were told as lost"


@pytest.fixture
def site():
    with Host(inside=True) as host:
        etcd = Etcd(os.path.join(host.directory, "etcd"), host.network.host)
        etcd.start()
        try:
            yield Site(host, etcd)
        finally:
            etcd.stop()


def test_kills(site):
    host, agent = site.host, site.agent
    site.begin()
    site.both_children()
    before = {"pins": pins(agent), "children": children(agent.process.pid),
              "fds": open_files(agent.process.pid)}
    while site.killed.total() < KILLS:
        site.round()
    print(dict(site.killed))

    # Nothing denied has passed, nothing allowed failed.
    assert set(site.web.flood_stop("live")) == {"ok"}
    assert set(site.web.flood_stop("connects")) == {"ok"}
    denials = site.web.flood_stop("denied")
    assert set(denials) == {"EPERM"}
    host.unseen(DENIED)
    assert host.wire("in", dst=OTHER)[1] <= CAP
    assert agent.app("capped")["bytes_out"] == host.wire("in", dst=OTHER)[1]

    # The control plane still has its say.
    site.both_children()
    site.push("later", [rule(ALLOWED, 443)])
    eventually(lambda: agent.apps().get("later", {}).get("policy_rev"), 60, "a policy pushed at the end")

    # It adds up: on the wire, in the kernel, in the log, at the sink.
    site.web.stop()
    site.capped.stop()
    sent = [sum(pair) for pair in zip(host.wire("in", dst=ALLOWED), host.wire("in", dst=ALLOWED6, proto="tcp"))]
    eventually(lambda: [agent.app("web")[key] for key in ("packets_out", "bytes_out")] == sent, what="the sums on the wire")
    assert agent.count("web", "no_rule") == denials["EPERM"]
    site.add_up("web")
    site.add_up("capped")
    site.sequence_whole("web")
    assert len(agent.log(app="web", type="deny")) == denials["EPERM"]

    def delivered():
        """every event at the sink, once"""
        found, there = site.sink_files(), {event["event_id"] for event in agent.query()}
        missing, unknown = there - set(found), set(found) - there
        assert not missing and not unknown, f"{len(there)} events, {len(missing)} missing, {len(unknown)} unknown"
        return found

    found = eventually(delivered, 60)
    assert found.total() == len(found)
    print(len(found), "events")

    # And nothing is left behind.
    site.both_children()
    eventually(lambda: children(agent.process.pid) == before["children"], what="the same children as at the start")
    assert [comm for zombie, comm in before["children"] if not zombie] == ["egret-ship", "egret-sync"]
    gone = site.children - {site.pid_of("ship"), site.pid_of("sync")}
    eventually(lambda: not [pid for pid in gone if stat(pid) and stat(pid)[2].startswith("egret-")], what="their end")
    assert len(cgroup.pids(f"{host.root}/egret-keeper")) == 1
    assert pins(agent) == before["pins"]
    assert len(leftovers(agent.state_dir) + leftovers(agent.log_dir)) <= 2
    eventually(lambda: sum((open_files(agent.process.pid) - before["fds"]).values()) <= 3, what="as many descriptors")

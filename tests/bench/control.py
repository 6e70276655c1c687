# SPDX-License-Identifier: Apache-2.0
"""The control plane: from a write to etcd to the packets of an app, beside the same by the agent's own socket."""
import statistics
import time

from harness import ALLOWED, Host, cgroup, eventually, rule
from harness.fleet import PORTS, Fleet
from network import FLOWS, cut_flows, serving
from table import ROUNDS, in_turns, median_row

SENDERS = {"web": "0", "own": "1"}  # web is etcd's, own the socket's


class Apps:
    """Two apps on one host."""

    def __init__(self, host, fleet):
        self.host, self.fleet, self.agent = host, fleet, fleet.agents[0]
        self.port = dict.fromkeys(SENDERS, PORTS[0])
        self.push("web")
        self.put("own")
        fleet.in_force("web", PORTS[0])
        fleet.beat("web")
        cgroup.make(self.path("own"))
        eventually(lambda: self.agent.app("own")["cgroups"], what="the tag")
        worker = host.process(self.path("own"))
        worker.open("beat", ALLOWED, "udp")
        with worker.lend("beat") as sock:
            fleet.sender.hand("own", sock)
        fleet.sender.beat(["beat0", "own"], PORTS, ALLOWED)

    def path(self, app):
        return f"{self.agent.root}/{app}.scope"

    def made(self, app):
        made = self.fleet.policy(app, self.port[app], allow_netns_admin=True)
        made["egress"].append(rule(ALLOWED, 443))
        return made

    def push(self, app):
        """By etcd; when it was sent."""
        return self.fleet.gateway.put(f"/egret/policies/{app}", self.made(app))

    def put(self, app):
        """By the socket."""
        made, sent = self.made(app), time.time_ns()
        self.agent.put(made)
        return sent

    def write(self, app, push):
        """ms from the write to the first packet that it allows, as the kernel stamped it."""
        sender, self.port[app] = SENDERS[app], sum(PORTS) - self.port[app]
        self.fleet.sender.beat_phase(self.port[app])
        eventually(lambda: sender in self.fleet.sender.beaten()["refused"], what="a refusal before")
        sent = push(app)
        first = eventually(lambda: self.fleet.sender.beaten()["first"].get(sender), what="its first packet")
        self.fleet.sender.beat_phase()
        return (first - sent) / 1e6

    def kill(self, app, last, kill, restore):
        """ms from the write to the last packet of many flows."""
        ended = cut_flows(self.host, self.path(app), last, kill)[-1]
        restore()
        self.fleet.state(app, "enforce")
        return ended


def writes(apps):
    return in_turns(ROUNDS, {"web": lambda: apps.write("web", apps.push), "own": lambda: apps.write("own", apps.put)})


def kills(apps):
    key, put, agent = "/egret/kills/web", apps.fleet.gateway.put, apps.agent
    server = apps.host.network.server
    with serving(server, "bench_kill", "sink", ALLOWED, 443), serving(server, "bench_kill", "last", "up0", 443) as last:
        return in_turns(ROUNDS, {
            "web": lambda: apps.kill("web", last, lambda: put(key, "killed"), lambda: put(key, "restored")),
            "own": lambda: apps.kill("own", last, lambda: agent.kill("own"), lambda: agent.restore("own"))})


def control():
    with Host() as host, Fleet(host, 1) as fleet:
        apps = Apps(host, fleet)
        for what, form, found in (("policy written to etcd, to its first packet", "{:.1f}", writes(apps)),
                                  (f"kill through etcd, to the last packet of {FLOWS} flows", "{:.2f}", kills(apps))):
            median_row(what, found["web"], "ms",
                       f"{form.format(statistics.median(found['own']))} ms by the agent's socket", form=form)

# SPDX-License-Identifier: Apache-2.0
"""Many agents on one machine, each as a host of its own, that follow one etcd."""
import base64
import concurrent.futures
import http.client
import json
import os
import socket
import time

from . import cgroup
from .etcd import Etcd
from .net import ALLOWED, Network, run
from .policy import policy, rule
from .tls import enter
from .wait import eventually

PORTS = (5001, 5002)
STARTS_AT_ONCE = 4
LEASE = "10s"
INOTIFY = "/proc/sys/fs/inotify/max_user_instances"  # each agent wants several; 128 on most hosts
TXN_MAX = 100  # etcd takes 128


def text64(text):
    return base64.b64encode(text.encode()).decode()


class Gateway:
    """Writes keys through etcd's own JSON gateway: a client of etcdctl's takes longer to start than a kill to work."""

    def __init__(self, etcd):
        self.etcd, self.connection = etcd, None

    def connect(self):
        def dial():
            enter(Network.path(self.etcd.netns))
            sock = socket.create_connection(("127.0.0.1", self.etcd.port), 10)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # head and body go as two
            return sock

        with concurrent.futures.ThreadPoolExecutor(1) as thread:
            sock = thread.submit(dial).result()
        self.connection = http.client.HTTPConnection("127.0.0.1", self.etcd.port, timeout=20)
        self.connection.sock = sock
        self.connection.auto_open = 0

    def call(self, path, body):
        self.connection.request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
        answer = self.connection.getresponse()
        text = answer.read().decode()
        assert answer.status == 200, text
        return json.loads(text)

    def put(self, key, value):
        """When it was sent, in ns of this machine's clock."""
        body = {"key": text64(key), "value": text64(value if isinstance(value, str) else json.dumps(value))}
        sent = time.time_ns()
        self.call("/v3/kv/put", body)
        return sent

    def put_many(self, values):
        """{key: value}, by as few writes as etcd takes; when the first was sent."""
        puts = [{"requestPut": {"key": text64(key), "value": text64(json.dumps(value))}} for key, value in values.items()]
        sent = time.time_ns()
        for first in range(0, len(puts), TXN_MAX):
            self.call("/v3/kv/txn", {"success": puts[first:first + TXN_MAX]})
        return sent

    def states(self):
        """{host: state} that the hosts have written."""
        found = self.call("/v3/kv/range", {"key": text64("/egret/state/"), "range_end": text64("/egret/state0")})
        states = [json.loads(base64.b64decode(kv["value"])) for kv in found.get("kvs", [])]
        return {state["host"]: state for state in states}


class Inotify:
    """Enough instances for so many agents of one user's, and the limit as it was afterwards."""

    def __init__(self, agents):
        self.wanted, self.before = 4 * agents + 128, None

    @staticmethod
    def limit(value=None):
        with open(INOTIFY, "r" if value is None else "w", encoding="ascii") as limit:
            return int(limit.read()) if value is None else limit.write(str(value))

    def raise_limit(self):
        if self.limit() < self.wanted:
            self.before = self.limit()
            self.limit(self.wanted)

    def restore(self):
        if self.before and self.limit() == self.wanted:  # else somebody else has changed it meanwhile
            self.limit(self.before)


class Fleet:
    """with Host() as host, Fleet(host, 50) as fleet: ... An app `web` is in each; their sockets beat together."""

    def __init__(self, host, count, **config):
        self.host, self.count, self.name = host, count, f"{host.name}-fleet"
        self.etcd = Etcd(os.path.join(host.directory, "etcd"), self.name)
        self.gateway = Gateway(self.etcd)
        self.agents = []
        for number in range(count):
            agent = host.make_agent(f"f{number}", root=f"{self.name}{number}.slice", **{
                "host": f"host-{number}", "max_apps": 64, "max_rules": 1024, "host_labels": {"env": "prod"},
                "events": {"ring": "1MiB", "priority_ring": "256KiB"},
                "control": {"source": "etcd", "endpoints": [self.etcd.url], "user": "daemon", "lease": LEASE}, **config})
            agent.netns = Network.path(self.name)
            self.agents.append(agent)
        self.workers, self.sender, self.inotify = [], None, Inotify(count)

    def __enter__(self):
        try:
            self.inotify.raise_limit()
            run("ip", "netns", "add", self.name)
            run("ip", "-n", self.name, "link", "set", "lo", "up")
            self.etcd.start()
            self.gateway.connect()
            self.each(lambda agent: agent.start(), STARTS_AT_ONCE)
            return self
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for agent in self.agents:
            agent.destroy()
        self.etcd.remove()
        if os.path.exists(Network.path(self.name)):
            run("ip", "netns", "del", self.name)
        self.inotify.restore()

    def each(self, function, at_once=8):
        """What function makes of each agent, in order."""
        with concurrent.futures.ThreadPoolExecutor(at_once) as threads:
            return list(threads.map(function, self.agents))

    def cgroups(self, app):
        """One pattern that finds the app on each of them."""
        return [f"{self.name}*.slice/{app}.scope"]

    def policy(self, app, port, **more):
        return policy(app, [rule(ALLOWED, port, "udp")], cgroups=self.cgroups(app), **more)

    def push(self, app, port, **more):
        return self.gateway.put(f"/egret/policies/{app}", self.policy(app, port, **more))

    def in_force(self, app, port, timeout=60):
        """Waits until each of them says so."""
        def look(agent):
            def one():
                entry = agent.apps().get(app)
                return entry and entry["policy_rev"] and \
                    agent.get(f"/v1/policies/{app}")["policy"]["egress"][0]["ports"] == [port]

            return eventually(one, timeout, f"{app} on {agent.config['host']}")

        self.each(look)

    def state(self, app, state, timeout=60):
        self.each(lambda agent: eventually(lambda: agent.apps().get(app, {}).get("state") == state, timeout,
                                           f"{app} {state} on {agent.config['host']}"))

    # ---- Beats ----------------------------------------------------------------------------------------

    def beat(self, app):
        """A process of the app on each host, and all of their sockets in one sender's hand."""
        for agent in self.agents:
            cgroup.make(f"{agent.root}/{app}.scope")
        self.each(lambda agent: eventually(lambda: agent.app(app)["cgroups"], 60, "the tag"))
        self.workers = [self.host.process(f"{agent.root}/{app}.scope") for agent in self.agents]
        self.sender = self.host.outsider(netns=self.host.network.server)
        for number, worker in enumerate(self.workers):
            worker.open("beat", ALLOWED, "udp")
            with worker.lend("beat") as sock:
                self.sender.hand(f"beat{number}", sock)
        self.sender.beat([f"beat{number}" for number in range(self.count)], PORTS, ALLOWED)

    def beaten(self, which, what, timeout=60):
        """{sender: ns}, of all of them: the "first" beat that arrived; or the "last", and when the next was refused."""
        def all_there():
            seen = self.sender.beaten()
            found = seen["first" if which == "first" else "ended"]
            return len(found) == self.count and seen

        seen = eventually(all_there, timeout, what)
        return seen["first"] if which == "first" else (seen["last"], seen["ended"])

# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests stand on; nothing in here knows pytest, so that vmtests/ can use it too.

host.py     Host: one test's namespaces, cgroup root, agent, servers and apps, and their total removal
agent.py    Agent: egretd with directories of its own, its API, the egret command line
process.py  Worker: the handle of a worker.py process
threads.py  the worker's servers, floods and capture
frames.py   packets and frames of any shape
beats.py    senders of which the first and the last packet is known
rings.py    the worker's io_uring and AF_XDP
worker.py   runs inside an app's cgroup and namespace, or as a server, and does what it is told
tls.py      a TLS server, a CONNECT proxy; ClientHellos of any shape
pki.py      a certificate authority
http_receivers.py, http_faults.py, ship_http.py   receivers of logs, what goes wrong with them, egret-ship's HTTP sinks
dns.py      DNS messages, and a server that answers from data and records what it was asked
names.py    a zone, policies with names, and what became of a name: counter, event, grant
resolved.py systemd-resolved
machine.py  a machine of its own: systemd as its init, over a throw-away copy of this one's files
etcd.py, control.py, fleet.py   a real etcd; a host that follows it, or a bundle's server; many that do
net.py      network namespaces and addresses
cgroup.py   cgroups made and removed
memory.py   a cgroup that limits memory
events.py   the NDJSON log
policy.py   policies as dictionaries
schemas.py  what ECS and OCSF demand of an event
wait.py     eventually(): wait for a condition, never for a time
"""
from . import cgroup  # noqa: F401
from .agent import Agent, ApiError  # noqa: F401
from .host import Host  # noqa: F401
from .net import ALLOWED, ALLOWED6, APP, APP6, DENIED, DENIED6, OTHER, OTHER6  # noqa: F401
from .policy import in_days, in_seconds, policy, rule, source  # noqa: F401
from .process import Worker  # noqa: F401
from .wait import eventually, holds  # noqa: F401

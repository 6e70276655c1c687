# SPDX-License-Identifier: Apache-2.0
"""ulogd2 (JSON from conntrack) beside us, on the same connections: CPU for each flow, and flows told.

Both see every connection of one app: ulogd2 by the destroy events of conntrack in the app's namespace, egretd by its
own hooks. What either costs in the kernel, on the app's own time, is not in the figures. Debian has it in ulogd2 and
ulogd2-json; where they are not, the table says so.
"""
import contextlib
import json
import os
import subprocess
import time

from harness import ALLOWED, Host, eventually
from harness.net import Network, run
from network import entering, fast_policy, serving
from shipping import TICKS
from table import QUICK, binary, row

TURNS = 3 if QUICK else 9
MILLISECONDS = 500 if QUICK else 2000
PLUGINS = "/usr/lib/x86_64-linux-gnu/ulogd"
PORT = 9


def write_config(directory):
    path, out = os.path.join(directory, "ulogd.conf"), os.path.join(directory, "ulogd.json")
    plugins = "".join(f'plugin="{PLUGINS}/ulogd_{name}.so"\n'
                      for name in ("inpflow_NFCT", "filter_IP2STR", "output_JSON"))
    with open(path, "w", encoding="ascii") as config:
        config.write(f'[global]\nlogfile="{directory}/ulogd.log"\n{plugins}stack=ct1:NFCT,ip2str1:IP2STR,json1:JSON\n'
                     "[ct1]\nhash_enable=1\nnetlink_socket_buffer_size=4194304\nnetlink_socket_buffer_maxsize=16777216\n"
                     "event_mask=0x00000005\n"
                     f'[json1]\nsync=0\nfile="{out}"\n')
    return path, out


def cpu(pid):
    with open(f"/proc/{pid}/stat", encoding="utf-8") as stat:
        return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) / TICKS


def ended(path):
    """Connections in ulogd2's file. A port that is used again soon has the same id, so that tells nothing apart."""
    with open(path, encoding="utf-8") as out:
        return sum(json.loads(line)["orig.l4.dport"] == PORT for line in out)


def ends(agent):
    return len({one["flow_id"] for one in agent.log(type="flow", phase="end", app="fast-1") if one["dst_port"] == PORT})


def connect(host):
    for _ in range(TURNS):
        subprocess.run(entering(host.cgroup_of("fast-1"), host.network.app, binary("bench_net"), "connect", ALLOWED,
                                PORT, MILLISECONDS), stdout=subprocess.DEVNULL, check=True)
        time.sleep(1)


def forgotten(host):
    """conntrack has told the end of each connection, when its collector has come to it."""
    return run("ip", "netns", "exec", host.network.app, "conntrack", "-C").strip() == "0"


@contextlib.contextmanager
def running(host, config):
    daemon = subprocess.Popen(["nsenter", f"--net={Network.path(host.network.app)}", "/usr/sbin/ulogd", "-c", config],
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield daemon
    finally:
        daemon.kill()
        daemon.wait()


def ulogd():
    if not os.path.exists(f"{PLUGINS}/ulogd_output_JSON.so"):
        row("ulogd2 on the same connections", "missing", "-", "apt-get install ulogd2 ulogd2-json")
        return
    with contextlib.ExitStack() as stack:
        events = {"rate": "1000000/s", "burst": 1000000, "ring": "16MiB", "priority_ring": "1MiB"}
        host = stack.enter_context(Host(max_apps=64, events=events))
        host.agent.start()
        host.app(fast_policy("fast-1", 1))
        # Without a rule that asks for it there is no conntrack in a namespace.
        run("nsenter", f"--net={Network.path(host.network.app)}", "nft", "-f", "-",
            text="table inet seen {\n chain out {\n type filter hook output priority 0\n ct state new accept\n }\n}\n")
        for key in ("close", "time_wait"):  # the default of 10 s and 2 min would be waited for
            host.network.sysctl(host.network.app, f"net/netfilter/nf_conntrack_tcp_timeout_{key}", "1")
        config, out = write_config(host.directory)
        daemon = stack.enter_context(running(host, config))
        stack.enter_context(serving(host.network.server, "bench_net", "serve", ALLOWED, PORT,
                                    TURNS * (MILLISECONDS + 5000) + 5000))
        agent, pids = host.agent, (host.agent.process.pid, daemon.pid)
        used = [cpu(pid) for pid in pids]
        connect(host)
        eventually(lambda: forgotten(host), 180, "the end of all connections")
        time.sleep(3)
        spent = [cpu(pid) - before for pid, before in zip(pids, used)]
        flows = agent.app("fast-1")["flows"]
        ours, theirs = (1e6 * one / flows for one in spent)
        row("a flow told: CPU of egretd to CPU of ulogd2", f"{100 * ours / theirs:.0f} %", "once",
            f"{ours:.1f} us and {theirs:.1f} us; one thread connects")
        daemon.terminate()  # it writes what it has in memory
        daemon.wait(20)
        row(f"ends told of {flows} flows, egretd", f"{ends(agent)}", "once", f"{ended(out)} by ulogd2")

# SPDX-License-Identifier: Apache-2.0
"""Network namespaces: an app's, joined to the servers' by a veth pair; no route leads off the machine."""
import ipaddress
import os
import subprocess

APP, APP6 = "10.77.1.2", "fd77:1::2"
ALLOWED, ALLOWED6 = "10.77.1.10", "fd77:1::10"
OTHER, OTHER6 = "10.77.1.11", "fd77:1::11"
DENIED, DENIED6 = "10.77.1.20", "fd77:1::20"
SERVER_ADDRESSES = ("10.77.1.1", "fd77:1::1", ALLOWED, ALLOWED6, OTHER, OTHER6, DENIED, DENIED6)
ROUTER, ROUTER6 = "10.77.1.1", "fd77:1::1"
MTU = 1500


def run(*argv, text=None, code=0):
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != code:
        raise RuntimeError(f"{' '.join(argv)}: {done.stdout}{done.stderr}")
    return done.stdout


def batch(namespace, lines):
    run("ip", *(["-n", namespace] if namespace else []), "-batch", "-", text="\n".join(lines) + "\n")


def address_lines(device, addresses):
    for address in addresses:
        if ":" in address:
            yield f"addr add {address}/64 dev {device} nodad"
        else:
            yield f"addr add {address}/24 dev {device}"


class Network:
    """Two namespaces, NAME-app and NAME-srv. Device `up0` leads from one to the other in both.

    With `host` there is a third between them, NAME-host, as a container host has it: a bridge
    with the other ends, `app0` and `srv0`.
    """

    def __init__(self, name, host=False):
        self.app, self.server, self.host = f"{name}-app", f"{name}-srv", f"{name}-host" if host else None
        self.made = []

    def make(self):
        for namespace in filter(None, (self.app, self.server, self.host)):
            run("ip", "netns", "add", namespace)
            self.made.append(namespace)
            for family in ("ipv4", "ipv6"):
                self.sysctl(namespace, f"net/{family}/conf/all/forwarding", "0")
            self.sysctl(namespace, "net/ipv4/ping_group_range", "0 2147483647")
        if self.host:
            self.make_bridge()
        else:
            batch(self.app, [f"link add up0 mtu {MTU} type veth peer name up0 netns {self.server}"])
        batch(self.app, ["link set lo up", "link set up0 up", *address_lines("up0", [APP, APP6])])
        batch(self.server, ["link set lo up", "link set up0 up", *address_lines("up0", SERVER_ADDRESSES)])

    def make_bridge(self):
        for where in ("all", "default"):
            self.sysctl(self.host, f"net/ipv6/conf/{where}/disable_ipv6", "1")
        batch(self.host, ["link set lo up", "link add br0 type bridge mcast_snooping 0", "link set br0 up"])
        for namespace, device in ((self.app, "app0"), (self.server, "srv0")):
            batch(namespace, [f"link add up0 mtu {MTU} type veth peer name {device} netns {self.host}"])
            batch(self.host, [f"link set {device} master br0", f"link set {device} up"])

    def add_app(self, namespace, addresses, pid=None):
        """One more app namespace (or that of a process), on a link of its own: addresses is (ours, the servers')."""
        run("ip", "netns", *(["attach", namespace, str(pid)] if pid else ["add", namespace]))
        self.made.append(namespace)
        self.sysctl(namespace, "net/ipv4/ping_group_range", "0 2147483647")
        device = f"up{len(self.made) - 2}"
        batch(namespace, [f"link add up0 mtu {MTU} type veth peer name {device} netns {self.server}"])
        batch(namespace, ["link set lo up", "link set up0 up", *address_lines("up0", [a for a, _ in addresses])])
        batch(self.server, [f"link set {device} up", *address_lines(device, [b for _, b in addresses])])

    def public(self, *prefixes):
        """Networks that count as public (for documentation, RFC 5737 and 3849): all of the server's own."""
        for prefix in prefixes:
            net = ipaddress.ip_network(prefix)
            batch(self.server, [f"route add local {prefix} dev lo"])
            batch(self.app, [f"route add {prefix} via {ROUTER6 if net.version == 6 else ROUTER}"])

    def sysctl(self, namespace, key, value):
        run("ip", "netns", "exec", namespace, "sh", "-c", f"echo '{value}' >/proc/sys/{key}")

    @staticmethod
    def path(namespace):
        return f"/run/netns/{namespace}"

    def remove(self):
        for namespace in self.made:
            if os.path.exists(self.path(namespace)):
                run("ip", "netns", "del", namespace)
        self.made = []

# SPDX-License-Identifier: Apache-2.0
"""What the tests of names share: a zone whose addresses count as public, policies with names, resolv.conf."""
import itertools

from .net import ROUTER, ROUTER6
from .policy import policy, rule

PUBLIC, PUBLIC6 = "198.51.100.0/24", "2001:db8::/64"
API, API6, MANY = "198.51.100.1", "2001:db8::1", [f"198.51.100.{number}" for number in range(100, 140)]
ZONE = {
    "api.example": {"A": [API], "AAAA": [API6]},
    "a.wild.example": {"A": ["198.51.100.2"]},
    "b.a.wild.example": {"A": ["198.51.100.3"]},
    "wild.example": {"A": ["198.51.100.4"]},
    "other.example": {"A": ["198.51.100.9"]},
    "alias.example": {"CNAME": "b.cdn.test"},
    "b.cdn.test": {"CNAME": "c.cdn.test"},
    "c.cdn.test": {"A": ["198.51.100.5"], "AAAA": ["2001:db8::5"]},
    "hint.example": {"HTTPS": {"v4": ["198.51.100.6", "198.51.100.7"], "v6": ["2001:db8::6"]}, "TXT": ["hello"]},
    "late.example": {"A": ["198.51.100.8"], "delay": 0.3},
    "big.example": {"A": MANY, "udp": "tc", "split": [1, 1, 10, 30]},
    "lower.example": {"A": [API], "case": "lower"},
}

numbers = itertools.count()


def named(app, to, ports=443, proto="tcp", dns=None, more=None, **keys):
    """A policy with one rule. dns and more are keys of its "dns" and of the rule."""
    to = [to] if isinstance(to, str) else list(to)
    made = {"resolvers": [ROUTER, ROUTER6], **(dns or {})}
    return policy(app, [rule(to, ports, proto, id="named", **(more or {}))], dns=made, **keys)


def resolv_conf(host, *servers, search="", options="timeout:20 attempts:1"):
    """`files` of an app that resolves by these servers."""
    lines = [f"nameserver {server}\n" for server in servers or (ROUTER,)]
    lines += [f"search {search}\n"] if search else []
    path = host.file(f"resolv-{len(host.workers)}.conf", "".join([*lines, f"options {options}\n"]))
    hosts = host.file("hosts", "127.0.0.1 localhost\n")
    switch = host.file("nsswitch.conf", "hosts: files dns\n")
    return {"/etc/resolv.conf": path, "/etc/hosts": hosts, "/etc/nsswitch.conf": switch}


def begin(host, zone=None):
    """The resolver, and an echo server at every public address."""
    host.network.public(PUBLIC, PUBLIC6)
    host.server.dns_serve([ROUTER, ROUTER6], ZONE if zone is None else zone)
    host.serve(["0.0.0.0", "::"], 443)


def asked(host):
    return [(each["name"], each["type"]) for each in host.server.dns_asked()]


# ---- What became of it: the counter, the event, the grant --------------------------------------------------


def refused(agent, app, name, count=1, reason="dns_name"):
    """Counted, and told with the name."""
    event = agent.event(type="dns", app=app, action="refused", name=name)
    assert (event["reason"], event["verdict"], event["rule"]) == (reason, "deny", "dns")
    assert agent.count(app, reason) == count
    return event


def learned(agent, app, name, **wanted):
    return agent.event(type="dns", app=app, action="learned", name=name, **wanted)


def grants(agent, app):
    return {(one["name"], one["address"]): one for one in agent.get(f"/v1/apps/{app}?grants=1")["grants"]["list"]}


def opens(app, address, port=443, proto="tcp"):
    name = f"{address} {next(numbers)}"
    app.connect(name, address, port, proto)
    assert app.ask(name) == "ping"
    return name

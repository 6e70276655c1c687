# SPDX-License-Identifier: Apache-2.0
"""Names with clients and resolvers as people have them: what they do where a name is allowed, and where it is not."""
import json
import subprocess

import pytest

from harness import eventually
from harness.names import (
    API, API6, MANY, PUBLIC, PUBLIC6, asked, begin, grants, learned, named, opens, refused, resolv_conf,
)
from harness.net import ROUTER, ROUTER6
from harness.resolved import Resolved

SLOW_S = 15  # a client that waits for a resolver (20 s in resolv_conf) would take longer


@pytest.fixture
def names(host):
    """The host, with a resolver and a server."""
    begin(host)
    return host


def test_getaddrinfo(names, agent):
    app = names.app(named("web", ["api.example", "big.example"], dns={"ask_only": ["corp.example"]}),
                    files=resolv_conf(names, search="corp.example"))
    assert app.lookup("api.example")["addresses"] == sorted([API, API6])
    opens(app, API)
    opens(app, API6)
    assert app.lookup("big.example", "AF_INET")["addresses"] == sorted(MANY)
    assert agent.app("web")["denied"] == 0  # to sort addresses it connects UDP sockets, which the rules don't name
    before = len(asked(names))
    found = app.lookup("stolen.attacker.example")
    assert found["error"] and found["seconds"] < SLOW_S
    assert {name for name, _ in asked(names)[before:]} <= {"stolen.attacker.example.corp.example"}
    refused(agent, "web", "stolen.attacker.example", agent.count("web", "dns_name"))


FAR = {"search": "corp.test", "options": "timeout:20 attempts:1 ndots:5"}


def test_a_search_list(names, agent):
    """By ndots:5 the name is tried below corp.test first, which has to be allowed: glibc stops at what it can't ask."""
    app = names.app(named("web", "api.example", dns={"ask_only": ["corp.test"]}), files=resolv_conf(names, **FAR))
    assert app.lookup("api.example")["addresses"] == sorted([API, API6])
    assert {name for name, _ in asked(names)} == {"api.example.corp.test", "api.example"}
    opens(app, API)
    assert agent.count("web", "dns_name") == 0
    strict = names.app(named("strict", "api.example"), files=resolv_conf(names, **FAR))
    before = len(asked(names))
    found = strict.lookup("api.example")
    assert found["error"] == "EAI_AGAIN" and found["seconds"] < SLOW_S
    refused(agent, "strict", "api.example.corp.test", agent.count("strict", "dns_name"))
    near = names.process(names.cgroup_of("strict"), files=resolv_conf(names, search="corp.test"))
    assert near.lookup("api.example")["addresses"] == sorted([API, API6])
    assert {name for name, _ in asked(names)[before:]} == {"api.example"}


def test_dig(names, agent):
    app = names.app(named("web", ["api.example", "alias.example"]))
    for more in ([], ["+tcp"]):
        assert app.command("dig", f"@{ROUTER}", "+short", "+time=5", "+tries=1", *more, "api.example").split() == [API]
    assert app.command("dig", f"@{ROUTER6}", "+short", "alias.example", "AAAA").split()[-1] == "2001:db8::5"
    opens(app, "2001:db8::5")
    with pytest.raises(RuntimeError):
        app.command("dig", f"@{ROUTER}", "+time=1", "+tries=1", "other.example")
    refused(agent, "web", "other.example", agent.count("web", "dns_name"))
    assert "other.example" not in dict(asked(names))


CURL = ["curl", "-sS", "--http0.9", "--max-time", "10"]


def test_curl(names, agent):
    for address in ("0.0.0.0", "::"):
        names.server.serve("tcp", address, 80, "source:5")
    app = names.app(named("web", "api.example", 80), files=resolv_conf(names))
    assert app.command(*CURL, "http://api.example/") == "sssss"
    with pytest.raises(RuntimeError, match="resolve host"):
        app.command(*CURL, "http://other.example/")
    refused(agent, "web", "other.example", agent.count("web", "dns_name"))
    assert agent.event(type="flow", app="web", phase="end", name="api.example")["dst"] in (API, API6)
    assert "other.example" not in dict(asked(names))


NODE = """
const dns = require("dns"), net = require("net");
const said = {}, begun = Date.now();
dns.setServers(["%s"]);
const note = (key, then) => (error, found) => { said[key] = error ? error.code : found; then(); };
const connect = then => { const c = net.connect(443, "api.example", () => c.write("ping"));
    c.on("data", data => { said.echo = String(data); c.destroy(); then(); });
    c.on("error", error => { said.echo = error.code; then(); }); };
dns.resolve4("api.example", note("a", () => dns.lookup("api.example", {family: 4}, note("lookup", () =>
    connect(() => dns.resolve4("other.example", note("other", () => dns.lookup("other.example", note("lookup_other",
        () => { said.seconds = (Date.now() - begun) / 1000; console.log(JSON.stringify(said)); })))))))));
"""


def test_node(names, agent):
    """Its resolver (c-ares) and getaddrinfo."""
    app = names.app(named("web", "api.example"), files=resolv_conf(names))
    said = json.loads(app.command("node", "-e", NODE % ROUTER))
    assert (said["a"], said["lookup"], said["echo"]) == ([API], API, "ping")
    assert isinstance(said["other"], str) and isinstance(said["lookup_other"], str)
    assert said["seconds"] < SLOW_S, said
    refused(agent, "web", "other.example", agent.count("web", "dns_name"))
    assert "other.example" not in dict(asked(names))


def test_dnsmasq(host, agent):
    """A resolver as people have it; getaddrinfo, A and AAAA at once."""
    host.network.public(PUBLIC, PUBLIC6)
    host.serve(["0.0.0.0", "::"], 443)
    log = host.file("dnsmasq.log", "")
    server = subprocess.Popen(
        ["ip", "netns", "exec", host.network.server, "dnsmasq", "--keep-in-foreground", "--no-resolv", "--no-hosts",
         "--conf-file=/dev/null", "--user=root", "--group=root", "--pid-file=", f"--listen-address={ROUTER}",
         "--bind-interfaces", "--log-queries", f"--log-facility={log}", "--host-record=api.example,%s,%s" % (API, API6),
         "--cname=alias.example,api.example", "--address=/wild.example/198.51.100.2", "--local=/example/"])
    try:
        app = host.app(named("web", ["api.example", "alias.example", "*.wild.example"]), files=resolv_conf(host))
        eventually(lambda: app.lookup("api.example")["addresses"] == sorted([API, API6]))
        opens(app, API)
        opens(app, API6)
        assert app.lookup("alias.example")["addresses"] == sorted([API, API6])
        assert app.lookup("any.wild.example", "AF_INET")["addresses"] == ["198.51.100.2"]
        opens(app, "198.51.100.2")
        assert app.lookup("tunnel.other.example")["error"]
        refused(agent, "web", "tunnel.other.example", agent.count("web", "dns_name"))
        with open(log, encoding="utf-8") as lines:
            text = lines.read()
        assert "any.wild.example" in text and "tunnel" not in text
    finally:
        server.terminate()
        server.wait(10)


def test_go(names, agent):
    """etcdctl, a Go program: the name is asked for by Go's resolver, and the server there hears from it."""
    app = names.app(named("web", "api.example", dns={"ask_only": ["corp.example"]}),
                    files=resolv_conf(names, search="corp.example"))
    etcdctl = ["env", "GODEBUG=netdns=go+1", "etcdctl", "--dial-timeout=3s", "--command-timeout=3s"]
    with pytest.raises(RuntimeError) as failure:  # nobody there speaks its protocol
        app.command(*etcdctl, "--endpoints=http://api.example:443", "endpoint", "health")
    assert "go package net" in str(failure.value)
    assert {name for name, _ in asked(names)} >= {"api.example"}
    flow = agent.event(type="flow", app="web", phase="end", name="api.example")
    assert flow["dst"] in (API, API6) and flow["bytes_out"] > 0
    before = agent.count("web", "dns_name")
    with pytest.raises(RuntimeError):
        app.command(*etcdctl, "--endpoints=http://other.example:443", "endpoint", "health")
    assert agent.count("web", "dns_name") > before
    refused(agent, "web", "other.example", agent.count("web", "dns_name"))
    assert "other.example" not in dict(asked(names))


def test_systemd_resolved(names, agent):
    """Its stub at 127.0.0.53 in the app's namespace, which asks the resolver of the network; it belongs to no app."""
    with Resolved(names, ROUTER) as resolved:
        made = named("web", ["api.example", "alias.example", "big.example"], dns={"resolvers": [resolved.STUB]})
        app = names.app(made, files=resolv_conf(names, resolved.STUB))
        eventually(lambda: app.lookup("api.example")["addresses"] == sorted([API, API6]))
        opens(app, API)
        opens(app, API6)
        assert app.lookup("big.example", "AF_INET")["addresses"] == sorted(MANY)  # by TCP, both times
        opens(app, MANY[20])
        assert app.lookup("alias.example", "AF_INET")["addresses"] == ["198.51.100.5"]
        opens(app, "198.51.100.5")
        assert learned(agent, "web", "api.example", qtype="A")["addresses"] == [API]
        denied = agent.app("web")["denied"]
        found = app.lookup("stolen.attacker.example")
        assert found["error"] and found["seconds"] < SLOW_S
        refused(agent, "web", "stolen.attacker.example", agent.count("web", "dns_name"))
        assert app.fails("connect", "direct", ROUTER, 53) == "EPERM"  # round the stub
        assert app.fails("connect", "c", "198.51.100.9", 443) == "EPERM"
        assert agent.app("web")["denied"] > denied
        assert "stolen.attacker.example" not in dict(asked(names))
        assert {name for name, _ in grants(agent, "web")} == {"api.example", "alias.example", "big.example"}

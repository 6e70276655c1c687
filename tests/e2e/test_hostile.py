# SPDX-License-Identifier: Apache-2.0
"""What a hostile app tries beyond its policy: ways round the verdict, the caps, the counts and the log."""
import os
import time

import pytest

from harness import ALLOWED, APP, DENIED, Worker, cgroup, eventually, policy, rule, source
from harness.events import flow_sums, read
from harness.net import run
from harness.policy import in_seconds

CAP_NET_RAW = 13
FAR, FAR_ROUTER = "10.77.2.2", "10.77.2.1"


def assert_log_adds_up(agent, name):
    def look():
        app, sums = agent.app(name), flow_sums(read(agent.log_dir), name)
        return all(sums[key] == app[key] for key in sums)

    eventually(look, what=f"a log of {name} that adds up")


def test_source_route(host, agent):
    """A loose source route names hops that are not the address that the rules see."""
    network, far = host.network, f"{host.name}-far"
    network.add_app(far, [(FAR, FAR_ROUTER)])
    for key in ("ip_forward", "conf/all/accept_source_route", "conf/up0/accept_source_route"):
        network.sysctl(network.server, f"net/ipv4/{key}", "1")
    run("ip", "-n", far, "route", "add", "default", "via", FAR_ROUTER)
    victim = host.outsider(netns=far)
    victim.watch_wire("up0")
    app = host.app(policy("router", [rule(ALLOWED, 443, "udp")]), caps=(CAP_NET_RAW,))
    app.connect("u", ALLOWED, 443, "udp")
    app.source_route("u", ALLOWED, FAR)
    assert app.fails("send", "u", "through") == "EPERM"
    assert not [seen for seen in victim.wire_tally() if seen[1] == APP]
    assert agent.count("router", "ext_header") == 1
    agent.event(type="deny", app="router", reason="ext_header", hook="packet")


def test_port_of_the_app_becomes_another_s(host, agent):
    """On the host's loopback `self` ends when somebody else takes the port."""
    path = host.cgroup_of("squat")
    agent.put(policy("squat", [rule(ALLOWED, 443)], cgroups=host.glob_of("squat")))
    cgroup.make(path)
    host.tagged("squat", path)
    app = Worker(cgroup=cgroup.full(path), netns=f"/proc/{agent.process.pid}/ns/net", uid=20500)
    host.workers.append(app)
    service = host.outsider()
    port = app.bind("mine", "127.0.0.1", 0, "udp")
    app.connect("u", "127.0.0.1", port, "udp")
    app.send("u", "own")
    assert app.recv("mine") == "own"
    app.close("mine")
    service.bind("s", "127.0.0.1", port, "udp")
    assert app.fails("send", "u", "stolen") == "EPERM"
    assert service.count_datagrams("s") == [0, 0]
    assert agent.count("squat", "loopback") == 1
    agent.event(type="deny", app="squat", reason="loopback", hook="packet")


def test_icmp_errors_are_capped(host, agent):
    """Whoever may have raw sockets is given ICMP errors by those whom a rule admits: they count like any data."""
    limits = {"ingress": {"bytes": "10KiB", "per": "24h", "action": "drop"}}
    ingress = [source(DENIED, proto="icmp", types=[11])]
    app = host.app(policy("raw", [rule(ALLOWED, proto="icmp")], ingress=ingress, raw_sockets=True, limits=limits),
                   caps=(CAP_NET_RAW,))
    app.open_raw("r", APP, 1)
    host.server.icmp_errors(DENIED, APP, 100, 1200)
    count, size = app.count_datagrams("r")
    assert 0 < size <= 10 * 1024 and count < 100
    assert agent.app("raw")["bytes_in"] == size
    assert agent.count("raw", "cap_ingress", "ingress") == 100 - count
    agent.event(type="cap", app="raw", percent=100)


def test_mptcp_is_in_the_log(host, agent):
    host.serve([ALLOWED], 443)
    app = host.app(policy("multi", [rule(ALLOWED, 443)], log="full"))
    app.connect("c", ALLOWED, 443, "mptcp")
    assert app.push("c", 100000)["bytes"] == 100000
    app.shutdown("c")
    app.pull("c", timeout=2)
    app.close("c")
    agent.event(type="flow", phase="end", app="multi")
    assert agent.app("multi")["bytes_out"] > 100000
    assert_log_adds_up(agent, "multi")


def test_simultaneous_open(host, agent):
    """Its counts stay, and the socket is given back."""
    app = host.app(policy("mirror", [rule(ALLOWED, 443)], log="full"))
    for _ in range(5):
        assert app.self_connect("x" * 1000) == "x" * 1000
    eventually(lambda: agent.app("mirror")["sockets"] == 0, what="the sockets to be given back")
    assert_log_adds_up(agent, "mirror")


def test_a_socket_that_changes_its_app(host, agent):
    """It is counted for neither, so that its end takes nothing from the new one's quota."""
    host.serve([ALLOWED], 443)
    app = host.app(policy("old", [rule(ALLOWED, 443, "udp")]))
    app.sendto("u", ALLOWED, 443)
    app.sendto("v", ALLOWED, 443)
    agent.put(policy("new", [rule(ALLOWED, 443), rule(ALLOWED, 443, "udp")]))
    agent.tag(host.cgroup_of("old"), "new")
    for name in ("u", "v"):
        app.fails("sendto", name, ALLOWED, 443)
        app.close(name)
    assert (agent.app("old")["sockets"], agent.app("new")["sockets"]) == (0, 0)
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    assert agent.app("new")["sockets"] == 1
    assert "socket_quota" not in agent.app("new")["reasons"]


class TestNoiseOfOnesOwn:
    """An app that is denied far over its event budget can't hide its cap or its end behind that."""

    @pytest.fixture
    def noisy(self, host):
        def make(made):
            app = host.app(made)
            app.connect("c", ALLOWED, 443)
            app.burst("u", DENIED, 443, 10, 20000)
            app.flood_udp("f", DENIED, 9)
            return app

        host.serve([ALLOWED], 443)
        return make

    def test_cap(self, agent, noisy):
        limits = {"egress": {"bytes": "10KiB", "per": "24h", "action": "alert"}}
        app = noisy(policy("loud", [rule(ALLOWED, 443), rule(ALLOWED, 443, "udp")], limits=limits))
        assert app.burst("v", ALLOWED, 443, 1000, 20) == {"sent": 20}
        agent.event(type="cap", app="loud", percent=100)
        assert app.flood_stop("f")["EPERM"] > 0
        agent.event(type="suppressed", app="loud", cause="event_budget")

    def test_expiry(self, agent, noisy):
        app = noisy(policy("ending", [rule(ALLOWED, 443)], expires=in_seconds(5)))
        assert app.end("c", 20) == "ECONNABORTED"
        agent.event(type="expire", app="ending", reason="expired")
        assert agent.app("ending")["state"] == "expired"
        app.flood_stop("f")

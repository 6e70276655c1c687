# SPDX-License-Identifier: Apache-2.0
"""ICMP that nobody asked for: errors to raw sockets, neighbour discovery from sockets that are not the kernel's."""
import ipaddress
import socket

import pytest

from harness import ALLOWED, APP, DENIED6, OTHER, eventually, policy, rule
from harness.net import run

CAP_NET_RAW, CAP_SYS_ADMIN = 13, 21
ECHO = "0800f7fe00000001"


def error_about(dst, protocol=socket.IPPROTO_ICMP):
    """Host unreachable, quoting an IPv4 packet from the app to dst."""
    quoted = bytes.fromhex("4500001c00004000") + bytes([64, protocol, 0, 0])
    addresses = ipaddress.ip_address(APP).packed + ipaddress.ip_address(dst).packed
    return "0301000000000000" + (quoted + addresses).hex() + ECHO


@pytest.fixture
def tracer(host):
    """An app with a raw ICMP socket `r`, which has asked ALLOWED."""
    made = policy("tracer", [rule(ALLOWED, proto="icmp"), rule([ALLOWED, OTHER], 4444, "udp")], raw_sockets=True)
    app = host.app(made, caps=[CAP_NET_RAW])
    app.open_raw("r", ALLOWED, socket.IPPROTO_ICMP)
    app.send_hex("r", ALLOWED, ECHO)
    assert app.recv_hex("r")[40:44] == "0000"  # the reply, after its IP header
    host.server.open_raw("e", APP, socket.IPPROTO_ICMP)
    return app


def test_a_raw_socket_gets_errors_about_what_it_sent(host, agent, tracer):
    before = agent.app("tracer")["packets_in"]
    host.server.send_hex("e", APP, error_about(ALLOWED))
    assert tracer.recv_hex("r")[40:44] == "0301"
    assert agent.app("tracer")["packets_in"] == before + 1
    assert agent.app("tracer")["denied"] == 0


@pytest.mark.parametrize("message", [
    error_about(OTHER), error_about(ALLOWED, socket.IPPROTO_TCP), error_about("192.0.2.1"), "0301000000000000"],
    ids=["other", "protocol", "stranger", "nothing"])
def test_a_raw_socket_gets_no_other_errors(host, agent, tracer, message):
    before = agent.app("tracer")["packets_in"]
    host.server.send_hex("e", APP, message)
    assert tracer.fails("recv_hex", "r", timeout=0.5) == "ETIMEDOUT"
    assert agent.count("tracer", "no_ingress_rule", "ingress") == 1
    event = agent.event(type="deny", app="tracer", reason="no_ingress_rule", direction="ingress")
    assert (event["proto"], event["icmp_type"]) == ("icmp", 3)
    assert agent.app("tracer")["packets_in"] == before


def test_errors_still_reach_the_flow_they_are_about(host, agent, tracer):
    """Past the raw socket, which isn't told."""
    tracer.connect("u", OTHER, 4444, "udp")
    tracer.send("u")
    assert tracer.end("u") == "ECONNREFUSED"
    assert tracer.fails("recv_hex", "r", timeout=0.5) == "ETIMEDOUT"
    assert agent.count("tracer", "no_ingress_rule", "ingress") == 1


# ---- Neighbour discovery --------------------------------------------------------------------------------


def solicitation(target):
    return "8700000000000000" + ipaddress.ip_address(target).packed.hex()


class TestBeforeTheTag:
    @pytest.fixture(params=["audit", "pass"])
    def config(self, request):
        return {"unknown_cgroup": request.param}

    def test_a_raw_socket_is_not_the_kernels(self, host, agent):
        """Made before its cgroup was tagged: what it sends needs a rule, whatever it looks like."""
        app = host.process(host.cgroup_of("early"), caps=[CAP_NET_RAW])
        app.open_raw("r", DENIED6, socket.IPPROTO_ICMPV6, hops=255)
        agent.put(policy("early", [rule(ALLOWED, 443)], cgroups=host.glob_of("early")))
        host.tagged("early")
        app.fails("send_hex", "r", DENIED6, solicitation(DENIED6))
        app.fails("send_hex", "r", DENIED6, "8500000000000000" + "aa" * 64)
        app.fails("send_hex", "r", DENIED6, "8600000000000000" + "aa" * 64)
        assert agent.count("early", "no_rule") == 3
        for kind in (133, 134):
            assert host.wire("in", dst=DENIED6, proto="icmp", port=kind) == (0, 0)
        event = agent.event(type="deny", app="early", reason="no_rule", dst=DENIED6, icmp_type=135)
        assert event["direction"] == "egress"


def test_the_kernel_discovers_neighbours_for_the_app(host, agent):
    """In a namespace that the app itself made, the kernel's sockets are the app's cgroup's."""
    app = host.app(policy("maker", [rule("fd78:1::1", 443)]), caps=[CAP_SYS_ADMIN])
    app.unshare_net()
    namespace = f"{host.name}-own"
    host.network.add_app(namespace, [("fd78:1::2", "fd78:1::1")], app.pid)
    host.server.serve("tcp", "fd78:1::1", 443)
    eventually(lambda: app.fails("connect", "c", "fd78:1::1", 443) is None or app.close("c"))
    assert app.ask("c") == "ping"

    def neighbour():
        return run("ip", "-n", namespace, "-6", "neigh", "show", "fd78:1::1", "dev", "up0")

    station = neighbour().split("lladdr ")[1].split()[0]
    run("ip", "-n", namespace, "-6", "neigh", "replace", "fd78:1::1", "lladdr", station, "dev", "up0", "nud", "probe")
    eventually(lambda: "REACHABLE" in neighbour(), what="the answer to the probe")
    run("ip", "-n", f"{host.network.server}", "-6", "neigh", "flush", "dev", "up1")
    assert app.ask("c") == "ping"  # the app's side answers solicitations
    assert agent.app("maker")["denied"] == 0

# SPDX-License-Identifier: Apache-2.0
"""Packets whose headers an app makes by hand, with its policy's leave to have raw sockets: each is judged, none is misread."""
import socket
import struct

import pytest

from harness import ALLOWED, ALLOWED6, APP, APP6, DENIED, DENIED6, Host, policy, rule
from harness.frames import TCP, extension, ipv4, ipv6, tcp_syn, udp

CAP_NET_RAW = 13
HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION, NOTHING, ICMP6 = 0, 43, 44, 60, 59, 58
RAW = {"raw_sockets": True}


@pytest.fixture(scope="module")
def shared():
    with Host() as host:
        host.agent.start()
        rules = [rule([ALLOWED, ALLOWED6], 443, "udp"), rule([ALLOWED, ALLOWED6], 443)]
        host.forger = host.app(policy("forger", rules, **RAW), caps=[CAP_NET_RAW])
        yield host


def refused(host, to, packet, reason):
    """Nothing arrives; the counter and the event tell why."""
    agent, before = host.agent, (host.wire("in", src=APP6 if ":" in to else APP), host.agent.count("forger", reason))
    events = len(agent.log(type="deny", app="forger", reason=reason))
    assert host.forger.fails("header", to, packet.hex()) == "EPERM"
    assert agent.count("forger", reason) == before[1] + 1
    assert host.wire("in", src=APP6 if ":" in to else APP) == before[0]
    event = agent.event(type="deny", app="forger", reason=reason, hook="packet")
    assert event["direction"] == "egress" and len(agent.log(type="deny", app="forger", reason=reason)) >= events


PORTS = bytes([1, 187]) * 20  # wherever one looks for a port among these options, it is 443
ROUTE = bytes([131, 7, 4]) + socket.inet_aton(DENIED) + b"\0"
PACKETS = {
    "destination": (ipv4(DENIED, udp()), "no_rule"),
    "port": (ipv4(ALLOWED, udp(22)), "no_rule_port"),
    "tcp": (ipv4(ALLOWED, tcp_syn(22), TCP), "no_rule_port"),
    "options that look like ports": (ipv4(ALLOWED, udp(22), options=PORTS), "no_rule_port"),
    "options that hide the end": (ipv4(ALLOWED, b"", options=PORTS), "unparsable"),
    "source route": (ipv4(ALLOWED, udp(), options=ROUTE), "ext_header"),
    "version 6": (ipv4(ALLOWED, udp(), version=6), "unparsable"),
    "cut short": (ipv4(ALLOWED, udp()[:6]), "unparsable"),
    "tcp cut short": (ipv4(ALLOWED, tcp_syn(443)[:18], TCP), "unparsable"),
    "first fragment": (ipv4(ALLOWED, udp(), fragment=0x2000), "fragment"),
    "later fragment": (ipv4(ALLOWED, udp(), fragment=1), "fragment"),
    "ipip": (ipv4(ALLOWED, ipv4(DENIED, udp()), 4), "protocol"),
    "gre": (ipv4(ALLOWED, bytes(12), 47), "protocol"),
    "esp": (ipv4(ALLOWED, bytes(32), 50), "protocol"),
    "sctp": (ipv4(ALLOWED, udp(), 132), "protocol"),
    "udp-lite": (ipv4(ALLOWED, udp(), 136), "protocol"),
}


@pytest.mark.parametrize("name", PACKETS)
def test_headers_made_by_hand(shared, name):
    refused(shared, ALLOWED, *PACKETS[name])


PACKETS6 = {
    "destination": (ipv6(DENIED6, udp()), "no_rule"),
    "port": (ipv6(ALLOWED6, udp(22)), "no_rule_port"),
    "port behind options": (ipv6(ALLOWED6, extension(17, udp(443)[:6]) + udp(22), DESTINATION), "no_rule_port"),
    "hop-by-hop": (ipv6(ALLOWED6, extension(17) + udp(22), HOP_BY_HOP), "no_rule_port"),
    "routing header": (ipv6(ALLOWED6, extension(17, b"\0\1" + bytes(4) + socket.inet_pton(socket.AF_INET6, DENIED6)) + udp(),
                            ROUTING), "ext_header"),
    "first fragment": (ipv6(ALLOWED6, struct.pack("!BBHI", 17, 0, 1, 7) + udp(), FRAGMENT), "fragment"),
    "later fragment": (ipv6(ALLOWED6, struct.pack("!BBHI", 17, 0, 8, 7) + udp(), FRAGMENT), "fragment"),
    "many headers": (ipv6(ALLOWED6, extension(DESTINATION) * 7 + extension(17) + udp(), DESTINATION), "ext_header"),
    "nothing follows": (ipv6(ALLOWED6, b"secret", NOTHING), "protocol"),
    "cut short": (ipv6(ALLOWED6, udp()[:4]), "unparsable"),
    "headers cut short": (ipv6(ALLOWED6, extension(17)[:4], DESTINATION), "unparsable"),
    "experiment": (ipv6(ALLOWED6, udp(), 253), "protocol"),
    "echo": (ipv6(ALLOWED6, bytes([128, 0, 0, 0, 0, 1, 0, 1]), ICMP6), "no_rule_port"),
}


@pytest.mark.parametrize("name", PACKETS6)
def test_headers_made_by_hand_in_ipv6(shared, name):
    refused(shared, ALLOWED6, *PACKETS6[name])


def test_what_a_rule_allows_leaves(shared):
    """So that the refusals above mean something."""
    before = [shared.wire("in", dst=dst, proto="udp")[0] for dst in (ALLOWED, ALLOWED6)]
    shared.forger.header(ALLOWED, ipv4(ALLOWED, udp()).hex())
    shared.forger.header(ALLOWED6, ipv6(ALLOWED6, udp()).hex())
    assert [shared.wire("in", dst=dst, proto="udp")[0] for dst in (ALLOWED, ALLOWED6)] == [before[0] + 1, before[1] + 1]


def test_a_routing_header_by_option(shared):
    """A segment route on a plain socket: the packet goes to the first segment, connect() named the last."""
    agent, app = shared.agent, shared.forger
    app.connect("u", ALLOWED6, 443, "udp")
    first = socket.inet_pton(socket.AF_INET6, DENIED6)
    app.option("u", "IPPROTO_IPV6", "IPV6_RTHDR", (bytes([0, 4, 4, 1, 1, 0, 0, 0]) + bytes(16) + first).hex())
    before = agent.count("forger", "ext_header")
    assert app.fails("send", "u", "secret") == "EPERM"
    assert agent.count("forger", "ext_header") == before + 1
    agent.event(type="deny", app="forger", reason="ext_header", hook="packet")
    shared.unseen(DENIED6)

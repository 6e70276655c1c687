# SPDX-License-Identifier: Apache-2.0
"""Packets whose headers an app makes by hand, with its policy's leave to have raw sockets: each is judged, none is misread."""
import socket

import pytest

from harness import ALLOWED, ALLOWED6, APP, APP6, DENIED, DENIED6, Host, policy, rule
from harness.frames import FORGED, FORGED6, ipv4, ipv6, udp

CAP_NET_RAW = 13


@pytest.fixture(scope="module")
def shared():
    with Host() as host:
        host.agent.start()
        rules = [rule([ALLOWED, ALLOWED6], 443, "udp"), rule([ALLOWED, ALLOWED6], 443)]
        host.forger = host.app(policy("forger", rules, raw_sockets=True), caps=[CAP_NET_RAW])
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


@pytest.mark.parametrize("name", FORGED)
def test_headers_made_by_hand(shared, name):
    refused(shared, ALLOWED, *FORGED[name])


@pytest.mark.parametrize("name", FORGED6)
def test_headers_made_by_hand_in_ipv6(shared, name):
    refused(shared, ALLOWED6, *FORGED6[name])


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

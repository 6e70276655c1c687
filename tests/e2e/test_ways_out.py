# SPDX-License-Identifier: Apache-2.0
"""Other ways for bytes to leave: to groups and to everybody on the link, without a copy, from a file, after a while."""
import ipaddress
import struct

import pytest

from harness import ALLOWED, APP, eventually, policy, rule
from harness.net import run

GROUP, GROUP6, EVERYBODY = "239.77.1.1", "ff12::77:1", "10.77.1.255"
RESET = {"ECONNABORTED", "ECONNRESET", "EPIPE"}


def open_for(app, name, address):
    """A UDP socket that may send there, over the app's link."""
    app.open(name, address, "udp")
    if address == EVERYBODY:
        app.option(name, "SOL_SOCKET", "SO_BROADCAST", 1)
    elif address == GROUP:
        app.option(name, "IPPROTO_IP", "IP_MULTICAST_IF", ipaddress.ip_address(APP).packed.hex())


# ---- Groups and everybody --------------------------------------------------------------------------------


@pytest.mark.parametrize("address", [GROUP, GROUP6, EVERYBODY])
def test_groups_need_a_rule_of_their_own(host, agent, address):
    """A rule for a host on the link opens neither its groups nor its broadcast address."""
    app = host.app(policy("caster", [rule(["10.77.1.10", "fd77:1::/64"], 5353, "udp")]))
    open_for(app, "u", address)
    assert app.fails("sendto", "u", address, 5353, "to all") == "EPERM"
    event = agent.event(type="deny", app="caster", reason="no_rule", dst=address, dst_port=5353)
    assert (event["proto"], event["hook"]) == ("udp", "sendmsg")
    assert agent.count("caster", "no_rule") == 1
    host.unseen(address)


@pytest.mark.parametrize("address, header", [(GROUP, 28), (GROUP6, 48), (EVERYBODY, 28)])
def test_what_a_rule_allows_counts_once(host, agent, address, header):
    """Also where the kernel hands the sender's host a copy."""
    app = host.app(policy("caster", [rule(address, 5353, "udp", id="group")]))
    open_for(app, "u", address)
    member = host.outsider(netns=host.network.app)
    member.bind("m", "::" if ":" in address else address, 5353, "udp")
    packed = ipaddress.ip_address(address).packed
    if address == GROUP:
        member.option("m", "IPPROTO_IP", "IP_ADD_MEMBERSHIP", (packed + ipaddress.ip_address(APP).packed).hex())
    elif address == GROUP6:
        index = int(run("ip", "-n", host.network.app, "-o", "link", "show", "up0").split(":")[0])
        member.option("m", "IPPROTO_IPV6", "IPV6_JOIN_GROUP", (packed + struct.pack("=I", index)).hex())
    for _ in range(5):
        assert app.sendto("u", address, 5353, "x" * 100) == 100
    if address != EVERYBODY:
        assert member.count_datagrams("m") == [5, 500]
    packets, size = host.wire("in", dst=address, proto="udp")
    assert (packets, size) == (5, 5 * (100 + header))
    counted = agent.app("caster")
    assert (counted["packets_out"], counted["bytes_out"]) == (packets, size)
    assert counted["denied"] == 0
    app.close("u")
    end = agent.event(type="flow", app="caster", phase="end", dst=address)
    assert (end["rule"], end["packets_out"], end["bytes_out"]) == ("group", packets, size)


# ---- Without a copy ------------------------------------------------------------------------------------------


WAYS = pytest.mark.parametrize("way", ["zerocopy", "sendfile", "splice"])


@WAYS
def test_no_way_into_the_socket_passes_a_cap(host, agent, way):
    host.serve([ALLOWED], 4443, mode="sink")
    limit = 500_000
    cap = {"egress": {"bytes": f"{limit}B", "per": "31d", "action": "drop"}}
    app = host.app(policy("mover", [rule(ALLOWED, 4443)], limits=cap))
    app.connect("c", ALLOWED, 4443)
    assert app.push_by(way, "c", 100_000, timeout=5)["end"] is None
    assert app.push_by(way, "c", 4 * limit, timeout=15)["end"] in RESET | {"ETIMEDOUT"}
    packets, size = host.wire("in", dst=ALLOWED, proto="tcp", port=4443)
    assert limit * 0.8 < size <= limit
    counted = agent.app("mover")
    assert (counted["packets_out"], counted["bytes_out"]) == (packets, size)
    assert agent.count("mover", "cap_egress") > 0
    assert agent.event(type="cap", app="mover", percent=100)


@WAYS
def test_no_way_into_the_socket_passes_a_kill(host, agent, way):
    host.serve([ALLOWED], 4443, mode="sink")
    app = host.app(policy("mover", [rule(ALLOWED, 4443)]))
    app.connect("c", ALLOWED, 4443)
    assert app.push_by(way, "c", 100_000)["end"] is None
    agent.kill("mover")
    before = host.wire("in", dst=ALLOWED)
    assert app.push_by(way, "c", 100_000)["end"] in RESET
    assert host.wire("in", dst=ALLOWED) == before


def test_zerocopy_datagrams_are_judged(host, agent):
    host.serve([ALLOWED], 443)
    app = host.app(policy("mover", [rule(ALLOWED, 443, "udp")]))
    app.connect("u", ALLOWED, 443, "udp")
    assert app.send_zerocopy("u", 1000) == 1000
    assert app.count_datagrams("u") == [1, 1000]
    agent.put(policy("mover", [rule(ALLOWED, 444, "udp")], cgroups=host.glob_of("mover")))
    before = host.wire("in", dst=ALLOWED)
    assert app.fails("send_zerocopy", "u", 1000) == "EPERM"
    assert host.wire("in", dst=ALLOWED) == before
    assert agent.count("mover", "no_rule_port") == 1
    assert agent.event(type="deny", app="mover", reason="no_rule_port", hook="packet")["dst"] == ALLOWED


# ---- After a while --------------------------------------------------------------------------------------------


class TestIdle:
    @pytest.fixture
    def config(self):
        return {"udp_idle": "5s"}

    def test_an_udp_answer_that_comes_too_late_needs_a_rule(self, host, agent):
        """Answers don't prolong it: only what the app itself sends does."""
        app = host.app(policy("asker", [rule(ALLOWED, 5000, "udp")]))
        host.server.bind("s", ALLOWED, 5000, "udp")
        app.bind("u", APP, 7000, "udp")

        def asked():
            app.sendto("u", ALLOWED, 5000, "question")
            host.server.sendto("s", APP, 7000, "answer")
            return app.fails("recv", "u", timeout=1) is None

        eventually(asked)
        answers = 0

        def refused():
            nonlocal answers
            host.server.sendto("s", APP, 7000, "answer")
            answers += 1
            return agent.count("asker", "no_ingress_rule", "ingress")

        eventually(refused, 30)
        event = agent.event(type="deny", app="asker", reason="no_ingress_rule", direction="ingress")
        assert (event["src"], event["src_port"], event["dst_port"]) == (ALLOWED, 5000, 7000)
        app.count_datagrams("u", timeout=0.3)
        host.server.sendto("s", APP, 7000, "too late")
        assert app.fails("recv", "u", timeout=0.5) == "ETIMEDOUT"
        eventually(asked)

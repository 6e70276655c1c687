# SPDX-License-Identifier: Apache-2.0
"""NAT in the app's namespace: the address that a packet goes to is judged, and what comes back is the flow's."""
import pytest

from harness import ALLOWED, APP, DENIED, OTHER, cgroup, eventually, policy, rule, source
from harness.net import run

RULES = f"""
table ip translated {{
    chain out {{
        type nat hook output priority -100;
        ip daddr {DENIED} tcp dport 80 dnat to {ALLOWED}:443
        ip daddr {DENIED} udp dport 80 dnat to {ALLOWED}:443
        ip daddr {DENIED} tcp dport 81 dnat to {ALLOWED}:445
        ip daddr {ALLOWED} tcp dport 82 dnat to {DENIED}:443
        ip daddr {ALLOWED} udp dport 82 dnat to {DENIED}:443
    }}
    chain in {{
        type nat hook prerouting priority -100;
        ip daddr {APP} tcp dport 80 dnat to {APP}:8080
        ip daddr {APP} udp dport 80 dnat to {APP}:8080
    }}
}}
"""


@pytest.fixture
def nat(host):
    host.serve([ALLOWED, DENIED], 443)
    run("ip", "netns", "exec", host.network.app, "nft", "-f", "-", text=RULES)
    plain = host.outsider(netns=host.network.app)
    for proto in ("tcp", "udp"):  # it translates
        plain.connect(proto, DENIED, 80, proto)
        assert plain.ask(proto) == "ping"
        plain.close(proto)


def flow_ends(agent, app, **wanted):
    """The one flow that ended."""
    (end,) = eventually(lambda: agent.log(type="flow", app=app, phase="end", **wanted))
    return end


class TestLate:
    @pytest.fixture
    def config(self):
        return {"connect_verdict": "off"}

    @pytest.mark.parametrize("proto", ["tcp", "udp"])
    def test_the_translated_destination_is_judged(self, host, agent, nat, proto):
        app = host.app(policy("nat", [rule(ALLOWED, 443, proto, id="web")]))
        app.connect("c", DENIED, 80, proto)
        for _ in range(3):
            assert app.ask("c") == "ping"
        app.close("c")
        end = flow_ends(agent, "nat", proto=proto)
        assert (end["dst"], end["dst_port"], end["rule"], end["verdict"]) == (ALLOWED, 443, "web", "allow")
        counted = agent.app("nat")
        assert (end["bytes_out"], end["bytes_in"]) == (counted["bytes_out"], counted["bytes_in"])
        assert counted["denied"] == 0 and counted["flows"] == 1

    def test_each_port_of_a_peer_is_judged(self, host, agent):
        """By the packet hook alone, whose verdict is kept with the socket: for that port, and no other."""
        for port in (443, 444):
            host.serve([ALLOWED], port)
        app = host.app(policy("ports", [rule(ALLOWED, 443, "udp")]))
        for _ in range(3):
            assert app.sendto("u", ALLOWED, 443, "12345") == 5
            assert app.fails("sendto", "u", ALLOWED, 444, "12345") == "EPERM"
        assert host.wire("in", dst=ALLOWED, proto="udp")[0] == 3
        assert agent.count("ports", "no_rule_port") == 3
        event = agent.event(type="deny", app="ports", reason="no_rule_port", hook="packet")
        assert (event["dst"], event["dst_port"]) == (ALLOWED, 444)

    @pytest.mark.parametrize("proto", ["tcp", "udp"])
    def test_what_a_rule_names_is_no_excuse(self, host, agent, nat, proto):
        app = host.app(policy("nat", [rule(ALLOWED, [443, 82], proto)]))
        if proto == "tcp":
            assert app.fails("connect", "c", ALLOWED, 82, timeout=1.5) in ("EPERM", "ETIMEDOUT")
        else:
            assert app.fails("sendto", "c", ALLOWED, 82) == "EPERM"
        assert app.fails("connect", "d", DENIED, 443, timeout=1.5) in ("EPERM", "ETIMEDOUT") or proto == "udp"
        assert host.wire("in", dst=DENIED, proto=proto) == (0, 0)
        assert agent.count("nat", "no_rule") >= 1
        assert agent.event(type="deny", app="nat", reason="no_rule", hook="packet", dst=DENIED)["dst_port"] == 443

    def test_a_policy_change_judges_the_flow_not_the_reply(self, host, agent, nat):
        """The first packet under the new policy comes from outside, from where no rule admits anybody."""
        made = policy("nat", [rule(ALLOWED, 445)], cgroups=host.glob_of("nat"))
        app = host.app(made)
        host.server.listen("l", ALLOWED, 445)
        app.connect("c", DENIED, 81)
        host.server.accept("l", "s")
        agent.put({**made, "egress": [rule(ALLOWED, [445, 446])]})
        host.server.send("s", "first")
        assert app.recv("c") == "first"
        assert app.send("c", "answer") and host.server.recv("s") == "answer"
        assert agent.app("nat")["denied"] == 0
        agent.put({**made, "egress": [rule(ALLOWED, 446)]})
        host.server.send("s", "late")
        assert app.fails("recv", "c", timeout=1) is not None

    def test_a_socket_with_several_peers_is_told_apart_by_their_addresses(self, host, agent, nat):
        """It may have spoken to somebody else only: what the peer of its connect() sends needs a rule."""
        app = host.app(policy("nat", [rule(ALLOWED, 443, "udp")]))
        app.bind("u", APP, 7000, "udp")
        app.connect("u", DENIED, 8000, "udp")
        assert app.sendto("u", ALLOWED, 443, "hello") == 5
        host.server.bind("s", DENIED, 8000, "udp")
        host.server.sendto("s", APP, 7000, "unasked")
        assert app.fails("recv", "u", timeout=0.5) == "ETIMEDOUT"
        assert agent.count("nat", "no_ingress_rule", "ingress") == 1

    def test_a_peer_that_was_never_spoken_to_has_no_say(self, host, agent, nat):
        app = host.app(policy("nat", [rule(ALLOWED, 443, "udp")]))
        app.bind("u", APP, 7000, "udp")
        app.connect("u", DENIED, 8000, "udp")
        host.server.bind("s", DENIED, 8000, "udp")
        host.server.sendto("s", APP, 7000, "unasked")
        assert app.fails("recv", "u", timeout=0.5) == "ETIMEDOUT"
        assert agent.count("nat", "no_ingress_rule", "ingress") == 1

    @pytest.mark.parametrize("proto", ["tcp", "udp"])
    def test_a_translated_port_of_its_own(self, host, agent, nat, proto):
        app = host.app(policy("nat", ingress=[source(ALLOWED, 8080, proto, id="in")]))
        host.server.bind("s", ALLOWED, 0, proto)
        if proto == "tcp":
            app.listen("l", APP, 8080)
            host.server.connect("s", APP, 80)
            app.accept("l", "a")
        else:
            app.bind("a", APP, 8080, "udp")
            host.server.connect("s", APP, 80, "udp")
        host.server.send("s", "hello")
        if proto == "tcp":
            assert app.recv("a") == "hello"
            app.send("a", "answer")
        else:
            assert app.recv("a") == "hello"
            app.sendto("a", *host.server.socket_name("s"), "answer")
        assert host.server.recv("s") == "answer"
        assert agent.app("nat")["denied"] == 0
        assert agent.app("nat")["flows"] == (2 if proto == "tcp" else 1)  # the listener's handshakes are one


def test_connect_is_refused_by_the_name_it_says(host, agent, nat):
    """The early answer knows no NAT, which is why it can be turned off."""
    app = host.app(policy("nat", [rule(ALLOWED, 443)]))
    assert app.fails("connect", "c", DENIED, 80) == "EPERM"
    assert agent.event(type="deny", app="nat", reason="no_rule", hook="connect")["dst"] == DENIED


def test_chains_of_nftables_are_reported(host, agent, nat):
    """Where they are, by their number; and nothing of them elsewhere."""
    table = f"{host.name.replace('-', '_')}_filter"
    run("ip", "netns", "exec", host.network.server, "nft", "-f", "-",
        text=f"table ip {table} {{ chain in {{ type filter hook input priority 0; }}; chain plain {{ }}; }}")
    found, status = agent.doctor("nat", staged=True, netns=host.network.app)
    assert ("warn", "2 nftables chains translate addresses in this network namespace") in found
    assert status in (0, 1)
    found, _ = agent.doctor("nat", staged=True, netns=host.network.server)
    assert not any("in this network namespace" in message for _, message in found)


def test_programs_of_others_are_reported(host, agent):
    assert agent.status()["enforcement"][0]["foreign_programs"] == 0
    cgroup.attach_connect4(host.root)
    assert agent.status()["enforcement"][0]["foreign_programs"] == 1
    assert f"1 programs of others see connect or sendto of root {host.root}" in agent.cli("doctor")[1]
    app = host.app(policy("nat", [rule(ALLOWED, 443)]))
    assert app.fails("connect", "c", OTHER, 443) == "EPERM"

# SPDX-License-Identifier: Apache-2.0
"""What an app may reach and what not: seen by the server, by the app, in the counters and in the log."""
import socket

import pytest

from harness import (
    ALLOWED, ALLOWED6, APP, APP6, DENIED, DENIED6, OTHER, OTHER6, cgroup, eventually, policy, rule, source,
)

BOTH = pytest.mark.parametrize(
    "allowed, denied", [(ALLOWED, DENIED), (ALLOWED6, DENIED6)], ids=["ipv4", "ipv6"])
EVERY = [ALLOWED, ALLOWED6, OTHER, OTHER6, DENIED, DENIED6]


@pytest.fixture
def servers(host):
    host.serve(EVERY, 443)
    host.serve([ALLOWED, ALLOWED6], 444)


@pytest.fixture
def web(host, servers):
    """An app that may use TCP 443 of one server in both families."""
    return host.app(policy("web", [rule([ALLOWED, ALLOWED6], 443, id="tls")]))


@pytest.fixture
def dns(host, servers):
    """An app that may use UDP 443 of one server in both families."""
    return host.app(policy("dns", [rule([ALLOWED, ALLOWED6], 443, "udp", id="ask")]))


def deny_event(agent, app, reason, **more):
    event = agent.event(type="deny", app=app, reason=reason, verdict="deny", **more)
    for key in ("seq", "event_id", "ts", "host", "owner", "ticket"):
        assert event[key], f"{key} is missing in {event}"
    return event


# ---- TCP ---------------------------------------------------------------------------------------------


@BOTH
def test_tcp_allowed(host, agent, web, allowed, denied):
    web.connect("c", allowed, 443)
    assert web.ask("c", "hello") == "hello"
    web.shutdown("c")  # not close(): a slow server's FIN is then acknowledged by a TIME_WAIT, which is no app's
    assert web.end("c") == "eof"
    (record,) = host.server.served("tcp", allowed, 443)
    assert (record["text"], record["peer"]) == ("hello", APP6 if ":" in allowed else APP)
    end = agent.event(type="flow", app="web", phase="end", dst=allowed, dst_port=443, proto="tcp")
    assert (end["verdict"], end["rule"], end["direction"]) == ("allow", "tls", "egress")
    eventually(lambda: (end["packets_out"], end["bytes_out"]) == host.wire(dst=allowed, proto="tcp"))
    assert agent.app("web")["denied"] == 0


@BOTH
def test_tcp_denied_address(host, agent, web, allowed, denied):
    assert web.fails("connect", "c", denied, 443) == "EPERM"
    event = deny_event(agent, "web", "no_rule", dst=denied, dst_port=443, hook="connect", direction="egress")
    assert (event["pid"], event["comm"], event["proto"]) == (web.pid, "testapp", "tcp")
    assert event["uid"] >= 20000 and event["cgroup"].endswith(host.cgroup_of("web"))
    assert agent.count("web", "no_rule") == 1
    assert host.server.served("tcp", denied, 443) == []
    host.unseen(denied)


@BOTH
def test_tcp_denied_port(host, agent, web, allowed, denied):
    assert web.fails("connect", "c", allowed, 444) == "EPERM"
    deny_event(agent, "web", "no_rule_port", dst=allowed, dst_port=444, hook="connect")
    assert agent.count("web", "no_rule_port") == 1
    host.unseen(allowed, port=444)


@BOTH
def test_a_tcp_rule_allows_no_udp(host, agent, web, allowed, denied):
    assert web.fails("sendto", "u", allowed, 443) == "EPERM"
    deny_event(agent, "web", "no_rule_port", dst=allowed, proto="udp", hook="sendmsg")
    host.unseen(allowed, proto="udp")


def test_port_range_and_lists(host, agent):
    host.serve([ALLOWED], 8000)
    for port in (8010, 8011, 9000):
        host.serve([ALLOWED], port)
    app = host.app(policy("ranges", [rule(ALLOWED, ["8000-8010", 9000])]))
    for port in (8000, 8010, 9000):
        app.connect(f"c{port}", ALLOWED, port)
        assert app.ask(f"c{port}") == "ping"
    for port in (7999, 8011, 8999, 9001, 1, 65535):
        assert app.fails("connect", f"d{port}", ALLOWED, port) == "EPERM"
    assert agent.count("ranges", "no_rule_port") == 6
    assert host.wire(dst=ALLOWED, port=8011) == (0, 0)


def test_any_port_and_wide_prefix(host, agent, servers):
    """A longer prefix adds to a shorter one, and takes nothing away."""
    app = host.app(policy("wide", [
        rule("10.77.1.0/28", "any", id="net"),
        rule(ALLOWED, 443, "udp", id="one"),
    ]))
    for address in (ALLOWED, OTHER):
        app.connect(address, address, 443)
        assert app.ask(address) == "ping"
    assert app.sendto("u", ALLOWED, 443) == 1
    assert app.recv("u") == "x"
    assert app.fails("sendto", "v", OTHER, 443) == "EPERM"
    assert app.fails("connect", "d", DENIED, 443) == "EPERM"
    host.unseen(DENIED)
    assert agent.explain("wide", f"{ALLOWED}:443", "udp")["rule"] == "one"
    assert agent.explain("wide", f"{ALLOWED}:443", "tcp")["rule"] == "net"


def test_v4_mapped_addresses_are_ipv4(host, agent, web):
    web.connect("c", f"::ffff:{ALLOWED}", 443)
    assert web.ask("c", "mapped") == "mapped"
    assert web.fails("connect", "d", f"::ffff:{DENIED}", 443) == "EPERM"
    deny_event(agent, "web", "no_rule", dst=DENIED)
    host.unseen(DENIED)


def test_a_rule_for_all_of_ipv6_does_not_open_ipv4(host, agent, servers):
    app = host.app(policy("six", [rule("::/0", "any")]))
    app.connect("c", ALLOWED6, 443)
    assert app.ask("c") == "ping"
    assert app.fails("connect", "d", ALLOWED, 443) == "EPERM"
    assert app.fails("connect", "e", f"::ffff:{ALLOWED}", 443) == "EPERM"
    host.unseen(ALLOWED)


def test_fast_open_is_judged(host, agent, web):
    assert web.fails("fast_open", "c", DENIED, 443, "early data") == "EPERM"
    host.unseen(DENIED)
    assert web.fast_open("d", ALLOWED, 443, "early data") == len("early data")
    assert web.recv("d") == "early data"


def test_mptcp_is_tcp(host, agent, web):
    """Its subflows are the kernel's own sockets, so where the early answer is missing packets just don't leave."""
    assert web.fails("connect", "d", DENIED, 443, "mptcp", timeout=1.5) in ("EPERM", "ETIMEDOUT")
    web.connect("c", ALLOWED, 443, "mptcp")
    assert web.ask("c", "multipath") == "multipath"
    host.unseen(DENIED)
    assert agent.count("web", "no_rule") >= 1


def test_reconnecting_a_socket_is_judged_again(host, agent, dns):
    dns.connect("u", ALLOWED, 443, "udp")
    assert dns.ask("u") == "ping"
    assert dns.fails("connect", "u", DENIED, 443, "udp") == "EPERM"
    dns.disconnect("u")
    assert dns.fails("sendto", "u", DENIED, 443) == "EPERM"
    assert dns.sendto("u", ALLOWED, 443) == 1
    host.unseen(DENIED)
    assert agent.count("dns", "no_rule") == 2


# ---- UDP ---------------------------------------------------------------------------------------------


@BOTH
def test_udp_unconnected(host, agent, dns, allowed, denied):
    assert dns.sendto("u", allowed, 443, "query") == 5
    assert dns.recv("u") == "query"
    assert dns.fails("sendto", "u", denied, 443) == "EPERM"
    deny_event(agent, "dns", "no_rule", dst=denied, dst_port=443, proto="udp", hook="sendmsg")
    assert agent.count("dns", "no_rule") == 1
    assert host.received("udp", allowed, 443) == 5
    host.unseen(denied)


@BOTH
def test_udp_connected(host, agent, dns, allowed, denied):
    dns.connect("u", allowed, 443, "udp")
    assert dns.ask("u", "query") == "query"
    assert dns.fails("connect", "v", denied, 443, "udp") == "EPERM"
    deny_event(agent, "dns", "no_rule", dst=denied, proto="udp", hook="connect")
    host.unseen(denied)


class TestPeers:
    @pytest.fixture
    def config(self):
        return {"udp_idle": "15s"}  # the flow of a peer ends after that; the first one's with its socket

    @BOTH
    def test_each_peer_of_a_socket_is_a_flow(self, host, agent, servers, allowed, denied):
        """Each peer of a socket is a flow of its own, judged by its own address."""
        other = OTHER6 if ":" in allowed else OTHER
        app = host.app(policy("many", [rule([allowed, other], 443, "udp")]))
        for _ in range(20):
            for address in (allowed, other):
                assert app.sendto("u", address, 443, "12345") == 5
            assert app.fails("sendto", "u", denied, 443) == "EPERM"
        assert app.count_datagrams("u") == [40, 200]
        app.close("u")
        ends = eventually(lambda: len(found := agent.log(type="flow", app="many", phase="end")) == 2 and found, 90)
        assert {end["dst"] for end in ends} == {allowed, other}
        header = 48 if ":" in allowed else 28
        assert all((end["packets_out"], end["bytes_out"]) == (20, 20 * (5 + header)) for end in ends)
        assert all((end["packets_in"], end["bytes_in"]) == (20, 20 * (5 + header)) for end in ends)
        assert agent.count("many", "no_rule") == 20
        host.unseen(denied)


# ---- ICMP --------------------------------------------------------------------------------------------


@BOTH
def test_icmp_needs_a_rule(host, agent, allowed, denied):
    app = host.app(policy("pinger", [rule([ALLOWED, ALLOWED6], proto="icmp", id="ping")]))
    assert app.ping(allowed) is True
    if ":" in denied:  # ping6's sendto() doesn't say what became of the packet
        assert app.ping(denied, timeout=1) is False
    else:
        assert app.fails("ping", denied) == "EPERM"
    event = deny_event(agent, "pinger", "no_rule", dst=denied, hook="packet")
    assert event["icmp_type"] == (128 if ":" in denied else 8)
    assert agent.count("pinger", "no_rule") == 1
    assert host.wire(dst=allowed, proto="icmp", port=event["icmp_type"])[0] == 1
    host.unseen(denied)


@BOTH
def test_errors_about_live_flows_arrive(host, agent, allowed, denied):
    """Port unreachable of an allowed server reaches the app, though no rule allows ICMP."""
    app = host.app(policy("asker", [rule(allowed, 4444, "udp")]))
    app.connect("u", allowed, 4444, "udp")
    app.send("u")
    assert app.end("u") == "ECONNREFUSED"


# ---- Ingress and bind ----------------------------------------------------------------------------------


@pytest.fixture
def listener(host):
    return host.app(policy(
        "listener", ingress=[source([ALLOWED, ALLOWED6], "8080-8081", id="gateway")]))


@pytest.mark.parametrize("mine, peer, stranger", [(APP, ALLOWED, DENIED), (APP6, ALLOWED6, DENIED6)],
                         ids=["ipv4", "ipv6"])
def test_ingress_by_peer_and_port(host, agent, listener, mine, peer, stranger):
    listener.listen("l", mine, 8080)
    server = host.server
    server.bind("good", peer, 0)
    server.connect("good", mine, 8080)
    assert listener.accept("l", "a")[0] == peer
    server.send("good", "hello")
    assert listener.recv("a") == "hello"
    listener.send("a", "answer")
    assert server.recv("good") == "answer"
    server.bind("bad", stranger, 0)
    assert server.fails("connect", "bad", mine, 8080, timeout=1.5) == "ETIMEDOUT"
    assert listener.fails("accept", "l", "b", timeout=0.2) == "ETIMEDOUT"
    deny_event(agent, "listener", "no_ingress_rule", src=stranger, dst_port=8080, direction="ingress")
    assert agent.count("listener", "no_ingress_rule", "ingress") >= 1
    assert host.wire("out", src=stranger, port=None)[0] >= 1  # it came as far as the app's device
    assert host.wire("in", dst=stranger) == (0, 0)  # and was answered by nothing, not even a reset


def test_ingress_unset_admits_nobody(host, agent, dns):
    """Also over UDP, whose bind is free."""
    dns.bind("u", APP, 9999, "udp")
    host.server.sendto("s", APP, 9999, "unwanted")
    assert dns.fails("recv", "u", timeout=0.5) == "ETIMEDOUT"
    eventually(lambda: agent.count("dns", "no_ingress_rule", "ingress") == 1)
    deny_event(agent, "dns", "no_ingress_rule", dst_port=9999, proto="udp", direction="ingress")


def test_udp_replies_come_from_the_peer_that_was_asked(host, agent, dns):
    dns.bind("u", APP, 7777, "udp")
    dns.sendto("u", ALLOWED, 443, "query")
    assert dns.recv("u") == "query"
    host.server.bind("s", DENIED, 444, "udp")
    host.server.sendto("s", APP, 7777, "forged")
    assert dns.fails("recv", "u", timeout=0.5) == "ETIMEDOUT"
    eventually(lambda: agent.count("dns", "no_ingress_rule", "ingress") == 1)


def test_bind_needs_an_ingress_rule(host, agent, listener):
    assert listener.fails("bind", "b", APP, 8079) == "EPERM"
    assert listener.fails("bind", "c", "0.0.0.0", 8082) == "EPERM"
    assert listener.fails("bind", "d", APP6, 8079) == "EPERM"
    deny_event(agent, "listener", "bind_port", hook="bind", dst_port=8079)
    assert agent.count("listener", "bind_port", "ingress") == 3
    for number, address in enumerate((APP, APP6, "0.0.0.0", "::")):
        listener.bind(f"ok{number}", address, 8080 if number < 2 else 8081 if number == 2 else 0)


def test_bind_to_53_is_refused(host, agent):
    app = host.app(policy("forger", ingress=[source(ALLOWED, "any"), source(ALLOWED, "any", "udp")]), caps=[10])
    for proto in ("udp", "tcp"):
        assert app.fails("bind", proto, APP, 53, proto) == "EPERM"
    assert agent.count("forger", "bind_dns", "ingress") == 2


def test_own_loopback_is_free_unless_the_policy_says_no(host, agent):
    app = host.app(policy("jupyter"))
    for number, address in enumerate(("127.0.0.1", "::1")):
        port = app.listen(f"l{number}", address, 0)
        app.connect(f"c{number}", address, port)
        app.accept(f"l{number}", f"a{number}")
        app.send(f"c{number}", "inside")
        assert app.recv(f"a{number}") == "inside"
    strict = host.app(policy("strict", self=False))
    strict.listen("l", "127.0.0.1", 0)
    assert strict.fails("connect", "c", "127.0.0.1", 5555) == "EPERM"
    deny_event(agent, "strict", "loopback", dst="127.0.0.1", hook="connect")


class TestSelfInTheHostsNamespace:
    """Loopback there is everybody's: a port that the app itself has bound is `self`, and no other."""

    @pytest.fixture
    def here(self, host, agent):
        """Apps one and two in the agent's network namespace, and somebody outside of the managed root."""
        workers = {"outsider": host.outsider()}
        for name in ("one", "two"):
            agent.put(policy(name, [rule(ALLOWED, 443)], cgroups=host.glob_of(name)))
            cgroup.make(host.cgroup_of(name))
            host.tagged(name)
            workers[name] = host.outsider(cgroup_path=host.cgroup_of(name))
        return workers

    @pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
    @pytest.mark.parametrize("proto", ["tcp", "udp"])
    def test_self(self, agent, here, address, proto):
        one = here["one"]
        ports = {}
        for name, worker in here.items():
            ports[name] = getattr(worker, "listen" if proto == "tcp" else "bind")(
                "l", address, 0, *([proto] if proto == "udp" else []))
        one.connect("own", address, ports["one"], proto)
        one.send("own", "to myself")
        if proto == "tcp":
            one.accept("l", "a")
        assert one.recv("a" if proto == "tcp" else "l") == "to myself"
        for number, name in enumerate(("two", "outsider"), 1):
            assert one.fails("connect", name, address, ports[name], proto) == "EPERM"
            event = deny_event(agent, "one", "loopback", dst=address, dst_port=ports[name], proto=proto)
            assert (event["hook"], event["direction"]) == ("connect", "egress")
            assert agent.count("one", "loopback") == number
        text = f"[{address}]" if ":" in address else address
        verdicts = {name: agent.explain("one", f"{text}:{port}", proto) for name, port in ports.items()}
        assert {name: verdict["verdict"] for name, verdict in verdicts.items()} == {
            "one": "allow", "two": "deny", "outsider": "deny"}
        assert {name: verdict["reason"] for name, verdict in verdicts.items()} == {
            "one": "allowed", "two": "loopback", "outsider": "loopback"}

    def test_nobody_else_gets_in(self, agent, here):
        one = here["one"]
        port = one.listen("l", "127.0.0.1", 0)
        assert here["two"].fails("connect", "c", "127.0.0.1", port) == "EPERM"
        assert here["outsider"].fails("connect", "c", "127.0.0.1", port, timeout=1.5) == "ETIMEDOUT"
        assert one.fails("accept", "l", "a", timeout=0.2) == "ETIMEDOUT"
        assert agent.count("two", "loopback") == 1
        assert agent.count("one", "no_ingress_rule", "ingress") >= 1
        deny_event(agent, "one", "no_ingress_rule", dst="127.0.0.1", dst_port=port, direction="ingress")


# ---- Sockets that came about in other ways -----------------------------------------------------------------


def test_sockets_passed_from_outside_obey_their_own_cgroup(host, agent, web):
    """A socket belongs to the cgroup it was made in: what an app gives away stays the app's."""
    web.connect("c", ALLOWED, 443)
    outsider = host.outsider(netns=host.network.app)
    outsider.hand("given", web.lend("c"))
    assert outsider.ask("given", "by another task") == "by another task"
    web.open("fresh", ALLOWED, "udp")
    outsider.hand("fresh", web.lend("fresh"))
    assert outsider.fails("sendto", "fresh", DENIED, 443) == "EPERM"
    host.unseen(DENIED)
    assert agent.count("web", "no_rule") >= 1


def test_a_socket_of_another_app_brings_no_rights(host, agent, web):
    """Passed between apps, it is still judged by the policy of the app that made it."""
    other = host.app(policy("other", [rule(DENIED, 443)]))
    other.open("mine", DENIED)
    web.hand("theirs", other.lend("mine"))
    assert web.fails("connect", "theirs", ALLOWED, 443) is not None
    host.unseen(ALLOWED)


def test_sockets_made_before_the_tag_are_cut(host, agent, servers):
    """A cgroup with live connections becomes an app: those the policy doesn't allow end."""
    path = host.other_cgroup()
    worker = host.process(path)
    worker.connect("before", DENIED, 443)
    assert worker.ask("before") == "ping"
    agent.put(policy("late", [rule(ALLOWED, 443)]))
    cgroup.make(host.cgroup_of("late"))
    with open(f"{cgroup.full(host.cgroup_of('late'))}/cgroup.procs", "w", encoding="ascii") as procs:
        procs.write(str(worker.pid))
    agent.tag(host.cgroup_of("late"), "late")
    assert worker.end("before") in ("ECONNABORTED", "ECONNRESET", "EPIPE")
    worker.connect("after", ALLOWED, 443)
    assert worker.ask("after") == "ping"
    assert worker.fails("connect", "no", DENIED, 443) == "EPERM"


@BOTH
def test_accepted_sockets_inherit(host, agent, allowed, denied):
    """An accepted socket may answer its peer, also where no egress rule names that."""
    mine = APP6 if ":" in allowed else APP
    app = host.app(policy("acceptor", ingress=[source([ALLOWED, ALLOWED6], 8080, id="in")]))
    app.listen("l", mine, 8080)
    host.server.bind("s", allowed, 0)
    host.server.connect("s", mine, 8080)
    app.accept("l", "a")
    assert app.send("a", "from inside") == 11
    assert host.server.recv("s") == "from inside"
    app.close("a")
    app.close("l")
    host.server.close("s")
    end = agent.event(type="flow", app="acceptor", phase="end", direction="ingress", src=allowed, dst_port=8080)
    assert (end["rule"], end["verdict"]) == ("in", "allow")
    assert app.fails("connect", "c", allowed, 443) == "EPERM"


def test_a_child_cgroup_is_the_apps(host, agent, web):
    nested = host.process(f"{host.cgroup_of('web')}/made/by/the/app")
    nested.connect("c", ALLOWED, 443)
    assert nested.ask("c") == "ping"
    assert nested.fails("connect", "d", DENIED, 443) == "EPERM"
    assert agent.count("web", "no_rule") == 1
    host.unseen(DENIED)


def test_the_topmost_tag_wins(host, agent, web):
    """A cgroup that an app makes below its own can't take another app's name."""
    agent.put(policy("rich", [rule(DENIED, 443)], cgroups=[f"{host.cgroup_of('web')}/rich.scope"]))
    thief = host.process(f"{host.cgroup_of('web')}/rich.scope")
    assert thief.fails("connect", "c", DENIED, 443) == "EPERM"
    thief.connect("d", ALLOWED, 443)
    assert agent.count("web", "no_rule") == 1
    host.unseen(DENIED)


# ---- Protocols and raw sockets ------------------------------------------------------------------------------

CAP_NET_RAW = 13


@pytest.mark.parametrize("family, kind, protocol, reason", [
    ("AF_INET", "SOCK_RAW", socket.IPPROTO_RAW, "raw_socket"),
    ("AF_INET", "SOCK_RAW", socket.IPPROTO_ICMP, "raw_socket"),
    ("AF_INET", "SOCK_RAW", socket.IPPROTO_TCP, "raw_socket"),
    ("AF_INET6", "SOCK_RAW", socket.IPPROTO_UDP, "raw_socket"),
    ("AF_INET", "SOCK_DGRAM", 136, "protocol"),  # UDP-Lite
])
def test_raw_sockets_and_odd_protocols_are_refused(host, agent, family, kind, protocol, reason):
    app = host.app(policy("raw", [rule("0.0.0.0/0", "any")]), caps=[CAP_NET_RAW])
    outsider = host.outsider(netns=host.network.app)
    if outsider.fails("raw", family, kind, protocol) == "EPROTONOSUPPORT":
        expected = {"EPROTONOSUPPORT"}  # this kernel has no such protocol: nothing to refuse
    else:
        expected = {"EPERM"}
    assert {app.fails("raw", family, kind, protocol)} == expected
    if expected == {"EPERM"}:
        deny_event(agent, "raw", reason, hook="create")
        assert agent.count("raw", reason) == 1


def test_raw_sockets_by_policy_are_still_judged(host, agent, servers):
    app = host.app(policy("rawok", [rule(ALLOWED, proto="icmp")], raw_sockets=True), caps=[CAP_NET_RAW])
    assert app.fails("raw", "AF_INET", "SOCK_RAW", socket.IPPROTO_ICMP) is None
    assert app.fails("sendraw", "10.77.1.20", socket.IPPROTO_ICMP) == "EPERM"
    assert app.sendraw(ALLOWED, socket.IPPROTO_ICMP) > 0
    assert agent.count("rawok", "no_rule") == 1
    host.unseen(DENIED)
    assert host.wire(dst=ALLOWED, proto="icmp")[0] == 1


# ---- Cgroups of no app -----------------------------------------------------------------------------------------


def test_unknown_cgroups_are_denied(host, agent, servers):
    stranger = host.process(f"{host.root}/stranger.scope")
    assert stranger.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert stranger.fails("connect", "d", ALLOWED6, 443) == "EPERM"
    assert stranger.fails("sendto", "u", ALLOWED, 443) == "EPERM"
    assert stranger.fails("ping", ALLOWED) == "EPERM"
    event = agent.event(type="deny", reason="unknown_cgroup", dst=ALLOWED, dst_port=443, hook="connect")
    assert "app" not in event and event["cgroup"].endswith("stranger.scope")
    assert agent.status()["unknown"]["denied"] == 4
    for address in (ALLOWED, ALLOWED6):
        host.unseen(address)


def test_an_unknown_cgroup_has_its_name_after_its_end(host, agent, servers):
    """A socket stays of the cgroup that it was made in, though its process has gone elsewhere and the cgroup is no more."""
    path = f"{host.root}/brief.scope"
    brief = host.process(path)
    assert brief.fails("connect", "c", ALLOWED, 443) == "EPERM"
    agent.event(type="deny", reason="unknown_cgroup", hook="connect")
    brief.open("u", ALLOWED, "udp")
    with open(f"{cgroup.full(host.other_cgroup())}/cgroup.procs", "w", encoding="ascii") as procs:
        procs.write(str(brief.pid))
    cgroup.remove(path)
    assert brief.fails("sendto", "u", ALLOWED, 444) == "EPERM"
    assert agent.event(type="deny", reason="unknown_cgroup", dst_port=444)["cgroup"].endswith("brief.scope")
    host.unseen(ALLOWED)


def test_outsiders_of_the_root_are_left_alone(host, agent, servers):
    outsider = host.process(host.other_cgroup())
    outsider.connect("c", DENIED, 443)
    assert outsider.ask("c") == "ping"
    assert outsider.ping(DENIED) is True
    assert agent.status()["unknown"] == {"denied": 0, "audited": 0}


def test_two_policies_for_one_cgroup_are_ambiguous(host, agent, servers):
    path = f"{host.root}/both.scope"
    for name in ("one", "two"):
        agent.put(policy(name, [rule(ALLOWED, 443)], cgroups=[path]))
    app = host.process(path)
    eventually(lambda: app.fails("connect", "c", ALLOWED, 443) == "EPERM" and
               agent.log(type="deny", reason="ambiguous_cgroup"))
    host.unseen(ALLOWED)
    agent.api("DELETE", "/v1/policies/two")  # one is left that says whose it is
    app.connect("d", ALLOWED, 443)
    assert app.ask("d") == "ping"


class TestAmbiguousPass:
    @pytest.fixture
    def config(self):
        return {"unknown_cgroup": "pass"}

    def test_what_was_ambiguous_is_never_unknown(self, host, agent, servers):
        """Both policies look elsewhere after a restart: what they matched is denied as before."""
        path, names = f"{host.root}/both.scope", ("one", "two")
        for name in names:
            agent.write_policy(policy(name, [rule(ALLOWED, 443)], cgroups=[path]))
            agent.applied(name)
        app = host.process(path)
        eventually(lambda: app.fails("connect", "c", ALLOWED, 443) == "EPERM")
        agent.stop()
        for name in names:
            agent.write_policy(policy(name, [rule(ALLOWED, 443)], cgroups=[f"{host.root}/{name}.scope"]))
        agent.start()
        assert app.fails("connect", "d", ALLOWED, 443) == "EPERM"
        assert {event["reason"] for event in agent.log(type="deny")} == {"ambiguous_cgroup"}
        host.unseen(ALLOWED)


class TestUnknownAudit:
    @pytest.fixture
    def config(self):
        return {"unknown_cgroup": "audit"}

    def test_unknown_cgroups_are_let_through_and_told(self, host, agent, servers):
        stranger = host.process(f"{host.root}/stranger.scope")
        stranger.connect("c", ALLOWED, 443)
        assert stranger.ask("c") == "ping"
        event = agent.event(type="deny", reason="unknown_cgroup", verdict="audit", dst=ALLOWED)
        assert event["cgroup"].endswith("stranger.scope")
        unknown = agent.status()["unknown"]
        assert unknown["denied"] == 0 and unknown["audited"] > 0


class TestUnknownPass:
    @pytest.fixture
    def config(self):
        return {"unknown_cgroup": "pass"}

    def test_unknown_cgroups_pass_but_apps_are_enforced(self, host, agent, web):
        stranger = host.process(f"{host.root}/stranger.scope")
        stranger.connect("c", DENIED, 443)
        assert stranger.ask("c") == "ping"
        assert agent.log(type="deny", reason="unknown_cgroup") == []
        assert agent.status()["unknown"] == {"denied": 0, "audited": 0}
        assert web.fails("connect", "d", DENIED, 443) == "EPERM"


# ---- The app's own network namespace ---------------------------------------------------------------------------------

CAP_NET_ADMIN = 12


def test_an_admin_of_its_own_namespace_is_refused(host, agent, servers):
    """It could rewrite packets behind the packet hook, and nothing judges them again."""
    agent.put(policy("admin", [rule(ALLOWED, 443)], cgroups=host.glob_of("admin")))
    cgroup.make(host.cgroup_of("admin"))
    host.tagged("admin")
    admin = host.process(host.cgroup_of("admin"), caps=[CAP_NET_ADMIN])
    names = (f"c{number}" for number in range(1000))
    eventually(lambda: admin.fails("connect", next(names), ALLOWED, 443) == "EPERM", what="the refusal")
    assert agent.count("admin", "netns_admin") >= 1
    assert "administers" in agent.app("admin")["netns_problem"]
    assert agent.event(type="alert", app="admin", action="netns_admin")
    admin.stop()
    eventually(lambda: "netns_problem" not in agent.app("admin"), what="the end of the refusal")


def test_the_policy_may_allow_it(host, agent, servers):
    admin = host.app(policy("trusted", [rule(ALLOWED, 443)], allow_netns_admin=True), caps=[CAP_NET_ADMIN])
    admin.connect("c", ALLOWED, 443)
    assert admin.ask("c") == "ping"
    assert admin.fails("connect", "d", DENIED, 443) == "EPERM"

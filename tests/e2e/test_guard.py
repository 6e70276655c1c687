# SPDX-License-Identifier: Apache-2.0
"""An app that administers its network namespace, on a host that holds the other end of its veth.

Each attack works behind the packet hook, and is shown to work once the guard is taken off.
"""
import pytest

from harness import (
    ALLOWED, ALLOWED6, APP, APP6, DENIED, DENIED6, OTHER, Host, cgroup, eventually, holds, in_seconds, policy, rule,
    source,
)
from harness.frames import neighbour_frame, udp_frame
from harness.net import batch, run

CAP_NET_ADMIN, CAP_NET_RAW = 12, 13
FAR6 = "2001:db8::66"
EVERY = [ALLOWED, ALLOWED6, DENIED, DENIED6]
FAMILY = pytest.mark.parametrize(
    "family, allowed, denied", [("ip", ALLOWED, DENIED), ("ip6", ALLOWED6, DENIED6)], ids=["ipv4", "ipv6"])
TO_ALLOWED = [rule([ALLOWED, ALLOWED6], 443), rule([ALLOWED, ALLOWED6], 443, "udp")]


@pytest.fixture
def bare_host(config):
    with Host(inside=True, **{"socket_families": "off", **config}) as host:  # frames are for the guard to judge
        yield host


def start_admin(host, name="admin", egress=(), guarded=True, caps=(CAP_NET_ADMIN,), **more):
    """A process that is root of its network namespace, and of nothing else."""
    app = host.app(policy(name, [*TO_ALLOWED, *egress], **more), uid=0, caps=caps)
    if guarded:
        eventually(lambda: host.agent.app(name)["guards"] == ["app0"], what="the guard")
        assert "netns_problem" not in host.agent.app(name)
    return app


@pytest.fixture
def admin(host):
    host.serve([ALLOWED, ALLOWED6], 443)
    return start_admin(host)


def nft(app, *lines):
    for line in lines:
        app.command("nft", line)


def chain(app, hook):
    nft(app, "add table netdev t", f"add chain netdev t {hook} {{ type filter hook {hook} device up0 priority 0; }}")


def rewrite(app, family, old, new):
    chain(app, "egress")
    nft(app, f"add rule netdev t egress {family} daddr {old} {family} daddr set {new}")


def unguard(host):
    """For the proof that an attack works: the guard is off, and nobody puts it back."""
    host.agent.kill9()
    host.take_guard_off()


def guard_event(agent, reason="netns_guard", **more):
    event = agent.event(type="deny", app="admin", hook="guard", reason=reason, verdict="deny", **more)
    assert event["owner"] and event["seq"], event
    return event


# ---- Honest traffic --------------------------------------------------------------------------------------


def test_allowed_traffic_flows(host, agent, admin):
    """TCP, UDP, fragments, in both families; the guard counts and denies nothing of it."""
    for name, address in (("4", ALLOWED), ("6", ALLOWED6)):
        admin.connect(name, address, 443)
        assert admin.ask(name, "x" * 30000) == "x" * 30000
        admin.connect(f"u{name}", address, 443, "udp")
        assert admin.ask(f"u{name}", "y" * 5000) == "y" * 5000
        admin.close(name)
        assert admin.fails("connect", f"d{name}", DENIED if name == "4" else DENIED6, 443) == "EPERM"
    status, text, _ = agent.cli("app", "admin")
    assert status == 0 and "guarded on" in text and "app0" in text, text
    assert "judged again on app0" in agent.cli("doctor")[1]
    shown = agent.app("admin")
    assert shown["reasons"] == {"no_rule": {"egress": 2, "ingress": 0, "audited": 0}}
    assert shown["netns_admin"] is True and shown["state"] == "enforce"
    assert host.wire("in", dst=ALLOWED, proto="udp") == (4, 5000 + 8 + 4 * 20)  # it came in fragments
    host.unseen(DENIED)


def test_limits_of_honest_traffic_are_the_hook_s(host, agent):
    """Whoever sends all that the hook lets through is not refused by the guard's meters."""
    host.serve([ALLOWED], 443, ["tcp"], mode="sink")
    app = start_admin(host, limits={"egress": {"bytes": "3MB", "per": "24h", "action": "drop"}, "egress_rate": "8Mbit/s"})
    app.connect("c", ALLOWED, 443)
    app.flood_udp("f", ALLOWED, 443, size=1000)
    app.push("c", 1 << 20, timeout=5)
    eventually(lambda: agent.count("admin", "cap_egress") > 0, 30)
    app.flood_stop("f")
    assert agent.count("admin", "rate_egress") > 0
    assert agent.count("admin", "netns_guard") == 0
    assert sum(host.wire("in", dst=ALLOWED, proto=proto)[1] for proto in ("tcp", "udp")) == agent.app("admin")["bytes_out"]


def test_services_are_reached(host, agent):
    app = start_admin(host, ingress=[source([ALLOWED, ALLOWED6], 8080), source([ALLOWED, ALLOWED6], proto="icmp")])
    for name, mine, peer, bad in (("4", APP, ALLOWED, DENIED), ("6", APP6, ALLOWED6, DENIED6)):
        app.listen(name, mine, 8080)
        host.server.bind(name, peer, 0)
        host.server.connect(name, mine, 8080)
        assert app.accept(name, f"a{name}")[0] == peer
        host.server.send(name, "in")
        assert app.recv(f"a{name}") == "in"
        host.server.bind(f"bad{name}", bad, 0)
        assert host.server.fails("connect", f"bad{name}", mine, 8080, timeout=1) == "ETIMEDOUT"
        event = guard_event(agent, "no_ingress_rule", src=bad, dst_port=8080)
        assert event["direction"] == "ingress"
    assert agent.count("admin", "no_ingress_rule", "ingress") >= 2
    assert agent.count("admin", "netns_guard") == 0


def test_a_closed_port_of_the_server_is_told_at_once(host, agent, admin):
    """An ICMP error about an allowed flow gets through."""
    agent.put(policy("admin", [*TO_ALLOWED, rule(ALLOWED, 445, "udp")], cgroups=host.glob_of("admin")))
    admin.connect("u", ALLOWED, 445, "udp")
    admin.send("u")
    assert admin.end("u") == "ECONNREFUSED"


# ---- Behind the packet hook ------------------------------------------------------------------------------------


@FAMILY
def test_nft_rewrites_the_destination(host, agent, admin, family, allowed, denied):
    admin.connect("before", allowed, 443)
    rewrite(admin, family, allowed, denied)
    admin.sendto("u", allowed, 443, "secret")
    event = guard_event(agent, dst=denied, proto="udp")
    assert event["dst_port"] == 443 and event["direction"] == "egress"
    assert admin.fails("connect", "c", allowed, 443, timeout=2) == "ETIMEDOUT"
    assert agent.count("admin", "netns_guard") >= 2
    host.unseen(denied, "udp")
    host.unseen(denied, "tcp")
    status, shown, _ = agent.cli("denied", "admin")
    assert status == 0 and denied in shown and "netns_guard" in shown
    nft(admin, "delete table netdev t")
    assert admin.ask("before") == "ping"
    unguard(host)
    rewrite(admin, family, allowed, denied)
    admin.sendto("u", allowed, 443, "secret")
    eventually(lambda: host.wire("in", dst=denied, proto="udp", port=443)[0] == 1)


def test_vxlan_in_its_namespace(host, agent):
    """The outer packet comes from a kernel socket, which is in no cgroup of the app's."""
    host.serve([ALLOWED], 443)
    app = start_admin(host, egress=[rule("10.88.0.2", 443, "udp")])

    def tunnel():
        app.command("ip", "link", "add", "vx0", "type", "vxlan", "id", "7", "remote", DENIED, "dstport", "4789",
                    "dev", "up0")
        app.command("ip", "addr", "add", "10.88.0.1/24", "dev", "vx0")
        app.command("ip", "link", "set", "vx0", "up")
        app.command("ip", "neigh", "add", "10.88.0.2", "lladdr", "02:00:00:00:00:02", "dev", "vx0")

    tunnel()
    app.sendto("u", "10.88.0.2", 443, "secret")
    guard_event(agent, dst=DENIED, proto="udp", dst_port=4789)
    assert agent.count("admin", "netns_guard") >= 1
    host.unseen(DENIED, "udp")
    holds(lambda: "netns_problem" not in agent.app("admin"), 2, "a tunnel over the guarded interface is no other uplink")
    unguard(host)
    app.sendto("u", "10.88.0.2", 443, "secret")
    eventually(lambda: host.wire("in", dst=DENIED, proto="udp", port=4789)[0] >= 1)


MIRRORS = {
    "nft": lambda app: (chain(app, "egress"), nft(app, f"add rule netdev t egress ip daddr {ALLOWED} dup to up0")),
    "tc": lambda app: (
        app.command("tc", "qdisc", "add", "dev", "up0", "clsact"),
        app.command("tc", "filter", "add", "dev", "up0", "egress", "protocol", "ip", "u32", "match", "ip", "dst",
                    f"{ALLOWED}/32", "action", "mirred", "egress", "mirror", "dev", "up0")),
}


@pytest.mark.parametrize("tool", MIRRORS)
def test_copies_beyond_the_cap(host, agent, tool):
    """The hook sees 20 packets of 1,000 bytes, and the wire as many, however often they are copied."""
    host.serve([ALLOWED], 443, mode="sink")
    app = start_admin(host, limits={"egress": {"bytes": "20000B", "per": "24h", "action": "drop"}})
    MIRRORS[tool](app)
    assert app.burst("u", ALLOWED, 443, 972, 25) == {"sent": 20, "EPERM": 5}
    eventually(lambda: host.wire("in", dst=ALLOWED, proto="udp") == (20, 20000))
    guard_event(agent, dst=ALLOWED, proto="udp")
    assert agent.count("admin", "netns_guard") >= 20
    assert len(agent.log(type="cap", app="admin", percent=100)) == 1
    agent.put(policy("admin", [*TO_ALLOWED, rule(ALLOWED, 444, "udp")], cgroups=host.glob_of("admin")))
    unguard(host)
    app.burst("v", ALLOWED, 444, 972, 10)
    eventually(lambda: host.wire("in", dst=ALLOWED, proto="udp", port=444)[0] >= 20)


def test_nft_rewrites_the_source_of_what_comes_in(host, agent, admin):
    """So that the hook takes a denied server's packets for answers of the allowed one."""
    port = admin.connect("u", ALLOWED, 443, "udp")
    assert admin.ask("u") == "ping"
    chain(admin, "ingress")
    nft(admin, f"add rule netdev t ingress ip saddr {DENIED} ip saddr set {ALLOWED}")
    host.server.bind("bad", DENIED, 443, "udp")
    host.server.sendto("bad", APP, port, "orders")
    event = guard_event(agent, "no_ingress_rule", src=DENIED, proto="udp")
    assert event["direction"] == "ingress" and event["dst_port"] == port
    assert agent.count("admin", "no_ingress_rule", "ingress") == 1
    assert admin.fails("recv", "u", timeout=1) == "ETIMEDOUT"
    assert admin.ask("u") == "ping"
    unguard(host)
    host.server.sendto("bad", APP, port, "orders")
    assert admin.recv("u") == "orders"


FRAMES = {
    "datagram": udp_frame(DENIED),
    "later fragment": udp_frame(DENIED, fragment=0x0010),
    "vlan": udp_frame(ALLOWED, b"\x81\x00\x00\x05\x08\x00"),
    "mpls": udp_frame(ALLOWED, b"\x88\x47\x00\x01\x01\x40"),
    "ethertype": udp_frame(ALLOWED, b"\x88\xb5"),
}


@pytest.mark.parametrize("name", FRAMES)
def test_frames_by_af_packet(host, agent, name):
    """No hook of a cgroup sees them. Of what is not IP, none gets out."""
    app = start_admin(host, caps=(CAP_NET_ADMIN, CAP_NET_RAW))
    before = host.wire("in", proto="udp")
    app.frame("up0", FRAMES[name])
    guard_event(agent)
    assert agent.count("admin", "netns_guard") == 1
    app.frame("up0", udp_frame(ALLOWED))
    eventually(lambda: host.wire("in", dst=ALLOWED, proto="udp")[0] == 1)
    assert host.wire("in", proto="udp")[0] == before[0] + 1
    assert agent.count("admin", "netns_guard") == 1
    if name in ("datagram", "later fragment"):
        unguard(host)
        app.frame("up0", FRAMES[name])
        eventually(lambda: host.wire("in", dst=DENIED, proto="udp")[0] == 1)


@pytest.mark.parametrize("frame", [
    neighbour_frame(FAR6, 135, DENIED6),
    neighbour_frame(FAR6, 136, DENIED6),
    neighbour_frame(FAR6, 134, FAR6),
    neighbour_frame(FAR6, 135, FAR6, data=b"secret" * 100),
], ids=["about another", "answer about another", "router", "with data"])
def test_neighbours_are_on_the_link(host, agent, frame):
    """What keeps a link alive has a hop limit of 255, and routers forward it all the same."""
    host.network.public("2001:db8::/64")
    app = start_admin(host, caps=(CAP_NET_ADMIN, CAP_NET_RAW))
    app.frame("up0", frame)
    guard_event(agent, dst=FAR6, icmp_type=int(frame[108:110], 16))
    assert agent.count("admin", "netns_guard") == 1
    host.unseen(FAR6)
    app.frame("up0", neighbour_frame(ALLOWED6, 135, ALLOWED6, data=bytes([1, 1]) + b"\2" * 6))  # an honest probe
    eventually(lambda: host.wire("in", dst=ALLOWED6, proto="icmp", port=135)[0] == 1)
    assert agent.count("admin", "netns_guard") == 1


# ---- Its life -----------------------------------------------------------------------------------------------------------


def test_it_needs_no_agent_and_is_taken_over(host, agent, admin):
    rewrite(admin, "ip", ALLOWED, DENIED)
    admin.sendto("u", ALLOWED, 443)
    guard_event(agent, dst=DENIED)
    before = host.guard_filters()
    agent.kill9()
    admin.sendto("u", ALLOWED, 443)
    admin.sendto("u", ALLOWED, 443)
    assert host.guard_filters() == before
    agent.start()
    eventually(lambda: agent.app("admin")["guards"] == ["app0"])
    assert host.guard_filters() == before
    agent.kill9()
    agent.another_build()
    agent.start()
    eventually(lambda: agent.app("admin")["guards"] == ["app0"])
    assert agent.count("admin", "netns_guard") == 3
    after = host.guard_filters()
    assert after != before and after.count(" handle ") == before.count(" handle ") == 2, after
    admin.sendto("u", ALLOWED, 443)
    eventually(lambda: agent.count("admin", "netns_guard") == 4)
    host.unseen(DENIED)
    assert agent.log(type="alert", app="admin") == []


def test_it_is_put_back(host, agent, admin):
    rewrite(admin, "ip", ALLOWED, DENIED)
    host.take_guard_off()
    event = agent.event(type="alert", app="admin", action="guard_restored")
    assert event["interface"] == "app0"
    admin.sendto("u", ALLOWED, 443)
    guard_event(agent, dst=DENIED)
    host.unseen(DENIED)
    _, _, metrics = agent.request("GET", "/metrics")
    assert "\negret_guards 1\n" in metrics and "\negret_guards_restored_total 1\n" in metrics


def answering(host, **more):
    """The kernel of the namespace answers pings by itself: the guard alone sees them."""
    app = start_admin(host, ingress=[source(ALLOWED, proto="icmp")], **more)
    host.server.bind("keep", ALLOWED, 0)
    run("ip", "-n", host.network.server, "route", "replace", APP, "dev", "up0", "src", ALLOWED)
    eventually(lambda: host.server.ping(APP, timeout=1), what="the first answer")
    return app


def test_kill_and_restore_are_in_force_there(host, agent):
    answering(host)
    agent.kill("admin")
    assert host.server.ping(APP, timeout=1) is False
    guard_event(agent, "killed", src=ALLOWED, proto="icmp")
    assert agent.count("admin", "killed", "ingress") >= 1
    agent.restore("admin")
    eventually(lambda: host.server.ping(APP, timeout=1))


def test_expiry_is_in_force_there(host, agent):
    answering(host, expires=in_seconds(6))
    eventually(lambda: agent.app("admin")["state"] == "expired")
    assert host.server.ping(APP, timeout=1) is False
    guard_event(agent, "expired", src=ALLOWED)
    assert agent.count("admin", "expired", "ingress") >= 1


def test_a_policy_change_is_in_force_there(host, agent):
    answering(host)
    agent.put(policy("admin", TO_ALLOWED, cgroups=host.glob_of("admin")))
    assert host.server.ping(APP, timeout=1) is False
    guard_event(agent, "no_ingress_rule", src=ALLOWED, proto="icmp")


def test_audit_lets_through_and_tells(host, agent):
    app = start_admin(host, mode="audit")
    rewrite(app, "ip", ALLOWED, DENIED)
    app.burst("u", ALLOWED, 443, 10, 20)
    eventually(lambda: host.wire("in", dst=DENIED, proto="udp")[0] == 20)
    agent.event(type="deny", app="admin", hook="guard", reason="netns_guard", verdict="audit")
    assert agent.count("admin", "netns_guard", "audited") == 20
    assert agent.count("admin", "netns_guard") == 0
    assert len(agent.log(type="deny", app="admin", hook="guard")) < 5


def test_it_goes_with_the_cgroup(host, agent, admin):
    assert "eg_guard_" in host.guard_filters()
    admin.stop()
    holds(lambda: "eg_guard_" in host.guard_filters(), 2, "a guard without a process")
    cgroup.remove(host.cgroup_of("admin"))
    eventually(lambda: "eg_guard_" not in host.guard_filters())
    eventually(lambda: agent.status()["guards"] == 0)


def test_it_goes_with_the_interface(host, agent, admin):
    batch(host.network.host, ["link del app0"])
    eventually(lambda: agent.status()["guards"] == 0)
    assert agent.log(type="alert", app="admin", action="guard_lost") == []


def test_it_passes_to_the_next_app(host, agent, admin):
    """Another app in the same namespace is judged by its own policy once it is alone there."""
    admin.stop()
    host.serve([DENIED], 443)
    other = host.app(policy("other", [rule(DENIED, 443)]))
    eventually(lambda: agent.app("other")["guards"] == ["app0"])
    other.connect("c", DENIED, 443)
    assert other.ask("c") == "ping"
    assert agent.app("admin")["guards"] == []


def test_detach_all_takes_it_off(host, agent, admin):
    agent.stop()
    assert "eg_guard_" in host.guard_filters()
    status, errors, _ = agent.detach_all()
    assert (status, errors) == (0, [])
    assert "eg_guard_" not in host.guard_filters()


def test_others_filters_stay(host, agent):
    """The interface's clsact may have been there, with a filter of somebody else's."""
    tc = ("tc", "-n", host.network.host)
    run(*tc, "qdisc", "add", "dev", "app0", "clsact")
    run(*tc, "filter", "add", "dev", "app0", "ingress", "prio", "7", "protocol", "ip", "u32", "match", "u32", "0", "0")
    app = start_admin(host)
    host.serve([ALLOWED], 443)
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    agent.stop()
    assert agent.detach_all()[0] == 0
    assert "pref 7 u32" in host.guard_filters() and "eg_guard_" not in host.guard_filters()


# ---- By tag, and where there is no guard ----------------------------------------------------------------------------------


def test_a_tag_is_answered_with_the_guard_on(host, agent):
    agent.put(policy("admin", TO_ALLOWED))
    host.process(f"{host.root}/late.scope", uid=0, caps=[CAP_NET_ADMIN])
    agent.tag(f"{host.root}/late.scope", "admin")
    assert agent.app("admin")["guards"] == ["app0"]
    assert "eg_guard_out" in host.guard_filters() and "eg_guard_in" in host.guard_filters()


def refused(agent, app, *words):
    names = (f"c{number}" for number in range(1000))
    eventually(lambda: app.fails("connect", next(names), ALLOWED, 443) == "EPERM", what="the refusal")
    assert agent.count("admin", "netns_admin") >= 1
    assert agent.event(type="alert", app="admin", action="netns_admin")
    problem = agent.app("admin")["netns_problem"]
    assert all(word in problem for word in words), problem


def test_an_uplink_that_is_no_veth_is_refused(host, agent):
    batch(host.network.host, ["link add mv0 link br0 type macvlan mode bridge",
                              f"link set mv0 netns {host.network.app}"])
    app = start_admin(host, guarded=False)
    refused(agent, app, "administers", "mv0", "macvlan")
    status, shown, _ = agent.cli("doctor")
    assert "admin" in shown and "mv0" in shown, shown
    batch(host.network.app, ["link del mv0"])
    eventually(lambda: "netns_problem" not in agent.app("admin"), what="the end of the refusal")
    agent.event(type="alert", app="admin", action="netns_admin_end")


def test_a_veth_that_leads_elsewhere_is_refused(host, agent):
    batch(host.network.app, [f"link add side0 type veth peer name side0 netns {host.network.server}"])
    app = start_admin(host, guarded=False)
    refused(agent, app, "side0", "veth")


def test_a_tun_is_refused(host, agent):
    """Who holds its fd may be anywhere."""
    app = start_admin(host)
    run("ip", "-n", host.network.app, "tuntap", "add", "tun0", "mode", "tun")
    refused(agent, app, "tun0")


def test_a_shared_namespace_is_refused(host, agent):
    host.serve([ALLOWED, DENIED], 443)
    app = start_admin(host)
    other = host.app(policy("other", [rule(DENIED, 443)]))
    refused(agent, app, "shares", "other")
    eventually(lambda: "eg_guard_" not in host.guard_filters())
    other.connect("c", DENIED, 443)
    assert other.ask("c") == "ping"
    other.stop()
    eventually(lambda: agent.app("admin")["guards"] == ["app0"] and "netns_problem" not in agent.app("admin"))
    app.connect("again", ALLOWED, 443)
    assert app.ask("again") == "ping"


def test_a_namespace_with_strangers_is_not_guarded(host, agent):
    """A process of no app with a socket there, for example a sidecar, is not judged by the app's policy."""
    host.serve([ALLOWED, DENIED], 443)
    stranger = host.outsider(netns=host.network.app)
    stranger.connect("c", DENIED, 443)
    app = start_admin(host, guarded=False)
    refused(agent, app, "shares", str(stranger.pid))
    assert stranger.ask("c") == "ping"
    assert "eg_guard_" not in host.guard_filters()


def test_the_policy_may_allow_it_without_a_guard(host, agent):
    batch(host.network.host, ["link add mv0 link br0 type macvlan mode bridge",
                              f"link set mv0 netns {host.network.app}"])
    host.serve([ALLOWED], 443)
    app = start_admin(host, guarded=False, allow_netns_admin=True)
    eventually(lambda: agent.app("admin")["guards"] == ["app0"])
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    eventually(lambda: "mv0" in agent.app("admin").get("netns_problem", ""))
    assert agent.count("admin", "netns_admin") == 0


# ---- Names --------------------------------------------------------------------------------------------------------------


NAMED = [*TO_ALLOWED, rule("api.example", 443, private=["10.77.1.0/24"])]
RESOLVER = {"resolvers": [OTHER]}


def test_names_are_not_for_an_administrator(host, agent):
    """Guarded or not: it forges the answers inside its namespace. Without names it is let again."""
    host.serve([ALLOWED], 443)
    app = start_admin(host)
    app.connect("before", ALLOWED, 443)
    agent.put(policy("admin", NAMED, dns=RESOLVER, cgroups=host.glob_of("admin")))
    refused(agent, app, "administers", "forge", "names")
    assert agent.app("admin")["guards"] == ["app0"]
    assert app.end("before") == "ECONNABORTED"
    status, shown, _ = agent.cli("doctor")
    assert "forge answers to DNS questions" in shown, shown
    agent.put(policy("admin", TO_ALLOWED, cgroups=host.glob_of("admin")))
    eventually(lambda: "netns_problem" not in agent.app("admin"), what="the end of the refusal")
    agent.event(type="alert", app="admin", action="netns_admin_end")
    app.connect("after", ALLOWED, 443)
    assert app.ask("after") == "ping"


def test_names_and_an_administrator_by_policy(host, agent):
    host.serve([ALLOWED], 443)
    app = start_admin(host, egress=NAMED[2:], guarded=False, dns=RESOLVER, allow_netns_admin=True)
    eventually(lambda: "forge" in agent.app("admin").get("netns_problem", ""))
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    assert agent.count("admin", "netns_admin") == 0
    assert agent.app("admin")["guards"] == ["app0"]


def test_names_without_an_administrator(host, agent):
    """A namespace of its own is no reason."""
    host.serve([ALLOWED], 443)
    app = host.app(policy("plain", NAMED, dns=RESOLVER))
    eventually(lambda: agent.app("plain")["guards"] == ["app0"])
    holds(lambda: "netns_problem" not in agent.app("plain"), 2, "nobody administers it")
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"

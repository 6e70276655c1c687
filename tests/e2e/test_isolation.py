# SPDX-License-Identifier: Apache-2.0
"""No app harms another: quotas for each on everything that is shared, and full tables refuse cleanly."""
import os
import resource
import threading

import pytest

from harness import ALLOWED, APP, DENIED, OTHER, cgroup, eventually, policy, rule, source


class TestQuotas:
    @pytest.fixture
    def config(self):
        return {"limits": {"sockets": 40, "udp_peers": 20}, "udp_idle": "15s"}

    def test_sockets(self, host, agent):
        host.serve([ALLOWED], 443)
        greedy = host.app(policy("greedy", [rule(ALLOWED, 443)]))
        modest = host.app(policy("modest", [rule(ALLOWED, 443)]))
        outcomes = [greedy.fails("open", f"s{number}", ALLOWED) for number in range(60)]
        assert outcomes == [None] * 40 + ["EPERM"] * 20
        assert agent.count("greedy", "socket_quota") == 20
        assert agent.app("greedy")["sockets"] == 40
        agent.event(type="deny", app="greedy", reason="socket_quota", hook="create")
        modest.connect("c", ALLOWED, 443)
        assert modest.ask("c") == "ping"
        greedy.close("s0")
        greedy.connect("again", ALLOWED, 443)
        assert greedy.ask("again") == "ping"
        greedy.stop()
        eventually(lambda: agent.app("greedy")["sockets"] == 0)

    def test_accepted_and_failed_sockets_are_given_back(self, host, agent):
        host.serve([ALLOWED], 443)
        app = host.app(policy("busy", [rule(ALLOWED, 443)]))
        for _ in range(5):
            app.flood_connect("c", ALLOWED, 443, "hello", count=100)
            eventually(lambda: not app.flood_running("c"))
            assert app.flood_stop("c") == {"ok": 100}
        for number in range(100):
            assert app.fails("connect", "d", DENIED, 443) == "EPERM"
            app.close("d")
        eventually(lambda: agent.app("busy")["sockets"] == 0)

    def test_udp_peers(self, host, agent):
        """One socket, many peers: those over the quota are refused, and forgotten ones make room."""
        host.serve([ALLOWED, OTHER], 443)
        greedy = host.app(policy("greedy", [rule([ALLOWED, OTHER], "any", "udp")]))
        modest = host.app(policy("modest", [rule(ALLOWED, "any", "udp")]))
        outcomes = [greedy.fails("sendto", "u", OTHER, port) for port in range(1000, 1050)]
        assert outcomes == [None] * 21 + ["EPERM"] * 29  # the first peer is the socket's own
        assert agent.count("greedy", "flow_quota") == 29
        assert agent.app("greedy")["peers"] == 20
        for port in range(2000, 2010):
            assert modest.sendto("u", ALLOWED, port) == 1
        eventually(lambda: agent.app("greedy")["peers"] == 0, 90)
        assert greedy.fails("sendto", "u", OTHER, 1049) is None

    def test_peers_beyond_the_kernels_timers(self, host, agent):
        """The kernel may refuse a peer its timer, one after the other: no datagram is, and each flow ends."""
        agent.stop()
        agent.configure(limits={**agent.config["limits"], "udp_peers": 700})
        agent.detach_all()
        agent.start()
        host.serve([ALLOWED], 443, ["udp"])
        fan = host.app(policy("fan", [rule(ALLOWED, "any", "udp")], log="full"))
        assert {fan.fails("sendto", "u", ALLOWED, port) for port in [443, *range(1000, 1600)]} == {None}
        app = agent.app("fan")
        assert app["reasons"] == {} and 0 < app["peers"] <= 600
        fan.close("u")
        eventually(lambda: agent.app("fan")["peers"] == 0, 90)

        def ends():
            return [event["dst_port"] for event in agent.log(type="flow", app="fan", phase="end")]

        eventually(lambda: len(ends()) == 601, what="the end of each flow")
        assert sorted(ends()) == [443, *range(1000, 1600)]

    def test_a_scan_from_outside_fills_no_table(self, host, agent):
        app = host.app(policy("quiet", [rule(ALLOWED, 443, "udp")]))
        app.bind("u", APP, 7000, "udp")
        for number in range(100):
            host.server.sendto(f"s{number}", APP, 7000)
        eventually(lambda: agent.count("quiet", "no_ingress_rule", "ingress") == 100)
        assert agent.app("quiet")["peers"] == 0


class TestDescriptors:
    def test_namespaces_of_one_app(self, host, agent):
        """It makes more of them than the agent may have descriptors; kills, tags and other apps are as ever."""
        host.serve([ALLOWED], 443)
        modest = host.app(policy("modest", [rule(ALLOWED, 443)]))
        modest.connect("c", ALLOWED, 443)
        greedy = host.app(policy("greedy", [rule(ALLOWED, 443)]))
        fds = f"/proc/{agent.process.pid}/fd"
        most = len(os.listdir(fds)) + 160
        resource.prlimit(agent.process.pid, resource.RLIMIT_NOFILE, (most, most))
        greedy.unshare_user()
        assert greedy.unshare_nets(320) == 320
        agent.tag(host.cgroup_of("greedy"), "greedy")  # looks at all of them
        host.app(policy("late", [rule(ALLOWED, 443)]))
        assert modest.ask("c") == "ping"
        agent.kill("greedy")
        agent.kill("modest")
        assert modest.end("c") in ("ECONNABORTED", "ECONNRESET", "EPIPE")
        assert "Too many open files" not in agent.stderr()
        assert agent.status()["enforcement_ok"]
        assert agent.app("greedy")["state"] == "killed"


def test_a_look_at_many_threads_keeps_nobody_waiting(host, agent):
    """How long it takes is up to the app; tags of others are answered meanwhile."""
    for name in ("modest", "greedy"):
        agent.put(policy(name, cgroups=host.glob_of(name)))
        cgroup.make(host.cgroup_of(name))
        host.tagged(name)
    greedy = host.process(host.cgroup_of("greedy"))
    assert greedy.threads(6000) == 6000
    long = threading.Thread(target=agent.tag, args=(host.cgroup_of("greedy"), "greedy"))
    tagged = 0
    long.start()
    while long.is_alive():
        agent.tag(host.cgroup_of("modest"), "modest")
        tagged += 1
    assert tagged > 3
    agent.event(type="agent", action="tag", app="greedy")
    assert agent.app("greedy")["state"] == "enforce"


class TestFullTables:
    @pytest.fixture
    def config(self):
        return {"max_apps": 4, "max_rules": 100}

    def test_rules(self, host, agent):
        """A policy that does not fit is refused whole; what is in force stays, its next change has room."""
        host.serve([ALLOWED, DENIED], 443)
        app = host.app(policy("small", [rule(ALLOWED, 443)]))
        for number in range(3):
            agent.put(policy(f"fill{number}", [rule([f"192.0.{number}.{n}" for n in range(33)], 443)]))
        huge = [rule([f"198.18.{n >> 8}.{n & 255}" for n in range(2000)], 443)]
        before = agent.app("small")["policy_rev"]
        error = agent.refused("PUT", "/v1/policies/small", policy("small", huge, cgroups=host.glob_of("small")))
        assert error.status in (400, 507), error
        assert agent.app("small")["policy_rev"] == before
        app.connect("c", ALLOWED, 443)
        assert app.ask("c") == "ping"
        assert app.fails("connect", "d", DENIED, 443) == "EPERM"
        agent.put(policy("small", [rule(DENIED, 443)], cgroups=host.glob_of("small")))
        app.connect("e", DENIED, 443)

    def test_apps(self, host, agent):
        host.serve([ALLOWED], 443)
        app = host.app(policy("app0", [rule(ALLOWED, 443)]))
        for number in range(1, 4):
            agent.put(policy(f"app{number}", [rule(ALLOWED, 443)]))
        error = agent.refused("PUT", "/v1/policies/app4", policy("app4", [rule(ALLOWED, 443)]))
        assert error.status in (400, 507), error
        assert "app4" not in agent.apps()
        app.connect("c", ALLOWED, 443)
        assert app.ask("c") == "ping"
        stranger = host.process(host.cgroup_of("app4"))
        assert stranger.fails("connect", "c", ALLOWED, 443) == "EPERM"
        agent.api("DELETE", "/v1/policies/app3")
        eventually(lambda: agent.put(policy("app4", [rule(ALLOWED, 443)]))
                   if "app3" not in agent.apps() else False, 30, "room for another app")

    def test_killing_goes_on_working(self, host, agent):
        """A hold needs no room in any table."""
        for number in range(4):
            agent.put(policy(f"app{number}", [rule(ALLOWED, 443)]))
        assert agent.kill("unseen")["durable"] is True
        assert agent.kill("app1")["durable"] is True
        assert agent.app("app1")["state"] == "killed"
        assert {hold["app"] for hold in agent.status()["holds"]} == {"unseen", "app1"}


# ---- Slots that are used again ------------------------------------------------------------------------


@pytest.mark.parametrize("config", [{}, {"unknown_cgroup": "pass"}], ids=["deny", "pass"])
def test_a_socket_that_outlives_its_app_is_nobodys(host, agent):
    """Accepted, given away, and its own app deleted: the next owner of the slot is not its heir."""
    first = host.app(policy("first", ingress=[source(ALLOWED, 8080)]))
    taker = host.outsider(netns=host.network.app)
    slot = agent.app("first")["slot"]
    first.listen("l", APP, 8080)
    host.server.bind("s", ALLOWED, 0)
    host.server.connect("s", APP, 8080)
    first.accept("l", "a")
    taker.hand("given", first.lend("a"))
    first.stop()
    eventually(lambda: first.process.poll() is not None)
    eventually(lambda: not os.rmdir(cgroup.full(host.cgroup_of("first"))) if agent.app("first")["sockets"] == 0
               else False, what="the end of the cgroup")
    eventually(lambda: agent.app("first")["cgroups"] == [])
    agent.api("DELETE", "/v1/policies/first")
    eventually(lambda: "first" not in agent.apps(), 30, "the slot to be free")
    agent.put(policy("heir", [rule(ALLOWED, 443)], ingress=[source(ALLOWED, 8080)]))
    assert agent.app("heir")["slot"] == slot
    before = host.wire("in", dst=ALLOWED)
    assert taker.fails("send", "given", "secret") is None  # into the socket's buffer, not onto the wire
    host.server.send("s", "inwards")
    eventually(lambda: agent.status()["unknown"]["denied"] >= 2)
    assert host.wire("in", dst=ALLOWED) == before
    assert taker.fails("recv", "given", timeout=0.5) == "ETIMEDOUT"
    event = agent.event(type="deny", reason="policy_deleted", dst=ALLOWED, direction="egress")
    assert "app" not in event and event["cgroup"].endswith(host.cgroup_of("first"))
    taker.close("given", reset=True)
    heir = agent.app("heir")
    assert (heir["bytes_out"], heir["bytes_in"], heir["denied"]) == (0, 0, 0)
    assert agent.log(type="flow", app="heir") == []


def test_child_cgroups_push_out_nobody_s_dead_ones(host, agent):
    """A socket whose cgroup is gone stays its app's, whatever another app makes and removes below its own."""
    host.serve([ALLOWED], 443)
    app = host.app(policy("gone", [rule(ALLOWED, 443)]))
    app.connect("c", ALLOWED, 443)
    with app.lend("c") as sock:
        app.stop()
        cgroup.remove(host.cgroup_of("gone"))
        host.app(policy("busy", [rule(ALLOWED, 443)]))
        children = [f"{cgroup.full(host.cgroup_of('busy'))}/x{number}" for number in range(1100)]
        for child in children:
            os.mkdir(child)
        used = lambda: {m["name"]: m["used"] for m in agent.status()["maps"]}["cgroups"]  # noqa: E731
        eventually(lambda: used() >= 1100)
        for child in children:
            os.rmdir(child)
        eventually(lambda: used() < 100)
        host.app(policy("next", [rule(ALLOWED, 443)]))
        agent.tag(host.cgroup_of("next"), "other")  # a changed tag makes every socket look its own up again
        sock.settimeout(10)
        for _ in range(3):
            sock.send(b"ping")
            assert sock.recv(10) == b"ping"
    assert agent.count("gone", "policy_deleted") == agent.count("gone", "unknown_cgroup") == 0

# SPDX-License-Identifier: Apache-2.0
"""Managed roots: what each gives to cgroups of no app, what was an app's once, what is lost with a root."""
import socket

import pytest

from harness import ALLOWED, APP, DENIED, cgroup, eventually, policy, rule, source

SO_MARK = 36


def tries(worker, name):
    """(connect, datagram): what becomes of them at an address that no policy here allows."""
    return worker.fails("connect", name, DENIED, 443), worker.fails("sendto", f"{name}-udp", DENIED, 443)


def test_each_root_has_its_own_unknown(bare_host):
    host, agent = bare_host, bare_host.agent
    roots = {what: f"{host.name}.{what}" for what in ("audit", "pass")}
    host.outside += roots.values()
    agent.configure(cgroup_root=[
        {"path": host.root, "create": True},  # as unknown_cgroup says
        *({"path": path, "create": True, "unknown": what} for what, path in roots.items()),
    ], unknown_cgroup="deny")
    agent.start()
    host.serve([ALLOWED, DENIED], 443)
    said = {root["root"]: root["unknown"] for root in agent.status()["enforcement"]}
    assert said == {host.root: "deny", roots["audit"]: "audit", roots["pass"]: "pass"}

    passing = host.process(f"{roots['pass']}/stranger.scope")
    assert tries(passing, "c") == (None, None)
    assert passing.ask("c") == "ping"
    assert agent.status()["unknown"] == {"denied": 0, "audited": 0}
    assert agent.log(type="deny") == []

    audited = host.process(f"{roots['audit']}/stranger.scope")
    assert tries(audited, "c") == (None, None)
    unknown = agent.status()["unknown"]
    assert unknown["denied"] == 0 and unknown["audited"] > 0
    event = agent.event(type="deny", reason="unknown_cgroup", verdict="audit", dst=DENIED)
    assert event["cgroup"].startswith(roots["audit"])

    before = host.wire("in", dst=DENIED)
    denied = host.process(f"{host.root}/stranger.scope")
    assert tries(denied, "c") == ("EPERM", "EPERM")
    assert host.wire("in", dst=DENIED) == before
    assert agent.status()["unknown"]["denied"] == 2
    event = agent.event(type="deny", reason="unknown_cgroup", verdict="deny", dst=DENIED)
    assert event["cgroup"].startswith(host.root)

    agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=[f"{roots['pass']}/web.scope"]))
    web = host.process(f"{roots['pass']}/web.scope")
    host.tagged("web", f"{roots['pass']}/web.scope")
    assert tries(web, "c") == ("EPERM", "EPERM")  # an app is an app under every root
    assert host.wire("in", dst=DENIED) == before


class TestPass:
    @pytest.fixture
    def config(self):
        return {"unknown_cgroup": "pass"}

    def test_what_was_an_app_is_never_unknown_again(self, host, agent):
        """Its policy is deleted, or names other cgroups: denied, not let through, also after a restart."""
        host.serve([ALLOWED, DENIED], 443)
        deleted = host.app(policy("deleted", [rule(ALLOWED, 443)]))
        moved = host.app(policy("moved", [rule(ALLOWED, 443)]))
        agent.api("DELETE", "/v1/policies/deleted")
        agent.put(policy("moved", [rule(ALLOWED, 443)], cgroups=[f"{host.root}/elsewhere.scope"]))
        for number in range(2):
            assert tries(deleted, f"c{number}") == tries(moved, f"c{number}") == ("EPERM", "EPERM")
            agent.restart()
        assert tries(deleted, "d") == tries(moved, "d") == ("EPERM", "EPERM")
        assert deleted.fails("connect", "e", ALLOWED, 443) == "EPERM"
        moved.connect("e", ALLOWED, 443)  # it is that app still
        assert moved.ask("e") == "ping"
        assert agent.count("deleted", "policy_deleted") == 7
        assert agent.count("moved", "no_rule") == 6
        agent.event(type="deny", app="deleted", reason="policy_deleted")
        host.unseen(DENIED)


def metric(agent, name):
    (line,) = [line for line in agent.get("/metrics").splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def test_a_root_that_is_lost_is_said(host, agent):
    """One that may not be made anew: nothing is enforced below it, and everybody who asks is told."""
    agent.configure(cgroup_root={"path": host.root, "create": False})
    agent.restart()
    assert metric(agent, "egret_enforcement_ok") == 1
    cgroup.remove(host.root)
    eventually(lambda: not agent.status()["enforcement_ok"])
    assert metric(agent, "egret_enforcement_ok") == 0
    assert any("enforcement is lost" in alarm for alarm in agent.status()["alarms"])
    assert agent.event(type="alert", action="root_lost")["root"] == host.root
    status, out, _ = agent.cli("doctor")
    assert status == 1 and f"root {host.root} is NOT enforced" in out
    cgroup.make(host.root)
    eventually(lambda: agent.status()["enforcement_ok"])
    assert metric(agent, "egret_enforcement_ok") == 1
    assert agent.status()["alarms"] == []
    agent.event(type="agent", action="reattach")
    stranger = host.process(f"{host.root}/stranger.scope")
    assert tries(stranger, "c") == ("EPERM", "EPERM")


class TestMark:
    @pytest.fixture
    def config(self):
        return {"so_mark": 66}

    def test_sockets_of_apps_are_marked(self, host, agent):
        """Those it makes and those it accepts; nobody else's."""
        host.serve([ALLOWED], 443)
        app = host.app(policy("marked", [rule(ALLOWED, 443)], ingress=[source(ALLOWED, 8080)]))
        app.connect("c", ALLOWED, 443)
        app.open("u", ALLOWED, "udp")
        app.listen("l", APP, 8080)
        host.server.bind("s", ALLOWED, 0)
        host.server.connect("s", APP, 8080)
        app.accept("l", "a")
        outsider = host.process(host.other_cgroup())
        outsider.connect("c", ALLOWED, 443)
        marks = {}
        for worker, name in ((app, "c"), (app, "u"), (app, "a"), (outsider, "c")):
            with worker.lend(name) as sock:
                marks[worker, name] = sock.getsockopt(socket.SOL_SOCKET, SO_MARK)
        assert marks == {(app, "c"): 66, (app, "u"): 66, (app, "a"): 66, (outsider, "c"): 0}
        agent.configure(so_mark=None)
        agent.restart()
        app.connect("later", ALLOWED, 443)
        with app.lend("later") as sock:
            assert sock.getsockopt(socket.SOL_SOCKET, SO_MARK) == 0

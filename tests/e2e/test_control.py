# SPDX-License-Identifier: Apache-2.0
"""The control plane on a real etcd: pushed, cut and seen with etcdctl alone, through everything that fails."""
import json
import os

import pytest

from harness import ALLOWED, OTHER, Host, eventually, holds, policy, rule
from harness.agent import EGRET
from harness.etcd import Etcd
from harness.preload import SlowDisk

RESET = {"ECONNABORTED", "ECONNRESET", "EPIPE"}


def control(etcd, **more):
    return {"source": "etcd", "endpoints": [etcd.url], "user": "daemon", **more}


class Site:
    """A host and its etcd."""

    def __init__(self, host, etcd):
        self.host, self.etcd, self.agent = host, etcd, host.agent

    def report(self):
        return self.agent.status()["control"]

    def connected(self):
        return eventually(lambda: self.report().get("connected") and self.report(), what="the control plane")

    def push(self, app, egress=(), **more):
        made = policy(app, egress, cgroups=self.host.glob_of(app), **more)
        self.etcd.put(f"/egret/policies/{app}", made)
        return made

    def in_force(self, app, ports=None):
        def look():
            entry = self.agent.apps().get(app)
            return entry and entry["state"] in ("enforce", "killed") and entry["policy_rev"]

        return eventually(look, what=f"the policy of {app}")

    def source(self, app):
        return self.agent.get(f"/v1/policies/{app}")["source"]

    def state(self):
        text = self.etcd.get("/egret/state/test-host")
        return json.loads(text) if text else None


@pytest.fixture(scope="module")
def shared():
    with Host(inside=True) as host:
        etcd = Etcd(os.path.join(host.directory, "etcd"), host.network.host)
        etcd.start()
        try:
            host.agent.configure(control=control(etcd, lease="5s"), host_labels={"env": "prod"})
            host.agent.start()
            host.serve([ALLOWED, OTHER], 443)
            yield Site(host, etcd)
        finally:
            etcd.stop()


@pytest.fixture
def site(shared):
    """The shared site with nothing wanted, nothing killed."""
    shared.connected()
    yield shared


def test_push_and_kill_by_etcdctl(site):
    site.push("web", [rule(ALLOWED, 443)])
    site.in_force("web")
    assert site.source("web") == "etcd"
    app = site.host.app(name="web")
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    assert app.fails("connect", "no", OTHER, 443) == "EPERM"

    site.etcd.put("/egret/kills/web", {"killed": True, "reason": "leaked key", "ticket": "INC-7", "by": "alice"})
    assert app.end("c") in RESET
    assert site.agent.app("web")["state"] == "killed"
    event = site.agent.event(type="kill", app="web")
    assert (event["layer"], event["ticket"], event["cause"]) == ("control", "INC-7", "leaked key")
    assert "alice" in event["actor"]
    assert app.fails("connect", "after", ALLOWED, 443) == "EPERM"
    assert site.agent.count("web", "killed") >= 1

    site.etcd.put("/egret/kills/web", "restored")
    eventually(lambda: site.agent.app("web")["state"] == "enforce", what="the restore")
    app.connect("back", ALLOWED, 443)
    assert app.ask("back") == "ping"
    assert site.agent.event(type="restore", app="web")["lifted"] == ["control"]


def test_state_is_written_back(site):
    site.push("seen", [rule(ALLOWED, 443)])
    rev = site.in_force("seen")
    site.etcd.put("/egret/policies/broken", {**policy("broken"), "egress": "all"})
    site.etcd.put("/egret/policies/garbled", "{not json")
    site.push("after", [rule(ALLOWED, 443)])
    site.in_force("after")

    def told():
        state = site.state()
        return state and {"seen", "after", "broken", "garbled"} <= set(state["policies"]) and state

    state = eventually(told, what="the state in etcd")
    assert state["policies"]["seen"] == {"rev": rev}
    assert state["policies"]["broken"]["error"]["code"] == "bad_policy"
    assert "egress" in state["policies"]["broken"]["error"]["message"]
    assert state["policies"]["garbled"]["error"]["code"] == "bad_document"
    assert state["error_count"] == 2 and state["host"] == "test-host" and state["labels"] == {"env": "prod"}
    assert state["version"] == site.agent.status()["agent"]["version"]
    event = site.agent.event(type="alert", action="control_refused", app="broken")
    assert event["code"] == "bad_policy"
    assert any("garbled" in alarm for alarm in site.agent.status()["alarms"])
    _, out, _ = site.agent.cli("status")
    assert f"etcd, connected to {site.etcd.url}, revision" in out and "2 errors" in out
    metrics = site.agent.get("/metrics")
    assert "egret_control_connected 1\n" in metrics and "egret_control_errors 2\n" in metrics

    site.etcd.put("/egret/kills/seen", "killed")
    eventually(lambda: {"app": "seen", "layer": "control"} in site.state()["killed"], what="the kill in the state")
    site.push("broken", [rule(ALLOWED, 443)])
    site.in_force("broken")
    site.etcd.put("/egret/policies/garbled", "deleted")
    eventually(lambda: site.state()["error_count"] == 0, what="an end of the errors")


def test_targets(site):
    """By name of the host, by its labels; a document of the host's own goes before the fleet's."""
    def wrap(app, port, **more):
        return {"policy": policy(app, [rule(ALLOWED, port)], cgroups=site.host.glob_of(app)), **more}

    site.etcd.put("/egret/policies/here", wrap("here", 443, hosts=["test-*"], labels="env=prod"))
    site.etcd.put("/egret/policies/elsewhere", wrap("elsewhere", 443, hosts=["web-*"]))
    site.etcd.put("/egret/policies/staging", wrap("staging", 443, labels="env!=prod"))
    site.in_force("here")
    site.etcd.put("/egret/hosts/test-host/policies/here", wrap("here", 444))
    eventually(lambda: site.agent.get("/v1/policies/here")["policy"]["egress"][0]["ports"] == [444])
    site.etcd.put("/egret/hosts/other/policies/here", wrap("here", 445))
    site.etcd.put("/egret/kills/here", {"killed": True, "hosts": ["web-*"]})
    site.etcd.delete("/egret/hosts/test-host/policies/here")
    eventually(lambda: site.agent.get("/v1/policies/here")["policy"]["egress"][0]["ports"] == [443])
    assert {"elsewhere", "staging"}.isdisjoint(site.agent.apps())
    assert site.agent.app("here")["state"] == "enforce"


def test_nobody_else_has_its_routes(site):
    site.push("owned", [rule(ALLOWED, 443)])
    site.in_force("owned")
    for method, path, body in (
        ("GET", "/v1/control", None), ("POST", "/v1/control/apps/owned/kill", {"generation": 1 << 40}),
        ("POST", "/v1/control/restore", {"generation": 1}), ("DELETE", "/v1/control/policies/owned", None),
        ("PUT", "/v1/control/policies/x", policy("x")), ("POST", "/v1/control/report", {"connected": True}),
    ):
        assert site.agent.refused(method, path, body).status == 403
    error = site.agent.refused("PUT", "/v1/policies/owned", policy("owned"))
    assert (error.status, error.code) == (409, "owned_elsewhere")
    assert site.agent.app("owned")["state"] == "enforce"

    # and it doesn't take what is another's, until it says so
    site.agent.put(policy("mine", [rule(ALLOWED, 443)]))
    site.push("mine", [rule(OTHER, 443)])
    eventually(lambda: site.state()["policies"].get("mine", {}).get("error", {}).get("code") == "owned_elsewhere")
    assert site.source("mine") == "socket"
    site.etcd.put("/egret/policies/mine", {"policy": policy("mine", [rule(OTHER, 443)]), "take_over": True})
    eventually(lambda: site.source("mine") == "etcd", what="the take-over")


def test_a_missing_key_restores_nothing(site):
    site.push("held", [rule(ALLOWED, 443)])
    site.in_force("held")
    site.etcd.put("/egret/kills/held", "killed")
    eventually(lambda: site.agent.app("held")["state"] == "killed")
    site.etcd.delete("/egret/kills/held")
    revision = site.etcd.revision()
    eventually(lambda: site.report()["revision"] >= revision, what="the deletion seen")
    site.etcd.put("/egret/kills/held", {"killed": False, "generation": 1})  # older than the kill
    eventually(lambda: (site.state()["policies"].get("held") or {}).get("error", {}).get("code") == "stale_generation")
    assert site.agent.app("held")["state"] == "killed"
    # an administrator of the host can't lift it either
    assert site.agent.refused("POST", "/v1/apps/held/restore", {}).code == "not_killed"
    assert site.agent.app("held")["state"] == "killed"
    site.etcd.put("/egret/kills/held", "restored")
    eventually(lambda: site.agent.app("held")["state"] == "enforce", what="the restore")


def test_an_admin_overrides_a_kill_for_a_time(site):
    """Until its end, or a newer kill; it is told upstream, and no other kill is touched."""
    site.push("over", [rule(ALLOWED, 443)])
    site.in_force("over")
    site.etcd.put("/egret/kills/over", "killed")
    eventually(lambda: site.agent.app("over")["state"] == "killed")
    app = site.host.app(name="over")
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    status, out, err = site.agent.cli("restore", "over", "--override", "--for", "1h", "--reason", "payroll runs today")
    assert status == 0 and "passed over until" in out, err
    assert site.agent.app("over")["state"] == "enforce" and site.agent.app("over")["override_until"]
    event = site.agent.event(type="alert", app="over", action="override")
    assert event["cause"] == "payroll runs today" and event["until"]
    app.connect("live", ALLOWED, 443)
    assert app.ask("live") == "ping"
    eventually(lambda: any(one["app"] == "over" and one.get("overridden_until") for one in site.state()["killed"]), 60,
               "the override in the state")
    site.agent.kill("over")  # another layer holds at once
    assert app.end("live") in RESET and app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    site.agent.restore("over")
    app.connect("again", ALLOWED, 443)
    assert app.ask("again") == "ping"
    site.etcd.put("/egret/kills/over", "killed")  # newer than the one that is overridden
    assert app.end("again") in RESET
    assert site.agent.app("over")["state"] == "killed" and site.agent.app("over")["override_until"] is None
    site.agent.event(type="alert", app="over", action="override_end")
    site.agent.api("POST", "/v1/apps/over/override", {"for": "1h", "reason": "r"})
    app.connect("third", ALLOWED, 443)
    site.agent.api("POST", "/v1/apps/over/override", {"for": "0", "reason": "r"})
    assert app.end("third") in RESET and site.agent.app("over")["state"] == "killed"
    site.etcd.put("/egret/kills/over", "restored")
    eventually(lambda: site.agent.app("over")["state"] == "enforce", what="the restore")
    assert site.agent.refused("POST", "/v1/apps/over/override", {"for": "1h", "reason": "r"}).code == "not_killed"


def test_all_apps_at_once(site):
    site.push("one", [rule(ALLOWED, 443)])
    site.in_force("one")
    app = site.host.app(name="one")
    app.connect("c", ALLOWED, 443)
    site.etcd.put("/egret/kills/*", {"killed": True, "reason": "drill"})
    assert app.end("c") in RESET
    assert site.agent.status()["kill_all"] is True
    # `egret status` names the command that lifts it: nobody here can
    assert "'egret fleet restore --all' lifts it" in site.agent.cli("status")[1]
    assert site.agent.cli("restore", "--all")[0] == 6
    assert site.agent.cli("kill", "--all", "--yes", str(len(site.agent.apps())))[0] == 0
    assert "'egret restore --all' and 'egret fleet restore --all' lift them" in site.agent.cli("status")[1]
    assert site.agent.cli("restore", "--all")[0] == 0
    assert site.agent.status()["kill_all"] is True
    site.etcd.put("/egret/kills/*", {"killed": False})
    eventually(lambda: not site.agent.status()["kill_all"], what="the restore of all")
    app.connect("d", ALLOWED, 443)
    assert app.ask("d") == "ping"


def test_mass_deletion_pauses(site):
    apps = [f"many{number}" for number in range(12)]
    for app in apps:
        site.push(app, [rule(ALLOWED, 443)])
    for app in apps:
        site.in_force(app)
    site.etcd.delete("/egret/policies/", "--prefix")
    paused = eventually(lambda: site.report()["paused"], what="the pause")
    assert "gone from the control plane at once" in paused
    assert site.agent.event(type="alert", action="deletions_paused")["cause"] == paused
    assert paused in site.agent.status()["alarms"]
    holds(lambda: all(site.agent.app(app)["state"] == "enforce" for app in apps), 3, "every policy")
    # one that is meant is said so
    site.etcd.put("/egret/policies/many0", "deleted")
    eventually(lambda: site.agent.app("many0")["state"] == "deleted", what="the tombstone")
    assert site.agent.app("many1")["state"] == "enforce"
    for app, entry in site.agent.apps().items():
        if entry["state"] in ("enforce", "killed") and site.source(app) == "etcd":
            site.push(app, [rule(ALLOWED, 443)])
    eventually(lambda: not site.report()["paused"], what="the end of the pause")
    # and a single one goes by its key's absence
    site.etcd.delete("/egret/policies/many1")
    eventually(lambda: site.agent.app("many1")["state"] == "deleted", what="a single deletion")


def test_compaction_and_restarts(site):
    """Whatever happens while nobody watches is seen afterwards."""
    for number in range(3):
        app = f"round{number}"
        site.push(app, [rule(ALLOWED, 443)])
        site.in_force(app)
        site.etcd.stop()
        eventually(lambda: site.report()["connected"] is False, what="the loss noticed")
        assert site.agent.app(app)["state"] == "enforce"
        site.etcd.start()
        site.etcd.put(f"/egret/kills/{app}", "killed")
        site.etcd.ctl("compact", str(site.etcd.revision()))
        eventually(lambda a=app: site.agent.app(a)["state"] == "killed", 60, "the kill after the restart")
    site.connected()
    assert site.agent.event(type="alert", action="control_lost")
    assert len(site.agent.log(type="alert", action="control_connected")) >= 2


def test_agent_killed_and_rebooted_without_etcd(site):
    """The last state stays in force, and the kills."""
    for app in ("stays", "cut"):
        site.push(app, [rule(ALLOWED, 443)])
        site.in_force(app)
    site.etcd.put("/egret/kills/cut", "killed")
    eventually(lambda: site.agent.app("cut")["state"] == "killed")
    rev = site.agent.apps()["stays"]["policy_rev"]
    site.etcd.stop()
    site.agent.kill9()
    site.agent.start()
    site.agent.reboot()
    assert site.agent.apps()["stays"]["policy_rev"] == rev and site.source("stays") == "etcd"
    assert site.agent.app("cut")["state"] == "killed"
    app = site.host.app(name="stays")
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    cut = site.host.app(name="cut")
    assert cut.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert site.agent.count("cut", "killed") >= 1
    site.etcd.start()
    site.connected()
    assert site.agent.app("cut")["state"] == "killed"
    site.etcd.put("/egret/kills/cut", "restored")
    eventually(lambda: site.agent.app("cut")["state"] == "enforce", what="the restore")


def test_many_kills_while_the_disk_stands_still():
    """None waits for the record of another. That one is not kept yet is said in the state, and by egret fleet."""
    names = [f"app{number}" for number in range(8)]
    on_disk = [{"app": name, "layer": "control"} for name in names]
    with Host(inside=True) as host:
        etcd = Etcd(os.path.join(host.directory, "etcd"), host.network.host)
        disk = SlowDisk(host.directory, "holds.journal")
        etcd.start()
        try:
            site = Site(host, etcd)
            host.agent.configure(control=control(etcd, lease="5s"))
            host.agent.start(env=disk.env)
            host.serve([ALLOWED], 443)
            for name in names:
                site.push(name, [rule(ALLOWED, 443)])
            site.in_force(names[-1])
            app = host.app(name=names[-1])
            app.connect("c", ALLOWED, 443)
            disk.stall()
            for name in names:
                etcd.put(f"/egret/kills/{name}", "killed")
            assert app.end("c") in RESET
            assert app.fails("connect", "after", ALLOWED, 443) == "EPERM"
            assert host.agent.count(names[-1], "killed") >= 1
            for name in names:
                event = host.agent.event(type="kill", app=name)
                assert event["layer"] == "control" and "durable" not in event
            eventually(lambda: site.state()["killed"] == [{**hold, "durable": False} for hold in on_disk], what="the state")
            assert "in force but not on disk yet" in host.agent.stderr()
            command = [EGRET, "--socket", "/nonexistent", "fleet", "kill", names[0], "--endpoint", etcd.url]
            status, _, err = etcd.run([*command, "--wait", "3s"])
            assert status == 1 and "test-host: it is killed, but not on that host's disk" in err

            disk.go_on()
            eventually(lambda: site.state()["killed"] == on_disk, what="the state once the disk has them")
            assert etcd.run(command)[0] == 0
            etcd.stop()
            host.agent.reboot()
            assert {host.agent.app(name)["state"] for name in names} == {"killed"}
        finally:
            etcd.stop()


def test_child_has_nothing(site):
    """Its user, no capabilities, a filter of system calls; it comes back when it is killed."""
    pid = site.connected()["pid"]
    with open(f"/proc/{pid}/status", encoding="ascii") as file:
        status = dict(line.split(":\t", 1) for line in file.read().splitlines())
    assert status["Uid"].split() == ["1"] * 4 and status["Groups"].strip() == ""
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")} == {0}
    assert status["NoNewPrivs"].strip() == "1" and status["Seccomp"].strip() == "2"
    open_files = {os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")}
    of_agent = {name for name in open_files if "bpf" in name or name.startswith(site.agent.directory)}
    assert of_agent == {os.path.join(site.agent.state_dir, "sync"), site.agent.stderr_file}
    os.kill(pid, 9)
    eventually(lambda: site.report()["pid"] not in (0, pid), what="another child")
    site.push("later", [rule(ALLOWED, 443)])
    site.in_force("later")


def test_state_goes_with_its_lease(site):
    eventually(site.state, what="the state")
    site.agent.stop()
    eventually(lambda: site.state() is None, 30, "the end of the lease")
    site.agent.start()
    eventually(site.state, what="the state of the new agent")


# ---- egret fleet -------------------------------------------------------------------------------------------


@pytest.fixture
def fleet(site):
    """`egret fleet` from another machine: it has no agent, only the members' address."""
    def run(*arguments, text=None):
        command = [EGRET, "--socket", "/nonexistent", "fleet", *arguments, "--endpoint", site.etcd.url]
        return site.etcd.run(command, text=text)

    return run


def test_fleet_pushes_kills_and_sees(site, fleet):
    made = policy("fleet", [rule(ALLOWED, 443)], cgroups=site.host.glob_of("fleet"))
    path = site.host.file("fleet.json", json.dumps(made))
    status, out, _ = fleet("push", path)
    assert (status, out) == (0, "pushed fleet: 1 of 1 host says so\n")
    assert site.agent.app("fleet")["state"] == "enforce" and site.source("fleet") == "etcd"
    app = site.host.app(name="fleet")
    app.connect("c", ALLOWED, 443)

    status, out, _ = fleet("kill", "fleet", "--reason", "leak", "--ticket", "INC-9")
    assert (status, out) == (0, "killed fleet: 1 of 1 host says so\n")
    assert app.end("c") in RESET
    event = site.agent.event(type="kill", app="fleet")
    assert (event["cause"], event["ticket"]) == ("leak", "INC-9") and "root@" in event["actor"]
    status, out, _ = fleet("status", "fleet", "-o", "json")
    assert {"app": "fleet", "layer": "control"} in json.loads(out)["test-host"]["killed"]
    status, out, _ = fleet("status", "fleet")
    assert status == 0 and "control" in out
    assert fleet("restore", "fleet")[0] == 0
    assert site.agent.app("fleet")["state"] == "enforce"

    # what a host can't apply is said, and is the exit status
    site.agent.put(policy("local", [rule(ALLOWED, 443)]))
    path = site.host.file("local.json", json.dumps(policy("local", [rule(OTHER, 443)])))
    status, _, err = fleet("push", path, "--wait", "2s")
    assert status == 1 and "test-host" in err and "belongs to the source" in err
    status, out, _ = fleet("status")
    assert status == 1 and "local" in out
    assert fleet("push", path, "--take-over")[0] == 0
    assert fleet("status")[0] == 0
    bad = site.host.file("bad.json", json.dumps({**policy("bad"), "egress": "all"}))
    assert fleet("push", bad)[0] == 1
    assert site.etcd.get("/egret/policies/bad") is None

    status, out, _ = fleet("get", "fleet", "-o", "json")
    assert json.loads(out)["policies/fleet"]["policy"] == made
    assert json.loads(out)["kills/fleet"]["killed"] is False
    assert fleet("get", "nobody")[0] == 5
    assert fleet("delete", "fleet")[0] == 0
    assert site.agent.apps().get("fleet", {}).get("state") in (None, "deleted")
    # for other hosts: this one has seen it, and has nothing to do
    assert fleet("kill", "local", "--hosts", "web-*,db-1")[0] == 0
    assert site.agent.app("local")["state"] == "enforce"
    status, _, err = fleet("kill", "local", "--host", "far-away", "--wait", "0")
    assert status == 1 and "far-away: is not there" in err

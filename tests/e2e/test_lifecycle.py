# SPDX-License-Identifier: Apache-2.0
"""Start, crash, restart, policies that come and go: enforcement has no gap, counters no jump."""
import datetime
import os
import shutil
import subprocess

import pytest

from harness import ALLOWED, ALLOWED6, DENIED, OTHER, cgroup, eventually, holds, in_seconds, policy, rule, source
from harness.net import APP

RESET = {"ECONNABORTED", "ECONNRESET", "EPIPE"}


@pytest.fixture
def servers(host):
    host.serve([ALLOWED, ALLOWED6, OTHER, DENIED], 443)


@pytest.fixture
def web(host, servers):
    return host.app(policy("web", [rule([ALLOWED, ALLOWED6], 443), rule(ALLOWED, 443, "udp")]))


def works(app, name="works"):
    app.connect(name, ALLOWED, 443)
    answer = app.ask(name)
    app.close(name, reset=True)  # or a TIME_WAIT, which is no app's, may answer the server's FIN
    return answer == "ping"


def denied(host, app):
    before = host.wire("in", dst=DENIED)
    assert app.fails("connect", "denied", DENIED, 443) == "EPERM"
    assert app.fails("sendto", "denied-udp", DENIED, 443) == "EPERM"
    assert host.wire("in", dst=DENIED) == before
    return True


# ---- The agent comes and goes --------------------------------------------------------------------------


@pytest.mark.parametrize("end", ["stop", "kill9"])
def test_enforcement_does_not_need_the_agent(host, agent, web, end):
    web.connect("live", ALLOWED, 443)
    assert web.ask("live") == "ping"
    counted = agent.app("web")
    getattr(agent, end)()
    assert web.ask("live", "without an agent") == "without an agent"
    assert works(web) and denied(host, web)
    agent.start()
    assert "adopted maps" in agent.stderr()
    assert web.ask("live", "adopted") == "adopted"
    now = agent.app("web")
    assert (now["slot"], now["gen"], now["policy_rev"]) == (counted["slot"], counted["gen"], counted["policy_rev"])
    assert agent.count("web", "no_rule") == 2
    eventually(lambda: agent.app("web")["bytes_out"] == host.wire("in", dst=ALLOWED)[1])
    assert works(web) and denied(host, web)


def test_ten_crashes_under_load(host, agent, web):
    """SIGKILL again and again, each second time an upgrade: nothing denied passes, what is allowed never fails, every
    byte is counted."""
    web.flood_ask("tcp", ALLOWED, 443)
    web.flood_udp("denied", DENIED, 443)
    web.flood_connect("connects", ALLOWED6, 443, "hello", reset=True)
    for number in range(10):
        agent.kill9()
        if number % 2:
            agent.another_build()
        agent.start()
    assert set(web.flood_stop("tcp")) == {"ok"}
    assert set(web.flood_stop("connects")) == {"ok"}
    assert set(web.flood_stop("denied")) == {"EPERM"}
    host.unseen(DENIED)

    def all_counted():
        counted = agent.app("web")
        sent = [sum(pair) for pair in zip(host.wire("in", dst=ALLOWED), host.wire("in", dst=ALLOWED6, proto="tcp"))]
        return [counted["packets_out"], counted["bytes_out"]] == sent

    eventually(all_counted, what="that what was counted is what the server saw")


def test_cgroups_made_while_no_agent_runs_are_denied_until_it_does(host, agent, web):
    agent.put(policy("later", [rule(ALLOWED, 443)], cgroups=host.glob_of("later")))
    agent.kill9()
    later = host.process(host.cgroup_of("later"))
    assert later.fails("connect", "c", ALLOWED, 443) == "EPERM"
    agent.start()
    host.tagged("later")
    assert works(later)


def test_pushed_policies_survive_restart_and_reboot(host, agent, web):
    before = agent.get("/v1/policies/web")
    agent.restart()
    assert agent.get("/v1/policies/web") == before
    agent.reboot()
    assert agent.get("/v1/policies/web") == before
    assert works(web) and denied(host, web)


def test_nothing_changes_on_a_restart(host, agent, web):
    """No socket is reset, no policy written again."""
    web.connect("live", ALLOWED, 443)
    events = len(agent.log(type="policy", app="web"))
    for _ in range(3):
        agent.restart()
    assert web.ask("live") == "ping"
    assert len(agent.log(type="policy", app="web")) == events


def test_early_denies_everything_but_keeps_holds(bare_host):
    """--early attaches deny-all and the holds, before any policy is known; the agent adopts that."""
    host, agent = bare_host, bare_host.agent
    host.serve([ALLOWED], 443)
    agent.start()
    web = host.app(policy("web", [rule(ALLOWED, 443)]))
    held = host.app(policy("held", [rule(ALLOWED, 443)]))
    agent.kill("held")
    agent.kill9()
    agent.wipe_pins()
    status, errors, _ = agent.run("--early")
    assert status == 0, errors
    before = host.wire("in", dst=ALLOWED)
    for app in (web, held):
        assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
        assert app.fails("sendto", "u", ALLOWED, 443) == "EPERM"
    assert host.wire("in", dst=ALLOWED) == before
    agent.start()
    assert works(web)
    assert held.fails("connect", "d", ALLOWED, 443) == "EPERM"


def test_detach_all_removes_every_trace(host, agent, web):
    assert denied(host, web)
    agent.stop()
    assert os.path.isdir(agent.bpffs)
    status, errors, _ = agent.detach_all()
    assert status == 0, errors
    assert not os.path.exists(agent.bpffs)
    assert not os.path.exists(cgroup.full(f"{host.root}/egret-keeper"))
    web.connect("free", DENIED, 443)
    assert web.ask("free") == "ping"


def test_detach_all_is_refused_while_the_agent_runs(host, agent, web):
    status, errors, _ = agent.detach_all()
    if status == 0:
        pytest.fail("it removed enforcement under a running agent")
    assert len(errors) == 1, errors
    assert denied(host, web) and works(web)


def test_reload_reads_the_config_again(host, agent, web):
    agent.configure(unknown_cgroup="audit")
    agent.reload()
    eventually(lambda: agent.status()["enforcement"][0]["unknown"] == "audit")
    assert denied(host, web)
    with open(agent.config_file, "w", encoding="ascii") as broken:
        broken.write("{")
    agent.reload()
    eventually(lambda: agent.config_file in agent.stderr())
    assert agent.status()["enforcement"][0]["unknown"] == "audit"
    # one key that can't change holds back all others
    agent.configure(unknown_cgroup="deny", event_quota="2GiB")
    agent.reload()
    eventually(lambda: "event_quota can't change while egretd runs" in agent.stderr(), what="the word on it")
    assert agent.status()["enforcement"][0]["unknown"] == "audit"
    assert denied(host, web) and works(web)


# ---- The managed root ------------------------------------------------------------------------------------


def test_the_root_can_not_be_removed(host, agent):
    assert subprocess.run(["rmdir", cgroup.full(host.root)], capture_output=True, check=False).returncode
    assert agent.status()["enforcement_ok"] is True


def test_a_root_that_was_removed_and_made_again_is_taken_up(host, agent, servers):
    cgroup.remove(host.root)
    cgroup.make(host.root)
    eventually(lambda: agent.log(type="agent", action="reattach"), what="the event")
    eventually(lambda: agent.status()["enforcement_ok"])
    assert agent.status()["enforcement"][0]["cgroup_id"] == cgroup.cgroup_id(host.root)
    stranger = host.process(f"{host.root}/stranger.scope")
    assert stranger.fails("connect", "c", DENIED, 443) == "EPERM"
    app = host.app(policy("web", [rule(ALLOWED, 443)]))
    assert works(app) and denied(host, app)


def test_a_cgroup_name_used_again_is_a_new_cgroup(host, agent, servers):
    first = host.app(policy("web", [rule(ALLOWED, 443)]))
    assert works(first)
    ids = [entry["id"] for entry in agent.app("web")["cgroup_ids"]]
    first.stop()
    cgroup.remove(host.cgroup_of("web"))
    eventually(lambda: agent.app("web")["cgroups"] == [])
    second = host.app(name="web")
    assert [entry["id"] for entry in agent.app("web")["cgroup_ids"]] == [cgroup.cgroup_id(host.cgroup_of("web"))]
    assert ids != [cgroup.cgroup_id(host.cgroup_of("web"))]
    assert works(second) and denied(host, second)


# ---- Policies: the directory ---------------------------------------------------------------------------------


def write_many(host, agent, count):
    """Policy files app0, app1, ...: their names, once all are in force."""
    names = [f"app{number}" for number in range(count)]
    for name in names:
        agent.write_policy(policy(name, [rule(ALLOWED, 443)], cgroups=host.glob_of(name)))
    for name in names:
        agent.applied(name)
    return names


def test_the_directory_is_watched(host, agent, servers):
    write_many(host, agent, 1)
    agent.write_policy(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    app = agent.applied("web")
    assert (app["source"], app["state"]) == ("directory", "enforce")
    web = host.app(name="web")
    assert works(web) and denied(host, web)
    web.connect("old", ALLOWED, 443)
    agent.write_policy(policy("web", [rule(DENIED, 443)], cgroups=host.glob_of("web")))
    eventually(lambda: agent.app("web")["policy_rev"] != app["policy_rev"])
    assert web.end("old") in RESET
    assert web.fails("connect", "new", ALLOWED, 443) == "EPERM"
    web.connect("now", DENIED, 443)
    assert web.ask("now") == "ping"
    os.unlink(agent.policy_path("web.json"))
    eventually(lambda: agent.app("web")["state"] == "deleted")
    assert web.end("now") in RESET
    assert web.fails("connect", "gone", DENIED, 443) == "EPERM"
    assert agent.count("web", "policy_deleted") >= 1


def test_files_are_read_at_start(bare_host):
    host, agent = bare_host, bare_host.agent
    host.serve([ALLOWED, DENIED], 443)
    agent.write_policy(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    web = host.process(host.cgroup_of("web"))
    agent.start()
    assert works(web) and denied(host, web)  # ready means that policies are in force


def test_a_file_that_is_replaced_in_two_steps_is_not_deleted(host, agent, servers):
    agent.write_policy(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    agent.applied("web")
    web = host.app(name="web")
    web.connect("live", ALLOWED, 443)
    os.unlink(agent.policy_path("web.json"))
    agent.write_policy(policy("web", [rule(ALLOWED, [443, 444])], cgroups=host.glob_of("web")))
    eventually(lambda: agent.app("web")["rules"][0]["ports"] == [443, 444])
    assert web.ask("live") == "ping"
    assert agent.log(type="policy", app="web", action="delete") == []


def test_a_directory_that_empties_deletes_nothing(host, agent, servers):
    write_many(host, agent, 6)
    app = host.app(name="app3")
    shutil.rmtree(agent.policy_dir)
    eventually(lambda: agent.status()["alarms"], what="an alarm")
    holds(lambda: agent.app("app3")["state"] == "enforce", 2.5, "the policy in force")
    assert works(app)
    os.mkdir(agent.policy_dir)
    eventually(lambda: agent.status()["alarms"])
    assert works(app)
    write_many(host, agent, 6)
    eventually(lambda: not agent.status()["alarms"])
    assert works(app)


def test_files_that_come_back_one_by_one_are_all_kept(host, agent, servers):
    """The last ones to come are not taken for a deletion, however slow it goes."""
    names = write_many(host, agent, 4)
    app = host.app(name="app3")
    app.connect("live", ALLOWED, 443)
    assert app.ask("live") == "ping"
    for name in names:
        os.rename(agent.policy_path(f"{name}.json"), agent.policy_path(f"{name}.away"))
    eventually(lambda: any("4 of 4" in alarm for alarm in agent.status()["alarms"]))
    for left, name in zip((3, 2, 1), names):
        os.rename(agent.policy_path(f"{name}.away"), agent.policy_path(f"{name}.json"))
        eventually(lambda left=left: any(f"{left} of 4" in alarm for alarm in agent.status()["alarms"]))
        holds(lambda: agent.app("app3")["state"] == "enforce", 2.5, "the policy in force")
    os.rename(agent.policy_path("app3.away"), agent.policy_path("app3.json"))
    eventually(lambda: not agent.status()["alarms"])
    assert app.ask("live") == "ping"
    assert agent.log(type="policy", action="delete") == []
    assert len(agent.log(type="alert", action="deletions_paused")) >= 1


def test_the_only_file_is_not_deleted_by_its_absence(host, agent, servers):
    """A source that empties pauses, with one app, too; it can be deleted by hand."""
    write_many(host, agent, 1)
    app = host.app(name="app0")
    os.unlink(agent.policy_path("app0.json"))
    eventually(lambda: any("1 of 1" in alarm for alarm in agent.status()["alarms"]))
    holds(lambda: agent.app("app0")["state"] == "enforce", 2.5, "the policy in force")
    assert works(app)
    agent.event(type="alert", action="deletions_paused")
    status, out, errors = agent.cli("policy", "delete", "app0", "--take-over")
    assert status == 0, out + errors
    eventually(lambda: not agent.status()["alarms"])
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert agent.count("app0", "policy_deleted") == 1


def test_two_of_three_files_at_once_are_too_many_and_one_is_not(host, agent, servers):
    names = write_many(host, agent, 4)
    os.unlink(agent.policy_path("app3.json"))
    agent.event(type="policy", app="app3", action="delete")
    assert agent.status()["alarms"] == []
    for name in names[:2]:
        os.rename(agent.policy_path(f"{name}.json"), agent.policy_path(f"{name}.away"))
    eventually(lambda: any("2 of 3" in alarm for alarm in agent.status()["alarms"]))
    holds(lambda: {agent.app(name)["state"] for name in names[:3]} == {"enforce"}, 2.5, "the policies in force")
    assert [event["app"] for event in agent.log(type="policy", action="delete")] == ["app3"]


@pytest.mark.parametrize("whole", [False, True], ids=["files", "directory"])
def test_a_directory_that_empties_while_no_agent_runs_deletes_nothing(host, agent, servers, whole):
    names = write_many(host, agent, 3)
    app = host.app(name="app1")
    host.app(name="app2")
    app.connect("live", ALLOWED, 443)
    agent.stop()
    aside = os.path.join(host.directory, "aside")
    os.rename(agent.policy_dir, aside)
    if not whole:
        os.mkdir(agent.policy_dir)
    agent.start()
    eventually(lambda: agent.status()["alarms"], what="an alarm")
    holds(lambda: app.ask("live") == "ping", 2.5, "the policy in force")
    agent.event(type="alert", action="deletions_paused")
    if not whole:
        os.rmdir(agent.policy_dir)
        assert agent.refused("DELETE", "/v1/policies/app2").code == "owned_elsewhere"
        assert agent.api("DELETE", "/v1/policies/app2?take_over=1")["deleted"] is True
        assert agent.app("app2")["state"] == "deleted"
    os.rename(aside, agent.policy_dir)
    eventually(lambda: not agent.status()["alarms"])
    assert app.ask("live") == "ping" and works(app)
    eventually(lambda: {agent.app(name)["state"] for name in names} == {"enforce"})


def test_a_policy_deleted_while_no_agent_ran(host, agent, servers):
    for name in ("web", "other", "third"):
        agent.write_policy(policy(name, [rule(ALLOWED, 443)], cgroups=host.glob_of(name)))
        agent.applied(name)
    web = host.app(name="web")
    agent.stop()
    os.unlink(agent.policy_path("web.json"))
    agent.start()
    eventually(lambda: web.fails("connect", "c", ALLOWED, 443) == "EPERM")
    assert agent.app("web")["state"] == "deleted"


# ---- Policies: the socket --------------------------------------------------------------------------------------


def test_put_get_delete(host, agent, servers):
    made = policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web"))
    first = agent.put(made)
    assert first["changed"] is True and first["rules"] == 1 and first["source"] == "socket"
    again = agent.put(made)
    assert again["changed"] is False and again["policy_rev"] == first["policy_rev"]
    status, headers, _ = agent.request("GET", "/v1/policies/web")
    assert status == 200 and headers["ETag"].strip('"') == first["policy_rev"]
    got = agent.get("/v1/policies/web")
    assert got["policy"] == made and got["policy_rev"] == first["policy_rev"] and got["source"] == "socket"
    web = host.app(name="web")
    web.connect("live", ALLOWED, 443)
    gone = agent.api("DELETE", "/v1/policies/web")
    assert gone["deleted"] is True and gone["reset_sockets"] >= 1
    assert web.end("live") in RESET
    assert web.fails("connect", "c", ALLOWED, 443) == "EPERM"
    agent.event(type="deny", app="web", reason="policy_deleted")
    assert agent.app("web")["state"] == "deleted"
    assert agent.refused("GET", "/v1/policies/web").status == 404
    assert agent.refused("DELETE", "/v1/policies/web").status == 404
    agent.reboot()
    assert web.fails("connect", "d", ALLOWED, 443) == "EPERM"  # unknown now, and denied all the same
    agent.put(made)
    host.tagged("web")
    assert works(web)


def test_delete_outlives_a_restart(host, agent, web):
    agent.api("DELETE", "/v1/policies/web")
    agent.restart()
    assert agent.app("web")["state"] == "deleted"
    assert web.fails("connect", "c", ALLOWED, 443) == "EPERM"


def test_if_match(host, agent, web):
    rev = agent.app("web")["policy_rev"]
    newer = policy("web", [rule(OTHER, 443)], cgroups=host.glob_of("web"))
    error = agent.refused("PUT", "/v1/policies/web", newer, {"If-Match": '"1-0000000000000000"'})
    assert (error.status, error.code) == (412, "rev_changed")
    assert agent.app("web")["policy_rev"] == rev
    assert agent.put(newer, headers={"If-Match": f'"{rev}"'})["changed"] is True


def test_who_owns_a_policy(host, agent, servers):
    agent.write_policy(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    rev = agent.applied("web")["policy_rev"]
    mine = policy("web", [rule(DENIED, 443)], cgroups=host.glob_of("web"))
    for method, body in (("PUT", mine), ("DELETE", None)):
        error = agent.refused(method, "/v1/policies/web", body)
        assert error.status == 409
        assert "web.json" in str(error)
    assert agent.app("web")["policy_rev"] == rev
    assert agent.put(mine, "?take_over=1")["source"] == "socket"
    agent.write_policy(policy("web", [rule(ALLOWED, [443, 444])], cgroups=host.glob_of("web")))
    eventually(lambda: any(error["file"] == "web.json" for error in agent.status()["policy_errors"]))
    assert agent.app("web")["source"] == "socket"


def test_a_policy_change_cuts_what_it_denies_and_nothing_else(host, agent, servers):
    app = host.app(policy("web", [rule([ALLOWED, OTHER], 443)], ingress=[source(ALLOWED, 8080)]))
    app.connect("stays", ALLOWED, 443)
    app.connect("goes", OTHER, 443)
    app.listen("l", APP, 8080)
    host.server.bind("s", ALLOWED, 0)
    host.server.connect("s", APP, 8080)
    app.accept("l", "a")
    answer = agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    assert answer["reset_sockets"] == 2
    assert app.end("goes") in RESET and app.end("a") in RESET
    assert app.ask("stays") == "ping"


def test_an_udp_socket_obeys_the_new_policy_with_its_next_packet(host, agent, servers):
    app = host.app(policy("web", [rule([ALLOWED, OTHER], 443, "udp")]))
    app.connect("u", OTHER, 443, "udp")
    assert app.ask("u") == "ping"
    agent.put(policy("web", [rule(ALLOWED, 443, "udp")], cgroups=host.glob_of("web")))
    before = host.wire("in", dst=OTHER)
    assert app.fails("send", "u") == "EPERM"
    assert host.wire("in", dst=OTHER) == before


# ---- Time and modes ---------------------------------------------------------------------------------------------


def test_expiry(host, agent, servers):
    app = host.app(policy("web", [rule(ALLOWED, 443), rule(ALLOWED, 443, "udp")], expires=in_seconds(10),
                          mode="audit"))
    app.connect("live", ALLOWED, 443)
    assert app.ask("live") == "ping"
    eventually(lambda: agent.app("web")["state"] == "expired")
    assert app.end("live") in RESET
    before = host.wire("in", dst=ALLOWED)
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert app.fails("sendto", "u", ALLOWED, 443) == "EPERM"
    assert host.wire("in", dst=ALLOWED, proto="udp") == (0, 0)
    assert host.wire("in", dst=ALLOWED) == before
    agent.event(type="expire", app="web")
    agent.event(type="deny", app="web", reason="expired")
    assert agent.count("web", "expired") >= 2
    agent.restart()
    assert app.fails("connect", "d", ALLOWED, 443) == "EPERM"
    agent.reboot()
    assert app.fails("connect", "e", ALLOWED, 443) == "EPERM"
    agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    assert works(app)
    assert agent.app("web")["state"] == "enforce"


def test_expiry_without_the_agent(host, agent, servers):
    """The kernel keeps the time."""
    app = host.app(policy("web", [rule(ALLOWED, 443, "udp")], expires=in_seconds(12)))
    agent.kill9()
    app.connect("u", ALLOWED, 443, "udp")
    assert app.ask("u") == "ping"
    eventually(lambda: app.fails("send", "u") == "EPERM")
    agent.start()
    assert agent.app("web")["state"] == "expired"
    agent.event(type="expire", app="web")


def test_expiry_finds_an_idle_connection(host, agent, servers):
    """No packet of the app's meets the moment: the connection ends and the expiry is told all the same."""
    app = host.app(policy("idle", [rule(ALLOWED, 443)], expires=in_seconds(10)))
    app.connect("live", ALLOWED, 443)
    assert app.ask("live") == "ping"
    before = host.wire("in", dst=ALLOWED)
    assert app.end("live", timeout=40) in RESET
    assert agent.app("idle")["state"] == "expired"
    assert agent.event(type="expire", app="idle")["reason"] == "expired"
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert agent.count("idle", "expired") >= 1
    assert len(agent.log(type="expire", app="idle")) == 1
    assert host.wire("in", dst=ALLOWED) == before


TURNED_BACK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <time.h>
int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int (*next)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int r = next(clock, ret);

	if (clock == CLOCK_REALTIME)
		ret->tv_sec -= 3600;
	return r;
}
"""


def test_expiry_outlives_a_reboot_with_the_clock_turned_back(host, agent, servers):
    """Only a new revision reopens it: not the text of before, not one deleted and put again."""
    expiring = policy("late", [rule(ALLOWED, 443)], expires=in_seconds(10), cgroups=host.glob_of("late"))
    app = host.app(expiring)
    assert works(app)
    eventually(lambda: agent.app("late")["state"] == "expired")
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"

    def on_disk():
        with open(os.path.join(agent.state_dir, "usage"), encoding="ascii") as usage:
            return any(line.startswith("expired late ") for line in usage)

    eventually(on_disk, what="the record of the expiry")
    agent.kill9()
    agent.wipe_pins()
    clock = os.path.join(host.directory, "clock.so")
    subprocess.run(["cc", "-shared", "-fPIC", "-x", "c", "-", "-o", clock], input=TURNED_BACK, text=True, check=True)
    agent.start(env={**os.environ, "LD_PRELOAD": clock, "ASAN_OPTIONS": "verify_asan_link_order=0"})
    assert agent.app("late")["state"] == "expired"
    assert app.fails("connect", "d", ALLOWED, 443) == "EPERM"
    assert agent.count("late", "expired") == 1
    agent.event(type="deny", app="late", reason="expired", hook="connect")
    agent.api("DELETE", "/v1/policies/late")
    agent.put(expiring)
    assert app.fails("connect", "e", ALLOWED, 443) == "EPERM"
    assert agent.app("late")["state"] == "expired"
    agent.put({**expiring, "expires": in_seconds(600)})
    assert works(app)


def test_audit_mode(host, agent, servers):
    app = host.app(policy("web", [rule(ALLOWED, 443)], mode="audit"))
    app.connect("c", DENIED, 443)
    assert app.ask("c") == "ping"
    assert app.sendto("u", DENIED, 443) == 1
    app.listen("l", APP, 9000)
    event = agent.event(type="deny", app="web", verdict="audit", dst=DENIED, proto="tcp")
    assert event["reason"] == "no_rule"
    flow = agent.event(type="flow", app="web", dst=DENIED, proto="tcp")
    assert flow["verdict"] == "audit"
    now = agent.app("web")
    assert now["denied"] == 0 and now["audited"] >= 3 and now["state"] == "audit"
    assert agent.count("web", "no_rule", "audited") >= 2
    agent.put(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    assert app.end("c") in RESET
    assert app.fails("connect", "d", DENIED, 443) == "EPERM"


def test_relax(host, agent, web):
    assert denied(host, web)
    answer = agent.api("POST", "/v1/apps/web/relax", {"for": "1m", "reason": "incident 12"})
    assert answer["app"] == "web" and answer["relax_until"]
    web.connect("c", DENIED, 443)
    assert web.ask("c") == "ping"
    # from boot time and back: the same to the millisecond
    until = [datetime.datetime.fromisoformat(text[:23]) for text in
             (agent.app("web")["relax_until"], answer["relax_until"])]
    assert abs(until[0] - until[1]) <= datetime.timedelta(milliseconds=2)
    assert any("web" in alarm for alarm in agent.status()["alarms"])
    agent.event(type="alert", app="web", cause="incident 12")
    agent.kill("web")
    assert web.fails("connect", "k", DENIED, 443) == "EPERM"  # a kill still holds
    agent.restore("web")
    web.connect("e", DENIED, 443)
    assert web.ask("e") == "ping"
    web.connect("allowed", ALLOWED, 443)
    assert agent.api("POST", "/v1/apps/web/relax", {"for": "0", "reason": "over"})["reset_sockets"] == 1
    assert web.end("e") in RESET
    assert web.ask("allowed") == "ping"
    assert denied(host, web)
    assert agent.event(type="alert", app="web", action="relax_end")["cause"] == "over"
    assert agent.app("web")["relax_until"] is None


def test_relax_ends_by_itself(host, agent, web):
    """Also for a connection that is silent then."""
    agent.api("POST", "/v1/apps/web/relax", {"for": "1m", "reason": "incident 13"})
    for name, address in (("out", DENIED), ("in", ALLOWED)):
        web.connect(name, address, 443)
        assert web.ask(name) == "ping"
    assert web.end("out", timeout=85) in RESET
    assert agent.app("web")["relax_until"] is None
    assert agent.event(type="alert", app="web", action="relax_end")["actor"] == "via=agent"
    assert web.ask("in") == "ping"
    before = agent.count("web", "no_rule")
    assert denied(host, web)
    assert agent.count("web", "no_rule") == before + 2


@pytest.mark.parametrize("body, code", [
    ({"for": "1m"}, "reason_required"), ({"for": "1m", "reason": ""}, "reason_required"),
    ({"for": "25h", "reason": "x"}, None), ({"for": "1s", "reason": "x"}, None), ({"reason": "x"}, None),
    ({"for": "soon", "reason": "x"}, None),
])
def test_relax_needs_a_reason_and_an_end(host, agent, web, body, code):
    error = agent.refused("POST", "/v1/apps/web/relax", body)
    assert error.status == 400 and code in (None, error.code)
    assert denied(host, web)


# ---- Tags ---------------------------------------------------------------------------------------------------------


def test_a_tag_is_in_force_when_it_answers(host, agent, servers):
    agent.put(policy("web", [rule(ALLOWED, 443)]))
    for number in range(20):
        path = f"{host.root}/job{number}.scope"
        cgroup.make(path)
        answer = agent.tag(path, "web")
        assert answer["app"] == "web" and answer["cgroup_id"] == cgroup.cgroup_id(path)
        if number % 5 == 0:
            job = host.process(path)
            assert works(job) and denied(host, job)
    assert len(agent.app("web")["cgroups"]) == 20


def test_a_tag_without_a_policy_denies(host, agent, servers):
    path = f"{host.root}/new.scope"
    cgroup.make(path)
    assert agent.tag(path, "new")["state"] == "no_policy"
    app = host.process(path)
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    agent.event(type="deny", app="new", reason="no_policy")
    agent.put(policy("new", [rule(ALLOWED, 443)]))
    assert works(app)


def test_tags_survive_a_restart(host, agent, servers):
    path = f"{host.root}/tagged.scope"
    cgroup.make(path)
    agent.put(policy("web", [rule(ALLOWED, 443)]))
    agent.tag(path, "web")
    app = host.process(path)
    agent.restart()
    assert works(app) and denied(host, app)
    assert any(known.endswith(path) for known in agent.app("web")["cgroups"])


@pytest.mark.parametrize("path", ["nowhere/at/all", "../../etc", "/etc", "", "/"])
def test_what_can_not_be_tagged(host, agent, path):
    error = agent.refused("POST", "/v1/tags", {"cgroup": path, "app": "web"})
    assert 400 <= error.status < 500


def test_a_cgroup_outside_of_the_roots_is_no_apps(host, agent):
    path = host.other_cgroup()
    error = agent.refused("POST", "/v1/tags", {"cgroup": path, "app": "web"})
    assert 400 <= error.status < 500

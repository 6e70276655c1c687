# SPDX-License-Identifier: Apache-2.0
"""egret, as a person and as a script use it."""
import json
import os
import select
import subprocess

import pytest

from harness import ALLOWED, DENIED, cgroup, eventually, policy, rule, source
from harness.agent import EGRET
from harness.policy import text as text_of

OK, NO, USAGE, NO_AGENT, REFUSED, NOT_FOUND, CONFLICT, FAILED = range(8)


@pytest.fixture
def web(host):
    host.serve([ALLOWED, DENIED], 443)
    return host.app(policy("web", [rule(ALLOWED, 443, id="tls")], ingress=[source(ALLOWED, 8080, id="in")],
                           labels={"team": "hr"}, purpose="Directory lookup",
                           limits={"egress": {"bytes": "1MiB", "per": "31d", "action": "drop"}}))


@pytest.fixture
def write(host):
    """Puts a policy (or text) into a file; its path."""

    def put(made, name="policy.json"):
        path = os.path.join(host.directory, name)
        with open(path, "w", encoding="utf-8") as out:
            out.write(made if isinstance(made, str) else text_of(made))
        return path

    return put


def ok(agent, *arguments, **more):
    """It succeeds, without a word on stderr; its stdout."""
    status, out, error = agent.cli(*arguments, **more)
    assert (status, error) == (OK, ""), (arguments, status, out, error)
    assert "\x1b" not in out  # colour is for terminals
    return out


def as_json(agent, *arguments):
    return json.loads(ok(agent, *arguments, "-o", "json"))


def fails(agent, wanted, *arguments, **more):
    """It exits with that status and says one thing on stderr."""
    status, out, error = agent.cli(*arguments, **more)
    assert status == wanted, (arguments, status, out, error)
    assert error.startswith("egret"), error
    return error


# ---- Looking ---------------------------------------------------------------------------------------------


def test_status(host, agent, web):
    out = ok(agent, "status")
    assert "test-host" in out and host.root in out and "1 enforce" in out
    answer = as_json(agent, "status")
    assert answer["enforcement_ok"] is True and answer["apps"]["enforce"] == 1
    agent.kill("web", reason="drill")
    assert "Kills in force" in ok(agent, "status") and "drill" in ok(agent, "status")


def test_apps_and_app(host, agent, web):
    host.app(policy("other", [rule(ALLOWED, 443)], labels={"team": "it"}))
    out = ok(agent, "apps")
    assert "web" in out and "other" in out and "enforce" in out
    assert "other" not in ok(agent, "apps", "--label", "team=hr")
    assert {app["app"] for app in as_json(agent, "apps")["apps"]} == {"web", "other"}
    web.fails("connect", "c", DENIED, 443)
    out = ok(agent, "app", "web")
    for word in ("web", "owner@example.com", "SEC-1", "Directory lookup", "tls", ALLOWED, "443", "in", "no_rule",
                 host.cgroup_of("web")):
        assert word in out, word
    assert as_json(agent, "app", "web")["app"] == "web"
    assert "nobody" in fails(agent, NOT_FOUND, "app", "nobody")


def test_explain(agent, web):
    out = ok(agent, "explain", "web", f"{ALLOWED}:443")
    assert "allow" in out and "tls" in out
    status, out, error = agent.cli("explain", "web", f"{DENIED}:443")
    assert (status, error) == (NO, "")
    assert "no_rule" in out and "no egress rule names this destination" in out
    status, out, _ = agent.cli("explain", "web", f"{ALLOWED}:444")
    assert status == NO and "no_rule_port" in out and "tls" in out
    assert agent.cli("explain", "web", f"{ALLOWED}:443", "--proto", "udp")[0] == NO
    assert agent.cli("explain", "web", "[fd00::1]:443")[0] == NO
    assert agent.cli("explain", "web", ALLOWED, "--proto", "icmp")[0] == NO
    assert agent.cli("explain", "web", f"{ALLOWED}:8080", "--ingress")[0] == OK
    answer = as_json(agent, "explain", "web", f"{ALLOWED}:443")
    assert (answer["verdict"], answer["rule"]) == ("allow", "tls")
    fails(agent, USAGE, "explain", "web", ALLOWED)
    fails(agent, NOT_FOUND, "explain", "nobody", f"{ALLOWED}:443")
    agent.kill("web")
    status, out, _ = agent.cli("explain", "web", f"{ALLOWED}:443")
    assert status == NO and "killed" in out
    assert agent.count("web", "no_rule") == agent.count("web", "no_rule_port") == 0  # asking is not trying


def test_explain_says_what_the_kernel_does(host, agent, web):
    """The same answer as a real connection, before and after."""
    for address, port in ((ALLOWED, 443), (ALLOWED, 80), (DENIED, 443)):
        allowed = agent.cli("explain", "web", f"{address}:{port}")[0] == OK
        assert (web.fails("connect", f"c{port}{address}", address, port) != "EPERM") == allowed


def test_explain_knows_whose_loopback_it_is(host, agent, web):
    """In a namespace of its own all of it is the app's; in the host's, only what the app has there."""
    assert agent.cli("explain", "web", "127.0.0.1:1234")[0] == OK
    agent.put(policy("inside", [rule(ALLOWED, 443)], cgroups=host.glob_of("inside")))
    cgroup.make(host.cgroup_of("inside"))
    host.tagged("inside")
    app, other = host.outsider(cgroup_path=host.cgroup_of("inside")), host.outsider()
    mine, theirs = app.listen("l", "127.0.0.1", 0), other.listen("l", "127.0.0.1", 0)
    for port, allowed in ((mine, True), (theirs, False)):
        answer = agent.explain("inside", f"127.0.0.1:{port}")
        assert (answer["verdict"], answer["reason"]) == (("allow", "allowed") if allowed else ("deny", "loopback"))
        assert app.fails("connect", f"c{port}", "127.0.0.1", port) == (None if allowed else "EPERM")
    assert agent.count("inside", "loopback") == 1
    event = agent.event(type="deny", app="inside", reason="loopback")
    assert (event["dst"], event["dst_port"]) == ("127.0.0.1", theirs)


def test_denied(agent, web):
    web.fails("connect", "c", DENIED, 443)
    out = ok(agent, "denied", "web", "--last", "10m")
    assert f"{DENIED}:443" in out and "no_rule" in out and "testapp" in out
    (row,) = as_json(agent, "denied")["denied"]
    assert row["count"] == 1 and row["fix"]
    fails(agent, USAGE, "denied", "--last", "yesterday")


def test_flows_events_usage(agent, web):
    web.connect("c", ALLOWED, 443)
    web.ask("c")
    web.close("c")
    web.fails("connect", "d", DENIED, 443)
    agent.event(type="flow", phase="end", app="web")
    agent.event(type="deny", app="web")
    assert f"{ALLOWED}:443" in ok(agent, "flows", "web")
    out = ok(agent, "events", "web", "--type", "deny")
    assert "no_rule" in out and DENIED in out
    events = [json.loads(line) for line in ok(agent, "events", "-o", "ndjson").splitlines()]
    assert events == agent.query()
    assert len(ok(agent, "events", "-o", "ndjson", "--limit", "2").splitlines()) == 2
    assert "1MiB" in ok(agent, "usage", "web").replace(" ", "")
    (usage,) = as_json(agent, "usage", "web")["usage"]
    assert usage["caps"][0]["limit"] == 1 << 20


def test_events_are_followed(agent, web):
    follower = subprocess.Popen([EGRET, "--socket", agent.socket, "events", "-f", "--type", "deny", "-o", "ndjson"],
                                stdout=subprocess.PIPE, text=True)
    try:
        # what was denied before it had connected is not for it
        eventually(lambda: web.fails("connect", "c", DENIED, 443) and
                   select.select([follower.stdout], [], [], 0.2)[0])
        event = json.loads(follower.stdout.readline())
        assert (event["type"], event["dst"]) == ("deny", DENIED)
    finally:
        follower.terminate()
        follower.wait(10)
        follower.stdout.close()


# ---- Policies ----------------------------------------------------------------------------------------------


def test_policy_check_needs_no_agent(host, write):
    good, bad = write(policy("fine", [rule(ALLOWED, 443)])), write('{"version": 1,\n "app": bad}', "bad.json")
    for arguments, wanted in (([good], OK), ([bad], NO), ([good, bad], NO), ([host.directory + "/none"], FAILED)):
        done = subprocess.run([EGRET, "--socket", "/nonexistent", "policy", "check", *arguments], capture_output=True,
                              text=True, timeout=30, check=False)
        assert done.returncode == wanted or (wanted == FAILED and done.returncode != OK), (arguments, done)
        if wanted == NO:
            assert f"{bad}:2:9:" in done.stdout + done.stderr


def test_policy_apply_diff_get_delete(host, agent, web, write):
    path = write(policy("web", [rule(DENIED, 443, id="tls")], cgroups=host.glob_of("web")))
    status, out, _ = agent.cli("policy", "diff", path)
    assert status == NO and DENIED in out and ALLOWED in out
    status, out, _ = agent.cli("policy", "apply", "--dry-run", path)
    assert status == OK and agent.get("/v1/policies/web")["policy"]["egress"][0]["to"] == [ALLOWED]
    status, out, error = agent.cli("policy", "apply", path)
    assert status == OK and "web" in out and "in force" in out, error
    assert agent.cli("policy", "diff", path)[0] == OK
    assert json.loads(agent.cli("policy", "get", "web")[1])["egress"][0]["to"] == [DENIED]
    assert fails(agent, CONFLICT, "policy", "apply", "--if-match", "1-0000000000000000", path)
    web.connect("c", DENIED, 443)
    assert "1 socket" in ok(agent, "policy", "delete", "web")
    assert agent.app("web")["state"] == "deleted"
    fails(agent, NOT_FOUND, "policy", "get", "web")
    assert agent.cli("policy", "apply", "-", text=text_of(policy("piped", [rule(ALLOWED, 443)])))[0] == OK
    assert agent.app("piped")["state"] == "enforce"


def test_a_bad_policy_is_refused_with_its_place(agent, web, write):
    path = write('{"version": 1,\n "app": "web",\n "expires": "2020-01-01T00:00:00Z"}')
    status, out, error = agent.cli("policy", "apply", path)
    assert status not in (OK, USAGE, NO_AGENT) and f"{path}:3:" in error
    assert agent.app("web")["state"] == "enforce"


def test_of_several_files_none_is_applied_unless_all_are_right(agent, web, write):
    good, bad = write(policy("new", [rule(ALLOWED, 443)]), "a.json"), write("{", "b.json")
    assert agent.cli("policy", "apply", good, bad)[0] != OK
    assert "new" not in agent.apps()


def test_a_policy_of_the_directory_is_a_conflict(host, agent, write):
    agent.write_policy(policy("filed", [rule(ALLOWED, 443)]))
    agent.applied("filed")
    path = write(policy("filed", [rule(DENIED, 443)]))
    assert "filed.json" in fails(agent, CONFLICT, "policy", "apply", path)
    assert agent.cli("policy", "apply", "--take-over", path)[0] == OK


# ---- Kill ----------------------------------------------------------------------------------------------------


def test_kill_and_restore(host, agent, web):
    web.connect("c", ALLOWED, 443)
    out = ok(agent, "kill", "web", "--reason", "leaked key", "--ticket", "INC-7")
    assert "killed" in out and "on disk" in out
    assert web.end("c") in ("ECONNABORTED", "ECONNRESET", "EPIPE")
    (hold,) = agent.app("web")["holds"]
    assert (hold["reason"], hold["ticket"]) == ("leaked key", "INC-7")
    assert "already" in agent.cli("kill", "web")[2]
    assert "lifted" in ok(agent, "restore", "web", "--reason", "rotated")
    fails(agent, CONFLICT, "restore", "web")
    web.connect("d", ALLOWED, 443)


def test_killing_many_asks_for_their_number(host, agent, web):
    host.app(policy("other", [rule(ALLOWED, 443)], labels={"team": "it"}))
    assert "--yes" in fails(agent, USAGE, "kill", "--label", "team=hr")
    fails(agent, USAGE, "kill")
    fails(agent, USAGE, "kill", "web", "--all")
    fails(agent, USAGE, "kill", "web", "--label", "team=hr")
    out = ok(agent, "kill", "--label", "team=hr", "--dry-run")
    assert "web" in out and "other" not in out
    fails(agent, CONFLICT, "kill", "--all", "--yes", "1")
    assert agent.status()["holds"] == []
    ok(agent, "kill", "--label", "team=hr", "--yes", "1")
    assert (agent.app("web")["state"], agent.app("other")["state"]) == ("killed", "enforce")
    ok(agent, "kill", "--all", "--yes", "2")
    assert agent.status()["kill_all"] is True
    ok(agent, "restore", "--all")
    ok(agent, "restore", "web")


def test_killing_an_unseen_app_is_said(agent, web):
    status, _, error = agent.cli("kill", "wbe")
    assert status == OK and "wbe" in error and "name" in error


def test_relax(agent, web):
    fails(agent, USAGE, "relax", "web", "--for", "15m")
    fails(agent, USAGE, "relax", "web", "--reason", "x")
    assert "audit" in ok(agent, "relax", "web", "--for", "15m", "--reason", "incident")
    web.connect("c", DENIED, 443)
    assert "enforced" in ok(agent, "relax", "web", "--for", "0", "--reason", "over")
    assert web.fails("connect", "d", DENIED, 443) == "EPERM"


# ---- Running and tagging ------------------------------------------------------------------------------------------


def run_app(host, agent, *command, name="job", options=(), **popen):
    """egret run, in the app's network namespace (`ip netns exec` would hide the cgroups with a fresh /sys)."""
    return subprocess.run(
        ["nsenter", f"--net={host.network.path(host.network.app)}", EGRET, "--socket", agent.socket,
         "run", "--app", name, *options, "--", *command],
        capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL, **popen)


CONNECT = "import socket,sys; socket.create_connection((sys.argv[1], 443), 5).close()"
UNPRIVILEGED = ("setpriv", "--reuid=20000", "--regid=20000", "--clear-groups", "--bounding-set=-all")


def python(*arguments):
    return [*UNPRIVILEGED, "/usr/bin/python3", "-c", *arguments]


def test_run(host, agent, web, write):
    path = write(policy("job", [rule(ALLOWED, 443)]))
    done = run_app(host, agent, *python(CONNECT, ALLOWED), options=["--policy", path])
    assert done.returncode == 0 and "warning" in done.stderr  # the policy has no cap
    done = run_app(host, agent, *python(CONNECT, DENIED))
    assert done.returncode == 1 and "PermissionError" in done.stderr
    assert agent.event(type="deny", app="job", dst=DENIED)["reason"] == "no_rule"
    host.unseen(DENIED)
    assert run_app(host, agent, "cat", "/proc/self/cgroup").stdout.count(host.root) == 1
    eventually(lambda: agent.app("job")["cgroups"] == [], what="the removal of the cgroups")


def test_run_without_a_policy_says_so(host, agent):
    done = run_app(host, agent, "true", name="nobody")
    assert done.returncode == 0 and "nobody has no policy" in done.stderr


def test_json_by_its_short_name(agent, web):
    assert json.loads(ok(agent, "app", "web", "--json"))["app"] == "web"
    assert json.loads(ok(agent, "--json", "-o", "table", "apps"))["apps"][0]["app"] == "web"


@pytest.mark.parametrize("command, status", [
    (["true"], 0), (["sh", "-c", "exit 42"], 42), (["sh", "-c", "kill -9 $$"], 137),
    (["no-such-command-here"], 127), (["/etc/passwd"], 126),
])
def test_run_exits_as_its_command(host, agent, web, command, status):
    assert run_app(host, agent, *command, name="web").returncode == status


def test_run_that_can_not_begin(host, agent, web, write):
    for options, name in (([], "Not A Name"), (["--policy", "/nonexistent"], "job"),
                          (["--policy", write("{")], "job"), (["--policy", write(policy("else"), "e.json")], "job")):
        done = run_app(host, agent, "touch", f"{host.directory}/ran", name=name, options=options)
        assert done.returncode in (125, 2) and done.stderr, (options, name, done)
        assert not os.path.exists(f"{host.directory}/ran")


def test_run_passes_signals_on(host, agent, web):
    marker = os.path.join(host.directory, "started")
    script = f"trap 'exit 7' TERM; touch {marker}; while :; do sleep 0.05; done"
    process = subprocess.Popen([EGRET, "--socket", agent.socket, "run", "--app", "web", "--", "sh", "-c", script])
    try:
        eventually(lambda: os.path.exists(marker))
        process.terminate()
        assert process.wait(20) == 7
    finally:
        process.kill()
        process.wait()


def test_tag(host, agent, web):
    path = f"{host.root}/tagged.scope"
    os.mkdir(f"{agent.status()['cgroup2_mount']}/{path}")
    assert "web" in ok(agent, "tag", path, "web")
    app = host.process(path)
    app.connect("c", ALLOWED, 443)
    assert app.fails("connect", "d", DENIED, 443) == "EPERM"
    assert agent.cli("tag", f"{host.root}/missing.scope", "web")[0] not in (OK, USAGE)


# ---- Itself ----------------------------------------------------------------------------------------------------------


def test_doctor(agent, web):
    status, out, error = agent.cli("doctor", "--bpffs", agent.bpffs, "--state-dir", agent.state_dir)
    assert status == OK, out + error
    assert "FAIL" not in out
    findings = json.loads(agent.cli("doctor", "--bpffs", agent.bpffs, "--state-dir", agent.state_dir, "-o", "json")[1])
    assert findings
    findings = json.loads(agent.cli("doctor", "-o", "json")[1])["findings"]  # the agent says where it keeps what
    for check, path in (("bpffs", agent.bpffs), ("state", agent.state_dir)):
        assert [f["level"] for f in findings if f["check"] == check and path in f["message"]] == ["ok"], findings
    agent.kill9()
    status, out, _ = agent.cli("doctor", "--bpffs", agent.bpffs, "--state-dir", agent.state_dir)
    assert status == NO and "FAIL" in out


@pytest.mark.parametrize("arguments", [
    ["status"], ["apps"], ["app", "web"], ["kill", "web"], ["restore", "web"], ["denied"], ["events"], ["usage"],
    ["explain", "web", "10.0.0.1:443"], ["policy", "get", "web"],
])
def test_no_agent_is_said_in_one_plain_line(bare_host, arguments):
    status, out, error = bare_host.agent.cli(*arguments)
    assert (status, out) == (NO_AGENT, "")
    assert len(error.splitlines()) == 1 and bare_host.agent.socket in error
    assert "egretd" in error
    if arguments[0] == "kill":
        assert "--direct" in error


@pytest.mark.parametrize("arguments", [
    ["nonsense"], ["status", "extra"], ["status", "--no-such"], ["app"], ["policy"], ["policy", "nonsense"],
    ["-o", "xml", "status"], ["app", "Not A Name"], ["events", "--limit", "few"],
])
def test_usage(bare_host, arguments):
    status, out, error = bare_host.agent.cli(*arguments)
    assert (status, out) == (USAGE, "")
    assert error.startswith("egret")


def test_help_version_completion(bare_host):
    agent = bare_host.agent
    out = ok(agent, "help")
    commands = ("status", "apps", "app", "policy check", "policy apply", "policy diff", "policy get", "policy delete",
                "explain", "denied", "kill", "restore", "relax", "flows", "events", "usage", "run", "tag", "doctor",
                "completion")
    for command in commands:
        assert command in out
        assert ok(agent, "help", *command.split()).startswith(f"usage: egret {command}")
        assert ok(agent, *command.split(), "--help").startswith(f"usage: egret {command}")
    assert ok(agent, "--version").startswith("egret ")
    for shell in ("bash", "zsh", "fish"):
        assert "egret" in ok(agent, "completion", shell)
    script = ok(agent, "completion", "bash")
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0


def test_the_environment_names_the_socket(agent, web):
    done = subprocess.run([EGRET, "status"], capture_output=True, text=True, timeout=30, check=False,
                          env={**os.environ, "EGRET_SOCKET": agent.socket})
    assert done.returncode == OK and "test-host" in done.stdout


def test_a_role_that_may_not_is_refused(host, agent, web):
    done = subprocess.run([EGRET, "--socket", agent.socket, "status"], capture_output=True, text=True, timeout=30,
                          check=False, user=65534, group=65534, extra_groups=[])
    assert done.returncode == REFUSED and len(done.stderr.splitlines()) == 1


def test_tables_can_be_cut_short(agent, web):
    """A pipe that closes is no error message."""
    done = subprocess.run(f"{EGRET} --socket {agent.socket} app web | head -1", shell=True, capture_output=True,
                          text=True, timeout=30, check=False)
    assert done.returncode == 0 and done.stderr == "" and len(done.stdout.splitlines()) == 1

# SPDX-License-Identifier: Apache-2.0
"""egret-ship as egretd's child: real events of a real agent, at a receiver."""
import json
import os
import signal
import time

import pytest

from harness import ALLOWED, DENIED, Host, eventually, holds, policy, rule
from harness import http_faults as faults
from harness.http_receivers import Webhook
from harness.ship import Ship
from harness.ship import event as make_event

USER = "nobody"
STOP_S = 5


class Hook(Webhook):
    """Keeps what it was sent. picky: refuses the credentials of tests, and of nothing else that may come meanwhile."""

    def __init__(self, *args, **kw):
        self.events, self.picky = {}, False
        super().__init__(*args, **kw)

    def attend(self, handler, body):
        if self.picky and b'"action":"sink_test"' in body:
            return self.refuse_token()
        return super().attend(handler, body)

    def take(self, handler, body):
        answer = super().take(handler, body)
        if answer[0] < 300:
            self.events.update((event["event_id"], event) for event in map(json.loads, body.splitlines()))
        return answer

    def of(self, **wanted):
        with self.lock:
            return [event for event in self.events.values() if wanted.items() <= event.items()]


@pytest.fixture
def receiver():
    with Hook() as receiver:
        yield receiver


def webhook(receiver, **more):
    return {"name": "hook", "type": "webhook", "url": receiver.url, "batch": {"wait": "100ms"}, "timeout": "2s", **more}


def sink(agent, name="hook"):
    return next(one for one in agent.get("/v1/sinks")["sinks"] if one["name"] == name)


def adds_up(one):
    columns = ("delivered", "filtered", "spooled", "dead_lettered", "evicted")
    assert one["produced"] == sum(one[column] for column in columns), one


def ship_pid(agent):
    return agent.get("/v1/sinks")["pid"]


def begin(host, *sinks):
    host.agent.configure(ship_user=USER, sinks=list(sinks))
    host.agent.start()
    eventually(lambda: ship_pid(host.agent), what="egret-ship")
    return host.agent


def settled(agent, name="hook"):
    """Nothing waits: (what the sink says, the ids of all events that there are)."""

    def look():
        one = sink(agent, name)
        ids = {event["event_id"] for event in agent.query()}
        return one["spooled"] == 0 and one["produced"] == len(ids) and (one, ids)

    return eventually(look, 30, f"the end of the queue: {sink(agent, name)}")


def event(agent, **wanted):
    """Waits for such an event in the agent's own log; the first one."""
    return eventually(lambda: [one for one in agent.query() if wanted.items() <= one.items()], what=f"{wanted}")[0]


def denied(app, port=80):
    assert app.fails("connect", f"d{time.monotonic_ns()}", DENIED, port) == "EPERM"


# ---- Delivery ------------------------------------------------------------------------------------------


def test_every_event_once(bare_host, receiver):
    host = bare_host
    directory = os.path.join(host.directory, "out")
    os.mkdir(directory)
    os.chmod(directory, 0o777)
    agent = begin(host, webhook(receiver, flows="full"),
                  {"name": "disk", "type": "file", "path": f"{directory}/events.ndjson", "flows": "full"},
                  {"name": "denials", "type": "file", "path": f"{directory}/denials.ndjson", "types": ["deny"]})
    host.serve([ALLOWED], 443)
    app = host.app(policy("web", [rule(ALLOWED, 443, id="tls")]))
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    app.close("c")
    denied(app)
    eventually(lambda: receiver.of(type="flow", phase="end", app="web"), what="the flow at the receiver")
    eventually(lambda: receiver.of(type="deny", app="web"), what="the denial at the receiver")
    one, ids = settled(agent)
    assert receiver.complaints == []
    assert set(receiver.stored) == ids and set(receiver.stored.values()) == {1}
    assert one["delivered"] == len(ids) and one["state"] == "ok" and one["last_success"]
    (denial,) = receiver.of(type="deny", app="web")
    assert denial == event(agent, type="deny", app="web")
    # The others got theirs.
    settled(agent, "disk")
    with open(f"{directory}/events.ndjson", encoding="utf-8") as lines:
        assert {json.loads(line)["event_id"] for line in lines} == ids
    some, _ = settled(agent, "denials")
    adds_up(some)
    with open(f"{directory}/denials.ndjson", encoding="utf-8") as lines:
        events = [json.loads(line) for line in lines]
    assert [event["type"] for event in events] == ["deny"] * some["delivered"] and events
    assert some["filtered"] == len(ids) - len(events)


def test_flows_are_rolled_up(bare_host, receiver):
    host = bare_host
    agent = begin(host, webhook(receiver, rollup="2s"))
    host.serve([ALLOWED], 443)
    app = host.app(policy("web", [rule(ALLOWED, 443, id="tls")]))
    full = host.app(policy("loud", [rule(ALLOWED, 443, id="tls")], log="full"))
    for number in range(8):
        app.connect(f"c{number}", ALLOWED, 443)
        app.ask(f"c{number}")
        app.close(f"c{number}")
    full.connect("c", ALLOWED, 443)
    full.close("c")
    denied(app)
    eventually(lambda: receiver.of(type="deny", app="web"), what="a denial, which waits for no window")
    eventually(lambda: sum(event["flows"] for event in receiver.of(phase="rollup", app="web")) == 8, what="all eight")
    settled(agent)
    rollups = receiver.of(phase="rollup", app="web")
    ends = [event for event in agent.query() if event["type"] == "flow" and event["app"] == "web" and event["phase"] == "end"]
    assert len(ends) == 8 and len(rollups) < 4
    for member in ("bytes_out", "bytes_in", "packets_out", "packets_in"):
        assert sum(event[member] for event in rollups) == sum(event[member] for event in ends), member
    assert {(event["dst"], event["dst_port"], event["rule"], event["verdict"]) for event in rollups} == {
        (ALLOWED, 443, "tls", "allow")}
    assert not receiver.of(type="flow", phase="end", app="web")
    assert receiver.of(type="flow", phase="end", app="loud") and not receiver.of(phase="rollup", app="loud")
    adds_up(sink(agent))


# ---- Trouble ----------------------------------------------------------------------------------------------


def test_killed_and_started_again(bare_host, receiver):
    host = bare_host
    agent = begin(host, webhook(receiver, flows="full"))
    app = host.app(policy("web", []))
    for _ in range(2):
        denied(app)
        pid = ship_pid(agent)
        os.kill(pid, signal.SIGKILL)
        denied(app)
        eventually(lambda pid=pid: ship_pid(agent) not in (0, pid), 30, "another egret-ship")
    one, ids = settled(agent)
    assert set(receiver.stored) == ids
    adds_up(one)
    assert agent.get("/v1/sinks")["restarts"] == 2
    assert "egret_ship_restarts_total 2" in agent.api("GET", "/metrics")


def test_an_outage_holds_up_nothing_and_nobody(bare_host, receiver):
    host = bare_host
    directory = os.path.join(host.directory, "out")
    os.mkdir(directory)
    os.chmod(directory, 0o777)
    receiver.stop()
    agent = begin(host, webhook(receiver, flows="full"),
                  {"name": "disk", "type": "file", "path": f"{directory}/events.ndjson", "flows": "full"})
    app = host.app(policy("web", []))
    denied(app)
    eventually(lambda: sink(agent)["state"] == "retrying", what="its state")
    settled(agent, "disk")  # the other one goes on
    late = sink(agent)
    assert late["lag_events"] > 0 and late["last_error"] and late["delivered"] == 0
    adds_up(late)
    pid, begun = ship_pid(agent), time.monotonic()
    agent.stop()
    assert time.monotonic() - begun < STOP_S + 5
    assert not os.path.exists(f"/proc/{pid}")
    with Hook(port=receiver.port) as back:
        agent.start()
        denied(app)
        _, ids = settled(agent)
        assert set(back.stored) == ids


def backlog(agent, what):
    """Waits until that is told of the sink's backlog; the sink, its metric, and its line of `egret sinks`."""
    one = eventually(lambda: sink(agent)["backlog"] == what and sink(agent), 30, f"{what}: {sink(agent)}")
    metric = [line.split()[-1] for line in agent.api("GET", "/metrics").splitlines()
              if line.startswith('egret_sink_backlog_eta_seconds{sink="hook"}')]
    return one, metric, agent.cli("sinks")[1].splitlines()[1]


def test_when_a_backlog_is_gone(bare_host, receiver):
    """By measured progress: not while nothing is taken, in a while if the receiver is slow, and then it is."""
    agent, total = bare_host.agent, 600
    before = Ship(bare_host.directory, [])
    before.log_dir = agent.log_dir
    os.makedirs(agent.log_dir, exist_ok=True)
    before.add(map(make_event, range(1, total + 1)))
    receiver.stop()
    begin(bare_host, webhook(receiver, flows="full", batch={"events": 10, "wait": "100ms"}))
    one, metric, line = backlog(agent, "not_shrinking")
    assert one["eta_ms"] is None and one["lag_events"] >= total and one["lag_ms"] > 86400000, one
    assert metric == ["+Inf"] and "not shrinking" in line
    with Hook([faults.after(0.3)] * 10000, port=receiver.port) as back:
        one, metric, line = backlog(agent, "shrinking")
        assert one["state"] == "ok" and one["lag_ms"] > 86400000, one  # also between two batches
        assert one["eta_ms"] >= one["lag_events"] * 1000 // 34, one  # it takes 33 a second, and no more
        assert 0 < float(metric[0]) < 86400
        back.faults.clear()
        one, metric, _ = backlog(agent, "none")
        assert one["eta_ms"] is None and metric == ["0.000"], one
        settled(agent)
        adds_up(sink(agent))


def test_a_refused_token_pauses_until_there_is_another(bare_host):
    host = bare_host
    token = os.path.join(host.directory, "token")
    with open(token, "w", encoding="utf-8") as out:
        out.write("old\n")
    os.chmod(token, 0o644)
    with Hook(token="new") as receiver:
        agent = begin(host, webhook(receiver, token_file=token, flows="full"))
        eventually(lambda: sink(agent)["state"] == "paused", what="the pause")
        alarm = event(agent, type="alert", action="sink_late", sink="hook")
        assert alarm["state"] == "paused" and "401" in alarm["cause"], alarm
        assert any("sink hook is paused" in line for line in agent.status()["alarms"])
        assert 'egret_sink_state{sink="hook",state="paused"} 1' in agent.api("GET", "/metrics")
        with open(token, "w", encoding="utf-8") as out:
            out.write("new\n")
        eventually(lambda: sink(agent)["state"] == "ok", what="its end")
        event(agent, type="alert", action="sink_caught_up", sink="hook")
        _, ids = settled(agent)
        assert set(receiver.stored) == ids
        everything = json.dumps(agent.get("/v1/sinks")) + agent.stderr() + json.dumps(agent.query())
        assert "Bearer" not in everything


def test_a_poison_event_is_announced(bare_host):
    host = bare_host

    class Picky(Hook):
        def take(self, handler, body):
            if b'"action":"sink_losing"' not in body and b'"type":"deny"' in body:
                return 422, {}, b"no denials here"
            return super().take(handler, body)

    with Picky() as receiver:
        agent = begin(host, webhook(receiver, flows="full"))
        denied(host.app(policy("web", [])))
        eventually(lambda: sink(agent)["dead_lettered"] == 1, what="the dead letter")
        eventually(lambda: receiver.of(type="alert", action="sink_losing"), what="the alert, at the receiver itself")
        with open(os.path.join(agent.state_dir, "ship", "hook.dead"), encoding="utf-8") as lines:
            (letter,) = map(json.loads, lines)
        denial = event(agent, type="deny", app="web")
        assert letter["event_id"] == denial["event_id"] and letter["event"] == denial
        assert "422" in letter["error"]
        one, ids = settled(agent)
        adds_up(one)
        assert set(receiver.stored) == ids - {denial["event_id"]}


# ---- Asking and changing --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def shared():
    """One agent and its receiver, for tests that leave them as they were."""
    with Host() as host, Hook() as receiver:
        yield begin(host, webhook(receiver, flows="full")), receiver


def test_a_test_says_what_came_back(shared):
    agent, receiver = shared
    answer = eventually(lambda: agent.api("POST", "/v1/sinks/hook/test"), what="an answer")
    assert answer["ok"] and answer["status"] == 202 and answer["sink"] == "hook", answer
    sent = receiver.of(action="sink_test")[0]
    assert sent["sink"] == "hook" and sent["host"] == "test-host"
    assert agent.cli("sinks", "test", "hook")[::2] == (0, "")
    status, out, _ = agent.cli("sinks")
    assert status == 0 and [word in out for word in ("SINK", "hook", "webhook", "ok")] == [True] * 4, out
    assert json.loads(agent.cli("sinks", "-o", "json")[1])["sinks"][0]["name"] == "hook"
    receiver.picky = True
    status, out, _ = agent.cli("sinks", "test", "hook")
    assert status == 1 and "401" in out, out
    assert agent.cli("sinks", "test", "nobody")[0] == 5
    answer = agent.api("POST", "/v1/sinks/hook/test")
    assert not answer["ok"] and answer["status"] == 401 and "401" in answer["answer"], answer
    assert agent.refused("POST", "/v1/sinks/nobody/test").code == "no_sink"
    receiver.picky = False
    assert sink(agent)["state"] != "paused"  # a test that is refused is no trouble of the sink's


# ---- What it may ---------------------------------------------------------------------------------------------------


def test_it_has_no_privileges(shared):
    agent, _ = shared
    eventually(lambda: sink(agent)["state"] == "ok", what="its state")
    pid = ship_pid(agent)
    with open(f"/proc/{pid}/status", encoding="utf-8") as text:
        status = dict(line.split(":\t", 1) for line in text.read().splitlines() if ":\t" in line)
    assert set(status["Uid"].split()) == {"65534"} and status["Groups"].strip() == ""
    for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
        assert int(status[which], 16) == 0, which
    assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2"
    with open(f"/proc/{pid}/limits", encoding="utf-8") as text:
        core = next(line for line in text if line.startswith("Max core file size"))
    assert core.split()[4:6] == ["0", "0"]
    assert os.stat(f"/proc/{pid}/mem").st_uid == 0  # not dumpable
    # The spool is read-only to it, its cursors are its own, nothing else is there.
    assert os.stat(agent.log_dir).st_mode & 0o777 == 0o750
    assert all(os.stat(os.path.join(agent.log_dir, name)).st_mode & 0o022 == 0 for name in os.listdir(agent.log_dir))
    assert os.stat(os.path.join(agent.state_dir, "ship")).st_mode & 0o777 == 0o700
    fds = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    assert not any("bpf" in fd or agent.socket in fd for fd in fds), fds


# ---- Another configuration ----------------------------------------------------------------------------------------


def test_reload_takes_other_sinks(shared):
    agent, receiver = shared
    settled(agent)
    before = ship_pid(agent)
    with Hook() as other:
        agent.configure(sinks=[webhook(receiver, flows="full"), {**webhook(other, flows="full"), "name": "second"}])
        agent.reload()
        eventually(lambda: len(agent.get("/v1/sinks")["sinks"]) == 2 and ship_pid(agent) not in (0, before), 20, "both")
        _, ids = settled(agent, "second")
        assert set(other.stored) == ids  # a new sink begins at the oldest event
        settled(agent)
        assert all(times == 1 for one, times in receiver.stored.items() if one in ids)
    agent.configure(sinks=[])
    agent.reload()
    eventually(lambda: not agent.get("/v1/sinks")["running"], what="its end")
    assert not os.path.exists(f"/proc/{ship_pid(agent) or before}/exe")


def test_without_its_user_events_stay(bare_host, receiver):
    agent = bare_host.agent
    agent.configure(ship_user="egret-nobody-has-this", sinks=[webhook(receiver)])
    agent.start()
    eventually(lambda: agent.get("/v1/sinks")["problem"], what="the problem")
    assert "there is no user egret-nobody-has-this" in agent.get("/v1/sinks")["problem"]
    assert any("egret-nobody-has-this" in line for line in agent.status()["alarms"])
    assert sink(agent)["state"] == "not running"
    error = agent.refused("POST", "/v1/sinks/hook/test")
    assert error.status == 503 and error.code == "no_ship"
    holds(lambda: not receiver.stored, 1)

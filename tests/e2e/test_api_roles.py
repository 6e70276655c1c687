# SPDX-License-Identifier: Apache-2.0
"""The socket: who may do what, and what strange requests get."""
import concurrent.futures
import grp
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time

import pytest

from harness import ALLOWED, Host, eventually, policy, rule
from harness.agent import UnixConnection

GROUPS = {"admin": "games", "responder": "news", "viewer": "uucp"}  # there are no members of these on a Debian
UIDS = {"admin": 30001, "responder": 30002, "viewer": 30003, "nobody": 30004}


@pytest.fixture
def config():
    return {"groups": GROUPS}


@pytest.fixture
def web(host):
    host.serve([ALLOWED], 443)
    return host.app(policy("web", [rule(ALLOWED, 443)], labels={"team": "hr"}))


@pytest.fixture(scope="module")
def unharmed():
    """One agent with an app, for all the requests that must change nothing."""
    with Host(groups=GROUPS) as host:
        host.agent.start()
        host.agent.put(policy("web", [rule(ALLOWED, 443)]))
        yield host.agent


def ask(agent, role, method, path, body=None, primary=True):
    """As a user whose role comes from its own group, or from a supplementary one."""
    gid = grp.getgrnam(GROUPS[role]).gr_gid if role in GROUPS else 65534
    if primary:
        return agent.request_as(UIDS[role], gid, [], method, path, body)
    return agent.request_as(UIDS[role], 65534, [gid], method, path, body)


READS = [
    "/v1/status", "/v1/apps", "/v1/apps/web", "/v1/policies/web", "/v1/denied?app=web&last=10m", "/v1/usage",
    f"/v1/explain?app=web&dest={ALLOWED}:443&proto=tcp&direction=egress", "/v1/events?limit=1", "/metrics",
]
POLICY = policy("web", [rule(ALLOWED, 444)])
WRITES = {  # (method, path, body): the least role that may
    ("POST", "/v1/apps/web/kill", "dry"): "responder",
    ("POST", "/v1/kill", "dry-label"): "responder",
    ("POST", "/v1/apps/web/relax", "relax"): "admin",
    ("PUT", "/v1/policies/web", "policy"): "admin",
    ("POST", "/v1/policies:check", "policy"): "admin",
    ("POST", "/v1/tags", "tag"): "admin",
    ("DELETE", "/v1/policies/web", None): "admin",
}
BODIES = {
    "dry": {"dry_run": True}, "dry-label": {"labels": "team=hr", "dry_run": True},
    "relax": {"for": "1m", "reason": "test"}, "policy": POLICY, None: None,
}
ORDER = ["nobody", "viewer", "responder", "admin"]


@pytest.mark.parametrize("primary", [True, False], ids=["primary", "supplementary"])
def test_roles(host, agent, web, primary):
    bodies = {**BODIES, "tag": {"cgroup": host.cgroup_of("web"), "app": "web"}}
    for role in ORDER:
        for path in READS:
            status, answer = ask(agent, role, "GET", path, primary=primary)
            if role == "nobody":
                assert (status, "Permission denied" in answer) == (0, True), (path, answer)
            else:
                assert status == 200, (role, path, answer)
        for (method, path, body), least in WRITES.items():
            status, answer = ask(agent, role, method, path, bodies[body], primary=primary)
            if role == "nobody":
                assert (status, "Permission denied" in answer) == (0, True), (path, answer)
            elif ORDER.index(role) < ORDER.index(least):
                assert status == 403, (role, method, path, answer)
                assert answer["error"]["code"] == "forbidden"
            else:
                assert status == 200, (role, method, path, answer)
    assert agent.app("web")["state"] == "deleted"  # by the last one, who may


def test_a_restore_leaves_a_kill_that_was_made_past_the_agent(host, agent, web):
    """A responder lifts an own hold; root's --direct that the agent has not read yet makes it one that is not own."""
    for number in range(5):
        assert ask(agent, "responder", "POST", "/v1/apps/web/kill", {})[0] == 200
        web.flood_connect("f", ALLOWED, 443)
        eventually(lambda: web.flood_tally("f").get("EPERM", 0) > 50)
        agent.process.send_signal(signal.SIGSTOP)
        try:
            assert agent.cli("kill", "web", "--direct", "--bpffs", agent.bpffs, "--state-dir", agent.state_dir,
                             "--reason", f"direct {number}")[0] == 0
            with concurrent.futures.ThreadPoolExecutor() as pool:
                answer = pool.submit(ask, agent, "responder", "POST", "/v1/apps/web/restore", {})
                time.sleep(0.3)  # so that the request is there when the agent wakes up
                agent.process.send_signal(signal.SIGCONT)
                status, body = answer.result()
        finally:
            agent.process.send_signal(signal.SIGCONT)
        assert (status, body["error"]["code"]) == (403, "hold_not_yours")
        assert set(web.flood_stop("f")) == {"EPERM"}
        assert agent.app("web")["state"] == "killed"
        assert len(agent.log(type="restore", app="web")) == number
        assert agent.restore("web")["lifted"] == ["local"]
        web.connect(f"c{number}", ALLOWED, 443)
        eventually(lambda: len(agent.log(type="restore", app="web")) == number + 1)
    assert agent.count("web", "killed") > 50



def test_a_responder_lifts_its_own_kill_only(host, agent, web):
    status, _ = ask(agent, "responder", "POST", "/v1/apps/web/kill", {"reason": "mine"})
    assert status == 200
    assert "uid=30002" in agent.app("web")["holds"][0]["actor"]
    assert ask(agent, "viewer", "POST", "/v1/apps/web/restore", {})[0] == 403
    assert ask(agent, "responder", "POST", "/v1/apps/web/restore", {})[0] == 200
    agent.kill("web", reason="root's")
    status, answer = ask(agent, "responder", "POST", "/v1/apps/web/restore", {})
    assert (status, answer["error"]["code"]) == (403, "hold_not_yours")
    assert agent.app("web")["state"] == "killed"
    assert ask(agent, "admin", "POST", "/v1/apps/web/restore", {})[0] == 200
    event = agent.event(type="kill", app="web", cause="mine")
    assert "uid=30002" in event["actor"]


def test_a_kill_that_two_asked_for_is_nobodys_own(host, agent, web):
    ask(agent, "responder", "POST", "/v1/apps/web/kill", {})
    agent.kill("web", reason="me, too")
    assert ask(agent, "responder", "POST", "/v1/apps/web/restore", {})[0] == 403
    assert agent.app("web")["state"] == "killed"


FLOOD = """
import socket, sys, time
refused, end = 0, time.monotonic() + 5
while time.monotonic() < end:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.setblocking(False)
        try:
            sock.connect(sys.argv[1])
        except PermissionError:
            refused += 1
print(refused)
"""


def test_strangers_do_not_keep_root_out(agent):
    """Who has no role can't connect, so no flood of connections stands before a kill."""
    agent.put(policy("web", [rule(ALLOWED, 443)]))
    with subprocess.Popen([sys.executable, "-c", FLOOD, agent.socket], user=UIDS["nobody"], group=65534,
                          extra_groups=[], stdout=subprocess.PIPE) as flood:
        assert [agent.cli("kill", "web")[0] for _ in range(30)] == [0] * 30
        assert int(flood.communicate(timeout=60)[0]) > 100


def test_groups_follow_a_reload(agent):
    assert ask(agent, "viewer", "GET", "/v1/status")[0] == 200
    agent.configure(groups={"admin": GROUPS["admin"]})
    agent.reload()
    eventually(lambda: ask(agent, "viewer", "GET", "/v1/status")[0] == 0)
    assert ask(agent, "admin", "GET", "/v1/status")[0] == 200


def test_nothing_of_the_agents_is_open_to_others(host, agent, web):
    agent.event(type="policy", app="web")
    for path in (agent.bpffs, agent.state_dir, agent.log_dir):
        assert os.stat(path).st_mode & 0o077 == 0, path
        for directory, _, files in os.walk(path):
            for name in files:
                mode = os.stat(os.path.join(directory, name)).st_mode
                assert mode & 0o077 == 0, (directory, name, oct(mode))


# ---- Requests ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method, path, body, status, code", [
    ("GET", "/v1/nothing", None, 404, "not_found"),
    ("GET", "/", None, 404, "not_found"),
    ("GET", "/v1/apps/none", None, 404, "not_found"),
    ("POST", "/v1/status", {}, 405, "method_not_allowed"),
    ("PATCH", "/v1/policies/web", {}, 405, "method_not_allowed"),
    ("POST", "/v1/kill", "{", 400, "bad_json"),
    ("POST", "/v1/kill", "[]", 400, None),
    ("POST", "/v1/kill", '{"all": "yes"}', 400, None),
    ("POST", "/v1/apps/web/kill", '{"resaon": "typo"}', 400, "unknown_key"),
    ("POST", "/v1/apps/web/kill", '{"reason": 5}', 400, None),
    ("POST", "/v1/apps/web/kill", '{"reason": "a", "reason": "b"}', 400, "bad_json"),
    ("POST", "/v1/apps/web/kill", b'{"reason": "\xff"}', 400, "bad_json"),
    ("POST", "/v1/apps/web/kill", json.dumps({"reason": "x" * 100_000}), 413, "too_large"),
    ("GET", "/v1/apps?lables=x", None, 400, "bad_query"),
    ("GET", "/v1/apps?labels=%3D", None, 400, "bad_selector"),
    ("GET", "/v1/events?limit=many", None, 400, "bad_query"),
    ("GET", "/v1/events?type=nothing", None, 400, "bad_query"),
    ("GET", "/v1/denied?last=soon", None, 400, "bad_query"),
    ("GET", "/v1/explain?app=web", None, 400, "bad_query"),
    ("GET", "/v1/explain?app=web&dest=example..com:443", None, 400, "bad_query"),
    ("GET", "/v1/explain?app=web&dest=10.0.0.1:70000", None, 400, "bad_query"),
])
def test_wrong_requests(unharmed, method, path, body, status, code):
    error = unharmed.refused(method, path, body)
    assert error.status == status and code in (None, error.code), error
    assert set(error.answer["error"]) <= {"code", "message", "details"} and error.answer["error"]["message"]
    assert unharmed.app("web")["state"] == "enforce"


def exchange(agent, data, half_close=False):
    """Sends raw bytes; everything that comes back."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(30)
        sock.connect(agent.socket)
        try:
            sock.sendall(data)
            if half_close:
                sock.shutdown(socket.SHUT_WR)
        except BrokenPipeError:
            pass
        answer = b""
        while True:
            try:
                more = sock.recv(1 << 16)
            except ConnectionResetError:
                return answer
            if not more:
                return answer
            answer += more


@pytest.mark.parametrize("data, statuses", [
    (b"\r\n\r\n", {b"400"}), (b"HELLO\r\n\r\n", {b"400"}), (b"GET /v1/status\r\n\r\n", {b"400"}),
    (b"GET /v1/status HTTP/9.9\r\n\r\n", {b"400", b"505"}), (b"\x16\x03\x01\x02\x00\x01\x00", {b"400"}),
    (b"GET /v1/status HTTP/1.1\r\nHost: x\r\nBad Header\r\n\r\n", {b"400"}),
    (b"POST /v1/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nxx", {b"400"}),
    (b"POST /v1/kill HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", {b"400"}),
    (b"POST /v1/kill HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", {b"411", b"400"}),
    (b"GET /v1/status HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 20_000 + b"\r\n\r\n", {b"431"}),
    (b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", {b"414", b"431"}),
    (b"GET /v1/apps/%00 HTTP/1.1\r\nHost: x\r\n\r\n", {b"400", b"404"}),
    (b"\x00" * 5000, {b"400", b"431"}),
])
def test_malformed_requests(unharmed, data, statuses):
    answer = exchange(unharmed, data)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.split(b" ")[1] in statuses, answer[:300]
    assert json.loads(body)["error"]["code"]
    assert unharmed.status()["enforcement_ok"] is True


def test_half_closed_requests(unharmed):
    head = b"POST /v1/apps/web/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"
    for data in (b"", b"GET /v1/sta", head):
        answer = exchange(unharmed, data, half_close=True)
        assert answer == b"" or b" 400 " in answer.split(b"\r\n")[0] or b" 408 " in answer.split(b"\r\n")[0]
    whole = b"GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n"
    assert exchange(unharmed, whole, half_close=True).startswith(b"HTTP/1.1 200 ")
    assert unharmed.app("web")["state"] == "enforce"


def test_slow_requests_end_and_hold_nobody_up(agent, web):
    """A byte now and then: closed after ten seconds, while others are served."""
    slow = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    slow.connect(agent.socket)
    slow.settimeout(30)
    began = time.monotonic()
    answer = b""
    done = threading.Event()

    def drip():
        for byte in b"GET /v1/status HTTP/1.1\r\nX: " + b"y" * 1000:
            if done.wait(0.5):
                return
            try:
                slow.send(bytes([byte]))
            except OSError:
                return

    thread = threading.Thread(target=drip, daemon=True)
    thread.start()
    try:
        while True:
            assert agent.status()["enforcement_ok"] is True
            assert time.monotonic() - began < 60, "a client that never ends its request is kept"
            slow.settimeout(0.2)
            try:
                more = slow.recv(4096)
            except TimeoutError:
                continue
            except ConnectionResetError:
                break
            if not more:
                break
            answer += more
    finally:
        done.set()
        thread.join()
        slow.close()
    assert answer == b"" or b" 408 " in answer.split(b"\r\n")[0]


CROWD = """
import socket, sys, time
held = []
for _ in range(200):
    held.append(socket.socket(socket.AF_UNIX))
    held[-1].setblocking(False)
    try:
        held[-1].connect(sys.argv[1])
    except OSError:
        pass
print("open", flush=True)
time.sleep(60)
"""


def test_many_connections_keep_no_kill_out(host, agent, web):
    """A viewer opens all it can: root's kill is answered all the same."""
    crowd = []
    gid = grp.getgrnam(GROUPS["viewer"]).gr_gid
    for uid in (30010, 30011, 30012):
        crowd.append(subprocess.Popen([sys.executable, "-I", "-S", "-c", CROWD, agent.socket], user=uid, group=gid,
                                      extra_groups=[], stdout=subprocess.PIPE, text=True))
    try:
        for process in crowd:
            assert process.stdout.readline() == "open\n"
        assert agent.kill("web")["count"] == 1
        assert web.fails("connect", "c", ALLOWED, 443) == "EPERM"
        assert [process.poll() for process in crowd] == [None] * 3  # they hold their connections all the while
    finally:
        for process in crowd:
            process.kill()
            process.wait()
            process.stdout.close()
    eventually(lambda: agent.status()["enforcement_ok"])


def test_answers_that_nobody_takes(agent, web):
    """Clients that ask and leave."""
    for _ in range(50):
        connection = UnixConnection(agent.socket, 5)
        connection.request("GET", "/v1/apps")
        connection.close()
    assert agent.status()["enforcement_ok"] is True


def test_events_can_be_followed(agent, web):
    connection = UnixConnection(agent.socket, 20)
    connection.request("GET", "/v1/events?follow=1&type=deny&app=web")
    answer = connection.getresponse()
    assert answer.status == 200
    assert web.fails("connect", "c", ALLOWED, 9) == "EPERM"
    event = json.loads(answer.readline())
    assert (event["type"], event["app"], event["dst_port"]) == ("deny", "web", 9)
    connection.close()
    assert agent.status()["enforcement_ok"] is True


def test_the_agent_stops_with_followers(agent, web):
    connection = UnixConnection(agent.socket, 20)
    connection.request("GET", "/v1/events?follow=1")
    answer = connection.getresponse()
    agent.stop()
    try:
        answer.read()  # it ends
    except http.client.IncompleteRead:
        pass
    connection.close()


def test_metrics(host, agent, web):
    web.connect("c", ALLOWED, 443)
    web.ask("c")
    web.fails("connect", "d", ALLOWED, 9)
    status, headers, text = agent.request("GET", "/metrics")
    assert status == 200 and headers["Content-Type"].startswith("text/plain; version=0.0.4")
    values = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            name, _, value = line.rpartition(" ")
            assert name not in values, name
            values[name] = float(value)
    assert values["egret_enforcement_ok"] == 1
    sample = [name for name in values if 'app="web"' in name and "bytes" in name]
    assert sample and any(values[name] > 0 for name in sample)

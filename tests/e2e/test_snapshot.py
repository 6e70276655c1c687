# SPDX-License-Identifier: Apache-2.0
"""Forensic snapshots: by hand, and behind every kill, with the sockets as they were before it."""
import glob
import json
import os
import stat
import time

import pytest

from harness import ALLOWED, DENIED, eventually, policy, rule


@pytest.fixture
def app(host, agent):
    host.serve([ALLOWED, DENIED], 443)
    made = host.app(policy("web", [rule(ALLOWED, 443, id="api")], owner="a@example.com"))
    made.connect("live", ALLOWED, 443)
    assert made.ask("live") == "ping"
    assert made.fails("connect", "c", DENIED, 443) == "EPERM"
    agent.event(type="deny", app="web")
    return made


def files(agent, app="*"):
    return sorted(glob.glob(os.path.join(agent.state_dir, "snapshots", f"{app}-*.json")))


def read(path):
    with open(path, encoding="utf-8") as text:
        return json.load(text)


def check(taken, app, worker):
    assert (taken["app"], taken["host"], taken["snapshot"]) == (app, "test-host", 1)
    assert taken["policy"]["policy"]["owner"] == "a@example.com" and taken["policy"]["policy_rev"]
    assert [one["policy_rev"] for one in taken["history"]["revisions"]] == [taken["policy"]["policy_rev"]]
    assert taken["state"]["reasons"]["no_rule"]["egress"] == 1
    assert DENIED in {one["peer"] for one in taken["denied"]["denied"]}
    (live,) = [one for one in taken["sockets"] if one["peer"] == ALLOWED]
    assert (live["proto"], live["state"], live["peer_port"]) == ("tcp", "established", 443)
    task = next(one for one in taken["processes"] if one["pid"] == worker.process.pid)
    assert task["args"] and task["comm"] and task["cap_eff"] == "0" * 16 and task["exe"].startswith("/")
    assert task["netns"].startswith("net:[") and "environ" not in task
    assert {"deny"} <= {event["type"] for event in taken["events"]}


def test_by_hand(agent, app):
    status, out, _ = agent.cli("snapshot", "web", "--reason", "a look", "-o", "json")
    assert status == 0
    taken = json.loads(out)
    check(taken, "web", app)
    assert taken["why"] == "a look" and "uid=0" in taken["actor"]
    assert files(agent) == [taken["file"]]
    assert stat.S_IMODE(os.stat(taken["file"]).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(taken["file"])).st_mode) == 0o700
    del taken["file"]
    assert read(files(agent)[0]) == taken
    assert app.ask("live") == "ping"  # nothing was touched
    assert agent.event(type="agent", app="web", action="snapshot")["file"] == files(agent)[0]
    assert agent.cli("snapshot", "nobody")[0] != 0


def test_behind_a_kill(host, agent, app):
    other = host.app(policy("other", [rule(ALLOWED, 443)]))
    other.connect("live", ALLOWED, 443)
    agent.kill("web", reason="stolen token")
    event = agent.event(type="agent", app="web", action="snapshot")
    taken = read(event["file"])
    check(taken, "web", app)
    assert taken["why"] == "stolen token" and taken["state"]["state"] == "killed"
    assert len(taken["sockets"]) == 1
    assert app.end("live") in ("ECONNABORTED", "ECONNRESET", "EPIPE")
    assert files(agent, "other") == []
    agent.api("POST", "/v1/kill", {"all": True, "reason": "drill"})
    path = eventually(lambda: files(agent, "other"))[0]
    agent.event(type="agent", app="other", action="snapshot")
    assert [one["peer"] for one in read(path)["sockets"]] == [ALLOWED]


def test_the_oldest_go(agent, app):
    directory = os.path.join(agent.state_dir, "snapshots")
    os.makedirs(directory, mode=0o700)
    old = [os.path.join(directory, f"a-2026010{1 + n // 100}T0000{n % 60:02}.{n:09}Z.json") for n in range(250)]
    for path in [*old, os.path.join(directory, "notes.txt")]:
        with open(path, "w", encoding="utf-8") as out:
            out.write("{}")
    newest = agent.api("POST", "/v1/apps/web/snapshot", {})["file"]
    left = files(agent)
    assert len(left) == 200 and newest in left
    assert sorted(old, key=lambda path: path[-31:])[-1] in left
    assert os.path.exists(os.path.join(directory, "notes.txt"))
    gone = agent.event(type="agent", action="snapshots_evicted")
    assert (gone["files"], gone["bytes"]) == (51, 102) and gone["newest"] not in {os.path.basename(path) for path in left}
    text = agent.get("/metrics")
    assert "\negret_snapshots 200\n" in text and "\negret_snapshots_evicted_total 51\n" in text
    assert not [line for line in agent.status()["alarms"] if "snapshot" in line]  # they were from January


def test_the_oldest_go_for_size_too(host, agent, app):
    """Sparse files of before, one of them of today: snapshot_quota, which a reload changes, is kept; and it is told."""
    directory = os.path.join(agent.state_dir, "snapshots")
    os.makedirs(directory, mode=0o700)
    today = time.strftime("%Y%m%dT%H%M%S.000000000Z", time.gmtime(time.time() - 3600))
    old, young = (os.path.join(directory, f"a-{moment}.json") for moment in ("20260101T000000.000000000Z", today))
    for path in (old, young):
        with open(path, "w", encoding="utf-8") as out:
            out.truncate(100 << 20)
    first = agent.api("POST", "/v1/apps/web/snapshot", {})["file"]
    assert len(files(agent)) == 3  # within the default
    agent.configure(snapshot_quota="128MiB")
    agent.reload()
    second = agent.kill("web") and eventually(lambda: set(files(agent, "web")) - {first})
    assert files(agent) == sorted([young, first, *second])
    gone = agent.event(type="agent", action="snapshots_evicted")
    assert (gone["files"], gone["bytes"], gone["newest"]) == (1, 100 << 20, os.path.basename(old))
    assert not [line for line in agent.status()["alarms"] if "snapshot" in line]
    agent.configure(snapshot_quota="64MiB")
    agent.reload()
    agent.api("POST", "/v1/apps/web/snapshot", {})
    assert young not in files(agent) and len(files(agent)) == 3
    (alarm,) = [line for line in agent.status()["alarms"] if "snapshot" in line]
    assert "snapshot_quota" in alarm
    text = agent.get("/metrics")
    assert "\negret_snapshots 3\n" in text and "\negret_snapshots_evicted_total 2\n" in text
    assert f"\negret_snapshots_bytes {sum(os.path.getsize(path) for path in files(agent))}\n" in text


def test_a_disk_that_is_full(host, agent, app):
    disk = host.small_disk(os.path.join(agent.state_dir, "snapshots"))
    disk.fill()
    error = agent.refused("POST", "/v1/apps/web/snapshot", {})
    assert (error.status, error.code) == (500, "no_disk")
    assert agent.kill("web")["durable"]
    assert agent.event(type="agent", app="web", action="snapshot_failed")["error"]
    assert agent.app("web")["state"] == "killed" and files(agent) == []

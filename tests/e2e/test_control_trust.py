# SPDX-License-Identifier: Apache-2.0
"""Whom a host believes: users and roles of etcd, mutual TLS, signatures."""
import json
import os
import signal

import pytest

from harness import ALLOWED, Host, eventually, policy, rule
from harness.control import error_of, follow, made, report, state_of
from harness.etcd import Etcd
from harness.keys import Authority, Signer


@pytest.fixture(scope="module")
def host():
    with Host(inside=True) as made:
        made.agent.configure(host_labels={"env": "prod"})
        made.agent.start()
        yield made


@pytest.fixture
def etcd(host):
    made = Etcd(os.path.join(host.directory, "etcd"), host.network.host)
    try:
        yield made
    finally:
        made.remove()


# ---- etcd ------------------------------------------------------------------------------------------------


def test_three_members(host):
    """A member that is cut off keeps the watch open and silent: the host leaves it, and misses nothing."""
    ports = [3379, 3389, 3399]
    members = [Etcd(os.path.join(host.directory, f"m{port}"), host.network.host, port, ports=ports) for port in ports]
    try:
        for member in members:
            member.spawn()
        eventually(members[0].healthy, 60, "the cluster")
        follow(host, source="etcd", endpoints=[member.url for member in members])
        members[0].put("/egret/policies/three", made(host, "three"))
        eventually(lambda: state_of(host, "three") == "enforce")
        watched = next(member for member in members if member.url == report(host)["endpoint"])
        others = [member for member in members if member is not watched]
        frozen = watched
        frozen.freeze()
        eventually(others[0].healthy, 60, "the rest of the cluster")
        others[0].put("/egret/kills/three", "killed")
        eventually(lambda: state_of(host, "three") == "killed", 60, "the kill by another member")
        eventually(lambda: report(host)["endpoint"] in [member.url for member in others], what="another member")
        assert report(host)["connected"] is True
        # and one that is gone at once
        watched = next(member for member in others if member.url == report(host)["endpoint"])
        frozen.process.send_signal(signal.SIGCONT)
        eventually(frozen.healthy, 60, "the whole cluster")
        watched.stop()
        survivor = next(member for member in members if member is not watched)
        eventually(survivor.healthy, 60, "the rest of the cluster")
        survivor.put("/egret/kills/three", "restored")
        eventually(lambda: state_of(host, "three") == "enforce", 60, "the restore by another member")
    finally:
        for member in members:
            member.remove()


def test_users_and_roles(host, etcd):
    """A user that may read what is for it and write its state, and nothing else; a new token when the old ends."""
    etcd.start()
    password = host.file("password", "host-secret\n")
    os.chmod(password, 0o600)
    follow(host, source="etcd", endpoints=[etcd.url], username="host", password_file=password)
    etcd.ctl("user", "add", "root:root-secret")
    etcd.ctl("user", "add", "host:host-secret")
    etcd.ctl("role", "add", "host")
    for prefix in ("policies/", "kills/", "hosts/test-host/"):
        etcd.ctl("role", "grant-permission", "host", "--prefix", "read", f"/egret/{prefix}")
    etcd.ctl("role", "grant-permission", "host", "readwrite", "/egret/state/test-host")
    etcd.ctl("user", "grant-role", "host", "host")
    etcd.ctl("user", "grant-role", "root", "root")
    etcd.ctl("auth", "enable")
    etcd.user = "root:root-secret"
    for number in range(2):
        etcd.put(f"/egret/policies/auth{number}", made(host, f"auth{number}"))
        eventually(lambda n=number: state_of(host, f"auth{n}") == "enforce", 60, "the policy with authentication on")
        etcd.restart()  # the tokens of before are gone
    etcd.put("/egret/kills/auth0", "killed")
    eventually(lambda: state_of(host, "auth0") == "killed", 60, "the kill after the restart")
    eventually(lambda: "auth1" in (etcd.get("/egret/state/test-host") or ""), what="the state")
    etcd.put("/egret/kills/auth0", "restored")
    eventually(lambda: state_of(host, "auth0") == "enforce")

    # another password: the host follows when it is told that its files have changed
    etcd.ctl("user", "passwd", "host", "--interactive=false", text="other-secret\n")
    host.file("password", "other-secret\n")
    host.agent.reload()
    etcd.put("/egret/policies/auth2", made(host, "auth2"))
    eventually(lambda: state_of(host, "auth2") == "enforce", 60, "the policy with the new password")

    # the secret is read by root and given to nobody
    assert "host-secret" not in json.dumps(host.agent.status()) + host.agent.stderr()


def test_mutual_tls(host, etcd):
    authority = Authority(os.path.join(host.directory, "ca"))
    stranger = Authority(os.path.join(host.directory, "stranger"))
    cert, key = authority.issue("server")
    client_cert, client_key = authority.issue("client")
    files = {"ca": authority.cert, "cert": cert, "key": key, "client_cert": client_cert, "client_key": client_key}
    etcd = Etcd(etcd.directory, etcd.netns, tls=files)
    etcd.start()
    try:
        good = {"ca": authority.cert, "cert": client_cert, "key": client_key}
        os.chmod(client_key, 0o600)
        follow(host, source="etcd", endpoints=[etcd.url], tls=good)
        etcd.put("/egret/policies/tls", made(host, "tls"))
        eventually(lambda: state_of(host, "tls") == "enforce", what="the policy by TLS")
        for bad in ({"ca": stranger.cert, "cert": client_cert, "key": client_key}, {"ca": authority.cert}):
            host.agent.configure(control={"user": "daemon", "source": "etcd", "endpoints": [etcd.url], "tls": bad})
            host.agent.reload()
            eventually(lambda: (report(host) or {}).get("connected") is False, what="the refusal")
            assert report(host)["message"]
            assert state_of(host, "tls") == "enforce"
    finally:
        etcd.stop()


def test_signatures_and_rollback(host, etcd):
    etcd.start()
    first, second, stranger = (Signer(host.directory, name) for name in ("first", "second", "stranger"))
    follow(host, source="etcd", endpoints=[etcd.url], keys=[first.public, second.public])

    def document(app, generation, port):
        return {"app": app, "generation": generation, "policy": policy(app, [rule(ALLOWED, port)])}

    def port_of(app):
        return host.agent.get(f"/v1/policies/{app}")["policy"]["egress"][0]["ports"]

    old, new = first.sign(document("signed", 4, 404)), second.sign(document("signed", 5, 505))
    etcd.put("/egret/policies/signed", old)
    eventually(lambda: state_of(host, "signed") == "enforce", what="the signed policy")
    etcd.put("/egret/policies/signed", new)  # by the other key: rotation
    eventually(lambda: port_of("signed") == [505])
    forged = dict(new, signed=new["signed"].replace("505", "506"))
    other = second.sign(document("another", 9, 1))
    for app, value, code in (
        ("signed", old, "stale_generation"), ("signed", forged, "bad_signature"), ("another", new, "bad_document"),
        ("signed", made(host, "signed"), "unsigned"), ("signed", stranger.sign(document("signed", 6, 1)), "bad_signature"),
        ("signed", second.sign(document("signed", 6, 1), domain=b""), "bad_signature"),
        ("signed", second.sign(document("signed", 5, 6)), "stale_generation"),
        ("signed", first.sign({"policy": policy("signed")}), "bad_document"),
    ):
        etcd.put(f"/egret/policies/{app}", value)
        eventually(lambda a=app, c=code: error_of(host, a) == c, what=f"{code} for {app}")
        assert port_of("signed") == [505] and state_of(host, "another") is None
        etcd.put("/egret/policies/signed", new)
        eventually(lambda: error_of(host, "signed") is None)
    etcd.put("/egret/policies/another", other)
    eventually(lambda: state_of(host, "another") == "enforce")

    # who can write but not sign can delete, which denies; what was before can't come back, also not later
    etcd.put("/egret/policies/signed", first.sign({"app": "signed", "generation": 7, "deleted": True}))
    eventually(lambda: state_of(host, "signed") in ("deleted", None), what="the signed deletion")
    os.kill(report(host)["pid"], 9)
    eventually(lambda: report(host)["connected"] and report(host)["pid"])
    etcd.put("/egret/policies/signed", new)
    eventually(lambda: error_of(host, "signed") == "stale_generation", what="the replay refused after a restart")
    assert state_of(host, "signed") in ("deleted", None)

    # kills too
    etcd.put("/egret/kills/another", "killed")
    eventually(lambda: error_of(host, "another") == "unsigned")
    kill = first.sign({"app": "another", "generation": 1, "killed": True})
    restore = first.sign({"app": "another", "generation": 2, "killed": False})
    etcd.put("/egret/kills/another", kill)
    eventually(lambda: state_of(host, "another") == "killed")
    etcd.put("/egret/kills/another", restore)
    eventually(lambda: state_of(host, "another") == "enforce")
    etcd.put("/egret/kills/another", first.sign({"app": "another", "generation": 3, "killed": True}))
    eventually(lambda: state_of(host, "another") == "killed")
    etcd.put("/egret/kills/another", restore)
    eventually(lambda: error_of(host, "another") == "stale_generation", what="the replayed restore refused")
    assert state_of(host, "another") == "killed"


def test_what_it_may_own(host, etcd):
    etcd.start()
    follow(host, source="etcd", endpoints=[etcd.url], apps=["team-a-*"], cgroups=[f"{host.root}/a"])
    etcd.put("/egret/policies/team-b-x", policy("team-b-x"))
    etcd.put("/egret/policies/team-a-x", policy("team-a-x", cgroups=[f"{host.root}/b/x"]))
    etcd.put("/egret/policies/team-a-y", policy("team-a-y", cgroups=[f"{host.root}/a/y"]))
    eventually(lambda: state_of(host, "team-a-y") == "enforce")
    eventually(lambda: error_of(host, "team-b-x") == error_of(host, "team-a-x") == "not_allowed", what="the refusals")
    assert state_of(host, "team-b-x") is None and state_of(host, "team-a-x") is None


def test_once_there_is_none(host, etcd):
    """A control plane that is gone for good leaves no kill that nobody can lift, and no policy that nobody owns."""
    etcd.start()
    follow(host, source="etcd", endpoints=[etcd.url])
    etcd.put("/egret/policies/left", made(host, "left"))
    etcd.put("/egret/kills/left", "killed")
    eventually(lambda: state_of(host, "left") == "killed")
    assert host.agent.refused("POST", "/v1/apps/left/restore", {}).code == "not_killed"
    pid = report(host)["pid"]
    host.agent.configure(control=None)
    host.agent.reload()
    eventually(lambda: report(host) is None and not os.path.exists(f"/proc/{pid}"), what="the end of egret-sync")
    assert state_of(host, "left") == "killed"
    assert host.agent.restore("left")["lifted"] == ["control"]
    assert state_of(host, "left") == "enforce"
    assert host.agent.refused("DELETE", "/v1/policies/left").code == "owned_elsewhere"
    assert host.agent.api("DELETE", "/v1/policies/left?take_over=1")["deleted"] is True

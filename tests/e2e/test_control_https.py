# SPDX-License-Identifier: Apache-2.0
"""A bundle by HTTPS: taken, refused, and answered with the host's state."""
import json
import os
import shutil
import subprocess

import pytest

from harness import ALLOWED, Host, eventually, pki, policy, rule
from harness.agent import EGRET
from harness.control import BundleServer, error_of, follow, made, report, state_of
from harness.keys import Authority, Signer
from harness.net import run


@pytest.fixture(scope="module")
def host():
    with Host(inside=True) as made_host:
        made_host.agent.configure(host_labels={"env": "prod"})
        made_host.agent.start()
        yield made_host


@pytest.fixture
def bundles(host):
    authority = Authority(os.path.join(host.directory, "web-ca"))
    server = BundleServer(host.network.path(host.network.host), *authority.issue("web"))
    server.authority, server.ca = authority, authority.cert
    try:
        yield server
    finally:
        server.stop()


def test_bundles(host, bundles):
    token = host.file("token", "bundle-token\n")
    wanted = {"version": 1, "revision": 5, "policies": {"b1": made(host, "b1"), "b2": made(host, "b2")}, "kills": {}}
    bundles.publish(wanted)
    follow(host, source="https", endpoints=["https://127.0.0.1:8443/bundle"], tls={"ca": bundles.ca}, token_file=token,
           wait="2s")
    eventually(lambda: state_of(host, "b1") == state_of(host, "b2") == "enforce", what="the bundle")
    assert host.agent.get("/v1/policies/b1")["source"] == "https"
    assert bundles.seen[0][1:] == (2, "Bearer bundle-token")
    eventually(lambda: any(seen[0] for seen in bundles.seen), what="a request that says what we have")

    bundles.publish({**wanted, "revision": 6, "kills": {"b1": {"killed": True}}})
    eventually(lambda: state_of(host, "b1") == "killed", what="the kill by bundle")
    # refused as a whole: older, truncated, of another kind; and one bad policy doesn't hold back the others
    for bad in ({**wanted, "revision": 4}, json.dumps(wanted).encode()[:-20], {**wanted, "revision": 9, "more": 1}):
        bundles.publish(bad)
        eventually(lambda: report(host)["connected"] is False and report(host)["message"], what="the refusal")
        assert state_of(host, "b1") == "killed" and state_of(host, "b2") == "enforce"
    bundles.publish({**wanted, "revision": 7, "policies": {**wanted["policies"], "b0": {"version": 1}, "b3": made(host, "b3")}})
    eventually(lambda: state_of(host, "b3") == "enforce", what="the good policy")
    eventually(lambda: error_of(host, "b0") == "bad_policy", what="the bad one's error")
    assert state_of(host, "b1") == "killed"
    bundles.publish({**wanted, "revision": 8, "policies": {}, "kills": {"b1": {"killed": False}}})
    eventually(lambda: report(host)["paused"], what="the pause")
    eventually(lambda: state_of(host, "b1") == "enforce", what="the restore")
    assert state_of(host, "b2") == "enforce"

    bundles.status = 503
    with bundles.changed:
        bundles.changed.notify_all()
    eventually(lambda: report(host)["connected"] is False, what="the server's trouble noticed")
    assert state_of(host, "b2") == "enforce"
    bundles.status = None
    eventually(lambda: report(host)["connected"], 60, "the way back")


def test_signed_bundles(host, bundles):
    signer = Signer(host.directory, "bundles")
    wanted = {"version": 1, "revision": 20, "policies": {"s1": made(host, "s1")}}
    bundles.publish(signer.sign(wanted))
    follow(host, source="https", endpoints=["https://127.0.0.1:8443/bundle"], tls={"ca": bundles.ca}, keys=[signer.public],
           wait="2s")
    eventually(lambda: state_of(host, "s1") == "enforce", what="the signed bundle")
    forged = signer.sign({**wanted, "revision": 21, "policies": {}})
    bundles.publish({**forged, "signed": forged["signed"].replace("21", "22")})
    eventually(lambda: report(host)["connected"] is False, what="the refusal")
    assert "signature" in report(host)["message"]
    bundles.publish({**wanted, "revision": 23, "policies": {"s2": made(host, "s2")}})
    eventually(lambda: error_of(host, "s2") == "unsigned", what="the unsigned one refused")
    assert state_of(host, "s1") == "enforce" and state_of(host, "s2") is None


def test_the_state_is_sent(host, bundles):
    """To the bundle's server, with its token, when it changes and as a sign of life; and egret fleet reads it there."""
    token = host.file("token", "state-token\n")
    wanted = {"version": 1, "revision": 30, "policies": {"t1": made(host, "t1"), "t2": {"version": 1}},
              "kills": {"t1": {"killed": True}}}
    bundles.publish(wanted)
    control = {"source": "https", "endpoints": ["https://127.0.0.1:8443/bundle"], "tls": {"ca": bundles.ca},
               "token_file": token, "wait": "2s", "state_url": "https://127.0.0.1:8443/states/"}
    follow(host, **control)

    def told():
        state = bundles.states.get("test-host")
        return state and state["policies"].get("t1") and state["killed"] and state

    state = eventually(told, what="the state")
    assert state["policies"]["t1"] == {"rev": host.agent.app("t1")["policy_rev"]}
    assert state["policies"]["t2"]["error"]["code"] == "bad_policy" and state["error_count"] == 1
    assert state["killed"] == [{"app": "t1", "layer": "control"}]
    assert (state["revision"], state["lease_s"], state["labels"]) == (30, 5, {"env": "prod"})
    assert set(bundles.sent) == {("test-host", "Bearer state-token")}
    before = len(bundles.sent)
    eventually(lambda: len(bundles.sent) >= before + 2, 30, "signs of life")

    # egret fleet, from a machine without an agent
    config = host.file("fleet.json", json.dumps({"control": control}))

    def fleet(*arguments, code=0):
        return run("ip", "netns", "exec", host.network.host, EGRET, "--socket", "/nonexistent", "fleet", *arguments,
                   "--config", config, code=code)

    assert json.loads(fleet("status", "-o", "json", code=1)) == {"test-host": bundles.states["test-host"]}
    assert "t2" in fleet("status", code=1)
    assert "control" in fleet("status", "t1")
    fleet("kill", "t1", code=2)

    # what the server can't take now comes later, and costs nothing else
    bundles.put_status = 503
    bundles.publish({**wanted, "revision": 31, "policies": {"t1": made(host, "t1")}, "kills": {"t1": {"killed": False}}})
    eventually(lambda: state_of(host, "t1") == "enforce", what="the restore")
    eventually(lambda: "state can't be written to its URL" in host.agent.stderr(), what="a word in the log")
    assert bundles.states["test-host"]["revision"] == 30 and report(host)["connected"]
    bundles.put_status = 204
    eventually(lambda: bundles.states["test-host"]["revision"] == 31, 30, "the state")
    assert bundles.states["test-host"]["killed"] == []
    assert "control" not in fleet("status", "t1")


def test_a_wrong_host(host, bundles):
    """A server with another's certificate is not believed, though the authority is ours; nor is another's document."""
    bundles.publish({"version": 1, "revision": 40, "policies": {
        "w1": made(host, "w1"), "w2": {"policy": made(host, "w2"), "hosts": ["web-*"]}}})
    follow(host, source="https", endpoints=["https://127.0.0.1:8443/bundle"], tls={"ca": bundles.ca}, wait="2s")
    eventually(lambda: state_of(host, "w1") == "enforce", what="the bundle")
    assert state_of(host, "w2") is None
    liar = BundleServer(host.network.path(host.network.host), *bundles.authority.issue("liar", "DNS:other.example"),
                        port=8444)
    try:
        liar.publish({"version": 1, "revision": 41, "policies": {"w3": made(host, "w3")}})
        host.agent.configure(control={"user": "daemon", "source": "https", "endpoints": ["https://127.0.0.1:8444/bundle"],
                                      "tls": {"ca": bundles.ca}, "wait": "2s"})
        host.agent.reload()
        eventually(lambda: (report(host) or {}).get("connected") is False and report(host)["message"], what="the refusal")
        assert liar.seen == [] and state_of(host, "w3") is None and state_of(host, "w1") == "enforce"
    finally:
        liar.stop()


def test_the_hosts_authorities(host, bundles):
    """They count without "tls.ca", and only then: in the bundle as well as in the directory, which libcurl reads both."""
    directory, certs = os.path.join(host.directory, "others"), os.path.join(host.directory, "certs")
    os.mkdir(directory)
    os.mkdir(certs)
    other = pki.Authority(directory, "other")
    digest = subprocess.run(["openssl", "x509", "-hash", "-noout", "-in", other.file], check=True, capture_output=True,
                            text=True, timeout=60).stdout.strip()
    for name in ("ca-certificates.crt", f"{digest}.0"):
        shutil.copy(other.file, os.path.join(certs, name))
    liar = BundleServer(host.network.path(host.network.host), *other.issue("liar", "IP:127.0.0.1"), port=8444)

    def ask(port, tls):
        """What egret fleet, which asks as egret-sync does, makes of the server where those are the host's authorities."""
        url = f"https://127.0.0.1:{port}"
        control = {"source": "https", "endpoints": [f"{url}/bundle"], "state_url": f"{url}/states/", **tls}
        done = subprocess.run(
            ["unshare", "--mount", "sh", "-c", 'mount --bind "$1" /etc/ssl/certs && shift && exec "$@"', "sh", certs,
             "ip", "netns", "exec", host.network.host, EGRET, "--socket", "/nonexistent", "fleet", "status", "-o", "json",
             "--config", host.file("others.json", json.dumps({"control": control}))],
            capture_output=True, text=True, timeout=60, check=False)
        return done.stdout.strip() or done.stderr

    try:
        assert ask(8444, {}) == "{}"
        assert "certificate" in ask(8444, {"tls": {"ca": bundles.ca}})
        assert ask(8443, {"tls": {"ca": bundles.ca}}) == "{}"
    finally:
        liar.stop()

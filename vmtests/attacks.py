# SPDX-License-Identifier: Apache-2.0
"""Ways out that differ from kernel to kernel, tried like the tests of suite.py."""
import collections
import time

from harness import ALLOWED, ALLOWED6, APP, APP6, DENIED, DENIED6, eventually, policy, rule
from harness.frames import FORGED, FORGED6, udp_frame
from harness.net import run

CAP_NET_RAW = 13
NOT_HERE = {"EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EAFNOSUPPORT"}


def once(test):
    """As suite.py's: for one boot of each kernel."""
    test.plain_boot_only = True
    return test


def to_allowed(name, **more):
    return policy(name, [rule([ALLOWED, ALLOWED6], 443), rule([ALLOWED, ALLOWED6], 443, "udp")], **more)


@once
def test_headers_made_by_hand(host):
    app = host.app(to_allowed("forger", raw_sockets=True), caps=[CAP_NET_RAW])
    before = [host.wire("in", src=src) for src in (APP, APP6)]
    expected = collections.Counter()
    for to, table in ((ALLOWED, FORGED), (ALLOWED6, FORGED6)):
        for name, (packet, reason) in table.items():
            assert app.fails("header", to, packet.hex()) == "EPERM", name
            expected[reason] += 1
    reasons = {reason: tally["egress"] for reason, tally in host.agent.app("forger")["reasons"].items()}
    assert reasons == dict(expected), reasons
    assert [host.wire("in", src=src) for src in (APP, APP6)] == before
    app.stop()


@once
def test_io_uring(host):
    app, before = host.app(to_allowed("ring")), host.wire("in", dst=DENIED)
    for sqpoll in (False, True):
        for way in ("connect", "sendto"):
            outcome = app.fails("uring", way, way, DENIED, 443, sqpoll=sqpoll)
            assert outcome == "EPERM", outcome
        assert app.uring("connect", "c", ALLOWED, 443, "ring", sqpoll=sqpoll) == 4
        assert app.recv("c") == "ring"
    assert host.agent.count("ring", "no_rule") == 4
    assert host.wire("in", dst=DENIED) == before


@once
def test_another_senders_address(host):
    app = host.app(to_allowed("sender"), caps=[CAP_NET_RAW])
    for number, (level, option, address) in enumerate((("IPPROTO_IP", 19, ALLOWED), ("IPPROTO_IPV6", 78, ALLOWED6))):
        app.open(f"u{number}", address, "udp")
        assert app.fails("option", f"u{number}", level, option, 1) == "EPERM"
        app.option(f"u{number}", "SOL_SOCKET", "SO_REUSEADDR", 1)  # others go through as they are
    assert host.agent.count("sender", "raw_socket") == 2
    app.stop()


def test_another_senders_address_by_a_32_bit_call(host):
    """No hook of a cgroup is asked about those; BPF LSM's is, and where it is off doctor says so."""
    agent, app = host.agent, host.app(to_allowed("sender32"))
    app.open("u", ALLOWED6, "udp")
    outcome = app.fails("option32", "u", "IPPROTO_IPV6", 78, 1)
    ((level, _),), _ = agent.doctor("options")
    if agent.status()["kernel"]["socket_families"] == "on":
        assert (outcome, level) == ("EPERM", "ok"), (outcome, level)
        assert agent.count("sender32", "raw_socket") == 1
        agent.event(type="deny", app="sender32", reason="raw_socket", hook="setsockopt")
        app.option("u", "SOL_SOCKET", "SO_REUSEADDR", 1)
    else:
        assert (outcome, level) == (None, "warn"), (outcome, level)
    app.stop()


SO_MAX_PACING_RATE = 47


def test_packets_for_later(host):
    """sch_fq keeps to a rate of the sender's, a byte a second: nothing that waits there may leave after a kill."""
    app = host.app(to_allowed("later"))
    run("tc", "-n", host.network.app, "qdisc", "replace", "dev", "up0", "root", "fq")
    try:
        app.open("u", ALLOWED, "udp")
        assert app.fails("option", "u", "SOL_SOCKET", SO_MAX_PACING_RATE, 1) == "EPERM"
        refused = app.fails("option32", "u", "SOL_SOCKET", SO_MAX_PACING_RATE, 1)
        assert host.agent.count("later", "send_later") == 1 + (refused == "EPERM"), refused
        before = host.wire("in", src=APP, dst=ALLOWED, proto="udp")[0]
        for _ in range(5):
            app.sendto("u", ALLOWED, 443, "later")
        host.agent.kill("later")
        eventually(lambda: host.wire("in", src=APP, dst=ALLOWED, proto="udp")[0] >= before + 1)
        first = host.wire("in", src=APP, dst=ALLOWED, proto="udp")[0]
        time.sleep(3)
        assert host.wire("in", src=APP, dst=ALLOWED, proto="udp")[0] == first, "packets left their queue after the kill"
    finally:
        run("tc", "-n", host.network.app, "qdisc", "del", "dev", "up0", "root")
    app.stop()


@once
def test_no_other_protocol(host):
    app = host.app(to_allowed("odd"), caps=[CAP_NET_RAW])
    for kind, protocol in (("SOCK_STREAM", 132), ("SOCK_DGRAM", 115), ("SOCK_DGRAM", 136), ("SOCK_STREAM", 256)):
        outcome = app.fails("raw", "AF_INET", kind, protocol)
        assert outcome == "EPERM" or outcome in NOT_HERE, (kind, protocol, outcome)
    app.stop()


def test_frames(host):
    """Refused where BPF LSM is on; elsewhere they get through, as no guard is there, and doctor fails."""
    agent, app = host.agent, host.app(to_allowed("frames"), caps=[CAP_NET_RAW])
    if agent.status()["kernel"]["socket_families"] == "on":
        before = host.wire("in", dst=DENIED)
        eventually(lambda: agent.app("frames")["frames"] == "refused")
        assert app.fails("frame", "up0", udp_frame(DENIED)) == "EPERM"
        assert app.fails("frame_by_xdp", "up0", udp_frame(DENIED)) in ("EPERM", "EAFNOSUPPORT")
        assert app.fails("raw", "AF_VSOCK", "SOCK_STREAM") == "EPERM"
        assert agent.count("frames", "family") >= 2
        event = agent.event(type="deny", app="frames", reason="family", hook="create")
        assert (event["pid"], event["comm"]) == (app.pid, "testapp"), event
        assert app.fails("uring", "connect", "c", DENIED, 443) == "EPERM"
        assert host.wire("in", dst=DENIED) == before
        assert [level for level, _ in agent.doctor("families")[0]] == ["ok"]
        assert [level for level, _ in agent.doctor("lsm")[0]] == ["ok"]
    else:
        eventually(lambda: agent.app("frames")["frames"] == "open")
        app.frame("up0", udp_frame("10.77.1.21"))
        eventually(lambda: host.wire("in", dst="10.77.1.21", proto="udp")[0] == 1)
        findings, status = agent.doctor("frames")
        assert ("fail", "app frames has CAP_NET_RAW, and nothing judges the frames that it writes by AF_PACKET") in findings
        assert status == 1
        ((level, message),) = agent.doctor("families")[0]
        assert level == "warn" and "AF_PACKET" in message, message
    app.stop()


def test_doctor_tries_the_hooks(host):
    assert [level for level, _ in host.agent.doctor("hooks")[0]] == ["ok"]


def test_families_can_be_left_alone(host):
    """socket_families "off" also ends what the agent before began."""
    agent, app = host.agent, host.app(to_allowed("families"), caps=[CAP_NET_RAW])
    if agent.status()["kernel"]["socket_families"] == "on":
        assert app.fails("raw", "AF_PACKET", "SOCK_RAW") == "EPERM"
        agent.configure(socket_families="off")
        agent.restart()
        assert agent.status()["kernel"]["socket_families"] == "off"
    assert agent.status()["enforcement_ok"] is True
    assert app.fails("raw", "AF_PACKET", "SOCK_RAW") is None
    app.stop()

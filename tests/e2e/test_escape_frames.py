# SPDX-License-Identifier: Apache-2.0
"""Frames that an app writes past every hook of a cgroup, with CAP_NET_RAW alone, as containers have it by default.

Without BPF LSM there is the guard on the host end of its veth; where none is, `egret doctor` must say so.
"""
import pytest

from harness import ALLOWED, ALLOWED6, APP, DENIED, DENIED6, Host, eventually, policy, rule
from harness.frames import udp_frame
from harness.names import named
from harness.net import ROUTER, batch, run

CAP_NET_ADMIN, CAP_NET_RAW = 12, 13
ASK = b"\x12\x34\1\0\0\1\0\0\0\0\0\0\6secret\7example\0\0\1\0\1"
WAYS = {
    "frames_need_no_administrator": lambda app, frame: app.frame("up0", frame),
    "frames_past_the_queue": lambda app, frame: app.frame("up0", frame, bypass=True),
    "frames_by_af_xdp": lambda app, frame: app.frame_by_xdp("up0", frame),
}


def frames_of(agent, name, wanted):
    eventually(lambda: agent.app(name)["frames"] == wanted, what=f"frames of {name} to be {wanted}")


@pytest.fixture(scope="module")
def guarded():
    """On a host as without BPF LSM, beside a guard."""
    with Host(inside=True, socket_families="off") as host:
        host.agent.start()
        host.writer = host.app(policy("writer", [rule(ALLOWED, 443, "udp")]), caps=[CAP_NET_RAW])
        eventually(lambda: host.agent.app("writer")["guards"] == ["app0"], what="the guard")
        frames_of(host.agent, "writer", "guarded")
        yield host


def write_frames(host, way):
    """One that the policy does not allow, and one that it does."""
    agent = host.agent
    refused, passed = agent.count("writer", "netns_guard"), host.wire("in", dst=ALLOWED, proto="udp")[0]
    WAYS[way](host.writer, udp_frame(DENIED))
    event = agent.event(type="deny", app="writer", hook="guard", reason="netns_guard")
    assert (event["dst"], event["dst_port"]) == (DENIED, 443)
    assert agent.count("writer", "netns_guard") == refused + 1
    WAYS[way](host.writer, udp_frame(ALLOWED))
    eventually(lambda: host.wire("in", dst=ALLOWED, proto="udp")[0] == passed + 1)
    host.unseen(DENIED)


def test_frames_need_no_administrator(guarded):
    write_frames(guarded, "frames_need_no_administrator")
    (finding,), _ = guarded.agent.doctor("frames")
    assert finding == ("ok", "app writer has CAP_NET_RAW: frames that it writes by AF_PACKET are judged by its guard")


def test_frames_past_the_queue(guarded):
    """PACKET_QDISC_BYPASS passes a qdisc, and tc's egress hook, of the app's device: the guard is on the other end."""
    write_frames(guarded, "frames_past_the_queue")


def test_frames_by_af_xdp(guarded):
    write_frames(guarded, "frames_by_af_xdp")


def test_neighbours_on_the_bridge(guarded):
    """The guard reads IP addresses: frames for an allowed one get to any neighbour, unless the host isolates the ports."""
    agent, network, near = guarded.agent, guarded.network, f"{guarded.name}-near"
    run("ip", "netns", "add", near)
    network.made.append(near)
    batch(near, [f"link add up0 type veth peer name near0 netns {network.host}", "link set up0 up"])
    batch(network.host, ["link set near0 master br0", "link set near0 up"])
    neighbour = guarded.outsider(netns=near)
    neighbour.watch_wire("up0")
    mac = bytes.fromhex(run("ip", "-n", near, "-o", "link", "show", "up0").split("link/ether ")[1][:17].replace(":", ""))

    def handed():
        guarded.writer.frame("up0", udp_frame(ALLOWED, mac=mac))
        return sum(each[5] for each in neighbour.wire_tally() if each[1:4] == [APP, ALLOWED, "udp"])

    eventually(lambda: handed() > 0)
    ((level, message),), _ = agent.doctor("bridge", netns=network.host)
    assert level == "warn" and message.startswith("app writer can hand frames to every neighbour on the bridge of app0")
    for port in ("app0", "near0"):
        run("bridge", "-n", network.host, "link", "set", "dev", port, "isolated", "on")
    before = handed()
    assert handed() == handed() == before
    assert agent.doctor("bridge", netns=network.host)[0] == []


def test_a_dns_question_in_a_frame(guarded):
    """The guard knows the resolver's address and reads no questions. That is open, and said."""
    agent = guarded.agent
    app = guarded.app(named("asker", ["api.example"]), caps=[CAP_NET_RAW], netns=guarded.network.app)
    frames_of(agent, "asker", "open")  # beside the other app no guard can tell them apart
    findings, status = agent.doctor("frames")
    assert ("fail", "app asker has CAP_NET_RAW, and nothing judges the frames that it writes by AF_PACKET") in findings
    assert status == 1
    guarded.writer.stop()
    frames_of(agent, "asker", "names")
    findings, _ = agent.doctor("frames")
    (message,) = [message for level, message in findings if level == "warn"]
    assert message.startswith("app asker has CAP_NET_RAW: frames that it writes by AF_PACKET are judged by address and port, but")
    before = guarded.wire("in", dst=ROUTER, proto="udp")[0]
    app.frame("up0", udp_frame(ROUTER, port=53, data=ASK))
    eventually(lambda: guarded.wire("in", dst=ROUTER, proto="udp")[0] == before + 1)


def test_frames_where_no_guard_is(host, agent):
    """The other end of the veth is out of reach: BPF LSM refuses the socket, or doctor fails."""
    app = host.app(policy("writer", [rule(ALLOWED, 443)]), caps=[CAP_NET_RAW])
    if agent.status()["kernel"]["socket_families"] == "on":
        frames_of(agent, "writer", "refused")
        assert app.fails("frame", "up0", udp_frame(DENIED)) == "EPERM"
        assert app.fails("frame_by_xdp", "up0", udp_frame(DENIED)) == "EPERM"
        assert agent.count("writer", "family") == 2
        agent.event(type="deny", app="writer", reason="family", hook="create")
        host.unseen(DENIED)
        assert agent.doctor("families")[0][0][0] == "ok"
        return
    frames_of(agent, "writer", "open")
    app.frame("up0", udp_frame(DENIED))
    eventually(lambda: host.wire("in", dst=DENIED, proto="udp")[0] == 1)
    findings, status = agent.doctor("frames")
    assert findings == [("fail", "app writer has CAP_NET_RAW, and nothing judges the frames that it writes by AF_PACKET")]
    assert status == 1
    assert agent.doctor("lsm")[0][0][0] == "warn"
    ((level, message),) = agent.doctor("families")[0]
    assert level == "warn" and "AF_PACKET" in message and "AF_XDP" in message


def test_a_repaired_connection(host, agent):
    """TCP_REPAIR makes a connection that nobody saw begin, for who administers its namespace."""
    app = host.app(policy("repairer", [rule(ALLOWED, 443)], allow_netns_admin=True), uid=0, caps=[CAP_NET_ADMIN])
    assert app.fails("repaired", "r", APP, DENIED, 443) == "EPERM"
    assert app.fails("repaired", "p", APP, ALLOWED, 22) == "EPERM"
    assert (agent.count("repairer", "no_rule"), agent.count("repairer", "no_rule_port")) == (1, 1)
    agent.event(type="deny", app="repairer", reason="no_rule", dst=DENIED)
    host.unseen(DENIED)


def test_a_segment_route(host, agent):
    """A route that wraps what is allowed into a packet to somebody else, made after connect() was judged."""
    app = host.app(policy("wrapper", [rule(ALLOWED6, 443, "udp")], allow_netns_admin=True), uid=0, caps=[CAP_NET_ADMIN])
    app.connect("u", ALLOWED6, 443, "udp")
    for mode in ("encap", "encap.red"):  # with a routing header, and without
        app.command("ip", "-6", "route", "replace", f"{ALLOWED6}/128", "encap", "seg6", "mode", mode, "segs", DENIED6,
                    "dev", "up0")
        assert app.fails("send", "u", "secret") == "EPERM"
    assert agent.count("wrapper", "ext_header") == 1
    event = agent.event(type="deny", app="wrapper", reason="ext_header", hook="packet")
    assert event["dst"] == DENIED6 and agent.app("wrapper")["denied"] == 2
    host.unseen(DENIED6)

# SPDX-License-Identifier: Apache-2.0
"""Other ways to ask the kernel, or somebody else, to send: each is judged like send(), or `egret doctor` reports it."""
import json
import os
import shutil
import socket
import struct
import time

import pytest

from harness import ALLOWED, ALLOWED6, DENIED, DENIED6, Host, Worker, cgroup, eventually, policy, rule
from harness.net import ROUTER, ROUTER6, batch

CAP_NET_RAW = 13
METADATA, METADATA6 = "169.254.169.254", "fd00:ec2::254"
NOT_HERE = {"EPROTONOSUPPORT", "ESOCKTNOSUPPORT", "EAFNOSUPPORT"}  # this kernel has no such protocol


@pytest.fixture(scope="module")
def shared():
    with Host() as host:
        host.agent.start()
        host.serve([ALLOWED, ALLOWED6, DENIED, DENIED6], 443)
        yield host


@pytest.fixture
def app(shared, request):
    """An app of the test's own, which may reach ALLOWED."""
    shared.name_of_app = request.node.originalname[5:].replace("_", "-")
    rules = [rule([ALLOWED, ALLOWED6], 443), rule([ALLOWED, ALLOWED6], 443, "udp")]
    made = shared.app(policy(shared.name_of_app, rules), caps=[CAP_NET_RAW])
    yield made
    made.stop()


def denied(host, reason, count, **event):
    """So often, with such an event; and nothing of it arrived."""
    name = host.name_of_app
    assert host.agent.count(name, reason) == count
    host.agent.event(type="deny", app=name, reason=reason, **event)
    for address in (DENIED, DENIED6):
        host.unseen(address)


# ---- The kernel -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("sqpoll", [False, True], ids=["enter", "kernel thread"])
@pytest.mark.parametrize("allowed, other", [(ALLOWED, DENIED), (ALLOWED6, DENIED6)], ids=["ipv4", "ipv6"])
def test_io_uring(shared, app, allowed, other, sqpoll):
    """The socket, its connect and its send, from a ring, and by a thread of the kernel's."""
    before = shared.agent.count(shared.name_of_app, "no_rule")
    for way in ("connect", "sendto"):
        assert app.fails("uring", way, way, other, 443, sqpoll=sqpoll) == "EPERM"
    denied(shared, "no_rule", before + 2, dst=other)
    assert app.uring("connect", "c", allowed, 443, "ring", sqpoll=sqpoll) == 4
    assert app.recv("c") == "ring"
    assert app.uring("sendto", "u", allowed, 443, "ring", sqpoll=sqpoll) == 4
    assert app.recv("u") == "ring"


def test_a_corked_datagram(shared, app):
    """What was begun for one address goes there, whatever address ends it."""
    assert app.corked("u", ALLOWED, DENIED, 443) == 5
    assert app.recv("u") == "begunended"
    assert app.fails("corked", "v", DENIED, ALLOWED, 443) == "EPERM"
    denied(shared, "no_rule", 1, dst=DENIED, hook="sendmsg")


def test_no_other_protocol(shared, app):
    tried = [("SOCK_STREAM", 132), ("SOCK_SEQPACKET", 132), ("SOCK_DGRAM", 115), ("SOCK_DGRAM", 136), ("SOCK_STREAM", 256)]
    refused = 0
    for family in ("AF_INET", "AF_INET6"):
        for kind, protocol in tried:  # SCTP, L2TP, UDP-Lite, SMC
            outcome = app.fails("raw", family, kind, protocol)
            assert outcome == "EPERM" or outcome in NOT_HERE, (family, kind, protocol, outcome)
            refused += outcome == "EPERM"
    assert shared.agent.count(shared.name_of_app, "protocol") == refused
    if refused:
        denied(shared, "protocol", refused, hook="create")


def test_so_mark(shared, app):
    """No mark exempts from anything."""
    for number, mark in enumerate((1, 66, 0x4000, 0xFFFFFFFF - (1 << 32))):
        app.open(f"c{number}", DENIED)
        app.option(f"c{number}", "SOL_SOCKET", "SO_MARK", mark)
        assert app.fails("connect", f"c{number}", DENIED, 443) == "EPERM"
    denied(shared, "no_rule", 4, dst=DENIED, hook="connect")


FORGERS = [("IPPROTO_IP", 19, ALLOWED), ("IPPROTO_IP", 15, ALLOWED6), ("IPPROTO_IPV6", 75, ALLOWED6),
           ("IPPROTO_IPV6", 78, ALLOWED6)]  # IP_TRANSPARENT, IP_FREEBIND, IPV6_TRANSPARENT, IPV6_FREEBIND
STRANGER, STRANGER6 = "10.77.1.77", "fd77:1::77"


def test_another_senders_address(shared, app):
    """Whoever an allowed host answers gets what was sent with its address; in IPv6 that takes no capability."""
    def forge(worker, name, level, option, address):
        worker.open(name, address, "udp")
        return worker.fails("option", name, level, option, 1)

    for number, (level, option, address) in enumerate(FORGERS):
        stranger = STRANGER6 if ":" in address else STRANGER
        assert forge(app, f"u{number}", level, option, address) == "EPERM"
        assert app.fails("bind", f"u{number}", stranger, 5000, "udp") == "EADDRNOTAVAIL"
    denied(shared, "raw_socket", 4, hook="setsockopt", proto="udp")
    outsider = shared.process(shared.other_cgroup(), caps=[CAP_NET_RAW])  # there it works
    for number, (level, option, address) in enumerate((FORGERS[0], FORGERS[3])):
        stranger = STRANGER6 if ":" in address else STRANGER
        assert forge(outsider, f"u{number}", level, option, address) is None
        outsider.bind(f"u{number}", stranger, 5000, "udp")
        outsider.sendto(f"u{number}", address, 443)
        eventually(lambda address=stranger: shared.wire("in", src=address, proto="udp")[0] == 1)
    made = policy(shared.name_of_app, [rule(ALLOWED6, 443, "udp")], raw_sockets=True, cgroups=shared.glob_of(shared.name_of_app))
    shared.agent.put(made)
    assert forge(app, "by policy", *FORGERS[3]) is None


def test_another_senders_address_by_a_32_bit_call(shared, app):
    """The kernel asks no hook of a cgroup about those. Refused by BPF LSM, or reported."""
    app.open("u", ALLOWED6, "udp")
    outcome = app.fails("option32", "u", "IPPROTO_IPV6", 78, 1)  # IPV6_FREEBIND
    (level, message), = shared.agent.doctor("options")[0]
    if shared.agent.status()["kernel"]["socket_families"] == "on":
        assert (outcome, level) == ("EPERM", "ok")
        denied(shared, "raw_socket", 1, hook="setsockopt")
        return
    assert outcome is None
    app.bind("u", STRANGER6, 5001, "udp")
    app.sendto("u", ALLOWED6, 443)
    eventually(lambda: shared.wire("in", src=STRANGER6, port=443, proto="udp")[0])
    assert level == "warn" and "32-bit system call" in message
    assert shared.agent.event(type="flow", app=shared.name_of_app, phase="start", src=STRANGER6)["dst"] == ALLOWED6


SO_MAX_PACING_RATE, SO_TXTIME = 47, 61
BY_THE_CLOCK = struct.pack("=iI", time.CLOCK_MONOTONIC, 0).hex()


def test_packets_for_later(shared, app):
    """Queued with a time or a rate of the app's choice, they would leave long after a kill."""
    shared.agent.put(policy(shared.name_of_app, [rule(ALLOWED, 443)], raw_sockets=True, cgroups=shared.glob_of(shared.name_of_app)))
    for proto in ("tcp", "udp"):
        app.open(proto, ALLOWED, proto)
        assert app.fails("option", proto, "SOL_SOCKET", SO_TXTIME, BY_THE_CLOCK) == "EPERM"
    assert app.fails("option", "udp", "SOL_SOCKET", SO_MAX_PACING_RATE, 1) == "EPERM"
    app.option("tcp", "SOL_SOCKET", SO_MAX_PACING_RATE, 1 << 20)  # TCP keeps to it by itself
    app.option("udp", "SOL_SOCKET", "SO_PRIORITY", 1)
    denied(shared, "send_later", 3, hook="setsockopt", proto="udp")
    shared.agent.put(policy(shared.name_of_app, [], mode="audit", cgroups=shared.glob_of(shared.name_of_app)))
    assert app.fails("option", "udp", "SOL_SOCKET", SO_MAX_PACING_RATE, 1) is None
    assert shared.agent.event(type="deny", app=shared.name_of_app, verdict="audit")["reason"] == "send_later"


def test_vsock(shared, app):
    """It leads to the hypervisor, past IP. Refused by BPF LSM, or reported."""
    outcome = app.fails("raw", "AF_VSOCK", "SOCK_STREAM")
    if shared.agent.status()["kernel"]["socket_families"] == "on":
        assert outcome == "EPERM"
        denied(shared, "family", 1, hook="create")
    elif outcome is None:
        ((level, message),), _ = shared.agent.doctor("families")
        assert level == "warn" and "AF_VSOCK" in message
    else:
        assert outcome in NOT_HERE


def test_metadata(shared, app):
    """Also where the cloud's service is a hop away, and a rule allows all that is private."""
    for address, router in ((METADATA, ROUTER), (METADATA6, ROUTER6)):
        batch(shared.network.server, [f"addr add {address} dev up0" + " nodad" * (":" in address)])
        batch(shared.network.app, [f"route add {address} via {router}"])
    shared.serve([METADATA, METADATA6], 80)
    shared.agent.put(policy(shared.name_of_app, [rule(["10.0.0.0/8", "fc00::/8"], "any")],
                            cgroups=shared.glob_of(shared.name_of_app)))
    for number, address in enumerate((METADATA, METADATA6, f"::ffff:{METADATA}")):
        assert app.fails("connect", f"c{number}", address, 80) == "EPERM"
    denied(shared, "no_rule", 3, dst=METADATA6)
    shared.unseen(METADATA)
    shared.unseen(METADATA6)


# ---- Namespaces and cgroups ---------------------------------------------------------------------------------


def test_namespaces_of_ones_own(shared, app):
    """There it has every capability, over nothing that leads out; a socket from before is judged as ever."""
    beside = shared.process(shared.cgroup_of(shared.name_of_app))
    app.connect("before", ALLOWED, 443)
    app.open("u", ALLOWED, "udp")
    app.unshare_user()
    assert app.status("ip", "link", "set", "lo", "up") == 0
    for kind in (["veth", "peer", "name", "out0"], ["dummy"]):
        assert app.status("ip", "link", "add", "in0", "type", *kind, "netns", str(beside.pid)) != 0
    assert app.fails("connect", "after", ALLOWED, 443) in ("ENETUNREACH", "EPERM")
    assert app.fails("sendto", "u", DENIED, 443) == "EPERM"
    assert app.ask("before") == "ping"
    denied(shared, "no_rule", 1, dst=DENIED, hook="sendmsg")


def test_a_move_to_another_cgroup(shared, app):
    """By cgroup.procs and by clone3: outside, to another app, to the root of all."""
    shared.agent.put(policy("rich", [rule(DENIED, 443)]))
    cgroup.make(shared.cgroup_of("rich"))
    for path in (shared.other_cgroup(), shared.cgroup_of("rich"), shared.root, ""):
        assert app.fails("move", f"{cgroup.full(path)}/cgroup.procs") == "EACCES"
        assert app.fails("clone_into", cgroup.full(path)) == "EACCES"
    assert app.fails("connect", "c", DENIED, 443) == "EPERM"
    denied(shared, "no_rule", 1, dst=DENIED)
    assert [level for level, _ in shared.agent.doctor("cgroups")[0]] == []
    procs = f"{cgroup.full(shared.root)}/cgroup.procs"
    os.chown(procs, 65534, 0)
    try:
        findings, status = shared.agent.doctor("cgroups", staged=True)
    finally:
        os.chown(procs, 0, 0)
    assert {level for level, _ in findings} == {"fail"} and status == 1
    assert any(shared.name_of_app in message and shared.root in message for _, message in findings)


# ---- Others --------------------------------------------------------------------------------------------------


def test_an_abstract_socket_of_the_host(shared):
    """No hook that every supported kernel has sees it: doctor names the apps that share the namespace."""
    agent = shared.agent
    helper = shared.outsider()
    name = f"{shared.name}-helper"
    helper.abstract(name, listen=True)
    agent.put(policy("near", cgroups=shared.glob_of("near")))
    cgroup.make(shared.cgroup_of("near"))
    shared.tagged("near")
    near = Worker(cgroup=cgroup.full(shared.cgroup_of("near")), netns=f"/proc/{agent.process.pid}/ns/net", uid=20700)
    shared.workers.append(near)
    near.abstract(name)
    findings, _ = agent.doctor("unix")
    assert any(level == "warn" and "abstract Unix sockets" in message and "near" in message for level, message in findings)
    directory = "/run/user/20700"  # where its user manager would be, which runs commands outside of the cgroup
    os.makedirs(directory)
    try:
        with socket.socket(socket.AF_UNIX) as bus:
            bus.bind(f"{directory}/bus")
            os.chown(f"{directory}/bus", 20700, 20700)
            findings, status = agent.doctor("unix", staged=True)
    finally:
        shutil.rmtree(directory)
    assert ("fail", "app near can write /run/user/UID/bus, which runs commands for it outside of its cgroup") in findings
    assert status == 1
    near.stop()
    assert not any("abstract" in message for _, message in agent.doctor("unix")[0])


def test_doctor_names_helpers(shared, app):
    """A process of the same user outside, which the app could trace; neither has to have a name."""
    agent, name = shared.agent, shared.name_of_app
    assert not any(name in message for _, message in agent.doctor("uids")[0])
    with open(f"/proc/{app.pid}/status", encoding="ascii") as status:
        uid = int(next(line for line in status if line.startswith("Uid:")).split()[1])
    for comm in ("testapp", " "):
        app.rename(comm)
        beside = shared.process(shared.other_cgroup(), uid=uid, comm=comm)
        findings, _ = agent.doctor("uids", staged=True)
        assert any(level == "warn" and f"app {name} runs as uid {uid}" in message and f"({beside.pid})" in message
                   for level, message in findings), comm
        beside.stop()


def test_a_cgroup_whose_name_is_no_text(shared):
    """It hides nobody: not in answers, nor in what is told of a kill, nor from doctor."""
    agent, name = shared.agent, "oddly-named"
    odd, seen = os.fsencode(cgroup.full(f"{shared.root}/odd")) + b"/\xff\x1b[2J", f"{shared.root}/odd/\ufffd\x1b[2J"
    agent.put(policy(name, [rule(ALLOWED, 443)], cgroups=[f"{shared.root}/odd/*"]))
    cgroup.make(f"{shared.root}/odd")
    os.mkdir(odd)
    eventually(lambda: agent.apps()[name]["cgroups"] == [seen])
    assert [one["path"] for one in agent.app(name)["cgroup_ids"]] == [seen]
    agent.put(policy("another", [rule(ALLOWED, 443)], cgroups=[f"{shared.root}/odd/*"]))
    assert eventually(lambda: agent.log(type="agent", action="ambiguous_cgroup"))[0]["cgroup"] == seen
    agent.api("DELETE", "/v1/policies/another")
    app = shared.process(f"{shared.root}/odd")
    with open(odd + b"/cgroup.procs", "w", encoding="ascii") as procs:
        procs.write(str(app.pid))
    app.connect("c", ALLOWED, 443)
    with open(f"/proc/{app.pid}/status", encoding="ascii") as status:
        uid = int(next(line for line in status if line.startswith("Uid:")).split()[1])
    beside = shared.process(shared.other_cgroup(), uid=uid)
    assert any(level == "warn" and f"app {name} runs as uid {uid}" in message and f"({beside.pid})" in message
               for level, message in agent.doctor("uids", staged=True)[0])
    beside.stop()
    agent.kill(name)
    assert agent.event(type="kill", app=name)["cgroups"] == [seen]
    with open(agent.event(type="agent", app=name, action="snapshot")["file"], encoding="utf-8") as file:
        (task,) = json.load(file)["processes"]
    assert (task["pid"], task["cgroup"]) == (app.pid, f"0::/{seen}")
    app.stop()


def test_doctor_lists_who_is_outside(shared, app):
    """Whoever has a socket of some network namespace and no root above, by cgroup; nobody else."""
    path = shared.other_cgroup()
    daemon, idle = shared.process(path, comm="daemon", netns=shared.network.server), shared.process(path, comm="idle")
    odd = shared.process(path, comm=b"\xff\x1b[2J".decode(errors="surrogateescape"), netns=shared.network.server)
    daemon.bind("u", ROUTER, 7070, "udp")
    odd.bind("u", ROUTER, 7071, "udp")
    app.connect("u", ALLOWED, 443, "udp")
    findings, status = shared.agent.doctor("outside")
    (listed,) = [message for _, message in findings if message.startswith(f"/{path} is outside of every root and uses the network: ")]
    assert f"daemon ({daemon.pid})" in listed and f"??[2J ({odd.pid})" in listed
    assert not any(f"({app.pid})" in message or f"({idle.pid})" in message for _, message in findings)
    assert status in (0, 1) and {level for level, _ in findings} == {"ok"}
    daemon.stop()
    odd.stop()
    assert not any(f"({daemon.pid})" in message for _, message in shared.agent.doctor("outside")[0])
    idle.stop()


def test_doctor_tries_the_hooks(shared):
    """A child below the root is refused, as the log says, and leaves nothing behind."""
    agent = shared.agent
    before = agent.status()["unknown"]["denied"]
    assert agent.doctor("hooks")[0] == [("ok", f"below root {shared.root} connections of a cgroup of no app are refused: tried")]
    assert agent.status()["unknown"]["denied"] >= before + 2
    event = agent.event(type="deny", reason="unknown_cgroup", comm="egret", hook="connect")
    assert event["dst"] == "192.0.2.1"
    assert "egret-doctor" in event.get("cgroup", "egret-doctor")  # it may be gone before the event is told
    eventually(lambda: not [name for name in os.listdir(cgroup.full(shared.root)) if "egret-doctor" in name])

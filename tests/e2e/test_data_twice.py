# SPDX-License-Identifier: Apache-2.0
"""Data that is one thing when it is looked at, and another where it arrives: none of it may leave."""
import mmap
import os
import socket
import struct

import pytest

from harness import ALLOWED, OTHER, eventually, policy, rule
from harness import dns
from harness.names import API, asked, begin, named
from harness.net import ROUTER, Network, run
from harness.tls import TlsServer, hello, two_faced

SO_ZEROCOPY, MSG_ZEROCOPY, UDP_SEGMENT = 60, 0x4000000, 103
NAME, WRONG = "api.example.com", "evil.example.net"
GOOD, LEAK = dns.query("api.example"), dns.query("c2VjcmV0.test", number=9)


@pytest.fixture
def names(host):
    begin(host)
    return host


@pytest.fixture
def app(names):
    made = named("web", "api.example")
    made["egress"].append(rule(OTHER, 9, "udp", id="filler"))
    return names.app(made)


def lent(app, name, proto):
    if proto == "udp":
        app.open(name, ROUTER, "udp")
    app.connect(name, ROUTER, 53, proto)
    sock = app.lend(name)
    sock.settimeout(5)
    return sock


def malformed(names, agent, proto, count=None):
    """It was told and counted, and the resolver saw no question but what it may see."""
    counted = eventually(lambda: agent.count("web", "dns_malformed"))
    assert count is None or counted == count
    event = agent.event(type="dns" if proto == "udp" else "deny", app="web", reason="dns_malformed", proto=proto)
    assert (event["verdict"], event["direction"], event["rule"], event["dst"]) == ("deny", "egress", "dns", ROUTER)
    assert {name for name, _ in asked(names)} <= {"api.example"}


def send_urgent(sock, data, at):
    """With an urgent byte at that place. How the connection ended meanwhile: MSG_MORE holds back 200 ms, and what came first
    may be refused before the rest is sent, on a machine that is busy."""
    sock.send(data[: at + 1], socket.MSG_OOB | socket.MSG_MORE)
    try:
        sock.send(data[at + 1 :])
    except ConnectionAbortedError:
        return "ECONNABORTED"
    return None


# ---- Questions -----------------------------------------------------------------------------------------------


def test_a_second_question_in_a_segment_of_its_own(names, agent, app):
    """UDP_SEGMENT: what is one datagram at the hook is two on the wire, the second of them unread."""
    question = dns.query("api.example", edns=True)
    assert len(LEAK) <= len(question)
    with lent(app, "u", "udp") as sock:
        size = [(socket.IPPROTO_UDP, UDP_SEGMENT, struct.pack("=H", len(question)))]
        with pytest.raises(PermissionError):
            sock.sendmsg([question + LEAK], size)
        malformed(names, agent, "udp", 1)
        assert asked(names) == []
        sock.send(question)
        assert dns.hear(sock, "udp")["addresses"] == [API]


def lossy(names, on, port=443):
    """Data to that port is lost behind the app's link, as on any network."""
    server = names.network.server
    if on:
        run("ip", "netns", "exec", server, "nft", "-f", "-", text=f"""table inet loss {{ chain i {{
            type filter hook prerouting priority -300;
            tcp dport {port} meta length > 100 drop;
        }}; }}""")
    else:
        run("ip", "netns", "exec", server, "nft", "delete table inet loss")


def test_a_question_that_changes_in_the_queue(names, agent, app):
    """Pages that are sent without a copy are still the app's after they were judged."""
    slow = ["ip", "netns", "exec", names.network.app, "tc", "qdisc"]
    run(*slow, "add", "dev", "up0", "root", "tbf", "rate", "16kbit", "burst", "1600", "latency", "10s")
    page = mmap.mmap(-1, 4096)
    page[: len(GOOD)] = GOOD
    with lent(app, "u", "udp") as sock:
        sock.setsockopt(socket.SOL_SOCKET, SO_ZEROCOPY, 1)
        for _ in range(3):
            app.sendto("filler", OTHER, 9, "x" * 1400)
        with pytest.raises(PermissionError):
            sock.send(memoryview(page)[: len(GOOD)], MSG_ZEROCOPY)
        page[: len(LEAK)] = LEAK
        malformed(names, agent, "udp", 1)
        sock.send(GOOD)  # a copy of the kernel's own
        assert dns.hear(sock, "udp")["addresses"] == [API]
    malformed(names, agent, "udp", 1)


def two_questions():
    """A stream of two questions that, without its byte `at`, has another one at its end."""

    def message(size, number, tail):
        made = dns.query("api.example", number=number) + tail
        return struct.pack("!H", size) + made.ljust(size, b"\0")

    first = message(64, 7, b"")
    # the other's length is read a byte later: 0 and this byte, which leads from there to the hidden one
    second = message(256, 28 << 8, struct.pack("!H", len(LEAK)) + LEAK)
    return first + second, len(first) - 1


def test_a_question_out_of_band(names, agent, app):
    """A server doesn't read the urgent byte in its place, so what follows is another question to it."""
    data, at = two_questions()
    with lent(app, "c", "tcp") as sock:
        send_urgent(sock, data, at)
        malformed(names, agent, "tcp")
    assert names.server.dns_bytes() == 0


# ---- A ClientHello --------------------------------------------------------------------------------------------


@pytest.fixture
def server(host, tmp_path):
    with TlsServer.serving(Network.path(host.network.server), ALLOWED, tmp_path) as made:
        yield made


@pytest.fixture
def client(host, server):
    host.server.dns_serve([ROUTER], {NAME: {"A": [ALLOWED]}})
    app = host.app(named("web", NAME, more={"tls": "verify-sni", "private": ["10.77.1.0/24"]}))
    assert app.dns_ask(ROUTER, NAME)["addresses"] == [ALLOWED]
    app.connect("c", ALLOWED, 443)
    return app


def cut(agent, server, client, ended=None):
    """ended: how, where that was seen already."""
    assert (ended or client.end("c")) == "ECONNABORTED"
    event = agent.event(type="deny", app="web", reason="hello_missing")
    assert (event["dst"], event["dst_port"], event["hook"], event["verdict"]) == (ALLOWED, 443, "packet", "deny")
    assert agent.count("web", "hello_missing") >= 1
    assert server.received() == 0


def test_a_hello_out_of_band(host, agent, server, client):
    data, at = two_faced(NAME, WRONG)
    with client.lend("c") as sock:
        cut(agent, server, client, send_urgent(sock, data, at))


def test_a_hello_that_changes_before_it_is_sent_again(host, agent, server, client):
    """A file's pages, which are sent without a copy: the first time they are lost."""
    good, bad = hello(NAME), hello(WRONG.replace("net", "n"))
    with client.lend("c") as sock, open(host.file("hello", ""), "w+b") as file:
        file.write(good)
        file.flush()
        lossy(host, True)
        os.sendfile(sock.fileno(), file.fileno(), 0, len(good))
        os.pwrite(file.fileno(), bad.ljust(len(good), b"\0"), 0)
        lossy(host, False)
        cut(agent, server, client)

# SPDX-License-Identifier: Apache-2.0
"""The first data of a connection: nothing passes before it named a server that the rule allows."""
import errno
import socket
import time

import pytest

from harness import ALLOWED, DENIED, OTHER, eventually, holds, policy, rule
from harness.net import Network
from harness.tls import (
    ConnectProxy, TlsClient, TlsServer, hello, in_two_records, padded, with_ech,
)

RESOLVER = "10.77.1.1"
NAME, WRONG = "api.example.com", "evil.example.net"
PRIVATE = {"private": ["10.77.1.0/24"]}
TCP_FASTOPEN_NO_COOKIE = 34
SEEN_S = 0.5  # what was let through is at the server by then


@pytest.fixture
def server(host, tmp_path):
    with TlsServer.serving(Network.path(host.network.server), ALLOWED, tmp_path) as made:
        yield made


@pytest.fixture
def resolver(host):
    known = (NAME, "b.example.com", "plain.example.com")
    host.server.dns_serve([RESOLVER], {name: {"A": [ALLOWED]} for name in known})


def verified(app="web", names=(NAME,), **more):
    made = [rule(list(names), 443, id="api", tls="verify-sni", **PRIVATE)]
    return policy(app, made, dns={"resolvers": [RESOLVER]}, **more)


def learn(app, *names):
    """The app asks for the names, and is granted their addresses."""
    for name in names:
        assert app.dns_ask(RESOLVER, name)["addresses"] == [ALLOWED]


@pytest.fixture
def app(host, server, resolver):
    """Its rule verifies, and it has learned the address."""
    made = host.app(verified())
    learn(made, NAME)
    return made


def dial(app, name="c", address=ALLOWED, port=443):
    """A connection of the app's, in our hands."""
    app.connect(name, address, port)
    sock = app.lend(name)
    sock.settimeout(10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def ended(agent, app="web", **wanted):
    return agent.event(type="flow", phase="end", app=app, proto="tcp", **wanted)


def no_payload(host, dst=ALLOWED, port=443):
    """Nothing but bare TCP headers came there."""
    packets, size = host.wire("in", dst=dst, proto="tcp", port=port)
    return size <= packets * 60


def refused(host, agent, server, app, reason, end=None, sni=None, name=NAME):
    """The app's connection was cut, told and counted; the server has no byte of it."""
    assert app.end("c") == "ECONNABORTED"
    event = agent.event(type="deny", app="web", reason=reason)
    assert (event["rule"], event["dst"], event["dst_port"], event["hook"]) == ("api", ALLOWED, 443, "packet")
    assert event.get("sni") == sni and event.get("name") == name and event["verdict"] == "deny"
    eventually(lambda: agent.count("web", reason) == len(agent.log(type="deny", app="web", reason=reason,
                                                                   direction="egress")))
    assert server.received() == 0 and no_payload(host)
    gone = ended(agent, rule="api")
    assert gone.get("verified") is not True and gone.get("sni") == sni and gone.get("name") == name


# ---- What passes -----------------------------------------------------------------------------------------


def test_the_right_name_passes(host, agent, server, app):
    client = TlsClient(dial(app), NAME)
    assert client.echo() == b"ping"
    client.close()
    app.close("c")
    end = ended(agent)
    assert (end["name"], end["sni"], end["verified"], end["rule"]) == (NAME, NAME, True, "api")
    assert server.connections[0].sni == NAME
    assert agent.app("web")["denied"] == 0


def test_without_a_demand_the_name_is_logged(host, agent, server, resolver):
    app = host.app(policy("web", [rule(NAME, 443, id="api", **PRIVATE)], dns={"resolvers": [RESOLVER]}))
    learn(app, NAME)
    client = TlsClient(dial(app), WRONG)
    assert client.echo() == b"ping"
    client.close()
    app.close("c")
    end = ended(agent)
    assert (end["name"], end["sni"], end["verified"]) == (NAME, WRONG, False)


@pytest.mark.parametrize("client", [
    ["curl", "-sk", "-m", "5", "--resolve", f"{NAME}:443:{ALLOWED}", f"https://{NAME}/"],
    ["openssl", "s_client", "-connect", f"{ALLOWED}:443", "-servername", NAME],
    ["openssl", "s_client", "-tls1_2", "-connect", f"{ALLOWED}:443", "-servername", NAME],
    ["node", "-e", f"require('tls').connect({{host: '{ALLOWED}', port: 443, servername: '{NAME}', "
     "rejectUnauthorized: false}, function () { this.end('x') })"],
], ids=["curl", "openssl", "openssl-1.2", "node"])
def test_real_clients(host, agent, server, app, client):
    app.command("sh", "-c", '"$@" </dev/null >/dev/null 2>&1; true', "sh", *client)
    assert eventually(lambda: server.connections and server.connections[0].secure)
    assert server.connections[0].sni == NAME
    assert ended(agent)["verified"] is True


@pytest.mark.parametrize("last, size", [(False, 16000), (False, 5000), (True, 5000), (True, 1200)])
def test_a_large_hello(host, agent, server, app, last, size):
    sock = dial(app)
    sock.sendall(padded(NAME, size, last))
    eventually(lambda: server.received() == size)
    assert eventually(lambda: server.connections[0].sni) == NAME
    sock.close()
    app.close("c")
    assert ended(agent)["verified"] is True


def test_a_name_behind_what_is_looked_at(host, agent, server, app):
    sock = dial(app)
    sock.sendall(padded(NAME, 16000, True))  # held back until it has come again unchanged
    refused(host, agent, server, app, "hello_missing")


def test_the_outer_name_of_an_encrypted_hello_counts(host, agent, server, app):
    sock = dial(app)
    sock.sendall(with_ech(NAME))
    assert eventually(lambda: server.connections and server.connections[0].sni) == NAME
    sock.close()
    app.close("c")
    assert (ended(agent)["sni"], ended(agent)["verified"]) == (NAME, True)


@pytest.mark.parametrize("pieces", [2, None], ids=["in-two", "byte-by-byte"])
def test_a_hello_in_pieces_is_held(host, agent, server, app, pieces):
    data, sock = padded(NAME, 600, True), dial(app)  # whole with the last byte of the name
    step = 1 if pieces is None else len(data) // pieces + 1
    for at in range(0, len(data) - step, step):
        sock.sendall(data[at : at + step])
    time.sleep(SEEN_S)
    assert server.received() == 0 and no_payload(host)
    sock.sendall(data[(len(data) - 1) // step * step :])
    began = time.monotonic()
    eventually(lambda: server.received() == len(data))
    print(f"passed after {time.monotonic() - began:.3f} s")
    assert eventually(lambda: server.connections[0].sni) == NAME
    assert agent.count("web", "hello_held") >= 1
    event = agent.event(type="deny", app="web", reason="hello_held")
    assert event["name"] == NAME and "sni" not in event
    sock.close()
    app.close("c")
    assert ended(agent)["verified"] is True


# ---- What does not ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("data, reason, sni", [
    (hello(WRONG), "sni_denied", WRONG),
    (hello("deep." + NAME), "sni_denied", "deep." + NAME),
    (hello(None), "sni_missing", None),
    (with_ech(WRONG), "sni_denied", WRONG),
    (in_two_records(hello(NAME)), "hello_missing", None),
    (b"GET / HTTP/1.1\r\nHost: api.example.com\r\n\r\n", "hello_missing", None),
    (b"x", "hello_missing", None),
    (b"\x16\x03\x01\xff\xff\x01" + b"x" * 100, "hello_missing", None),
    (b"CONNECT api.example.com:443 HTTP/1.1\r\n\r\n", "hello_missing", None),
], ids=["other", "below", "none", "ech", "records", "http", "byte", "garbage", "connect"])
def test_other_first_data_is_refused(host, agent, server, app, data, reason, sni):
    dial(app).sendall(data)
    refused(host, agent, server, app, reason, sni=sni)


@pytest.mark.parametrize("first", [b"x", b"\0" * 3000, hello(WRONG)], ids=["byte", "garbage", "other"])
def test_a_good_hello_comes_too_late(host, agent, server, app, first):
    sock, ended = dial(app), None
    try:
        sock.sendall(first)
        sock.sendall(hello(NAME))
        sock.sendall(hello(NAME))
    except OSError as error:  # it was reset already, and this takes the error from the socket
        ended = errno.errorcode[error.errno]
    assert (ended or app.end("c")) in ("ECONNABORTED", "EPIPE")
    assert server.received() == 0 and no_payload(host)


def test_what_is_sent_again_is_refused_too(host, agent, server, app):
    """No agent is there to reset the socket: TCP sends the hello again, and goes on after it."""
    sock = dial(app)
    agent.kill9()
    sock.sendall(hello(WRONG))
    for _ in range(15):
        time.sleep(0.1)
        sock.sendall(hello(NAME))
    assert app.end("c", timeout=1) is None
    assert server.received() == 0 and no_payload(host)
    agent.start()
    assert app.end("c") == "ECONNABORTED"  # when it is sent again
    assert agent.count("web", "sni_denied") > 1


def test_fast_open(host, agent, server, app):
    host.network.sysctl(host.network.server, "net/ipv4/tcp_fastopen", "519")
    for name, data in (("good", hello(NAME)), ("c", hello(WRONG))):
        app.open(name, ALLOWED)
        with app.lend(name) as sock:
            sock.setsockopt(socket.IPPROTO_TCP, TCP_FASTOPEN_NO_COOKIE, 1)
            sock.setblocking(False)
            assert sock.sendto(data, socket.MSG_FASTOPEN, (ALLOWED, 443)) == len(data)
        if name == "good":
            assert eventually(lambda: server.connections and server.connections[0].sni) == NAME
    assert app.end("c") == "ECONNABORTED"
    assert server.received() == len(hello(NAME))
    assert agent.event(type="deny", app="web", reason="sni_denied")["sni"] == WRONG


def test_udp_is_another_rule(host, agent, server, app):
    host.server.serve("udp", ALLOWED, 443)
    assert app.fails("sendto", "q", ALLOWED, 443) == "EPERM"
    event = agent.event(type="deny", app="web", proto="udp", dst_port=443)
    assert agent.count("web", event["reason"]) >= 1
    assert host.wire("in", dst=ALLOWED, proto="udp", port=443) == (0, 0)


def test_audit_lets_through_and_tells_once(host, agent, server, resolver):
    app = host.app(verified(mode="audit"))
    learn(app, NAME)
    client = TlsClient(dial(app), WRONG)
    for _ in range(5):
        assert client.echo() == b"ping"
    event = agent.event(type="deny", app="web", reason="sni_denied", verdict="audit")
    assert (event["sni"], event["name"]) == (WRONG, NAME)
    assert agent.count("web", "sni_denied", "audited") == 1 and agent.app("web")["denied"] == 0
    agent.put({"cgroups": host.glob_of("web"), **verified()})
    assert cut(client)
    assert server.received() > 0


# ---- Several rules ---------------------------------------------------------------------------------------


def test_any_allow_wins(host, agent, server, resolver):
    rules = [rule(NAME, 443, id="api", tls="verify-sni", **PRIVATE), rule("plain.example.com", 443, id="open", **PRIVATE)]
    app = host.app(policy("web", rules, dns={"resolvers": [RESOLVER]}))
    learn(app, NAME)
    dial(app).sendall(hello(WRONG))
    assert app.end("c") == "ECONNABORTED" and server.received() == 0
    app.close("c")
    learn(app, "plain.example.com")  # at the same address
    client = TlsClient(dial(app, "d"), WRONG)
    assert client.echo() == b"ping"
    client.close()
    app.close("d")
    assert (ended(agent, rule="open")["sni"], ended(agent, rule="open")["verified"]) == (WRONG, False)


def test_a_prefix_beside_it_defeats_it(host, agent, server, resolver):
    rules = [rule(NAME, 443, id="api", tls="verify-sni", **PRIVATE), rule(ALLOWED, 443, id="open")]
    app = host.app(policy("web", rules, dns={"resolvers": [RESOLVER]}))
    learn(app, NAME)
    dial(app).sendall(b"anything")
    eventually(lambda: server.received() == len("anything"))


def cut(client):
    """Whether more data ends the connection. (Python's ssl makes an end of the error, as it likes.)"""
    try:
        return client.echo(b"more") == b""
    except TimeoutError:
        return False
    except OSError:
        return True


# ---- A change of policy ------------------------------------------------------------------------------------


def change(host, agent, made):
    agent.put({"cgroups": host.glob_of("web"), **made})


def test_a_live_flow_keeps_to_its_name(host, agent, server, app):
    client = TlsClient(dial(app), NAME)
    assert client.echo() == b"ping"
    change(host, agent, verified(names=("b.example.com", NAME)))
    for _ in range(3):
        assert client.echo() == b"ping"
    assert agent.app("web")["denied"] == 0
    before = server.received()
    change(host, agent, verified(names=("b.example.com",)))
    assert cut(client)
    assert server.received() == before


@pytest.mark.parametrize("name", [WRONG, None], ids=["other", "none"])
def test_a_new_demand_on_a_live_flow(host, agent, server, resolver, name):
    app = host.app(policy("web", [rule(NAME, 443, id="api", **PRIVATE)], dns={"resolvers": [RESOLVER]}))
    learn(app, NAME)
    client = TlsClient(dial(app), name)
    assert client.echo() == b"ping"
    good = TlsClient(dial(app, "good"), NAME)
    assert good.echo() == b"ping"
    before = server.received()
    change(host, agent, verified())
    assert cut(client)
    assert server.received() == before
    reason = "sni_denied" if name else "hello_missing"
    assert agent.event(type="deny", app="web", reason=reason).get("sni") == name
    assert good.echo() == b"ping"


# ---- CONNECT -------------------------------------------------------------------------------------------------


@pytest.fixture
def proxy(host):
    host.serve([DENIED], 443, ["tcp"])
    made = ConnectProxy(Network.path(host.network.server), OTHER, 3128, {NAME: ALLOWED, WRONG: ALLOWED, DENIED: DENIED})
    yield made
    made.stop()


@pytest.fixture
def proxied(host, server, proxy):
    made = rule([OTHER, NAME, "*.b.example"], 3128, id="api", http="verify-connect")
    return host.app(policy("web", [made]))


def connect(target, method="CONNECT", version="1.1"):
    return f"{method} {target} HTTP/{version}\r\nHost: {NAME}\r\n\r\n".encode()


def test_connect_to_an_allowed_host(host, agent, server, proxied):
    sock = dial(proxied, address=OTHER, port=3128)
    sock.sendall(connect(f"{NAME}:443"))
    assert sock.recv(1 << 16).startswith(b"HTTP/1.1 200")
    client = TlsClient(sock, NAME)
    assert client.echo() == b"ping"
    client.close()
    proxied.close("c")
    end = ended(agent, dst=OTHER)
    assert (end["sni"], end["verified"], end["rule"]) == (NAME, True, "api")


def test_curl_through_the_proxy(host, agent, server, proxied):
    with pytest.raises(RuntimeError):  # the server echoes, which is no HTTP
        proxied.command("curl", "-sk", "-m", "5", "-x", f"http://{OTHER}:3128", f"https://{NAME}/")
    assert eventually(lambda: server.connections and server.connections[0].secure)
    assert server.connections[0].sni == NAME
    assert (ended(agent, dst=OTHER)["sni"], ended(agent, dst=OTHER)["verified"]) == (NAME, True)


@pytest.mark.parametrize("data, reason, sni", [
    (connect(f"{WRONG}:443"), "sni_denied", WRONG),
    (connect("b.example:443"), "sni_denied", "b.example"),
    (connect(f"{NAME}:22"), "hello_missing", None),
    (connect(f"{DENIED}:443"), "hello_missing", None),
    (connect("[::1]:443"), "hello_missing", None),
    (connect(f"http://{NAME}/", method="GET"), "hello_missing", None),
    (connect(f"{NAME}:443", method="connect"), "hello_missing", None),
    (b"\r\n" + connect(f"{NAME}:443"), "hello_missing", None),
    (hello(NAME), "hello_missing", None),
], ids=["host", "apex", "port", "v4", "v6", "get", "case", "blank", "tls"])
def test_other_requests_to_the_proxy(host, agent, proxy, proxied, data, reason, sni):
    dial(proxied, address=OTHER, port=3128).sendall(data)
    assert proxied.end("c") == "ECONNABORTED"
    event = agent.event(type="deny", app="web", reason=reason)
    assert event.get("sni") == sni and event["dst_port"] == 3128 and agent.count("web", reason) >= 1
    assert proxy.received() == 0 and no_payload(host, OTHER, 3128)


# ---- Resets ----------------------------------------------------------------------------------------------------


def test_many_at_once_are_all_reset(host, agent, server, app):
    """More than the agent's list has room for: the rest comes again."""
    good = TlsClient(dial(app, "good"), NAME)
    for number in range(300):
        app.connect(f"m{number}", ALLOWED, 443, timeout=10)
        with app.lend(f"m{number}") as sock:
            sock.sendall(hello(WRONG))
    assert app.ends("m", 300, timeout=60) == {"ECONNABORTED": 300}
    assert good.echo() == b"ping"
    holds(lambda: server.received() == len(server.connections[0].data), 0.2, "nothing at the server")

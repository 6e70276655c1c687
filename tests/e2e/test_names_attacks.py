# SPDX-License-Identifier: Apache-2.0
"""What gets around an allowlist of names: none of it may reach anybody, or be believed."""
import random
import struct

import pytest

from harness import DENIED, OTHER, eventually
from harness import dns
from harness.names import API, API6, asked, begin, named
from harness.net import APP, APP6, ROUTER, ROUTER6, run

EVIL = "192.0.2.66"


@pytest.fixture
def names(host):
    begin(host)
    host.network.public("192.0.2.0/24")
    return host


def grants(agent, app):
    return {(one["name"], one["address"]) for one in agent.get(f"/v1/apps/{app}?grants=1")["grants"]["list"]}


def shut(names, agent, app, address, port=443, proto="tcp", name="web", reason="no_grant"):
    """No new flow goes there: told, counted, and not seen by the server."""
    before = agent.count(name, reason)
    assert app.fails("connect", f"{address} {port} {proto}", address, port, proto, timeout=2) == "EPERM"
    assert agent.count(name, reason) == before + 1
    assert agent.event(type="deny", app=name, dst=address, reason=reason)
    names.unseen(address)


def refused(agent, reason, count=1, app="web", **wanted):
    event = agent.event(type="dns", app=app, action="refused", reason=reason, **wanted)
    assert (event["verdict"], event["direction"], event["rule"]) == ("deny", "egress", "dns")
    assert agent.count(app, reason) == count
    return event


# ---- Other ways to ask ------------------------------------------------------------------------------------------


def test_other_resolvers_dot_and_doh(names, agent):
    """Destinations like any other; the rule that names api.example does not open them."""
    app = names.app(named("web", "api.example", 80))
    names.serve([DENIED, OTHER], 53)
    tried = [(DENIED, 53, "udp"), (DENIED, 53, "tcp"), (ROUTER, 853, "tcp"), (ROUTER, 443, "tcp"),
             (ROUTER, 5353, "udp"), (OTHER, 853, "tcp"), ("fd77:1::20", 53, "udp"), ("::ffff:10.77.1.20", 53, "tcp")]
    for number, (server, port, proto) in enumerate(tried):
        assert app.fails("dns_ask", server, "api.example", "A", proto, connected=True, port=port, timeout=2) == "EPERM"
        assert agent.count("web", "no_rule") + agent.count("web", "no_rule_port") == number + 1
        plain = server.replace("::ffff:", "")
        event = agent.event(type="deny", app="web", dst=plain, dst_port=port, proto=proto)
        assert event["reason"] == ("no_rule_port" if server == ROUTER else "no_rule")
        assert names.wire("in", dst=plain, port=port, proto=proto) == (0, 0)
    assert asked(names) == []


def test_tunnels(names, agent):
    """Labels below names that are allowed exactly, and near them."""
    app = names.app(named("web", ["api.example", "*.wild.example"]))
    tried = ["c2VjcmV0.api.example", "api.example.evil.test", "xapi.example", "api-example", "example", "pi.example",
             "a.wild.example.evil.test", "a.wildxexample", f"{'a' * 63}.{'b' * 63}.{'c' * 63}.test"]
    for name in tried:
        assert app.fails("dns_ask", ROUTER, name) == "EPERM", name
        assert app.fails("dns_ask", ROUTER6, name, "AAAA", connected=True) == "EPERM", name
        refused(agent, "dns_name", agent.count("web", "dns_name"), name=name.lower())
    assert agent.count("web", "dns_name") == 2 * len(tried)
    assert asked(names) == []


def test_types_that_carry_data(names, agent):
    app = names.app(named("web", "api.example"))
    for number, qtype in enumerate(["TXT", "ANY", "NULL", "SRV", "NS", "PTR", 0, 65280, 251]):
        assert app.fails("dns_ask", ROUTER, "api.example", qtype) == "EPERM"
        refused(agent, "dns_type", number + 1)
    assert app.fails("dns_ask", ROUTER, "api.example", "TXT", "tcp", timeout=1) == "ETIMEDOUT"
    eventually(lambda: agent.count("web", "dns_type") >= 10)
    assert len(agent.log(type="dns", app="web", reason="dns_type", qtype="TXT")) >= 2
    assert asked(names) == []


def tcp(message):
    return (struct.pack("!H", len(message)) + message).hex()


ROOT = dns.query("", "A")
GOOD = dns.query("api.example")
BAD = {
    "another opcode": dns.query("api.example", flags=0x2900),
    "an answer": dns.query("api.example", flags=0x8180),
    "two questions": dns.query("api.example", questions=2),
    "no question": struct.pack("!HHHHHH", 7, 0x100, 0, 0, 0, 0),
    "records of an answer": GOOD[:6] + b"\0\1" + GOOD[8:],
    "a class of its own": GOOD[:-2] + b"\0\3",
    "too short": GOOD[:-1],
    "a header": GOOD[:12],
    "one byte": b"x",
    "longer than a query is": GOOD + bytes(512),
    "a loop of compression": GOOD[:12] + b"\xc0\x0c\0\1\0\1",
    "compressed": GOOD[:12] + b"\3api\xc0\x10\0\1\0\1",
    "a label of 64": GOOD[:12] + bytes([64]) + b"a" * 64 + b"\0\0\1\0\1",
    "free text": b"GET / HTTP/1.1\r\nHost: evil.test\r\n\r\n",
}
NO_NAMES = {
    "the root": ROOT,
    "a dot in a label": GOOD[:12] + b"\x0bapi.example\0\0\1\0\1",
    "a zero in a label": GOOD[:12] + b"\3a\0i\7example\0\0\1\0\1",
    "longer than a name is": GOOD[:12] + (b"\x3f" + b"a" * 63) * 4 + b"\0\0\1\0\1",
    "bytes of no alphabet": GOOD[:12] + b"\3\xff\xfe\xfd\7example\0\0\1\0\1",
}


@pytest.mark.parametrize("messages,reason", [(BAD, "dns_malformed"), (NO_NAMES, "dns_name")], ids=["bad", "no names"])
def test_what_is_no_plain_query(names, agent, messages, reason):
    app = names.app(named("web", "api.example"))
    app.open("u", ROUTER, "udp")
    for number, (what, message) in enumerate(messages.items()):
        assert app.fails("put", "u", message.hex(), ROUTER) == "EPERM", what
        assert agent.count("web", reason) == number + 1, what
    refused(agent, reason, len(messages))
    told = eventually(lambda: len(agent.log(type="dns", reason=reason)) >= len(messages) and agent.log(reason=reason))
    for what, message in messages.items():
        before, said = agent.count("web", reason), len(told)
        app.connect(what, ROUTER, 53)
        app.put(what, tcp(message))
        eventually(lambda: agent.count("web", reason) > before, what=what)
        told = eventually(lambda: len(agent.log(reason=reason)) > said and agent.log(reason=reason), what=what)
        app.close(what, reset=True)
    assert asked(names) == [] and names.server.dns_bytes() == 0


def test_bytes_behind_the_question(names, agent):
    """EDNS and its like go to the resolver alone, which drops what it does not know; how much is bounded."""
    app = names.app(named("web", "api.example"))
    app.open("u", ROUTER, "udp")
    edns = dns.query("api.example", edns=True)
    app.put("u", edns.hex(), ROUTER)
    assert app.dns_hear("u")["addresses"] == [API]
    assert app.fails("put", "u", (edns + bytes(600)).hex(), ROUTER) == "EPERM"
    refused(agent, "dns_malformed")
    assert len(asked(names)) == 1


def test_a_query_in_two_segments(names, agent):
    """It has to come whole: the pieces are dropped, and TCP may send them again in one."""
    app = names.app(named("web", "api.example"))
    for query in (dns.query("leak.other.example"), GOOD):
        for cut in (1, 2, 20):
            name = f"{len(query)} {cut}"
            before, told = agent.count("web", "dns_malformed"), len(agent.log(type="dns", reason="dns_malformed"))
            app.connect(name, ROUTER, 53)
            app.option(name, "IPPROTO_TCP", "TCP_NODELAY", 1)
            app.put(name, tcp(query)[: 2 * cut])
            app.put(name, tcp(query)[2 * cut :])
            eventually(lambda: agent.count("web", "dns_malformed") > before)
            eventually(lambda: len(agent.log(type="dns", action="refused", reason="dns_malformed")) > told)
        if query is not GOOD:
            eventually(lambda: agent.count("web", "dns_name") >= 1)  # sent again, whole
            assert names.server.dns_bytes() == 0
    assert app.dns_hear(f"{len(GOOD)} 20", "tcp")["addresses"] == [API]
    assert {name for name, _ in asked(names)} == {"api.example"}
    assert names.server.dns_bytes() % len(bytes.fromhex(tcp(GOOD))) == 0


def test_two_queries_in_one_segment(names, agent):
    """Both have to be allowed."""
    app = names.app(named("web", ["api.example", "a.wild.example"]))
    app.connect("c", ROUTER, 53)
    app.put("c", tcp(GOOD) + tcp(dns.query("a.wild.example", number=9)))
    found = [app.dns_hear("c", "tcp")["addresses"] for _ in range(2)]
    assert found == [[API], ["198.51.100.2"]]
    app.connect("a", API, 443)
    app.connect("b", "198.51.100.2", 443)
    before = asked(names)
    app.connect("d", ROUTER, 53)
    app.put("d", tcp(GOOD) + tcp(dns.query("leak.other.example", number=9)))
    refused(agent, "dns_name", agent.count("web", "dns_name"), name="leak.other.example")
    app.connect("e", ROUTER, 53)
    app.put("e", tcp(GOOD) + b"tail".hex())
    refused(agent, "dns_malformed", agent.count("web", "dns_malformed"))
    assert agent.count("web", "dns_name") >= 1 and agent.count("web", "dns_malformed") >= 1
    app.connect("f", ROUTER, 53)
    told = agent.count("web", "dns_malformed")
    app.put("f", 4 * tcp(GOOD) + tcp(dns.query("leak.other.example", number=9)))  # one more than are read
    eventually(lambda: agent.count("web", "dns_malformed") > told)
    assert asked(names) == before


# ---- Forged answers ------------------------------------------------------------------------------------------------


FAULTS = {"id": "dns_unasked", "name": "dns_unasked", "type": "dns_unasked", "question loop": "dns_malformed",
          "count": "dns_malformed", "size": "dns_malformed", "query": "dns_malformed"}
ELSEWHERE = ["address", "port"]


@pytest.mark.parametrize("connected", [False, True], ids=["unconnected", "connected"])
def test_forged_answers(names, agent, connected):
    """The forged one comes first, and is not what the app reads; the true one is."""
    app = names.app(named("web", "*.wild.example"))
    for number, fault in enumerate([*FAULTS, *ELSEWHERE]):
        name, address, evil = f"f{number}.wild.example", f"198.51.100.{50 + number}", f"192.0.2.{50 + number}"
        names.server.dns_zone({name: {"A": [address], "faults": [fault], "evil": evil}})
        reason = FAULTS.get(fault, "no_ingress_rule")
        before = agent.count("web", reason, "ingress")
        assert app.dns_ask(ROUTER, name, connected=connected)["addresses"] == [address], fault
        app.connect(fault, address, 443)
        shut(names, agent, app, evil)
        if fault in ELSEWHERE and connected:
            continue  # the kernel has no socket for it
        assert agent.count("web", reason, "ingress") == before + 1, fault
    assert {address for _, address in grants(agent, "web")} == {f"198.51.100.{50 + n}" for n in range(9)}
    for action, reason in (("forged", "dns_unasked"), ("dropped", "dns_malformed")):
        event = agent.event(type="dns", app="web", action=action, reason=reason)
        assert (event["verdict"], event["direction"]) == ("deny", "ingress")
        assert len(agent.log(type="dns", app="web", reason=reason)) == list(FAULTS.values()).count(reason)
    if not connected:
        assert agent.event(type="deny", app="web", reason="no_ingress_rule")["direction"] == "ingress"


def test_an_owner_that_leads_to_itself(names, agent):
    """Owners of records are not followed: it came from the resolver and answers the question, so it counts."""
    names.server.dns_zone({"api.example": {"A": [API], "faults": ["loop", "only"], "evil": EVIL}})
    app = names.app(named("web", "api.example"))
    app.open("u", ROUTER, "udp")
    app.put("u", dns.query("api.example").hex(), ROUTER)
    assert app.recv("u")
    assert grants(agent, "web") == {("api.example", EVIL)}
    assert agent.event(type="dns", app="web", action="learned")["addresses"] == [EVIL]
    assert agent.app("web")["denied"] == 0


def test_unasked_answers(names, agent):
    """To a socket that asked something else, that asked nothing, and that has its answer already."""
    app = names.app(named("web", ["api.example", "late.example"]))
    app.dns_ask(ROUTER, "api.example", name="u")
    here = app.socket_name("u")
    question = dns.query("api.example")[12:]
    answer = dns.answer(0x4444, question, [dns.record(b"\xc0\x0c", "A", 60, dns.packed(EVIL))])
    names.server.dns_say(ROUTER, answer.hex(), APP, here[1])
    eventually(lambda: agent.count("web", "dns_unasked", "ingress") == 1)
    assert app.fails("dns_hear", "u", timeout=0.3) == "ETIMEDOUT"
    assert agent.event(type="dns", app="web", action="forged")["addresses"] == [EVIL]
    shut(names, agent, app, EVIL)


def test_an_answer_of_another_resolver(names, agent):
    """Of the policy's as well, and asked before, but not this: whoever has one resolver has not the other."""
    names.server.dns_zone({"api.example": {"AAAA": [API6]}, "slow.example": {"A": [API], "delay": 2}})
    app = names.app(named("web", ["api.example", "slow.example"]))
    app.dns_ask(ROUTER6, "api.example", "AAAA", name="u")
    app.put("u", dns.query("slow.example", number=77).hex(), f"::ffff:{ROUTER}")
    forged = dns.answer(77, dns.query("slow.example")[12:], [dns.record(b"\xc0\x0c", "A", 60, dns.packed(EVIL))])
    names.server.dns_say(ROUTER6, forged.hex(), APP6, app.socket_name("u")[1])
    eventually(lambda: agent.count("web", "dns_unasked", "ingress") == 1)
    assert agent.event(type="dns", app="web", action="forged")["src"] == ROUTER6
    assert app.dns_hear("u")["addresses"] == [API]
    assert {address for _, address in grants(agent, "web")} == {API, API6}
    shut(names, agent, app, EVIL)


def test_an_answer_to_anothers_question(names, agent):
    """Two sockets of one app, and two apps: an answer is good for who asked."""
    one, two = names.app(named("one", "late.example")), names.app(named("two", "late.example"))
    two.bind("u", "0.0.0.0", 0, "udp")
    one.dns_ask(ROUTER, "late.example", number=77)
    two.dns_ask(ROUTER, "late.example", number=78, name="u")
    question = dns.query("late.example")[12:]
    answer = dns.answer(77, question, [dns.record(b"\xc0\x0c", "A", 60, dns.packed(EVIL))])
    names.server.dns_say(ROUTER, answer.hex(), APP, two.socket_name("u")[1])
    eventually(lambda: agent.count("two", "dns_unasked", "ingress") == 1)
    assert agent.event(type="dns", app="two", action="forged")["name"] == "late.example"
    assert grants(agent, "two") == {("late.example", "198.51.100.8")}
    assert two.fails("connect", "c", EVIL, 443) == "EPERM"
    names.unseen(EVIL)


def test_an_app_that_answers_itself(names, agent):
    app = names.app(named("web", "api.example", dns={"resolvers": [ROUTER, "127.0.0.11"]}))
    for address in ("127.0.0.11", "0.0.0.0", APP, "::"):
        assert app.fails("bind", f"b {address}", address, 53, "udp") == "EPERM", address
        assert app.fails("bind", f"t {address}", address, 53, "tcp") == "EPERM", address
    assert agent.count("web", "bind_dns", "ingress") == 8
    agent.event(type="deny", app="web", reason="bind_dns")
    assert app.fails("dns_ask", "127.0.0.11", "api.example", timeout=1) is not None  # nobody is there
    assert not grants(agent, "web")


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_an_app_behind_the_nat_of_its_resolver(names, agent, proto):
    """The resolver's nat leads to a port that the app got hold of."""
    app = names.app(named("web", "api.example", dns={"resolvers": ["127.0.0.11"]}), uid=0, caps=[10])
    run("ip", "netns", "exec", names.network.app, "nft", "-f", "-", text="""table ip t { chain o {
        type nat hook output priority -100
        ip daddr 127.0.0.11 meta l4proto { tcp, udp } th dport 53 dnat to 127.0.0.11:5555
    }
    }""")
    if proto == "tcp":
        app.listen("evil", "127.0.0.11", 5555)
    else:
        app.bind("evil", "127.0.0.11", 5555, "udp")
    error = app.fails("dns_ask", "127.0.0.11", "api.example", "A", proto, timeout=1)
    assert error in ("EPERM", "ETIMEDOUT")
    event = agent.event(type="dns", app="web", action="refused", name="api.example")
    assert event["reason"] == "loopback" and agent.count("web", "loopback") >= 1
    if proto == "udp":
        assert app.fails("recv", "evil", timeout=0.3) == "ETIMEDOUT"
    assert not grants(agent, "web")


# ---- Answers that say too much ---------------------------------------------------------------------------------------


PRIVATE = ["169.254.169.254", "10.77.1.20", "127.0.0.1", "0.0.0.0", "192.168.1.1", "172.16.0.1", "100.64.0.1",
           "224.0.0.1", "255.255.255.255", "169.254.170.2", "100.100.100.200", "168.63.129.16"]
PRIVATE6 = ["fd00:ec2::254", "64:ff9b::a9fe:a9fe", "64:ff9b::a4d:114", "::ffff:10.77.1.20", "::ffff:169.254.169.254",
            "::1", "::", "fe80::1", "fd77:1::20", "ff02::1", "2002:a4d:114::1", "64:ff9b:1::a9fe:a9fe"]


@pytest.mark.parametrize("private", [None, ["192.168.0.0/16"], ["0.0.0.0/0", "::/0"]], ids=["none", "other", "all"])
def test_answers_that_are_not_public(names, agent, private):
    """Metadata never, whatever `private` says; the rest inside of it only. The answer passes all the same."""
    names.server.dns_zone({"api.example": {"A": [*PRIVATE, API], "AAAA": [*PRIVATE6, API6]}})
    app = names.app(named("web", "api.example", more={"private": private} if private else {}))
    assert API in app.dns_ask(ROUTER, "api.example")["addresses"]
    assert API6 in app.dns_ask(ROUTER, "api.example", "AAAA")["addresses"]
    granted = {address for _, address in grants(agent, "web")}
    assert {API, API6} <= granted
    metadata = {"169.254.169.254", "169.254.170.2", "100.100.100.200", "168.63.129.16", "fd00:ec2::254",
                "64:ff9b::a9fe:a9fe", "64:ff9b:1::a9fe:a9fe"}
    assert not granted & metadata
    if private != ["0.0.0.0/0", "::/0"]:
        assert granted - {API, API6} == ({"192.168.1.1"} if private else set())
        shut(names, agent, app, DENIED)
        shut(names, agent, app, "fd77:1::20")
    for address in ("169.254.169.254", "fd00:ec2::254", "64:ff9b::a9fe:a9fe"):
        assert app.fails("sendto", f"m{address}", address, 443) == "EPERM"
    event = agent.event(type="dns", app="web", reason="dns_private", qtype="A")
    assert (event["name"], event["verdict"]) == ("api.example", "audit")
    agent.event(type="dns", app="web", reason="dns_private", qtype="AAAA")
    app.connect("ok", API, 443)
    app.connect("ok6", API6, 443)


def test_more_addresses_than_are_read(names, agent):
    """64 are granted; an answer with more is dropped, never passed without its grants."""
    many = [f"198.51.100.{number}" for number in range(80)]
    names.server.dns_zone({"many.example": {"A": many}, "some.example": {"A": many[:64]}})
    app = names.app(named("web", ["many.example", "some.example"]))
    assert len(app.dns_ask(ROUTER, "some.example")["addresses"]) == 64
    app.connect("c", many[63], 443)
    assert app.fails("dns_ask", ROUTER, "many.example", timeout=1) == "ETIMEDOUT"
    assert agent.count("web", "dns_malformed", "ingress") == 1
    assert agent.event(type="dns", app="web", action="dropped", name="many.example")["reason"] == "dns_malformed"
    shut(names, agent, app, many[70])


def test_a_flood_of_random_answers(names, agent):
    """Bytes from the resolver's own port: nothing is granted, nobody stumbles."""
    app = names.app(named("web", "api.example"))
    app.dns_ask(ROUTER, "api.example", name="u")
    here, chance = app.socket_name("u")[1], random.Random(7)
    good = dns.answer(0x1234, dns.query("api.example")[12:], [dns.record(b"\xc0\x0c", "A", 60, dns.packed(API))])
    for _ in range(300):
        data = bytearray(good)
        for _ in range(chance.randint(1, 6)):
            data[chance.randrange(30)] = chance.randrange(256)
        names.server.dns_say(ROUTER, bytes(data[: chance.randint(1, len(data))]).hex(), APP, here)
    found = grants(agent, "web")
    assert {name for name, _ in found} == {"api.example"}
    assert agent.count("web", "dns_malformed", "ingress") + agent.count("web", "dns_unasked", "ingress") > 200
    assert app.dns_ask(ROUTER, "api.example")["addresses"] == [API]
    assert agent.event(type="dns", app="web", action="dropped")["reason"] == "dns_malformed"

# SPDX-License-Identifier: Apache-2.0
"""DNS names with real resolvers and sockets: what may be asked, what an answer opens, and for how long."""
import struct
from concurrent.futures import ThreadPoolExecutor

import pytest

from harness import dns, eventually
from harness.names import API, API6, MANY, ZONE, asked, begin, grants, learned, named, opens, refused, resolv_conf
from harness.net import ROUTER, ROUTER6, run
from harness.pinned import Map

@pytest.fixture
def names(host):
    """The host, with a resolver and a server."""
    begin(host)
    return host


# ---- Asking and connecting -----------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"connected": True}, {"proto": "tcp"}, {"edns": True}],
                         ids=["udp", "connected", "tcp", "edns"])
@pytest.mark.parametrize("server,qtype,address", [(ROUTER, "A", API), (ROUTER6, "AAAA", API6)], ids=["v4", "v6"])
def test_an_answer_opens_its_addresses(names, agent, server, qtype, address, how):
    app = names.app(named("web", "api.example"))
    assert app.fails("connect", "early", address, 443) == "EPERM"
    assert agent.event(type="deny", app="web", dst=address)["reason"] == "no_grant"
    assert app.dns_ask(server, "api.example", qtype, **how)["addresses"] == [address]
    name = opens(app, address)
    assert app.fails("connect", "port", address, 444) == "EPERM"
    event = learned(agent, "web", "api.example", qtype=qtype)
    assert event["addresses"] == [address] and event["ttl"] == 60 and event["verdict"] == "allow"
    assert list(grants(agent, "web")) == [("api.example", address)]
    app.close(name)
    end = agent.event(type="flow", app="web", phase="end", dst=address)
    assert (end["name"], end["rule"]) == ("api.example", "named")
    assert asked(names) == [("api.example", qtype)]
    assert agent.count("web", "no_grant") == 1


@pytest.mark.parametrize("proto", ["udp", "tcp"])
def test_another_name_never_leaves(names, agent, proto):
    app = names.app(named("web", "api.example"))
    error = app.fails("dns_ask", ROUTER, "secret-data.other.example", "A", proto, timeout=2)
    assert error == ("EPERM" if proto == "udp" else "ETIMEDOUT")
    event = agent.event(type="dns", app="web", action="refused", name="secret-data.other.example")
    assert (event["reason"], event["qtype"], event["dst"], event["dst_port"]) == ("dns_name", "A", ROUTER, 53)
    assert agent.count("web", "dns_name") >= 1
    assert asked(names) == []


def test_wildcards(names, agent):
    app = names.app(named("web", ["*.wild.example", "api.example"]))
    for name, address in (("a.wild.example", "198.51.100.2"), ("b.a.wild.example", "198.51.100.3")):
        assert app.dns_ask(ROUTER, name)["addresses"] == [address]
        opens(app, address)
    assert app.fails("dns_ask", ROUTER, "wild.example") == "EPERM"
    assert app.fails("dns_ask", ROUTER, "x.api.example") == "EPERM"
    assert app.fails("dns_ask", ROUTER, "notwild.example") == "EPERM"
    refused(agent, "web", "wild.example", 3)
    refused(agent, "web", "x.api.example", 3)
    assert len(asked(names)) == 2
    assert app.fails("connect", "c", "198.51.100.4", 443) == "EPERM"


def test_aliases_are_granted_to_the_name_that_was_asked(names, agent):
    app = names.app(named("web", "alias.example"))
    assert app.dns_ask(ROUTER, "alias.example")["addresses"] == ["198.51.100.5"]
    assert app.dns_ask(ROUTER, "alias.example", "AAAA")["addresses"] == ["2001:db8::5"]
    opens(app, "198.51.100.5")
    opens(app, "2001:db8::5")
    assert set(grants(agent, "web")) == {("alias.example", "198.51.100.5"), ("alias.example", "2001:db8::5")}
    assert app.fails("dns_ask", ROUTER, "b.cdn.test") == "EPERM"
    refused(agent, "web", "b.cdn.test")


def test_hints_of_https_records(names, agent):
    app = names.app(named("web", "hint.example"))
    app.dns_ask(ROUTER, "hint.example", "HTTPS")
    for address in ("198.51.100.6", "198.51.100.7", "2001:db8::6"):
        opens(app, address)
    assert learned(agent, "web", "hint.example", qtype="HTTPS")["address_count"] == 3


def test_ask_only(names, agent):
    app = names.app(named("web", "api.example", dns={"ask_only": ["other.example"]}))
    assert app.dns_ask(ROUTER, "other.example")["addresses"] == ["198.51.100.9"]
    assert app.dns_ask(ROUTER, "api.example.other.example")["rcode"] == 3
    assert app.fails("connect", "c", "198.51.100.9", 443) == "EPERM"
    assert agent.count("web", "no_grant") == 1 and agent.count("web", "dns_name") == 0
    assert agent.event(type="deny", app="web", reason="no_grant")["dst"] == "198.51.100.9"
    assert not grants(agent, "web")


def test_types_are_the_policys(names, agent):
    app = names.app(named("web", "hint.example"))
    assert app.fails("dns_ask", ROUTER, "hint.example", "TXT") == "EPERM"
    assert refused(agent, "web", "hint.example", reason="dns_type")["qtype"] == "TXT"
    assert asked(names) == []
    agent.put({**named("web", "hint.example", dns={"types": ["TXT"]}), "cgroups": names.glob_of("web")})
    assert app.dns_ask(ROUTER, "hint.example", "TXT")["rcode"] == 0
    assert agent.count("web", "dns_type") == 1


def test_rate(names, agent):
    app = names.app(named("web", "api.example", dns={"rate": "5/min"}))
    outcomes = [app.fails("dns_ask", ROUTER, "api.example") for _ in range(8)]
    passed = outcomes.count(None)
    assert passed < 8 and set(outcomes) == {None, "EPERM"}
    assert agent.count("web", "dns_rate") == 8 - passed
    assert len(asked(names)) == passed
    assert agent.event(type="rate", app="web", reason="dns_rate")["limit_queries_per_min"] == 5


def test_cut_short_and_asked_again_by_tcp(names, agent):
    """40 addresses, in segments of 1, 1, 10, 30 and the rest."""
    app = names.app(named("web", "big.example"))
    assert app.dns_ask(ROUTER, "big.example")["tc"]
    assert not grants(agent, "web")
    assert app.dns_ask(ROUTER, "big.example", proto="tcp")["addresses"] == MANY
    for address in (MANY[0], MANY[20], MANY[-1]):
        opens(app, address)
    assert learned(agent, "web", "big.example")["address_count"] == len(MANY)
    assert agent.app("web")["denied"] == 0


def test_several_queries_in_one_segment_and_on_one_connection(names, agent):
    app = names.app(named("web", ["api.example", "*.wild.example"]))
    app.dns_ask(ROUTER, "api.example", proto="tcp", name="c")
    assert app.dns_ask(ROUTER, "a.wild.example", proto="tcp", name="c")["addresses"] == ["198.51.100.2"]
    opens(app, "198.51.100.2")
    for _ in range(40):  # more than a socket's questions are remembered
        app.dns_ask(ROUTER, "api.example", proto="tcp", name="c")
    assert agent.app("web")["denied"] == 0


def test_answers_out_of_order(names, agent):
    """On one TCP connection (RFC 7766, 6.2.1.1): each is matched by its id, and opens its own addresses."""
    names.server.dns_zone({**ZONE, "late.example": {"A": ["198.51.100.8"], "late": True}})
    app = names.app(named("web", ["api.example", "late.example"]))
    app.connect("c", ROUTER, 53)
    for number, name in ((1, "late.example"), (2, "api.example")):
        message = dns.query(name, number=number)
        app.put("c", (len(message).to_bytes(2, "big") + message).hex())
    first, second = app.dns_hear("c", "tcp"), app.dns_hear("c", "tcp")
    assert [(one["id"], one["addresses"]) for one in (first, second)] == [(2, [API]), (1, ["198.51.100.8"])]
    opens(app, API)
    opens(app, "198.51.100.8")
    assert set(grants(agent, "web")) == {("api.example", API), ("late.example", "198.51.100.8")}
    assert learned(agent, "web", "late.example")["addresses"] == ["198.51.100.8"]
    assert agent.app("web")["denied"] == 0


def test_upper_case_and_a_server_that_answers_in_lower(names, agent):
    app = names.app(named("web", ["api.example", "lower.example"]))
    assert app.dns_ask(ROUTER, "aPI.eXample")["addresses"] == [API]
    assert app.dns_ask(ROUTER, "LOWER.example.")["addresses"] == [API]
    opens(app, API)
    assert agent.app("web")["denied"] == 0 and asked(names)[0] == ("aPI.eXample", "A")
    assert learned(agent, "web", "api.example")["addresses"] == [API]


# ---- How long -------------------------------------------------------------------------------------------------


class TestShort:
    @pytest.fixture
    def config(self):
        return {"grant_floor": "1s", "limits": {"grants": 16}}

    def test_the_end_of_a_grant(self, names, agent):
        names.server.dns_zone({"api.example": {"A": [API], "ttl": 1}})
        app = names.app(named("web", "api.example"))
        app.dns_ask(ROUTER, "api.example")
        live = opens(app, API)
        eventually(lambda: grants(agent, "web")["api.example", API]["expired"])
        assert app.fails("connect", "late", API, 443) == "EPERM"
        assert agent.count("web", "grant_expired") == 1
        assert agent.event(type="deny", app="web", reason="grant_expired")["dst"] == API
        assert app.ask(live, "still") == "still"
        app.dns_ask(ROUTER, "api.example")
        opens(app, API)
        assert agent.app("web")["denied"] == 1

    def test_ttl_out_of_range(self, names, agent):
        names.server.dns_zone({"zero.example": {"A": [API], "ttl": 0}, "huge.example": {"A": [MANY[0]], "ttl": 1 << 31},
                               "long.example": {"A": [MANY[1]], "ttl": (1 << 31) - 1}})
        app = names.app(named("web", ["zero.example", "huge.example", "long.example"]))
        for name in ("zero.example", "huge.example", "long.example"):
            app.dns_ask(ROUTER, name)
        found = {name: one["rest_s"] for (name, _), one in grants(agent, "web").items()}
        assert found["zero.example"] <= 1 and found["huge.example"] <= 1 and 1000 < found["long.example"] < 1 << 30
        opens(app, MANY[1])

    def test_eviction(self, names, agent):
        """16 grants; what makes room is counted, and flows that live are not touched."""
        names.server.dns_zone({**ZONE, "many.example": {"A": MANY[:10], "rotate": 1, "ttl": 300},
                               **{f"n{n}.wild.example": {"A": [MANY[n]], "ttl": 300} for n in range(30)}})
        app = names.app(named("web", ["api.example", "*.wild.example"]))
        app.dns_ask(ROUTER, "api.example")
        live = opens(app, API)
        for number in range(30):
            app.dns_ask(ROUTER, f"n{number}.wild.example")
            opens(app, MANY[number])
        found = agent.get("/v1/apps/web?grants=1")["grants"]
        assert len(found["list"]) <= 16 and found["evicted"] >= 15, found
        assert app.fails("connect", "gone", API, 443) == "EPERM"
        assert agent.event(type="deny", app="web", dst=API)["reason"] == "no_grant"
        assert app.ask(live, "alive") == "alive"
        app.dns_ask(ROUTER, "api.example")
        opens(app, API)

    def test_one_name_pushes_out_its_own_first(self, names, agent):
        names.server.dns_zone({**ZONE, "many.example": {"A": MANY, "rotate": 1, "ttl": 300}})
        app = names.app(named("web", ["api.example", "many.example"]))
        app.dns_ask(ROUTER, "api.example")
        for _ in range(30):
            (address,) = app.dns_ask(ROUTER, "many.example")["addresses"]
            opens(app, address)
        opens(app, API)
        assert agent.app("web")["denied"] == 0


class TestNoRoom:
    @pytest.fixture
    def config(self):
        return {"max_apps": 4, "limits": {"grants": 16}}

    def test_no_answer_without_its_grant(self, names, agent):
        """The table is as large as all quotas together, so nothing but a fault fills it: then an answer is dropped."""
        app, other = names.app(named("web", "api.example")), names.app(named("other", "api.example"))
        app.dns_ask(ROUTER, "api.example")
        live, table, owner = opens(app, API), Map(agent, "grants"), agent.app("other")
        room = table.room() - len(table.keys())
        filled = [struct.pack("=II16sII", owner["slot"], owner["gen"], bytes(16), n, 0) for n in range(room)]
        size = table.run("show", "pinned", table.path)["bytes_value"]
        table.update((key, bytes(size)) for key in filled)
        assert other.fails("dns_ask", ROUTER, "api.example", timeout=1) == "ETIMEDOUT"
        assert ("api.example", "A") in asked(names)[1:]
        assert agent.count("other", "dns_shortage", "ingress") == 1
        event = agent.event(type="dns", app="other", action="dropped", name="api.example")
        assert (event["reason"], event["verdict"]) == ("dns_shortage", "deny")
        assert other.fails("connect", "c", API, 443) == "EPERM"
        assert agent.count("other", "no_grant") == 1
        assert app.ask(live, "still") == "still"
        table.delete(filled)
        other.dns_ask(ROUTER, "api.example")
        opens(other, API)


# ---- Policies, apps, the agent ------------------------------------------------------------------------------------


def test_a_change_of_policy(names, agent):
    """What stays allowed by name stays granted; a live flow whose name goes is cut."""
    made = {**named("web", ["api.example", "*.wild.example"]), "cgroups": names.glob_of("web")}
    app = names.app(made)
    app.dns_ask(ROUTER, "api.example")
    app.dns_ask(ROUTER, "a.wild.example")
    kept, gone = opens(app, API), opens(app, "198.51.100.2")
    agent.put({**named("web", ["api.example", "b.example"]), "cgroups": names.glob_of("web")})
    assert app.ask(kept, "kept") == "kept"
    assert app.end(gone) is not None
    app.close(kept)
    opens(app, API)
    assert app.fails("connect", "new", "198.51.100.2", 443) == "EPERM"
    assert agent.event(type="deny", app="web", dst="198.51.100.2")["reason"] == "no_grant"
    agent.put({**made, "ticket": "SEC-2"})
    opens(app, "198.51.100.2")
    assert len(asked(names)) == 2


def test_no_rule_and_no_grant(names, agent):
    app = names.app(named("web", "api.example"))
    assert app.fails("connect", "a", API, 443) == "EPERM"
    assert app.fails("connect", "b", API, 80) == "EPERM"
    assert (agent.count("web", "no_grant"), agent.count("web", "no_rule")) == (1, 1)
    assert agent.event(type="deny", app="web", dst_port=443)["reason"] == "no_grant"
    assert agent.event(type="deny", app="web", dst_port=80)["reason"] == "no_rule"


def test_one_apps_answer_is_not_anothers(names, agent):
    one, two = names.app(named("one", "api.example")), names.app(named("two", "api.example"))
    one.dns_ask(ROUTER, "api.example")
    opens(one, API)
    assert two.fails("connect", "c", API, 443) == "EPERM"
    assert two.fails("sendto", "u", API, 443) == "EPERM"
    assert agent.count("two", "no_grant") == 1 and agent.app("one")["denied"] == 0
    assert agent.event(type="deny", app="two", dst=API, proto="tcp")["reason"] == "no_grant"
    two.dns_ask(ROUTER, "api.example")
    opens(two, API)


def test_without_the_agent(names, agent):
    app = names.app(named("web", ["api.example", "*.wild.example"]))
    app.dns_ask(ROUTER, "api.example")
    agent.kill9()
    opens(app, API)
    assert app.dns_ask(ROUTER, "a.wild.example")["addresses"] == ["198.51.100.2"]
    live = opens(app, "198.51.100.2")
    assert app.fails("dns_ask", ROUTER, "other.example") == "EPERM"
    assert app.fails("connect", "c", "198.51.100.9", 443) == "EPERM"
    agent.start()
    assert set(grants(agent, "web")) == {("api.example", API), ("a.wild.example", "198.51.100.2")}
    assert app.ask(live, "adopted") == "adopted"
    opens(app, API)
    assert agent.count("web", "dns_name") == 1
    assert asked(names) == [("api.example", "A"), ("a.wild.example", "A")]


def test_what_people_see(names, agent):
    app = names.app(named("web", "api.example"))
    app.dns_ask(ROUTER, "api.example")
    status, out, _ = agent.cli("app", "web")
    assert status == 0 and "api.example" in out and API in out
    by_name = agent.explain("web", "api.example:443")
    assert [(one["name"], one["address"]) for one in by_name["grants"]] == [("api.example", API)]
    by_address = agent.explain("web", f"{API}:443")
    assert (by_address["verdict"], by_address["rule"]) == ("allow", "named")
    assert by_address["grant"]["name"] == "api.example"
    denied = agent.explain("web", "198.51.100.9:443")
    assert (denied["verdict"], denied["reason"]) == ("deny", "no_grant")


# ---- A resolver on loopback ----------------------------------------------------------------------------------------

DOCKER = """
table ip docker {
    chain out {
        type nat hook output priority -100;
        ip daddr 127.0.0.11 udp dport 53 dnat to 127.0.0.11:5353
        ip daddr 127.0.0.11 tcp dport 53 dnat to 127.0.0.11:5353
    }
}
"""


def docker(host):
    """A resolver as Docker's: in the app's namespace, at a port that nat leads to; it belongs to no app."""
    resolver = host.outsider(netns=host.network.app)
    resolver.dns_serve(["127.0.0.11"], ZONE, 5353)
    run("ip", "netns", "exec", host.network.app, "nft", "-f", "-", text=DOCKER)
    return resolver


@pytest.mark.parametrize("how", [{}, {"connected": True}, {"proto": "tcp"}], ids=["udp", "connected", "tcp"])
def test_a_resolver_behind_nat_on_loopback(names, agent, how):
    resolver = docker(names)
    app = names.app(named("web", ["api.example", "big.example"], dns={"resolvers": ["127.0.0.11"]}),
                    files=resolv_conf(names, "127.0.0.11"))
    assert app.dns_ask("127.0.0.11", "api.example", **how)["addresses"] == [API]
    opens(app, API)
    assert app.lookup("api.example", "AF_INET")["addresses"] == [API]
    assert app.lookup("big.example", "AF_INET")["addresses"] == sorted(MANY)
    opens(app, MANY[7])
    assert app.fails("dns_ask", "127.0.0.11", "other.example", timeout=2, **how) in ("EPERM", "ETIMEDOUT")
    event = agent.event(type="dns", app="web", action="refused", name="other.example")
    assert event["reason"] == "dns_name" and agent.count("web", "dns_name") >= 1
    assert "other.example" not in {each["name"] for each in resolver.dns_asked()}
    assert asked(names) == []
    assert app.fails("connect", "c", "198.51.100.9", 443) == "EPERM"


# ---- Many -----------------------------------------------------------------------------------------------------------

ROUNDS, CLIENTS = 2500, 4


class TestMany:
    @pytest.fixture
    def config(self):
        return {"grant_floor": "1s"}

    def test_resolve_then_connect(self, host, agent):
        """10,000 rounds at once, every answer with other addresses and a TTL of one second; the agent dies within."""
        addresses = [f"198.51.{100 + number // 256}.{number % 256}" for number in range(1024)]
        host.network.public("198.51.100.0/22")
        host.server.dns_serve([ROUTER], {"many.example": {"A": addresses, "rotate": 1, "ttl": 1}})
        reflector = host.outsider(netns=host.network.server)
        reflector.reflect(4000)
        app = host.app(named("web", "many.example", 4000, "udp"))
        outsiders = host.app(named("other", "many.example", 4000, "udp"))
        clients = [app, *(host.process(host.cgroup_of("web")) for _ in range(CLIENTS - 1))]
        deaths = 0
        with ThreadPoolExecutor(CLIENTS) as pool:
            running = [pool.submit(one.rounds, ROUTER, "many.example", ROUNDS, 4000) for one in clients]
            while not all(one.done() for one in running):
                agent.kill9()
                deaths += any(not one.done() for one in running)
                agent.start()
            tallies = [one.result() for one in running]
        assert tallies == [{"ok": ROUNDS}] * CLIENTS
        assert deaths >= 2
        counted = agent.app("web")
        assert counted["denied"] == 0, counted["reasons"]
        assert len(host.server.dns_asked()) == ROUNDS * CLIENTS
        assert outsiders.fails("sendto", "u", addresses[0], 4000) == "EPERM"
        assert agent.count("other", "no_grant") == 1
        assert agent.event(type="deny", app="other", reason="no_grant")["dst"] == addresses[0]

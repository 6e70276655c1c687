# SPDX-License-Identifier: Apache-2.0
"""Caps and rates: not one byte over, whoever sends and however many."""
import os
import re
import time

import pytest

from harness import ALLOWED, ALLOWED6, APP, OTHER, cgroup, eventually, policy, rule, source

RESET = {"ECONNABORTED", "ECONNRESET", "EPIPE"}
LONG = "31d"  # the longest window: it doesn't end in the middle of a test, but for one minute in 31 days
LONG_S = 31 * 86400


def egress(size, per=LONG, action="drop"):
    return {"egress": {"bytes": f"{size}B", "per": per, "action": action}}


def ingress(size, per=LONG, action="drop"):
    return {"ingress": {"bytes": f"{size}B", "per": per, "action": action}}


@pytest.fixture
def servers(host):
    host.serve([ALLOWED, ALLOWED6, OTHER], 443)
    host.serve([ALLOWED, ALLOWED6], 4443, mode="sink")


def the_cap(agent, app, direction="egress", scope="app"):
    (cap,) = [cap for cap in agent.app(app)["caps"] if (cap["direction"], cap["scope"]) == (direction, scope)]
    return cap


# ---- Exact -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("address, header", [(ALLOWED, 28), (ALLOWED6, 48)], ids=["ipv4", "ipv6"])
def test_egress_udp_to_the_byte(host, agent, servers, address, header):
    """The cap holds 20 datagrams and all of a small one: the 21st is refused, what fits still goes."""
    payload = 1000 - header
    app = host.app(policy("cap", [rule(address, 4443, "udp")], limits=egress(20 * 1000 + 40 + header)))
    app.connect("u", address, 4443, "udp")
    assert app.burst("u", None, None, payload, 30) == {"sent": 20, "EPERM": 10}
    assert app.fails("send", "u", "x" * 41) == "EPERM"
    assert app.send("u", "x" * 40) == 40
    assert app.fails("send", "u", "x") == "EPERM"
    assert host.wire("in", dst=address, proto="udp") == (21, 20 * 1000 + 40 + header)
    cap = the_cap(agent, "cap")
    assert cap["used"] == cap["limit"] == 20 * 1000 + 40 + header
    assert agent.count("cap", "cap_egress") == 12
    assert agent.app("cap")["bytes_out"] == cap["limit"]


def test_cap_of_one_byte(host, agent, servers):
    app = host.app(policy("tiny", [rule(ALLOWED, 443), rule(ALLOWED, 443, "udp")], limits=egress(1)))
    assert app.fails("sendto", "u", ALLOWED, 443) == "EPERM"
    assert app.fails("connect", "c", ALLOWED, 443, timeout=1.5) in ("EPERM", "ETIMEDOUT")
    host.unseen(ALLOWED)


@pytest.mark.parametrize("address", [ALLOWED, ALLOWED6], ids=["ipv4", "ipv6"])
def test_egress_tcp_with_gso(host, agent, servers, address):
    limit = 1_000_000
    app = host.app(policy("gso", [rule(address, 4443)], limits=egress(limit)))
    app.connect("c", address, 4443)
    app.push("c", 4 * limit, timeout=3)

    def all_counted():
        """What was counted is what the server saw."""
        counted, (packets, size) = agent.app("gso"), host.wire("in", dst=address, proto="tcp", port=4443)
        assert limit * 0.9 < size <= limit
        assert (counted["packets_out"], counted["bytes_out"]) == (packets, size)
        return the_cap(agent, "gso")["used"] == size and size

    size = eventually(all_counted)
    assert host.received("tcp", address, 4443) < size
    assert agent.count("gso", "cap_egress") > 0


def test_many_processes_contend(host, agent, servers):
    """Eight senders on all CPUs: together they get the cap to the packet."""
    limit = 500 * 128
    host.agent.put(policy("crowd", [rule([ALLOWED, ALLOWED6], 4443, "udp")], limits=egress(limit),
                          cgroups=host.glob_of("crowd")))
    first = host.app(name="crowd")
    workers = [first] + [host.process(host.cgroup_of("crowd")) for _ in range(7)]
    for number, worker in enumerate(workers):
        worker.flood_udp("f", ALLOWED, 4443, 100, count=400)
    eventually(lambda: not any(worker.flood_running("f") for worker in workers), 60)
    sent = sum(worker.flood_stop("f").get("sent", 0) for worker in workers)
    packets, size = host.wire("in", dst=ALLOWED, proto="udp")
    # the last bytes may stay unused: a race that is lost costs a packet and never gives one
    assert packets == sent and 490 <= packets <= 500
    assert size == packets * 128 <= limit
    assert agent.app("crowd")["bytes_out"] == size
    assert the_cap(agent, "crowd")["used"] <= limit
    assert agent.count("crowd", "cap_egress") == 8 * 400 - sent


def test_many_tcp_connections_contend(host, agent, servers):
    limit = 2_000_000
    host.agent.put(policy("crowd", [rule(ALLOWED, 4443)], limits=egress(limit), cgroups=host.glob_of("crowd")))
    first = host.app(name="crowd")
    workers = [first] + [host.process(host.cgroup_of("crowd")) for _ in range(5)]
    for worker in workers:
        worker.connect("p", ALLOWED, 4443)
    for worker in workers:
        worker.flood_push("p", timeout=2)
    eventually(lambda: agent.count("crowd", "cap_egress") > 0 and the_cap(agent, "crowd")["used"] > limit * 0.9, 60)

    def all_counted():
        counted = agent.app("crowd")
        packets, size = host.wire("in", dst=ALLOWED, proto="tcp", port=4443)
        assert limit * 0.9 < size <= limit
        return (counted["packets_out"], counted["bytes_out"]) == (packets, size)

    eventually(all_counted, what="that what was counted is what the server saw")
    for worker in workers:
        worker.flood_stop("p")
    assert host.wire("in", dst=ALLOWED, proto="tcp", port=4443)[1] <= limit


@pytest.mark.parametrize("address, header", [(ALLOWED, 28), (ALLOWED6, 48)], ids=["ipv4", "ipv6"])
def test_ingress_udp_to_the_byte(host, agent, servers, address, header):
    """What is delivered counts; what was not, doesn't."""
    payload = 1000 - header
    app = host.app(policy("in", [rule(address, 4500, "udp")], limits=ingress(10 * 1000 + 999)))
    host.server.bind("s", address, 4500, "udp")
    app.connect("u", address, 4500, "udp")
    mine = app.socket_name("u")
    app.send("u")
    host.server.burst("s", *mine, payload, 15)
    assert app.count_datagrams("u") == [10, 10 * payload]
    assert host.wire("out", src=address, proto="udp") == (15, 15 * 1000)
    cap = the_cap(agent, "in", "ingress")
    assert cap["used"] == 10 * 1000 == agent.app("in")["bytes_in"]
    assert agent.count("in", "cap_ingress", "ingress") == 5


def test_ingress_tcp(host, agent, servers):
    host.serve([ALLOWED], 8000, ["tcp"], "source:4000000")
    limit = 1_000_000
    app = host.app(policy("down", [rule(ALLOWED, 8000)], limits=ingress(limit)))
    app.connect("c", ALLOWED, 8000)
    got = app.pull("c", timeout=3)
    assert limit * 0.85 < got["bytes"] < limit

    def settled():
        """No more comes in between two looks."""
        counted = agent.app("down")
        assert got["bytes"] < counted["bytes_in"] <= limit
        return the_cap(agent, "down", "ingress")["used"] == counted["bytes_in"]

    eventually(settled)
    assert agent.count("down", "cap_ingress", "ingress") > 0


def test_an_outsider_can_not_use_up_an_ingress_cap(host, agent, servers):
    app = host.app(policy("victim", [rule(ALLOWED, 443, "udp")], limits=ingress(5000)))
    app.bind("u", APP, 7000, "udp")
    host.server.bind("s", OTHER, 0, "udp")
    host.server.burst("s", APP, 7000, 1000, 50)
    eventually(lambda: agent.count("victim", "no_ingress_rule", "ingress") == 50)
    assert the_cap(agent, "victim", "ingress")["used"] == 0
    app.sendto("u", ALLOWED, 443, "still")
    assert app.recv("u") == "still"


def test_denied_packets_and_loopback_cost_nothing(host, agent, servers):
    app = host.app(policy("free", [rule(ALLOWED, 443, "udp")], limits=egress(10000)))
    for _ in range(5):
        assert app.fails("sendto", "u", OTHER, 443, "x" * 1000) == "EPERM"
    port = app.listen("l", "127.0.0.1", 0)
    app.connect("c", "127.0.0.1", port)
    app.accept("l", "a")
    app.push("c", 100_000, timeout=2)
    assert the_cap(agent, "free")["used"] == 0


# ---- What happens at the cap ----------------------------------------------------------------------------------


def test_new_connects_get_eperm(host, agent, servers):
    app = host.app(policy("spent", [rule(ALLOWED, 443), rule(ALLOWED, 4443, "udp")], limits=egress(1028)))
    app.burst("u", ALLOWED, 4443, 1000, 1)
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    event = agent.event(type="deny", app="spent", reason="cap_egress", hook="connect")
    assert event["dst_port"] == 443


def test_live_tcp_is_reset_when_much_of_the_window_is_left(host, agent, servers):
    app = host.app(policy("stalled", [rule(ALLOWED, 4443)], limits=egress(200_000)))
    app.connect("c", ALLOWED, 4443)
    outcome = app.push("c", 10_000_000, timeout=15)
    assert outcome["end"] in RESET, outcome


def test_after_that_new_connections_are_refused(host, agent, servers):
    made = policy("later", [rule(ALLOWED, 4443)], limits=egress(200_000, "31d"), cgroups=host.glob_of("later"))
    app = host.app(made)
    app.connect("c", ALLOWED, 4443)
    assert app.push("c", 10_000_000, timeout=15)["end"] in RESET
    assert app.fails("connect", "d", ALLOWED, 4443) == "EPERM"
    assert agent.event(type="deny", app="later", reason="cap_egress", hook="connect")["dst_port"] == 4443
    size = host.wire("in", dst=ALLOWED, proto="tcp")[1]
    assert size <= 200_000 and the_cap(agent, "later")["used"] == size
    agent.put({**made, "limits": egress(400_000, "31d")})  # makes room
    app.connect("e", ALLOWED, 4443)
    assert app.push("e", 100_000) == {"bytes": 100_000, "end": None}


def test_a_connection_accepted_after_that_does_not_stall_either(host, agent, servers):
    """What is left of the cap is room for its handshake. The listener lives on."""
    app = host.app(policy("server", [rule(ALLOWED, 4443, "udp")], ingress=[source("10.77.1.1", 8080)],
                          limits=egress(8900, "31d")))
    app.listen("l", APP, 8080)
    assert app.burst("u", ALLOWED, 4443, 972, 9) == {"sent": 8, "EPERM": 1}
    agent.event(type="cap", app="server", percent=100)
    names = (f"s{number}" for number in range(1000))
    eventually(lambda: host.server.fails("connect", next(names), APP, 8080) is None)
    app.accept("l", "a")
    assert app.push("a", 1_000_000, timeout=20)["end"] in RESET
    assert host.wire("in", dst=ALLOWED)[1] <= 8900
    assert app.fails("accept", "l", "none", timeout=0.2) == "ETIMEDOUT"


def test_events_at_80_and_100_percent_once(host, agent, servers):
    app = host.app(policy("told", [rule(ALLOWED, 4443, "udp")], limits=egress(10_000)))
    app.burst("u", ALLOWED, 4443, 72, 79)
    assert agent.log(type="cap", app="told") == []
    app.burst("u", ALLOWED, 4443, 72, 1)
    warning = agent.event(type="cap", app="told", percent=80)
    assert (warning["limit_bytes"], warning["used_bytes"], warning["window_s"]) == (10_000, 8_000, LONG_S)
    app.burst("u", ALLOWED, 4443, 72, 100)
    full = agent.event(type="cap", app="told", percent=100)
    assert full["reason"] == "cap_egress" and full["direction"] == "egress" and full["used_bytes"] == 10_000
    app.burst("u", ALLOWED, 4443, 72, 20)
    agent.kill("told")  # an event after all those
    agent.event(type="kill", app="told")
    assert [event["percent"] for event in agent.log(type="cap", app="told")] == [80, 100]


def test_alert_lets_through(host, agent, servers):
    app = host.app(policy("alerted", [rule(ALLOWED, 4443, "udp")], limits=egress(5_000, action="alert")))
    assert app.burst("u", ALLOWED, 4443, 972, 20) == {"sent": 20}
    agent.event(type="cap", app="alerted", percent=80)
    agent.event(type="cap", app="alerted", percent=100)
    assert host.wire("in", dst=ALLOWED, proto="udp") == (20, 20_000)
    assert the_cap(agent, "alerted")["used"] == 20_000
    assert agent.count("alerted", "cap_egress") == 0


def test_kill_makes_a_hold(host, agent, servers):
    app = host.app(policy("doomed", [rule(ALLOWED, 443), rule(ALLOWED, 4443, "udp")],
                          limits=egress(20_000, action="kill")))
    app.connect("live", ALLOWED, 443)
    assert app.ask("live") == "ping"
    app.burst("u", ALLOWED, 4443, 972, 40)
    assert host.wire("in", dst=ALLOWED)[1] <= 20_000
    eventually(lambda: [hold["layer"] for hold in agent.app("doomed")["holds"]] == ["auto"])
    assert app.end("live") in RESET
    assert app.fails("connect", "c", ALLOWED, 443) == "EPERM"
    assert agent.app("doomed")["state"] == "killed"
    assert agent.event(type="kill", app="doomed")["layer"] == "auto"
    agent.reboot()
    assert app.fails("connect", "d", ALLOWED, 443) == "EPERM"
    agent.put(policy("doomed", [rule(ALLOWED, 443)], cgroups=host.glob_of("doomed")))
    assert agent.restore("doomed")["lifted"] == ["auto"]
    app.connect("e", ALLOWED, 443)
    assert app.ask("e") == "ping"


def test_a_kill_comes_again_while_the_cap_is_used_up(host, agent, servers):
    app = host.app(policy("again", [rule(ALLOWED, 4443, "udp")], limits=egress(20_000, "31d", "kill")))
    assert app.burst("u", ALLOWED, 4443, 972, 40)["sent"] == 20
    eventually(lambda: agent.app("again")["holds"])
    assert agent.restore("again")["lifted"] == ["auto"]
    assert "sent" not in app.burst("v", ALLOWED, 4443, 972, 5)
    eventually(lambda: [hold["layer"] for hold in agent.app("again")["holds"]] == ["auto"])
    assert agent.app("again")["state"] == "killed"
    eventually(lambda: len(agent.log(type="kill", app="again", actor="via=agent")) == 2)
    assert host.wire("in", dst=ALLOWED, proto="udp") == (20, 20_000)
    assert agent.count("again", "cap_egress") == 1  # what was over the cap killed; all after it found a hold


@pytest.mark.parametrize("relaxed", ["audit", "relax"])
def test_a_cap_kills_nobody_while_it_only_audits(host, agent, servers, relaxed):
    app = host.app(policy("spared", [rule(ALLOWED, 4443, "udp")], limits=egress(5_000, "31d", "kill"),
                          mode="audit" if relaxed == "audit" else "enforce"))
    if relaxed == "relax":
        agent.api("POST", "/v1/apps/spared/relax", {"for": "5m", "reason": "migration"})
    assert app.burst("u", ALLOWED, 4443, 972, 20) == {"sent": 20}
    agent.event(type="cap", app="spared", percent=100)
    assert agent.app("spared")["state"] == "audit" and agent.app("spared")["holds"] == []
    assert agent.count("spared", "cap_egress", "audited") == 15
    assert agent.log(type="kill", app="spared") == []


def test_audit_lets_through_and_tells(host, agent, servers):
    app = host.app(policy("audited", [rule(ALLOWED, 4443, "udp")], limits=egress(5_000), mode="audit"))
    assert app.burst("u", ALLOWED, 4443, 972, 20) == {"sent": 20}
    assert host.wire("in", dst=ALLOWED, proto="udp")[0] == 20
    assert agent.count("audited", "cap_egress", "audited") >= 15
    assert agent.count("audited", "cap_egress") == 0


# ---- Windows ------------------------------------------------------------------------------------------------


def roll_over(host, app, size, per, windows, limit):
    """Sends all the time, over several windows: how many were sent, after the bounds that the clock gives."""
    before = time.time() - 0.1  # the kernel's clock of packets may be a tick late
    app.flood_udp("f", ALLOWED, 4443, size - 28)
    began = time.time()
    eventually(lambda: time.time() // per > began // per + windows, 60)
    until = time.time()
    sent = app.flood_stop("f")["sent"]
    touched, whole = time.time() // per - before // per + 1, until // per - began // per - 1
    assert whole >= windows
    assert whole * limit // size <= sent <= touched * limit // size
    assert host.wire("in", dst=ALLOWED, proto="udp") == (sent, sent * size)
    return sent


def test_windows_roll_over(host, agent, servers):
    """Windows are aligned to UTC: each whole one lets the cap through, and none more."""
    app = host.app(policy("rolling", [rule(ALLOWED, 4443, "udp")], limits=egress(10_000, "2s")))
    sent = roll_over(host, app, 1000, 2, 2, 10_000)
    assert agent.app("rolling")["bytes_out"] == sent * 1000
    assert agent.count("rolling", "cap_egress") > 0
    assert agent.event(type="cap", app="rolling", percent=100)["window_s"] == 2


def test_windows_roll_over_without_the_agent(host, agent, servers):
    app = host.app(policy("rolling", [rule(ALLOWED, 4443, "udp")], limits=egress(10_000, "2s")))
    agent.kill9()
    sent = roll_over(host, app, 1000, 2, 2, 10_000)
    agent.start()
    assert agent.app("rolling")["bytes_out"] == sent * 1000
    assert agent.count("rolling", "cap_egress") > 0


def test_several_caps_at_once(host, agent, servers):
    """A list: the tighter one decides, and both are counted."""
    limits = {"egress": [{"bytes": "3000B", "per": "3s", "action": "drop"},
                         {"bytes": "7500B", "per": LONG, "action": "drop"}]}
    app = host.app(policy("both", [rule(ALLOWED, 4443, "udp")], limits=limits))

    def burst():
        return app.burst("u", ALLOWED, 4443, 972, 5).get("sent", 0)

    sent = 0

    def all_spent():
        nonlocal sent
        sent += burst()
        return sent == 7

    eventually(all_spent, 30, "the long cap")
    eventually(lambda: time.time() % 3 < 0.5)  # a fresh short window changes nothing
    assert burst() == 0
    assert host.wire("in", dst=ALLOWED, proto="udp")[0] == 7


@pytest.mark.parametrize("sizes", [(5000, 1500), (1500, 5000)])
def test_what_one_cap_refuses_is_charged_to_none(host, agent, servers, sizes):
    """In whichever order they are asked."""
    limits = {"egress": [{"bytes": size, "per": per, "action": "drop"} for size, per in zip(sizes, (LONG, "1d"))]}
    app = host.app(policy("both", [rule(ALLOWED, 4443, "udp")], limits=limits))
    assert app.burst("u", ALLOWED, 4443, 972, 4) == {"sent": 1, "EPERM": 3}
    assert [cap["used"] for cap in agent.app("both")["caps"]] == [1000, 1000]
    assert agent.count("both", "cap_egress") == 3
    assert host.wire("in", dst=ALLOWED, proto="udp")[0] == 1
    agent.event(type="cap", app="both", percent=100)


def test_a_new_revision_keeps_what_was_used(host, agent, servers):
    app = host.app(policy("kept", [rule(ALLOWED, 4443, "udp")], limits=egress(10_000)))
    assert app.burst("u", ALLOWED, 4443, 972, 6) == {"sent": 6}
    agent.put(policy("kept", [rule([ALLOWED, OTHER], 4443, "udp")], limits=egress(10_000),
                     cgroups=host.glob_of("kept")))
    assert the_cap(agent, "kept")["used"] == 6000
    assert app.burst("u", ALLOWED, 4443, 972, 6) == {"sent": 4, "EPERM": 2}
    agent.put(policy("kept", [rule(ALLOWED, 4443, "udp")], limits=egress(12_000), cgroups=host.glob_of("kept")))
    assert app.burst("u", ALLOWED, 4443, 972, 6) == {"sent": 2, "EPERM": 4}


def test_usage_survives_restart_and_reboot(host, agent, servers):
    app = host.app(policy("usage", [rule(ALLOWED, 4443, "udp")], limits=egress(10_000)))
    app.burst("u", ALLOWED, 4443, 972, 6)
    agent.restart()
    assert the_cap(agent, "usage")["used"] == 6000
    agent.stop()
    agent.wipe_pins()
    agent.start()
    eventually(lambda: agent.app("usage")["policy_rev"])
    assert the_cap(agent, "usage")["used"] == 6000
    assert app.burst("u", ALLOWED, 4443, 972, 6) == {"sent": 4, "EPERM": 2}


def test_a_cap_that_comes_back_knows_what_was_used(host, agent, servers):
    """A policy without the cap, or none at all for a while, gives no byte back: not even over a reboot."""
    capped = policy("flip", [rule(ALLOWED, 4443, "udp")], limits=egress(10_000), cgroups=host.glob_of("flip"))
    free = policy("flip", [rule(ALLOWED, 4443, "udp")], cgroups=host.glob_of("flip"))
    app = host.app(capped)
    assert app.burst("u", ALLOWED, 4443, 972, 20) == {"sent": 10, "EPERM": 10}
    agent.put(free)
    assert app.burst("u", ALLOWED, 4443, 972, 2) == {"sent": 2}  # of no cap, so it counts toward none
    agent.put(capped)
    assert the_cap(agent, "flip")["used"] == 10_000
    assert app.burst("u", ALLOWED, 4443, 972, 5) == {"EPERM": 5}
    app.stop()
    cgroup.remove(host.cgroup_of("flip"))
    agent.api("DELETE", "/v1/policies/flip")
    eventually(lambda: "flip" not in agent.apps(), what="the end of the app")
    app = host.app(capped)
    assert the_cap(agent, "flip")["used"] == 10_000
    agent.put(free)
    app.close_all()
    agent.stop()
    agent.wipe_pins()
    agent.start()
    agent.put(capped)
    assert the_cap(agent, "flip")["used"] == 10_000
    assert app.fails("sendto", "v", ALLOWED, 4443) == "EPERM"
    assert agent.count("flip", "cap_egress") == 1
    agent.event(type="cap", app="flip", percent=100, reason="cap_egress")
    assert host.wire("in", dst=ALLOWED, proto="udp")[0] == 12


def test_an_unclean_boot_uses_up_the_window(host, agent, servers):
    """Nobody knows what was sent in the last second before the power went: the rest of the window is gone."""
    app = host.app(policy("unclean", [rule(ALLOWED, 4443, "udp")], limits=egress(10_000)))
    assert app.burst("u", ALLOWED, 4443, 972, 3) == {"sent": 3}
    usage = os.path.join(agent.state_dir, "usage")

    def lines():
        with open(usage, encoding="ascii") as file:
            return file.read().splitlines()

    eventually(lambda: any(line.startswith("unclean ") and line.endswith(" 3000") for line in lines()))
    agent.kill9()
    agent.wipe_pins()
    header, *rest = lines()
    with open(usage, "w", encoding="ascii") as file:  # the boot's id is what tells a reboot
        file.write("\n".join(["egret-usage 1 00000000-0000-0000-0000-000000000000", *rest]) + "\n")
    assert header.startswith("egret-usage 1 ") and rest[-1] == "end running"
    agent.start()
    assert the_cap(agent, "unclean")["used"] == 10_000
    assert app.fails("sendto", "v", ALLOWED, 4443) == "EPERM"
    assert agent.count("unclean", "cap_egress") == 1
    agent.event(type="cap", app="unclean", percent=100, reason="cap_egress")
    assert host.wire("in", dst=ALLOWED, proto="udp")[0] == 3


# ---- Limits of a rule, rates ----------------------------------------------------------------------------------


def test_a_rule_has_its_own_cap(host, agent, servers):
    app = host.app(policy("store", [
        rule(ALLOWED, 4443, "udp", id="bulk", limits=egress(5_000)),
        rule(ALLOWED, 443, "udp", id="query"),
    ]))
    assert app.burst("u", ALLOWED, 4443, 972, 10) == {"sent": 5, "EPERM": 5}
    assert app.burst("v", ALLOWED, 443, 972, 10) == {"sent": 10}
    cap = the_cap(agent, "store", scope="bulk")
    assert (cap["limit"], cap["used"]) == (5_000, 5_000)
    assert agent.event(type="cap", app="store", percent=100)["rule"] == "bulk"


def test_new_flows_of_the_app(host, agent, servers):
    app = host.app(policy("busy", [rule([ALLOWED, ALLOWED6], 443)], limits={"new_flows": "6/h"}))
    outcomes = [app.fails("connect", f"c{number}", ALLOWED, 443) for number in range(10)]
    assert outcomes == [None] * 6 + ["EPERM"] * 4
    assert app.ask("c0") == "ping"  # live ones go on
    assert agent.count("busy", "new_flows") == 4
    assert agent.event(type="deny", app="busy", reason="new_flows")
    eventually(lambda: len(host.server.served("tcp", ALLOWED, 443)) == 6)


def test_new_flows_of_a_rule_count_udp_peers(host, agent, servers):
    app = host.app(policy("resolver", [
        rule(ALLOWED, 443, "udp", id="limited", limits={"new_flows": "4/h"}), rule(OTHER, 443, "udp")]))
    sent = [app.fails("sendto", f"u{number}", ALLOWED, 443) for number in range(8)]
    assert sent == [None] * 4 + ["EPERM"] * 4
    assert app.fails("sendto", "u0", ALLOWED, 443) is None  # the same flow
    assert app.fails("sendto", "other", OTHER, 443) is None
    assert host.wire("in", dst=ALLOWED, proto="udp")[0] == 5


def test_egress_rate(host, agent, servers):
    """2 Mbit/s are 250 kB in each second, and the burst at the beginning."""
    app = host.app(policy("slow", [rule(ALLOWED, 4443, "udp")], limits={"egress_rate": "2Mbit/s"}))
    began = time.monotonic()
    app.flood_udp("f", ALLOWED, 4443, 972)
    eventually(lambda: time.monotonic() - began >= 4 and agent.count("slow", "rate_egress") > 0)
    app.flood_stop("f")
    took = time.monotonic() - began
    _, size = host.wire("in", dst=ALLOWED, proto="udp")
    assert 60_000 <= size <= 250_000 * took + 80_000  # at least the burst passes before the first is dropped
    assert agent.app("slow")["bytes_out"] == size  # what was dropped looks sent to the app, as with a full queue
    assert agent.count("slow", "rate_egress") > 0
    event = agent.event(type="rate", app="slow")
    assert event["reason"] == "rate_egress"
    assert abs(event["limit_bits_per_s"] - 2_000_000) < 20_000


def test_egress_rate_of_tcp_goes_on(host, agent, servers):
    """TCP slows down instead of breaking."""
    app = host.app(policy("slowtcp", [rule(ALLOWED, 4443)], limits={"egress_rate": "8Mbit/s"}))
    app.connect("c", ALLOWED, 4443)
    began = time.monotonic()
    assert app.push("c", 3_000_000, timeout=30) == {"bytes": 3_000_000, "end": None}
    eventually(lambda: host.received("tcp", ALLOWED, 4443) == 3_000_000, 30)
    took = time.monotonic() - began
    _, size = host.wire("in", dst=ALLOWED, proto="tcp", port=4443)
    assert size <= 1_000_000 * took + 200_000
    assert agent.count("slowtcp", "rate_egress") > 0


# ---- What people read -----------------------------------------------------------------------------------------------


def test_usage_and_app_tell_the_same(host, agent, servers):
    app = host.app(policy("read", [rule(ALLOWED, 4443, "udp")], limits={**egress(10_000), **ingress(20_000)}))
    app.burst("u", ALLOWED, 4443, 972, 3)
    (usage,) = agent.get("/v1/usage?app=read")["usage"]
    assert (usage["bytes_out"], usage["packets_out"], usage["flows"]) == (3000, 3, 1)
    assert usage["caps"] == agent.app("read")["caps"]
    cap = the_cap(agent, "read")
    assert cap["per_s"] == LONG_S and cap["action"] == "drop"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT00:00:00(\.0+)?Z", cap["window_end"])

# SPDX-License-Identifier: Apache-2.0
"""The core of the end-to-end tests, for a machine that is slow and has no pytest.

Each function test_* is one test; they share a host, run in order, and each uses apps of its own.
Prints "PASS name" or "FAIL name: why" for each, and "DONE" when it came to its end.
"""
import os
import subprocess
import sys
import time
import traceback

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "../tests/e2e"))

from harness import (  # noqa: E402  pylint: disable=wrong-import-position
    ALLOWED, ALLOWED6, APP, APP6, DENIED, DENIED6, Host, eventually, in_seconds, policy, rule, source,
)
from harness.names import API, MANY, PUBLIC, ZONE, asked, named  # noqa: E402  pylint: disable=wrong-import-position
from harness.net import ROUTER  # noqa: E402  pylint: disable=wrong-import-position
from harness.refusals import Refusals  # noqa: E402  pylint: disable=wrong-import-position
import attacks  # noqa: E402  pylint: disable=wrong-import-position

refusals = Refusals()
EVIL = "198.51.100.66"
RESET = {"ECONNABORTED", "ECONNRESET", "EPIPE"}


def expect(actual, wanted):
    assert actual == wanted, f"{actual!r} is not {wanted!r}"


def boot_option(name):
    with open("/proc/cmdline", encoding="ascii") as line:
        return dict(word.partition("=")[::2] for word in line.read().split()).get(name)


def plain_boot():
    """One of each kernel is. What takes long, and to which it makes no difference how the kernel was booted, runs there."""
    return boot_option("egret.tests") == "all"


def once(test):
    test.plain_boot_only = True
    return test


# ---- The kernel that this boot is about ------------------------------------------------------------


def test_status(host):
    status = host.agent.status()
    expect(status["enforcement_ok"], True)
    expect([root["attached"] for root in status["enforcement"]], [True])
    expect(status["kernel"]["release"], os.uname().release)
    expect(status["kernel"]["btf"], True)
    expect(status["kernel"]["sees_pages"], not os.uname().release.startswith("6.1."))
    expect(status["alarms"], [])


def test_lockdown_and_lsm_are_as_booted(host):
    kernel = host.agent.status()["kernel"]
    expect(kernel["lockdown"], boot_option("lockdown") or "none")
    if boot_option("lsm"):
        expect(kernel["lsm_bpf"], "bpf" in boot_option("lsm").split(","))
    expect(kernel["socket_families"], "on" if kernel["lsm_bpf"] else "no_lsm")


def run_parsers(program, **environment):
    done = subprocess.run(
        [f"build/tests/bpf/{program}"], env={**os.environ, **environment}, timeout=300, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )
    print(done.stdout, file=sys.stderr)
    expect(done.returncode, 0)


def test_parsers_of_hellos(_):
    run_parsers("test_parse_hello")


def test_parsers_of_dns(_):
    run_parsers("test_parse_dns")


def test_parsers_agree_with_their_references(_):
    run_parsers("fuzz_parsers", FUZZ_COUNT="3000")


# ---- Allow and deny ----------------------------------------------------------------------------------


def test_tcp(host):
    app = host.app(policy("tcp", [rule([ALLOWED, ALLOWED6], 443, id="tls")]))
    for name, allowed, denied in (("4", ALLOWED, DENIED), ("6", ALLOWED6, DENIED6)):
        app.connect(name, allowed, 443)
        expect(app.ask(name, "hello"), "hello")
        expect(app.fails("connect", f"d{name}", denied, 443), "EPERM")
        expect(app.fails("connect", f"p{name}", allowed, 444), "EPERM")
        expect(app.fails("sendto", f"u{name}", allowed, 443), "EPERM")
        host.unseen(denied)
    expect(host.agent.count("tcp", "no_rule"), 2)
    expect(host.agent.count("tcp", "no_rule_port"), 4)
    event = host.agent.event(type="deny", app="tcp", dst=DENIED, hook="connect")
    expect((event["reason"], event["pid"], event["comm"]), ("no_rule", app.pid, "testapp"))
    app.shutdown("4")  # not close(): a slow server's FIN is then acknowledged by a TIME_WAIT, which is no app's
    expect(app.end("4"), "eof")
    end = host.agent.event(type="flow", app="tcp", phase="end", dst=ALLOWED)
    expect(end["rule"], "tls")
    eventually(lambda: (end["packets_out"], end["bytes_out"]) == host.wire("in", dst=ALLOWED, proto="tcp"))


def test_v4_mapped(host):
    app = host.app(policy("mapped", [rule(ALLOWED, 443)]))
    app.connect("c", f"::ffff:{ALLOWED}", 443)
    expect(app.ask("c"), "ping")
    expect(app.fails("connect", "d", f"::ffff:{DENIED}", 443), "EPERM")
    host.unseen(DENIED)


def test_udp(host):
    app = host.app(policy("udp", [rule([ALLOWED, ALLOWED6], 443, "udp")]))
    for name, allowed, denied in (("4", ALLOWED, DENIED), ("6", ALLOWED6, DENIED6)):
        app.sendto(name, allowed, 443, "query")
        expect(app.recv(name), "query")
        expect(app.fails("sendto", name, denied, 443), "EPERM")
        app.connect(f"c{name}", allowed, 443, "udp")
        expect(app.ask(f"c{name}"), "ping")
        expect(app.fails("connect", f"d{name}", denied, 443, "udp"), "EPERM")
        host.unseen(denied)
    expect(host.agent.count("udp", "no_rule"), 4)


def test_icmp(host):
    app = host.app(policy("icmp", [rule([ALLOWED, ALLOWED6], proto="icmp")]))
    expect(app.ping(ALLOWED), True)
    expect(app.ping(ALLOWED6), True)
    expect(app.fails("ping", DENIED), "EPERM")
    expect(app.ping(DENIED6, timeout=1), False)
    host.unseen(DENIED)
    host.unseen(DENIED6)


def test_ingress(host):
    app = host.app(policy("ingress", ingress=[source([ALLOWED, ALLOWED6], 8080)]))
    for name, mine, peer in (("4", APP, ALLOWED), ("6", APP6, ALLOWED6)):
        app.listen(name, mine, 8080)
        host.server.bind(name, peer, 0)
        host.server.connect(name, mine, 8080)
        expect(app.accept(name, f"a{name}")[0], peer)
        host.server.send(name, "in")
        expect(app.recv(f"a{name}"), "in")
    host.server.bind("bad", DENIED, 0)
    expect(host.server.fails("connect", "bad", APP, 8080, timeout=2), "ETIMEDOUT")
    expect(app.fails("bind", "b", APP, 8081), "EPERM")
    assert host.agent.count("ingress", "no_ingress_rule", "ingress") >= 1


def test_own_loopback(host):
    app = host.app(policy("self"))
    port = app.listen("l", "127.0.0.1", 0)
    app.connect("c", "127.0.0.1", port)
    app.accept("l", "a")
    expect(app.send("c", "inside"), 6)


def test_raw_sockets(host):
    app = host.app(policy("raw", [rule("0.0.0.0/0", "any")]), caps=[13])
    expect(app.fails("raw", "AF_INET", "SOCK_RAW", 255), "EPERM")
    expect(host.agent.count("raw", "raw_socket"), 1)


def test_mptcp_subflows_are_judged(host):
    app = host.app(policy("mptcp", [rule(ALLOWED, 443)]))
    assert app.fails("connect", "d", DENIED, 443, "mptcp", timeout=2) in ("EPERM", "ETIMEDOUT")
    app.connect("c", ALLOWED, 443, "mptcp")
    expect(app.ask("c", "multipath"), "multipath")
    host.unseen(DENIED)


def test_unknown_cgroup(host):
    stranger = host.process(f"{host.root}/stranger.scope")
    expect(stranger.fails("connect", "c", ALLOWED, 443), "EPERM")
    expect(stranger.fails("sendto", "u", ALLOWED, 443), "EPERM")
    expect(host.agent.status()["unknown"]["denied"], 2)
    host.agent.event(type="deny", reason="unknown_cgroup")


def test_nested_cgroup(host):
    host.app(policy("nested", [rule(ALLOWED, 443)]))
    inner = host.process(f"{host.cgroup_of('nested')}/in/side")
    inner.connect("c", ALLOWED, 443)
    expect(inner.ask("c"), "ping")
    expect(inner.fails("connect", "d", DENIED, 443), "EPERM")


def test_policy_change_judges_live_connections(host):
    app = host.app(policy("change", [rule(ALLOWED, 443)]))
    app.connect("c", ALLOWED, 443)
    expect(app.ask("c"), "ping")
    answer = host.agent.put(policy("change", [rule(ALLOWED6, 443)], cgroups=host.glob_of("change")))
    assert answer["reset_sockets"] >= 1, answer
    assert app.end("c") in RESET
    expect(app.fails("connect", "d", ALLOWED, 443), "EPERM")


# ---- Names ---------------------------------------------------------------------------------------------


def test_names(host):
    """Asked, granted and connected, by UDP and TCP; other names are refused, forged answers are not believed."""
    app = host.app(named("names", ["api.example", "big.example", "forged.example"]))
    for proto, name, address in (("udp", "api.example", API), ("tcp", "big.example", MANY[0])):
        expect(app.fails("connect", f"early {proto}", address, 443), "EPERM")
        assert address in app.dns_ask(ROUTER, name, "A", proto, timeout=20)["addresses"]
        app.connect(proto, address, 443)
        expect(app.ask(proto), "ping")
        host.agent.event(type="dns", app="names", action="learned", name=name)
    expect(host.agent.count("names", "no_grant"), 2)
    expect(app.fails("dns_ask", ROUTER, "secret.other.example"), "EPERM")
    expect(app.fails("dns_ask", ROUTER, "secret.other.example", "A", "tcp", timeout=3), "ETIMEDOUT")
    host.agent.event(type="dns", app="names", action="refused", name="secret.other.example", reason="dns_name")
    assert host.agent.count("names", "dns_name") >= 2
    expect(app.dns_ask(ROUTER, "forged.example")["addresses"], [API])
    host.agent.event(type="dns", app="names", action="forged", reason="dns_unasked")
    expect(host.agent.count("names", "dns_unasked", "ingress"), 1)
    expect(app.fails("connect", "evil", EVIL, 443), "EPERM")
    expect({name for name, _ in asked(host)}, {"api.example", "big.example", "forged.example"})
    host.unseen(EVIL)
    host.agent.kill9()
    expect(app.dns_ask(ROUTER, "api.example")["addresses"], [API])
    app.connect("agentless", API, 443)
    host.agent.start()
    expect(app.ask("agentless"), "ping")


# ---- Caps ---------------------------------------------------------------------------------------------


def test_egress_cap_is_exact(host):
    """20,000 bytes are 20 packets of 1,000, headers included, and not one more."""
    limits = {"egress": {"bytes": "20000B", "per": "31d", "action": "drop"}}
    app = host.app(policy("cap", [rule(ALLOWED, 443, "udp")], limits=limits))
    before = host.wire("in", dst=ALLOWED, proto="udp")
    tally = app.burst("u", ALLOWED, 443, 972, 30)
    expect(tally["sent"], 20)
    after = host.wire("in", dst=ALLOWED, proto="udp")
    expect((after[0] - before[0], after[1] - before[1]), (20, 20000))
    (cap,) = host.agent.app("cap")["caps"]
    expect((cap["limit"], cap["used"]), (20000, 20000))
    host.agent.event(type="cap", app="cap", percent=100)


def test_tcp_stays_below_its_cap(host):
    """GSO packets are counted with the headers of each segment."""
    limits = {"egress": {"bytes": "300000B", "per": "31d", "action": "drop"}}
    app = host.app(policy("tcpcap", [rule(ALLOWED, 4443)], limits=limits))
    app.connect("c", ALLOWED, 4443)
    app.push("c", 2 << 20, timeout=3)

    def all_counted():
        """What was counted is what the server saw."""
        counted, (packets, size) = host.agent.app("tcpcap"), host.wire("in", dst=ALLOWED, proto="tcp", port=4443)
        assert 200000 < size <= 300000, size
        return (counted["packets_out"], counted["bytes_out"]) == (packets, size) and packets

    assert eventually(all_counted) > 150


def test_kill_by_cap(host):
    limits = {"egress": {"bytes": "5000B", "per": "31d", "action": "kill"}}
    app = host.app(policy("capkill", [rule(ALLOWED, 443, "udp"), rule(ALLOWED, 443)], limits=limits))
    app.burst("u", ALLOWED, 443, 972, 10)
    eventually(lambda: host.agent.app("capkill")["state"] == "killed")
    eventually(lambda: [hold["layer"] for hold in host.agent.app("capkill")["holds"]] == ["auto"])
    expect(app.fails("connect", "c", ALLOWED, 443), "EPERM")


# ---- Kill, expiry -------------------------------------------------------------------------------------------


def test_kill_resets_and_restores(host):
    app = host.app(policy("kill", [rule([ALLOWED, ALLOWED6], 443), rule(ALLOWED, 443, "udp")]))
    for name, address in (("4", ALLOWED), ("6", ALLOWED6)):
        app.connect(name, address, 443)
        expect(app.ask(name), "ping")
    answer = host.agent.kill("kill", reason="test")
    assert answer["durable"] and answer["sockets"] >= 2, answer
    assert app.end("4") in RESET and app.end("6") in RESET
    before = host.wire("in", dst=ALLOWED)
    expect(app.fails("connect", "c", ALLOWED, 443), "EPERM")
    expect(app.fails("sendto", "u", ALLOWED, 443), "EPERM")
    expect(host.wire("in", dst=ALLOWED), before)
    host.agent.restore("kill")
    app.connect("r", ALLOWED, 443)
    expect(app.ask("r"), "ping")


@once
def test_expiry_is_latched(host):
    app = host.app(policy("expiry", [rule(ALLOWED, 443)], expires=in_seconds(10)))
    app.connect("c", ALLOWED, 443)
    expect(app.ask("c"), "ping")
    eventually(lambda: host.agent.app("expiry")["state"] == "expired", 30)
    expect(app.fails("connect", "d", ALLOWED, 443), "EPERM")
    host.agent.event(type="expire", app="expiry")


def test_audit(host):
    app = host.app(policy("audit", mode="audit"))
    app.connect("c", DENIED, 443)
    expect(app.ask("c"), "ping")
    assert host.agent.count("audit", "no_rule", "audited") >= 1
    host.agent.event(type="deny", app="audit", verdict="audit")


# ---- Life of the agent ------------------------------------------------------------------------------------------


def test_enforcement_without_the_agent_and_adoption(host):
    """On a plain boot by an agent of another build, which swaps the programs."""
    app = host.app(policy("adopt", [rule(ALLOWED, 443)]))
    app.connect("c", ALLOWED, 443)
    expect(app.ask("c"), "ping")
    before = host.agent.app("adopt")["bytes_out"]
    host.agent.kill9()
    expect(app.ask("c", "agentless"), "agentless")
    expect(app.fails("connect", "d", DENIED, 443), "EPERM")
    if plain_boot():
        host.agent.another_build()
    host.agent.start()
    expect(app.ask("c", "adopted"), "adopted")
    after = host.agent.app("adopt")
    assert after["bytes_out"] > before > 0
    expect(host.agent.count("adopt", "no_rule"), 1)
    expect(host.agent.status()["enforcement_ok"], True)


@once
def test_an_administrator_of_its_namespace_is_guarded(_):
    """tc pedit rewrites the destination behind the packet hook."""
    rewrite = ("tc filter add dev up0 egress protocol ip u32 match ip dst {0}/32 "
               "action pedit ex munge ip dst set {1} pipe action csum ip udp").format(ALLOWED, DENIED)
    with Host(inside=True) as host:
        host.agent.start()
        admin = host.app(policy("admin", [rule(ALLOWED, 443, "udp")]), uid=0, caps=[12])
        eventually(lambda: host.agent.app("admin")["guards"] == ["app0"], 60)
        admin.sendto("u", ALLOWED, 443, "honest")
        eventually(lambda: host.wire("in", dst=ALLOWED, proto="udp")[0] == 1)
        admin.command("tc", "qdisc", "add", "dev", "up0", "clsact")
        admin.command(*rewrite.split())
        admin.sendto("u", ALLOWED, 443, "secret")
        host.agent.event(type="deny", app="admin", hook="guard", reason="netns_guard", dst=DENIED)
        expect(host.agent.count("admin", "netns_guard"), 1)
        host.unseen(DENIED)
        host.agent.kill9()
        host.take_guard_off()
        admin.sendto("u", ALLOWED, 443, "secret")
        eventually(lambda: host.wire("in", dst=DENIED, proto="udp")[0] == 1)


@once
def test_kill_survives_reboot(host):
    app = host.app(policy("reboot", [rule(ALLOWED, 443)]))
    host.agent.kill("reboot")
    host.agent.reboot()
    expect(app.fails("connect", "c", ALLOWED, 443), "EPERM")
    expect(host.agent.app("reboot")["state"], "killed")


def test_detach_all(host):
    app = host.app(policy("detach", [rule(ALLOWED, 443)]))
    expect(app.fails("connect", "c", DENIED, 443), "EPERM")
    host.agent.stop()
    status, errors, _ = host.agent.detach_all()
    expect(status, 0)
    app.connect("d", DENIED, 443)
    expect(app.ask("d"), "ping")


def test_no_call_was_refused(_):
    """Of any that egretd made until here: its list of system calls is complete on this kernel as well."""
    refusals.expect_none("/egret/build/egret")


def tests():
    """Ours in their order, and the attacks before those that end the enforcement that they need."""
    mine = [item for item in globals().items() if item[0].startswith("test_")]
    theirs = [item for item in vars(attacks).items() if item[0].startswith("test_")]
    place = [name for name, _ in mine].index("test_kill_survives_reboot")
    return [(name, test) for name, test in mine[:place] + theirs + mine[place:]
            if plain_boot() or not hasattr(test, "plain_boot_only")]


def main():
    failed = 0
    with Host() as host:
        host.agent.start()
        host.serve([ALLOWED, ALLOWED6, DENIED, DENIED6], 443)
        host.serve([ALLOWED], 4443, ["tcp"], "sink")
        host.network.public(PUBLIC)
        host.serve([API, MANY[0]], 443)
        forged = {"forged.example": {"A": [API], "faults": ["id"], "evil": EVIL}}
        host.server.dns_serve([ROUTER], {**ZONE, **forged})
        for name, test in tests():
            begun = time.monotonic()
            try:
                test(host)
                print(f"PASS {name[5:]}")
            except Exception as error:  # pylint: disable=broad-except
                failed += 1
                print(f"FAIL {name[5:]}: {error}".replace("\n", " ")[:2000])
                print(traceback.format_exc(), file=sys.stderr)
            print(f"{name}: {time.monotonic() - begun:.1f} s", file=sys.stderr)
        if failed:
            print(host.agent.stderr()[-8000:], file=sys.stderr)
    print("DONE")
    return 1 if failed else 0


sys.exit(main())

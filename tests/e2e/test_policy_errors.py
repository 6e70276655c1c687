# SPDX-License-Identifier: Apache-2.0
"""What bad policies get: a place, a sentence, a fix, and no change at all, by every way in."""
import os

import pytest

from harness import ALLOWED, Host, eventually, in_days, policy, rule
from harness.policy import text as text_of

GOOD = f"""{{
  "version": 1,
  "app": "bad",
  "expires": "{in_days(30)}",
  "egress": [
    {{"id": "a", "to": ["10.0.0.1"], "proto": "tcp", "ports": [443]}}
  ]
}}
"""
NAMED = GOOD.replace("10.0.0.1", "a.example")
LIMITS = '"ports": [443], "limits": {"egress": {"bytes": "5MiB", "per": "1h", "action": "drop"}}'


def with_text(old, new, base=GOOD):
    assert base.count(old) == 1, old
    return base.replace(old, new)


def limited(old, new):
    return with_text(old, new, with_text('"ports": [443]', LIMITS))


# name: (text, line, column, path, words of the message, words of the fix)
TABLE = {
    "a word without quotes": (
        with_text('"app": "bad"', '"app": bad'), 3, 10, "app", "bad", "quotes"),
    "a missing comma": (with_text('"version": 1,', '"version": 1'), 3, 3, None, "comma", "comma"),
    "the end is missing": (GOOD[: GOOD.index("  ]")], 7, 1, None, "ends", "]"),
    "nothing": ("", 1, 1, None, "empty", "object"),
    "a list": ("[]", 1, 1, None, "list", "{"),
    "text behind the end": (GOOD + "{}", 9, 1, None, "behind", "Remove"),
    "an unknown key": (
        with_text('"app": "bad"', '"app": "bad", "egres": []'), 3, 17, "egres", "egres", "egress"),
    "an unknown key of a rule": (
        with_text('"ports": [443]', '"ports": [443], "prot": 1'), 6, 69, "egress[0].prot", "prot", "proto"),
    "a key twice": (
        with_text('"app": "bad"', '"app": "bad", "app": "other"'), 3, 17, "app", "line 3, column 3", "Remove"),
    "a number for a text": (with_text('"bad"', "5"), 3, 10, "app", "whole number", "letter"),
    "a text for a list": (
        with_text('["10.0.0.1"]', '"10.0.0.1"'), 6, 23, "egress[0].to", "text", '["10.0.0.1"]'),
    "a later version": (with_text('"version": 1', '"version": 2'), 2, 14, "version", "2", "1"),
    "an app's name": (with_text('"bad"', '"Bad Name"'), 3, 10, "app", "Bad Name", "a-z"),
    "port 0": (with_text("443", "0"), 6, 63, "egress[0].ports[0]", "0", "1 to 65535"),
    "port 65536": (with_text("443", "65536"), 6, 63, "egress[0].ports[0]", "65536", "1 to 65535"),
    "a negative port": (with_text("443", "-1"), 6, 63, "egress[0].ports[0]", "-1", "1 to 65535"),
    "a range that runs backwards": (
        with_text("443", '"90-80"'), 6, 63, "egress[0].ports[0]", "backwards", "80-90"),
    "the name of a service": (with_text("443", '"https"'), 6, 63, "egress[0].ports[0]", "https", "443"),
    "no ports": (with_text(', "ports": [443]', ""), 6, 5, "egress[0]", "ports", '"ports"'),
    "ports of ICMP": (with_text('"tcp"', '"icmp"'), 6, 54, "egress[0].ports", "ICMP", "Leave"),
    "host bits": (
        with_text("10.0.0.1", "10.0.0.1/24"), 6, 24, "egress[0].to[0]", "10.0.0.1/24", "10.0.0.0/24"),
    "host bits of IPv6": (
        with_text("10.0.0.1", "fd00::1/64"), 6, 24, "egress[0].to[0]", "fd00::1/64", "fd00::/64"),
    "a prefix too long": (with_text("10.0.0.1", "10.0.0.0/33"), 6, 24, "egress[0].to[0]", "/33", "/32"),
    "no address": (with_text("10.0.0.1", "10.0.0.256"), 6, 24, "egress[0].to[0]", "10.0.0.256", "255"),
    "a wildcard inside": (with_text("10.0.0.1", "a.*.com"), 6, 24, "egress[0].to[0]", "*", "name"),
    "a URL": (with_text("10.0.0.1", "https://x.com"), 6, 24, "egress[0].to[0]", "URL", "x.com"),
    "a protocol that is none": (with_text('"tcp"', '"sctp"'), 6, 46, "egress[0].proto", "sctp", ""),
    "no protocol": (with_text('"proto": "tcp", ', ""), 6, 5, "egress[0]", "proto", "tcp"),
    "an unknown unit": (
        limited("5MiB", "5 parsecs"), 6, 100, "egress[0].limits.egress.bytes", "parsecs", "50MiB"),
    "a size that overflows": (
        limited("5MiB", "99999999999999999999GiB"), 6, 100, "egress[0].limits.egress.bytes", "range", "128TiB"),
    "a number that overflows": (
        with_text('"version": 1', '"version": 99999999999999999999999'), 2, 14, "version", "large", "smaller"),
    "no window": (limited('"1h"', '"0s"'), 6, 115, "egress[0].limits.egress.per", "0s", "1s"),
    "an unknown action": (limited('"drop"', '"drops"'), 6, 131, "egress[0].limits.egress.action", "drops", "drop"),
    "no new flows at all": (
        with_text('"app": "bad"', '"app": "bad", "limits": {"new_flows": "0/min"}'),
        3, 41, "limits.new_flows", "0/min", "100/min"),
    "an empty list": (with_text('["10.0.0.1"]', "[]"), 6, 23, "egress[0].to", "empty", "Leave"),
    "null": (with_text('"app": "bad"', '"app": "bad", "owner": null'), 3, 26, "owner", "null", "Leave"),
    "an id twice": (
        with_text("[443]}", '[443]},\n    {"id": "a", "to": ["10.0.0.2"], "proto": "udp", "ports": [53]}'),
        7, 12, "egress[1].id", "egress[0]", "own"),
    "expired": (
        with_text(in_days(30), "2020-01-01T00:00:00Z"), 4, 14, "expires", "2020-01-01", "Write"),
    "lives too long": (with_text(in_days(30), "2099-01-01T00:00:00Z"), 4, 14, "expires", "90d", "earlier"),
    "no moment": (with_text(in_days(30), "tomorrow"), 4, 14, "expires", "RFC 3339", "Z"),
    "a moment without offset": (
        with_text(in_days(30), "2027-01-01T00:00:00"), 4, 14, "expires", "RFC 3339", "offset"),
    "the 30th of February": (
        with_text(in_days(30), "2027-02-30T00:00:00Z"), 4, 14, "expires", "2027-02-30", "Z"),
    "no expiry": (with_text(f'  "expires": "{in_days(30)}",\n', ""), 1, 1, None, "expires", "Add"),
    "no version": (with_text('  "version": 1,\n', ""), 1, 1, None, "version", "Add"),
    "an unknown mode": (
        with_text('"app": "bad"', '"app": "bad", "mode": "enforced"'), 3, 25, "mode", "enforced", "enforce"),
    "not UTF-8": (with_text("bad", "b?d").encode().replace(b"?", b"\xff"), 3, None, "app", "0xff", "UTF-8"),
    "the character NUL": (with_text('"bad"', '"b\\u0000d"'), 3, 12, "app", "NUL", "Remove"),
    "a cgroup outside": (
        with_text('"app": "bad"', '"app": "bad", "cgroups": ["../x"]'), 3, 29, "cgroups[0]", "../x", "slice"),
    "a label's key": (
        with_text('"app": "bad"', '"app": "bad", "labels": {"a b": "c"}'), 3, 28, None, "a b", "A-Z"),
    "a name that is too long": (
        with_text("10.0.0.1", ".".join(["a" * 62] * 4) + ".b"), 6, 24, "egress[0].to[0]", "251 bytes", "Write"),
    "verify-sni without names": (
        with_text("[443]", '[443], "tls": "verify-sni"'), 6, 69, "egress[0].tls", "needs DNS names", "names"),
    "verify-sni over UDP": (
        with_text('"tcp", "ports": [443]', '"udp", "ports": [443], "tls": "verify-sni"', NAMED),
        6, 70, "egress[0].tls", "TCP only", "tcp"),
    "verify-sni and verify-connect": (
        with_text("[443]", '[443], "tls": "verify-sni", "http": "verify-connect"', NAMED),
        6, 91, "egress[0].http", "ClientHello and a CONNECT", "Keep one"),
    "private without names": (
        with_text("[443]", '[443], "private": ["10.0.0.0/8"]'), 6, 69, "egress[0].private", "has none", "names"),
    "an empty private list": (
        with_text("[443]", '[443], "private": []', NAMED), 6, 81, "egress[0].private", "empty", "Leave"),
    "prefetch without names": (
        with_text("[443]", '[443], "prefetch": true'), 6, 69, "egress[0].prefetch", "has none", "names"),
    "prefetch of a wildcard": (
        with_text("a.example", "*.example", with_text("[443]", '[443], "prefetch": true', NAMED)),
        6, 70, "egress[0].prefetch", "wildcard", "exact"),
    "a resolver by name": (
        with_text('"app": "bad"', '"app": "bad", "dns": {"resolvers": ["dns.example"]}'),
        3, 39, "dns.resolvers[0]", "dns.example", "address"),
    "a type of record that is none": (
        with_text('"app": "bad"', '"app": "bad", "dns": {"types": ["SVR"]}'), 3, 35, "dns.types[0]", "SVR", "SRV"),
    "a rate of DNS without a time": (
        with_text('"app": "bad"', '"app": "bad", "dns": {"rate": "60"}'), 3, 33, "dns.rate", "60", "60/min"),
    "a suffix with a wildcard": (
        with_text('"app": "bad"', '"app": "bad", "dns": {"ask_only": ["*.example"]}'),
        3, 38, "dns.ask_only[0]", "wildcard", '"example"'),
    "names and nobody to ask": (NAMED, 6, 5, "egress[0].to", "No resolver is known", "resolvers"),
    "nested 10,000 deep": (
        '{"version": 1, "app": "bad", "labels": ' + "[" * 10000 + "]" * 10000 + "}", 1, None, None, "16", "nested"),
}


@pytest.fixture(scope="module")
def shared():
    """One host for the whole table: nothing in it changes anything. It has no resolvers."""
    with Host(resolv_conf="/nonexistent/resolv.conf") as host:
        host.agent.start()
        host.agent.put(policy("bad", [rule(ALLOWED, 443)]))
        yield host


def fingerprint(agent):
    status = agent.status()
    return agent.get("/v1/policies/bad"), status["maps"], status["apps"], agent.log(type="policy")


@pytest.mark.parametrize("name", TABLE)
def test_place_sentence_and_fix(shared, name):
    text, line, column, path, message, fix = TABLE[name]
    agent = shared.agent
    agent.event(type="policy", app="bad")
    before = fingerprint(agent)
    status, _, _ = agent.request("POST", "/v1/policies:check", text)
    checked = agent.api("POST", "/v1/policies:check", text)
    assert (status, checked["ok"]) == (200, False)
    found = [diag for diag in checked["diagnostics"] if diag["level"] == "error"]
    assert any(
        diag["line"] == line and column in (None, diag["column"]) and path in (None, diag["path"])
        and message in diag["message"] and fix in diag["fix"] for diag in found), found
    refusal = agent.refused("PUT", "/v1/policies/bad", text)
    assert (refusal.status, refusal.code) == (400, "bad_policy")
    assert [diag for diag in refusal.details if diag["level"] == "error"] == found
    assert fingerprint(agent) == before


def test_the_good_text_is_good(shared):
    answer = shared.agent.api("POST", "/v1/policies:check", GOOD)
    assert answer["ok"] is True and answer["app"] == "bad"
    assert all(diag["level"] != "error" for diag in answer["diagnostics"])


def test_a_check_changes_nothing(shared):
    before = fingerprint(shared.agent)
    assert shared.agent.api("POST", "/v1/policies:check", text_of(policy("fresh", [rule(ALLOWED, 443)])))["ok"]
    assert fingerprint(shared.agent) == before
    assert shared.agent.refused("GET", "/v1/policies/fresh").status == 404


def test_another_apps_policy_is_refused(shared):
    before = fingerprint(shared.agent)
    error = shared.agent.refused("PUT", "/v1/policies/bad", policy("other", [rule(ALLOWED, 443)]))
    assert (error.status, error.code) == (400, "app_mismatch")
    assert fingerprint(shared.agent) == before


def test_every_error_is_told_at_once(shared):
    """Someone who fixes a policy sees all of it, not one error a round."""
    text = with_text("443", "0", with_text("10.0.0.1", "10.0.0.1/8", with_text('"version": 1', '"version": 7')))
    checked = shared.agent.api("POST", "/v1/policies:check", text)
    places = {diag["path"] for diag in checked["diagnostics"] if diag["level"] == "error"}
    assert {"version", "egress[0].to[0]", "egress[0].ports[0]"} <= places


@pytest.mark.parametrize("size, status", [(1 << 20, 400), (17 << 20, 413)])
def test_large_bodies(shared, size, status):
    before = fingerprint(shared.agent)
    assert shared.agent.refused("PUT", "/v1/policies/bad", " " * size).status == status
    assert fingerprint(shared.agent) == before


def test_warnings_are_no_errors(shared):
    checked = shared.agent.api("POST", "/v1/policies:check", policy(
        "open", [rule("0.0.0.0/0", "any"), rule("169.254.169.254", 80)]))
    assert checked["ok"] is True
    warned = " ".join(diag["message"] for diag in checked["diagnostics"] if diag["level"] == "warning")
    assert "0.0.0.0/0" in warned and "169.254.169.254" in warned


def test_warnings_about_names(shared):
    made = policy(
        "open", [rule(["*.co.uk", "a.example"], 443, tls="verify-sni", private=["169.254.0.0/16"]), rule("::/0", 443)],
        dns={"resolvers": ["10.0.0.2"]})
    checked = shared.agent.api("POST", "/v1/policies:check", made)
    assert checked["ok"] is False
    codes = {(diag["path"], diag["code"], diag["level"]) for diag in checked["diagnostics"]}
    assert codes >= {("egress[0].to[0]", "public_suffix", "warning"), ("egress[0].private[0]", "private_metadata", "warning"),
                     ("egress[1]", "sni_defeated", "error"), ("egress[1].to[0]", "any_address", "warning")}
    # who defeats what he himself asks for is refused, and put in force at a start, when it was before
    assert shared.agent.refused("PUT", "/v1/policies/open", made).code == "bad_policy"
    made["egress"][1]["ports"] = [80]
    assert [diag["level"] for diag in shared.agent.put(made)["warnings"]].count("warning") >= 3
    shared.agent.api("DELETE", "/v1/policies/open")


# ---- By the directory ---------------------------------------------------------------------------------------


def errors_of(agent):
    return {error["file"]: error for error in agent.status()["policy_errors"]}


def test_a_bad_file_leaves_the_old_policy(host, agent):
    host.serve([ALLOWED], 443)
    agent.write_policy(policy("web", [rule(ALLOWED, 443)], cgroups=host.glob_of("web")))
    rev = agent.applied("web")["policy_rev"]
    app = host.app(name="web")
    agent.write_policy(with_text('"app": "bad"', '"app": web'), "web.json")
    error = eventually(lambda: errors_of(agent).get("web.json"))
    assert (error["diagnostics"][0]["line"], error["diagnostics"][0]["column"]) == (3, 10)
    assert "web.json:3:10" in error["message"]
    assert "web.json:3:10" in agent.stderr()
    assert "egret_policy_errors 1" in agent.get("/metrics")
    assert agent.app("web")["policy_rev"] == rev
    app.connect("c", ALLOWED, 443)
    assert app.ask("c") == "ping"
    agent.write_policy(policy("web", [rule(ALLOWED, [443, 444])], cgroups=host.glob_of("web")))
    eventually(lambda: agent.app("web")["policy_rev"] != rev and not errors_of(agent))


def test_a_new_bad_file_makes_no_app(host, agent):
    agent.write_policy(GOOD.replace("443", "0"), "bad.json")
    eventually(lambda: "bad.json" in errors_of(agent))
    assert "bad" not in agent.apps()
    os.unlink(agent.policy_path("bad.json"))
    eventually(lambda: not errors_of(agent))


def test_what_is_no_policy_file(host, agent):
    """A file of 100 MB, a directory, a FIFO, a dangling link: each is an error, and the agent goes on."""
    with open(agent.policy_path("huge.json"), "wb") as huge:
        huge.truncate(100 << 20)
    os.mkdir(agent.policy_path("directory.json"))
    os.mkfifo(agent.policy_path("fifo.json"))
    os.symlink("/nonexistent", agent.policy_path("link.json"))
    for name in ("README", ".hidden.json", "policy.json~", "policy.json.bak"):
        with open(agent.policy_path(name), "w", encoding="ascii") as other:
            other.write("not a policy")
    eventually(lambda: {"huge.json", "directory.json", "fifo.json"} <= set(errors_of(agent)))
    assert set(errors_of(agent)) <= {"huge.json", "directory.json", "fifo.json", "link.json"}
    assert "104857600" in errors_of(agent)["huge.json"]["message"]
    agent.write_policy(policy("fine", [rule(ALLOWED, 443)]))
    agent.applied("fine")


def test_two_files_for_one_app(host, agent):
    agent.write_policy(policy("twice", [rule(ALLOWED, 443)]), "a.json")
    rev = agent.applied("twice")["policy_rev"]
    agent.write_policy(policy("twice", [rule(ALLOWED, "any")]), "b.json")
    error = eventually(lambda: errors_of(agent).get("b.json"))
    assert "a.json" in error["message"]
    assert agent.app("twice")["policy_rev"] == rev
    os.unlink(agent.policy_path("a.json"))
    eventually(lambda: not errors_of(agent) and agent.app("twice")["policy_rev"] != rev)
    assert agent.app("twice")["state"] == "enforce"

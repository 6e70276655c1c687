# SPDX-License-Identifier: Apache-2.0
"""The life of a policy: suggested from what audit saw, planned, applied, rolled back, renewed."""
import json
import os
import time

import pytest

from harness import ALLOWED, APP, DENIED, OTHER, eventually, policy, rule
from harness.names import API, begin
from harness.net import ROUTER
from harness.policy import in_days, in_seconds

DNS = {"resolvers": [ROUTER]}


@pytest.fixture
def world(host):
    begin(host)
    host.serve([ALLOWED], 444)
    host.serve([OTHER], 445, ("udp",))
    return host


def work(app):
    """A name, an address with two ports, a UDP service; and somebody comes in."""
    assert app.dns_ask(ROUTER, "api.example")["addresses"] == [API]
    for number, (address, port, proto) in enumerate(
            [(API, 443, "tcp"), (ALLOWED, 443, "tcp"), (ALLOWED, 444, "tcp"), (OTHER, 445, "udp")]):
        app.connect(f"w{number}", address, port, proto)
        assert app.ask(f"w{number}") == "ping"
        app.close(f"w{number}")


def receive(app, host, name="in"):
    app.listen("l", APP, 8080)
    host.server.connect(name, APP, 8080)
    app.accept("l", "a")
    host.server.close(name)
    app.close("a")
    app.close("l")


def suggested(agent, app):
    status, text, evidence = agent.cli("policy", "suggest", app)
    assert status == 0, evidence
    return json.loads(text), evidence


def test_from_audit_to_enforce(world, agent):
    app = world.app(policy("web", mode="audit", dns=DNS, limits={"egress": {"bytes": "1GiB", "per": "1h"}}))
    work(app)
    receive(app, world)
    agent.event(type="dns", app="web", name="api.example", action="dropped", verdict="audit", reason="dns_name")
    eventually(lambda: len(agent.log(type="flow", app="web", phase="end", proto="tcp")) >= 4, what="the flows' ends")
    made, evidence = suggested(agent, "web")
    assert made["mode"] == "enforce" and made["dns"] == DNS and made["limits"]["egress"]["bytes"] == "1GiB"
    assert made["egress"] == [
        {"id": "names-tcp-443", "to": ["api.example"], "proto": "tcp", "ports": [443]},
        {"id": "hosts-tcp-443", "to": [ALLOWED], "proto": "tcp", "ports": ["443-444"]},
        {"id": "hosts-udp-445", "to": [OTHER], "proto": "udp", "ports": [445]},
    ]
    assert [(one["from"], one["ports"]) for one in made["ingress"]] == [([ROUTER], [8080])]
    assert f"names-tcp-443  api.example {API}" in evidence
    assert suggested(agent, "web")[0] == made  # the same again
    # the plan agrees: nothing that passed would be denied
    path = world.file("web.json", json.dumps(made))
    status, out, _ = agent.cli("policy", "plan", path, "-o", "json")
    plan = json.loads(out)
    assert status == 0 and plan["newly_denied"] == []
    assert {one.get("name", one.get("peer")) for one in plan["newly_allowed"]} >= {"api.example", ALLOWED, OTHER, ROUTER}
    assert agent.app("web")["state"] == "audit"
    # enforced: the same work without a denial, other work with one
    assert agent.cli("policy", "apply", path)[0] == 0
    before = agent.app("web")["denied"]
    work(app)
    receive(app, world, "again")
    assert agent.app("web")["denied"] == before
    assert app.fails("connect", "x", DENIED, 443) == "EPERM"
    assert agent.event(type="deny", app="web", verdict="deny")["dst"] == DENIED
    assert agent.app("web")["denied"] == before + 1


def test_a_plan_asks_the_loaded_program(world, agent):
    app = world.app(policy("web", [rule([ALLOWED, OTHER], 443), rule(["api.example"], 443)], dns=DNS))
    assert app.dns_ask(ROUTER, "api.example")["addresses"] == [API]
    for number, address in enumerate((ALLOWED, OTHER, API)):
        app.connect(f"c{number}", address, 443)
        assert app.ask(f"c{number}") == "ping"
        app.close(f"c{number}")
    assert app.fails("connect", "x", DENIED, 443) == "EPERM"
    assert app.fails("dns_ask", ROUTER, "other.example") == "EPERM"
    agent.event(type="deny", app="web", dst=DENIED)
    agent.event(type="dns", app="web", name="other.example")
    eventually(lambda: len(agent.log(type="flow", app="web", phase="end", proto="tcp")) == 3, what="the flows")
    used = agent.status()["fills"]["rules"]["used"] if "fills" in agent.status() else None
    rev = agent.app("web")["policy_rev"]
    made = policy("web", [rule([ALLOWED, DENIED], 443), rule(["other.example"], 443)], dns=DNS)
    plan = agent.api("POST", "/v1/policies:plan", made)
    denied = {(one.get("name"), one.get("peer"), one["reason"]) for one in plan["newly_denied"]}
    assert denied == {(None, OTHER, "no_rule"), ("api.example", API, "no_grant"), ("api.example", None, "dns_name")} or \
        denied == {(None, OTHER, "no_grant"), ("api.example", API, "no_grant"), ("api.example", None, "dns_name")}
    (flow,) = [one for one in plan["newly_denied"] if one.get("peer") == OTHER]
    assert (flow["allowed"], flow["port"], flow["proto"]) == (1, 443, "tcp") and flow["bytes"] > 0 and flow["last"]
    allowed = {(one.get("name"), one.get("peer")) for one in plan["newly_allowed"]}
    assert allowed == {(None, DENIED), ("other.example", None)}
    assert plan["still_allowed"] >= 1
    # by wildcard a name is allowed as well; and the status of the command says whether anything is lost
    wide = policy("web", [rule([ALLOWED, OTHER], 443), rule(["*.example"], 443)], dns=DNS)
    assert agent.api("POST", "/v1/policies:plan", wide)["newly_denied"] == []
    assert agent.cli("policy", "plan", world.file("wide.json", json.dumps(wide)))[0] == 0
    status, out, _ = agent.cli("policy", "plan", world.file("made.json", json.dumps(made)))
    assert status == 1 and "Newly denied:" in out and OTHER in out
    # nothing has changed by asking
    assert agent.app("web")["policy_rev"] == rev
    app.connect("still", OTHER, 443)
    assert app.ask("still") == "ping"
    if used is not None:
        eventually(lambda: agent.status()["fills"]["rules"]["used"] == used, what="the tables of the plans to go")
    refusal = agent.refused("POST", "/v1/policies:plan", policy("web", [rule("10.0.0.1/8", 1)]))
    assert refusal.code == "bad_policy"


def revisions(agent, app):
    return agent.get(f"/v1/policies/{app}/history")["revisions"]


def test_history_and_rollback(world, agent):
    first = policy("web", [rule(ALLOWED, 443)], cgroups=world.glob_of("web"))
    app = world.app(first)
    rev1 = agent.app("web")["policy_rev"]
    app.connect("live", ALLOWED, 443)
    assert app.ask("live") == "ping"
    second = {**first, "egress": [rule(OTHER, 443)]}
    rev2 = agent.put(second)["policy_rev"]
    assert app.fails("connect", "x", ALLOWED, 443) == "EPERM"
    assert [(one["policy_rev"], one["action"]) for one in revisions(agent, "web")] == [(rev2, "apply"), (rev1, "apply")]
    newest = revisions(agent, "web")[0]
    assert newest["previous_rev"] == rev1 and newest["source"] == "socket" and newest["sha256"].startswith(rev2.split("-")[1])
    assert newest["actor"].startswith("uid=0 pid=") and newest["time"] and "policy" not in newest
    assert agent.get(f"/v1/policies/web/history?rev={rev1}")["policy"]["egress"] == first["egress"]
    # a kill stays, whatever is rolled back
    agent.kill("web")
    status, out, _ = agent.cli("policy", "rollback", "web")
    assert status == 0 and f"which is what was {rev1}" in out
    assert agent.app("web")["state"] == "killed"
    agent.restore("web")
    rev3 = agent.app("web")["policy_rev"]
    assert rev3 == f"3-{rev1.split('-')[1]}"
    app.connect("back", ALLOWED, 443)
    assert app.ask("back") == "ping"
    assert app.fails("connect", "x", OTHER, 443) == "EPERM"
    event = agent.event(type="policy", app="web", action="rollback")
    assert (event["policy_rev"], event["previous_rev"], event["of_rev"]) == (rev3, rev2, rev1)
    # to a revision by name; again without one: it is the last with another text
    assert agent.api("POST", "/v1/policies/web/rollback", {"rev": rev2})["policy_rev"].startswith("4-")
    assert agent.api("POST", "/v1/policies/web/rollback", {})["of"] == rev3
    assert agent.refused("POST", "/v1/policies/web/rollback", {"rev": "9-abc"}).status == 404
    assert agent.refused("POST", "/v1/policies/nobody/rollback", {}).status == 404
    assert agent.refused("POST", "/v1/policies/web/rollback", {"rev": rev2, "if_match": "1-x"}).code == "rev_changed"
    status, out, _ = agent.cli("policy", "history", "web")
    assert status == 0 and f"rollback to {rev1}" in out
    status, out, _ = agent.cli("policy", "history", "web", rev2)
    assert status == 0 and json.loads(out)["egress"] == second["egress"]
    # it outlives a restart, which is no revision; and so does what is in force
    count, rev = len(revisions(agent, "web")), agent.app("web")["policy_rev"]
    agent.restart()
    assert len(revisions(agent, "web")) == count and agent.app("web")["policy_rev"] == rev


def test_the_history_is_bounded(host, agent):
    for number in range(55):
        agent.put(policy("many", purpose=f"revision {number}"))
    known = revisions(agent, "many")
    assert len(known) == 50 and known[0]["policy_rev"].startswith("55-") and known[-1]["policy_rev"].startswith("6-")
    assert len(os.listdir(os.path.join(agent.state_dir, "history", "many"))) == 50


def test_the_history_of_what_is_gone_ends(host, agent):
    """It stays for 90 days without a policy, of the last 1,000 such apps."""
    kept = os.path.join(agent.state_dir, "history")

    def mark(app):
        return os.path.join(kept, app, ".gone")

    def gone_for(app, days):
        os.makedirs(os.path.join(kept, app), exist_ok=True)
        with open(mark(app), "w", encoding="ascii"):
            pass
        os.utime(mark(app), (time.time() - days * 86400,) * 2)

    for app in ("old", "new", "live"):
        agent.put(policy(app))
    for app in ("old", "new"):
        agent.api("DELETE", f"/v1/policies/{app}")
    agent.restart()  # that looks at once, and then every hour
    eventually(lambda: os.path.exists(mark("old")) and os.path.exists(mark("new")), what="their marks")
    assert not os.path.exists(mark("live")) and revisions(agent, "old")
    agent.stop()
    gone_for("old", 91)
    gone_for("live", 91)  # it was without for a time, and has one again
    for number in range(1000):
        gone_for(f"many{number}", 89 - number / 1000)
    agent.start()
    eventually(lambda: not os.path.exists(os.path.join(kept, "many0")), what="an end of what is too much")
    assert not os.path.exists(os.path.join(kept, "old")) and not os.path.exists(mark("live"))
    assert os.path.exists(mark("many1")) and len(os.listdir(kept)) == 1001
    assert revisions(agent, "new") and revisions(agent, "live")


def test_rollback_respects_who_owns_a_policy(host, agent):
    agent.write_policy(policy("web", [rule(ALLOWED, 443)]))
    rev = agent.applied("web")["policy_rev"]
    agent.write_policy(policy("web", [rule(OTHER, 443)]))
    eventually(lambda: agent.app("web")["policy_rev"] != rev, what="the new file")
    assert [one["file"] for one in revisions(agent, "web")] == ["web.json", "web.json"]
    assert agent.refused("POST", "/v1/policies/web/rollback", {}).code == "owned_elsewhere"
    assert agent.refused("POST", "/v1/policies/web/renew", {"for": "10d"}).code == "owned_elsewhere"
    assert agent.cli("policy", "rollback", "web")[0] == 6
    made = agent.api("POST", "/v1/policies/web/rollback", {"take_over": True})
    assert made["of"] == rev and agent.app("web")["source"] == "socket"


def test_renew(host, agent):
    made = policy("web", [rule(ALLOWED, 443)], expires=in_days(5))
    agent.put(made)
    status, out, _ = agent.cli("policy", "renew", "web", "--for", "20d")
    assert status == 0 and "until " in out
    now = agent.get("/v1/policies/web")["policy"]
    assert in_days(19) < now["expires"] <= in_days(20)
    assert {**now, "expires": made["expires"]} == made
    assert agent.event(type="policy", app="web", action="renew")["expires"] == now["expires"]
    assert revisions(agent, "web")[0]["action"] == "renew"
    refusal = agent.refused("POST", "/v1/policies/web/renew", {"for": "91d"})
    assert refusal.code == "bad_policy" and "90d" in str(refusal)
    assert agent.get("/v1/policies/web")["policy"] == now
    assert agent.refused("POST", "/v1/policies/web/renew", {}).code == "bad_value"
    assert agent.refused("POST", "/v1/policies/nobody/renew", {"for": "1d"}).status == 404
    assert agent.cli("policy", "renew", "web")[0] == 2


def warnings_of(agent, app):
    return [event["days_left"] for event in agent.log(type="policy", app=app, action="expires_soon")]


def test_an_end_is_told_beforehand(host, agent):
    """Once each, also over a restart; not of what begins with less; anew after a renewal."""
    for app, days in (("two-weeks", 14), ("three", 3), ("one", 1)):
        agent.put(policy(app, expires=in_seconds(days * 86400 + 4)))
    agent.put(policy("short", expires=in_days(2)))
    agent.put(policy("down", expires=in_seconds(86400 + 9)))
    for app, days in (("two-weeks", 14), ("three", 3), ("one", 1)):
        event = agent.event(type="policy", app=app, action="expires_soon")
        assert (event["days_left"], event["actor"]) == (days, "via=agent")
        assert event["owner"] and event["ticket"] and event["policy_rev"] and event["expires"]
    text = agent.get("/metrics")
    assert '\negret_policies_expiring{days="14"} 5\negret_policies_expiring{days="3"} 4\n' in text
    assert "\negret_app_expires_timestamp_seconds{app=\"two-weeks\"} 1" in text
    agent.stop()
    eventually(lambda: agent_gone_for(agent, 86400, "down"), 30, "the last day to begin")
    agent.start()
    assert agent.event(type="policy", app="down", action="expires_soon")["days_left"] == 1
    assert [warnings_of(agent, app) for app in ("two-weeks", "three", "one", "short", "down")] == [[14], [3], [1], [], [1]]
    agent.api("POST", "/v1/policies/one/renew", {"for": "86404s"})
    eventually(lambda: warnings_of(agent, "one") == [1, 1], what="the warning of the renewed one")


def agent_gone_for(agent, seconds, app):
    """Whether the stored policy has less than that left: what an agent that is down can't see."""
    with open(os.path.join(agent.state_dir, "policies", f"{app}.json"), encoding="utf-8") as file:
        made = json.loads(file.read().split("\n", 1)[1])
    return made["expires"] <= in_seconds(seconds)


def test_cgroups_are_found_after_many_revisions(bare_host):
    """Which patterns there are is remembered, while the policies that have them come and go."""
    host, agent = bare_host, bare_host.agent
    host.serve([ALLOWED], 443)
    agent.start(env={**os.environ, "MALLOC_PERTURB_": "165"})  # memory that was given back reads as nonsense
    patterns = [f"{host.root}/many-*.scope"]
    for revision in range(4):
        agent.put(policy("many", [rule([ALLOWED], 443 + revision), rule([ALLOWED], 443)], cgroups=patterns))
        path = f"{host.root}/many-{revision}.scope"
        app = host.process(path)
        host.tagged("many", path)
        app.connect("c", ALLOWED, 443)
        assert app.ask("c") == "ping"
        assert agent.event(type="flow", app="many", phase="start", cgroup=path)["verdict"] == "allow"
    assert not agent.log(type="deny")

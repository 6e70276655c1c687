# SPDX-License-Identifier: Apache-2.0
"""Apps chosen by their labels: what is listed, counted, shown and killed is theirs alone."""
import json
import urllib.parse

import pytest

from harness import ALLOWED, policy, rule

LABELS = {
    "pay": {"team": "hr", "sensitivity": "high", "env": "prod"},
    "bonus": {"team": "hr", "sensitivity": "critical", "env": "prod"},
    "draft": {"team": "hr", "sensitivity": "high", "env": "dev"},
    "shop": {"team": "web", "sensitivity": "high"},
    "plain": None,
}
CHOSEN = {
    "team=hr,sensitivity in (high,critical),env!=dev": {"pay", "bonus"},
    "sensitivity in (high)": {"pay", "draft", "shop"},
    "team notin (hr)": {"shop", "plain"},
    "!env": {"shop", "plain"},
    "team": {"pay", "bonus", "draft", "shop"},
    "team=nobody": set(),
}


@pytest.fixture
def apps(host):
    host.serve([ALLOWED], 443, protos=("tcp",))
    made = {}
    for name, labels in LABELS.items():
        made[name] = host.app(policy(name, [rule(ALLOWED, 443)], labels=labels))
        made[name].connect("c", ALLOWED, 443)
        assert made[name].ask("c") == "ping"
    for name in LABELS:
        host.agent.event(type="flow", app=name)
    return made


def test_everything_takes_selectors(host, agent, apps):
    for selector, chosen in CHOSEN.items():
        query = urllib.parse.quote(selector)
        assert set(agent.apps(f"?labels={query}")) == chosen, selector
        assert {one["app"] for one in agent.get(f"/v1/usage?labels={query}")["usage"]} == chosen, selector
        # who has no labels is not in an event's labels either: only what says "not" chooses those
        assert {event["app"] for event in agent.query(f"?type=flow&labels={query}")} == chosen, selector
        for command in ("apps", "usage", "flows"):
            status, out, errors = agent.cli(command, "-l", selector, "-o", "json")
            assert status == 0, errors
            (listed,) = json.loads(out).values()
            assert {one["app"] for one in listed} == chosen, (command, selector)
    assert [event["app"] for event in agent.query("?type=flow&app=pay&labels=team%3Dweb")] == []
    assert agent.get("/v1/usage?app=pay&labels=team%3Dweb")["usage"] == []
    # the newest of the chosen, not the chosen among the newest
    flows = [event for event in agent.query("?type=flow") if event.get("labels", {}).get("team") == "hr"]
    for limit in (1, 2):
        assert agent.query(f"?type=flow&labels=team%3Dhr&limit={limit}") == flows[-limit:]
    # whole lines, however many there are
    assert len(agent.query("?labels=team")) == len([one for one in agent.query() if one.get("labels", {}).get("team")])
    for command in ("apps", "usage", "flows", "events"):
        status, out, errors = agent.cli(command, "-l", "team in hr")
        assert (status, out) == (2, "") and '"("' in errors
    for path in ("/v1/apps", "/v1/usage", "/v1/events"):
        assert agent.refused("GET", f"{path}?labels=team%20in%20hr").code == "bad_selector"
    # a kill takes them, and nobody else
    status, _, errors = agent.cli("kill", "-l", "team=hr,sensitivity in (high,critical),env!=dev", "--yes", "2")
    assert status == 0, errors
    assert {name for name, app in agent.apps().items() if app["state"] == "killed"} == {"pay", "bonus"}
    assert apps["pay"].fails("connect", "d", ALLOWED, 443) == "EPERM"
    apps["draft"].connect("d", ALLOWED, 443)
    assert {event["app"] for event in agent.query("?type=kill&labels=team%3Dhr")} == {"pay", "bonus"}

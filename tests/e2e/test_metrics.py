# SPDX-License-Identifier: Apache-2.0
"""Metrics as Prometheus wants them, documented, and the rules and the dashboard that are shipped for them."""
import json
import os
import re
import subprocess

import pytest

from harness import ALLOWED, DENIED, Host, eventually, policy, rule
from harness.agent import TREE

MONITORING = os.path.join(TREE, "agent/monitoring")
RULES = os.path.join(MONITORING, "egret-alerts.yml")


def promtool(*arguments, text=None):
    done = subprocess.run(["promtool", *arguments], input=text, capture_output=True, text=True, timeout=60, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def read(path):
    with open(path, encoding="utf-8") as file:
        return file.read()


@pytest.fixture(scope="module")
def text():
    """Of an agent that has everything: caps, names, a denial, a sink, a route, a control plane that is away."""
    with Host(inside=True) as host:
        host.agent.configure(
            ship_user="nobody", control={"source": "etcd", "endpoints": ["http://127.0.0.1:9"], "user": "daemon"},
            sinks=[{"name": "disk", "type": "file", "path": os.path.join(host.directory, "out/events.ndjson")}],
            routes=[{"name": "pager", "type": "webhook", "url": "http://127.0.0.1:9/"}])
        host.agent.start()
        host.serve([ALLOWED], 443)
        caps = {"egress": {"bytes": "1MiB", "per": "1h", "action": "drop"}}
        app = host.app(policy("web", [rule(ALLOWED, 443)], limits=caps))
        app.connect("c", ALLOWED, 443)
        app.ask("c")
        app.fails("connect", "d", DENIED, 443)
        eventually(lambda: "egret_sink_state{" in host.agent.get("/metrics"), what="egret-ship's word")
        return host.agent.get("/metrics")


@pytest.fixture(scope="module")
def families(text):
    found = re.findall(r"^# TYPE (\w+) (?:counter|gauge)$", text, re.M)
    assert len(found) == len(set(found)) > 80
    return set(found)


# ---- The text ------------------------------------------------------------------------------------------------


def test_promtool_has_nothing_to_say(text):
    assert promtool("check", "metrics", text=text) == (0, "")


def test_promtool_would_say_it():
    status, said = promtool("check", "metrics", text="# TYPE egret_bytes counter\negret_bytes 1\n")
    assert status != 0 and "_total" in said


def test_values(text):
    hour = 'app="web",direction="egress",per_seconds="3600"'
    assert f"\negret_app_cap_limit_bytes{{{hour}}} {1 << 20}\n" in text
    used = int(re.search(rf"^egret_app_cap_used_bytes{{{hour}}} (\d+)$", text, re.M).group(1))
    sent = int(re.search(r'^egret_app_bytes_total{app="web",direction="egress"} (\d+)$', text, re.M).group(1))
    assert 0 < used == sent
    assert '\negret_denied_total{direction="egress",reason="no_rule"} 1\n' in text
    assert '\negret_app_denied_total{app="web"} 1\n' in text
    assert '\negret_udp_peers_untimed 0\n' in text
    assert '\negret_app_events_not_told_total{app="web",cause="event_budget"} 0\n' in text


def test_each_family_is_in_the_manual(families):
    manual = read(os.path.join(TREE, "agent/core/egretd.8"))
    assert sorted(name for name in families if name not in manual) == []
    named = set(re.findall(r"\begret_(?:app|apps|table|event|events|sink|route|control|prefetch|dns|grants)_\w+", manual))
    assert sorted(named - families) == []


# ---- Rules and dashboard ---------------------------------------------------------------------------------------


def dashboard():
    return json.loads(read(os.path.join(MONITORING, "egret-dashboard.json")))


def expressions():
    return [target["expr"] for panel in dashboard()["panels"] for target in panel.get("targets", [])]


def test_all_that_they_name_is_there(families):
    rules = "\n".join(line for line in read(RULES).splitlines() if line.strip().startswith("expr:"))
    for asked in (rules, "\n".join(expressions()), json.dumps(dashboard()["templating"])):
        named = set(re.findall(r"\begret_\w+", asked))
        assert named and sorted(named - families) == []


def test_the_dashboard(tmp_path):
    panels = dashboard()["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = [(column, line) for panel in panels for place in [panel["gridPos"]]
             for column in range(place["x"], place["x"] + place["w"]) for line in range(place["y"], place["y"] + place["h"])]
    assert len(set(taken)) == len(taken) and max(column for column, _ in taken) == 23
    # each expression is one that Prometheus can read
    asked = [one.replace("$instance", ".*").replace("$__rate_interval", "5m") for one in expressions()]
    rules = {"groups": [{"name": "dashboard", "rules": [
        {"record": f"panel:{number}", "expr": one} for number, one in enumerate(asked)]}]}
    path = tmp_path / "rules.json"
    path.write_text(json.dumps(rules))
    status, said = promtool("check", "rules", str(path))
    assert status == 0 and f"{len(asked)} rules found" in said, said


def test_promtool_takes_the_rules():
    status, said = promtool("check", "rules", RULES)
    assert status == 0, said
    for name in alerts():
        rule_text = read(RULES).split(f"alert: {name}\n")[1].split("- alert:")[0]
        assert re.search(r"severity: (page|ticket)", rule_text) and "summary:" in rule_text and "description:" in rule_text


def alerts():
    return re.findall(r"- alert: (\w+)", read(RULES))


BROKEN = {  # alert: series of a host on which it must fire, a sample a minute
    "EgretAgentDown": {'up{job="egret"}': "0x60"},
    "EgretEnforcementLost": {"egret_enforcement_ok": "0x60"},
    "EgretRestarting": {"egret_start_time_seconds": "100+20x60"},
    "EgretKillNotOnDisk": {"egret_holds_pending": "2x60"},
    "EgretKillAll": {"egret_kill_all": "1x60"},
    "EgretGuardTakenOff": {"egret_guards_restored_total": "0+1x60"},
    "EgretAlarm": {"egret_alarms": "1x60"},
    "EgretPolicyUnusable": {"egret_policy_errors": "1x60"},
    "EgretPolicyExpires": {'egret_policies_expiring{days="3"}': "1x60"},
    "EgretCapNearlyUsed": {'egret_app_cap_used_bytes{app="a",direction="egress",per_seconds="60"}': "80x60"},
    "EgretDenials": {'egret_app_denied_total{app="a"}': "0+100x60"},
    "EgretUnknownCgroup": {"egret_unknown_denied_total": "0+1x60"},
    "EgretTableFilling": {'egret_table_entries{table="apps"}': "80x60"},
    "EgretSocketQuotaFilling": {'egret_app_sockets{app="a"}': "80x60"},
    "EgretPeerQuotaFilling": {'egret_app_udp_peers{app="a"}': "80x60"},
    "EgretGrantsEvicted": {'egret_grants_evicted_total{app="a"}': "0+1x60"},
    "EgretLogFailing": {"egret_event_log_failing": "1x60"},
    "EgretEventsLost": {"egret_events_lost_total": "0+1x60"},
    "EgretEventsSuppressed": {'egret_app_events_not_told_total{app="a",cause="event_budget"}': "0+1x60"},
    "EgretVitalEventsEvicted": {"egret_events_evicted_vital_total": "0+1x60"},
    "EgretLogDamaged": {"egret_event_log_damaged_bytes_total": "0+1x60"},
    "EgretShipDown": {"egret_ship_up": "0x60"},
    "EgretSinkFailing": {'egret_sink_state{sink="s",state="failing"}': "1x60"},
    "EgretSinkLate": {'egret_sink_lag_seconds{sink="s"}': "400x60"},
    "EgretSinkLosing": {'egret_sink_dead_letters_total{sink="s"}': "0+1x60"},
    "EgretRouteFailing": {'egret_route_ok{route="r"}': "0x60"},
    "EgretRouteLosing": {'egret_route_dropped_total{route="r"}': "0+1x60"},
    "EgretControlPlaneAway": {"egret_control_connected": "0x60"},
    "EgretControlPlaneRefused": {"egret_control_errors": "1x60"},
    "EgretControlPlanePaused": {"egret_control_paused": "1x60"},
    "EgretPrefetchFailing": {"egret_prefetch_failing": "1x60"},
}
ONES = {  # what is 1 on a host that is well, or large enough; all else in BROKEN is 0
    'up{job="egret"}': 1, "egret_enforcement_ok": 1, "egret_start_time_seconds": 100, "egret_ship_up": 1,
    'egret_route_ok{route="r"}': 1, "egret_control_connected": 1, 'egret_sink_state{sink="s",state="ok"}': 1,
    'egret_app_cap_limit_bytes{app="a",direction="egress",per_seconds="60"}': 100,
    'egret_table_size{table="apps"}': 100, "egret_app_sockets_max": 100, "egret_app_udp_peers_max": 100,
    'egret_app_sockets{app="_other"}': 1000, 'egret_sink_evicted_total{sink="s"}': 0,
    'egret_route_refused_total{route="r"}': 0,
}


def on_host(series):
    name, _, labels = series.partition("{")
    return f'{name}{{instance="h",{labels or "}"}'


def case(broken, fires):
    """One of promtool's tests: an hour of a host, and the names of the alerts that fire at its end."""
    values = {series: "0x60" for one in BROKEN.values() for series in one}
    values.update({series: f"{value}x60" for series, value in ONES.items()})
    values.update(broken)
    return {
        "interval": "1m",
        "input_series": [{"series": on_host(series), "values": value} for series, value in values.items()],
        "promql_expr_test": [{
            "expr": 'count by (alertname) (ALERTS{alertstate="firing"})', "eval_time": "59m",
            "exp_samples": [{"labels": f'{{alertname="{name}"}}', "value": 1} for name in fires]}],
    }


def test_each_alert_fires_when_it_should_and_only_then(tmp_path):
    assert sorted(BROKEN) == sorted(alerts())
    tests = [case({}, [])] + [case(broken, [name]) for name, broken in BROKEN.items()]
    path = tmp_path / "tests.json"
    path.write_text(json.dumps({"rule_files": [RULES], "evaluation_interval": "1m", "tests": tests}))
    status, said = promtool("test", "rules", str(path))
    assert status == 0 and "SUCCESS" in said, said


def test_promtool_would_notice(tmp_path):
    path = tmp_path / "tests.json"
    tests = [case(BROKEN["EgretKillAll"], [])]
    path.write_text(json.dumps({"rule_files": [RULES], "evaluation_interval": "1m", "tests": tests}))
    status, said = promtool("test", "rules", str(path))
    assert status != 0 and "FAILED" in said

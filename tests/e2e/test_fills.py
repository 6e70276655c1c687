# SPDX-License-Identifier: Apache-2.0
"""Nearly full tables and quotas are told: as an event, a metric and an alarm; and when it is over."""
import os
import re

import pytest

from harness import ALLOWED, Host, cgroup, eventually, policy, rule
from harness.names import named
from harness.net import ROUTER, batch, run

APPS = [f"app{number}" for number in range(8)]
GRANTS, PEERS, SOCKETS = 16, 10, 20
CGROUPS = 960  # 1,024 dead ones have room beside those of the apps
CONFIG = {
    "max_apps": len(APPS), "max_rules": 1, "max_names": 1, "udp_idle": "2s",
    "limits": {"sockets": SOCKETS, "udp_peers": PEERS, "grants": GRANTS},
}


def zone():
    """Names with eight public addresses each, another eight for every one."""
    return {f"n{name}.example": {"A": [f"198.51.100.{name * 8 + address}" for address in range(1, 9)]}
            for name in range(24)}


def plain(app, **more):
    return policy(app, [rule(ALLOWED, "1-100", "udp")], **more)


class Crowd:
    """Small tables, and the apps that fill them."""

    def __init__(self, host):
        self.host, self.agent = host, host.agent
        self.apps = [host.app(plain(app)) for app in APPS]

    def put(self, made):
        self.agent.put({"cgroups": self.host.glob_of(made["app"]), **made})

    def everybody(self):
        for app in APPS:
            self.put(plain(app))

    def metric(self, series):
        found = re.search(rf"^{re.escape(series)} (\S+)$", self.agent.get("/metrics"), re.M)
        return float(found.group(1)) if found else 0

    def ratio(self, table):
        return self.metric(f'egret_table_entries{{table="{table}"}}') / self.metric(f'egret_table_size{{table="{table}"}}')

    def told(self, **wanted):
        """How often."""
        return len(self.agent.log(type="alert", **wanted))

    def alarms(self, text):
        return [alarm for alarm in self.agent.status()["alarms"] if text in alarm]


@pytest.fixture(scope="module")
def crowd():
    with Host(inside=True, **CONFIG) as host:
        host.agent.start()
        host.network.public("198.51.100.0/24")
        host.server.dns_serve([ROUTER], zone())
        yield Crowd(host)


# ---- Tables: (fill, drain) -------------------------------------------------------------------------------------


def many_rules(crowd):
    crowd.put(policy("app0", [rule(f"10.9.{n // 200}.{n % 200 + 1}", 1 + n) for n in range(840)]))


def many_names(crowd):
    crowd.put(named("app0", [f"h{number}.example" for number in range(56)]))


def many_cgroups(crowd):
    for number in range(CGROUPS):
        os.mkdir(cgroup.full(f"{crowd.host.cgroup_of('app0')}/{number}"))


def few_cgroups(crowd):
    for number in range(CGROUPS):
        os.rmdir(cgroup.full(f"{crowd.host.cgroup_of('app0')}/{number}"))


def many_peers(crowd):
    for app in crowd.apps:
        app.open("fan", ALLOWED, "udp")
        for port in range(1, PEERS + 2):
            app.sendto("fan", ALLOWED, port)


def few_peers(crowd):
    for app in crowd.apps:
        app.close("fan")


def many_grants(crowd):
    for number, app in enumerate(APPS):
        crowd.put(named(app, "*.example"))
        for name in (number * 2, number * 2 + 1):
            crowd.apps[number].dns_ask(ROUTER, f"n{name}.example")


def many_guards(crowd):
    """Interfaces of a namespace that is one app's alone, each with its other end in the agent's."""
    network = crowd.host.network
    crowd.space = f"{network.app}-more"
    run("ip", "netns", "add", crowd.space)
    network.made.append(crowd.space)
    batch(crowd.space, [f"link add in{n} type veth peer name out{n} netns {network.host}" for n in range(30)])
    batch(crowd.space, [f"link set in{n} up" for n in range(30)])
    crowd.lodger = crowd.host.process(crowd.host.cgroup_of("app0"), netns=crowd.space)


def few_guards(crowd):
    crowd.lodger.stop()
    batch(crowd.space, [f"link del in{n}" for n in range(30)])


TABLES = {
    "rules matches": (many_rules, Crowd.everybody),
    "names": (many_names, Crowd.everybody),
    "cgroups": (many_cgroups, few_cgroups),
    "peers": (many_peers, few_peers),
    "guards": (many_guards, few_guards),
    "grants": (many_grants, None),  # an app's stay as long as it does: test_apps
}


@pytest.mark.parametrize("tables", TABLES)
def test_a_table_fills_and_empties(crowd, tables):
    (fill, drain), tables = TABLES[tables], tables.split()
    for table in tables:
        assert crowd.ratio(table) < 0.7 and not crowd.alarms(f"table {table} ")
    fill(crowd)
    for table in tables:
        is_told_as_full(crowd, table)
    if not drain:
        return
    drain(crowd)
    for table in tables:
        eventually(lambda: crowd.told(action="table_filling_end", table=table) == 1, what="its end")  # pylint: disable=cell-var-from-loop
        assert crowd.ratio(table) < 0.7 and not crowd.alarms(f"table {table} ")
        assert crowd.told(action="table_filling", table=table) == 1


def is_told_as_full(crowd, table):
    event = crowd.agent.event(type="alert", action="table_filling", table=table)
    assert event["percent"] >= 80 and event["percent"] == event["used"] * 100 // event["size"] and "app" not in event
    assert crowd.ratio(table) >= 0.8
    (alarm,) = crowd.alarms(f"table {table} ")
    assert re.fullmatch(rf"table {table} is (8\d|9\d|100) % full", alarm)
    if table != "peers":  # they end by themselves
        assert alarm in crowd.agent.cli("status")[1]


# ---- Quotas of one app ---------------------------------------------------------------------------------------


def test_sockets_of_one_app(crowd):
    agent, app = crowd.agent, crowd.apps[1]
    for number in range(SOCKETS * 8 // 10):
        app.open(f"s{number}", ALLOWED, "udp")
    event = agent.event(type="alert", action="quota_filling", app="app1", quota="sockets")
    assert event["used"] >= 16 and event["size"] == SOCKETS and event["percent"] >= 80
    assert event["owner"] == "owner@example.com"
    assert crowd.metric('egret_app_sockets{app="app1"}') / crowd.metric("egret_app_sockets_max") >= 0.8
    (alarm,) = crowd.alarms("sockets")
    assert re.fullmatch(rf"app1 has 1[6-9] of {SOCKETS} sockets", alarm) and alarm in agent.cli("status")[1]
    app.close_all()
    agent.event(type="alert", action="quota_filling_end", app="app1", quota="sockets")
    assert not crowd.alarms("sockets")
    for number in range(SOCKETS * 8 // 10):  # again: an alarm, as it is so, but no app fills the log with its ups and downs
        app.open(f"s{number}", ALLOWED, "udp")
    eventually(lambda: crowd.alarms("sockets"), what="the alarm")
    app.close_all()
    eventually(lambda: not crowd.alarms("sockets"), what="its end")
    assert crowd.told(quota="sockets", action="quota_filling") == crowd.told(quota="sockets", action="quota_filling_end") == 1
    assert agent.count("app1", "socket_quota") == 0


def test_udp_peers_of_one_app(crowd):
    app = crowd.apps[2]
    crowd.put(plain("app2"))
    refused = crowd.agent.count("app2", "flow_quota")
    app.open("fan", ALLOWED, "udp")
    for port in range(1, PEERS + 2):
        app.sendto("fan", ALLOWED, port)
    assert app.fails("sendto", "fan", ALLOWED, PEERS + 2) == "EPERM"
    assert crowd.agent.count("app2", "flow_quota") == refused + 1
    event = crowd.agent.event(type="alert", action="quota_filling", app="app2", quota="udp_peers")
    assert (event["used"], event["size"], event["percent"]) == (PEERS, PEERS, 100)
    assert crowd.metric("egret_app_udp_peers_max") == PEERS
    crowd.agent.event(type="alert", action="quota_filling_end", app="app2", quota="udp_peers")
    eventually(lambda: not crowd.alarms("app2 has"), what="the end of the alarm")


def test_grants_that_push_out_good_ones(crowd):
    """A full place for grants is nothing to tell; the loss of one that was good is."""
    crowd.put(named("app3", "*.example"))
    for name in (6, 7):  # also what many_grants() asked for
        crowd.apps[3].dns_ask(ROUTER, f"n{name}.example")
    assert crowd.metric('egret_grants{app="app3"}') == GRANTS
    assert crowd.metric('egret_grants_evicted_total{app="app3"}') == 0 and crowd.metric("egret_grants_max") == GRANTS
    assert crowd.told(quota="grants") == 0
    crowd.apps[3].dns_ask(ROUTER, "n22.example")
    event = crowd.agent.event(type="alert", action="quota_filling", app="app3", quota="grants")
    assert (event["used"], event["size"]) == (GRANTS, GRANTS)
    assert crowd.metric('egret_grants_evicted_total{app="app3"}') == 8
    (alarm,) = crowd.alarms("app3 lost addresses that were still good")
    _, text, _ = crowd.agent.cli("doctor")
    assert alarm in text


# ---- The apps themselves, last, as it takes some of them away ----------------------------------------------------


def test_apps(crowd):
    event = crowd.agent.event(type="alert", action="table_filling", table="apps")
    assert (event["percent"], event["size"]) in ((87, 8), (100, 8))
    assert crowd.ratio("apps") == 1 and crowd.alarms("table apps is 100 % full")
    error = crowd.agent.refused("PUT", "/v1/policies/one-more", policy("one-more", [rule(ALLOWED, 443)]))
    assert error.status == 507
    for app, worker in list(zip(APPS, crowd.apps))[-3:]:
        worker.stop()
        cgroup.remove(crowd.host.cgroup_of(app))
        crowd.agent.api("DELETE", f"/v1/policies/{app}")
    event = crowd.agent.event(type="alert", action="table_filling_end", table="apps")
    assert event["percent"] < 70
    crowd.agent.event(type="alert", action="table_filling_end", table="grants")
    assert not crowd.alarms("table ")

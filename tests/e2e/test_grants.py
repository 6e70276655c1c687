# SPDX-License-Identifier: Apache-2.0
"""What the agent tells of the addresses that an app learned: the kernel's tables are filled by hand here."""
import ipaddress
import struct
import time

import pytest

from harness import ALLOWED, policy, rule
from harness.pinned import Map

NAME_SIZE = 252


def reverse(name):
    return name.encode()[::-1].ljust(NAME_SIZE, b"\0")


def address(text):
    found = ipaddress.ip_address(text)
    return (b"\0" * 10 + b"\xff\xff" if found.version == 4 else b"") + found.packed


class Tables:
    """Grants of one app, as the kernel would keep them."""

    def __init__(self, agent, name):
        app = agent.get(f"/v1/apps/{name}")
        self.slot, self.gen, self.max = app["slot"], app["gen"], app["grants"]["max"]
        self.grants, self.order = Map(agent, "grants"), Map(agent, "grant_order")

    def grant(self, place, name, at, age_s, rest_s, way=0, stands=None, gen=None):
        """Learned so long ago, good for so long; `stands` is the place that the grant itself knows."""
        gen = self.gen if gen is None else gen
        now = time.clock_gettime(time.CLOCK_BOOTTIME)
        key = struct.pack("=II", self.slot, gen) + address(at) + struct.pack("=II", way, 0)
        stands = place if stands is None else stands
        grant = struct.pack("=qqQI", int((now - age_s) * 1e9), int((now + rest_s) * 1e9), 7, stands) + reverse(name)
        self.grants.update([(key, grant)])
        index = struct.pack("=I", self.slot * self.max + place % self.max)
        self.order.update([(index, address(at) + struct.pack("=II", way, gen))])


@pytest.fixture
def tables(host, agent):
    host.app(policy("web", [rule(ALLOWED, 443, id="tls")]))
    return Tables(agent, "web")


def test_an_app_has_its_grants(agent, tables):
    tables.grant(0, "a.example", "192.0.2.1", 100, 200)
    tables.grant(1, "b.example", "192.0.2.1", 50, 200, way=1)  # one address, two names
    tables.grant(tables.max + 2, "c.example", "2001:db8::1", 10, -5)  # the second time around; at its end
    tables.grant(tables.max - 1, "d.example", "192.0.2.4", 1, 200)  # the last place
    tables.grant(3, "e.example", "192.0.2.5", 1, 200, stands=9)  # made again at another place
    tables.grant(4, "f.example", "192.0.2.6", 1, 200, gen=tables.gen + 1)  # of another life of the slot
    app = agent.get("/v1/apps/web?grants=1")
    found = app["grants"]["list"]
    assert [(one["name"], one["address"], one["expired"]) for one in found] == [
        ("d.example", "192.0.2.4", False), ("c.example", "2001:db8::1", True), ("b.example", "192.0.2.1", False),
        ("a.example", "192.0.2.1", False)]
    oldest = found[-1]
    assert 100 <= oldest["age_s"] < 160 and 140 < oldest["rest_s"] <= 200 and oldest["learned"] < oldest["expires"]
    assert found[1]["rest_s"] == 0
    assert "list" not in agent.get("/v1/apps/web")["grants"]
    _, out, _ = agent.cli("app", "web")
    assert "Learned from DNS:" in out and "d.example" in out and "expired" in out


def test_explain_tells_the_grants(agent, tables):
    tables.grant(0, "a.example", "192.0.2.1", 100, 200)
    tables.grant(1, "a.example", "192.0.2.2", 100, -1)
    tables.grant(2, "b.example", "192.0.2.1", 100, -1, way=3)
    by_name = agent.get("/v1/explain?app=web&dest=A.Example.:443")
    assert [one["address"] for one in by_name["grants"]] == ["192.0.2.1"]  # those that are still good
    by_address = agent.get("/v1/explain?app=web&dest=192.0.2.1:443")
    found = [(one["name"], one["expired"]) for one in by_address["grants"]]
    assert found == [("a.example", False), ("b.example", True)]
    # No rule has names, so no grant allows anything.
    assert (by_address["verdict"], by_address["reason"], by_address["grant"]) == ("deny", "no_rule", None)
    assert agent.get("/v1/explain?app=web&dest=none.example:443")["grants"] == []


def test_metrics_have_grants(agent, tables):
    text = agent.get("/metrics")
    for metric in ("egret_dns_learned_total", "egret_grants", "egret_grants_evicted_total"):
        assert f'\n{metric}{{app="web"}} 0\n' in text

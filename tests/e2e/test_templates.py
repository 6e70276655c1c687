# SPDX-License-Identifier: Apache-2.0
"""The templates and examples that we ship, in force: what they name is reached, and nothing else."""
import glob
import json
import os

import pytest

from harness import ALLOWED, DENIED
from harness.agent import TREE
from harness.names import API, PUBLIC, PUBLIC6, grants
from harness.net import ROUTER, ROUTER6, Network
from harness.policy import in_days
from harness.tls import TlsClient, TlsServer

POLICIES = os.path.join(TREE, "policies")
TEMPLATES = os.path.join(POLICIES, "templates")
SET = {"EGRET_TEMPLATES": TEMPLATES}
STRANGER = "198.51.100.77"

# What has to be given, and what may then be reached: an address and port, or a name.
KNOWN = {
    "deny-all": ({}, None),
    "one-service": ({"to": ALLOWED, "port": "5432"}, (ALLOWED, 5432)),
    "db-view-read-only": ({"db": ALLOWED}, (ALLOWED, 5432)),
    "sheets-read-only": ({}, "sheets.googleapis.com"),
    "slack-notify-only": ({}, "hooks.slack.com"),
    "web-api-client": ({"hosts": "api.example.com, www.example.com"}, "www.example.com"),
    "package-registry-build": ({"registries": "packages.example.com"}, "packages.example.com"),
    "llm-agent-sandbox": ({"api": "llm.example.com"}, "llm.example.com"),
}


def stored():
    return {os.path.basename(path)[:-5] for path in glob.glob(f"{TEMPLATES}/*.json")}


def new(agent, template, app, values, *options):
    """egret policy new"""
    given = [word for key, value in values.items() for word in ("--set", f"{key}={value}")]
    return agent.cli("policy", "new", "--template", template, "--app", app, "--owner", "o@example.com", "--ticket", "SEC-7",
                     *given, *options, environment=SET)


@pytest.fixture
def world(host, tmp_path):
    """Every name leads to one TLS server; a database; a stranger at a public address."""
    host.network.public(PUBLIC, PUBLIC6)
    names = [where for _, where in KNOWN.values() if isinstance(where, str)]
    host.server.dns_serve([ROUTER, ROUTER6], {name: {"A": [API]} for name in names})
    host.serve([ALLOWED, DENIED], 5432, protos=("tcp",))
    host.serve([STRANGER], 443, protos=("tcp",))
    with TlsServer.serving(Network.path(host.network.server), API, tmp_path):
        yield host


def reaches(agent, app, name, where):
    if isinstance(where, tuple):
        app.connect("c", *where)
        assert app.ask("c") == "ping"
        return
    assert app.dns_ask(ROUTER, where)["addresses"] == [API]
    assert list(grants(agent, name)) == [(where, API)]
    app.connect("c", API, 443)
    client = TlsClient(app.lend("c"), where)
    client.echo()
    client.close()


def is_refused(host, agent, app, name, address, port):
    assert app.fails("connect", "no", address, port) == "EPERM"
    event = agent.event(type="deny", app=name, dst=address, dst_port=port)
    assert event["verdict"] == "deny" and event["ticket"] == "SEC-7"
    assert agent.count(name, event["reason"]) == 1
    host.unseen(address, "tcp", port)


def test_every_template_is_enforced(world, agent):
    assert set(KNOWN) == stored()
    for template, (values, where) in KNOWN.items():
        name = f"x-{template}"
        named = {"resolvers": f"{ROUTER},{ROUTER6}"} if isinstance(where, str) else {}
        status, text, errors = new(agent, template, name, {**values, **named, "cgroups": world.glob_of(name)[0]})
        assert (status, errors) == (0, ""), template
        assert agent.cli("policy", "check", "--strict", "-", text=text)[0] == 0
        status, _, errors = agent.cli("policy", "apply", "-", text=text)
        assert (status, errors) == (0, ""), template
        app = world.app(name=name)
        if where:
            reaches(agent, app, name, where)
        is_refused(world, agent, app, name, *((STRANGER, 443) if named else (DENIED, 5432)))
        app.stop()
        world.workers.remove(app)
        agent.api("DELETE", f"/v1/policies/{name}")


def test_what_new_refuses(host, agent):
    status, out, errors = new(agent, "web-api-client", "web", {})
    assert (status, out) == (2, "") and "--set hosts=api.example.com" in errors
    status, out, errors = new(agent, "web-api-client", "web", {"host": "api.example.com"})
    assert (status, out) == (2, "") and "no parameter 'host'" in errors
    status, out, errors = new(agent, "one-service", "web", {"to": "10.0.0.300"})
    assert (status, out) == (1, "") and "egress[0].to[0]" in errors
    status, out, errors = new(agent, "nothing", "web", {})
    assert (status, out) == (2, "") and "nothing.json" in errors
    status, out, errors = new(agent, "../templates/deny-all", "web", {})
    assert (status, out) == (2, "") and "can't be the name of a template" in errors
    status, out, errors = new(agent, "deny-all", "web", {}, "--expires", "soon")
    assert (status, out) == (2, "") and "--expires" in errors


def test_what_was_given_is_text(host, agent):
    """A value can't hold places, nor break out of its string."""
    status, out, _ = new(agent, "deny-all", "web", {"env": "prod"}, "--expires", "2030-01-31T00:00:00Z")
    assert status == 0 and json.loads(out)["expires"] == "2030-01-31T00:00:00Z"
    status, out, _ = agent.cli("policy", "new", "--template", "deny-all", "--app", "web", "--ticket", '"}, "x": {"${owner}',
                               "--owner", "${ticket}", environment=SET)
    assert status == 0
    made = json.loads(out)
    assert (made["owner"], made["ticket"]) == ("${ticket}", '"}, "x": {"${owner}')
    assert "x" not in made and "team" not in made["labels"]


def test_the_list_and_completion_know_them_all(host, agent):
    status, out, _ = agent.cli("policy", "new", "--list", "-o", "json", environment=SET)
    assert status == 0 and set(json.loads(out)) == stored()
    status, out, _ = agent.cli("policy", "new", "--list", "--templates", TEMPLATES)
    assert status == 0 and "  registries  required" in out
    _, out, _ = agent.cli("__complete", "--", "policy", "new", "--template", "")
    assert set(out.split()) == stored()


def destinations(made):
    """One of each egress rule: DEST and protocol, as explain wants them."""
    for one in made.get("egress", []):
        if one["to"] == ["self"]:
            continue
        to = one["to"][0].split("/")[0].replace("*.", "www.")
        port = str(one.get("ports", [0])[0]).split("-")[0]
        to = f"[{to}]" if ":" in to else to
        yield one["id"], to if one["proto"] == "icmp" else f"{to}:{port}", one["proto"]


def test_every_example_is_enforced(host, agent):
    paths = sorted(glob.glob(f"{POLICIES}/examples/*.json"))
    assert len(paths) >= 9
    for path in paths:
        with open(path, encoding="utf-8") as file:
            made = {**json.load(file), "expires": in_days(30), "ticket": "SEC-7"}
        made["cgroups"] = host.glob_of(made["app"])
        app = host.app(made)
        for _, dest, proto in destinations(made):
            assert agent.explain(made["app"], dest, proto)["verdict"] == "allow", (path, dest)
        stranger = agent.explain(made["app"], "192.0.2.200:9")
        if made.get("mode") == "audit":
            assert stranger["verdict"] == "audit"
        else:
            assert stranger["verdict"] == "deny"
            is_refused(host, agent, app, made["app"], "192.0.2.200", 9)

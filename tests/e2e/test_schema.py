# SPDX-License-Identifier: Apache-2.0
"""policies/policy.schema.json says what the parser says: of every example, and of thousands of broken copies."""
import copy
import glob
import json
import os
import subprocess

import jsonschema
import pytest

from harness.agent import EGRET, TREE
from harness.policy import in_days, policy

SCHEMA = os.path.join(TREE, "policies", "policy.schema.json")

# Of each key, values that the parser takes somewhere; each is put everywhere.
VALUES = {
    "$schema": ["policy.schema.json"], "version": [1, 2], "owner": ["o"], "ticket": ["T-1"],
    "purpose": ["p"], "catalog_id": ["c"], "request_id": ["r"], "labels": [{"team": "hr"}, {}], "expires": ["2027-01-31T00:00:00Z", "2027-01-31"], "mode": ["enforce", "audit"], "log": ["full"], "cgroups": [["a.slice/b*"], ["/a"]],
    "self": [True, False], "raw_sockets": [True], "allow_netns_admin": [False],
    "egress": [[{"to": ["192.0.2.1"], "proto": "icmp"}], {"bytes": "1MiB", "per": "1h"}, [{"bytes": 5, "per": "1d"}]],
    "ingress": [[{"from": ["192.0.2.1"], "proto": "udp", "ports": "any"}], {"bytes": "1GB", "per": "31d", "action": "alert"}],
    "dns": [{"rate": "5/s"}], "limits": [{"new_flows": "5/min"}, {"egress_rate": "10Mbit/s"}],
    "alerts": [[{"when": "denied", "over": "20/min", "action": "alert"}],
               [{"when": "egress_bytes", "over": "20MiB/h", "action": "kill"}],
               [{"when": "egress_bytes", "over": "20/x", "action": "kill"}]],
    "id": ["fresh", "self", "dns"], "to": [["192.0.2.1"], ["self"], ["x.example", "2001:db8::/32"], ["*.x.example"]],
    "from": [["192.0.2.1"], ["x.example"]], "proto": ["tcp", "udp", "icmp", "sctp"],
    "ports": [[443], ["8080-8090"], "any", ["any"], [0], "443"], "types": [[8], "any", [255]], "tls": ["verify-sni", "verify"],
    "http": ["verify-connect"], "private": [["10.0.0.0/8"]], "prefetch": [True, False],
    "resolvers": [["192.0.2.53"], ["192.0.2.0/24"]], "rate": ["60/min", "60"], "ask_only": [["corp.example"]],
    "bytes": ["5MiB", 5, 0, "5 miles"], "per": ["90m", "1 fortnight"], "action": ["drop", "alert", "kill"],
    "egress_rate": ["1Gbit/s", "1GB/s"], "new_flows": ["10/s", "many"], "when": ["denied", "ingress_bytes"],
    "over": ["5/min", "5MiB/min", "5"],
}
WRONG = [None, True, 7, -1, 0.5, "", "\u0007", "words here", [], {}, [[]], [None], {"x": 1}]


def seeds():
    for path in sorted(glob.glob(os.path.join(TREE, "policies", "examples", "*.json"))):
        with open(path, encoding="utf-8") as file:
            yield {**json.load(file), "expires": in_days(30)}
    peer = {"to": ["192.0.2.1"], "proto": "tcp", "ports": [443]}
    yield policy("seed", [{"to": ["self"]}, {**peer, "id": "a"}, {"to": ["192.0.2.9"], "proto": "icmp", "types": [8, 13]}])
    yield policy("seed", [{**peer, "to": ["x.example"], "tls": "verify-sni", "prefetch": True}], dns={"resolvers": ["192.0.2.53"]})
    yield policy("seed", [{**peer, "to": ["192.0.2.1", "x.example"], "http": "verify-connect"}])


def places(json_value, path=()):
    """Paths of all values in a document."""
    yield path
    items = json_value.items() if isinstance(json_value, dict) else enumerate(json_value) if isinstance(json_value, list) else ()
    for key, value in items:
        yield from places(value, path + (key,))


def at(document, path):
    for part in path:
        document = document[part]
    return document


def changed(document, path, value):
    made = copy.deepcopy(document)
    at(made, path[:-1])[path[-1]] = value
    return made


def mutants(document):
    yield document
    for path in places(document):
        value = at(document, path)
        if path:
            gone = copy.deepcopy(document)
            del at(gone, path[:-1])[path[-1]]
            yield gone
            yield from (changed(document, path, wrong) for wrong in WRONG)
            yield from (changed(document, path, other) for other in VALUES.get(path[-1], []))
        if isinstance(value, dict):
            yield changed(document, path + ("unheard_of",), 1)
            yield from (changed(document, path + (key,), value) for key, values in VALUES.items() for value in values)


@pytest.fixture(scope="module")
def schema():
    with open(SCHEMA, encoding="utf-8") as file:
        made = json.load(file)
    jsonschema.Draft202012Validator.check_schema(made)
    return jsonschema.Draft202012Validator(made)


def verdicts(directory):
    done = subprocess.run([EGRET, "policy", "check", "-o", "json", "--max-lifetime", "3650d", directory],
                          capture_output=True, text=True, timeout=300, check=False)
    return {os.path.basename(file["file"]): file for file in json.loads(done.stdout)["files"]}


def test_the_schema_is_equal_to_the_parser(schema, tmp_path):
    made = {}
    for document in (mutant for seed in seeds() for mutant in mutants(seed)):
        text = json.dumps(document, sort_keys=True)
        made.setdefault(text, document)
    names = {}
    for number, (text, document) in enumerate(made.items()):
        name = f"{number:05}.json"
        if document.get("app") in ("seed", *(seed["app"] for seed in seeds())):
            document = {**document, "app": f"app-{number}"}  # one policy for each app
        names[name] = document
        (tmp_path / name).write_text(json.dumps(document))
    parsed = verdicts(str(tmp_path))
    assert set(parsed) == set(names)
    accepted = 0
    different = []
    for name, document in names.items():
        valid = schema.is_valid(document)
        accepted += valid
        if valid != parsed[name]["ok"]:
            why = [item["message"] for item in parsed[name]["diagnostics"] if item["level"] == "error"]
            why = why or [error.message for error in schema.iter_errors(document)]
            different.append((why[:2], json.dumps(document)))
    assert different[:10] == []
    assert accepted > 300 and len(names) - accepted > 3000, (accepted, len(names))


@pytest.mark.parametrize("change", [
    {"egress": [{"id": "a", "to": ["192.0.2.1"], "proto": "icmp"}, {"id": "a", "to": ["192.0.2.2"], "proto": "icmp"}]},
    {"egress": [{"to": ["192.0.2.1/24"], "proto": "icmp"}]},
    {"egress": [{"to": ["192.0.2.1"], "proto": "tcp", "ports": ["9-1"]}]},
    {"limits": {"egress": {"bytes": "0B", "per": "1h"}}},
    {"expires": "2026-02-30T00:00:00Z"},
], ids=["ids", "bits", "backwards", "zero", "date"])
def test_what_a_schema_cannot_say(schema, tmp_path, change):
    document = {**policy("app"), **change}
    assert schema.is_valid(document)
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert not verdicts(str(tmp_path))["a.json"]["ok"]

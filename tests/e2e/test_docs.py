# SPDX-License-Identifier: Apache-2.0
"""The man pages know every key, reason, metric and command that the code knows, and are clean."""
import glob
import os
import re
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
PAGES = sorted(os.path.relpath(path, ROOT) for path in glob.glob(f"{ROOT}/agent/*/*.[1-8]"))


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as file:
        return file.read()


def page(path):
    return read(path).replace("\\-", "-")


def names(pattern, path, least):
    found = re.findall(pattern, read(path), re.M)
    assert len(found) >= least, f"only {found} were found in {path}: has its form changed?"
    return found


@pytest.mark.parametrize("path", PAGES)
def test_the_page_is_clean(path):
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "MANROFFSEQ": "", "MANWIDTH": "80"}
    done = subprocess.run(["man", "--warnings", "-E", "UTF-8", "-l", "-Tutf8", "-Z", os.path.join(ROOT, path)],
                          capture_output=True, env=environment, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_configuration_keys():
    text = page("agent/core/egretd.8")
    keys = names(r'^\t\{(?:\.name = )?"(\w+)"', "agent/core/config_key.c", 25)
    assert [key for key in keys if not re.search(rf"\b{key}\b", text)] == []


def test_reasons():
    text = page("agent/core/egretd.8")
    reasons = names(r'^EG_REASON\(\w+, +"(\w+)"', "include/egret/reasons.def", 25)
    assert [reason for reason in reasons if f".B {reason}\n" not in text] == []


def test_lints():
    text = page("agent/core/egret-policy.5")
    lints = names(r'^EG_LINT\(\w+, \w+, "(\w+)"', "agent/lib/lint.def", 20)
    assert [lint for lint in lints if f".B {lint}\n" not in text] == []


# Metrics: test_metrics.py.


def test_every_program_and_format_has_a_page():
    assert [os.path.basename(path) for path in PAGES] == [
        "egret.1", "egret-policy.5", "egretd.8", "egret-event.5", "egret-http-sinks.7", "egret-ship.8", "egret-sync.8"]


def sources(*folders):
    return "".join(read(os.path.relpath(path, ROOT)) for folder in folders for path in glob.glob(f"{ROOT}/{folder}/*.c"))


def test_event_types_and_actions():
    """What the agent tells of itself: each type has an entry, each action a place."""
    text, told = page("agent/ship/egret-event.5"), re.findall(r"eg_notice\(.*?\);", sources("agent/core"), re.S)
    assert len(told) > 20
    types = set(re.findall(r'\[EG_EVENT_\w+\] = TEXT\("(\w+)"\)', read("agent/core/event_json.c"))) - {"unknown"}
    types |= {found for one in told for found in re.findall(r'^eg_notice\([^,]+, "(\w+)"', one)}
    assert len(types) > 10
    assert sorted(name for name in types if not re.search(rf"^\.BR? .*\b{name}\b", text, re.M)) == []
    actions = {found for one in told for found in re.findall(r'"action",\s+(?:[^",]*\? )?"(\w+)"(?: : "(\w+)")?', one)}
    actions = {action for pair in actions for action in pair if action}
    assert len(actions) > 15
    assert sorted(action for action in actions if not re.search(rf"\b{action}\b", text)) == []


def test_members_of_events():
    text = page("agent/ship/egret-event.5")
    kernel = set(names(r'(?:NUMBER|put_string)\(p, "(\w+)"|,\\"(\w+)\\":', "agent/core/event_json.c", 20))
    kernel = {key for pair in kernel for key in pair if key}
    told = re.findall(r"eg_notice\(.*?\);", sources("agent/core"), re.S)
    own = {key for one in told for pack in re.findall(r'json_pack\(\s*"[^"]*",(.*)\)\)', one, re.S)
           for key in re.findall(r'(?:^|,)\s*"(\w+)",', pack)}
    assert len(own) > 20
    assert sorted(key for key in kernel | own if not re.search(rf"\b{key}\b", text)) == []


def test_flags():
    text = page("agent/core/egretd.8")
    flags = names(r'^\t\{"([\w-]+)", (?:required|no)_argument', "agent/core/options.c", 15)
    assert [flag for flag in flags if f"--{flag}" not in text] == []


def test_policy_keys():
    text = page("agent/core/egret-policy.5")
    keys = []
    for path, least in (("policy_top", 18), ("policy_rule", 10), ("policy_limits", 5)):
        keys += names(r'^\t+\{"([\w$]+)", \w+, ', f"agent/lib/{path}.c", least)
    keys.remove("ingress_rate")  # known only to be refused
    assert [key for key in keys if not re.search(rf"(?<!\w){re.escape(key)}(?!\w)", text)] == []

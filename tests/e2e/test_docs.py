# SPDX-License-Identifier: Apache-2.0
"""The man pages know every key, reason, metric and command that the code knows, and are clean."""
import os
import re
import subprocess

import pytest

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
PAGES = ["agent/core/egretd.8", "agent/core/egret-policy.5", "agent/cli/egret.1"]


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


def test_metrics():
    text = page("agent/core/egretd.8")
    metrics = names(r'(?:head|one)\(out, "(\w+)"', "agent/core/metrics.c", 20)
    assert [metric for metric in metrics if metric not in text] == []


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

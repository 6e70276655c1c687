# SPDX-License-Identifier: Apache-2.0
"""The table of ways out is whole: each has attacks that exist, or says what reports it."""
import os
import re

import pytest

from escape import ROWS, Row, gaps

ROOT = os.path.join(os.path.dirname(os.path.realpath(__file__)), "..", "..")
WAYS = 42


def checks():
    """Every check that egret doctor makes."""
    found = set()
    for file in sorted(os.listdir(os.path.join(ROOT, "agent/cli"))):
        if file.startswith("doctor") and file.endswith(".c"):
            with open(os.path.join(ROOT, "agent/cli", file), encoding="utf-8") as source:
                text = source.read()
            found |= set(re.findall(r'eg_doctor_(?:ok|warn|fail)\(doctor, "(\w+)"', text))
            found |= set(re.findall(r'check_private\(doctor, "(\w+)"', text))
    assert len(found) > 12, "has the form of the sources changed?"
    return found


def test_no_row_is_lost():
    assert len({each.way for each in ROWS}) == len(ROWS) == WAYS


@pytest.mark.parametrize("row", ROWS, ids=[each.way[:40] for each in ROWS])
def test_a_row_has_attacks(row):
    assert gaps(row, checks()) == []


@pytest.mark.parametrize("row, gap", [
    (Row("way", "tried", ()), "neither"),
    (Row("way", "", ("allow_deny::tcp_allowed",)), "what is tried"),
    (Row("way", "tried", ("allow_deny::nothing_like_it",)), "allow_deny::nothing_like_it"),
    (Row("way", "tried", ("nowhere::test",)), "nowhere::test"),
    (Row("way", "tried", (), ("no-such-check",)), "no-such-check"),
])
def test_gaps_are_found(row, gap):
    (found,) = gaps(row, checks())
    assert gap in found

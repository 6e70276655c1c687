# SPDX-License-Identifier: Apache-2.0
"""What processes have left, as /proc tells it, and what agent/core/privileges.def says of it."""
import os
import re

from .agent import TREE

HEADER = "/usr/include/linux/capability.h"


def table():
    """(capabilities of egretd, those of them that what it executes may have), as sets of names."""
    with open(os.path.join(TREE, "agent/core/privileges.def"), encoding="ascii") as file:
        rows = re.findall(r"^EG_PRIVILEGE\((\w+), (NEEDED|WANTED|SHARED), ", file.read(), re.M)
    return {name for name, _ in rows}, {name for name, kind in rows if kind == "SHARED"}


def bits(names):
    with open(HEADER, encoding="ascii") as file:
        numbers = dict(re.findall(r"^#define CAP_(\w+)\s+(\d+)$", file.read(), re.M))
    return sum(1 << int(numbers[name]) for name in names)


def status(pid, proc="/proc"):
    with open(f"{proc}/{pid}/status", encoding="ascii") as file:
        return dict(line.split(":\t", 1) for line in file.read().splitlines() if ":\t" in line)


def capabilities(of):
    """{"CapEff": bits, ...} of a status."""
    return {key: int(of[key], 16) for key in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}


def expected(permitted=(), bounding=()):
    return {"CapInh": 0, "CapPrm": bits(permitted), "CapEff": bits(permitted), "CapBnd": bits(bounding), "CapAmb": 0}

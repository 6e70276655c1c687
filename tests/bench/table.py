# SPDX-License-Identifier: Apache-2.0
"""The table of figures, and how they are taken: in turns, as medians, with the least and the most."""
import os
import statistics
import subprocess

HERE = os.path.dirname(os.path.realpath(__file__))
BUILD = os.path.join(HERE, "..", "..", os.environ.get("BUILD", "build"))
QUICK = os.environ.get("QUICK") == "1"
ROUNDS = 5 if QUICK else 21  # short ones: what disturbs one contender shall disturb the others
ROUND_MS = 200 if QUICK else 300

rows = []


def row(what, measured, spread, peer, goal="-", met=None):
    """met None: no verdict, also where a goal was measured at another size than its own."""
    rows.append({True: "met", False: "MISSED", None: "-"}[met])
    print(f"{what:<50} {measured:>12}  {spread:<17} {peer:<40} {goal:<26} {rows[-1]}", flush=True)


def spread(values, form="{:.1f}"):
    return f"{form.format(min(values))}..{form.format(max(values))}"


def median_row(what, values, unit, peer, goal="-", met=None, form="{:.1f}"):
    """met: a function of the median."""
    middle = statistics.median(values)
    row(what, f"{form.format(middle)} {unit}", spread(values, form), peer, goal, met(middle) if met else None)


def binary(name):
    return os.path.join(BUILD, "bench", name)


def program(name, *arguments, timeout=300):
    """What a bench program prints, each line split."""
    done = subprocess.run([binary(name), *map(str, arguments)], capture_output=True, text=True, timeout=timeout,
                          check=False)
    if done.returncode:
        raise RuntimeError(f"{name} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return [line.split() for line in done.stdout.splitlines()]


def in_turns(rounds, contenders):
    """{name: [figure of each round]} of {name: function}, one after the other in each round."""
    found = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, measure in contenders.items():
            found[name].append(measure())
    return found


def ratios(ours, its):
    return [100 * mine / other for mine, other in zip(ours, its)]

# SPDX-License-Identifier: Apache-2.0
"""The event log: NDJSON segments events-EPOCH-N.ndjson in a directory."""
import glob
import json
import os
import re


def segments(directory):
    def key(path):
        return tuple(int(n) for n in re.findall(r"\d+", os.path.basename(path)))

    return sorted(glob.glob(os.path.join(directory, "events-*.ndjson")), key=key)


def read(directory):
    """Every whole line, oldest first. A line that is no JSON object is a failure."""
    found = []
    for path in segments(directory):
        try:
            with open(path, "rb") as segment:
                data = segment.read()
        except FileNotFoundError:  # the quota took it
            continue
        for line in data[: data.rfind(b"\n") + 1].splitlines():
            event = json.loads(line)
            assert isinstance(event, dict), line
            found.append(event)
    return found


def matches(event, wanted):
    return all(event.get(key) == value for key, value in wanted.items())


def flow_sums(events, app):
    """What an app's log says passed: the last word of each flow, and what losses carry in place of events."""
    flows, sums = {}, dict.fromkeys(("bytes_out", "bytes_in", "packets_out", "packets_in"), 0)
    for event in events:
        if event.get("app") != app:
            continue
        if event["type"] == "flow":
            flows[event["flow_id"]] = event
        elif event["type"] in ("lost", "suppressed"):
            for key in sums:
                sums[key] += event.get(key, 0)
    for event in flows.values():
        for key in sums:
            sums[key] += event[key]
    return sums

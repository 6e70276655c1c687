# SPDX-License-Identifier: Apache-2.0
"""The event log: segments events-EPOCH-N.spool of framed records (agent/lib/spool_frame.h) in a directory."""
import glob
import json
import os
import re
import struct
import zlib

MAGIC = b"\xffEG1"
HEAD = struct.Struct("<4sIQB3xI")
CLASSES = ("flow", "other", "vital")


def place(path):
    return tuple(int(n) for n in re.findall(r"\d+", os.path.basename(path)))


def segments(directory):
    return sorted(glob.glob(os.path.join(directory, "events-*.spool")), key=place)


def records(data, epoch):
    """(number, class, text) of each record. One that is not whole yet ends it; anything else but a record fails."""
    at = 0
    while at + HEAD.size <= len(data):
        magic, length, number, rank, crc = HEAD.unpack_from(data, at)
        text = data[at + HEAD.size : at + HEAD.size + length]
        if len(text) < length:
            break
        assert magic == MAGIC, f"no record at {at}: {data[at : at + 32]!r}"
        assert crc == zlib.crc32(text, zlib.crc32(struct.pack("<Q", epoch) + data[at : at + HEAD.size - 4])), number
        yield number, CLASSES[rank], text
        at += HEAD.size + length


def read(directory):
    """Every event, oldest first. One that is no JSON object, or has another number than its record, is a failure."""
    found, after = [], (0, 0)
    for path in segments(directory):
        epoch = place(path)[0]
        try:
            with open(path, "rb") as segment:
                data = segment.read()
        except FileNotFoundError:  # the quota took it
            continue
        for number, _, text in records(data, epoch):
            if (epoch, number) < after:
                continue  # written again after an error of the disk
            event = json.loads(text)
            assert isinstance(event, dict), text
            assert event["event_id"].endswith(f"-{epoch}-{number}"), text
            found.append(event)
            after = (epoch, number + 1)
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

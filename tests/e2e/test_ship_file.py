# SPDX-License-Identifier: Apache-2.0
"""The file sink, killed: whatever the moment, each event is in its files once."""
import collections
import glob
import gzip
import json
import os
import random
import shutil
import subprocess
import time

import pytest
from harness.ship_driver import Driver, events, ids

KILLS = 200


@pytest.fixture
def directory(tmp_path):
    return str(tmp_path / "log")


def lines(directory):
    """Every line of every file, the oldest first."""
    for path in sorted(glob.glob(f"{directory}/events*"), key=lambda p: (os.path.basename(p) == "events.ndjson", p)):
        opened = gzip.open if path.endswith(".gz") else open
        with opened(path, "rb") as file:
            yield from file.read().decode().splitlines(keepends=True)


def tally(directory):
    return collections.Counter(json.loads(line)["event_id"] for line in lines(directory))


def test_lines_are_what_was_sent(directory):
    batches = [events(1), events(500, 200), events(20)]
    with Driver("file", path=f"{directory}/events.ndjson") as driver:
        for each in batches:
            driver.deliver(each)
    assert [line.rstrip("\n") for line in lines(directory)] == [item["text"] for each in batches for item in each]


def test_killed_at_random_moments(directory):
    """As the engine does it: a batch that was not said to be delivered is sent again by the next process."""
    chance = random.Random(4)
    sent = []
    config = {"path": f"{directory}/events.ndjson", "rotate": {"size": "128KiB"}}
    again = None
    for _ in range(KILLS):
        driver = Driver("file", **config)
        if again:
            driver.deliver(again)
        for _ in range(chance.randrange(3)):
            batch = events(chance.randrange(1, 200), 200)
            sent.append(batch)
            driver.deliver(batch)
        again = events(chance.randrange(1, 200), 200)
        sent.append(again)
        driver.begin(again)
        time.sleep(chance.random() * 0.01)
        driver.kill()
    with Driver("file", **config) as driver:
        driver.deliver(again)
        for _ in range(3):  # for what waits to be compressed
            batch = events(1)
            sent.append(batch)
            driver.deliver(batch)
    assert tally(directory) == collections.Counter(ids(*sent))
    assert [json.loads(line)["event_id"] for line in lines(directory)] == ids(*sent)
    names = [os.path.basename(path) for path in os.listdir(directory)]
    assert len(names) > 5 and not [name for name in names if name.endswith(".tmp")]
    assert [name for name in names if not name.endswith(".gz")] == ["events.ndjson"]


def test_gzip_reads_what_was_rotated(directory):
    batches = [events(200, 200) for _ in range(6)]
    with Driver("file", path=f"{directory}/events.ndjson", rotate={"size": "64KiB"}) as driver:
        for each in batches:
            driver.deliver(each)
    compressed = sorted(glob.glob(f"{directory}/*.gz"))
    assert len(compressed) >= 4
    subprocess.run(["gzip", "-t", *compressed], check=True, timeout=60)
    assert tally(directory) == collections.Counter(ids(*batches))


def test_directory_goes_away(directory):
    """Deleted under an open file, as a clean-up does: the next batch makes it again."""
    first, second = events(5), events(5)
    with Driver("file", path=f"{directory}/events.ndjson") as driver:
        driver.deliver(first)
        shutil.rmtree(directory)
        driver.deliver(second)
    assert tally(directory) == collections.Counter(ids(second))

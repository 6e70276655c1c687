# SPDX-License-Identifier: Apache-2.0
"""egret-ship killed at any moment: every event arrives, few twice, and the counts add up."""
import json
import os
import random
import shutil
import tempfile
import time

import pytest

from harness import eventually
from harness import ship as make
from harness.http_receivers import Webhook
from harness.ship import Ship

KILLS = int(os.environ.get("SHIP_KILLS", "60"))
BATCH = 50


class Hook(Webhook):
    """Keeps every copy of every event."""

    def __init__(self, *args, **kw):
        self.copies = {}
        super().__init__(*args, **kw)

    def take(self, handler, body):
        answer = super().take(handler, body)
        time.sleep(0.03)  # or a fast machine is done after a few kills
        if answer[0] < 300:
            for line in body.splitlines():
                self.copies.setdefault(json.loads(line)["event_id"], []).append(line)
        return answer


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="egret-ship-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def ship(directory):
    with Ship(directory, []) as ship:
        yield ship


@pytest.fixture
def receiver():
    with Hook() as receiver:
        yield receiver


def hook(receiver, **more):
    return {"name": "hook", "type": "webhook", "url": receiver.url, "timeout": "2s",
            "batch": {"events": BATCH, "wait": "50ms"}, **more}


def kill_often(ship, receiver, enough):
    """Kills it at random moments while it delivers, at most KILLS times."""
    rng, kills = random.Random(7), 0
    while kills < KILLS and not enough():
        ship.start()
        before = receiver.stored.total()
        if rng.random() < 0.5:  # once it has begun to send, at the latest
            eventually(lambda before=before: receiver.stored.total() > before, 20, "a delivery")
        time.sleep(rng.uniform(0, 0.06))
        ship.kill()
        kills += 1
    return kills


def same_bytes(receiver):
    """A copy of an event is that event."""
    for event_id, copies in receiver.copies.items():
        assert len(set(copies)) == 1, event_id


def test_nothing_is_lost(ship, receiver):
    ship.configure([hook(receiver, flows="full")])
    total = 100 * KILLS
    ship.add(make.event(number) for number in range(1, total + 1))
    kills = kill_often(ship, receiver, lambda: len(receiver.stored) >= total)
    ship.start()
    cursor = ship.settled()
    ship.stop()
    assert set(receiver.stored) == {f"h-1-{number}" for number in range(1, total + 1)}
    assert receiver.stored.total() - total <= kills * BATCH  # a batch for each kill at most
    assert (cursor["delivered"], cursor["filtered"], cursor["dead_lettered"], cursor["evicted"]) == (total, 0, 0, 0)
    assert receiver.complaints == []
    same_bytes(receiver)
    assert kills > KILLS // 4, kills


def test_sums_of_windows_hold(ship, receiver):
    ship.configure([hook(receiver, rollup="1s")])
    total = 200 * KILLS
    ship.add([make.flow(number) if number % 4 else make.event(number) for number in range(1, total + 1)])
    flows = [number for number in range(1, total + 1) if number % 4]
    kills = kill_often(ship, receiver, lambda: len(receiver.stored) >= total - len(flows))
    ship.start()
    cursor = ship.settled()
    ship.stop()
    same_bytes(receiver)
    events = [json.loads(copies[0]) for copies in receiver.copies.values()]
    rollups = [event for event in events if event.get("phase") == "rollup"]
    assert len(rollups) < len(flows) / 10
    assert sum(event["flows"] for event in rollups) == len(flows)
    assert sum(event["bytes_out"] for event in rollups) == sum(flows)
    assert sum(event["packets_in"] for event in rollups) == 2 * len(flows)
    assert len(events) - len(rollups) == total - len(flows)
    assert cursor["delivered"] == total and cursor["evicted"] == cursor["filtered"] == cursor["dead_lettered"] == 0
    assert kills > KILLS // 4, kills


# ---- By hand ----------------------------------------------------------------------------------------------


def test_two_do_not_share_cursors(ship, receiver):
    ship.configure([hook(receiver)])
    ship.add([make.event(1)])
    ship.start()
    ship.settled()
    first = ship.process
    assert ship.start().process.wait(20) == 1
    assert "another egret-ship uses them" in ship.words()
    ship.process = first
    ship.stop()


def test_an_outage_ends_within_five_seconds(ship):
    with Hook() as gone:
        url = gone.url
    ship.configure([{"name": "hook", "type": "webhook", "url": url, "flows": "full"},
                    {"name": "hole", "type": "syslog", "url": "tcp://192.0.2.1:514", "flows": "full"}])
    ship.add(make.event(number) for number in range(1, 3000))
    ship.start()
    eventually(lambda: "sink hook: retrying" in ship.words(), what="its words")
    ship.stop(within=5)


def test_a_bad_configuration_names_the_key(ship):
    ship.configure([{"name": "hook", "type": "webhook", "url": "https://h", "token": "s3cret"}])
    ship.start()
    assert ship.process.wait(20) == 1
    assert '"sinks[0].token"' in ship.words() and '"token_file"' in ship.words() and "s3cret" not in ship.words()

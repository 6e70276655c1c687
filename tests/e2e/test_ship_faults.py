# SPDX-License-Identifier: Apache-2.0
"""The faults of receivers, all at once: a sink for each, in one egret-ship, none of which holds back another."""
import email.utils
import json
import os
import shutil
import tempfile
import time

import pytest

from harness import eventually, holds
from harness import http_faults as faults
from harness import ship as make
from harness.agent import SANITIZED
from harness.http_receivers import Elastic, Hec, Loki, Otlp, Webhook, tls_context
from harness.pki import Authority
from harness.ship import Ship

EVENTS, BATCH = 400, 100
POISON = {"h-1-77"}
FIRST = {f"h-1-{number}" for number in range(1, BATCH + 1)}
PARTIAL = b'{"partialSuccess": {"rejectedLogRecords": "1", "errorMessage": "too old"}}'


class Limited(Webhook):
    """Takes no more than 8 KiB at once."""

    def __init__(self, **kw):
        super().__init__(max_body=8192, **kw)


def in_a_second():
    return email.utils.formatdate(time.time() + 1, usegmt=True)


def cases():
    """name: (receiver, what goes to the dead letters, how often an event may come twice)"""
    again = [faults.says(429), faults.says(503, Retry_After="1"), faults.says(408)]
    return {
        "plain": (Webhook(), set(), 0),
        "busy": (Webhook(faults=again), set(), 0),
        "dated": (Webhook(faults=[faults.says(503, Retry_After=in_a_second())]), set(), 0),
        "page": (Webhook(faults=[faults.PAGE]), set(), 0),
        "reset": (Webhook(faults=[faults.reset_in_body]), set(), 0),
        "hole": (Webhook(faults=[faults.black_hole]), set(), 0),
        "slow": (Webhook(faults=[faults.slow]), set(), 0),
        "lost": (Webhook(faults=[faults.lose_answer]), set(), BATCH),
        "torn": (Webhook(faults=[faults.reset_in_answer]), set(), BATCH),
        "poison": (Webhook(poison=POISON), POISON, 0),
        "limited": (Limited(), set(), 0),
        "bulk": (Elastic(faults=[faults.lose_answer]), set(), 0),  # told apart by id: 409
        "hec": (Hec(faults=[faults.says(503, b'{"text":"Server is busy","code":9}')], token="t" * 20), set(), 0),
        "otlp": (Otlp(faults=[faults.says(502)]), set(), 0),
        "loki": (Loki(faults=[faults.says(429)]), set(), 0),
        # Some of the first batch was rejected, and nobody says which: none of it counts as delivered.
        "partial": (Otlp(faults=[faults.says(200, PARTIAL, Content_Type="application/json")]), FIRST, 0),
        # These make a pause of up to a minute.
        "moved": (Webhook(faults=[faults.says(302, Location="http://127.0.0.1:9/")]), set(), 0),
        "blocked": (Loki(faults=[faults.says(260)]), set(), 0),
    }


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="egret-ship-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def dead(ship, name):
    try:
        with open(os.path.join(ship.state_dir, "ship", f"{name}.dead"), encoding="utf-8") as lines:
            return {json.loads(line)["event_id"] for line in lines}
    except FileNotFoundError:
        return set()


def test_certificates_are_mended_while_it_runs(directory):
    """Of a wrong authority, of another host, expired, and no client certificate: nothing is sent, then everything."""
    good, evil = Authority(directory, "ca"), Authority(directory, "evil")
    server = good.issue("server", "IP:127.0.0.1", "DNS:localhost")
    served = {
        "foreign": tls_context(evil.issue("foreign", "IP:127.0.0.1")),
        "elsewhere": tls_context(good.issue("elsewhere", "DNS:elsewhere.test")),
        "expired": tls_context(good.issue("expired", "IP:127.0.0.1", start="20200101000000Z", end="20200201000000Z")),
        "stranger": tls_context(server, client_ca=good.file),
    }
    receivers = {name: Webhook(context=context) for name, context in served.items()}
    mine = {name: os.path.join(directory, f"mine.{name}") for name in ("pem", "key")}
    for kind, file in zip(("pem", "key"), evil.issue("client", "DNS:client")):
        shutil.copyfile(file, mine[kind])
    for name in os.listdir(directory):
        os.chmod(os.path.join(directory, name), 0o755 if os.path.isdir(os.path.join(directory, name)) else 0o644)
    tls = {"ca": good.file, "cert": mine["pem"], "key": mine["key"]}
    sinks = [{"name": name, "type": "webhook", "url": receiver.url, "timeout": "2s", "batch": {"events": BATCH},
              "tls": tls} for name, receiver in receivers.items()]
    ids = {f"h-1-{number}" for number in range(1, EVENTS + 1)}
    try:
        with Ship(directory, sinks) as ship:
            ship.add([make.event(number) for number in range(1, EVENTS + 1)])
            ship.start()
            holds(lambda: not any(receiver.stored for receiver in receivers.values()), 3, "not one event was sent")
            for receiver in receivers.values():
                receiver.server.context = tls_context(server, client_ca=good.file)
            for kind, file in zip(("pem", "key"), good.issue("renewed", "DNS:client")):
                shutil.copyfile(file, mine[kind])  # which ends the pause of all of them
            for name, receiver in receivers.items():
                cursor = ship.settled(name)
                assert set(receiver.stored) == ids and receiver.stored.total() == EVENTS, name
                assert cursor["delivered"] == EVENTS and not cursor["dead_lettered"] and not cursor["evicted"], name
            ship.stop()
    finally:
        for receiver in receivers.values():
            receiver.stop()


def test_every_fault_at_once(directory):
    made, token = cases(), os.path.join(directory, "token")
    with open(token, "w", encoding="utf-8") as out:
        out.write("t" * 20)
    os.chmod(token, 0o644)
    sinks = [{"name": name, "type": receiver.kind, "url": receiver.url, "timeout": "2s", "compression": "none",
              "batch": {"events": BATCH}} | ({"token_file": token} if name == "hec" else {})
             for name, (receiver, *_) in made.items()]
    events = [make.event(number) for number in range(1, EVENTS + 1)]
    # Names that nobody expects: not in UTF-8 on the wire, NUL, and 60 KB long.
    events[9] |= {"name": "a\x00b\x1b[31m\udcff".encode("utf-8", "replace").decode(), "comm": "\u202e" * 15}
    events[19] |= {"owner": "x" * 60000}
    ids = {event["event_id"] for event in events}
    try:
        with Ship(directory, sinks) as ship:
            ship.add(events)
            ship.start()
            begun = time.monotonic()
            eventually(lambda: set(made["plain"][0].stored) == ids, 20, "the one without a fault")
            assert time.monotonic() - begun < 10  # it waited for nobody
            for name, (receiver, buried, twice) in made.items():
                cursor = ship.settled(name)
                stored = receiver.stored
                if name == "limited":  # what is larger than all that it takes is refused for what it is
                    buried = {"h-1-20"}
                assert set(stored) == ids - buried, (name, len(ids - buried - set(stored)))
                assert dead(ship, name) == buried, name
                assert stored.total() - len(stored) <= twice, name
                assert cursor["delivered"] + cursor["dead_lettered"] == EVENTS, (name, cursor)
                assert cursor["dead_lettered"] == len(buried) and not cursor["evicted"] and not cursor["filtered"], name
                assert not receiver.complaints, (name, receiver.complaints)
            assert SANITIZED or ship.memory() < 64
            ship.stop()
    finally:
        for receiver, *_ in made.values():
            receiver.stop()

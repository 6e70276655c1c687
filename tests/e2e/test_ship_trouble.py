# SPDX-License-Identifier: Apache-2.0
"""What is around egret-ship fails: its disk, its clock, the proxy before the receivers; and all of it under an agent."""
import contextlib
import gzip
import json
import os
import shutil
import signal
import socket
import tempfile

import pytest

from harness import ALLOWED, DENIED, eventually, holds, policy, rule
from harness import http_faults as faults
from harness import ship as make
from harness.http_receivers import ALL, Elastic, Loki, Webhook
from harness.preload import SlowDisk, WrongClock
from harness.receivers import Haproxy
from harness.ship import Ship

DAY = 86400
BATCH, MEMORY_MIB = 50, 64
STATES = ("retrying", "paused", "failing")


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="egret-ship-")
    os.chmod(path, 0o755)
    os.mkdir(os.path.join(path, "out"))
    os.chmod(os.path.join(path, "out"), 0o777)
    yield path
    shutil.rmtree(path)


def hook(receiver, **more):
    return {"name": receiver.kind, "type": receiver.kind, "url": receiver.url, "timeout": "2s", "flows": "full",
            "batch": {"events": BATCH, "wait": "50ms"}, **more}


def events(first, last, day=1):
    """Denials of that day of January."""
    return [{**one, "ts": one["ts"].replace("-01T", f"-{day:02}T")} for one in map(make.event, range(first, last + 1))]


def ids(last):
    return {f"h-1-{number}" for number in range(1, last + 1)}


def adds_up(cursor, produced):
    assert cursor["delivered"] + cursor["filtered"] + cursor["dead_lettered"] + cursor["evicted"] == produced, cursor


def written(directory):
    """Ids in all files that the file sink made, one for each line."""
    found, names = [], set(os.listdir(os.path.join(directory, "out")))
    for name in names:
        if name.removesuffix(".gz") in names - {name}:
            continue  # it is being compressed
        with (gzip.open if name.endswith(".gz") else open)(os.path.join(directory, "out", name), "rt") as lines:
            found += [json.loads(line)["event_id"] for line in lines]
    return found


# ---- The clock -------------------------------------------------------------------------------------------


def test_the_clock_a_day_ahead_and_back(directory):
    """Under a running egret-ship, and between two of them; the events' own clock goes with it."""
    clock = WrongClock(directory)
    with Webhook() as receiver, Ship(directory, []) as ship:
        sinks = [hook(receiver), {"name": "disk", "type": "file", "path": f"{directory}/out/events.ndjson", "flows": "full",
                                  "rotate": {"every": "1d"}}]
        ship.configure(sinks)
        ship.start(env=clock.env)
        last = 0
        for ahead, again in ((0, False), (DAY, False), (0, False), (DAY, True), (0, True)):
            clock.set(ahead)
            if again:
                ship.stop()
                ship.start(env=clock.env)
            ship.add(events(last + 1, last + 120, 2 if ahead else 1))
            last += 120
            for name in ("webhook", "disk"):
                cursor = ship.settled(name)
                adds_up(cursor, last)
                assert cursor["delivered"] == last, (name, cursor)
        ship.stop()
        assert set(receiver.stored) == ids(last) and set(receiver.stored.values()) == {1}
        assert receiver.complaints == []
        assert sorted(written(directory)) == sorted(ids(last))
        assert len(os.listdir(os.path.join(directory, "out"))) > 1  # the file was changed with the day


# ---- The disk --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("files", [".cursor", "/out/"], ids=["cursor", "file"])
@pytest.mark.without_tsan(reason="a signal is kept back from a thread that waits in a library without TSan")
def test_a_disk_that_stands_still_delays_no_stop(directory, files):
    """What waits for it is left behind; what went out without a word on the disk may come again, a batch at most."""
    disk, total = SlowDisk(directory, files), 40 * BATCH
    with Webhook() as receiver, Ship(directory, []) as ship:
        ship.configure([hook(receiver), {"name": "disk", "type": "file", "path": f"{directory}/out/events.ndjson",
                                         "flows": "full", "batch": {"events": BATCH}}])
        disk.stall()
        ship.start(env=disk.env)
        ship.add(events(1, total))
        if files == "/out/":  # one sink's disk is not the other's
            assert ship.settled("webhook")["delivered"] == total
        else:
            eventually(lambda: receiver.stored, what="the first batch")
        holds(lambda: not os.path.exists(os.path.join(ship.state_dir, "ship", "disk.cursor")), 1)
        ship.stop(within=5)
        disk.go_on()
        ship.start()
        for name in ("webhook", "disk"):
            cursor = ship.settled(name)
            assert cursor["delivered"] == total and not cursor["evicted"], (name, cursor)
            adds_up(cursor, total)
        ship.stop()
        assert set(receiver.stored) == ids(total)
        assert receiver.stored.total() - total <= BATCH
        assert sorted(written(directory)) == sorted(ids(total))


def test_a_backlog_is_no_matter_of_memory(directory):
    """Four times what it may take, of large events, for a receiver that is gone and one that says nothing."""
    with Webhook([faults.black_hole] * 1000) as hole, Webhook() as gone, Ship(directory, []) as ship:
        gone.stop()
        ship.configure([hook(hole, name="hole"), hook(gone, name="gone")])
        for first in range(1, 4201, 600):
            ship.add({**one, "owner": "x" * 64000} for one in map(make.event, range(first, first + 600)))
        assert sum(entry.stat().st_size for entry in os.scandir(ship.log_dir)) > 4 * MEMORY_MIB << 20
        ship.start()
        for name in ("hole", "gone"):
            eventually(lambda name=name: f"sink {name}: retrying" in ship.words(), what="its words")
        assert ship.memory() < MEMORY_MIB
        ship.stop(within=5)


def raw(number, before, after):
    """A segment's record whose text is an event, with bytes in the middle of it that no event has."""
    text = json.dumps({key: value for key, value in make.event(number).items() if value is not None}).encode()
    return make.frame(number, text.replace(before, after) + b"\n")


def test_bytes_that_no_event_has(directory):
    """Not in UTF-8, a bare NUL: dead letters, counted. Said in JSON's own way, and however long: delivered."""
    with Webhook() as receiver, Ship(directory, []) as ship:
        ship.configure([hook(receiver)])
        with open(os.path.join(ship.log_dir, "events-0000000001-000000000001.spool"), "wb") as out:
            out.write(raw(1, b'"web"', b'"w\xff\xc0\xafb"') + raw(2, b'"web"', b'"w\0b"') + raw(3, b'"h"', b'"h"'))
            out.write(raw(4, b'"web"', b'"w\\u0000\\ufffdb"') + raw(5, b'"web"', b'"' + b"w" * (64 << 10) + b'"'))
        ship.next = 6
        ship.start()
        cursor = ship.settled("webhook")
        ship.stop()
        assert cursor["delivered"] == 3 and cursor["dead_lettered"] == 2, cursor
        adds_up(cursor, 5)
        assert set(receiver.stored) == {"h-1-3", "h-1-4", "h-1-5"} and receiver.complaints == []
        with open(os.path.join(ship.state_dir, "ship", "webhook.dead"), encoding="utf-8") as letters:
            assert len([json.loads(line) for line in letters]) == 2  # which are in UTF-8 whatever they hold


# ---- The proxy -------------------------------------------------------------------------------------------


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def unread(port):
    """Bytes that came to the connections of this port and were not read."""
    with open("/proc/net/tcp", encoding="ascii") as lines:
        rows = [line.split() for line in list(lines)[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[1].endswith(f":{port:04X}") and row[3] != "0A")


def test_a_proxy_stands_still_dies_and_answers_for_the_receiver(directory):
    """haproxy before each kind of receiver: a black hole, a reset in mid-body, and its own 504."""
    token = os.path.join(directory, "token")
    with open(token, "w", encoding="ascii") as out:
        out.write("t" * 20)
    os.chmod(token, 0o644)
    with contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(kind()) for kind in ALL]
        ports = {receiver.kind: free_port() for receiver in receivers}
        proxies = {}

        def proxy(receiver):
            proxies[receiver.kind] = Haproxy(None, directory, ports[receiver.kind], receiver.port, "mode http",
                                             "timeout server 500ms")

        def stop_proxies():
            for one in proxies.values():
                one.stop(signal.SIGKILL)

        stack.callback(stop_proxies)
        for receiver in receivers:
            proxy(receiver)
        sinks = [hook(receiver, url=receiver.url.replace(f":{receiver.port}", f":{ports[receiver.kind]}"),
                      token_file=token, compression="none") for receiver in receivers]
        ship = stack.enter_context(Ship(directory, sinks))
        ship.start()
        total = 2 * BATCH
        ship.add(events(1, total))
        for receiver in receivers:
            adds_up(ship.settled(receiver.kind), total)
        # A black hole: the proxy's kernel takes the request, nobody answers.
        for one in proxies.values():
            one.program.tell(signal.SIGSTOP)
        ship.add(events(total + 1, total + 4 * BATCH))
        total += 4 * BATCH
        for receiver in receivers:
            eventually(lambda kind=receiver.kind: f"sink {kind}: retrying" in ship.words(), what="its words")
            assert "no answer within 2s" in ship.words()
        # The body is on its way when the proxy dies with what it has not read: a reset.
        for receiver in receivers:
            eventually(lambda kind=receiver.kind: unread(ports[kind]) > 0, what="a request")
        stop_proxies()
        # The next one answers for a receiver that does not.
        for receiver in receivers:
            receiver.faults = [faults.black_hole]
            proxy(receiver)
        for receiver in receivers:
            cursor = ship.settled(receiver.kind)
            assert cursor["delivered"] == total, cursor
            adds_up(cursor, total)
            assert not receiver.faults and set(receiver.stored) == ids(total), receiver.kind
            # What the proxy's kernel had taken went with it; each fault may have lost the answer to one batch.
            assert receiver.stored.total() - total <= (0 if isinstance(receiver, (Elastic, Loki)) else 3 * BATCH)
            assert receiver.complaints == [], receiver.kind
        ship.stop()


# ---- All of it -------------------------------------------------------------------------------------------


def test_with_every_sink_stalled_and_the_disk_full_nothing_else_changes(bare_host):
    """Packets pass, counters go on, a kill is a kill; and afterwards it adds up."""
    host, agent = bare_host, bare_host.agent
    out = os.path.join(host.directory, "out")
    disk = host.small_disk(agent.log_dir)
    with contextlib.ExitStack() as stack:
        receivers = [stack.enter_context(kind([faults.black_hole] * 1000)) for kind in (Webhook, Elastic)]
        deaf = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=1))  # accepts nobody
        port = deaf.getsockname()[1]
        sinks = [hook(receiver, timeout="5s") for receiver in receivers]
        sinks += [{"name": "syslog", "type": "syslog", "url": f"tcp://127.0.0.1:{port}", "flows": "full"},
                  {"name": "disk", "type": "file", "path": f"{out}/events.ndjson", "flows": "full"}]
        os.mkdir(out)
        full = host.small_disk(out)
        os.chmod(out, 0o777)
        full.fill()
        agent.configure(ship_user="nobody", sinks=sinks)
        agent.start()
        host.serve([ALLOWED], 443)
        web = host.app(policy("web", [rule(ALLOWED, 443)]))
        disk.fill()
        web.flood_udp("d", DENIED, 443, count=3000)
        eventually(lambda: not web.flood_running("d"))
        eventually(lambda: any("events" in alarm for alarm in agent.status()["alarms"]), what="the alarm")
        eventually(lambda: all(one["state"] in STATES and one["last_error"] for one in agent.get("/v1/sinks")["sinks"]
                               if one["name"] in ("webhook", "elasticsearch", "disk")), 30, "their states")
        before = agent.count("web", "no_rule")
        web.connect("c", ALLOWED, 443)
        assert web.ask("c") == "ping"
        assert web.fails("connect", "d1", DENIED, 80) == "EPERM"
        eventually(lambda: agent.count("web", "no_rule") == before + 1, what="the counter")
        killed = agent.kill("web")
        assert killed["durable"] is True and killed["sockets"] >= 1
        assert web.fails("connect", "e", ALLOWED, 443) == "EPERM"
        assert web.fails("ask", "c") in ("ECONNRESET", "ECONNABORTED", "EPIPE", "EPERM")
        host.unseen(DENIED)
        for one in agent.get("/v1/sinks")["sinks"]:
            assert one["produced"] == sum(one[column] for column in ("delivered", "filtered", "spooled", "dead_lettered",
                                                                     "evicted")), one
        # And when it is over, what could wait has waited.
        disk.free()
        full.free()
        for receiver in receivers:
            receiver.faults.clear()
            receiver.stopping.set()
        eventually(lambda: not [alarm for alarm in agent.status()["alarms"] if "events" in alarm], what="the alarm's end")
        agent.event(type="kill", app="web")

        def settled():
            there = {event["event_id"] for event in agent.query()}
            for one in agent.get("/v1/sinks")["sinks"]:
                if one["name"] != "syslog":
                    assert one["spooled"] == 0 and one["delivered"] == one["produced"] == len(there), one
            return all(set(receiver.stored) == there for receiver in receivers)

        eventually(settled, 60, "all events at the receivers")

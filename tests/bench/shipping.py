# SPDX-License-Identifier: Apache-2.0
"""egret-ship by itself: from a spool that is full already to a file, and its memory beside a backlog."""
import json
import os
import shutil
import tempfile
import time
from contextlib import contextmanager

from harness import eventually
from harness import ship as make
from harness.ship import Ship
from table import QUICK, row

BACKLOG = (64 if QUICK else 1024) << 20
SEGMENT = 80_000  # events
MEMORY_MIB = 64
DOWN_S = 10
TICKS = os.sysconf("SC_CLK_TCK")


def fill(ship, size, one):
    """Segments of events like `one`, whose number is all that differs, up to that many bytes; how many there are."""
    text = json.dumps({key: value for key, value in one(0, owner="x" * 300).items() if value is not None})
    ahead, behind = text.split("h-1-0", 1)
    made = 0
    while made < size:
        path = os.path.join(ship.log_dir, f"events-{make.EPOCH:010}-{ship.next:012}.spool")
        with open(path, "wb") as out:
            for _ in range(SEGMENT):
                made += out.write(make.frame(ship.next, f"{ahead}h-1-{ship.next}{behind}\n".encode()))
                ship.next += 1
        os.chmod(path, 0o644)
    return ship.next - 1


def cpu(ship):
    with open(f"/proc/{ship.process.pid}/stat", encoding="utf-8") as stat:
        return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) / TICKS


@contextmanager
def full_spool(size, one, sink):
    directory = tempfile.mkdtemp(prefix="egret-ship-")
    try:
        os.chmod(directory, 0o755)
        os.makedirs(os.path.join(directory, "out"))
        os.chmod(os.path.join(directory, "out"), 0o777)
        with Ship(directory, [sink | ({"path": f"{directory}/out/events"} if sink["type"] == "file" else {})]) as ship:
            yield ship, fill(ship, size, one)
    finally:
        shutil.rmtree(directory)


def rate(name, one, sink):
    with full_spool(BACKLOG // 4, one, sink) as (ship, count):
        begun = time.monotonic()
        ship.start()

        def done():
            try:
                return ship.cursor(sink["name"])["n"] >= count
            except FileNotFoundError:
                return False

        eventually(done, 600, "the end of the spool")
        took, used = time.monotonic() - begun, cpu(ship)
        row(name, f"{count / took:.0f}/s", "once", f"{used / count * 1e6:.1f} us of CPU an event, {ship.memory():.0f} MiB")
        ship.stop()


def shipping():
    rate("spool to a file, each event", make.event, {"name": "full", "type": "file", "flows": "full"})
    rate("spool to a file, flows rolled up", make.flow, {"name": "roll", "type": "file"})
    with full_spool(BACKLOG, make.event, {"name": "down", "type": "webhook", "url": "http://127.0.0.1:9"}) as (ship, count):
        ship.start()
        time.sleep(DOWN_S)
        most, begun = ship.memory(), time.monotonic()
        ship.stop()
        row(f"memory, {count} events wait for a dead receiver", f"{most:.0f} MiB", "once",
            f"ends in {time.monotonic() - begun:.2f} s", f"{MEMORY_MIB} MiB at most", most <= MEMORY_MIB)

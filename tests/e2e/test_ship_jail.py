# SPDX-License-Identifier: Apache-2.0
"""Every type of sink from within the jail: name look-ups, TLS, tokens, files, in one egret-ship."""
import os
import shutil
import socket
import tempfile
import threading

import pytest

from harness import eventually
from harness import ship as make
from harness.http_receivers import ALL, tls_context
from harness.pki import Authority
from harness.ship import Ship

EVENTS = 300
TOKEN = "a-token-of-the-collector"


class Lines:
    """A syslog receiver: counts octet-counted messages."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.port, self.data = self.socket.getsockname()[1], b""
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                connection, _ = self.socket.accept()
            except OSError:
                return
            with connection:
                while piece := connection.recv(1 << 16):
                    self.data += piece

    def ids(self):
        found, at, data = set(), 0, self.data
        while (space := data.find(b" ", at)) > 0:
            length = int(data[at:space])
            message = data[space + 1 : space + 1 + length]
            if len(message) < length:
                break
            found.add(message.split(b'"event_id":"')[1].split(b'"')[0].decode())
            at = space + 1 + length
        return found


@pytest.fixture
def directory():
    path = tempfile.mkdtemp(prefix="egret-ship-")
    os.chmod(path, 0o755)
    yield path
    shutil.rmtree(path)


def test_every_type(directory):
    authority = Authority(directory)
    certificate = authority.issue("server", "DNS:localhost")
    token, out = os.path.join(directory, "token"), os.path.join(directory, "out")
    with open(token, "w", encoding="utf-8") as text:
        text.write(TOKEN + "\n")
    os.mkdir(out)
    os.chmod(out, 0o777)
    for path in (authority.file, token):
        os.chmod(path, 0o644)
    receivers = [kind(token=TOKEN, context=tls_context(certificate)) for kind in ALL]
    lines = Lines()
    sinks = [{"name": one.kind, "type": one.kind, "url": one.url.replace("127.0.0.1", "localhost"), "token_file": token,
              "tls": {"ca": authority.file}} for one in receivers]
    sinks += [{"name": "syslog", "type": "syslog", "url": f"tcp://localhost:{lines.port}"},
              {"name": "file", "type": "file", "path": f"{out}/events"}]
    ids = {f"h-1-{number}" for number in range(1, EVENTS + 1)}
    try:
        with Ship(directory, sinks) as ship:
            ship.add(make.event(number) for number in range(1, EVENTS + 1))
            ship.start()
            for one in sinks:
                cursor = ship.settled(one["name"])
                assert cursor["delivered"] == EVENTS and cursor["dead_lettered"] == 0, (one, cursor, ship.words())
            eventually(lambda: lines.ids() == ids, what="the messages")
            assert ship.memory() < 64
            ship.stop()
            assert TOKEN not in ship.words()
        for receiver in receivers:
            assert set(receiver.stored) == ids and set(receiver.stored.values()) == {1} and not receiver.complaints, receiver.kind
        with open(f"{out}/events", encoding="utf-8") as written:
            assert len(written.readlines()) == EVENTS
    finally:
        for receiver in receivers:
            receiver.stop()
        lines.socket.close()

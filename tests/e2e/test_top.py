# SPDX-License-Identifier: Apache-2.0
"""egret top, printed into a pipe and drawn on a terminal (tmux's)."""
import json
import os
import shlex
import subprocess

import pytest

from harness import ALLOWED, DENIED, eventually, policy, rule
from harness.agent import EGRET


class Terminal:
    """A terminal of tmux's, 120 by 16, in which a command runs."""

    def __init__(self, name, *command):
        self.socket = name
        # What the command leaves on the screen stays to be looked at.
        self.tmux("new-session", "-d", "-x", "120", "-y", "16", f"{shlex.join(command)}; echo ended with $?; exec cat")

    def tmux(self, *arguments):
        done = subprocess.run(["tmux", "-L", self.socket, "-f", "/dev/null", *arguments], capture_output=True,
                              text=True, timeout=20, check=True, env={**os.environ, "LC_ALL": "C.UTF-8", "TERM": "screen"})
        return done.stdout

    def keys(self, *keys):
        self.tmux("send-keys", *keys)

    def screen(self):
        return self.tmux("capture-pane", "-p")

    def shows(self, *texts):
        """Waits until all of them are there; the lines."""

        def look():
            screen = self.screen()
            return all(text in screen for text in texts) and screen

        try:
            return eventually(look, 20, f"{texts} on the screen").splitlines()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.screen()}") from None

    def row(self, app):
        return next(line for line in self.screen().splitlines() if line.startswith(f"{app} "))

    def order(self):
        """The apps, as they stand below the titles."""
        return [line.split()[0] for line in self.screen().splitlines()[3:-1] if line.strip()]

    def close(self):
        self.tmux("kill-server")


@pytest.fixture
def apps(host):
    """Three: one that talks, one that is denied, one that does nothing."""
    host.serve([ALLOWED, DENIED], 443)
    made = {}
    for name in ("busy", "nosy", "idle"):
        made[name] = host.app(policy(name, [rule(ALLOWED, 443)], labels={"team": name},
                                     limits={"egress": {"bytes": "64MiB", "per": "31d", "action": "drop"}}))
    return made


def test_batch(host, agent, apps):
    apps["busy"].flood_ask("live", ALLOWED, 443)
    apps["nosy"].flood_connect("denied", DENIED, 443)
    status, out, error = agent.cli("top", "-b", "-n", "2", "-d", "500ms", "-o", "json", "-s", "denied")
    assert (status, error) == (0, "")
    samples = [json.loads(line) for line in out.splitlines()]
    assert len(samples) == 2
    first, *rest = samples[1]["apps"]
    busy = next(app for app in rest if app["app"] == "busy")
    assert first["app"] == "nosy" and first["denied_per_s"] > 0 and first["denied"] > 0
    assert busy["out_per_s"] > 0 and busy["in_per_s"] > 0 and busy["sockets"] > 0
    assert 0 <= busy["cap_percent"] < 100
    assert "idle" in {app["app"] for app in rest}
    status, out, _ = agent.cli("top", "-b", "-n", "1", "-d", "100ms", "-l", "team=idle")
    assert status == 0 and [line.split()[0] for line in out.splitlines()] == ["APP", "idle"]
    status, _, error = agent.cli("top")
    assert status == 2 and "say --batch" in error


def test_terminal(host, agent, apps):
    apps["busy"].flood_ask("live", ALLOWED, 443)
    assert apps["nosy"].fails("connect", "c", DENIED, 443) == "EPERM"
    terminal = Terminal(f"{host.name}-top", EGRET, "--socket", agent.socket, "top", "-d", "200ms", "-s", "name")
    try:
        terminal.shows("APP", "LIVE", "CAP", "3 apps, 0 killed", "by name", "busy", "nosy", "idle")
        eventually(lambda: "in 0 B/s" not in terminal.screen(), what="a rate")
        assert terminal.order() == ["busy", "idle", "nosy"]

        # Sorted, filtered.
        terminal.keys("d")
        terminal.shows("by denied")
        assert terminal.order()[0] == "nosy"
        terminal.keys("/")
        terminal.shows("Only apps with:")
        terminal.keys("bus", "Enter")
        terminal.shows("only bus")
        assert terminal.order() == ["busy"]

        # A kill that is not confirmed is none; "yes" is one.
        terminal.keys("K")
        terminal.shows("Kill busy until it is restored? Type yes:")
        terminal.keys("y", "Enter")
        terminal.shows("busy was not killed.")
        assert agent.app("busy")["state"] == "enforce"
        terminal.keys("K")
        terminal.shows("Type yes:")
        terminal.keys("yes", "Enter")
        terminal.shows("killed busy: ", "1 killed")
        assert "killed" in terminal.row("busy")
        assert agent.app("busy")["state"] == "killed"
        assert agent.event(type="kill", app="busy")["cause"] == "egret top"

        # The agent goes, and comes back; what is on the screen stays.
        agent.stop()
        terminal.shows("busy", "no agent")
        agent.start()
        eventually(lambda: "no agent" not in terminal.screen(), what="the agent's return")
        terminal.keys("q")
        terminal.shows("ended with 0")
    finally:
        terminal.close()

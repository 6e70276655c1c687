# SPDX-License-Identifier: Apache-2.0
"""Completion as somebody at a terminal has it: bash and zsh on a pty, with the files where a package puts them."""
import os
import pty
import re
import select
import subprocess
import time

import pytest

from harness import ALLOWED, Host, policy, rule
from harness.agent import EGRET

READY = "ready-for-more> "
START = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], "bash-completion/completions/egret",
             "bind 'set enable-bracketed-paste off'; bind 'set bell-style none'; . /usr/share/bash-completion/bash_completion"),
    "zsh": (["zsh", "-f", "-i"], "functions/_egret",
            "bindkey -e; unsetopt beep prompt_sp; fpath=($XDG_DATA_HOME/functions $fpath); autoload -Uz compinit; compinit -u -D"),
}


class Terminal:
    """An interactive shell; type() is a person's keys, shown() what the line has become."""

    def __init__(self, shell, directory, agent):
        argv, place, setup = START[shell]
        path = os.path.join(directory, "share", place)
        os.makedirs(os.path.dirname(path))
        with open(path, "w", encoding="utf-8") as file:
            file.write(subprocess.run([EGRET, "completion", shell], capture_output=True, text=True, check=True).stdout)
        os.mkdir(os.path.join(directory, "work"))
        ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            argv, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True, cwd=os.path.join(directory, "work"),
            env={"PATH": f"{os.path.dirname(EGRET)}:/usr/bin:/bin", "TERM": "xterm", "HOME": directory, "PS1": READY,
                 "XDG_DATA_HOME": os.path.join(directory, "share"), "EGRET_SOCKET": agent.socket, "LC_ALL": "C.UTF-8",
                 "COLUMNS": "200", "LISTMAX": "1000"})
        os.close(theirs)
        self.fd = ours
        self.until(READY)
        self.type(f"stty columns 200; {setup}; echo set''-up\n")
        self.until("set-up")
        self.until(READY)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def until(self, text, timeout=10):
        """What the terminal shows up to that text and with it."""
        seen, end = "", time.monotonic() + timeout
        while text not in seen:
            left = end - time.monotonic()
            assert left > 0 and select.select([self.fd], [], [], left)[0], f"no {text!r} in {seen!r}"
            seen += os.read(self.fd, 1).decode("utf-8", "replace")
        return seen

    def completed(self, line):
        """The words of the line once Tab was pressed after it."""
        self.type(f"{line}\t\x01printf '<%s>' \x05; echo do''ne\n")  # Ctrl-A and Ctrl-E: both ends of the line
        said = self.until("done").splitlines()[-1]
        self.until(READY)
        return re.findall("<([^>]*)>", said)

    def offered(self, line):
        """What is shown below the line when several would do."""
        self.type(f"{line}\t\t")
        self.type("\x15echo do''ne\n")  # Ctrl-U: the line is empty
        seen = self.until("done")
        self.until(READY)
        return seen

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.fd)


@pytest.fixture(scope="module")
def agent():
    with Host() as host:
        host.agent.start()
        host.agent.put(policy("payroll-web", [rule(ALLOWED, 443)], cgroups=host.glob_of("payroll-web")))
        yield host.agent


@pytest.fixture(scope="module", params=START)
def terminal(request, agent, tmp_path_factory):
    directory = str(tmp_path_factory.mktemp(request.param))
    made = Terminal(request.param, directory, agent)
    with open(os.path.join(directory, "work", "policy-of-mine.json"), "w", encoding="ascii") as file:
        file.write("{}")
    yield made
    made.close()


@pytest.mark.parametrize("line, words", [
    ("egret stat", ["egret", "status"]),
    ("egret pol", ["egret", "policy"]),
    ("egret policy rollb", ["egret", "policy", "rollback"]),
    ("egret kill pay", ["egret", "kill", "payroll-web"]),
    ("egret kill payroll-web --rea", ["egret", "kill", "payroll-web", "--reason"]),
    ("egret policy check policy-of", ["egret", "policy", "check", "policy-of-mine.json"]),
    ("egret completion z", ["egret", "completion", "zsh"]),
    ("egret -o js", ["egret", "-o", "json"]),
    ("egret kill no-such-app-at-all", ["egret", "kill", "no-such-app-at-all"]),
])
def test_one_tab(terminal, line, words):
    assert terminal.completed(line) == words


def test_several_are_shown(terminal):
    seen = terminal.offered("egret re")
    for word in ("relax", "report", "restore", "restore-state"):
        assert re.search(rf"{word}\b", seen), seen


def test_without_an_agent(terminal, agent):
    """Commands are known all the same; apps are not, and nothing is said about that in the middle of a line."""
    terminal.type("export EGRET_SOCKET=/nonexistent/socket\n")
    terminal.until(READY)
    try:
        assert terminal.completed("egret stat") == ["egret", "status"]
        assert terminal.completed("egret kill pay") == ["egret", "kill", "pay"]
    finally:
        terminal.type(f"export EGRET_SOCKET={agent.socket}\n")
        terminal.until(READY)

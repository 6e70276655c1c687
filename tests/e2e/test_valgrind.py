# SPDX-License-Identifier: Apache-2.0
"""Every command of egret under valgrind: no byte is read before it was written, none is lost."""
import os
import re
import subprocess

import pytest

from harness import ALLOWED, DENIED, Host, policy, rule
from harness.agent import BUILD, EGRET, TREE
from harness.policy import text

FOUND = 99  # valgrind's exit status, which no command has
EXAMPLE = os.path.join(TREE, "policies/examples/data-export.json")
APART = {"top": "waits for keys; test_top.py", "fleet": "needs a control plane; test_control.py"}

# What each is asked, {web} and {other} being files of policies and {out} a directory.
COMMANDS = [
    "status", "apps", "apps --selector team=hr", "app web", "policy check {web} {example}", "policy check {bad}",
    "policy new --template deny-all --app new --owner a@example.com --ticket T-1", "policy apply {web}", "policy diff {other}",
    "policy suggest web", "policy plan {other}", "policy history web", "policy rollback web", "policy renew web --for 2d",
    "policy get web", "explain web {allowed}:443", "explain web name.example:443", "denied web", "denied", "kill web --reason x",
    "restore web", "kill --selector team=hr --reason x", "restore --selector team=hr", "snapshot web", "relax web --for 1m --reason x",
    "flows web", "events web -o ndjson", "events --since 1h", "usage web", "usage -o json", "report web --write {out}/page.html",
    "sinks", "backup {out}/backup.tar.gz --state-dir {state}", "restore-state {out}/backup.tar.gz --state-dir {out}/elsewhere",
    "run --app nobody -- true", "tag nowhere web", "oci-hook", "doctor", "completion bash", "completion zsh", "__complete -- policy a",
    "help kill", "--help", "--version", "nothing", "policy delete web", "app web",
]


@pytest.fixture(scope="module")
def shared():
    with Host() as made:
        made.agent.start()
        made.serve([ALLOWED], 443)
        web = policy("web", [rule(ALLOWED, 443)], cgroups=made.glob_of("web"), labels={"team": "hr"})
        app = made.app(web)
        app.connect("c", ALLOWED, 443)
        app.ask("c")
        app.fails("connect", "d", DENIED, 443)
        made.agent.event(type="deny", app="web")
        words = {"web": made.file("web.json", text(web)), "bad": made.file("bad.json", '{"app": "web", "rules": ['),
                 "other": made.file("other.json", text({**web, "egress": [rule(DENIED, [80, 443])]}))}
        out = os.path.join(made.directory, "out")
        os.mkdir(out)
        made.words = {**words, "example": EXAMPLE, "out": out, "allowed": ALLOWED, "state": made.agent.state_dir}
        yield made


def checked(host, line):
    """(status, all it said) under valgrind; a build with sanitizers looks for itself, and can't be run by it."""
    valgrind = ["valgrind", "--quiet", f"--error-exitcode={FOUND}", "--leak-check=full", "--show-leak-kinds=definite",
                "--errors-for-leak-kinds=definite", "--child-silent-after-fork=yes"]
    argv = [*([] if "sanitize" in BUILD or "thread" in BUILD else valgrind), EGRET, "--socket", host.agent.socket,
            *line.format(**host.words).split()]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("line", COMMANDS, ids=lambda line: re.sub(r"[^\w]+", "-", line).strip("-"))
def test_command(shared, line):
    status, said = checked(shared, line)
    assert status not in (FOUND, -6, -11) and not re.search(r"^==\d+==|Sanitizer", said, re.M), said
    assert status <= 7 or (line.startswith("run") and status == 125), (status, said)


def test_no_command_is_left_out():
    listed = subprocess.run([EGRET, "--help"], capture_output=True, text=True, timeout=20, check=True).stdout
    words = re.findall(r"^  ([a-z][a-z-]*(?: [a-z]+)?)(?= [A-Z\[{]|  | -)", listed.split("Options of")[0], re.M)
    words = {re.sub(r" test$", "", word) for word in words}
    assert len(words) > 30
    missing = {word for word in words if not any(line.startswith(word) for line in COMMANDS)}
    assert missing == {word for word in words if word.split()[0] in APART}

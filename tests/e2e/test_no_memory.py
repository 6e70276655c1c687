# SPDX-License-Identifier: Apache-2.0
"""egretd finds no memory: what it answers is so, what it enforces stays, and what it could not do is made up for."""
import contextlib
import functools
import http.client
import time

import pytest

from harness import ALLOWED, DENIED, eventually, policy, rule
from harness.agent import ApiError
from harness.life import PORTS, Life
from harness.preload import NoMemory

pytestmark = pytest.mark.without_sanitizers(reason="allocation is theirs there")
NO_MEMORY = 71  # EG_EXIT_NO_MEMORY
OFTEN = 40  # of so many allocations one fails


def scarce(host):
    """The agent's memory, scarce when the test says so; the agent is started with it, also by others."""
    memory = NoMemory(host.directory)
    host.agent.spawn = functools.partial(host.agent.spawn, env=memory.env)
    host.agent.start()
    return memory


class ScarceLife(Life):
    """What fails is asked for again, with memory: whatever was half done, it is whole then, or as it was."""

    resets = False  # for that it may have had no memory, which its log says

    def __init__(self, host, seed, memory):
        super().__init__(host, seed)
        self.memory, self.api, self.failures = memory, host.agent.api, 0
        host.agent.api = self.ask

    def ask(self, method, path, body=None, headers=None, timeout=60):
        if method != "GET":
            self.memory.one_in(OFTEN)
            try:
                return self.api(method, path, body, headers, timeout)
            except (OSError, http.client.HTTPException, ApiError):
                self.failures += 1
            finally:
                self.memory.one_in(0)
            try:
                return self.api(method, path, body, headers, timeout)
            except ApiError as error:
                assert error.status in (404, 409), error  # it was done the first time
                return None
        return self.api(method, path, body, headers, timeout)

    def give_birth(self):
        self.memory.one_in(5)
        try:
            super().give_birth()
            time.sleep(0.05)
        finally:
            self.memory.one_in(0)


@pytest.mark.parametrize("seed", [1, 2])
def test_what_it_says_is_so(bare_host, seed):
    for port in PORTS:
        bare_host.serve([ALLOWED], port, ("tcp",))
    life = ScarceLife(bare_host, seed, scarce(bare_host))
    for _ in range(60):
        life.step()
        life.check()
    assert life.failures, "no call met a lack of memory"


def test_json_without_memory_ends_it(bare_host):
    """jansson writes where it may not when it finds none: egretd ends before, and enforcement goes on without it."""
    host, agent = bare_host, bare_host.agent
    memory = NoMemory(host.directory)
    host.serve([ALLOWED, DENIED], 443)
    agent.start(env={**memory.env, "NO_MEMORY_JSON": "too"})
    app = host.app(policy("web", [rule(ALLOWED, 443)]))
    app.connect("kept", ALLOWED, 443)
    memory.one_in(20)

    def ended():
        """it meets a lack of memory"""
        with contextlib.suppress(OSError, http.client.HTTPException):
            agent.request("GET", "/v1/status")
        return agent.process.poll() is not None

    eventually(ended)
    assert agent.process.poll() == NO_MEMORY
    agent.process = None
    assert "out of memory while JSON is read or written" in agent.stderr()
    assert app.ask("kept") == "ping"
    assert app.fails("connect", "denied", DENIED, 443) == "EPERM"
    host.unseen(DENIED)
    agent.start()
    assert agent.event(type="deny", app="web", dst=DENIED)["reason"] == "no_rule"
    eventually(lambda: agent.app("web")["state"] == "enforce")
    assert app.ask("kept") == "ping"

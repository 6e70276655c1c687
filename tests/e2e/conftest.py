# SPDX-License-Identifier: Apache-2.0
"""Fixtures. `host` has a running agent, `bare_host` one that was not started yet."""
import json
import os
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from harness import Agent, Host  # noqa: E402  pylint: disable=wrong-import-position
from harness.agent import BUILD, SANITIZED, WITH_TSAN, seen  # noqa: E402  pylint: disable=wrong-import-position
from harness.host import sweep  # noqa: E402  pylint: disable=wrong-import-position
from harness.refusals import Refusals  # noqa: E402  pylint: disable=wrong-import-position

OURS = (f"{BUILD}/egret", "/usr/sbin/egret")  # programs, and those of the package


def pytest_configure(config):
    config.addinivalue_line("markers", "without_tsan(reason): not run on a build with TSan")
    config.addinivalue_line("markers", "without_sanitizers(reason): nor with ASan")


def pytest_collection_modifyitems(config, items):
    without = [item for item in items if (WITH_TSAN and item.get_closest_marker("without_tsan")) or
               (SANITIZED and item.get_closest_marker("without_sanitizers"))]
    config.hook.pytest_deselected(items=without)
    items[:] = [item for item in items if item not in without]


@pytest.fixture(scope="session", autouse=True)
def clean_slate():
    sweep()


@pytest.fixture(scope="session")
def refusals():
    log = Refusals()
    yield log
    time.sleep(0.2)  # a thread of the kernel tells them
    log.expect_none(*OURS)
    log.close()


@pytest.fixture(autouse=True)
def nothing_refused(refusals):
    """Programs make no system call that their own lists refuse: one that is missing there is not overlooked."""
    yield
    refusals.expect_none(*OURS)


@pytest.fixture
def config():
    """Keys of the agent's configuration; a test file or a parametrization replaces it."""
    return {}


@pytest.fixture
def bare_host(config):
    with Host(**config) as host:
        yield host


@pytest.fixture
def host(bare_host):
    bare_host.agent.start()
    return bare_host


@pytest.fixture
def agent(host):
    return host.agent


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failed test shows what the agent wrote; a report tells what refused the attack, for `make escape`."""
    report = (yield).get_result()
    if call.when == "setup":
        seen.clear()
    if call.when == "call" and seen:
        item.user_properties.append(("seen", json.dumps(sorted(seen))))
    if not report.failed:
        return
    agents = []
    for value in getattr(item, "funcargs", {}).values():
        agents += value.agents if isinstance(value, Host) else [value] if isinstance(value, Agent) else []
    for agent in dict.fromkeys(agents):
        report.sections.append(("egretd's stderr", agent.stderr()[-3000:]))

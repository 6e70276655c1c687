# SPDX-License-Identifier: Apache-2.0
"""Waiting for a condition, with a deadline."""
import time

POLL_S = 0.02


def eventually(condition, timeout=20, what=None):
    """The first true value of condition(). A condition may also assert: its last failure is then shown."""
    deadline = time.monotonic() + timeout
    while True:
        failure = None
        try:
            value = condition()
            if value:
                return value
        except AssertionError as error:
            failure = error
        if time.monotonic() >= deadline:
            what = what or getattr(condition, "__doc__", None) or "the condition"
            raise AssertionError(f"{what} did not come true within {timeout} s: {failure}") from failure
        time.sleep(POLL_S)


def holds(condition, seconds, what=None):
    """Asserts that condition() stays true for a time: for what must not happen later either."""
    deadline = time.monotonic() + seconds
    while True:
        assert condition(), f"{what or 'the condition'} did not last"
        if time.monotonic() >= deadline:
            return
        time.sleep(POLL_S)

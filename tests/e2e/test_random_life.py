# SPDX-License-Identifier: Apache-2.0
"""What the agent says and does is what a model of the rules says, whatever comes in which order: harness/life.py.

Environment: LIFE_SEED (one seed instead of those below), LIFE_STEPS (60).
"""
import os

import pytest

from harness import ALLOWED
from harness.life import PORTS, Life

SEEDS = [int(os.environ["LIFE_SEED"])] if "LIFE_SEED" in os.environ else [1, 2, 3]
STEPS = int(os.environ.get("LIFE_STEPS", "60"))


@pytest.mark.parametrize("seed", SEEDS)
def test_agent_and_model_agree(bare_host, monkeypatch, seed):
    monkeypatch.setenv("MALLOC_PERTURB_", "165")  # memory that was given back reads as nonsense
    bare_host.agent.start()
    for port in PORTS:
        bare_host.serve([ALLOWED], port, ("tcp",))
    life = Life(bare_host, seed)
    for _ in range(STEPS):
        life.step()
        life.check()

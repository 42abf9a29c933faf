"""How many threads torch computes with on a CPU.

Its threads wait for one another by spinning. A small model gains little by a second one on an idle machine (9 % for the
embedded model on 2 cores) and loses everything on a busy one: 12 times slower at a load of 50
(tests/benchmarks/measure_threads.py). Processes share a machine far better than threads do (core.runs.workers).
"""

from __future__ import annotations

import os
from typing import Any

import torch

SMALL = 100_000_000  # parameters
_GIVEN = torch.get_num_threads()  # what torch takes by itself


def settle(model: Any) -> None:
    """One thread for a small model on a CPU, torch's own number for a large one; of the whole process, so the model that was
    loaded last decides. Whoever sets OMP_NUM_THREADS decides instead."""
    if model.device.type == "cpu" and "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(1 if parameters(model) < SMALL else _GIVEN)


def parameters(model: Any) -> int:
    return sum(p.numel() for p in model.parameters())

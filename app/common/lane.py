"""The one lane: everything that touches the model shares one queue of one, and one GPU boundary.

On a ZeroGPU Space the far side of the boundary is a forked process that holds a GPU for a short while: arguments and
results are pickled on their way, and what is changed over there is lost. So what crosses it are records and functions
by their names, never the judge, a closure or a flag; the judge is found on the far side, in the register that the fork
inherits. Everywhere else the same call is a plain one in this process.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar

import torch

from core.explain.explanation import SMALL
from core.judges.protocols import Judge

try:
    import spaces
except ImportError:  # not on a Space
    spaces = None

LANE: dict[str, Any] = {"concurrency_id": "model", "concurrency_limit": 1}
HOME = os.getpid()
SECONDS, SECONDS_LARGE = 15, 60  # of GPU a call asks for: a shorter wish is granted sooner

Result = TypeVar("Result")
_judges: dict[int, Judge] = {}


@dataclass(frozen=True)
class Refused:
    """An error that was written for people, on its way back over the boundary."""

    error: ValueError


def register(judge: Judge) -> None:
    """Makes a judge known to forked processes. Before the app is launched: a fork knows what was there before it."""
    _judges[id(judge)] = judge
    if forks():
        import_module("captum.attr")  # slow, and otherwise imported by each fork anew


def run_on_model(
    task: Callable[..., Result], judge: Judge, *args: Any,
    watch: Mapping[str, Callable[..., Any]] | None = None, seconds: int | None = None, **kwargs: Any,
) -> Result:  # fmt: skip
    """task(judge, *args, **kwargs), where the model may be used. task: a function of a module.

    watch: callbacks that `task` takes besides (progress, a cancel flag). They cannot follow into another process and are
    left out there; Gradio's own cancelling remains. seconds: how long a GPU is wanted at most.
    Raises what the task raises; on ZeroGPU only its ValueErrors, anything else as spaces' own gr.Error.
    """
    if not forks():
        return task(judge, *args, **kwargs, **(watch or {}))
    found = _on_gpu(task, id(judge), args, kwargs, seconds or time_for(judge))
    if isinstance(found, Refused):
        raise found.error
    return found


def time_for(judge: Judge, allowed: float | None = None) -> int:
    """Seconds of GPU that a call asks for. allowed: of the work itself, where its asker set a limit."""
    usual = SECONDS_LARGE if (judge.card.parameters or 0) >= SMALL else SECONDS
    return usual + int(allowed or 0)


def _answer(task: Callable[..., Any], judge: int, args: tuple, kwargs: dict[str, Any], seconds: int) -> Any:
    del seconds
    if os.getpid() != HOME:
        torch.set_num_threads(
            1
        )  # a fork cannot use the threads its parent has started: it would wait for ever
    try:
        return task(_judges[judge], *args, **kwargs)
    except ValueError as error:  # RecordError, ImageError, BenchmarkError, ...
        return Refused(error)


def _wanted(task: Callable[..., Any], judge: int, args: tuple, kwargs: dict[str, Any], seconds: int) -> int:
    del task, judge, args, kwargs
    return seconds


_on_gpu = spaces.GPU(_answer, duration=_wanted) if spaces else _answer


def forks() -> bool:
    """Whether the model runs in processes of its own: on ZeroGPU. Elsewhere spaces gives the function back as it is."""
    return _on_gpu is not _answer

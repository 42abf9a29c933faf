"""Worker processes of a run, for judges on a CPU: they share a machine far better than threads do (core.model.threads).

Each is a fork of this process: the model is there at once, and its memory is shared. Windows are handed out as they are
read, so the rows are read once; a worker prepares and judges a window and writes its part. A judge computes with one thread
in each, and windows are what they were, so a run's file has the same bytes with any number of workers.
"""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Any, TypeVar

from core.judges.protocols import Estimates, Judge
from core.model.threads import SMALL
from core.runs.manifest import RunError

Task = TypeVar("Task")
MOST = 8  # workers that are started without being asked for
PR_SET_PDEATHSIG = 1  # linux/prctl.h
_work: Callable[[Any], Any]


def possible(judge: Judge) -> bool:
    """Whether this judge can work in forked processes: on Linux, and neither on a GPU nor behind a server."""
    return sys.platform == "linux" and judge.card.device in ("", "cpu") and not isinstance(judge, Estimates)


def advised(judge: Judge) -> int:
    """One worker for each core that this process may use, for a judge that is small enough; else one."""
    small = (judge.card.parameters or 0) < SMALL
    return min(MOST, len(os.sched_getaffinity(0))) if possible(judge) and small else 1


def spread(work: Callable[[Task], None], tasks: Iterable[Task], count: int) -> Generator[Task]:
    """work(task) in `count` processes; gives each task once it is done, in whatever order. tasks are taken as they are needed.

    Raises what `work` raises, and RunError where a worker was killed.
    """
    # Threads of the tokenizer cannot follow into a fork, and it says so at length.
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    pool = ProcessPoolExecutor(count, multiprocessing.get_context("fork"), _begin, (work, os.getpid()))
    waiting: dict[Future[None], Task] = {}
    try:
        pool.submit(_ready).result()  # all are forked here, before reading rows may start threads
        for task in tasks:
            waiting[pool.submit(_one, task)] = task
            if len(waiting) > count:  # one ahead
                yield from _done(waiting)
        while waiting:
            yield from _done(waiting)
    except BrokenProcessPool as error:
        raise RunError(
            "A worker process was killed, most likely for lack of memory: run the same command again and it continues. With "
            "--workers 1 it needs less memory."
        ) from error
    finally:
        pool.shutdown(cancel_futures=True)


def _done(waiting: dict[Future[None], Task]) -> Iterator[Task]:
    for future in wait(waiting, return_when=FIRST_COMPLETED).done:
        task = waiting.pop(future)
        future.result()
        yield task


def _begin(work: Callable[[Any], None], parent: int) -> None:
    """In the fork, before anything else."""
    import torch

    global _work
    _work = work  # inherited: a judge does not travel through a pipe
    torch.set_num_threads(1)  # a fork cannot use the threads its parent has started: it would wait for ever
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent stops for both
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    # Whatever kills the parent takes its workers along.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _ready() -> None:
    pass


def _one(task: Any) -> None:
    _work(task)

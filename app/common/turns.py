"""Handlers that write to the label store take turns. They wait for one another without a thread of the server: pages and events
that need no store are served as fast as ever while a hundred people wait for a locked database."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar

from anyio import CapacityLimiter, fail_after, to_thread

from core.labels.records import LabelError

AT_ONCE = 8  # writers with a thread; a database takes one after the other anyhow
WAIT = 5.0  # seconds for a turn
BUSY = "Too many people are waiting for the label store just now. This was NOT saved: please try again."
Result = TypeVar("Result")

_turns, _threads = CapacityLimiter(AT_ONCE), CapacityLimiter(AT_ONCE)


async def in_turn(work: Callable[[], Result]) -> Result:
    """What `work` gives or raises; LabelError where no turn came."""
    me = object()
    try:
        with fail_after(WAIT):
            await _turns.acquire_on_behalf_of(me)
    except TimeoutError as error:
        raise LabelError(BUSY) from error
    try:
        return await to_thread.run_sync(work, limiter=_threads)
    finally:
        _turns.release_on_behalf_of(me)


def takes_turns(handler: Callable[..., Result]) -> Callable[..., Any]:
    """The handler as one that waits for its turn."""

    @functools.wraps(handler)
    async def waits(*args: Any, **kwargs: Any) -> Result:
        return await in_turn(functools.partial(handler, *args, **kwargs))

    return waits

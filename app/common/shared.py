"""Work that several people ask for is done once: a small store of results by key, the newest of them."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Hashable
from threading import Condition
from typing import Generic, TypeVar

Result = TypeVar("Result")


class Shared(Generic[Result]):
    """Safe to call from many threads. Nothing is kept but the last `size` results."""

    def __init__(self, size: int) -> None:
        self.size = size
        self._done: OrderedDict[Hashable, Result] = OrderedDict()
        self._running: set[Hashable] = set()
        self._changed = Condition()

    def known(self, key: Hashable) -> Result | None:
        """What is there already."""
        with self._changed:
            if key in self._done:
                self._done.move_to_end(key)
            return self._done.get(key)

    def forget(self, key: Hashable) -> None:
        with self._changed:
            self._done.pop(key, None)

    def get(self, key: Hashable, compute: Callable[[], Result]) -> Result:
        """What is there, or what another caller is computing right now, or else what `compute` gives.

        Raises what `compute` raises. Then nothing is kept, and whoever waited computes for himself.
        """
        with self._changed:
            self._changed.wait_for(lambda: key not in self._running)
            if key in self._done:
                self._done.move_to_end(key)
                return self._done[key]
            self._running.add(key)
        try:
            result = compute()
            with self._changed:
                self._done[key] = result
                while len(self._done) > self.size:
                    self._done.popitem(last=False)
            return result
        finally:
            with self._changed:
                self._running.discard(key)
                self._changed.notify_all()

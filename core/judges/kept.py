"""What a judge keeps of earlier inputs, within a number of bytes: at 7 billion parameters one reading takes a gigabyte."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import fields, is_dataclass
from typing import Any, Generic, TypeVar

from torch import Tensor

Value = TypeVar("Value")


class Kept(Generic[Value]):
    """The values that were used last, as many as fit into `most` bytes; the very last one always, however large."""

    def __init__(self, most: int) -> None:
        self.most, self.bytes = most, 0
        self._values: OrderedDict[Hashable, tuple[Value, int]] = OrderedDict()

    def get(self, key: Hashable) -> Value | None:
        if key not in self._values:
            return None
        self._values.move_to_end(key)
        return self._values[key][0]

    def put(self, key: Hashable, value: Value) -> Value:
        """The value itself. The oldest ones go where there is no room for it."""
        if key in self._values:
            self.bytes -= self._values.pop(key)[1]
        size = bytes_of(value)
        self._values[key] = value, size
        self.bytes += size
        while self.bytes > self.most and len(self._values) > 1:
            _, (_, gone) = self._values.popitem(last=False)
            self.bytes -= gone
        return value

    def __len__(self) -> int:
        return len(self._values)


def bytes_of(value: Any) -> int:
    """Of all tensors in it, those that share memory counted once."""
    found: dict[int, int] = {}
    _collect(value, found)
    return sum(found.values())


def _collect(value: Any, found: dict[int, int]) -> None:
    if isinstance(value, Tensor):
        storage = value.untyped_storage()
        found[storage.data_ptr()] = storage.nbytes()
    elif is_dataclass(value) and not isinstance(value, type):
        for f in fields(value):
            _collect(getattr(value, f.name), found)
    elif isinstance(value, dict):
        for v in value.values():
            _collect(v, found)
    elif isinstance(value, list | tuple):
        for v in value:
            _collect(v, found)

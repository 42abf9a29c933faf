"""How much memory an explanation will take, and how much it took."""

from __future__ import annotations

import contextlib
import ctypes
import re
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch

from core.judges.protocols import AsksAgain, MaskedForward
from core.model import need
from core.records import RecordError

Result = TypeVar("Result")
CPU_BUDGET = 1 << 30  # bytes that the points of one batch may take on a CPU
CPU_POSITIONS = 4096  # and decoder positions, so that a cancelled run stops within a second
GPU_SHARE = 0.4  # of what is free on a GPU
MOST = 32  # points that are evaluated at a time, where memory allows


def budget(device: torch.device) -> int:
    """Bytes that one batch may take."""
    if device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(device)
        return int(free * GPU_SHARE)
    return CPU_BUDGET


def batch_for(device: torch.device, per_point: int, positions: int, points: int) -> int:
    """How many points of so many bytes and computed positions go into one batch."""
    fit = budget(device) // max(1, per_point)
    return max(1, min(points, fit, points if device.type == "cuda" else CPU_POSITIONS // positions))


def batch_of(forward: MaskedForward, points: int, backward: bool) -> tuple[int, int]:
    """How many of so many points go into one batch, and the bytes of one."""
    if isinstance(forward, AsksAgain):
        return max(1, min(points, forward.at_once)), 0
    text = forward.model.config.get_text_config()
    per_point = need.bytes_per_point(text, forward.model.dtype, forward.passes, backward)
    return batch_for(forward.model.device, per_point, forward.computed, points), per_point


def most_at_once(forward: MaskedForward, points: int) -> int:
    """How many of so many points are evaluated at a time, without a backward pass."""
    return min(MOST, batch_of(forward, points, backward=False)[0])


def bytes_at_once(forward: MaskedForward, points: int) -> int:
    """Bytes that so many points take without a backward pass, as many at a time as there is room for."""
    batch, per_point = batch_of(forward, min(MOST, points), backward=False)
    return batch * per_point


def with_halving(
    run: Callable[[int], Result],
    batch: int,
    sparing: Callable[[], contextlib.AbstractContextManager[None]] | None = None,
) -> Result:
    """run(batch), with half the batch as often as memory runs out. Raises RecordError where not even one fits, within `sparing`
    neither, where there is such a context."""
    while True:
        try:
            return run(batch)
        except (RuntimeError, MemoryError) as error:
            if not out_of_memory(error):
                raise
            if batch <= 1 and sparing is None:
                raise RecordError(
                    "There is not enough memory to explain this, even one step at a time. Use a smaller picture or "
                    "shorter responses, or the method 'ablation', which keeps nothing for a backward pass."
                ) from error
        # Out here nothing holds the failed batch any more.
        if batch <= 1 and sparing is not None:
            with sparing():
                return with_halving(run, 1)
        batch //= 2


@torch.no_grad()
def evaluate(forward: Callable[[torch.Tensor], torch.Tensor], z: torch.Tensor, most: int) -> torch.Tensor:
    """forward at points z (N, U), at most so many at a time, without a backward pass."""
    return with_halving(lambda batch: torch.cat([forward(part) for part in z.split(batch)]), most)


class Peak:
    """Measures the most memory taken inside a `with`, in bytes: the allocator's on a GPU, else the process's own
    (Linux; None where the system does not tell)."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.bytes: int | None = None

    def __enter__(self) -> Peak:
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(self.device)
            self.before = torch.cuda.memory_allocated(self.device)
        else:
            give_back()
            with contextlib.suppress(OSError):
                Path("/proc/self/clear_refs").write_text("5")
            self.before = _status("VmRSS") or 0
        return self

    def __exit__(self, *error: object) -> None:
        if self.device.type == "cuda":
            self.bytes = torch.cuda.max_memory_allocated(self.device) - self.before
        elif (peak := _status("VmHWM")) is not None:
            self.bytes = max(0, peak - self.before)


def give_back() -> None:
    """Returns to the system what the C library's heap (glibc's) holds without use: else it stays taken while other memory is
    taken beside it, and a process looks smaller than it is to whoever measures its growth."""
    with contextlib.suppress(OSError, AttributeError, TypeError):
        ctypes.CDLL(None).malloc_trim(0)


def _status(name: str) -> int | None:
    try:
        found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(found.group(1)) * 1024 if found else None


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that memory ran out, on a GPU or in the CPU allocator."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "not enough memory" in str(error)

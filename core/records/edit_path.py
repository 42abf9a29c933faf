"""The edits that a person made to a comparison, one after another: plain data that an address can carry.

What a step changed is written down, not what came before it: replayed on the comparison at the start, the steps give the
same input again, the picture to the pixel (a mask is MASK x MASK cells, and edits of a picture are made by those cells).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from PIL import Image

from core.records.comparison import Comparison, RecordError
from core.records.text import letter

MASK = 32  # cells of a mask along each side
DIGITS = MASK * MASK // 4  # of a mask in hexadecimal
MOST_STEPS = 50
LONGEST = 12_000  # characters of a text in a step
HOW = ("erase", "blur")


@dataclass(frozen=True)
class Step:
    """One edit. prompt: the new one, None where it stayed. responses: (index, new text) of those that changed. mask: the
    cells of the picture that were erased or blurred, row by row as bits in hexadecimal, "" for none. how: "erase" or
    "blur", "" without a mask. found: whether the program proposed it. margin: of the path's pair after it, None until judged.
    """

    prompt: str | None = None
    responses: tuple[tuple[int, str], ...] = ()
    mask: str = ""
    how: str = ""
    found: bool = False
    margin: float | None = None

    def __post_init__(self) -> None:
        texts = [text for _, text in self.responses] + ([self.prompt] if self.prompt is not None else [])
        if any(not isinstance(t, str) or len(t) > LONGEST for t in texts):
            raise RecordError("A step of this path of edits is not a text that can be read.")
        if any(isinstance(i, bool) or not isinstance(i, int) or not 0 <= i < 26 for i, _ in self.responses):
            raise RecordError("A step of this path of edits changes a response that does not exist.")
        if self.mask:
            cells(self.mask)
        if self.how not in (HOW if self.mask else ("",)):
            raise RecordError("A picture is either erased or blurred.")

    def to_dict(self) -> dict[str, Any]:
        """Only what it changed."""
        out: dict[str, Any] = {}
        if self.prompt is not None:
            out["prompt"] = self.prompt
        if self.responses:
            out["responses"] = {letter(i): text for i, text in self.responses}
        if self.mask:
            out |= {"mask": self.mask, "how": self.how}
        if self.found:
            out["found"] = True
        if self.margin is not None:
            out["margin"] = self.margin
        return out

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> Step:
        """What `to_dict` gave. Raises RecordError for anything else."""
        try:
            texts = row.get("responses", {})
            margin = row.get("margin")
            if margin is not None and not math.isfinite(margin):
                raise ValueError("not a number")
            return cls(
                row.get("prompt"), tuple((_index(key), texts[key]) for key in texts), row.get("mask", ""),
                row.get("how", ""), row.get("found") is True, None if margin is None else float(margin),
            )  # fmt: skip
        except (AttributeError, TypeError, ValueError) as error:
            if isinstance(error, RecordError):
                raise
            raise RecordError("A step of this path of edits cannot be read.") from error


@dataclass(frozen=True)
class EditPath:
    """pair: the responses whose margin every step tells. margin: before the first step."""

    pair: tuple[int, int]
    margin: float
    steps: tuple[Step, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        pair = [letter(i) for i in self.pair]
        return {"pair": pair, "margin": self.margin, "steps": [s.to_dict() for s in self.steps]}

    @classmethod
    def from_dict(cls, row: Mapping[str, Any]) -> EditPath:
        """What `to_dict` gave. Raises RecordError for anything else, and beyond MOST_STEPS steps."""
        try:
            margin, steps = float(row["margin"]), list(row["steps"])
            a, b = map(_index, row["pair"])
        except (KeyError, TypeError, ValueError) as error:
            raise RecordError("This path of edits cannot be read.") from error
        if len(steps) > MOST_STEPS or a == b or not math.isfinite(margin):
            raise RecordError(f"This path of edits cannot be read: it has at most {MOST_STEPS} steps.")
        return cls((a, b), margin, tuple(map(Step.from_dict, steps)))

    def after(self, step: Step) -> EditPath:
        """With one more step."""
        return replace(self, steps=(*self.steps, step))

    def judged(self, margin: float) -> EditPath:
        """With the margin after its last step."""
        *before, last = self.steps
        return replace(self, steps=(*before, replace(last, margin=margin)))


def _index(name: Any) -> int:
    if not (isinstance(name, str) and len(name) == 1 and "A" <= name <= "Z"):
        raise ValueError("not the letter of a response")
    return ord(name) - ord("A")


def cells(mask: str) -> np.ndarray:
    """(MASK, MASK) of bool. Raises RecordError for what is not such a mask."""
    try:
        if not isinstance(mask, str) or len(mask) != DIGITS:
            raise ValueError("another length")
        bits = np.unpackbits(np.frombuffer(bytes.fromhex(mask), dtype=np.uint8))
    except ValueError as error:
        raise RecordError("What is painted on the picture cannot be read.") from error
    return bits.astype(bool).reshape(MASK, MASK)


def mask_of(painted: np.ndarray) -> str:
    """painted: (MASK, MASK) of bool."""
    return np.packbits(painted.astype(bool).reshape(-1)).tobytes().hex()


def mask_of_box(box: tuple[float, float, float, float]) -> str:
    """left, top, right, bottom as fractions of the picture."""
    left, top, right, bottom = (round(v * MASK) for v in box)
    painted = np.zeros((MASK, MASK), dtype=bool)
    painted[top : max(bottom, top + 1), left : max(right, left + 1)] = True
    return mask_of(painted)


def mask_image(mask: str, size: tuple[int, int]) -> Image.Image:
    """White where it is painted, in the picture's size."""
    return Image.fromarray(cells(mask).astype(np.uint8) * 255).resize(size, Image.Resampling.NEAREST)


def step_between(before: Comparison, after: Comparison) -> Step | None:
    """The step from one to the other by texts alone; None where more was changed than texts, or nothing."""
    same = before.image == after.image and len(before.responses) == len(after.responses)
    if not same or (before.prompt, before.responses) == (after.prompt, after.responses):
        return None
    changed = tuple(
        (i, new) for i, (old, new) in enumerate(zip(before.responses, after.responses, strict=True)) if old != new
    )  # fmt: skip
    return Step(after.prompt if after.prompt != before.prompt else None, changed)

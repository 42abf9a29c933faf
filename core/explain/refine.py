"""Ablation from coarse to fine, for models of which every evaluation costs seconds.

The picture is blanked in quarters and the texts whole; whatever matters most is divided and its parts blanked in turn, until
each is one word or one region, or the evaluations or the time are used up. Best-first search by what a blanked group did
and by the gradient that lies in it, half each.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from core.judges.protocols import MaskedForward

if TYPE_CHECKING:  # what methods there are is asked before anything is loaded
    from torch import Tensor

    from core.judges.features import Features

    Forward = Callable[[Tensor], Tensor]

EVALUATIONS = 128  # at most, unless told
AT_ONCE = 2  # groups that are divided before it is decided again which are next
PARTS = 4  # of a text


class OutOfTime(Exception):
    """Raised by a forward whose time is up: the method gives what it has."""


@dataclass(frozen=True)
class Group:
    """Features that are blanked together. box: (top, left, bottom, right) of regions; None of words, which stand in order."""

    features: tuple[int, ...]
    box: tuple[int, int, int, int] | None = None


Division = tuple[Group, list[Group]]


def first_groups(features: Features) -> list[Group]:
    """Each response, the prompt, the picture in quarters, and any other feature by itself: every feature in one of them."""
    texts = [tuple(range(s.start, s.stop)) for s in (features.of_text(0), features.of_text(1))]
    groups = [Group(t) for t in (*texts, (features.prompt,)) if t]
    groups += divided(_box(features, 0, 0, *features.grid), features)
    there = {u for g in groups for u in g.features}
    return groups + [Group((u,)) for u in range(features.count) if u not in there]


def wave(features: Features) -> int:
    """How many evaluations are known at a time: of all first groups, or of the parts of those divided next."""
    return max(len(first_groups(features)), AT_ONCE * PARTS)


def divided(group: Group, features: Features) -> list[Group]:
    """Words in up to four parts, regions in quarters, or in halves where they are one row or column."""
    if group.box is None:
        n, parts = len(group.features), min(PARTS, len(group.features))
        ends = [n * i // parts for i in range(parts + 1)]
        return [Group(group.features[s:e]) for s, e in zip(ends, ends[1:], strict=False)]
    top, left, bottom, right = group.box
    return [_box(features, t, lo, b, r) for t, b in _halves(top, bottom) for lo, r in _halves(left, right)]


def _halves(start: int, stop: int) -> list[tuple[int, int]]:
    middle = (start + stop + 1) // 2
    return [(start, middle), (middle, stop)] if stop - start > 1 else [(start, stop)]


def _box(features: Features, top: int, left: int, bottom: int, right: int) -> Group:
    start, columns = features.regions.start, features.grid[1]
    inside = tuple(start + y * columns + x for y in range(top, bottom) for x in range(left, right))
    return Group(inside, (top, left, bottom, right))


def refine(forward: Forward, masked: MaskedForward, steps: int, batch: int) -> Tensor:
    """Starts with the gradient, then blanks whole responses and quarters of the picture, and divides those that matter most
    until each is one word or region, or the time is up. What stands alone is true by construction, as with ablation;
    inside a group that was not divided, the gradient shares out what blanking it did. Made for large models."""
    import torch
    from captum.attr import InputXGradient  # slow to import

    features = masked.features
    slope = InputXGradient(forward).attribute(masked.ones().requires_grad_())[0].detach().double().cpu()
    found: dict[Group, float | None] = dict.fromkeys(first_groups(features))  # None: not blanked yet
    next_up: list[Division] = [(g, [g]) for g in found]
    with contextlib.suppress(OutOfTime), torch.no_grad():
        whole, left = float(forward(masked.ones())[0]), steps - 2
        while next_up and left > 0:
            for group, parts, effects in _blanked(forward, masked.ones(), whole, next_up, left, batch):
                del found[group]
                found.update(zip(parts, effects, strict=True))
            left -= sum(len(parts) for _, parts in next_up)
            next_up = [(g, divided(g, features)) for g in _most_important(found, slope)]
    return _shared_out(found, slope)


def _blanked(
    forward: Forward, ones: Tensor, whole: float, divisions: list[Division], most: int, batch: int
) -> Iterator[tuple[Group, list[Group], list[float]]]:
    """Each group that was divided, once all its parts are blanked: how far the result falls without each of them."""
    parts, waiting = [p for _, ps in divisions for p in ps][:most], list(divisions)
    effects: list[float] = []
    for i in range(0, len(parts), batch):
        z = ones.repeat(len(parts[i : i + batch]), 1)
        for row, part in zip(z, parts[i : i + batch], strict=True):
            row[list(part.features)] = 0
        effects += (whole - forward(z).double()).tolist()
        while waiting and len(effects) >= len(waiting[0][1]):
            group, own = waiting.pop(0)
            yield group, own, effects[: len(own)]
            del effects[: len(own)]


def _most_important(found: dict[Group, float | None], slope: Tensor) -> list[Group]:
    large = [g for g in found if len(g.features) > 1]
    effects = sum(abs(e or 0.0) for e in found.values()) or 1.0
    slopes = float(slope.abs().sum()) or 1.0

    def weight(g: Group) -> float:
        return abs(found[g] or 0.0) / effects + float(slope[list(g.features)].abs().sum()) / slopes

    return sorted(large, key=weight, reverse=True)[:AT_ONCE]


def _shared_out(found: dict[Group, float | None], slope: Tensor) -> Tensor:
    """(U,): the gradient itself where nothing was blanked."""
    out = slope.clone()
    for group, effect in found.items():
        at = list(group.features)
        if effect is not None:
            within = slope[at].abs()
            out[at] = effect * (
                within / within.sum() if within.sum() > 0 else within.new_full(within.shape, 1 / len(at))
            )
    return out

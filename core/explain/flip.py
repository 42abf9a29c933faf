"""The smallest change of the input, of those that are tried, that turns a verdict: found by the explanation, proven by judging.

Small is counted in units: words replaced or struck, and regions of the picture erased. One unit is tried first, all kinds of
it; then growing sets of the units that speak most for the winner, from which every unit is taken back that is not needed.
Nothing says that there is no smaller one: it is the smallest that was found.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from core.explain.counterfactual import Outcome, suggest
from core.explain.edits import applied
from core.judges.protocols import Explainable
from core.records import Comparison, Explanation, Judgement, RecordError
from core.records.edit_path import Step, cells, mask_of, mask_of_box
from core.records.headline import TIE

TRIED = 6  # words and regions that are changed one at a time, of each kind
MOST_UNITS = 8  # of one edit
FEW = 8  # edits in all that a judge is asked for which it costs something to ask


@dataclass(frozen=True)
class Found:
    """step: the edit. comparison: the edited one. units: words and regions that it changes. before, after: the margin of a
    over b. asked: how many edited inputs were judged."""

    step: Step
    comparison: Comparison
    units: int
    before: float
    after: float
    asked: int


@dataclass(frozen=True)
class Unit:
    """A piece of a response, or a region where `response` is None. speaks: how much it adds for the winner."""

    response: int | None
    start: int
    end: int
    box: tuple[float, float, float, float]
    speaks: float


def flip(
    judge: Explainable, comparison: Comparison, judgement: Judgement, explanation: Explanation, most: int | None = None
) -> Found | None:  # fmt: skip
    """Of the explanation's pair, or None where nothing that was tried turns the verdict. most: edits to judge at most.
    Raises RecordError where there is no verdict to turn, and what judging raises."""
    a, b = explanation.pair
    before = judgement.margin(a, b)
    if not abs(before) >= TIE:  # NaN too
        raise RecordError("There is no verdict here that an edit could turn.")
    search = _Search(judge, comparison, (a, b), before, most)
    units = _units(explanation, (a, b), before)
    words = [u for u in units if u.response is not None][:TRIED]
    regions = [u for u in units if u.response is None][:TRIED]
    ones = [_step(comparison, [u]) for u in (*words, *regions)]
    replaced = [
        Step(responses=((judgement.loser(a, b), s.text),), found=True)
        for s in suggest(judge, comparison, judgement, a, b, explanation)
        if s.outcome is Outcome.FLIPS
    ][:TRIED]
    if found := search.nearest([*replaced, *ones], 1):
        return found
    # Words and regions together, the strongest first, and each kind alone: a set of one kind is often enough.
    for size in range(2, MOST_UNITS + 1):
        sets = {tuple(kind[:size]) for kind in (units, words, regions) if len(kind) >= size}
        for chosen in sorted(sets, key=lambda s: sum(u.response is None for u in s)):
            if search.nearest([_step(comparison, list(chosen))], size):
                return search.pruned(list(chosen))
    return None


class _Search:
    """Judges edits, no more than allowed."""

    def __init__(self, judge: Explainable, comparison: Comparison, pair: tuple[int, int], before: float, most: int | None) -> None:  # fmt: skip
        self.judge, self.comparison, self.pair, self.before = judge, comparison, pair, before
        self.most, self.asked = most, 0

    def nearest(self, steps: list[Step | None], units: int) -> Found | None:
        """Of the steps that turn the verdict the one that moves the margin least."""
        made = [(s, applied(self.comparison, s)) for s in steps if s is not None]
        if self.most is not None:
            made = made[: max(0, self.most - self.asked)]
        if not made:
            return None
        self.asked += len(made)
        margins = [j.margin(*self.pair) for j in self.judge.judge_batch([c for _, c in made])]
        turned = [
            Found(step, edited, units, self.before, after, self.asked)
            for (step, edited), after in zip(made, margins, strict=True)
            if self.before * after < 0 and abs(after) >= TIE
        ]
        return min(turned, key=lambda f: abs(f.after), default=None)

    def pruned(self, units: list[Unit]) -> Found | None:
        """Without each unit, the weakest first, that is not needed."""
        best = self.nearest([_step(self.comparison, units)], len(units))
        for unit in sorted(units, key=lambda u: u.speaks):
            fewer = [u for u in units if u is not unit]
            if fewer and (found := self.nearest([_step(self.comparison, fewer)], len(fewer))):
                units, best = fewer, found
        return best


def _units(explanation: Explanation, pair: tuple[int, int], before: float) -> list[Unit]:
    """Those that speak for the winner, strongest first."""
    sign = 1 if before > 0 else -1
    whole = (0.0, 0.0, 0.0, 0.0)
    out = [
        Unit(pair[n], start, end, whole, sign * value)
        for n in (0, 1)
        for (_, start, end), value in zip(explanation.tokens[n], explanation.token_values[n], strict=True)
    ]
    rows, columns = len(explanation.patch_values), len(explanation.patch_values[0])
    out += [
        Unit(None, 0, 0, (c / columns, r / rows, (c + 1) / columns, (r + 1) / rows), sign * value)
        for r, row in enumerate(explanation.patch_values)
        for c, value in enumerate(row)
    ]
    return sorted((u for u in out if u.speaks > 0), key=lambda u: -u.speaks)


def _step(comparison: Comparison, units: list[Unit]) -> Step | None:
    """Words struck and regions erased; None where nothing is left of a response."""
    texts = []
    for n in sorted({u.response for u in units if u.response is not None}):
        text = comparison.responses[n]
        for u in sorted((u for u in units if u.response == n), key=lambda u: -u.start):
            text = text[: u.start] + text[u.end :]
        text = re.sub(r"[ \t]+", " ", text).strip()
        if not text:
            return None
        texts.append((n, text))
    painted = None
    for u in units:
        if u.response is None:
            own = cells(mask_of_box(u.box))
            painted = own if painted is None else painted | own
    mask = mask_of(painted) if painted is not None else ""
    return Step(responses=tuple(texts), mask=mask, how="erase" if mask else "", found=True)

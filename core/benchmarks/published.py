"""Does a published row add up? Which grouping, averaging and whole counts its printed numbers fit, if any.

Three groupings of VL-RewardBench circulate, columns get swapped, "overall" is sometimes a plain mean. A row printed
with d decimals fits a grouping if every column is some k/n after rounding and the overall is the sum of such k over
the sum of n. Official scripts drop unscored rows, so a row may miss by a little: that is said, not hidden.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import permutations
from pathlib import Path
from typing import Any

from core.benchmarks import BENCHMARKS

PUBLISHED = Path(__file__).parents[2] / "assets" / "published.json"
NEAR = 0.5  # points by which a row may miss where the official script drops unscored rows
MISPRINT = 0.02  # with whole counts in every column, an overall this near is a slip of rounding
INFERRED = {"multimodal-rewardbench"}  # its sizes are not all printed: whole counts prove nothing there

# Multimodal RewardBench prints no sizes of safety and VQA: these reproduce all eight rows of Meta's README.
MULTIMODAL_README = {
    "correctness": 623, "preference": 654, "knowledge": 630, "reasoning": 1098, "safety": 1004, "vqa": 1202,
}  # fmt: skip
MULTIMODAL_SEVEN = {
    "correctness": 623, "preference": 654, "knowledge": 630, "math": 514, "coding": 584, "safety": 506, "vqa": 1202,
}  # fmt: skip


@dataclass(frozen=True)
class Published:
    """One row of a published table, in percent as printed (strings keep the decimals)."""

    benchmark: str
    name: str
    columns: dict[str, str]
    overall: str | None
    macro: str | None
    plus: str | None
    source: str


@dataclass(frozen=True)
class Fit:
    """How a row fits one grouping, its columns read as `read_as` (printed column -> group).

    counts: per group the k with k/n printed as the row has it. overall_gap: how far, in points, the printed overall
    lies from what those columns allow under `average` ("micro", "plain mean"); 0 is a fit.
    """

    grouping: str
    sizes: dict[str, int]
    read_as: dict[str, str]
    counts: dict[str, tuple[int, ...]]
    average: str
    overall_gap: float

    inferred: bool

    @property
    def whole(self) -> int:
        """Columns that are some k/n."""
        return sum(bool(k) for k in self.counts.values())

    @property
    def exact(self) -> bool:
        if self.inferred:
            return self.overall_gap == 0
        return self.whole == len(self.counts) and self.overall_gap <= MISPRINT

    @property
    def swapped(self) -> bool:
        return any(a != b for a, b in self.read_as.items())


@dataclass(frozen=True)
class Audit:
    """fits: best first. verdict: one sentence. comparable: only with rows of the official groups."""

    fits: tuple[Fit, ...]
    verdict: str
    comparable: bool
    impossible: tuple[str, ...]


def whole_counts(printed: str, n: int) -> tuple[int, ...]:
    """All k whose 100 k/n, rounded or cut off at the printed decimals, is the printed number."""
    value, half = float(printed), half_unit(printed)
    low, high = math.ceil((value - half) * n / 100 - 1e-9), math.floor((value + half) * n / 100 + 1e-9)
    cut = [k for k in (high + 1,) if k <= n and value <= 100 * k / n < value + 2 * half - 1e-9]
    return tuple([*range(max(low, 0), min(high, n) + 1), *cut])


def half_unit(printed: str) -> float:
    return 0.5 * 10.0 ** -len(printed.partition(".")[2])


def sizes_of(benchmark: str) -> dict[str, dict[str, int]]:
    """Grouping name -> group -> number of rows; the official one first."""
    if benchmark == "multimodal-rewardbench":
        return {"official": MULTIMODAL_README, "seven columns": MULTIMODAL_SEVEN}
    return {g.name: g.expected for g in BENCHMARKS[benchmark].groupings if g.expected}


def audit(row: Published) -> Audit:
    official = next(iter(sizes_of(row.benchmark)))
    fits = sorted(_fits(row), key=lambda f: (not f.exact, f.overall_gap, f.swapped, f.grouping != official))
    impossible = _impossible(row, fits)
    return Audit(tuple(fits), *_verdict(row, fits, impossible, official), impossible)


def _fits(row: Published) -> Iterator[Fit]:
    for grouping, sizes in sizes_of(row.benchmark).items():
        if set(sizes) != set(row.columns):
            continue
        columns = list(row.columns)
        # Swapped columns are looked for only in rows of three columns with two decimals: elsewhere something
        # always fits by chance.
        precise = len(columns) == 3 and all(half_unit(v) < 0.01 for v in row.columns.values())
        orders = permutations(columns) if precise else [tuple(columns)]
        for order in orders:
            read_as = dict(zip(columns, order, strict=True))
            counts = {g: whole_counts(row.columns[c], sizes[g]) for c, g in read_as.items()}
            # Where a macro is printed beside it, the overall is no plain mean.
            for average in ("micro",) if row.macro else ("micro", "plain mean"):
                gap = _overall_gap(row, sizes, read_as, counts, average)
                if gap is not None:
                    yield Fit(grouping, sizes, read_as, counts, average, gap, row.benchmark in INFERRED)


def _overall_gap(
    row: Published, sizes: dict[str, int], read_as: dict[str, str], counts: dict[str, tuple[int, ...]], average: str
) -> float | None:  # fmt: skip
    """0 where the printed overall lies within what the printed columns allow."""
    if row.overall is None:
        return None
    low = high = 0.0
    for column, group in read_as.items():
        weight = sizes[group] / sum(sizes.values()) if average == "micro" else 1 / len(sizes)
        value, half = float(row.columns[column]), half_unit(row.columns[column])
        k = counts[group]
        # Whole counts narrow a column; where there are none, its rounding interval stands in.
        narrow = k and row.benchmark not in INFERRED
        ends = (
            (100 * k[0] / sizes[group], 100 * k[-1] / sizes[group])
            if narrow
            else (value - half, value + half)
        )
        low, high = low + weight * ends[0], high + weight * ends[1]
    half = half_unit(row.overall) + 1e-9
    return max(0.0, low - half - float(row.overall), float(row.overall) - high - half)


def _impossible(row: Published, fits: list[Fit]) -> tuple[str, ...]:
    """Printed numbers that are not k/n of their own group under any reading."""
    if row.benchmark == "multimodal-rewardbench":
        return ()  # its sizes are inferred
    out = [
        f"{column} {printed} is not possible with {' or '.join(sorted({str(f.sizes[f.read_as[column]]) for f in fits}))} questions"
        for column, printed in row.columns.items()
        if fits and not any(f.counts[f.read_as[column]] for f in fits)
    ]
    if row.benchmark == "mm-rlhf-rewardbench":
        if row.overall and not whole_counts(row.overall, 170):
            out.append(f"Acc {row.overall} is not possible with 170 questions")
        if row.plus and not whole_counts(row.plus, 46):
            out.append(f"Acc+ {row.plus} is not possible with 46 questions")
    return tuple(out)


def _verdict(
    row: Published, fits: list[Fit], impossible: tuple[str, ...], official: str
) -> tuple[str, bool]:  # fmt: skip
    if not row.columns or not fits:
        return "Only an overall is given: nothing to check it against.", False
    also = f" Printed but impossible: {'; '.join(impossible)}." if impossible else ""
    exact = [f for f in fits if f.exact and (f.average == "micro" or not _some_micro(fits))]
    if exact:
        return _said_exact(exact, official) + also, any(
            f.grouping == official and not f.swapped and f.average == "micro" for f in exact
        )
    plain = [f for f in fits if not f.swapped and f.average == "micro"]
    best = min(plain, key=lambda f: (f.overall_gap > NEAR, -f.whole, f.overall_gap, f.grouping != official))
    if best.overall_gap > NEAR:
        best = min(plain, key=lambda f: f.overall_gap)
        return (
            f"Fits no known grouping: the nearest, {_sizes(best)}, is {best.overall_gap:.1f} points off.{also}",
            False,
        )
    gap = f"{best.overall_gap:.2f} points off" if best.overall_gap else "the overall fits"
    if best.grouping == official and best.average == "micro":
        return (
            f"Near the official groups: {gap}, but not in whole counts, as when unscored rows are dropped.{also}",
            True,
        )
    return f"Near {_sizes(best)} ({best.grouping}): {gap}. Not comparable.{also}", False


def _some_micro(fits: list[Fit]) -> bool:
    return any(f.exact and f.average == "micro" for f in fits)


def _said_exact(exact: list[Fit], official: str) -> str:
    straight = [f for f in exact if not f.swapped]
    chosen = straight or exact
    first = next((f for f in chosen if f.grouping == official), chosen[0])
    if first.inferred:
        return _said_inferred(first, official)
    others = sorted({_sizes(f) for f in chosen if f.sizes != first.sizes})
    counts = ", ".join(f"{k[0]}/{first.sizes[g]}" for g, k in first.counts.items() if len(k) == 1)
    counts = f" ({counts})" if counts else ""
    slip = " The printed overall is a slip of rounding off." if first.overall_gap else ""
    if first.grouping == official and not first.swapped and first.average == "micro":
        rest = f" So would {', '.join(others)}." if others else ""
        return f"Fits the official groups {_sizes(first)} in whole counts{counts}.{rest}{slip}"
    swapped = ", ".join(f"{c} is really {g}" for c, g in first.read_as.items() if c != g)
    note = f" if columns are swapped: {swapped}" if first.swapped else ""
    return f"Fits {_sizes(first)} only{counts}{note}: not comparable.{slip}"


def _said_inferred(fit: Fit, official: str) -> str:
    if fit.average != "micro":
        return "The overall is the plain mean of its columns, not the micro average of the official table: not comparable."
    if fit.grouping == official:
        return "The overall is the micro average over the official groups (their sizes are inferred)."
    return f"The overall fits a micro average over {_sizes(fit)} (inferred; safety is bias only): not comparable."


def _sizes(fit: Fit) -> str:
    return "/".join(str(n) for n in fit.sizes.values())


def published(path: Path = PUBLISHED) -> list[Published]:
    """The rows that ship with the project, each with its source."""
    data: list[dict[str, Any]] = json.loads(path.read_text())
    return [Published(**row) for row in data]

"""How a published row may be read: which grouping, averaging and whole counts its printed numbers fit, if any. core.benchmarks.audit says what follows.

Three groupings of VL-RewardBench circulate, columns get swapped, "overall" is sometimes a plain mean. A row printed
with d decimals fits a grouping if every column is some k/n after rounding or cutting off, and the overall is the sum of such
k over the sum of n. Official scripts drop unscored rows, so a row may miss by a little: that is said, not hidden.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from itertools import permutations

from core.benchmarks import BENCHMARKS
from core.benchmarks.published import Published

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
# Printed beside the columns, by name: of how many it must be a whole count.
BESIDE = {"mm-rlhf-rewardbench": {"Acc": 170, "Acc+": 46}}


@dataclass(frozen=True)
class Fit:
    """How a row fits one grouping, its columns read as `read_as` (printed column -> group).

    counts: per group the k with k/n printed as the row has it. allowed: the overall, in percent, that those columns leave
    room for under `average` ("micro", "plain mean"), before it is rounded; overall_gap: how far, in points, the printed
    overall lies from what that range prints as; 0 is a fit. inferred: whether the sizes are.
    """

    grouping: str
    sizes: dict[str, int]
    read_as: dict[str, str]
    counts: dict[str, tuple[int, ...]]
    average: str
    allowed: tuple[float, float]
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
class MacroCheck:
    """allowed: the mean of the printed columns, in percent, however they were rounded or cut off. gap: how far, in points, the
    printed macro lies from what that range may print as."""

    allowed: tuple[float, float]
    gap: float


def whole_counts(printed: str, n: int) -> tuple[int, ...]:
    """All k whose 100 k/n, rounded or cut off at the printed decimals, is the printed number."""
    value, half = float(printed), half_unit(printed)
    low, high = math.ceil((value - half) * n / 100 - 1e-9), math.floor((value + half) * n / 100 + 1e-9)
    cut = [k for k in (high + 1,) if k <= n and value <= 100 * k / n < value + 2 * half - 1e-9]
    return tuple([*range(max(low, 0), min(high, n) + 1), *cut])


@lru_cache(maxsize=256)
def passes_by_chance(decimals: int, n: int) -> float:
    """The share of all numbers from 0 to 100 with so many decimals that are some k/n: how little a whole count proves."""
    unit = 10**decimals
    found: set[int] = set()
    for k in range(n + 1):
        exact = Fraction(100 * k * unit, n)
        half = Fraction(1, 2)
        found |= {math.ceil(exact - half), math.floor(exact + half), math.floor(exact)}
    return len(found) / (100 * unit + 1)


def decimals(printed: str) -> int:
    return len(printed.partition(".")[2])


def half_unit(printed: str) -> float:
    return 0.5 * 10.0 ** -decimals(printed)


def interval(printed: str) -> tuple[float, float]:
    """What may be printed so, rounded or cut off."""
    value, half = float(printed), half_unit(printed)
    return value - half, value + 2 * half


def sizes_of(benchmark: str) -> dict[str, dict[str, int]]:
    """Grouping name -> group -> number of rows; the official one first."""
    if benchmark == "multimodal-rewardbench":
        return {"official": MULTIMODAL_README, "seven columns": MULTIMODAL_SEVEN}
    return {g.name: g.expected for g in BENCHMARKS[benchmark].groupings if g.expected}


def fits_of(row: Published) -> Iterator[Fit]:
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
                if row.overall is not None:
                    allowed = _allowed(row, sizes, read_as, counts, average)
                    gap = _overall_gap(row.overall, *allowed, row.benchmark in INFERRED)
                    yield Fit(
                        grouping, sizes, read_as, counts, average, allowed, gap, row.benchmark in INFERRED
                    )


def _allowed(
    row: Published, sizes: dict[str, int], read_as: dict[str, str], counts: dict[str, tuple[int, ...]], average: str
) -> tuple[float, float]:  # fmt: skip
    """Lowest and highest overall that the printed columns leave room for."""
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
    return low, high


def _overall_gap(overall: str, low: float, high: float, inferred: bool) -> float:
    """0 where the range has something that prints as the overall: rounded, or cut off as the columns may be."""
    printed, half = float(overall), half_unit(overall) + 1e-9
    if not inferred and low - 2 * half + 1e-8 < printed <= high:
        return 0.0
    return max(0.0, low - half - printed, printed - high - half)


def macro_of(row: Published) -> MacroCheck | None:
    if row.macro is None or not row.columns:
        return None
    ends = [interval(v) for v in row.columns.values()]
    low, high = (sum(e[i] for e in ends) / len(ends) for i in (0, 1))
    least, most = interval(row.macro)
    return MacroCheck(
        (low, high), max(0.0, low - most, least - high) if (low > most or high < least) else 0.0
    )


def impossible_in(row: Published, fits: list[Fit]) -> tuple[str, ...]:
    """Printed numbers that are not k/n of their own group under any reading."""
    if row.benchmark in INFERRED:
        return ()
    out = [
        f"{column} {printed} is not possible with {' or '.join(map(str, sorted({f.sizes[f.read_as[column]] for f in fits})))} questions"
        for column, printed in row.columns.items()
        if fits and not any(f.counts[f.read_as[column]] for f in fits)
    ]
    for name, n in BESIDE.get(row.benchmark, {}).items():
        printed = row.plus if name == "Acc+" else row.overall
        if printed and not whole_counts(printed, n):
            out.append(f"{name} {printed} is not possible with {n} questions")
    return tuple(out)


def fewest_unscored(row: Published, fit: Fit) -> int | None:
    """How many rows would have to be unscored, at the least, for the printed columns and overall to agree; None where no number
    would do. Whichever rows those are: those of the groups furthest from the overall go first, which no other choice beats."""
    if row.overall is None or fit.average != "micro":
        return None
    low, high = interval(row.overall)
    micro_low, micro_high = (
        sum(n * interval(row.columns[c])[i] for c, n in _sizes_by_column(fit).items()) / sum(fit.sizes.values()) for i in (0, 1)
    )  # fmt: skip
    if micro_low <= high and micro_high >= low:
        return 0
    # Above the overall: with each group at its lowest, what is too much; below it: the other way round.
    end, target, sign = (0, high, 1) if micro_low > high else (1, low, -1)
    excess = [(sign * (interval(row.columns[c])[end] - target), n) for c, n in _sizes_by_column(fit).items()]
    surplus = sum(e * n for e, n in excess)
    dropped = 0
    for e, n in sorted(excess, reverse=True):
        if e <= 0:
            return None
        needed = max(0, math.ceil(surplus / e - 1e-9))
        if needed < n:
            return dropped + needed
        dropped, surplus = (
            dropped + n - 1,
            surplus - e * (n - 1),
        )  # a column without a row could not be printed
    return None


def _sizes_by_column(fit: Fit) -> dict[str, int]:
    return {c: fit.sizes[g] for c, g in fit.read_as.items()}

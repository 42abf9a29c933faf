"""Does a published row add up? A mark, and what the audit says. Each sentence is one that its numbers prove: it names the reading it
speaks of, and says "fits", not "is", where another reading that is not known here could give the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from core.benchmarks.published import Published
from core.benchmarks.readings import (
    NEAR,
    Fit,
    MacroCheck,
    fewest_unscored,
    fits_of,
    impossible_in,
    macro_of,
    sizes_of,
)


class Mark(StrEnum):
    """ADDS_UP: whole counts of the official groups in every number, and the overall and macro follow from the columns.
    PARTLY: a reading known here fits or comes near, with a reservation that the verdict names. DOES_NOT: the overall is more
    than NEAR points from every reading known here, or the macro is not the mean of the columns. UNCHECKED: too little is given."""

    ADDS_UP = "adds up"
    PARTLY = "partly"
    DOES_NOT = "does not add up"
    UNCHECKED = "cannot be checked"


SIGNS = {Mark.ADDS_UP: "✔", Mark.PARTLY: "~", Mark.DOES_NOT: "✖", Mark.UNCHECKED: "?"}


@dataclass(frozen=True)
class Audit:
    """fits: best first. said: the one the verdict speaks of. sentences: the verdict, its reason first. comparable: only with
    rows of the official groups. macro: None where none is printed, or no columns."""

    fits: tuple[Fit, ...]
    said: Fit | None
    mark: Mark
    sentences: tuple[str, ...]
    comparable: bool
    impossible: tuple[str, ...]
    macro: MacroCheck | None

    @property
    def verdict(self) -> str:
        return " ".join(self.sentences)

    @property
    def reason(self) -> str:
        """The verdict's first sentence."""
        return self.sentences[0]


def audit(row: Published) -> Audit:
    official = next(iter(sizes_of(row.benchmark)))
    fits = sorted(fits_of(row), key=lambda f: (not f.exact, f.overall_gap, f.swapped, f.grouping != official))
    return _verdict(row, fits, impossible_in(row, fits), macro_of(row), official)


def _verdict(
    row: Published, fits: Sequence[Fit], impossible: tuple[str, ...], macro: MacroCheck | None, official: str
) -> Audit:
    also: tuple[str, ...] = (f"Printed but impossible: {'; '.join(impossible)}.",) if impossible else ()
    wrong_macro = macro is not None and macro.gap > 0
    if macro is not None and wrong_macro:
        also = (
            f"The macro average {row.macro} is not the mean of the printed columns: it is {macro.gap:.1f} points off.",
            *also,
        )
    if not row.columns or not fits:
        sentence = (
            "No overall is given: nothing to check the columns against."
            if row.columns and row.overall is None
            else "Only an overall is given: nothing to check it against."
        )
        mark = Mark.DOES_NOT if wrong_macro else Mark.UNCHECKED
        said = (*also, sentence) if wrong_macro else (sentence, *also)
        return Audit(tuple(fits), None, mark, said, False, impossible, macro)
    micro = any(f.exact and f.average == "micro" for f in fits)
    exact = [f for f in fits if f.exact and (f.average == "micro" or not micro)]
    if exact:
        first, sentences = _exact(exact, official)
        comparable = any(f.grouping == official and not f.swapped and f.average == "micro" for f in exact)
        full = comparable and not first.inferred and not first.overall_gap and not impossible
        mark = Mark.ADDS_UP if full else Mark.PARTLY
    else:
        first, mark, sentences, comparable = _inexact(row, fits, official)
    if wrong_macro:
        mark = Mark.DOES_NOT
        sentences, also = (also[0], *sentences), also[1:]
    return Audit(tuple(fits), first, mark, (*sentences, *also), comparable, impossible, macro)


def _inexact(row: Published, fits: Sequence[Fit], official: str) -> tuple[Fit, Mark, tuple[str, ...], bool]:
    plain = [f for f in fits if not f.swapped and f.average == "micro"]
    near = [f for f in plain if f.overall_gap <= NEAR]
    if not near:
        best = min(plain, key=lambda f: f.overall_gap)
        far = f"Fits no known grouping: the nearest, {_sizes(best)}, is {best.overall_gap:.2f} points off"
        return best, Mark.DOES_NOT, (f"{far}, which takes {_unscored(row, best)}.",), False
    nearest = min(near, key=lambda f: (-f.whole, f.overall_gap))
    best = next(
        (f for f in near if f.grouping == official), nearest
    )  # what the row says it is, where that may be
    gap = f"{best.overall_gap:.2f} points off" if best.overall_gap else "the overall fits"
    if best.grouping != official:
        return best, Mark.PARTLY, (f"Near {_named(best)}: {gap}. Not comparable.",), False
    broken = [c for c, g in best.read_as.items() if not best.counts[g]]
    but = "" if best.overall_gap else f", but not {' and '.join(broken)} in whole counts"
    sentences = [f"Near the official groups: {gap}{but}, as when unscored rows are dropped."]
    if nearest is not best:
        sentences.append(f"Nearer to {_named(nearest)}, {nearest.overall_gap:.2f} points off.")
    return best, Mark.PARTLY, tuple(sentences), True


def _unscored(row: Published, fit: Fit) -> str:
    fewest = fewest_unscored(row, fit)
    if fewest is None:
        return "more than unscored rows"
    return f"at least {fewest:,} unscored rows of {sum(fit.sizes.values()):,}"


def _exact(exact: Sequence[Fit], official: str) -> tuple[Fit, tuple[str, ...]]:
    straight = [f for f in exact if not f.swapped]
    chosen = straight or exact
    first = next((f for f in chosen if f.grouping == official), chosen[0])
    if first.inferred:
        return first, (_inferred(first, official),)
    counts = ", ".join(f"{k[0]}/{first.sizes[g]}" for g, k in first.counts.items() if len(k) == 1)
    counts = f" ({counts})" if counts else ""
    slip = ("The printed overall is off in its last digit.",) if first.overall_gap else ()
    if first.grouping == official and not first.swapped and first.average == "micro":
        others = sorted({_sizes(f) for f in chosen if f.sizes != first.sizes})
        rest = (f"So would {', '.join(others)}.",) if others else ()
        return first, (f"Fits the official groups {_sizes(first)} in whole counts{counts}.", *rest, *slip)
    swapped = ", ".join(f"{c} read as {g}" for c, g in first.read_as.items() if c != g)
    note = f" if columns are swapped: {swapped}" if first.swapped else ""
    mean = " by the plain mean of its columns" if first.average != "micro" else ""
    return first, (f"Fits {_sizes(first)} only{mean}{counts}{note}: not comparable.", *slip)


def _inferred(fit: Fit, official: str) -> str:
    if fit.average != "micro":
        return "The overall fits the plain mean of its columns, not the micro average of the official table: not comparable."
    if fit.grouping == official:
        return "The overall fits the micro average over the official groups, whose sizes are partly inferred from that table."
    return f"The overall fits a micro average over {_sizes(fit)} (inferred; safety is bias only): not comparable."


def _named(fit: Fit) -> str:
    return f"{_sizes(fit)} ({fit.grouping})"


def _sizes(fit: Fit) -> str:
    return "/".join(str(n) for n in fit.sizes.values())

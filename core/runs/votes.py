"""What the votes of judges that write say beyond one number: majorities of K, order consistency, position preference.

Majorities are those of VL-RewardBench's cal.py: K votes a row; right or wrong if more than half of them say so; otherwise
the row does not match or is split, and leaves the denominator.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core.benchmarks.rows import Grouping
from core.records import Vote
from core.records.orders import decided_pairs
from core.runs.metrics import LEVEL, Rate, rate

KS = (1, 3, 5, 7, 9)
SEED = 1234  # as in cal.py
RESAMPLES = 2000
AGREE, REJECT, NO_MATCH, SPLIT = "agree", "reject", "doesn't match", "split"
OUTCOME = {AGREE: "right", REJECT: "wrong", NO_MATCH: "unparsed", SPLIT: "tie"}


@dataclass(frozen=True)
class Cast:
    """The votes of one labelled row. preferred: by index. subgroup: of the benchmark."""

    row: int
    subgroup: str
    preferred: int
    votes: tuple[Vote, ...]


def cast_in(file: Path) -> list[Cast]:
    """Of each labelled row of a run's file that has votes. Their texts stay where they are: an answer may be pages long."""
    schema = pq.read_schema(file)
    if "votes" not in schema.names:  # a run of release 0.1
        return []
    there = {f.name for f in schema.field("votes").type.value_type}  # early runs lack some
    kept = ", ".join(
        f"'{name}': v.\"{name}\"" for name in ("order", "choice", "log_odds", "problem") if name in there
    )
    with duckdb.connect() as db:
        rows = db.execute(
            f'SELECT "row", subgroup, preferred, list_transform(votes, lambda v: {{{kept}}}) FROM read_parquet(?) '
            'WHERE len(votes) > 0 AND preferred IS NOT NULL ORDER BY "row"',
            [str(file)],
        ).fetchall()
    return [
        Cast(row, subgroup, preferred, tuple(map(_vote, votes))) for row, subgroup, preferred, votes in rows
    ]


def _vote(stored: Mapping[str, Any]) -> Vote:
    return Vote(
        tuple(stored["order"]), "", stored["choice"], stored.get("log_odds"), stored.get("problem") or ""
    )


def majority(votes: Sequence[Vote], preferred: int) -> str:
    """One of AGREE, REJECT, NO_MATCH and SPLIT, as cal.py has it."""
    said = [NO_MATCH if v.choice is None else AGREE if v.choice == preferred else REJECT for v in votes]
    return next((what for what in (AGREE, REJECT, NO_MATCH) if said.count(what) > len(said) / 2), SPLIT)


@dataclass(frozen=True)
class AtK:
    """Accuracy by the majority of k votes. counts: rows per majority. groups by name; macro is None where a group is empty.
    rows: those with at least k votes."""

    k: int
    overall: Rate
    groups: dict[str, Rate]
    macro: float | None
    counts: dict[str, int]
    rows: int


def voting_curve(
    cast: Sequence[Cast], grouping: Grouping | None = None, ks: Sequence[int] = KS, seed: int = SEED
) -> list[AtK]:
    """Voting@K for each k for which there are rows with as many votes. Which k of a row's votes count is drawn once: those of
    both orders are mixed, and the first k of the draw are those of every larger k too."""
    shuffled = []
    for c in sorted(cast, key=lambda c: c.row):
        mixed = list(c.votes)
        random.Random(f"{seed}-{c.row}").shuffle(mixed)
        shuffled.append((c, mixed))
    out = []
    for k in ks:
        able = [(c, mixed[:k]) for c, mixed in shuffled if len(mixed) >= k]
        if not able:
            continue
        found = [majority(votes, c.preferred) for c, votes in able]
        outcomes = pd.Series([OUTCOME[what] for what in found], dtype=object)
        group = pd.Series(
            [grouping.group_of.get(c.subgroup) if grouping else None for c, _ in able], dtype=object
        )
        groups = {name: rate(outcomes[group == name], "dropped") for name in sorted(set(group.dropna()))}
        empty = not groups or any(r.n == 0 for r in groups.values())
        out.append(AtK(
            k, rate(outcomes, "dropped"), groups, None if empty else float(np.mean([r.value for r in groups.values()])),
            {what: found.count(what) for what in (AGREE, REJECT, NO_MATCH, SPLIT)}, len(able),
        ))  # fmt: skip
    return out


@dataclass(frozen=True)
class Share:
    """k of n, with a 95 % interval: Wilson's, or where it says so a bootstrap over rows."""

    k: int
    n: int
    value: float
    low: float
    high: float


def share(k: int, n: int) -> Share:
    if n == 0:
        return Share(0, 0, *[float("nan")] * 3)
    from statsmodels.stats.proportion import proportion_confint  # slow: not at every start

    low, high = proportion_confint(k, n, alpha=1 - LEVEL, method="wilson")
    return Share(k, n, k / n, float(low), float(high))


def share_of_rows(counts: Sequence[tuple[int, int]], seed: int = 0) -> Share:
    """(k, n) of each row -> their sums. What belongs to one row is not independent, so the interval is a percentile bootstrap
    over rows."""
    held = np.array([c for c in counts if c[1]])
    if not len(held):
        return share(0, 0)
    k, n = held.sum(0)
    kinds, times = np.unique(held, axis=0, return_counts=True)  # rows of the same counts are drawn together
    drawn = np.random.default_rng(seed).multinomial(len(held), times / len(held), RESAMPLES)
    sums = drawn @ kinds
    low, high = np.quantile(sums[:, 0] / sums[:, 1], [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Share(int(k), int(n), float(k / n), float(low), float(high))


@dataclass(frozen=True)
class Order:
    """consistent: pairs whose answers prefer the same response in both orders, of those that decide in both. first: answers
    that prefer the response shown first, of all that decide, each order of a pair weighing the same; its interval resamples
    rows, whose answers are not independent. undecided: answers
    without a verdict, by reason."""

    consistent: Share
    first: Share
    undecided: dict[str, int]
    answers: int


def order_effects(cast: Sequence[Cast]) -> Order:
    """Over pairs that were asked in both orders: a judge asked in one order only has no position preference to measure."""
    pairs = [p for c in cast for p in decided_pairs(c.votes)]
    answers = [v for c in cast for v in c.votes]
    first = []  # (answers for the response shown first, answers) of each row, where its pair was asked in both orders
    for c in cast:
        orders = {v.order for v in c.votes}
        both = [v for v in c.votes if v.order[::-1] in orders and v.choice is not None]
        first.append((sum(v.choice == v.order[0] for v in both), len(both)))
    undecided: dict[str, int] = {}
    for v in answers:
        if v.choice is None and v.log_odds is None:
            undecided[v.problem or "no verdict"] = undecided.get(v.problem or "no verdict", 0) + 1
    return Order(
        share(sum(a == b for a, b in pairs), len(pairs)),
        share_of_rows(first),
        undecided,
        len(answers),
    )

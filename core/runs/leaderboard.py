"""What a leaderboard says about one run: accuracy per grouping, denominators, bias controls, calibration."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core.benchmarks import BENCHMARKS, Grouping
from core.runs.criteria import Criteria, criteria_of
from core.runs.manifest import RunError
from core.runs.metrics import (
    Bin,
    Paired,
    Rate,
    Report,
    accuracy_plus,
    calibration,
    compare,
    frame_points,
    points_of,
    rate,
    rate_of_counts,
    report,
)
from core.runs.run import Run, damage_told
from core.runs.votes import AtK, Order, cast_in, order_effects, voting_curve
from core.taxonomy import KEYS


@dataclass(frozen=True)
class Entry:
    """reports: one per grouping, the official one first. plus: Acc+ where the benchmark has it. controls: what judges
    that read no picture score on the same labels. by_dimension: accuracy where a dimension decides (records that know
    it) or is among the selected (all others). outside: rows whose picture is out of distribution for the judge, of those
    for which that was measured. criteria: one a split, where the rows of a cluster are one pair by several criteria."""

    reports: tuple[Report, ...]
    plus: Rate | None
    controls: dict[str, Rate]
    by_dimension: dict[str, Rate]
    by_dimension_means: str
    calibration: tuple[list[Bin], float]
    margins: np.ndarray
    outside: tuple[int, int] = (0, 0)
    criteria: tuple[Criteria, ...] = ()


@dataclass(frozen=True)
class Voting:
    """What the votes of a judge that writes say beyond its accuracy. curve: Voting@K."""

    order: Order
    curve: tuple[AtK, ...]


@damage_told
def voting(run: Run) -> Voting | None:
    """None where no labelled row has votes."""
    return _voting(run.file, run.file.stat().st_mtime_ns, run.manifest.benchmark)


@lru_cache(maxsize=64)
def _voting(file: Path, version: int, benchmark: str) -> Voting | None:
    del version
    if not (cast := cast_in(file)):
        return None
    known = BENCHMARKS.get(benchmark)
    grouping = known.groupings[0] if known and known.groupings else None
    return Voting(order_effects(cast), tuple(voting_curve(cast, grouping)))


@damage_told
def entry(run: Run, ties: str = "wrong") -> Entry:
    keys = tuple(d.key for d in run.manifest.judge.dimensions)
    return _entry(run.file, run.file.stat().st_mtime_ns, run.manifest.benchmark, ties, keys)


@damage_told
def overall(run: Run, ties: str = "wrong") -> Rate:
    """Accuracy over all rows, from the counts of outcomes alone where that is enough: cheap for a run of any size."""
    if ties == "coin":
        frame = _narrow(run.file)
        return rate(frame["outcome"], ties, frame_points(frame, ties))
    with duckdb.connect() as db:
        counts = db.execute(
            "SELECT outcome, count(*) FROM read_parquet(?) GROUP BY 1", [str(run.file)]
        ).fetchall()
    return rate_of_counts(counts, ties)


@damage_told
def outcomes(run: Run) -> pd.DataFrame:
    """row (index), subgroup, cluster, outcome, in the order of rows."""
    return run.table(["row", "subgroup", "cluster", "outcome"]).to_pandas().set_index("row").astype(object)


@lru_cache(maxsize=64)
def _entry(file: Path, version: int, benchmark: str, ties: str, keys: tuple[str, ...]) -> Entry:
    del version  # part of the cache's key
    narrow = _narrow(file)
    known = BENCHMARKS.get(benchmark)
    groupings = known.groupings if known else ()
    if not groupings:
        groupings = (Grouping("as given", {s: s for s in narrow["subgroup"].unique()}),)
    judged = narrow[narrow["margin"].notna()]
    margins = judged["margin"].to_numpy(dtype=float)
    right = (judged["outcome"] == "right").to_numpy()
    dimensions, means = _by_dimension(file, narrow, ties, keys)
    return Entry(
        reports=tuple(report(narrow, g, ties) for g in groupings),
        plus=accuracy_plus(narrow, ties) if known and known.clustered else None,
        controls=_controls(narrow, ties),
        by_dimension=dimensions,
        by_dimension_means=means,
        calibration=calibration(margins, right),
        margins=margins,
        outside=_outside(file),
        criteria=tuple(criteria_of(narrow)) if known and known.criteria else (),
    )


def _outside(file: Path) -> tuple[int, int]:
    if "ood" not in pq.read_schema(file).names:  # a run of release 0.1
        return 0, 0
    with duckdb.connect() as db:
        query = "SELECT count(*) FILTER (ood), count(ood) FROM read_parquet(?)"
        found = db.execute(query, [str(file)]).fetchone()
    return found or (0, 0)


def _narrow(file: Path) -> pd.DataFrame:
    """Everything but texts and vectors: small enough for a million rows."""
    with duckdb.connect() as db:
        frame = db.execute(
            "SELECT row, id, subgroup, cluster, outcome, margin, decisive, preferred, "
            "stored[preferred + 1] AS preferred_stored, length(responses[preferred + 1]) AS preferred_length, "
            "list_max(list_transform(responses, lambda t, i: CASE WHEN i = preferred + 1 THEN -1 ELSE length(t) END)) AS longest_other, "
            "list_min(list_transform(responses, lambda t, i: CASE WHEN i = preferred + 1 THEN NULL ELSE length(t) END)) AS shortest_other "
            "FROM read_parquet(?) ORDER BY row",
            [str(file)],
        ).df()
    return frame.astype({"subgroup": object, "cluster": object, "outcome": object})


def _controls(narrow: pd.DataFrame, ties: str) -> dict[str, Rate]:
    """On every labelled row, judged or not: they need no judge."""
    rows = narrow[narrow["preferred"].notna()]

    def of(right: pd.Series, tied: pd.Series | None = None) -> Rate:
        words = np.where(right, "right", "wrong")
        if tied is not None:
            words = np.where(tied, "tie", words)
        return rate(
            pd.Series(words, dtype=object),
            ties,
            points_of(pd.Series(words, dtype=object), ties, rows["preferred_stored"]),
        )

    length = rows["preferred_length"]
    return {
        "position-1 baseline (display order)": of(rows["preferred"] == 0),
        "position-1 baseline (source order)": of(rows["preferred_stored"] == 0),
        "longer wins": of(length > rows["longest_other"], length == rows["longest_other"]),
        "shorter wins": of(length < rows["shortest_other"], length == rows["shortest_other"]),
    }


def _by_dimension(
    file: Path, narrow: pd.DataFrame, ties: str, keys: tuple[str, ...]
) -> tuple[dict[str, Rate], str]:
    narrow = narrow.assign(points=frame_points(narrow, ties))
    decisive = narrow[narrow["decisive"].notna()]
    if len(decisive):
        there = set(decisive["decisive"])
        named = [d for d in dict.fromkeys((*KEYS, *keys, *sorted(there))) if d in there]
        return {
            d: rate(g["outcome"], ties, g["points"].to_numpy())
            for d in named
            for g in [decisive[decisive["decisive"] == d]]
        }, "records that this dimension decides"
    with duckdb.connect() as db:
        pairs = db.execute("SELECT row, unnest(selected) AS d FROM read_parquet(?)", [str(file)]).df()
    pairs = pairs.merge(narrow[["row", "outcome", "points"]], on="row")
    found = {
        keys[int(d)]: rate(g["outcome"].astype(object), ties, g["points"].to_numpy())
        for d, g in pairs.groupby("d")
    }
    return found, "records for which this dimension was selected"


@damage_told
def _keyed(run: Run) -> pd.Series:
    return run.table(["row", "key", "outcome"]).to_pandas().set_index(["row", "key"])["outcome"]


def sound(runs: dict[str, Run], ties: str = "wrong") -> tuple[dict[str, Run], list[str]]:
    """Those that have an entry, and a sentence for each of the others."""
    good, problems = {}, []
    for name, run in runs.items():
        try:
            entry(run, ties)
            good[name] = run
        except RunError as error:
            problems.append(str(error))
    return good, problems


def paired(a: Run, b: Run) -> Paired:
    """Two runs on the rows that both hold, matched by row and content. Raises RunError."""
    left, right = _keyed(a), _keyed(b)
    common = left.index.intersection(right.index)
    return compare(left.loc[common].astype(object), right.loc[common].astype(object))


def table(runs: list[Run], ties: str = "wrong") -> pd.DataFrame:
    """One row per run: accuracies in percent, interval, denominators."""
    rows = []
    for run in runs:
        e = entry(run, ties)
        first = e.reports[0]
        o = first.overall
        row = {
            "judge": run.name, "overall": _percent(o.value), "95 % from": _percent(o.low), "to": _percent(o.high),
            "macro": _percent(first.macro), **{g: _percent(r.value) for g, r in first.groups.items()},
        }  # fmt: skip
        if e.plus:
            row |= {
                "Acc+": _percent(e.plus.value),
                "Acc+ from": _percent(e.plus.low),
                "Acc+ to": _percent(e.plus.high),
            }
        for c in e.criteria:
            row |= {
                f"{c.split}: {name}": _percent(s.value)
                for name, s in (("PAcc", c.pacc), ("TOS", c.tos), ("CMR", c.cmr))
            }
        if v := voting(run):
            row |= {
                "order consistency": _percent(v.order.consistent.value),
                "first position preferred": _percent(v.order.first.value),
                **{f"Voting@{at.k}": _percent(at.overall.value) for at in v.curve},
            }
        row |= {"rows": sum(o.counts.values()), "in the denominator": o.n, "out of distribution": e.outside[0], "ties": o.counts["tie"],
                "unparsed": o.counts["unparsed"], "missing": o.counts["missing"], "unlabelled": o.counts["unlabelled"],
                "why no macro average": first.refused}  # fmt: skip
        rows.append(row)
    return pd.DataFrame(rows)


def _percent(value: float | None) -> float | None:
    return None if value is None or np.isnan(value) else round(100 * value, 2)

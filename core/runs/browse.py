"""Looking through runs of any size: DuckDB over their Parquet files, nothing held in memory but the page on show.

Every choice a person makes becomes a bound parameter; no text of theirs becomes SQL.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from core.records import Judgement
from core.runs.manifest import RunError
from core.runs.metrics import Rate, rate, rate_of_counts
from core.runs.run import Run, damage_told
from core.runs.schema import SCHEMA, damage_of, judgement_of

PAGE = 25
KEPT = 256  # pages and rows that are remembered, of all runs together
SIMILAR = 14
SORTS = {
    "most confident mistakes": "a.margin ASC NULLS LAST, a.row",
    "smallest margins": "abs(a.margin) ASC NULLS LAST, a.row",
    "most confident and right": "a.margin DESC NULLS LAST, a.row",
    "order of the data": "a.row",
}
OUTCOME_CHOICES = ("mistakes", "right", "ties", "not judged", "everything")
ORDER_CHOICES = {
    "same": "the same response wins in both orders",
    "depends": "the answer depends on the order",
}
VERSUS_CHOICES = ("only this judge is wrong", "only the other is wrong", "both are wrong", "they differ")


@dataclass(frozen=True)
class Filters:
    """What to show of a run. Empty values leave a filter out.

    other: a second run of the same data, and `versus` what to make of it. dimension: key of a selected dimension.
    margin: (low, high) of reward_preferred - best other reward. longer: the preferred response is the "longer" or
    "shorter" one. blank, shuffled: the same judge's runs under these conditions; with `wrong_reason` only rows that
    it gets right with a blank image as well. orders: a key of ORDER_CHOICES, for runs that `knows_orders`.
    """

    outcome: str = "mistakes"
    subgroup: str = ""
    dimension: str = ""
    margin: tuple[float | None, float | None] = (None, None)
    longer: str = ""
    search: str = ""
    other: Run | None = None
    versus: str = ""
    blank: Run | None = None
    wrong_reason: bool = False
    sort: str = "most confident mistakes"
    shuffled: Run | None = None
    orders: str = ""


@dataclass(frozen=True)
class Page:
    """rows: one per record on this page, without images, with the margins of the blank and the shuffled run where there
    are such (margin_blank, margin_shuffled), and choice and order_consistent where the run knows of orders; total: how many pass; slice_rate: accuracy among all that
    pass every filter but `outcome`."""

    rows: pd.DataFrame
    total: int
    slice_rate: Rate


@damage_told
def page(run: Run, filters: Filters, offset: int = 0, limit: int = PAGE) -> Page:
    """Pages are remembered: on a public server most visitors look at the same ones."""
    return _page(run, filters, offset) if limit == PAGE else _looked_up(run, filters, offset, limit)


@lru_cache(maxsize=KEPT)
def _page(run: Run, filters: Filters, offset: int) -> Page:
    return _looked_up(run, filters, offset, PAGE)


def _looked_up(run: Run, filters: Filters, offset: int, limit: int) -> Page:
    where, values = _where(run, filters)
    outcome, outcome_values = _outcome(filters)
    tables, files = _tables(run, filters)
    with duckdb.connect() as db:
        counts = db.execute(
            f"SELECT a.outcome, count(*) n FROM {tables} WHERE {where} GROUP BY 1", [*files, *values]
        ).fetchall()
        total = db.execute(
            f"SELECT count(*) FROM {tables} WHERE {where} AND {outcome}", [*files, *values, *outcome_values]
        ).fetchone()
        # Sort on the narrow columns first; the texts of the page are fetched by row afterwards.
        chosen = db.execute(
            f"SELECT a.row FROM {tables} WHERE {where} AND {outcome} ORDER BY {SORTS[filters.sort]} LIMIT ? OFFSET ?",
            [*files, *values, *outcome_values, limit, offset],
        ).fetchall()
        rows = db.execute(
            "SELECT row, id, subgroup, outcome, margin, prompt, decisive, problem"
            + (", choice, order_consistent" if knows_orders(run) else "")
            + " FROM read_parquet(?) "
            "WHERE row IN (SELECT unnest(?::BIGINT[]))",
            [str(run.file), [r for (r,) in chosen]],
        ).df()
        for name, run_beside in (("margin_blank", filters.blank), ("margin_shuffled", filters.shuffled)):
            if run_beside:
                rows = rows.merge(_margins(db, run_beside, rows["row"].tolist(), name), on="row", how="left")
    rows = rows.set_index("row").loc[[r for (r,) in chosen]].reset_index()
    return Page(rows, int(total[0]) if total else 0, rate_of_counts(counts))


def _margins(db: duckdb.DuckDBPyConnection, run: Run, rows: list[int], name: str) -> pd.DataFrame:
    query = f"SELECT row, margin AS {name} FROM read_parquet(?) WHERE row IN (SELECT unnest(?::BIGINT[]))"
    return db.execute(query, [str(run.file), rows]).df()


def _tables(run: Run, filters: Filters) -> tuple[str, list[str]]:
    tables, files = "read_parquet(?) a", [str(run.file)]
    if filters.other and filters.versus:
        tables += " JOIN read_parquet(?) b ON a.row = b.row AND a.key = b.key"
        files.append(str(filters.other.file))
    if filters.blank and filters.wrong_reason:
        tables += " JOIN read_parquet(?) c ON a.row = c.row AND a.key = c.key"
        files.append(str(filters.blank.file))
    return tables, files


def _where(run: Run, filters: Filters) -> tuple[str, list[Any]]:
    parts: list[str] = ["true"]
    values: list[Any] = []

    def add(sql: str, *bound: Any) -> None:
        parts.append(sql)
        values.extend(bound)

    if filters.subgroup:
        add("a.subgroup = ?", filters.subgroup)
    if filters.dimension:
        add("list_contains(a.selected, ?)", _place(run, filters.dimension))
    if filters.orders:
        add("a.order_consistent = ?", filters.orders == "same")
    low, high = filters.margin
    if low is not None:
        add("a.margin >= ?", low)
    if high is not None:
        add("a.margin <= ?", high)
    if filters.longer:
        preferred = "length(a.responses[a.preferred + 1])"
        longest_other = "list_max(list_transform(a.responses, lambda t, i: CASE WHEN i = a.preferred + 1 THEN -1 ELSE length(t) END))"
        add(
            f"a.preferred IS NOT NULL AND {preferred} {'>' if filters.longer == 'longer' else '<'} {longest_other}"
        )
    if filters.search:
        add("(contains(lower(a.prompt), ?) OR contains(lower(array_to_string(a.responses, chr(10))), ?) OR lower(a.id) = ?)",
            *[filters.search.lower()] * 3)  # fmt: skip
    if filters.other and filters.versus:
        right = ("a.outcome = 'right'", "b.outcome = 'right'")
        add("a.outcome IN ('right','wrong','tie') AND b.outcome IN ('right','wrong','tie')")
        add({
            VERSUS_CHOICES[0]: f"NOT {right[0]} AND {right[1]}",
            VERSUS_CHOICES[1]: f"{right[0]} AND NOT {right[1]}",
            VERSUS_CHOICES[2]: f"NOT {right[0]} AND NOT {right[1]}",
            VERSUS_CHOICES[3]: f"({right[0]}) <> ({right[1]})",
        }[filters.versus])  # fmt: skip
    if filters.blank and filters.wrong_reason:
        add("a.outcome = 'right' AND c.outcome = 'right'")
    return " AND ".join(parts), values


def _place(run: Run, dimension: str) -> int:
    """Where the run's judge has this dimension; -1, which no row has selected, where it has it not."""
    keys = [d.key for d in run.manifest.judge.dimensions]
    return keys.index(dimension) if dimension in keys else -1


def _outcome(filters: Filters) -> tuple[str, list[Any]]:
    chosen = {
        "mistakes": ["wrong", "tie", "unparsed"], "right": ["right"], "ties": ["tie"],
        "not judged": ["missing", "unlabelled"], "everything": None,
    }[filters.outcome]  # fmt: skip
    if chosen is None or filters.versus or filters.wrong_reason:  # those say themselves who is right
        return "true", []
    return "list_contains(?::VARCHAR[], a.outcome)", [chosen]


@damage_told
def record(run: Run, row: int) -> dict[str, Any] | None:
    """One stored row with everything; None if there is none."""
    found = _record(run, row)
    if found and (damage := damage_of(found)):
        raise RunError(f"Row {row} of this run is damaged: {damage}.")
    return dict(found) if found else None


@lru_cache(maxsize=KEPT)
def _record(run: Run, row: int) -> dict[str, Any] | None:
    with duckdb.connect() as db:
        query = "SELECT * FROM read_parquet(?) WHERE row = ?"
        found = db.sql(query, params=[str(run.file), row]).to_arrow_table()
    rows = found.to_pylist()
    return {**dict.fromkeys(SCHEMA.names), **rows[0]} if rows else None


@damage_told
def judgement(run: Run, row: int) -> Judgement | None:
    stored = record(run, row)
    return judgement_of(stored, run.manifest) if stored and stored["rewards"] else None


@damage_told
@lru_cache(maxsize=KEPT)
def knows_orders(run: Run) -> bool:
    """Whether its judge was asked in both orders, and which won in each is kept."""
    writes = run.manifest.judge.kind in ("generative", "remote")
    return writes and "order_consistent" in pq.read_schema(run.file).names


@damage_told
@lru_cache(maxsize=KEPT)
def subgroups(run: Run) -> list[str]:
    with duckdb.connect() as db:
        found = db.execute(
            "SELECT DISTINCT subgroup FROM read_parquet(?) ORDER BY 1", [str(run.file)]
        ).fetchall()
    return [s for (s,) in found if s]


# -- failures that look alike ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Similar:
    """rows: (row, distance) of the nearest mistakes by contribution vector; same_dimensions: accuracy among all rows
    with the same selected dimensions."""

    rows: tuple[tuple[int, float], ...]
    same_dimensions: Rate


@damage_told
def similar(run: Run, row: int, n: int = SIMILAR) -> Similar | None:
    """None where the run has no dimensions or the row was not judged."""
    dimensions = len(run.manifest.judge.dimensions)
    if not dimensions:
        return None
    vectors, rows, outcomes, chosen = _contributions(run.file, run.file.stat().st_mtime_ns, dimensions)
    place = np.flatnonzero(rows == row)
    if not len(place) or not chosen[place[0]].any():
        return None
    i = int(place[0])
    wrong = (outcomes != "right") & (rows != row)
    distances = np.linalg.norm(vectors[wrong] - vectors[i], axis=1)
    nearest = np.argsort(distances, kind="stable")[:n]
    alike = (chosen == chosen[i]).all(axis=1)
    found = rate(pd.Series(outcomes[alike], dtype=object))
    return Similar(tuple((int(rows[wrong][j]), float(distances[j])) for j in nearest), found)


@lru_cache(maxsize=2)
def _contributions(
    file: Path, version: int, dimensions: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """(rows, D) contributions of the preferred response over the best other one, of all judged rows; their row
    numbers, outcomes and selected dimensions. Zero where a dimension was not selected."""
    del version  # part of the cache's key: a run made anew is read anew
    parts = []
    for batch in pq.ParquetFile(file).iter_batches(
        65_536, columns=["row", "outcome", "preferred", "rewards", "weights", "scores", "selected"]
    ):
        parts.append(_contributions_of(batch.to_pandas(), dimensions))
    vectors, rows, outcomes, chosen = (np.concatenate(p) for p in zip(*parts, strict=True))
    return vectors, rows, outcomes, chosen


def _contributions_of(
    frame: pd.DataFrame, dimensions: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    able = (frame["weights"].map(len) == dimensions) & frame["preferred"].notna()
    frame = frame[able]
    n = len(frame)
    vectors = np.zeros((n, dimensions), dtype=np.float32)
    chosen = np.zeros((n, dimensions), dtype=bool)
    columns = zip(
        frame["preferred"],
        frame["rewards"],
        frame["weights"],
        frame["scores"],
        frame["selected"],
        strict=True,
    )
    for i, (preferred, rewards, weights, scores, selected) in enumerate(columns):
        p = int(preferred)
        table = np.asarray(scores).reshape(len(rewards), dimensions)
        best = max((r, j) for j, r in enumerate(rewards) if j != p)[1]
        vectors[i] = np.asarray(weights) * (table[p] - table[best])
        chosen[i, np.asarray(selected, dtype=int)] = True
    return vectors, frame["row"].to_numpy(), frame["outcome"].to_numpy(dtype=object), chosen

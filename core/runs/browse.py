"""Looking through runs of any size: DuckDB over their Parquet files, nothing held in memory but the page on show.

Every choice a person makes becomes a bound parameter; no text of theirs becomes SQL.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.records import Judgement
from core.runs.manifest import RunError
from core.runs.metrics import OUTCOMES, Rate, rate_of_counts
from core.runs.run import Run, damage_told
from core.runs.said import contradictions
from core.runs.schema import SCHEMA, damage_of, judgement_of
from core.runs.texts import search

log = logging.getLogger(__name__)

PAGE = 25
KEPT = 256  # pages and rows that are remembered, of all runs together
SIMILAR = 14
SORTS = {  # by rising values, those without one last; then by row
    "most confident mistakes": "a.margin",
    "smallest margins": "abs(a.margin)",
    "most confident and right": "-a.margin",
    "order of the data": "a.row",
}
OUTCOME_CHOICES = ("mistakes", "right", "ties", "not judged", "everything")
# By index; none without rewards or where two are the highest.
FAVOURITE = "CASE WHEN len(list_filter(rewards, lambda r: r = list_max(rewards))) = 1 THEN list_position(rewards, list_max(rewards)) - 1 END"
ORDER_CHOICES = {
    "same": "the same response wins in both orders",
    "depends": "the answer depends on the order",
}
VERSUS_CHOICES = (
    "only this judge is wrong", "only the other is wrong", "both are wrong", "they differ", "both are right",
)  # fmt: skip
QUADRANTS = tuple(VERSUS_CHOICES[i] for i in (4, 1, 0, 2))  # as Crosstab counts them
BOTH_JUDGED = "a.outcome IN ('right','wrong','tie') AND b.outcome IN ('right','wrong','tie')"


@dataclass(frozen=True)
class Filters:
    """What to show of a run. Empty values leave a filter out.

    other: a second run of the same data, and `versus` what to make of it. dimension: key of a selected dimension.
    margin: (low, high) of reward_preferred - best other reward. longer: the preferred response is the "longer" or
    "shorter" one. blank, shuffled: the same judge's runs under these conditions; with `wrong_reason` only rows that
    it gets right with a blank image as well. orders: a key of ORDER_CHOICES, for runs that `knows_orders`. said: one of
    SAID_CHOICES, for runs that `states_choices`.
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
    said: str = ""


@dataclass(frozen=True)
class Page:
    """rows: one per record on this page, without images, with preferred (by the label) and favourite (of the judge; neither where
    there is none), the margins of the blank and the shuffled run where there are such (margin_blank, margin_shuffled), and choice
    and order_consistent where the run knows of orders; total: how many pass; slice_rate: accuracy among all that pass every filter
    but `outcome`."""

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
    found = search(run.file, filters.search.lower()) if filters.search else None
    try:
        return _listed(run, filters, offset, limit, found)
    except LookupError:
        if found is None:
            raise
        log.warning("%s names rows that its run has not: the search reads the run itself.", run.folder.name)
        return _listed(run, filters, offset, limit, None)


def _listed(run: Run, filters: Filters, offset: int, limit: int, found: pa.Table | None) -> Page:
    """found: what the side file of texts says of a search; None where the run itself is to be searched."""
    wanted = _outcomes(filters)
    with duckdb.connect() as db:
        hits, values = _hits(db, run, filters, found)
        counts = db.execute(f"SELECT outcome, count(*) FROM {hits} GROUP BY 1", values).fetchall()
        total = sum(n for outcome, n in counts if wanted is None or outcome in wanted)
        # The texts of the page are fetched by row afterwards, and only so many rows are ever sorted.
        outcome = "true" if wanted is None else "list_contains(?::VARCHAR[], a.outcome)"
        chosen = db.execute(
            f"SELECT a.row FROM {hits} a WHERE {outcome} ORDER BY {SORTS[filters.sort]} NULLS LAST, a.row LIMIT ? OFFSET ?",
            [*values, *([] if wanted is None else [wanted]), limit, offset],
        ).fetchall()
        rows = _rows(db, run, [r for (r,) in chosen])
        for name, run_beside in (("margin_blank", filters.blank), ("margin_shuffled", filters.shuffled)):
            if run_beside:
                rows = rows.merge(_margins(db, run_beside, rows["row"].tolist(), name), on="row", how="left")
    rows = rows.set_index("row").loc[[r for (r,) in chosen]].reset_index()
    return Page(rows, total, rate_of_counts(counts))


def _hits(
    db: duckdb.DuckDBPyConnection, run: Run, filters: Filters, found: pa.Table | None
) -> tuple[str, list[Any]]:
    """SQL that stands for a table of row, outcome and margin of all rows that pass every filter but `outcome`, and its bound values.

    Numbers are read anew each time, which takes a tenth of a second for a million rows. What takes longer, texts and second runs,
    is read once into a table of what passes.
    """
    others = replace(filters, search="") if found is not None else filters
    where, values = _conditions(db, run, others, found)
    if found is not None and not where:  # the side file has all that is needed
        return "found", []
    tables, files = _tables(run, others)
    query = f"SELECT a.row, a.outcome, a.margin FROM {tables} WHERE {_all(where, found)}"
    bound = [*files, *values]
    if not (filters.search or filters.longer or len(files) > 1):
        return f"({query})", bound
    db.execute(f"CREATE TEMP TABLE hits AS {query}", bound)
    return "hits", []


def _conditions(
    db: duckdb.DuckDBPyConnection, run: Run, filters: Filters, found: pa.Table | None
) -> tuple[list[str], list[Any]]:
    """What `filters` ask of a row, each as SQL, and the bound values; `found` becomes a table that can be asked."""
    where, values = _where(run, filters)
    if filters.said:
        db.register("said", pa.table({"row": contradictions(run)[filters.said]}))
        where.append("a.row IN (SELECT row FROM said)")
    if found is not None:
        db.register("found", found)
    return where, values


def _all(where: list[str], found: pa.Table | None) -> str:
    return (
        " AND ".join([*where, *(["a.row IN (SELECT row FROM found)"] if found is not None else [])]) or "true"
    )


@damage_told
@lru_cache(maxsize=KEPT)
def page_of(run: Run, filters: Filters, row: int) -> int | None:
    """The number of the page of PAGE rows on which a row stands; None where it does not pass."""
    found = search(run.file, filters.search.lower()) if filters.search else None
    wanted, key = _outcomes(filters), SORTS[filters.sort]
    with duckdb.connect() as db:
        hits, values = _hits(db, run, filters, found)
        outcome = "true" if wanted is None else "list_contains(?::VARCHAR[], a.outcome)"
        query = (
            f"WITH listed AS (SELECT a.row, {key} AS key FROM {hits} a WHERE {outcome}), one AS (SELECT * FROM listed WHERE row = ?) "
            "SELECT count(*) FILTER (a.row = one.row), count(*) FILTER (a.key < one.key OR (a.key IS NOT NULL AND one.key IS NULL) "
            "OR (a.key IS NOT DISTINCT FROM one.key AND a.row < one.row)) FROM listed a, one"
        )
        there, before = db.execute(query, [*values, *([] if wanted is None else [wanted]), row]).fetchall()[0]
    return before // PAGE if there else None


@dataclass(frozen=True)
class Crosstab:
    """How many records that pass the filters, and that both judges judged, each gets right: a tie is not right."""

    both_right: int
    only_this: int
    only_other: int
    neither: int

    def cells(self) -> dict[str, int]:
        """By the name of the filter that shows them."""
        return dict(
            zip(QUADRANTS, (self.both_right, self.only_this, self.only_other, self.neither), strict=True)
        )


@damage_told
def crosstab(run: Run, filters: Filters) -> Crosstab | None:
    """Of this run and `filters.other`, whatever `outcome` and `versus` are. None without another run."""
    plain = replace(filters, outcome="everything", versus="", sort="order of the data")
    return _crosstab(run, plain) if filters.other else None


@lru_cache(maxsize=KEPT)
def _crosstab(run: Run, filters: Filters) -> Crosstab:
    assert filters.other
    found = search(run.file, filters.search.lower()) if filters.search else None
    others = replace(filters, search="") if found is not None else filters
    with duckdb.connect() as db:
        where, values = _conditions(db, run, others, found)
        tables, files = _tables(run, replace(others, versus=VERSUS_CHOICES[0]))
        rows = db.execute(
            f"SELECT a.outcome = 'right', b.outcome = 'right', count(*) FROM {tables} "
            f"WHERE {BOTH_JUDGED} AND {_all(where, found)} GROUP BY 1, 2",
            [*files, *values],
        ).fetchall()
    counts = {(mine, theirs): n for mine, theirs, n in rows}
    return Crosstab(
        *(counts.get(pair, 0) for pair in ((True, True), (True, False), (False, True), (False, False)))
    )


def _rows(db: duckdb.DuckDBPyConnection, run: Run, rows: list[int]) -> pd.DataFrame:
    more = ", choice, order_consistent" if knows_orders(run) else ""
    query = (
        f"SELECT row, id, subgroup, outcome, margin, preferred, {FAVOURITE} AS favourite, prompt, decisive, problem{more} "
        "FROM read_parquet(?) WHERE row IN (SELECT unnest(?::BIGINT[]))"
    )
    return db.execute(query, [str(run.file), rows]).df()


def _margins(db: duckdb.DuckDBPyConnection, run: Run, rows: list[int], name: str) -> pd.DataFrame:
    query = f"SELECT row, margin AS {name} FROM read_parquet(?) WHERE row IN (SELECT unnest(?::BIGINT[]))"
    return db.execute(query, [str(run.file), rows]).df()


def _tables(run: Run, filters: Filters) -> tuple[str, list[str]]:
    tables, files = "read_parquet(?) a", [str(run.file)]
    for name, other in (
        ("b", filters.other if filters.versus else None),
        ("c", filters.blank if filters.wrong_reason else None),
    ):
        if other:
            key = "" if _same_data(run, other) else f" AND a.key = {name}.key"
            tables += f" JOIN read_parquet(?) {name} ON a.row = {name}.row{key}"
            files.append(str(other.file))
    return tables, files


def _same_data(run: Run, other: Run) -> bool:
    """Whether a row's number says which record it is in both: the digest is of all keys and labels, in the order of rows."""
    mine, theirs = (r.manifest.stats.get("data_hash") for r in (run, other))
    return bool(mine) and mine == theirs


def _where(run: Run, filters: Filters) -> tuple[list[str], list[Any]]:
    parts: list[str] = []
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
        add(BOTH_JUDGED)
        add({
            VERSUS_CHOICES[0]: f"NOT {right[0]} AND {right[1]}",
            VERSUS_CHOICES[1]: f"{right[0]} AND NOT {right[1]}",
            VERSUS_CHOICES[2]: f"NOT {right[0]} AND NOT {right[1]}",
            VERSUS_CHOICES[3]: f"({right[0]}) <> ({right[1]})",
            VERSUS_CHOICES[4]: f"{right[0]} AND {right[1]}",
        }[filters.versus])  # fmt: skip
    if filters.blank and filters.wrong_reason:
        add("a.outcome = 'right' AND c.outcome = 'right'")
    return parts, values


def _place(run: Run, dimension: str) -> int:
    """Where the run's judge has this dimension; -1, which no row has selected, where it has it not."""
    keys = [d.key for d in run.manifest.judge.dimensions]
    return keys.index(dimension) if dimension in keys else -1


def _outcomes(filters: Filters) -> list[str] | None:
    """Those to be shown; None for all."""
    if filters.versus or filters.wrong_reason or filters.said:  # those say themselves who is right
        return None
    return {
        "mistakes": ["wrong", "tie", "unparsed"], "right": ["right"], "ties": ["tie"],
        "not judged": ["missing", "unlabelled"], "everything": None,
    }[filters.outcome]  # fmt: skip


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
    known = _contributions(run.file, run.file.stat().st_mtime_ns, dimensions)
    place = np.flatnonzero(known.rows == row)
    if not len(place) or not known.chosen[place[0]].any():
        return None
    i = int(place[0])
    wrong = known.wrong[known.rows[known.wrong] != row]
    distances = np.linalg.norm(known.vectors[wrong] - known.vectors[i], axis=1)
    nearest = _smallest(distances, n)
    alike = (known.chosen == known.chosen[i]).all(axis=1)
    counts = np.bincount(known.outcomes[alike], minlength=len(OUTCOMES)).tolist()
    return Similar(
        tuple((int(known.rows[wrong[j]]), float(distances[j])) for j in nearest),
        rate_of_counts(list(zip(OUTCOMES, counts, strict=True))),
    )


def _smallest(values: np.ndarray, n: int) -> np.ndarray:
    """Places of the n smallest, the first of equal ones first, without sorting the rest."""
    near = (
        np.flatnonzero(values <= np.partition(values, n - 1)[n - 1])
        if len(values) > n
        else np.arange(len(values))
    )
    found: np.ndarray = near[np.argsort(values[near], kind="stable")][:n]
    return found


@dataclass(frozen=True)
class Contributions:
    """Of all N judged rows: vectors (N, D), contributions of the preferred response over the best other one, 0 where a dimension
    was not selected; rows (N,), their numbers; outcomes (N,), places in OUTCOMES; chosen (N, ceil(D / 8)), the selected dimensions
    as bits; wrong: places of the rows that are not right."""

    vectors: np.ndarray
    rows: np.ndarray
    outcomes: np.ndarray
    chosen: np.ndarray
    wrong: np.ndarray


@lru_cache(maxsize=2)
def _contributions(file: Path, version: int, dimensions: int) -> Contributions:
    del version  # part of the cache's key: a run made anew is read anew
    columns = ["row", "outcome", "preferred", "rewards", "weights", "scores", "selected"]
    batches = pq.ParquetFile(file).iter_batches(65_536, columns=columns)
    parts = [_contributions_of(batch, dimensions) for batch in batches]
    vectors, rows, outcomes, chosen = (np.concatenate(p) for p in zip(*parts, strict=True))
    return Contributions(vectors, rows, outcomes, chosen, np.flatnonzero(outcomes != OUTCOMES.index("right")))


def _contributions_of(
    batch: pa.RecordBatch, dimensions: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    whole = pc.equal(pc.list_value_length(batch["weights"]), dimensions)
    able = batch.filter(pc.and_(whole, pc.is_valid(batch["preferred"])))
    n = len(able)
    vectors = np.zeros((n, dimensions), dtype=np.float32)
    responses = pc.list_value_length(able["rewards"]).to_numpy(zero_copy_only=False)
    for count in np.unique(responses).tolist():  # rows of as many responses at once
        at = np.flatnonzero(responses == count)
        some = able.take(at)
        m = len(at)
        rewards = _flat(some["rewards"]).reshape(m, count)
        scores = _flat(some["scores"]).reshape(m, count, dimensions)
        preferred = some["preferred"].to_numpy(zero_copy_only=False).astype(int)
        others = np.where(np.arange(count) == preferred[:, None], -np.inf, rewards)
        best = count - 1 - np.argmax(others[:, ::-1], axis=1)  # the last of equal ones
        each = np.arange(m)
        weights = _flat(some["weights"]).reshape(m, dimensions)
        vectors[at] = weights * (scores[each, preferred] - scores[each, best])
    chosen = np.zeros((n, dimensions), dtype=bool)
    lengths = pc.list_value_length(able["selected"]).to_numpy(zero_copy_only=False)
    chosen[np.repeat(np.arange(n), lengths), _flat(able["selected"])] = True
    outcomes = pc.fill_null(
        pc.index_in(able["outcome"], pa.array(OUTCOMES)), OUTCOMES.index("missing")
    ).to_numpy()
    return vectors, able["row"].to_numpy(), outcomes.astype(np.int8), np.packbits(chosen, axis=1)


def _flat(column: pa.Array) -> np.ndarray:
    found: np.ndarray = column.flatten().to_numpy(zero_copy_only=False)
    return found

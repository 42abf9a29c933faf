"""Comparisons ranked by how likely their label is wrong.

Three kinds of evidence, from runs of the same data:
0  labels that contradict each other (contradictions.py),
1  repeated ids and repeated rows,
2  judges that prefer another response (probability.py, which also says why this is not cleanlab).
A lower number comes first whatever the judges say; inside one, the probability decides. An image-blind run takes part as
one more judge. Runs with exchanged pictures are controls and take no part.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from itertools import islice

import duckdb
import numpy as np
import pandas as pd

from core.benchmarks import BENCHMARKS
from core.label_errors.contradictions import Kin, kin
from core.label_errors.issue import CONTRADICTION, JUDGED, REPEATED, LabelIssue
from core.label_errors.probability import blame, doubt
from core.label_errors.reasons import (
    SHOWN,
    Opinion,
    Reason,
    Repeat,
    judge_reasons,
    kin_reasons,
    repeat_reason,
)
from core.records import Condition
from core.runs.manifest import RunError
from core.runs.run import Run

ORDERS = {
    "likely errors": "most likely wrong first",
    "random": "at random, to estimate how many labels are wrong",
}


def label_issues(runs: Sequence[Run], order: str = "likely errors", seed: int = 0) -> list[LabelIssue]:
    """Every readable, labelled row of the data once, ranked.

    "likely errors": by tier; contradictory rows stand together, groups with more labels expected to be wrong first; then
    by falling `wrong`, unknown ones last, then by row. "random": a permutation by `seed`, without reasons.
    Raises core.runs.RunError where the runs are not of the same data or are nothing but controls.
    """
    if order not in ORDERS:
        raise ValueError(f"there is no order {order}; use one of {', '.join(ORDERS)}")
    used = _same_data(runs)
    frame = _labelled(used)
    related = [] if _built_in(used[0]) else kin(frame, _clustered(used[0]))
    margins = np.stack([_margins(run, frame) for run in used], axis=1)
    outside = np.stack([_outside(run, used, frame) for run in used], axis=1)
    margins[outside] = np.nan  # what a judge says of a picture that it was not made for is no evidence
    opposed = [k for k in related if k.opposed]
    alone, weights = doubt(margins, _clusters(frame, opposed))
    wrong = _posterior(frame, alone, opposed)
    repeats = _repeats(used[0], frame)
    tier = np.full(len(frame), JUDGED)
    tier[_places(frame, repeats)] = REPEATED
    tier[_places(frame, {r for k in opposed for r in (k.a, k.b)})] = CONTRADICTION
    if order == "random":
        places = np.random.default_rng(seed).permutation(len(frame))
        reasons: list[tuple[Reason, ...]] = [()] * len(frame)
    else:
        places = _ranked(frame, tier, wrong, opposed)
        reasons = _reasons(used, frame, margins, outside, weights, wrong, related, repeats)
    rows = frame["row"].tolist()
    known = [None if np.isnan(p) else float(p) for p in wrong]
    return [LabelIssue(rows[i], known[i], reasons[i], int(tier[i])) for i in places]


def _same_data(runs: Sequence[Run]) -> list[Run]:
    """The runs with their own pictures. Raises RunError."""
    used = [r for r in runs if r.manifest.condition is not Condition.SHUFFLED]
    if not used:
        raise RunError("There is no run to rank by: give at least one with the pictures as given.")
    first, names = used[0], ["row", "key", "preferred"]
    there = first.table(names).sort_by("row")
    for other in used[1:]:
        for what, a, b in (
            ("benchmark", first.manifest.benchmark, other.manifest.benchmark),
            ("data hash", *(r.manifest.stats.get("data_hash") or "" for r in (first, other))),
        ):
            if a != b and a and b:
                raise RunError(
                    f"{first.folder.name} and {other.folder.name} are not of the same data: the {what} is {a} in one "
                    f"and {b} in the other."
                )
        if not there.equals(other.table(names).sort_by("row")):
            raise RunError(
                f"{first.folder.name} and {other.folder.name} are not of the same data: their rows or labels differ."
            )
    return used


def _labelled(used: list[Run]) -> pd.DataFrame:
    """The labelled rows in their order; picture: hash of the stored one, "" where there is none."""
    columns = ["row", "key", "id", "cluster", "prompt", "responses", "preferred"]
    frame = used[0].table(columns).sort_by("row").to_pandas()
    frame = frame[frame["preferred"].notna() & (frame["responses"].map(len) > 1)].reset_index(drop=True)
    stored = _pictures(used)
    pictures = [stored.get(row, "") for row in frame["row"]]
    return frame.assign(
        preferred=frame["preferred"].astype(int), responses=frame["responses"].map(list), picture=pictures
    )


def _margins(run: Run, frame: pd.DataFrame) -> np.ndarray:
    if run.manifest.judge.kind == "rule":  # such as "longer wins": it never accuses a label
        return np.full(len(frame), np.nan)
    margin = run.table(["row", "margin"]).to_pandas().set_index("row")["margin"]
    return margin.reindex(frame["row"]).to_numpy(dtype=float, na_value=np.nan)


def _outside(run: Run, used: list[Run], frame: pd.DataFrame) -> np.ndarray:
    """(rows,) whether the record's picture is out of distribution for the judge; False where that was not measured. A blank
    image says nothing of the record's picture: there the same judge's run as given is asked."""
    if run.manifest.condition is Condition.BLANK:
        same = (
            r
            for r in used
            if r.manifest.judge == run.manifest.judge and r.manifest.condition is Condition.AS_GIVEN
        )
        given = next(same, None)
        if given is None:
            return np.zeros(len(frame), dtype=bool)
        run = given
    table = run.table(["row", "ood"])
    known = dict(zip(table["row"].to_pylist(), table["ood"].to_pylist(), strict=True))
    return np.array([bool(known.get(row)) for row in frame["row"]], dtype=bool)


def _built_in(run: Run) -> bool:
    """Whether the project draws the pictures itself: then each row has its own, and nothing is stored of it."""
    known = BENCHMARKS.get(run.manifest.benchmark)
    return bool(known and known.built_in)


def _clustered(run: Run) -> bool:
    known = BENCHMARKS.get(run.manifest.benchmark)
    return bool(known and known.clustered)


def _pictures(used: list[Run]) -> dict[int, str]:
    """row -> hash of the stored picture, from the first run that stores any."""
    for run in used:
        with duckdb.connect() as db:
            query = 'SELECT "row", md5(image) FROM read_parquet(?) WHERE octet_length(image) > 0'
            if found := db.execute(query, [str(run.file)]).fetchall():
                return dict(found)
    return {}


def _repeats(run: Run, frame: pd.DataFrame) -> dict[int, list[Repeat]]:
    """row -> how it is repeated. As core.benchmarks.findings, but for one thing: rows of one id whose pictures are known
    to differ are different questions (a file without ids is given them by its texts alone)."""
    out: dict[int, list[Repeat]] = defaultdict(list)
    if _built_in(run):
        return out
    label = [r[p] for r, p in zip(frame["responses"], frame["preferred"], strict=True)]
    names = [("row", list(zip(frame["key"], label, strict=True)))]
    if not _clustered(run):
        names.insert(0, ("id", frame["id"].tolist()))
    for kind, name in names:
        seen: dict[object, list[tuple[int, str]]] = defaultdict(list)
        for key, row, picture in zip(name, frame["row"].tolist(), frame["picture"], strict=True):
            seen[key].append((row, picture))
        for same in seen.values():
            for row, picture in same if len(same) > 1 else ():
                others = (r for r, p in same if r != row and (not p or not picture or p == picture))
                if named := tuple(islice(others, SHOWN + 1)):
                    out[row].append(Repeat(kind, named))
    return out


def _clusters(frame: pd.DataFrame, opposed: list[Kin]) -> np.ndarray:
    """(rows,) numbers: rows that share an id, a cluster, a key or all of their texts have one number, also by way of
    others. Twins share their texts, copies their key."""
    place = dict(zip(frame["row"], range(len(frame)), strict=True))
    texts = [(p, *sorted(r)) for p, r in zip(frame["prompt"], frame["responses"], strict=True)]
    ends = [(place[k.a], place[k.b]) for k in opposed]
    for names in (frame["id"].tolist(), frame["cluster"].tolist(), frame["key"].tolist(), texts):
        first: dict[object, int] = {}
        ends += [(i, first.setdefault(name, i)) for i, name in enumerate(names) if name]
    from scipy.sparse import coo_array  # slow to load
    from scipy.sparse.csgraph import connected_components

    a, b = np.array(ends, dtype=int).reshape(-1, 2).T
    graph = coo_array((np.ones(len(a), dtype=bool), (a, b)), shape=(len(frame), len(frame)))
    return connected_components(graph, directed=False)[1]


def _posterior(frame: pd.DataFrame, alone: np.ndarray, opposed: list[Kin]) -> np.ndarray:
    """`alone`, with contradictory rows set against each other; of several contradictions the worst one counts."""
    place = dict(zip(frame["row"], range(len(frame)), strict=True))
    found: dict[int, float] = {}
    for k in opposed:
        a, b = place[k.a], place[k.b]
        first = blame(float(alone[a]), float(alone[b]), k.certain)
        found[a], found[b] = max(found.get(a, 0.0), first), max(found.get(b, 0.0), 1 - first)
    wrong = alone.copy()
    wrong[list(found)] = list(found.values())
    return wrong


def _places(frame: pd.DataFrame, rows: object) -> np.ndarray:
    return frame["row"].isin(list(rows)).to_numpy()  # type: ignore[call-overload]


def _ranked(frame: pd.DataFrame, tier: np.ndarray, wrong: np.ndarray, opposed: list[Kin]) -> np.ndarray:
    """Places in order. A group's evidence is the number of wrong labels to be expected in it."""
    place = dict(zip(frame["row"], range(len(frame)), strict=True))
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = np.array([(place[k.a], place[k.b]) for k in opposed], dtype=int).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), dtype=bool), tuple(ends.T)), shape=(len(frame), len(frame)))
    _, group = connected_components(graph, directed=False)
    doubts = pd.Series(np.where(np.isnan(wrong), -1.0, wrong))
    apart = tier != CONTRADICTION
    order = pd.DataFrame({
        "tier": tier,
        # rounded: sums of the same numbers in another order must not decide
        "total": -np.where(apart, 0.0, doubts.groupby(group).transform("sum").round(9)),
        "worst": -np.where(apart, 0.0, doubts.groupby(group).transform("max").round(9)),
        "group": np.where(apart, 0, group), "wrong": -doubts, "row": frame["row"],
    })  # fmt: skip
    return order.sort_values(list(order.columns), kind="stable").index.to_numpy()


def _reasons(
    used: list[Run], frame: pd.DataFrame, margins: np.ndarray, outside: np.ndarray, weights: np.ndarray, wrong: np.ndarray,
    related: list[Kin], repeats: dict[int, list[Repeat]],
) -> list[tuple[Reason, ...]]:  # fmt: skip
    by_row: dict[int, list[Kin]] = defaultdict(list)
    for k in related:
        by_row[k.a].append(k)
        by_row[k.b].append(k)
    choices = [_choices(run, frame) for run in used]
    out = []
    judges = [(run.manifest.judge.name, run.manifest.condition is Condition.BLANK) for run in used]
    for i, row in enumerate(frame["row"].tolist()):
        blamed = None if np.isnan(margins[i]).all() else float(wrong[i])
        said = [
            Opinion(
                name,
                blank,
                float(margins[i, j]),
                choices[j][i],
                bool(weights[i, j] > 0),
            )
            for j, (name, blank) in enumerate(judges)
            if np.isfinite(margins[i, j])
        ]
        out.append((
            *kin_reasons(row, by_row.get(row, []), blamed),
            *map(repeat_reason, repeats.get(row, [])),
            *judge_reasons(said, blamed is None, [name for j, (name, blank) in enumerate(judges) if outside[i, j] and not blank]),
        ))  # fmt: skip
    return out


def _choices(run: Run, frame: pd.DataFrame) -> list[int | None]:
    """Per row the response with the judge's highest reward, None without rewards."""
    table = run.table(["row", "rewards"])
    best = {
        row: max(range(len(rewards)), key=rewards.__getitem__) if rewards else None
        for row, rewards in zip(table["row"].to_pylist(), table["rewards"].to_pylist(), strict=True)
    }
    return [best[row] for row in frame["row"]]

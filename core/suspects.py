"""Comparisons ranked by how likely their label is wrong: `python -m core.suspects --run FOLDER [--run FOLDER ...]`.

Three kinds of evidence, from runs of the same data:
0  labels that contradict each other (core/contradictions.py),
1  repeated ids and repeated rows, as core.benchmarks.findings defines them,
2  judges that prefer another response (core/label_odds.py, which also says why this is not cleanlab).
A lower number comes first whatever the judges say; inside one, the probability decides. An image-blind run takes part as
one more judge. Runs with exchanged pictures are controls and take no part.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from core.benchmarks import BENCHMARKS
from core.benchmarks.findings import findings
from core.contradictions import Kin, kin
from core.label_odds import blame, doubt
from core.oddities import odd_rows
from core.runs import Run, RunError, open_run
from core.suspect_report import report
from core.suspect_words import Opinion, judge_reasons, kin_reasons, repeat_reason

ORDERS = {
    "suspicion": "most likely wrong first",
    "random": "at random, to estimate how many labels are wrong",
}
CONTRADICTION, REPEATED, JUDGED = 0, 1, 2  # tiers
BLIND = ", blind"  # how the name of an image-blind judge ends (core.judges.blind)


@dataclass(frozen=True)
class Suspect:
    """One labelled comparison.

    row: the run's row number. wrong: estimated probability that the label is wrong, None where no judge saw the row and
    nothing contradicts it. reasons: plain sentences. tier: 0 contradicts another row, 1 repeated, 2 neither.
    """

    row: int
    wrong: float | None
    reasons: tuple[str, ...]
    tier: int


def suspects(runs: Sequence[Run], order: str = "suspicion", seed: int = 0) -> list[Suspect]:
    """Every readable, labelled row of the data once, ranked.

    "suspicion": by tier; contradictory rows stand together, groups with more labels expected to be wrong first; then
    by falling `wrong`, unknown ones last, then by row. "random": a permutation by `seed`, without reasons.
    Raises core.runs.RunError where the runs are not of the same data or are nothing but controls.
    """
    if order not in ORDERS:
        raise ValueError(f"no such order: {order}; use one of {', '.join(ORDERS)}")
    used = _same_data(runs)
    frame = _labelled(used)
    related = [] if _built_in(used[0]) else kin(frame, _clustered(used[0]))
    margins = np.stack([_margins(run, frame) for run in used], axis=1)
    opposed = [k for k in related if k.opposed]
    alone, weights = doubt(margins, _clusters(frame, opposed))
    wrong = _posterior(frame, alone, opposed)
    repeats = _repeats(used[0], frame)
    tier = np.full(len(frame), JUDGED)
    tier[_places(frame, repeats)] = REPEATED
    tier[_places(frame, {r for k in opposed for r in (k.a, k.b)})] = CONTRADICTION
    if order == "random":
        places = np.random.default_rng(seed).permutation(len(frame))
        reasons: list[tuple[str, ...]] = [()] * len(frame)
    else:
        places = _ranked(frame, tier, wrong, opposed)
        reasons = _reasons(used, frame, margins, weights, wrong, related, repeats)
    rows = frame["row"].tolist()
    known = [None if np.isnan(p) else float(p) for p in wrong]
    return [Suspect(rows[i], known[i], reasons[i], int(tier[i])) for i in places]


def _same_data(runs: Sequence[Run]) -> list[Run]:
    """The runs with their own pictures. Raises RunError."""
    used = [r for r in runs if r.manifest.images == "as given"]
    if not used:
        raise RunError("There is no run to rank by: give at least one with the pictures as given.")
    first, names = used[0], ["row", "key", "preferred"]
    there = first.table(names).sort_by("row")
    for other in used[1:]:
        for what, a, b in (
            ("benchmark", first.manifest.benchmark, other.manifest.benchmark),
            ("data hash", *(r.manifest.how.get("data_hash") or "" for r in (first, other))),
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
    pictures = frame["row"].map(_pictures(used)).fillna("").astype(object)
    return frame.assign(
        preferred=frame["preferred"].astype(int), responses=frame["responses"].map(list), picture=pictures
    )


def _margins(run: Run, frame: pd.DataFrame) -> np.ndarray:
    margin = run.table(["row", "margin"]).to_pandas().set_index("row")["margin"]
    return margin.reindex(frame["row"]).to_numpy(dtype=float, na_value=np.nan)


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


def _repeats(run: Run, frame: pd.DataFrame) -> dict[int, list[tuple[str, list[int]]]]:
    """row -> (kind of finding, the other rows). Rows of one id with different pictures are different questions."""
    out: dict[int, list[tuple[str, list[int]]]] = defaultdict(list)
    if _built_in(run):
        return out
    pictures = dict(zip(frame["row"], frame["picture"], strict=True))
    for finding in findings(odd_rows(run.file), _clustered(run)):
        if finding.kind not in ("id occurs more than once", "same row more than once"):
            continue
        rows = [r for r in finding.rows if r in pictures]
        for row in rows:
            seen = {"", pictures[row]}
            others = [r for r in rows if r != row and (len(seen) == 1 or pictures[r] in seen)]
            if others:
                out[row].append((finding.kind, others))
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
    used: list[Run], frame: pd.DataFrame, margins: np.ndarray, weights: np.ndarray, wrong: np.ndarray,
    related: list[Kin], repeats: dict[int, list[tuple[str, list[int]]]],
) -> list[tuple[str, ...]]:  # fmt: skip
    by_row: dict[int, list[Kin]] = defaultdict(list)
    for k in related:
        by_row[k.a].append(k)
        by_row[k.b].append(k)
    names = [run.manifest.judge for run in used]
    choices = [_choices(run, frame) for run in used]
    out = []
    for i, row in enumerate(frame["row"].tolist()):
        blamed = None if np.isnan(margins[i]).all() else float(wrong[i])
        said = [
            Opinion(
                name.removesuffix(BLIND),
                name.endswith(BLIND),
                float(margins[i, j]),
                choices[j][i],
                bool(weights[i, j] > 0),
            )
            for j, name in enumerate(names)
            if np.isfinite(margins[i, j])
        ]
        out.append((
            *kin_reasons(row, by_row.get(row, []), blamed),
            *(repeat_reason(kind, others) for kind, others in repeats.get(row, [])),
            *judge_reasons(said, blamed is None),
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


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m core.suspects", description=__doc__)
    parser.add_argument("--run", type=Path, action="append", required=True, help="a finished run's folder")
    parser.add_argument("--most", type=int, default=50, help="how many rows the report shows")
    parser.add_argument("--output", type=Path, help="Markdown file; printed without it")
    args = parser.parse_args()
    try:
        runs = [open_run(folder) for folder in args.run]
        text = report(runs, suspects(runs), args.most)
    except RunError as error:
        sys.exit(f"Cannot rank: {error}")
    if args.output:
        args.output.write_text(text)
    else:
        print(text)


if __name__ == "__main__":
    main()

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

import numpy as np
import pandas as pd

from core.benchmarks import BENCHMARKS
from core.label_errors.contradictions import Kin, kin
from core.label_errors.evidence import NOTHING, Evidence, Ranked, candidates, labelled
from core.label_errors.issue import CONTRADICTION, JUDGED, REPEATED, LabelIssue
from core.label_errors.probability import blame, doubt
from core.label_errors.reasons import SHOWN, Repeat
from core.records import Condition
from core.runs.manifest import RunError
from core.runs.run import Run

ORDERS = {
    "likely errors": "most likely wrong first",
    "random": "at random, to estimate how many labels are wrong",
}


def label_issues(runs: Sequence[Run], order: str = "likely errors", seed: int = 0) -> Sequence[LabelIssue]:
    """Every readable, labelled row of the data once, ranked. Reasons are put together for the rows that somebody looks at.

    "likely errors": by tier; contradictory rows stand together, groups with more labels expected to be wrong first; then
    by falling `wrong`, unknown ones last, then by row. "random": a permutation by `seed`, without reasons.
    Raises core.runs.RunError where the runs are not of the same data or are nothing but controls.
    """
    if order not in ORDERS:
        raise ValueError(f"there is no order {order}; use one of {', '.join(ORDERS)}")
    used = _same_data(runs)
    frame = labelled(used)
    related = [] if _built_in(used[0]) else kin(candidates(used[0], frame), _clustered(used[0]))
    margins = np.stack([_margins(run, frame) for run in used], axis=1)
    outside = np.stack([_outside(run, used, frame) for run in used], axis=1)
    margins[outside] = np.nan  # what a judge says of a picture that it was not made for is no evidence
    opposed = [k for k in related if k.opposed]
    alone, weights = doubt(margins, _clusters(frame, opposed))
    wrong = _posterior(frame, alone, opposed)
    repeats = _repeats(used[0], frame)
    tier = np.full(len(frame), JUDGED, dtype=np.int8)
    tier[_places(frame, repeats)] = REPEATED
    tier[_places(frame, {r for k in opposed for r in (k.a, k.b)})] = CONTRADICTION
    if order == "random":
        places = np.random.default_rng(seed).permutation(len(frame))
        return Ranked(frame["row"].to_numpy(), places, wrong, tier, None)
    evidence = Evidence(used, margins, outside, weights, wrong, related, repeats)
    return Ranked(frame["row"].to_numpy(), _ranked(frame, tier, wrong, opposed), wrong, tier, evidence)


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
    known = run.table(["row", "ood"]).to_pandas().set_index("row")["ood"]
    found: np.ndarray = known.reindex(frame["row"]).to_numpy() == True  # noqa: E712 (None and NaN are not)
    return found


def _built_in(run: Run) -> bool:
    """Whether the project draws the pictures itself: then each row has its own, and nothing is stored of it."""
    known = BENCHMARKS.get(run.manifest.benchmark)
    return bool(known and known.built_in)


def _clustered(run: Run) -> bool:
    known = BENCHMARKS.get(run.manifest.benchmark)
    return bool(known and known.clustered)


def _repeats(run: Run, frame: pd.DataFrame) -> dict[int, list[Repeat]]:
    """row -> how it is repeated. As core.benchmarks.findings, but for one thing: rows of one id whose pictures are known
    to differ are different questions (a file without ids is given them by its texts alone)."""
    out: dict[int, list[Repeat]] = defaultdict(list)
    if _built_in(run):
        return out
    names = [("row", "labelled_as")]
    if not _clustered(run):
        names.insert(0, ("id", "id"))
    for kind, name in names:
        twice = frame[frame[name].duplicated(keep=False)]
        seen: dict[int, list[tuple[int, int]]] = defaultdict(list)
        for key, row, picture in zip(
            twice[name].tolist(), twice["row"].tolist(), twice["picture"].tolist(), strict=True
        ):
            seen[key].append((row, picture))
        for same in seen.values():
            for row, picture in same:
                others = (r for r, p in same if r != row and (not p or not picture or p == picture))
                if named := tuple(islice(others, SHOWN + 1)):
                    out[row].append(Repeat(kind, named))
    return out


def _clusters(frame: pd.DataFrame, opposed: list[Kin]) -> np.ndarray:
    """(rows,) numbers: rows that share an id, a cluster, a key or all of their texts have one number, also by way of
    others. Twins share their texts, copies their key."""
    ends = [np.searchsorted(frame["row"], [(k.a, k.b) for k in opposed]).reshape(-1, 2)]
    for name in ("id", "cluster", "key", "texts"):
        hashes = frame[name].to_numpy()
        _, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
        named = hashes != NOTHING
        ends.append(np.stack([np.flatnonzero(named), first[inverse[named]]], axis=1))
    return _joined(np.concatenate(ends), len(frame))


def _joined(ends: np.ndarray, rows: int) -> np.ndarray:
    """(rows,) number of each row's connected component."""
    from scipy.sparse import coo_array  # slow to load
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(ends), dtype=bool), tuple(ends.T)), shape=(rows, rows))
    found: np.ndarray = connected_components(graph, directed=False)[1]
    return found


def _posterior(frame: pd.DataFrame, alone: np.ndarray, opposed: list[Kin]) -> np.ndarray:
    """`alone`, with contradictory rows set against each other; of several contradictions the worst one counts."""
    found: dict[int, float] = {}
    for k in opposed:
        a, b = np.searchsorted(frame["row"], [k.a, k.b]).tolist()
        first = blame(float(alone[a]), float(alone[b]), k.certain)
        found[a], found[b] = max(found.get(a, 0.0), first), max(found.get(b, 0.0), 1 - first)
    wrong = alone.copy()
    wrong[list(found)] = list(found.values())
    return wrong


def _places(frame: pd.DataFrame, rows: object) -> np.ndarray:
    return frame["row"].isin(list(rows)).to_numpy()  # type: ignore[call-overload]


def _ranked(frame: pd.DataFrame, tier: np.ndarray, wrong: np.ndarray, opposed: list[Kin]) -> np.ndarray:
    """Places in order. A group's evidence is the number of wrong labels to be expected in it."""
    group = _joined(np.searchsorted(frame["row"], [(k.a, k.b) for k in opposed]).reshape(-1, 2), len(frame))
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

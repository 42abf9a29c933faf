"""Several labels an item, one a criterion: the measures of Multi-Crit (arXiv 2511.21662).

Pluralistic accuracy (PAcc): items all of whose criteria are right. Trade-off sensitivity (TOS): items with conflicting
labels for which the judge, too, prefers one response by one and the other by the other of two conflicting criteria,
whichever. Conflict matching rate (CMR): pairs of conflicting criteria, over all items together, of which both are right.
Definitions as in the reference implementation (its port in lmms-eval): an undecided answer is a preference for neither, the
first row of an id counts, and the last of an item and criterion.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.runs.votes import Share, share, share_of_rows


@dataclass(frozen=True)
class Criteria:
    """Of one split. pacc, tos: of items; cmr: of pairs of criteria, its interval a bootstrap over items. by_criterion:
    accuracy. macro: their plain mean. left_out: items with a row that was not judged or has no label."""

    split: str
    pacc: Share
    tos: Share
    cmr: Share
    by_criterion: dict[str, Share]
    macro: float
    left_out: int


def criteria_of(rows: pd.DataFrame) -> list[Criteria]:
    """rows: of pairs, with the columns id, cluster (the item), subgroup ("split--criterion"), outcome, preferred_stored (0
    or 1: which response of the file the label prefers), in the order of the file. One result a split."""
    rows = rows[rows["subgroup"].str.contains("--", regex=False)]
    rows = rows.drop_duplicates("id", keep="first").drop_duplicates(["cluster", "subgroup"], keep="last")
    split = rows["subgroup"].str.partition("--")[0]
    return [_of_split(str(name), of_split) for name, of_split in rows.groupby(split, sort=True)]


def _of_split(split: str, rows: pd.DataFrame) -> Criteria:
    absent = rows["outcome"].isin(["missing", "unlabelled"]).groupby(rows["cluster"]).transform("any")
    left_out, rows = rows.loc[absent, "cluster"].nunique(), rows[~absent]
    label = rows["preferred_stored"].astype("Int64")
    right = rows["outcome"] == "right"
    said = label.where(right, 1 - label).where(rows["outcome"].isin(["right", "wrong"]))  # NA where undecided
    all_right, sensitive, matched = [], [], []
    for _, where in rows.groupby("cluster", sort=False).indices.items():
        item = [(label.iloc[i], said.iloc[i], bool(right.iloc[i])) for i in where]
        all_right.append(all(ok for *_, ok in item))
        conflicts = [(a, b) for a, b in itertools.combinations(item, 2) if a[0] != b[0]]
        if conflicts:
            sensitive.append(
                any(not pd.isna(a[1]) and not pd.isna(b[1]) and a[1] != b[1] for a, b in conflicts)
            )
            matched.append((sum(a[2] and b[2] for a, b in conflicts), len(conflicts)))
    criterion = rows["subgroup"].str.partition("--")[2]
    found = {str(name): share(int(ok.sum()), len(ok)) for name, ok in right.groupby(criterion, sort=True)}
    return Criteria(
        split, share(sum(all_right), len(all_right)), share(sum(sensitive), len(sensitive)), share_of_rows(matched), found,
        float(np.mean([s.value for s in found.values()])) if found else float("nan"), left_out,
    )  # fmt: skip

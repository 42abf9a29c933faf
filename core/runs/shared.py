"""The records that several runs have judged alike, so that their judges can be compared. No torch: a replay shows it too.

Only runs with the image as given are judges here: a blank or shuffled image is a control of one, and rules that read neither
picture nor question are baselines.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import duckdb
import pandas as pd
import pyarrow.parquet as pq

from core.records import Condition
from core.runs.run import Run, damage_told
from core.runs.verifiability import rule_column

ENOUGH = 100  # records: a shorter run decides what all are compared on only where no run is longer
UNJUDGED = ("missing", "unlabelled")


@dataclass(frozen=True)
class Shared:
    """frames: per judge's name in links its records, the same in the same order; columns as of `records`. left_out: judges that did
    not judge all of these."""

    runs: dict[str, Run]
    frames: dict[str, pd.DataFrame]
    left_out: dict[str, Run]

    @property
    def n(self) -> int:
        return len(next(iter(self.frames.values())))


def judges_among(runs: Mapping[str, Run]) -> dict[str, Run]:
    return {
        name: run
        for name, run in runs.items()
        if run.manifest.condition is Condition.AS_GIVEN and not is_baseline(run)
    }


def is_baseline(run: Run) -> bool:
    judge = run.manifest.judge
    return judge.kind == "none" or (judge.kind == "rule" and rule_column(run.manifest) is None)


@damage_told
def records(run: Run) -> pd.DataFrame:
    """Of the labelled rows that were judged: row, outcome, margin, subgroup, answers (how many it wrote), critique (whether there is
    one). Index: 64 bits of a hash of row and content, which two of a million records share once in thirty million runs."""
    return _read(run.file, run.file.stat().st_mtime_ns)


@lru_cache(maxsize=32)
def _read(file: Path, version: int) -> pd.DataFrame:
    del version  # part of the cache's key
    there = set(pq.read_schema(file).names)
    answers = "coalesce(len(votes), 0)" if "votes" in there else "0"
    critique = "coalesce(critique, '') <> ''" if "critique" in there else "false"
    with duckdb.connect() as db:
        frame = db.execute(
            f"SELECT row, hash(row, key) AS record, outcome, margin, subgroup, {answers} AS answers, {critique} AS critique "
            "FROM read_parquet(?) ORDER BY row",
            [str(file)],
        ).df()
    frame = frame.astype({"outcome": object, "subgroup": object}).set_index("record")
    return frame[~frame["outcome"].isin(UNJUDGED)]


def largest(runs: Mapping[str, Run]) -> Shared | None:
    """The most records that two judges have in common, and all who judged those."""
    return _shared(runs, lambda members, n: (len(members) > 1, n, len(members)))


def most_kinds(runs: Mapping[str, Run]) -> Shared | None:
    """The records on which the most kinds of judges meet, and as many as that allows."""
    return _shared(
        runs, lambda members, n: (len({r.manifest.judge.kind for r in members.values()}), n, len(members))
    )


def _shared(
    runs: Mapping[str, Run], better: Callable[[dict[str, Run], int], tuple[int, ...]]
) -> Shared | None:
    """Compared is on what one of the runs holds, by whoever holds all of that. Raises RunError."""
    judges = judges_among(runs)
    frames = {name: frame for name, run in judges.items() if len(frame := records(run))}
    if not frames:
        return None
    long = {name: frame for name, frame in frames.items() if len(frame) >= ENOUGH} or frames
    sets = {(len(f), int(f.index.to_numpy().sum())): f.index for f in long.values()}
    choices = []
    for index in sets.values():
        members = {n: judges[n] for n, f in frames.items() if len(f) >= len(index) and index.isin(f.index).all()}  # fmt: skip
        choices.append((better(members, len(index)), members, index))
    _, members, index = max(choices, key=lambda c: c[0])
    kept = {name: frames[name].loc[index] for name in members}
    return Shared(members, kept, {n: run for n, run in judges.items() if n not in members})

"""Accuracy by whether a rule can check the answers: the same rows for every judge.

Which rows those are is read off a run whose judge has rules (core.judges.hybrid): rules are deterministic, so any such run of
the same data gives the same parts. No torch: a replay shows it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.runs.manifest import Manifest
from core.runs.metrics import Rate, frame_points, rate
from core.runs.run import Run, damage_told

DECIDES, ALIKE, SILENT = "a rule decides", "rules rate them alike", "no rule is sure"
PARTS = (DECIDES, ALIKE, SILENT)


@dataclass(frozen=True)
class Verifiability:
    """rules: the name of the run that the parts are read off. rows: per part; table: judge's name -> part -> its accuracy on the
    rows of the part that both runs hold."""

    rules: str
    rows: dict[str, int]
    table: dict[str, dict[str, Rate]]


def rule_column(manifest: Manifest) -> int | None:
    """Which of a judge's dimensions is the rule of a hybrid judge; None for all other judges."""
    found = [
        i for i, d in enumerate(manifest.judge.dimensions) if (d.key, d.capability) == ("rule", "Hybrid")
    ]
    return found[0] if found else None


def by_verifiability(runs: Sequence[Run], ties: str = "wrong") -> Verifiability | None:
    """None where no run among them has rules. Raises RunError for a damaged run."""
    source = next((r for r in runs if rule_column(r.manifest) is not None), None)
    if source is None:
        return None
    part_of = parts(source)
    table = {}
    for run in runs:
        frame = _outcomes(run)
        points = pd.Series(frame_points(frame, ties), index=frame.index)
        common = frame.index.intersection(part_of.index)
        part = part_of.loc[common]
        table[run.name] = {
            name: rate(
                frame.loc[common, "outcome"][part == name].astype(object), ties, points.loc[common][part == name].to_numpy()
            )
            for name in PARTS
        }  # fmt: skip
    counts = part_of.value_counts()
    return Verifiability(source.name, {p: int(counts.get(p, 0)) for p in PARTS}, table)


@damage_told
def parts(run: Run) -> pd.Series:
    """(row, key) -> part, of the rows that were judged."""
    column = rule_column(run.manifest)
    d = len(run.manifest.judge.dimensions)
    frame = run.table(["row", "key", "scores"]).to_pandas().set_index(["row", "key"])
    judged = frame[frame["scores"].map(len) > 0]

    def part(scores: np.ndarray) -> str:
        said = np.asarray(scores, dtype=float).reshape(-1, d)[:, column]
        return DECIDES if len(set(said)) > 1 else ALIKE if said.any() else SILENT

    return judged["scores"].map(part)


@damage_told
def _outcomes(run: Run) -> pd.DataFrame:
    frame: pd.DataFrame = run.table(["row", "key", "outcome"]).to_pandas()
    return frame.set_index(["row", "key"]).astype(object)

"""The kinds of judges side by side on the same records: accuracy, what a comparison costs, calibration, and what of a judgement
they leave to look at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from core.runs.metrics import LEVEL, Paired, Rate, calibration, compare, rate
from core.runs.run import Run
from core.runs.shared import ENOUGH, Shared, most_kinds
from core.runs.verifiability import DECIDES, parts, rule_column

RESAMPLES, BINS = 400, 10
LARGE = 20_000  # records above which calibration has no interval: each resample reads all of them
KINDS = ("rule", "scalar", "gated", "hybrid", "generative", "remote")


@dataclass(frozen=True)
class Difference:
    """Of calibration errors, a paired percentile bootstrap over the records: negative is better than the reference."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Calibration:
    """error: expected calibration error of sigma(|margin|), nan where n is 0. n: records with a margin that is not 0: the others
    say nothing. accuracy: on those."""

    error: float
    n: int
    accuracy: Rate


@dataclass(frozen=True)
class Member:
    """One judge on the shared records. paired: against the reference, a tie counting as wrong; None for the reference itself.

    seconds: of its run's last start by the number of all its rows, so too low for a run that was stopped and continued; None where
    it was not kept. answers: texts it wrote for a comparison, on average. calibrated: against the reference, on the records that
    both decided; None for the reference, and where those are fewer than ENOUGH or too many to resample. critiques: share of
    records with a written reason. dimensions: how many add up to a margin. sure: share of records in which a rule decides; None
    where there are no rules."""

    name: str
    run: Run
    accuracy: Rate
    paired: Paired | None
    seconds: float | None
    answers: float
    calibration: Calibration
    calibrated: Difference | None
    critiques: float
    dimensions: int
    sure: float | None


@dataclass(frozen=True)
class Paradigms:
    """members: by kind, as KINDS has them. reference: the name of the most accurate one."""

    shared: Shared
    members: tuple[Member, ...]
    reference: str


def paradigms(runs: Mapping[str, Run], seed: int = 0) -> Paradigms | None:
    """None where there are not two kinds of judges on the same records. Raises RunError."""
    shared = most_kinds(runs)
    if shared is None or len({r.manifest.judge.kind for r in shared.runs.values()}) < 2:
        return None
    frames = shared.frames
    rates = {name: rate(frame["outcome"]) for name, frame in frames.items()}
    best = min(rates, key=lambda name: (-rates[name].value, name))
    members = [
        Member(
            name, run, rates[name],
            compare(frames[name]["outcome"], frames[best]["outcome"]) if name != best else None,
            _seconds(run), float(frames[name]["answers"].mean()), _calibration(frames[name]),
            _calibrated(frames[name], frames[best], seed) if name != best else None,
            float(frames[name]["critique"].mean()), len(run.manifest.judge.dimensions), _sure(run, shared),
        )
        for name, run in shared.runs.items()
    ]  # fmt: skip
    kinds = {kind: i for i, kind in enumerate(KINDS)}
    members.sort(key=lambda m: (kinds.get(m.run.manifest.judge.kind, len(KINDS)), m.name))
    return Paradigms(shared, tuple(members), best)


def _seconds(run: Run) -> float | None:
    stats = run.manifest.stats
    seconds, rows = stats.get("seconds_of_last_start"), stats.get("rows")
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not rows or seconds <= 0:
        return None
    return float(seconds) / int(rows)


def _decides(frame: pd.DataFrame) -> np.ndarray:
    margins = frame["margin"].to_numpy(dtype=float)
    decided: np.ndarray = ~np.isnan(margins) & (margins != 0)
    return decided


def _calibration(frame: pd.DataFrame) -> Calibration:
    used = frame[_decides(frame)]
    right = (used["outcome"] == "right").to_numpy()
    error = calibration(used["margin"].to_numpy(dtype=float), right)[1] if len(used) else float("nan")
    return Calibration(error, len(used), rate(used["outcome"]))


def _calibrated(a: pd.DataFrame, b: pd.DataFrame, seed: int) -> Difference | None:
    both = _decides(a) & _decides(b)
    n = int(both.sum())
    if not ENOUGH <= n <= LARGE:
        return None
    draws = np.random.default_rng(seed).multinomial(n, np.full(n, 1 / n), RESAMPLES).astype(np.float32)
    gaps = [_gaps(frame[both]) for frame in (a, b)]
    resampled = np.subtract(*(np.abs(draws @ gap).sum(axis=1) / n for gap in gaps))
    low, high = np.quantile(resampled, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    value = np.subtract(*(np.abs(gap.sum(axis=0)).sum() / n for gap in gaps))
    return Difference(float(value), float(low), float(high))


def _gaps(frame: pd.DataFrame) -> np.ndarray:
    """(records, bins) said - right in a record's bin, 0 elsewhere: a bin's n |mean said - mean right| is the size of its sum."""
    said = 1 / (1 + np.exp(-np.abs(frame["margin"].to_numpy(dtype=float))))
    place = np.clip(np.digitize(said, np.linspace(0.5, 1.0, BINS + 1)[1:-1]), 0, BINS - 1)
    out = np.zeros((len(frame), BINS), dtype=np.float32)
    out[np.arange(len(frame)), place] = said - (frame["outcome"] == "right").to_numpy()
    return out


def _sure(run: Run, shared: Shared) -> float | None:
    if rule_column(run.manifest) is None:
        return None
    rows = next(iter(shared.frames.values()))["row"]
    return float((parts(run).droplevel("key").reindex(rows) == DECIDES).mean())

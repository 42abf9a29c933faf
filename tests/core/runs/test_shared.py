"""Judges on the same records: against counts made by hand, scipy and statsmodels, and a plain loop over bins."""

from __future__ import annotations

import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from scipy.stats import binomtest
from statsmodels.stats.multitest import multipletests

from core.judges.hybrid import ASPECTS
from core.records import Condition, JudgeCard
from core.runs.best import best_on
from core.runs.library import BUNDLED, Library
from core.runs.manifest import Manifest
from core.runs.paradigms import paradigms
from core.runs.run import Run, open_run
from core.runs.schema import SCHEMA
from core.runs.shared import largest, most_kinds


def made(
    folder: Path, name: str, kind: str, outcomes: dict[int, str], margins: dict[int, float] | None = None,
    condition: Condition = Condition.AS_GIVEN, votes: int = 0, **stats: Any,
) -> Run:  # fmt: skip
    """A run with these outcomes by row. Rows of even number are group "a", the others "b"."""
    rows = []
    for row, outcome in outcomes.items():
        margin = (margins or {}).get(row, {"right": 1.0, "wrong": -1.0}.get(outcome, 0.0))
        empty: dict[str, Any] = {f.name: [] if pa.types.is_list(f.type) else None for f in SCHEMA}
        vote = {"order": [0, 1], "text": "t", "choice": 0, "log_odds": None, "problem": ""}
        rows.append(empty | {
            "row": row, "key": f"k{row}", "id": str(row), "subgroup": "ab"[row % 2], "cluster": str(row), "prompt": "p",
            "responses": ["x", "y"], "stored": [0, 1], "preferred": 0, "outcome": outcome, "problem": "",
            "margin": None if outcome == "missing" else margin, "rewards": [] if outcome == "missing" else [margin, 0.0],
            "votes": [vote] * votes or None, "critique": "why" if votes else None,
        })  # fmt: skip
    (folder / name).mkdir(parents=True)
    pq.write_table(pa.Table.from_pylist(rows, SCHEMA), folder / name / "judgements.parquet")
    card = JudgeCard(name, name, kind, dimensions=ASPECTS if kind == "hybrid" else ())
    Manifest(
        "mine", "Mine", "s", "", card, condition, None, 1, 1, "c", 0, stats={"rows": len(rows), **stats}
    ).save(folder / name)
    return open_run(folder / name)


def words(right: set[int], n: int) -> dict[int, str]:
    return {i: "right" if i in right else "wrong" for i in range(n)}


@pytest.fixture
def runs(tmp_path: Path) -> dict[str, Run]:
    rng = random.Random(1)
    good = {i for i in range(400) if rng.random() < (0.9 if i % 2 else 0.6)}
    poor = {i for i in range(400) if rng.random() < (0.5 if i % 2 else 0.6)}
    return {
        "good": made(tmp_path, "good", "gated", words(good, 400), seconds_of_last_start=20.0),
        "poor": made(tmp_path, "poor", "scalar", words(poor, 400), seconds_of_last_start=0.0),
        "wordy": made(tmp_path, "wordy", "generative", words(set(range(0, 120, 2)), 150), votes=4),
        "blank": made(tmp_path, "blank", "gated", words(set(range(400)), 400), condition=Condition.BLANK),
        "longer": made(tmp_path, "longer", "rule", words(set(range(400)), 400)),
    }


def _only(a: Run, b: Run, rows: range) -> tuple[int, int]:
    x, y = (dict(zip(t["row"].to_pylist(), t["outcome"].to_pylist(), strict=True)) for t in (a.table(["row", "outcome"]), b.table(["row", "outcome"])))  # fmt: skip
    first = sum(x[i] == "right" and y[i] != "right" for i in rows)
    return first, sum(x[i] != "right" and y[i] == "right" for i in rows)


def test_the_best_is_tested_on_the_same_records_group_by_group(runs: dict[str, Run]) -> None:
    found, shared = best_on(runs, "mine")
    assert (
        shared is not None and set(shared.frames) == {"good", "poor"} and list(shared.left_out) == ["wordy"]
    )
    assert [b.what for b in found] == ["overall", "a", "b"]
    expected = {}
    for b, rows in zip(found, (range(400), range(0, 400, 2), range(1, 400, 2)), strict=True):
        only_first, only_second = _only(runs[b.first], runs[b.second], rows)
        assert b.paired is not None and b.n == len(rows)
        assert (b.paired.only_a, b.paired.only_b) == (only_first, only_second)
        assert b.paired.difference == pytest.approx((only_first - only_second) / len(rows))
        expected[b.what] = binomtest(min(only_first, only_second), only_first + only_second).pvalue
    assert found[0].p_value == pytest.approx(expected["overall"])
    corrected = multipletests([expected["a"], expected["b"]], method="holm")[1]
    assert [b.p_value for b in found[1:]] == pytest.approx(list(corrected))
    assert found[0].first == "good" and found[0].real and found[2].real and not found[1].real


def test_controls_and_baselines_are_not_judges(runs: dict[str, Run]) -> None:
    """The blank image and the baseline are right everywhere, and are not called best."""
    found, _ = best_on(runs, "mine")
    assert {b.first for b in found} | {b.second for b in found} == {"good", "poor"}
    alone, shared = best_on({k: runs[k] for k in ("good", "blank", "longer")}, "mine")
    assert alone[0].first == "good" and not alone[0].second and not alone[0].real and shared is not None
    assert best_on({"longer": runs["longer"]}, "mine") == ([], None)


def test_equal_judges_are_called_equal(tmp_path: Path) -> None:
    same = words(set(range(150)), 300)
    two = {n: made(tmp_path, n, "scalar", same) for n in ("one", "two")}
    found, _ = best_on(two, "mine")
    assert found[0].firsts == ("one", "two") and not found[0].second and not found[0].real
    two["third"] = made(tmp_path, "third", "scalar", words(set(range(100)), 300))
    found, _ = best_on(two, "mine")
    assert found[0].firsts == ("one", "two") and found[0].second == "third" and found[0].real


def test_all_kinds_meet_on_the_records_that_all_have(runs: dict[str, Run]) -> None:
    shared = most_kinds(runs)
    assert shared is not None and shared.n == 150 and set(shared.frames) == {"good", "poor", "wordy"}
    index = [frame.index.tolist() for frame in shared.frames.values()]
    assert index[0] == index[1] == index[2]


def test_a_short_run_does_not_decide_what_the_others_are_compared_on(runs: dict[str, Run], tmp_path: Path) -> None:  # fmt: skip
    runs["tiny"] = made(tmp_path / "more", "tiny", "hybrid", words({1}, 5))
    shared = most_kinds(runs)
    assert shared is not None and shared.n == 150 and "tiny" in shared.left_out
    few = largest({"tiny": runs["tiny"]})
    assert few is not None and few.n == 5


def test_records_with_other_content_or_not_judged_are_not_the_same(tmp_path: Path) -> None:
    a = made(tmp_path, "a", "scalar", words(set(range(100)), 200))
    b = made(tmp_path, "b", "gated", {**words(set(range(50)), 200), 7: "missing", 8: "unlabelled"})
    shared = most_kinds({"a": a, "b": b})
    assert shared is not None and shared.n == 198 and set(shared.frames) == {"a", "b"}
    table = pq.read_table(b.file)
    keys = pa.array([f"other {k}" for k in table["key"].to_pylist()])
    pq.write_table(table.set_column(table.column_names.index("key"), "key", keys), b.file)
    assert paradigms({"a": a, "b": open_run(b.folder)}) is None


def _error(margins: np.ndarray, right: np.ndarray) -> float:
    """Guo et al. (2017), eq. 3, record by record."""
    bins: dict[int, list[tuple[float, bool]]] = {}
    for m, r in zip(margins, right, strict=True):
        said = 1 / (1 + math.exp(-abs(m)))
        bins.setdefault(min(9, int((said - 0.5) / 0.05)), []).append((said, r))
    return sum(abs(sum(s - r for s, r in b)) for b in bins.values()) / len(margins)


def test_kinds_are_compared_by_accuracy_calibration_and_cost(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    n = 500
    # The gated judge is right as often as its sigma(|margin|) says; the scalar one is right in 85 % and says 98 %.
    sizes = rng.exponential(1.2, n) + 0.01
    margins = {
        "gated": np.where(rng.random(n) < 1 / (1 + np.exp(-sizes)), sizes, -sizes),
        "scalar": np.where(rng.random(n) < 0.85, 4.0, -4.0) + rng.normal(0, 0.1, n),
        "hybrid": np.where(np.arange(n) < 200, rng.normal(2.0, 1.0, n), 0.0),
    }  # fmt: skip
    folder = tmp_path / "runs"
    runs = {
        kind: made(
            folder, kind, kind, {i: "right" if m > 0 else "tie" if m == 0 else "wrong" for i, m in enumerate(values)},
            dict(enumerate(values.tolist())), seconds_of_last_start=50.0,
        )
        for kind, values in margins.items()
    }  # fmt: skip
    found = paradigms(runs)
    assert found is not None and [m.name for m in found.members] == ["scalar", "gated", "hybrid"]
    by_name = {m.name: m for m in found.members}
    assert (
        found.reference == "scalar"
        and by_name["scalar"].paired is None
        and by_name["scalar"].calibrated is None
    )
    for name, member in by_name.items():
        values = margins[name].astype(np.float32).astype(float)
        used = values != 0
        assert member.accuracy.value == pytest.approx((values > 0).mean())
        assert member.calibration.n == used.sum()
        assert member.calibration.accuracy.value == pytest.approx((values[used] > 0).mean())
        assert member.calibration.error == pytest.approx(_error(values[used], values[used] > 0))
        assert member.seconds == pytest.approx(0.1)
        if member.calibrated:
            both = used & (margins["scalar"] != 0)
            reference = margins["scalar"].astype(np.float32).astype(float)[both]
            difference = _error(values[both], values[both] > 0) - _error(reference, reference > 0)
            assert member.calibrated.value == pytest.approx(difference, abs=1e-5)
            assert member.calibrated.low < difference + 0.02 and member.calibrated.high > difference - 0.02
    assert (
        by_name["gated"].calibrated is not None and by_name["gated"].calibrated.high < 0
    )  # better calibrated


def test_cost_and_reasons_are_those_of_the_run(runs: dict[str, Run]) -> None:
    found = paradigms(runs)
    assert found is not None
    by_name = {m.name: m for m in found.members}
    assert by_name["good"].seconds == pytest.approx(20 / 400) and by_name["poor"].seconds is None
    assert by_name["wordy"].answers == 4 and by_name["wordy"].critiques == 1 and by_name["good"].answers == 0


def test_one_kind_alone_is_not_compared(runs: dict[str, Run]) -> None:
    assert paradigms({"good": runs["good"]}) is None


def test_the_bundled_runs_give_what_the_leaderboard_gives() -> None:
    """Same numbers by another way: the paired comparison that the detail of a run shows."""
    from core.runs import leaderboard

    runs = Library([BUNDLED]).of_benchmark("scene")
    found, shared = best_on(runs, "scene")
    assert shared is not None and not shared.left_out
    two = [runs[n] for n in (found[0].first, found[0].second)]
    assert found[0].paired == leaderboard.paired(*two)
    assert {"scene/vl-mdr", "scene/scalar"} <= set(shared.frames) and found[0].real
    assert found[0].first_rate == leaderboard.entry(two[0]).reports[0].overall
    groups = leaderboard.entry(two[0]).reports[0].groups
    assert {b.what: b.first_rate.value for b in found[1:] if b.first == found[0].first}.items() <= {g: r.value for g, r in groups.items()}.items()  # fmt: skip

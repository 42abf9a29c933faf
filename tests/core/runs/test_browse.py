"""Browsing and the leaderboard against plain Python over the same rows."""

from __future__ import annotations

import json
import random
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.benchmarks import BENCHMARKS
from core.judges.rules import RuleJudge, longer
from core.records import Comparison, JudgeCard, Judgement
from core.runs import browse, leaderboard
from core.runs.browse import Filters
from core.runs.run import Run
from core.runs.runner import Job, run
from core.taxonomy import DIMENSIONS, INDEX, KEYS, NUM_DIMENSIONS

N = 120


class Dimensions:
    """Random gates and scores from the record's own text: a judge with all fields, and no model."""

    def __init__(self, name: str, seed: int) -> None:
        self.seed = seed
        self.card = JudgeCard(name, name, "gated", reads_images=False, top_k=3, dimensions=DIMENSIONS)

    def judge(self, comparison: Comparison) -> Judgement:
        rng = np.random.default_rng([self.seed, *comparison.prompt.encode()])
        n = len(comparison.responses)
        logits = rng.normal(size=NUM_DIMENSIONS)
        selected = tuple(int(d) for d in np.argsort(-logits)[:3])
        weights = np.zeros(NUM_DIMENSIONS)
        weights[list(selected)] = rng.dirichlet([1, 1, 1])
        scores = rng.normal(size=(n, NUM_DIMENSIONS))
        return Judgement(comparison.id, self.card.id, tuple(scores @ weights), tuple(logits), (), selected,
                         tuple(weights), tuple(map(tuple, scores)), dimensions=DIMENSIONS)  # fmt: skip

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        return [self.judge(c) for c in comparisons]


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("runs")
    rng = random.Random(3)
    rows = [
        {"id": f"id{i}", "prompt": f"What's {i}? {'50% _off_' if i % 7 == 0 else ''}", "preferred": rng.randrange(n),
         "responses": [letter * rng.randint(1, 30) for letter in "abcd"[:n]], "category": rng.choice("xyz")}
        for i in range(N)
        for n in [2 + i % 3]
    ]  # fmt: skip
    (folder / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    made = [
        run(Job(BENCHMARKS["own"].open(folder / "d.jsonl"), Dimensions(f"judge {s}", s), folder / str(s)))
        for s in (1, 2)
    ]
    assert made[0] and made[1]
    return made[0], made[1]


def plain(rows: list[dict], f: Filters, others: dict) -> list[dict]:
    out = []
    for r in rows:
        lengths = [len(t) for t in r["responses"]]
        mine, rest = lengths[r["preferred"]], max(v for i, v in enumerate(lengths) if i != r["preferred"])
        text = "\n".join([r["prompt"], *r["responses"]]).lower()
        other = others[r["row"]]["outcome"] == "right"
        right = r["outcome"] == "right"
        keep = {
            "": True, browse.VERSUS_CHOICES[0]: not right and other, browse.VERSUS_CHOICES[1]: right and not other,
            browse.VERSUS_CHOICES[2]: not right and not other, browse.VERSUS_CHOICES[3]: right != other,
            browse.VERSUS_CHOICES[4]: right and other,
        }[f.versus]  # fmt: skip
        if not f.versus:
            keep = {"mistakes": not right, "right": right, "ties": r["outcome"] == "tie", "everything": True,
                    "not judged": False}[f.outcome]  # fmt: skip
        keep = keep and (not f.subgroup or r["subgroup"] == f.subgroup)
        keep = keep and (not f.dimension or INDEX[f.dimension] in r["selected"])
        keep = keep and (f.margin[0] is None or r["margin"] >= f.margin[0])
        keep = keep and (f.margin[1] is None or r["margin"] <= f.margin[1])
        keep = keep and (not f.longer or (mine > rest if f.longer == "longer" else mine < rest))
        keep = keep and (not f.search or f.search.lower() in text or f.search.lower() == r["id"])
        if keep:
            out.append(r)
    key = {
        "most confident mistakes": lambda r: (r["margin"], r["row"]), "order of the data": lambda r: r["row"],
        "smallest margins": lambda r: (abs(r["margin"]), r["row"]),
        "most confident and right": lambda r: (-r["margin"], r["row"]),
    }[f.sort]  # fmt: skip
    return sorted(out, key=key)


@settings(max_examples=60, deadline=None)
@given(
    outcome=st.sampled_from(browse.OUTCOME_CHOICES),
    subgroup=st.sampled_from(["", "x", "y", "nowhere"]),
    dimension=st.sampled_from(["", *KEYS[:6]]),
    low=st.sampled_from([None, -1.0, 0.0]),
    high=st.sampled_from([None, 0.5]),
    longer=st.sampled_from(["", "longer", "shorter"]),
    search=st.sampled_from(["", "what's 1", "50% _OFF_", "' OR 1=1 --", "id7", "%", "\x00", "aaaa"]),
    versus=st.sampled_from(["", *browse.VERSUS_CHOICES]),
    sort=st.sampled_from(list(browse.SORTS)),
)
def test_a_page_is_what_plain_python_finds(
    runs, outcome, subgroup, dimension, low, high, longer, search, versus, sort
) -> None:
    a, b = runs
    f = Filters(
        outcome,
        subgroup,
        dimension,
        (low, high),
        longer,
        search,
        b if versus else None,
        versus,
        None,
        False,
        sort,
    )
    others = {r["row"]: r for r in b.table().to_pylist()}
    expected = plain(a.table().to_pylist(), f, others)
    found = browse.page(a, f, limit=10)
    assert found.total == len(expected)
    assert found.rows["row"].tolist() == [r["row"] for r in expected[:10]]
    second = browse.page(a, f, offset=10, limit=10)
    assert second.rows["row"].tolist() == [r["row"] for r in expected[10:20]]
    for at, r in list(enumerate(expected))[:: max(1, len(expected) // 5)]:  # where a row stands
        assert browse.page_of(a, f, r["row"]) == at // browse.PAGE
    passed = {r["row"] for r in expected}
    assert all(browse.page_of(a, f, row) is None for row in range(0, N + 3, 17) if row not in passed)


@settings(max_examples=30, deadline=None)
@given(
    outcome=st.sampled_from(browse.OUTCOME_CHOICES), subgroup=st.sampled_from(["", "x", "nowhere"]),
    longer=st.sampled_from(["", "longer"]), search=st.sampled_from(["", "what's 1", "50% _OFF_"]),
    versus=st.sampled_from(["", *browse.VERSUS_CHOICES]),
)  # fmt: skip
def test_the_cells_of_two_judges_count_what_their_filters_show(
    runs, outcome, subgroup, longer, search, versus
) -> None:
    a, b = runs
    f = Filters(outcome, subgroup, "", (None, None), longer, search, b, versus)
    others = {r["row"]: r for r in b.table().to_pylist()}
    mine = a.table().to_pylist()
    found = browse.crosstab(a, f)
    assert found is not None
    for what, n in found.cells().items():
        expected = plain(mine, replace(f, versus=what), others)
        assert n == len(expected) == browse.page(a, replace(f, versus=what)).total
    assert browse.crosstab(a, replace(f, other=None)) is None


def test_a_page_names_what_label_and_judge_prefer(runs) -> None:
    stored = {r["row"]: r for r in runs[0].table().to_pylist()}
    found = browse.page(runs[0], Filters(outcome="everything"), limit=N).rows
    assert len(found) == N
    for row, preferred, favourite in zip(found["row"], found["preferred"], found["favourite"], strict=True):
        assert preferred == stored[row]["preferred"]
        assert favourite == int(np.argmax(stored[row]["rewards"]))


@pytest.mark.parametrize(
    ("sort", "key"),
    [
        ("smallest margins", abs),
        ("most confident mistakes", lambda m: m),
        ("most confident and right", lambda m: -m),
    ],
)
def test_margins_come_in_the_order_that_its_name_says_and_rows_without_one_last(
    tmp_path, runs, sort, key
) -> None:
    found = browse.page(runs[0], Filters("everything", sort=sort), limit=N).rows
    margins = [key(m) for m in found["margin"]]
    assert margins == sorted(margins) and len(set(margins)) > N // 2
    data = [{"prompt": f"Q{i}", "responses": ["a", "bb"], "preferred": i % 2} for i in range(4)]
    del data[1]["preferred"]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in data))
    done = run(Job(BENCHMARKS["own"].open(tmp_path / "d.jsonl"), longer(), tmp_path / "r"))
    assert done
    assert browse.page(done, Filters("everything", sort=sort)).rows["row"].tolist()[-1] == 1


def test_slice_accuracy_ignores_the_choice_of_mistakes(runs) -> None:
    rows = [r for r in runs[0].table().to_pylist() if r["subgroup"] == "x"]
    found = browse.page(runs[0], Filters("mistakes", "x")).slice_rate
    assert (found.points, found.n) == (sum(r["outcome"] == "right" for r in rows), len(rows))


def test_right_for_the_wrong_reason(runs) -> None:
    a, b = runs
    found = browse.page(a, Filters(blank=b, wrong_reason=True, sort="order of the data"), limit=N)
    right = [{r["row"] for r in x.table().to_pylist() if r["outcome"] == "right"} for x in runs]
    assert found.rows["row"].tolist() == sorted(right[0] & right[1])


def test_similar_failures_by_a_plain_loop(runs) -> None:
    rows = {r["row"]: r for r in runs[0].table().to_pylist()}

    def vector(r: dict) -> np.ndarray:
        scores, p = np.array(r["scores"]).reshape(len(r["responses"]), -1), r["preferred"]
        best = max((r["rewards"][i], i) for i in range(len(scores)) if i != p)[1]
        return np.array(r["weights"]) * (scores[p] - scores[best])

    start = next(i for i, r in rows.items() if r["outcome"] == "wrong")
    distances = sorted((float(np.linalg.norm(vector(r) - vector(rows[start]))), i)
                       for i, r in rows.items() if r["outcome"] != "right" and i != start)  # fmt: skip
    found = browse.similar(runs[0], start)
    assert found and [i for i, _ in found.rows] == [i for _, i in distances[: browse.SIMILAR]]
    alike = [r for r in rows.values() if set(r["selected"]) == set(rows[start]["selected"])]
    assert found.same_dimensions.n == len(alike)
    assert float(vector(rows[start]).sum()) == pytest.approx(rows[start]["margin"], abs=1e-5)


def test_what_cannot_be_similar(runs, tmp_path) -> None:
    assert browse.similar(runs[0], 10**6) is None and browse.record(runs[0], 10**6) is None
    plain_run = run(Job(BENCHMARKS["scene"].open().first(46), longer(), tmp_path / "r", keep_images=False))
    assert plain_run and browse.similar(plain_run, 0) is None


def test_controls_by_hand(runs) -> None:
    rows = runs[0].table().to_pylist()
    found = leaderboard.entry(runs[0]).controls
    assert found["position-1 baseline (display order)"].points == sum(r["preferred"] == 0 for r in rows)
    assert found["position-1 baseline (source order)"].points == sum(
        r["stored"][r["preferred"]] == 0 for r in rows
    )
    others = [[len(t) for i, t in enumerate(r["responses"]) if i != r["preferred"]] for r in rows]
    lengths = [(len(r["responses"][r["preferred"]]), o) for r, o in zip(rows, others, strict=True)]
    assert found["longer wins"].points == sum(a > max(o) for a, o in lengths)
    assert found["shorter wins"].points == sum(a < min(o) for a, o in lengths)
    assert found["longer wins"].counts["tie"] == sum(a == max(o) for a, o in lengths)
    assert found["shorter wins"].counts["tie"] == sum(a == min(o) for a, o in lengths)


def test_entry_and_table(runs) -> None:
    rows = runs[0].table().to_pylist()
    e = leaderboard.entry(runs[0])
    assert e.reports[0].overall.points == sum(r["outcome"] == "right" for r in rows)
    assert e.plus is None
    for d, found in e.by_dimension.items():
        assert found.n == sum(INDEX[d] in r["selected"] for r in rows)
    table = leaderboard.table(list(runs))
    assert table["rows"].tolist() == [N, N] and table["judge"].tolist() == ["judge 1", "judge 2"]


def test_scene_runs_know_the_decisive_dimension(tmp_path) -> None:
    done = run(
        Job(
            BENCHMARKS["scene"].open().first(92),
            RuleJudge(JudgeCard("x", "x", "rule", reads_images=False), lambda r: [1.0, 0.0]),
            tmp_path / "r",
            keep_images=False,
        )
    )
    assert done
    e = leaderboard.entry(done)
    assert e.by_dimension_means.startswith("records that this dimension decides")
    assert sum(r.n for r in e.by_dimension.values()) == 92
    assert e.controls["position-1 baseline (display order)"].points == e.reports[0].overall.points
    assert len(e.reports) == 2


def test_paired_is_matched_by_row_and_content(runs) -> None:
    a, b = (r.table().to_pylist() for r in runs)
    found = leaderboard.paired(*runs)
    assert found.only_a == sum(
        x["outcome"] == "right" and y["outcome"] != "right" for x, y in zip(a, b, strict=True)
    )
    assert found.n == N


def test_the_cheap_overall_is_the_leaderboards(runs) -> None:
    for one in runs:
        assert leaderboard.overall(one) == leaderboard.entry(one).reports[0].overall


def test_margins_of_the_runs_beside_it_stand_on_the_page(runs) -> None:
    a, b = runs
    found = browse.page(a, Filters("everything", blank=b, sort="order of the data"), limit=N).rows
    theirs = {r["row"]: r["margin"] for r in b.table().to_pylist()}
    assert len(found) == N
    for row, margin in zip(found["row"], found["margin_blank"], strict=True):
        assert margin == theirs[row] or (theirs[row] is None and np.isnan(margin))

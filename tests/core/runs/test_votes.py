"""Votes: the official majorities, order consistency, position preference, and the official coin."""

from __future__ import annotations

import math
import random
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.benchmarks import BENCHMARKS
from core.benchmarks.rows import Grouping
from core.judges.pairs import rewards_of
from core.records import JudgeCard, Judgement, Vote
from core.records.orders import depends_on_order
from core.runs import leaderboard
from core.runs.metrics import frame_points, report
from core.runs.run import open_run
from core.runs.runner import Job, run
from core.runs.votes import Cast, cast_in, majority, order_effects, voting_curve


def official_majority(labels):
    """cal.py: labels of one row -> its label."""
    counts, total = Counter(labels), len(labels)
    for name in ("agree", "reject", "doesntMatch"):
        if counts[name] > total / 2:
            return name
    return "other"


@given(st.lists(st.sampled_from([0, 1, None]), min_size=1, max_size=9), st.sampled_from([0, 1]))
def test_majorities_are_those_of_the_official_script(choices, preferred):
    labels = ["doesntMatch" if c is None else "agree" if c == preferred else "reject" for c in choices]
    names = {"agree": "agree", "reject": "reject", "doesn't match": "doesntMatch", "split": "other"}
    votes = [Vote((0, 1), "", c) for c in choices]
    assert names[majority(votes, preferred)] == official_majority(labels)


def test_split_and_unmatched_rows_leave_the_denominator():
    def cast(row, choices, subgroup="wildvision"):
        return Cast(row, subgroup, 0, tuple(Vote((0, 1), "", c) for c in choices))

    rows = [
        cast(0, [0, 0, 0]),
        cast(1, [1, 1, 1]),
        cast(2, [None] * 3),
        cast(3, [0, 1, None]),
        cast(4, [0, 0, 0], "povid"),
        cast(5, [0]),
    ]
    grouping = Grouping("g", {"wildvision": "general", "povid": "hallucination"})
    curve = {at.k: at for at in voting_curve(rows, grouping)}
    assert set(curve) == {1, 3}
    three = curve[3]
    assert (three.overall.points, three.overall.n, three.rows) == (2, 3, 5)
    assert three.counts == {"agree": 2, "reject": 1, "doesn't match": 1, "split": 1}
    assert three.groups["general"].value == 0.5 and three.macro == 0.75
    assert curve[1].rows == 6 and curve[1].counts["doesn't match"] >= 1


def test_more_votes_help_a_judge_that_is_right_more_often_than_not():
    rng = random.Random(0)
    rows = [
        Cast(i, "", 0, tuple(Vote((0, 1), "", int(rng.random() > 0.65)) for _ in range(9)))
        for i in range(2000)
    ]
    curve = [at.overall.value for at in voting_curve(rows)]
    assert len(curve) == 5 and curve == sorted(curve)
    for k, value in zip((1, 3, 5, 7, 9), curve, strict=True):
        expected = sum(math.comb(k, r) * 0.65**r * 0.35 ** (k - r) for r in range(k // 2 + 1, k + 1))
        assert value == pytest.approx(expected, abs=0.035)


def test_order_effects_by_hand():
    fair = Cast(0, "", 0, (Vote((0, 1), "", 0), Vote((1, 0), "", 0)))
    first = Cast(1, "", 0, (Vote((0, 1), "", 0), Vote((1, 0), "", 1)))
    by_odds = Cast(2, "", 0, (Vote((0, 1), "", 1, -2.0), Vote((1, 0), "", 1, 3.0)))
    silent = Cast(3, "", 0, (Vote((0, 1), "x", None, None, "cut off"), Vote((1, 0), "", 0)))
    found = order_effects([fair, first, by_odds, silent])
    assert (found.consistent.k, found.consistent.n) == (2, 3)
    assert (found.first.k, found.first.n) == (4, 7)
    assert found.undecided == {"cut off": 1} and found.answers == 8
    assert [depends_on_order(c.votes) for c in (fair, first, by_odds, silent)] == [False, True, False, None]
    assert found.first.low < 4 / 7 < found.first.high
    assert math.isnan(order_effects([]).consistent.value)


def test_the_interval_of_position_preference_resamples_rows():
    """Ten answers a row that say the same are one opinion: the interval is as wide as that of one answer a row."""
    rng = np.random.default_rng(0)
    firsts = rng.random(300) < 0.6

    def cast(times):
        votes = [
            [Vote(o, "", o[0] if first else o[1]) for o in ((0, 1), (1, 0)) for _ in range(times)]
            for first in firsts
        ]
        return [Cast(i, "", 0, tuple(v)) for i, v in enumerate(votes)]

    one, ten = order_effects(cast(1)).first, order_effects(cast(10)).first
    assert ten.n == 10 * one.n and (ten.low, ten.high) == pytest.approx((one.low, one.high), abs=1e-9)
    error = math.sqrt(one.value * (1 - one.value) / 300)  # of 300 independent rows
    assert (one.high - one.low) / 2 == pytest.approx(1.96 * error, rel=0.1)


def official_coin(outputs, labels):
    """Multimodal RewardBench's 2_get_accuracy.py, its lines: right per row."""
    random.seed(123)
    right = []
    for output, label in zip(outputs, labels, strict=True):
        if "[[A]]" in output:
            pred = "A"
        elif "[[B]]" in output:
            pred = "B"
        else:
            pred = "A" if random.random() < 0.5 else "B"
        right.append(pred == label)
    return right


def test_the_coin_is_the_official_one_over_the_file_and_its_groups_add_up():
    rng = np.random.default_rng(7)
    n = 400
    labels = rng.choice(["A", "B"], n)
    outputs = [("", "[[A]]", "[[B]]")[i] for i in rng.choice([0, 0, 1, 2], n)]
    groups = rng.choice(["knowledge", "math", "vqa"], n)
    official = official_coin(outputs, labels)
    outcomes = [
        "unparsed" if not o else "right" if o[2] == label else "wrong"
        for o, label in zip(outputs, labels, strict=True)
    ]
    frame = pd.DataFrame({
        "subgroup": groups.astype(object), "outcome": pd.Series(outcomes, dtype=object), "preferred_stored": (labels == "B").astype(int),
    })  # fmt: skip
    assert frame_points(frame, "coin").tolist() == [float(r) for r in official]
    found = report(frame, Grouping("g", {g: g for g in ("knowledge", "math", "vqa")}), "coin")
    assert found.overall.points == sum(official)
    for name, group in found.groups.items():
        assert group.points == sum(r for r, g in zip(official, groups, strict=True) if g == name)
    assert sum(g.points for g in found.groups.values()) == found.overall.points


class Voter:
    """Answers three times in each order, by its place in the file; always undecided on every fifth."""

    card = JudgeCard("voter", "voter", "generative", reads_images=False)

    def judge_batch(self, comparisons):
        return [self.judge(c) for c in comparisons]

    def judge(self, c):
        seed = sum(map(ord, c.id))
        votes = []
        for order in ((0, 1), (1, 0)):
            for k in range(3):
                undecided = seed % 5 == 0
                choice = None if undecided else c.preferred if (seed + k) % 4 else 1 - c.preferred
                votes.append(Vote(order, f"text {k}", choice, None, "no verdict" if undecided else ""))
        return Judgement(c.id, "voter", rewards_of(2, votes), votes=tuple(votes))


def test_votes_are_stored_and_read_back_and_the_leaderboard_takes_the_coin(tmp_path):
    done = run(Job(BENCHMARKS["scene"].open().first(60), Voter(), tmp_path / "r", keep_images=False))
    cast = cast_in(open_run(done.folder).file)
    assert len(cast) == 60 and all(len(c.votes) == 6 for c in cast)
    undecided = sum(c.votes[0].choice is None for c in cast)
    assert 0 < undecided < 60 and order_effects(cast).undecided == {"no verdict": 6 * undecided}
    at = voting_curve(cast)[-1]
    assert at.k == 5 and at.counts["doesn't match"] == undecided
    rows = done.table(["outcome", "problem", "preferred", "stored"]).to_pylist()
    assert all(r["problem"] == "no verdict" for r in rows if r["outcome"] == "unparsed")
    official = official_coin(
        ["" if r["outcome"] == "unparsed" else f"[[{'AB'[r['stored'][r['preferred']] if r['outcome'] == 'right' else 1 - r['stored'][r['preferred']]]}]]" for r in rows],
        ["AB"[r["stored"][r["preferred"]]] for r in rows],
    )  # fmt: skip
    assert leaderboard.overall(done, "coin").points == sum(official)
    entry = leaderboard.entry(done, "coin")
    assert entry.reports[0].overall.points == sum(official)
    if entry.by_dimension:
        assert sum(r.points for r in entry.by_dimension.values()) == sum(official)

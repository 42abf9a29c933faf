"""What a judge writes against what it decides, beside a plain loop over the same votes."""

from __future__ import annotations

import json
import random
import shutil
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from core.benchmarks import BENCHMARKS
from core.judges.rules import RuleJudge
from core.records import Comparison, JudgeCard, Judgement, Vote
from core.runs import browse
from core.runs.browse import Filters
from core.runs.manifest import RunError
from core.runs.run import Run, open_run
from core.runs.runner import Job, run
from core.runs.said import SAID_CHOICES, contradictions, stated_by, states_choices

ROWS = 150


class Torn:
    """Writes answers, and rewards responses by something else."""

    card = JudgeCard("torn", "torn", "generative", reads_images=False)

    def judge(self, comparison: Comparison) -> Judgement:
        rng = random.Random(comparison.prompt)
        n = len(comparison.responses)
        votes = tuple(
            Vote((0, 1), "" if rng.random() < 0.2 else "I think so.", rng.choice([None, *range(n)]), None)
            for _ in range(rng.randrange(6))
        )
        votes = tuple(replace(v, choice=None) if not v.text else v for v in votes)
        rewards = tuple(float(rng.randrange(3)) for _ in range(n))
        return Judgement(
            comparison.id, "torn", rewards, votes=votes, critique=next((v.text for v in votes if v.text), "")
        )

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        return [self.judge(c) for c in comparisons]


@pytest.fixture(scope="module")
def torn(tmp_path_factory) -> Run:
    folder, rng = tmp_path_factory.mktemp("runs"), random.Random(1)
    rows = [
        {"prompt": f"{i}?", "responses": ["a", "b", "c"][:n], "preferred": rng.randrange(n)}
        for i in range(ROWS)
        for n in [2 + i % 2]
    ]
    (folder / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return run(Job(BENCHMARKS["own"].open(folder / "d.jsonl"), Torn(), folder / "torn"))


def plain(stored: dict) -> int | None:
    counts = Counter(v["choice"] for v in stored["votes"] or () if v["text"] and v["choice"] is not None)
    ranked = counts.most_common()
    return ranked[0][0] if ranked and [n for _, n in ranked].count(ranked[0][1]) == 1 else None


def test_the_filters_find_what_a_plain_loop_finds(torn):
    rows = pq.read_table(torn.file).to_pylist()
    says = {r["row"]: plain(r) for r in rows}
    right = [r["row"] for r in rows if says[r["row"]] == r["preferred"] and r["outcome"] == "wrong"]
    wrong = [
        r["row"] for r in rows if says[r["row"]] not in (None, r["preferred"]) and r["outcome"] == "right"
    ]
    assert min(len(right), len(wrong)) > 5 and None in says.values()
    assert states_choices(torn)
    for name, expected in zip(SAID_CHOICES, (right, wrong), strict=True):
        assert contradictions(torn)[name].tolist() == expected
        found = browse.page(torn, Filters(said=name, sort="order of the data"), limit=1000)
        assert found.rows["row"].tolist() == expected and found.total == len(expected)
        some = browse.page(torn, Filters(said=name, search="1", sort="order of the data"), limit=1000)
        assert some.rows["row"].tolist() == [r for r in expected if "1" in rows[r]["prompt"]]


def test_thoughts_count_before_the_stated_choice(tmp_path):
    class Thinks(Torn):
        """Finds fault with the second response, and decides for it."""

        card = replace(Torn.card, embedded=True)

        def judge(self, comparison: Comparison) -> Judgement:
            text = "<think>Response 2 is wrong.</think><answer>2</answer>"
            return Judgement(
                comparison.id, "t", (0.0, 1.0), votes=(Vote((0, 1), text, 1, None),), critique=text
            )

    rows = [{"prompt": f"{i}?", "responses": ["a", "b"], "preferred": i % 2} for i in range(6)]
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    made = run(Job(BENCHMARKS["own"].open(tmp_path / "d.jsonl"), Thinks(), tmp_path / "thinks"))
    found = contradictions(made)
    preferred = pq.read_table(made.file)["preferred"].to_pylist()  # in the order in which they were shown
    expected = [[i for i, p in enumerate(preferred) if p == side] for side in (0, 1)]
    assert [found[name].tolist() for name in SAID_CHOICES] == expected and all(expected)


def test_one_record_reads_as_the_filter_has_it(torn):
    for stored in pq.read_table(torn.file).to_pylist():
        judged = browse.judgement(torn, stored["row"])
        assert stated_by(judged.votes) == plain(stored)


def test_a_run_without_texts_has_no_such_filter(torn, tmp_path):
    file = torn.folder.parent / "d.jsonl"
    other = run(
        Job(
            BENCHMARKS["own"].open(file),
            RuleJudge(JudgeCard("x", "x", "rule", reads_images=False), lambda r: [float(len(t)) for t in r]),
            tmp_path / "longer",
        )
    )
    assert not states_choices(other)
    assert all(not len(rows) for rows in contradictions(other).values())


def test_a_choice_that_cannot_be_is_told_as_damage(torn, tmp_path):
    folder = tmp_path / "broken"
    shutil.copytree(torn.folder, folder)
    table = pq.read_table(folder / "judgements.parquet").to_pylist()
    next(r for r in table if r["votes"])["votes"][0]["choice"] = 2**31 - 1
    pq.write_table(pa.Table.from_pylist(table, pq.read_schema(torn.file)), folder / "judgements.parquet")
    with pytest.raises(RunError, match="damaged"):
        contradictions(open_run(folder))

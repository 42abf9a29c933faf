"""Votes and criteria on the Leaderboard page and in the terminal: the same numbers, escaped, and nothing where there are none."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from app.leaderboard import figures
from app.leaderboard.detail import criteria_html, voting_html
from app.leaderboard.page import LeaderboardPage
from core.benchmarks import BENCHMARKS
from core.commands.measures import lines
from core.judges.pairs import rewards_of
from core.records import JudgeCard, Judgement, Vote
from core.runs import leaderboard
from core.runs.library import BUNDLED, Library
from core.runs.runner import Job, run

EVIL = "<img src=x onerror=alert(1)>"


class Voter:
    """Three answers in each order: right twice of three; for completeness it always wants the first response shown."""

    card = JudgeCard("voter", "voter", "generative", reads_images=False)

    def judge_batch(self, comparisons):
        return [self.judge(c) for c in comparisons]

    def judge(self, c):
        votes = []
        for order in ((0, 1), (1, 0)):
            for k in range(3):
                choice = c.preferred if k else 1 - c.preferred
                choice = order[0] if "Completeness" in c.prompt else choice
                lost = "Clarity" in c.prompt and k == 0
                votes.append(Vote(order, "text", None if lost else choice, None, EVIL if lost else ""))
        return Judgement(c.id, "voter", rewards_of(2, votes), votes=tuple(votes))


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    root = tmp_path_factory.mktemp("runs")
    Image.new("RGB", (30, 20), "red").save(root / "i.png")
    rows = [
        {"image": "i.png", "question_id": f"{item}{criterion}", "question": "What is it?", "pred_a": f"One of {item}.", "pred_b": f"Other of {item}.",
         "split": "open_ended", "criterion": criterion, "preference": label, "prompt_id": f"p{item}"}
        for item in range(6) for criterion, label in (("clarity", "model_a"), ("completeness", "model_b"))
    ]  # fmt: skip
    (root / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    loaded = BENCHMARKS["multi-crit"].open(root / "data.jsonl")
    run(Job(loaded, Voter(), root / "runs" / "multi-crit" / "voter", keep_images=False))
    return root / "runs"


def test_the_page_and_the_terminal_say_the_same(runs):
    library = Library([runs])
    (name,) = [n for n, r in library.runs().items() if r.manifest.benchmark == "multi-crit"]
    done = library.runs()[name]
    page = LeaderboardPage(library, None)
    text, *_, column, curve = page.on_detail(name, None, "wrong")
    told = "\n".join(lines(done))
    order = leaderboard.voting(done).order
    # Half of the rows (completeness) turn with the order; all of their answers want what is shown first.
    assert (order.consistent.k, order.consistent.n) == (6, 12)
    assert (order.first.k, order.first.n) == (36 + 12, 60)
    for words in ("50.00 % (6/12", "80.00 % (48/60"):
        assert words in text and words in told
    assert "Voting@3" in told and 'id="votes"' in text and 'id="criteria"' in text and "PAcc" in told
    assert EVIL not in text and "&lt;img src=x" in text and f"6 {EVIL}" not in text
    assert column.visible and curve.count("<circle") == 3
    table = leaderboard.table([done])
    assert table["order consistency"][0] == 50 and table["first position preferred"][0] == 80
    assert table["Voting@5"][0] == round(100 * leaderboard.voting(done).curve[2].overall.value, 2)


def test_a_judge_without_votes_has_none_shown(runs):
    page = LeaderboardPage(Library([BUNDLED]), None)
    name = next(n for n, r in page.library.runs().items() if r.manifest.judge.kind == "gated")
    text, *_, column, curve = page.on_detail(name, None, "wrong")
    assert 'id="votes"' not in text and 'id="criteria"' not in text and not column.visible and not curve
    assert str(voting_html(None)) == str(criteria_html(())) == ""
    assert not any("Voting" in line for line in lines(page.library.runs()[name]))
    assert figures.voting([]).points == ()

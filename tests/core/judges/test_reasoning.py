"""The embedded judge that writes its own answer: what it is, and that it judges far above chance in both orders."""

from __future__ import annotations

import pytest

from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.said import of_row
from core.model.files import EMBEDDED_REASONING
from core.world.splits import held_out


@pytest.fixture(scope="module")
def judge():
    return open_judge("reasoning", Options(device="cpu"))


def test_its_card_says_what_it_is(judge):
    card = judge.card
    assert (card.id, card.kind, card.embedded, card.dtype) == ("reasoning", "generative", True, "float32")
    assert card.trained_on and "own-answer" in card.about and card.parameters < 5_000_000
    assert sum(f.stat().st_size for f in EMBEDDED_REASONING.iterdir()) < 10_000_000


def test_it_judges_held_out_records_in_both_orders(judge):
    records = list(held_out(46, seed=9))[:46]  # each family once, with its twin
    judged = judge.judge_batch(records)
    right = [j.choice == r.preferred for r, j in zip(records, judged, strict=True)]
    assert sum(right) / len(right) > 0.65
    for r, j in zip(records, judged, strict=True):
        for vote in j.votes:
            assert vote.problem or vote.choice is not None
            assert (vote.log_odds is None) == (vote.choice is None)
        row = {"critique": j.critique, "responses": r.responses, "preferred": r.preferred,
               "votes": [{"order": v.order, "text": v.text, "choice": v.choice} for v in j.votes]}  # fmt: skip
        assert of_row(row).decided in (0, 1, None)

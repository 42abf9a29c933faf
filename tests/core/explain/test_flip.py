"""The flip that is found turns the verdict when it is judged afresh, and nothing of it can be left out."""

from dataclasses import replace

import pytest

from core.explain import explain
from core.explain.edits import applied
from core.explain.explanation import with_check
from core.explain.flip import FEW, flip
from core.explain.parts import parts
from core.records import Judgement, RecordError
from core.records.edit_path import Step
from core.world.splits import couple

FAMILIES = ("count", "colour", "relation", "table", "sum", "text")


@pytest.fixture(scope="module")
def cases(embedded_judge):
    out = []
    for family in FAMILIES:
        record = couple(family, "flip")[0]
        judged = embedded_judge.judge(record)
        out.append(
            (
                record,
                judged,
                explain(embedded_judge, record, judged, method="ablation", level="word", check=False),
            )
        )
    return out


def test_what_is_found_turns_the_verdict_when_judged_afresh(embedded_judge, cases):
    found = [(r, j, flip(embedded_judge, r, j, e)) for r, j, e in cases]
    assert sum(f is not None for *_, f in found) >= len(FAMILIES) - 1
    for record, judged, f in found:
        if f is None:
            continue
        fresh = embedded_judge.judge(applied(record, f.step))
        assert fresh.margin(0, 1) == pytest.approx(f.after, abs=1e-3)
        assert fresh.margin(0, 1) * judged.margin(0, 1) < 0 and f.before == judged.margin(0, 1)
        assert f.step.found and f.units >= 1


def test_it_is_the_nearest_of_the_single_changes_that_turn(embedded_judge, cases):
    """By hand: every word struck and every region erased, one at a time. What is found is one unit wherever one does."""
    from core.explain.counterfactual import change_region, delete_span

    for record, judged, e in cases[:3]:
        before, turned = judged.margin(0, 1), []
        for n in (0, 1):
            for _, start, end in e.tokens[n]:
                edit = delete_span(record, n, start, end)
                if edit and embedded_judge.judge(edit.comparison).margin(0, 1) * before < 0:
                    turned.append(edit)
        rows, columns = len(e.patch_values), len(e.patch_values[0])
        for r in range(rows):
            for c in range(columns):
                box = (c / columns, r / rows, (c + 1) / columns, (r + 1) / rows)
                edit = change_region(record, box, "erase", "x")
                if embedded_judge.judge(edit.comparison).margin(0, 1) * before < 0:
                    turned.append(edit)
        found = flip(embedded_judge, record, judged, e)
        if turned and found:
            assert found.units == 1


class Counted:
    """A judge whose reward is how many of the words that it likes stand in a response."""

    rewords = decomposes_head = False

    def __init__(self, liked):
        self.liked, self.asked = liked, 0

    def judge_batch(self, comparisons):
        self.asked += len(comparisons)
        return [self.judge(c) for c in comparisons]

    def judge(self, c):
        return Judgement(
            c.id, "counted", tuple(float(sum(w in self.liked for w in r.split())) for r in c.responses)
        )


def counted(texts, liked, values):
    record = replace(couple("count", "flip")[0], responses=texts, preferred=None)
    judge = Counted(liked)
    e = explanation(texts, values)
    return record, judge, judge.judge(record), e


def explanation(texts, values):
    from core.judges.pieces import pieces
    from core.records import Explanation

    return Explanation("c", "margin A − B", "Ablation", "grey", 0, tuple(tuple(pieces(t, "word")) for t in texts), values,
                       ((0.0, 0.0), (0.0, 0.0)), 0.0, 0.0, 3.0, 0.0, None, 0.0, "float32", method_key="ablation")  # fmt: skip


def test_words_that_are_not_needed_are_put_back():
    """A wins by three words; four must go for B to win, one of the five that speak for A does nothing."""
    record, judge, judged, e = counted(
        ("yes so yes yes ok there", "yes"), {"yes", "ok"}, ((1.0, 0.9, 1.0, 1.0, 0.5, 0.0), (0.0,))
    )
    found = flip(judge, record, judged, e)
    assert found.step == Step(responses=((0, "so there"),), found=True) and found.units == 4
    assert judge.judge(applied(record, found.step)).margin(0, 1) == found.after == -1.0


def test_of_a_costly_judge_few_edits_are_asked():
    record, judge, judged, e = counted(
        ("yes yes yes yes ok", "no"), {"yes"}, ((1.0, 1.0, 1.0, 1.0, 0.1), (0.0,))
    )
    assert flip(judge, record, judged, e, FEW) is None and judge.asked <= FEW


def test_without_a_verdict_there_is_nothing_to_turn():
    for texts in (("yes", "yes"), ("no", "no")):
        record, judge, judged, e = counted(texts, {"yes"}, ((1.0,), (1.0,)))
        with pytest.raises(RecordError, match="no verdict"):
            flip(judge, record, judged, e)


def test_parts_add_up_to_the_ablation_of_the_margin(embedded_judge, cases):
    for record, judged, e in cases[:3]:
        found = parts(embedded_judge, record, judged, e)
        assert found.dimensions == judged.selected
        for n in (0, 1):
            assert [sum(row) for row in found.words[n]] == pytest.approx(e.token_values[n], abs=1e-4)
        flat = [v for row in e.patch_values for v in row]
        assert [sum(row) for row in found.regions] == pytest.approx(flat, abs=1e-4)


@pytest.mark.parametrize("method", ["ablation", "integrated_gradients", "decomposition"])
def test_the_check_by_itself_is_the_check_of_the_whole(embedded_judge, cases, method):
    record, judged, _ = cases[0]
    whole = explain(embedded_judge, record, judged, method=method, level="word")
    alone = with_check(embedded_judge, record, judged, replace(whole, faithfulness=None))
    for ours, theirs in (
        (alone.faithfulness.words, whole.faithfulness.words),
        (alone.faithfulness.regions, whole.faithfulness.regions),
    ):
        assert ours.names == theirs.names
        assert (ours.after, ours.random) == pytest.approx((theirs.after, theirs.random), abs=1e-5)

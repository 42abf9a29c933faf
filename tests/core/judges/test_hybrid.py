"""The hybrid judge: sums, classes that no model can overturn, its aspects by hand, and everywhere that a judge can appear."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from app.common import figures, item_view
from core.benchmarks import BENCHMARKS
from core.explain import explain, has_gate, targets_for
from core.judges.aspects import LengthPenalty, instruction_adherence, length_penalty, text_of, verified
from core.judges.hybrid import INSIDE, RULE, HybridJudge, hybrid_over, model_part, model_slopes, rules_of
from core.judges.named import NAMED
from core.judges.opening import HYBRIDS, open_judge
from core.judges.options import Options
from core.judges.protocols import Differentiable
from core.judges.rules import longer
from core.records import Comparison, JudgeCard, Judgement, Known
from core.records.bundle import Bundle, read, write
from core.runs.leaderboard import entry
from core.runs.runner import Job, run
from core.runs.schema import judgement_of
from core.runs.verifiability import ALIKE, DECIDES, SILENT, by_verifiability

GREY = Image.new("RGB", (56, 56), (90, 90, 90))


class Says:
    """A model whose rewards the test chooses."""

    def __init__(self, *rewards):
        self.rewards, self.card, self.asked = rewards, JudgeCard("says", "says", "scalar"), 0

    def judge(self, comparison):
        return self.judge_batch([comparison])[0]

    def judge_batch(self, comparisons):
        self.asked += len(comparisons)
        return [Judgement(c.id, "says", tuple(self.rewards[: len(c.responses)])) for c in comparisons]


def comparison(*responses, prompt="How many stars?", known=None, preferred=None):
    return Comparison("c", GREY, prompt, responses, preferred, known=known)


FIVE = Known(("5",))


def parts(judgement, a=0, b=1):
    return {judgement.dimensions[d].key: v for d, v in judgement.contributions(a, b).items()}


def test_where_a_rule_is_sure_it_decides_and_says_why():
    for form in ("plain", "normalised"):
        judged = HybridJudge(Says(-50.0, 50.0), form).judge(
            comparison("There are 5.", "There are 4.", known=FIVE)
        )
        assert judged.choice == 0 and judged.margin(0, 1) == pytest.approx(math.log(0.999 / 0.001))
        assert judged.critique.splitlines()[1].startswith("B · rule: 4 ≠ 5, sure")


def test_elsewhere_the_models_margin_is_kept_as_it_is():
    for form in ("plain", "normalised"):
        judged = HybridJudge(Says(3.0, 1.8), form).judge(comparison("A shape.", "A thing."))
        assert judged.margin(0, 1) == pytest.approx(1.2) and parts(judged) == {"model": pytest.approx(1.2)}
        assert judged.critique == "A · model: +0.60\nB · model: -0.60"


def test_the_plain_form_does_not_ask_a_model_about_what_rules_have_settled():
    model = Says(1.0, 0.0)
    HybridJudge(model, "plain").judge(comparison("5", "4", known=FIVE))
    assert model.asked == 0
    HybridJudge(model, "plain").judge(comparison("5", "five", known=FIVE))
    assert model.asked == 1  # both right: the rule does not separate them


def test_constraints_are_the_rule_where_no_answer_can_be_checked():
    judged = HybridJudge(Says(0.0, 9.0)).judge(
        comparison("The sum is 4.", "4", prompt="Add up. Answer in a full sentence.")
    )
    assert judged.choice == 0 and set(parts(judged)) == {"rule", "model"}
    both = HybridJudge(Says(0.0, 9.0)).judge(
        comparison("The sum is 5.", "5", prompt="Add up. Answer in a full sentence.", known=FIVE)
    )
    assert (
        parts(both)["rule"] == 0 and parts(both)["instructions"] == 1.0
    )  # both answers are right: the form is an aspect


def test_without_a_model_nothing_is_said_where_no_rule_is_sure():
    judged = HybridJudge(None).judge(comparison("A shape.", "A thing."))
    assert judged.rewards == (0.0, 0.0) and judged.selected == () and "no rule applies" in judged.critique


def test_a_model_without_a_verdict():
    nan = float("nan")
    assert math.isnan(HybridJudge(Says(nan, nan)).judge(comparison("A shape.", "A thing.")).rewards[0])
    judged = HybridJudge(Says(nan, nan)).judge(comparison("5", "4", known=FIVE))
    assert judged.choice == 0 and "no verdict" in judged.critique


rewards = st.floats(-1e6, 1e6, allow_nan=False)
answers = st.sampled_from(
    ["5", "There are 5.", "4", "It is 6, surely, I think so.", "Some.", "Many of them, 5 or 6.", "1e999"]
)


@given(
    st.lists(st.tuples(answers, rewards), min_size=2, max_size=8),
    st.sampled_from(["", " Answer in a full sentence.", " Use at most 3 words."]),
)
@settings(max_examples=200, deadline=None)
def test_no_model_overturns_a_sure_rule_in_the_normalised_form(rows, instruction):
    """Whatever the model says and whatever the other aspects add: a response that is surely right stands above any that is
    not, and one that is surely wrong below any that is not."""
    c = comparison(*(t for t, _ in rows), prompt="How many stars?" + instruction, known=FIVE)
    judged = HybridJudge(Says(*(r for _, r in rows)), "normalised").judge(c)
    classes = rules_of(c).classes
    for i, first in enumerate(classes):
        for j, second in enumerate(classes):
            if first > second:
                assert judged.rewards[i] > judged.rewards[j]


@given(
    st.lists(st.tuples(answers, rewards), min_size=2, max_size=8), st.sampled_from(["plain", "normalised"])
)
@settings(max_examples=100, deadline=None)
def test_aspects_sum_to_rewards_and_contributions_to_margins(rows, form):
    c = comparison(*(t for t, _ in rows), prompt="How many? At most 2 words.", known=FIVE)
    judged = HybridJudge(Says(*(r for _, r in rows)), form).judge(c)
    for reward, row in zip(judged.rewards, judged.scores, strict=True):
        assert reward == pytest.approx(
            sum(w * s for w, s in zip(judged.weights, row, strict=True)), rel=1e-12, abs=1e-6
        )
    for a in range(len(rows)):
        for b in range(a + 1, len(rows)):
            assert sum(parts(judged, a, b).values()) == pytest.approx(
                judged.margin(a, b), rel=1e-12, abs=1e-6
            )


def test_the_models_part_by_hand():
    assert model_part([1.0, 4.0, 1.0], (0, 0, 0), "normalised") == [-1.0, 2.0, -1.0]
    assert model_part([9.0, 5.0, 1.0, 2.0], (1, -1, -1, -1), "normalised") == pytest.approx(
        [0, INSIDE, -INSIDE, -INSIDE / 2]
    )
    assert model_part([9.0, 5.0, 1.0], (1, 0, 0), "plain") == [0.0, 2.0, -2.0]
    assert RULE - 2 * INSIDE > 1.5


def test_how_the_models_part_moves_is_its_derivative():
    """Of rewards that stay inside their class's span; the mean of a class is a shift that no margin within it sees."""
    rewards = [3.0, 1.0, 2.0, -4.0, 0.5]
    for classes, form in (
        ((0, 0, 0, 0, 0), "normalised"),
        ((1, 0, 0, 0, -1), "plain"),
        ((1, 1, 1, -1, -1), "normalised"),
    ):
        slopes = model_slopes(rewards, classes, form)
        moved = list(rewards)
        moved[2] += 0.25
        before, after = (model_part(r, classes, form) for r in (rewards, moved))
        if classes[1] == classes[2]:
            assert (after[2] - after[1]) - (before[2] - before[1]) == pytest.approx(0.25 * slopes[2])


def test_a_form_that_is_not_one():
    with pytest.raises(ValueError, match="normalised, plain"):
        HybridJudge(None, "both")


# -- aspects in TRL's signature --------------------------------------------------------------------------------


def chat(text):
    return [{"role": "assistant", "content": [{"type": "text", "text": text}]}]


def test_a_completion_is_a_text_or_a_chat():
    assert text_of("a") == text_of(chat("a")) == text_of([{"role": "assistant", "content": "a"}]) == "a"
    assert text_of([]) == text_of([{"role": "assistant", "content": None}]) == ""


def test_verified_is_none_where_no_rule_is_sure():
    asked = [[{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "How many?"}]}]] * 4
    said = [chat("There are 5."), chat("4"), chat("Some."), chat("5")]
    assert verified(asked, said, reference=["5", ["5", "five"], "5", None]) == [1.0, 0.0, None, None]
    assert verified(asked, said) == [None] * 4


def test_instruction_adherence_is_the_share_kept():
    prompts = ["At most 3 words, all lowercase."] * 2 + ["What?"]
    assert instruction_adherence(prompts, ["one two", "One two", "x"]) == [1.0, 0.5, None]


def test_the_length_penalty_of_the_notes():
    """P_max 0.5, tau 0.2: lengths 100 (right), 80, 40, 5, 150 (wrong)."""
    found = length_penalty([100, 80, 40, 5, 150], [True, False, False, False, False])
    assert found == pytest.approx([0, 0, -0.25, -0.46875, 0])
    assert length_penalty([100, 5], [False, False]) == [None, None]  # no correct sample
    assert length_penalty([100, 5, 5], [True, None, False])[1] is None


def test_the_length_penalty_over_groups_of_completions():
    penalty = LengthPenalty(2)
    texts = ["The number of them all is 5 in this picture.", "4", "6", "4"]
    found = penalty(["How many?"] * 4, texts, reference=["5"] * 4)
    assert found[0] == 0 and found[1] < -0.3 and found[2:] == [None, None]
    tokens = penalty(
        ["How many?"] * 4, texts, completion_ids=[[0] * 10, [0] * 6, [0], [0]], reference=["5"] * 4
    )
    assert tokens[1] == pytest.approx(-0.5 * (0.4 - 0.2) / 0.8)
    with pytest.raises(ValueError, match="whole groups of 2"):
        penalty(["x"] * 3, ["y"] * 3)
    with pytest.raises(ValueError):
        LengthPenalty(2, tau=1.0)


# -- everywhere a judge can be ---------------------------------------------------------------------------------


def test_it_opens_over_any_judge():
    assert set(HYBRIDS) <= set(NAMED)
    over = open_judge("hybrid:longer")
    assert (
        over.card.kind == "hybrid"
        and "longer wins" in over.card.name
        and not isinstance(over, Differentiable)
    )
    assert NAMED["hybrid-plain"](Options("shorter")).form == "plain"
    assert open_judge("rules").card.reads_images is False


def test_over_the_embedded_model_it_is_explained_by_the_models_part(embedded_judge):
    judge = hybrid_over(embedded_judge)
    assert isinstance(judge, Differentiable) and not has_gate(judge)
    settled = comparison("It is 7.", "It is 8.", prompt="What is 3 plus 4?")
    nothing = explain(judge, settled, judge.judge(settled), pair=(0, 1), method="gradient")
    assert nothing.target_value == pytest.approx(judge.judge(settled).margin(0, 1), abs=1e-4)
    assert not np.any(nothing.token_values[0]) and not np.any(nothing.patch_values)
    c = replace(next(iter(BENCHMARKS["scene"].built_in(3))).comparison, truth=None)
    judged = judge.judge(c)
    own = embedded_judge.judge(c)
    assert judged.margin(0, 1) == pytest.approx(own.margin(0, 1), abs=1e-5)
    assert [k for k, _ in targets_for(judge, judged)] == ["margin", "reward"]
    mine, its = (
        explain(j, c, jd, pair=(0, 1), method="gradient")
        for j, jd in ((judge, judged), (embedded_judge, own))
    )
    assert np.allclose(mine.token_values[0], its.token_values[0]) and np.allclose(
        mine.patch_values, its.patch_values
    )
    opened = read(write(Bundle(c, judged, mine, None, judge.card)))
    assert opened.judgement == judged and opened.card == judge.card


def test_it_is_drawn_and_told_like_any_judge_with_dimensions():
    judged = HybridJudge(Says(1.0, 0.0)).judge(comparison("There are 5.", "4", known=FIVE))
    assert figures.waterfall(judged, 0, 1) and figures.scores(judged) and figures.gates(judged)
    told = item_view.contributions_html(judged, 0, 1) + item_view.critique_html(judged)
    assert "Rule" in told and "4 ≠ 5, sure" in told


def test_hostile_answers_are_escaped_in_what_it_says():
    judged = HybridJudge(None).judge(comparison("5", "<script>alert(1)</script> 4", known=FIVE))
    assert "<script>" not in item_view.critique_html(judged)


def test_runs_hold_it_and_the_leaderboard_parts_rows_by_what_rules_know(tmp_path):
    loaded = BENCHMARKS["scene"].open().first(230)
    runs = {
        name: run(Job(loaded, open_judge(name), tmp_path / name, keep_images=False))
        for name in ("rules", "longer", "hybrid:longer")
    }
    hybrid = runs["hybrid:longer"]
    for stored in hybrid.table().to_pylist():
        judged = judgement_of(stored, hybrid.manifest)
        assert sum(judged.contributions(0, 1).values()) == pytest.approx(judged.margin(0, 1), abs=1e-4)
    assert entry(hybrid).by_dimension
    found = by_verifiability([runs["longer"], runs["rules"], hybrid])
    assert sum(found.rows.values()) == 230 and found.rows[DECIDES] > 3
    names = {k: r.name for k, r in runs.items()}
    rule, model, both = (found.table[names[k]] for k in ("rules", "longer", "hybrid:longer"))
    assert both[DECIDES].points == rule[DECIDES].points >= 0.9 * rule[DECIDES].n
    assert both[SILENT].points == model[SILENT].points and both[ALIKE].points == model[ALIKE].points
    assert rule[SILENT].points == 0  # a tie is wrong
    assert by_verifiability([runs["longer"]]) is None


def test_what_the_data_knows_is_read_and_no_model_sees_it(tmp_path):
    GREY.save(tmp_path / "a.png")
    rows = [
        {"image": "a.png", "prompt": "How many?", "chosen": "There are 5.", "rejected": "4", "reference": 5},
        {"image": "a.png", "prompt": "Is there a dog?", "chosen": "No.", "rejected": "Yes.", "objects": ["cat"], "texts": "[\"x\"]"},
        {"image": "a.png", "prompt": "What?", "chosen": "a", "rejected": "b", "reference": {"a": 1}},
    ]  # fmt: skip
    (tmp_path / "mine.jsonl").write_text("\n".join(map(json.dumps, rows)))
    loaded = BENCHMARKS["own"].open(tmp_path / "mine.jsonl")
    read_rows = list(loaded.rows())
    assert read_rows[0].comparison.known == Known(("5",)) and read_rows[1].comparison.known == Known(
        (), ("cat",), ("x",)
    )
    assert "column reference" in read_rows[2].problem
    assert loaded.reading.columns["reference answer, for rules only"] == "reference"
    for row in read_rows[:2]:
        judged = HybridJudge(longer()).judge(row.comparison)
        assert judged.choice == row.comparison.preferred


def test_inspect_shows_which_part_decided():
    from app.common.words import about
    from app.inspect import views
    from app.inspect.first_looks import Looks
    from app.inspect.gallery import gallery

    judge = open_judge("hybrid")
    picture = gallery()[0].path
    c = views.comparison_of(picture, "What is 3 plus 4?", ["It is 7.", "It is 8."])
    view = views.judge_view(Looks(judge, {}), c)
    shown = views.verdict_html(view)
    assert "rule: 7 = 3 plus 4, sure" in shown and "rule: 8 ≠ 3 plus 4, sure" in shown
    assert view.judgement.choice == 0 and set(views.table(view)["dimension"]) == {
        "Rule",
        "Model",
        "Instructions",
        "Length",
    }
    assert [key for _, key in views.targets_of(view, judge)] == ["margin"]
    assert "plain sum of rule, model" in about(judge.card)
    assert sum(views.as_dict(view, judge)["judgement"]["weights"]) == len(view.judgement.selected)

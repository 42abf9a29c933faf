"""Rewards of a reasoning judge: the table of the notes, hostile answers, any judge behind the same signature."""

from __future__ import annotations

import math

import pytest
from PIL import Image

from core.alignment.rewards import (
    WEIGHTS,
    Accuracy,
    JudgeReward,
    by_conclusion,
    by_judge,
    format_reward,
    guarded,
    label_of,
    reasoning_rewards,
    thoughts,
)
from core.judges.hybrid import HybridJudge
from core.judges.prompts import PROMPTS
from core.judges.rules import longer
from core.records import JudgeCard, Judgement

THINK = PROMPTS["think"]
GREY = Image.new("RGB", (28, 28))


def said(conclusion: str, answer: str) -> str:
    return f"<think>One counts four. {conclusion}</think><answer>{answer}</answer>"


def total(text: str, label: int = 2, **columns) -> float:
    functions, weights = reasoning_rewards(THINK, **columns)
    rewards = [f(prompts=["?"], completions=[text], answer=[label]) for f in functions]
    return sum(w * (r[0] or 0.0) for w, r in zip(weights, rewards, strict=True))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (said("So Response 2 is better.", "2"), 2.0),  # right, consistent, format
        (said("Hard to tell.", "2"), 1.5),  # right, no conclusion to read, format
        (said("So Response 1 is better.", "2"), 1.0),  # right, inconsistent, format
        (said("So Response 1 is better.", "1"), 0.5),  # wrong, format
        ("Response 1 is better. <answer>1</answer>", 0.0),  # wrong, no format
        ("Response 2 is better. <answer>2</answer>", 1.5),  # right, consistent, no format
    ],
)
def test_the_table_of_cases(text, value):
    assert total(text) == value == total([{"role": "assistant", "content": text}])


def test_a_verifier_that_raises_gives_nothing_and_as_released_gives_one():
    def broken(**_):
        raise RuntimeError("no server")

    assert guarded(broken)(prompts=["?"], completions=["x"]) == [None]
    assert guarded(broken, on_error=1.0)(prompts=["?"] * 2, completions=["x"] * 2) == [1.0, 1.0]


def test_one_bad_sample_does_not_take_the_others_with_it():
    def picky(completions, answer, **_):
        return [1 / a for a in answer]

    found = guarded(picky)(prompts=["?"] * 3, completions=["x"] * 3, answer=[1, 0, 2], trainer_state=object())
    assert found == [1.0, None, 0.5]


@pytest.mark.parametrize("value", [None, math.nan, math.inf, -math.inf])
def test_what_is_not_a_number_is_none(value):
    assert guarded(lambda **_: [value])(prompts=["?"], completions=["x"]) == [None]


@pytest.mark.parametrize(
    "text",
    [
        "", "<think></think>", "<answer>3</answer>", "<answer></answer>", "<answer>1 or 2</answer>", "both are fine",
        "<think>" + "and " * 10_000, "<answer>2", "&lt;answer&gt;2&lt;/answer&gt;", r"\boxed{2}", "<answer>-2.5</answer>",
    ],
)  # fmt: skip
def test_a_text_without_a_verdict_earns_nothing_for_accuracy(text):
    for label in (1, 2):
        assert Accuracy(THINK)(completions=[text], answer=[label]) == [0.0]


def test_the_parser_that_scores_is_the_parser_that_judges():
    """R1-Reward's script reads what is not the number 1 as 2; asked with its prompt, so does the reward."""
    assert Accuracy(PROMPTS["r1-reward"])(completions=["nonsense"], answer=[2]) == [1.0]
    assert Accuracy(THINK)(completions=["nonsense"], answer=[2]) == [0.0]
    assert Accuracy(PROMPTS["unified-reward"])(completions=["Answer 1 is better"], answer=[1]) == [1.0]


@pytest.mark.parametrize(
    ("text", "good"),
    [
        ("<think>a</think><answer>1</answer>", 1), (" <think>a\nb</think>\n<answer>1</answer>\n", 1), ("<think></think><answer></answer>", 1),
        ("<think>a</think><answer>1</answer> so there", 0), ("<think>a</think><think>b</think><answer>1</answer>", 0),
        ("<think>a</think><answer>1</answer><answer>2</answer>", 0), ("<answer>1</answer>", 0), ("<answer>1</answer><think>a</think>", 0),
        ("<THINK>a</THINK><answer>1</answer>", 0),
    ],
)  # fmt: skip
def test_the_form(text, good):
    assert format_reward([text]) == [good]


def test_labels_in_every_form():
    assert [label_of(a) for a in (1, "2", "<answer>1</answer>", ["<answer>2</answer>"])] == [0, 1, 0, 1]
    for wrong in (0, 3, "", "A", None, ["1", "2"], True):
        with pytest.raises(ValueError, match="not 1 or 2"):
            label_of(wrong)


def test_the_conclusion_is_the_last_one():
    text = "Response 1 is better at first sight. But the picture shows five. Response 2 is better."
    assert (
        by_conclusion(text, 1) == 1 and by_conclusion(text, 0) == -1 and by_conclusion("Who knows?", 0) == 0
    )
    assert thoughts("<think> a </think><answer>1</answer>") == "a" and thoughts("b <answer>1</answer>") == "b"


class Prefers:
    """A judge behind the protocol that always prefers one place."""

    card = JudgeCard("p", "p", "scalar")

    def __init__(self, *rewards):
        self.rewards, self.asked = rewards, []

    def judge(self, comparison):
        self.asked.append(comparison)
        return Judgement(comparison.id, "p", tuple(self.rewards[: len(comparison.responses)]))


def test_consistency_by_any_judge():
    judge = Prefers(0.0, 1.0)
    assert total(said("x", "2"), consistency=by_judge(judge)) == 2.0
    assert total(said("x", "1"), label=1, consistency=by_judge(judge)) == 1.0
    assert by_judge(Prefers(1.0, 1.0))("x", 1, None) == 0 == by_judge(judge)(" \n ", 1, None)
    assert by_judge(Prefers(math.nan, math.nan))("x", 1, None) == 0
    asked = len(judge.asked)
    total(said("x", "1"), label=2, consistency=by_judge(judge))
    assert len(judge.asked) == asked  # wrong answers are not asked about


def test_the_last_three_lines_are_shown():
    judge = Prefers(0.0, 1.0)
    by_judge(judge)("a\nb\n\nc\nd", 1, GREY)
    assert judge.asked[0].prompt.endswith("b; c; d") and judge.asked[0].image is GREY


def test_any_judge_is_a_reward_over_groups():
    reward = JudgeReward(longer(), 2)
    assert reward(["?"] * 4, ["a", "bbb", "cc", "d"]) == [1.0, 3.0, 2.0, 1.0]
    assert reward(["?"] * 2, ["", "bbb"]) == [None, None]  # one response is no comparison
    assert JudgeReward(longer(), 3)(["?"] * 3, ["", "bbb", "cc"]) == [2.0, 3.0, 2.0]
    with pytest.raises(ValueError, match="whole groups of 2"):
        reward(["?"] * 3, ["a"] * 3)


def test_the_hybrid_judge_is_a_reward_with_the_datas_own_columns():
    reward = JudgeReward(HybridJudge(longer()), 2)
    found = reward(
        ["How many?"] * 4, ["5", "It is 4, I am sure.", "a", "bb"], reference=["5", "5", None, None]
    )
    assert found[0] > 0 > found[1] and found[3] > found[2]
    assert sum(WEIGHTS) == 2.0


def test_a_judge_that_needs_a_picture_and_gets_none_says_nothing(embedded_judge):
    assert JudgeReward(embedded_judge, 2)(["?"] * 2, ["a", "b"]) == [None, None]

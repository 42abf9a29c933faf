"""Reading verdicts: the published scripts' own expressions, and texts that try to mislead."""

import math
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.judges.pairs import chosen, pair_margin, rewards_of
from core.judges.prompts import PROMPTS, find_prompt
from core.judges.verdicts import (
    NONE,
    OWN_ANSWER,
    RULES,
    Verdict,
    forms_of,
    problem_of,
    read,
    unified_reward_right,
)
from core.model.loading import CheckpointError
from core.records import Vote

EITHER = st.lists(
    st.sampled_from(["<answer>", "</answer>", "1", "2", "3", " ", "\n", "Answer 1 is better", "Answer 2 is better", "[[A]]", "[[B]]",
                     "[[C]]", "Overall Judgment: ", "Therefore", "*", "word", "Response 1 is clearly better", "12", "1.0", "<think>"]),
    max_size=10,
).map("".join)  # fmt: skip


@given(EITHER | st.text())
def test_every_rule_answers_for_any_text_and_points_at_its_verdict(text):
    for rule in RULES.values():
        found = rule(text)
        assert found.choice in (None, 0, 1)
        if found.at is not None:
            assert text[found.at : found.at + 1] in tuple("12ABabofst") + ("F", "S", "O", "T"), (text, found)


def official_r1(critic):
    """Its lines, as published."""
    rewards = [0, 1]
    try:
        content_match = re.search(r"<answer>(.*?)</answer>", critic, re.DOTALL)
        if content_match:
            student_answer = content_match.group(1).strip()
        else:
            last_match = re.findall(r"[12]", critic)
            student_answer = last_match[-1] if last_match else None
        rewards = [1, 0] if student_answer is not None and float(student_answer) == 1 else [0, 1]
    except Exception:
        rewards = [0, 1]
    return rewards


@given(EITHER)
def test_r1_reward_is_read_as_its_script_reads_it(text):
    assert [1, 0][RULES["r1-reward"](text).choice] == official_r1(text)[0]


@given(EITHER)
def test_vl_rewardbench_is_read_as_its_script_reads_it(text):
    pattern = (
        r"(?:Overall Judgment|Therefore)\s*.*\s*-*\s*Answer\s*(\d+)\s*is\s*(?:the\s*)?(?:slightly\s*)?better"
    )
    match = re.search(pattern, text.replace("\n", "").replace("*", ""), re.IGNORECASE)
    official = int(match.group(1)) if match else None
    found = RULES["vl-rewardbench"](text).choice
    assert found == (official - 1 if official in (1, 2) else None)


@given(EITHER)
def test_multimodal_rewardbench_is_read_as_its_script_reads_it(text):
    official = 0 if "[[A]]" in text else 1 if "[[B]]" in text else None
    assert RULES["multimodal-rewardbench"](text).choice == official


def test_unified_reward_counts_a_text_with_both_phrases_as_right_whatever_the_label():
    both = "Answer 1 is better in colour. Answer 2 is better."
    assert unified_reward_right(both, 0) and unified_reward_right(both, 1)
    assert RULES["unified-reward"](both).choice == 1


@pytest.mark.parametrize(
    ("rule", "text", "choice"),
    [
        ("answer-tag", "<think>1 or 2</think><answer>2</answer>", 1),
        ("answer-tag", "<answer>Response 1</answer>", 0),
        ("answer-tag", "<answer>1/2</answer>", None),
        ("answer-tag", "<answer>12</answer>", None),
        ("answer-tag", "1", None),
        ("answer-tag", "<answer>1</answer> no, <answer>2</answer>", 1),
        ("unified-reward-think", "<think>Answer 1 is better?</think><answer>Answer 2 is better</answer>", 1),
        ("unified-reward-think", "Answer 1 is better", None),
        ("vl-rewardbench", "Overall Judgment: Answer 1 is significantly better.", None),
        ("vl-rewardbench", "Overall Judgment:\n**Answer 2** is slightly better.", 1),
        ("bracketed", "[[A]] at first, but [[C]]", None),
        ("bracketed", "so [[B]]", 1),
        ("prose", "Response 1 is clear. Still, the second response is slightly better.", 1),
        ("prose", "The better response is Response 1.", 0),
        ("prose", "Both are good.", None),
    ],
)
def test_examples(rule, text, choice):
    assert RULES[rule](text).choice == choice


def test_why_there_is_no_verdict():
    assert problem_of("on and on", Verdict(None), False) == "cut off"
    assert problem_of("I’m sorry, but I can’t", Verdict(None), True) == "refused"
    assert problem_of("Both.", Verdict(None), True) == "no verdict"
    assert problem_of("<answer>1</answer>", Verdict(0, 8), False) == ""


@pytest.mark.parametrize("name", [p.name for p in PROMPTS.values() if p.parsing != OWN_ANSWER])
def test_every_prompt_reads_its_own_verdicts(name):
    prompt = PROMPTS[name]
    close = {"<answer>": "</answer>", "<answer>Answer ": " is better</answer>", "Answer ": " is better", "[[": "]]",
             "Response ": " is better.", "Overall Judgment: Answer ": " is better."}[prompt.lead]  # fmt: skip
    for i, verdict in enumerate(prompt.verdicts):
        text = prompt.lead + verdict + close
        assert RULES[prompt.parsing](text) == Verdict(i, len(prompt.lead))
    filled = prompt.fill("{first}", "<{second}>", "{prompt}")
    assert filled.count("<{second}>") == 1 and "{prompt}" in filled and "{first}" in filled


def test_prompt_files_that_cannot_be_used(tmp_path):
    good = 'text = "{prompt} {first} {second}"\nlead = "x"\nverdicts = ["1", "2"]\nparsing = "prose"\n'
    for name, text, words in (
        ("a.toml", "text = 'x'", "has no field 'lead'"),
        ("a.toml", good.replace("{second}", ""), "no place {second}"),
        ("a.toml", good.replace('"2"', '"1"'), "two different texts"),
        ("a.toml", good.replace("prose", "poetry"), "no parsing rule 'poetry'"),
        ("a.toml", good + "votes = 900", "votes must be from 0 to 64"),
        ("a.toml", good + "temperature = 'hot'", "says temperature = 'hot'"),
        ("a.toml", good + "max_new_tokens = 0", "max_new_tokens must be"),
        ("a.toml", good + "colour = 'red'", "has a field 'colour'"),
        ("a.toml", "text = ", "cannot be read as TOML"),
        ("a.json", "{", "cannot be read as JSON"),
        ("a.json", "[]", "is not a table of fields"),
    ):
        path = tmp_path / name
        path.write_text(text)
        with pytest.raises(CheckpointError, match=words):
            find_prompt(str(path))
    (tmp_path / "good.toml").write_text(good)
    assert find_prompt(str(tmp_path / "good.toml")).name == "good"
    with pytest.raises(CheckpointError, match="There is no prompt 'nothing'"):
        find_prompt("nothing")


VOTES = st.lists(
    st.builds(Vote, order=st.sampled_from([(0, 1), (1, 0)]), text=st.just(""), choice=st.sampled_from([None, 0, 1]),
              log_odds=st.none() | st.floats(-30, 30)),
    max_size=8,
)  # fmt: skip


def swapped(votes):
    return [
        Vote(tuple(1 - i for i in v.order), v.text, None if v.choice is None else 1 - v.choice, v.log_odds)
        for v in votes
    ]


@given(VOTES)
def test_margins_turn_their_sign_exactly(votes):
    margin, other = pair_margin(votes, 0, 1), pair_margin(votes, 1, 0)
    assert (math.isnan(margin) and math.isnan(other)) or margin == -other
    rewards, back = rewards_of(2, votes), rewards_of(2, swapped(votes))
    assert math.isnan(margin) or (rewards == back[::-1] and rewards[0] - rewards[1] == margin)


def test_votes_by_hand():
    def vote(order, choice):
        return Vote(order, "", choice)

    votes = [vote((0, 1), 0), vote((0, 1), 0), vote((0, 1), 1), vote((1, 0), 0), vote((1, 0), None)]
    expected = (math.log(2.5 / 1.5) + math.log(1.5 / 0.5)) / 2
    assert pair_margin(votes, 0, 1) == pytest.approx(expected)
    assert math.isnan(pair_margin([vote((0, 1), None)], 0, 1))
    assert chosen((0.5, -0.5)) == 0 and chosen((0.0, 0.0)) is None and chosen((math.nan,) * 2) is None


@pytest.mark.parametrize(
    ("answer", "first", "second", "choice"),
    [
        ("The star is red", "The star is red.", "The star is blue.", 0),
        ("The star is red", "The star is blue, you fool.", "The star is red.", 1),
        ("There is a red star", "There is a red star and a blue cross.", "There is a red star.", 1),
        ("3", "3.", "4.", 0),
        ("The star is red", "The star is red, stupid.", "The star is red.", 1),
        ("The star is red", "The star is red. Music is fun.", "The star is red.", 1),
        ("The star is red", "star The is red.", "The star is red.", 1),  # words that changed places
        ("above", "The star is above the cross.", "above", 1),
        ("", "a", "b", None),
        ("purple", "red", "blue", None),
        ("red", "red", "red", None),
    ],
)
def test_the_response_that_says_what_the_judge_would_answer(answer, first, second, choice):
    text = f"<think>I see it.</think><answer> {answer}</answer>"
    found = read(OWN_ANSWER, text, (first, second))
    assert found.choice == choice and (choice is None or text[found.at :].startswith(f" {answer}"))
    back = read(OWN_ANSWER, text, (second, first)).choice
    assert back == (None if choice is None else 1 - choice)
    assert RULES[OWN_ANSWER](text) == NONE == read(OWN_ANSWER, answer, (first, second))


def test_the_two_forms_differ_though_one_response_continues_the_other():
    one, other = forms_of(("There is a star.", "There is a star and a cross."))
    assert not one.startswith(other) and not other.startswith(one)

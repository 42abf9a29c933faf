"""What the thoughts say against what is decided, on thoughts of the answer key and on made ones."""

from __future__ import annotations

import random
import time
from collections import Counter
from itertools import islice

import pytest

from core.judges.said import CONCLUSION, FAULT_FOUND, SAYS_RIGHT, SAYS_WRONG, SIGHT, Said, of_row, said_in

pytest.importorskip("core.alignment.key_texts")

from core.alignment.key_texts import thought, training_pairs  # noqa: E402


def test_the_answer_keys_thoughts_say_the_right_response():
    rules = Counter()
    for n, pair in enumerate(islice(training_pairs(9), 1200)):
        text, _ = thought(pair, random.Random(n))
        shown = pair.texts if n % 3 else pair.texts[::-1]
        place, by = said_in(text, *shown)
        assert shown[place] == pair.texts[0]
        rules[by] += 1
    assert set(rules) == {SIGHT}


@pytest.mark.parametrize(
    ("thoughts", "first", "second", "expected"),
    [
        ("I see: The star is red. Response 1 says red.", "The star is blue.", "The star is red.", (1, SIGHT)),
        ("I see: There is a red star. Response 1: more.", "There is a red star and a blue cross.", "There is a red star.", (1, SIGHT)),
        ("The picture shows 3. Response 2 is rude: stupid.", "3", "3, stupid.", (0, FAULT_FOUND)),
        ("I see: The star is red. But one says blue.", "The star is blue.", "The star is red.", (1, SIGHT)),
        ("I see: The star is red. That is Response 1.", "The star is blue.", "The star is red.", (1, SIGHT)),
        ("Response 1 is better.", "a", "b", (0, CONCLUSION)),
        ("Both are fine.", "a", "b", (None, "")),
        ("", "a", "b", (None, "")),
        ("<b>3</b> $x$ ", "4", "3", (1, SIGHT)),
        ("I see: The star is red. Response 1", "", "", (None, "")),
    ],
)  # fmt: skip
def test_which_rule_reads_it(thoughts, first, second, expected):
    assert said_in(f"<think>{thoughts}</think><answer>1</answer>", first, second) == expected


def test_a_rows_shown_critique_says_one_thing_and_decides_another():
    text = "<think>I see: The star is red. Response 1 says red. Response 2 says blue. Response 2 is better.</think><answer>2</answer>"
    # shown in the order (1, 0): "red" is response 1 of the record, and it decided for response 0
    row = {
        "critique": text, "responses": ["The star is blue.", "The star is red."], "preferred": 1,
        "votes": [{"order": [0, 1], "text": "other", "choice": 1}, {"order": [1, 0], "text": text, "choice": 0}],
    }  # fmt: skip
    found = of_row(row)
    assert found == Said(1, 0, SIGHT) and found.against(1) == SAYS_RIGHT and found.against(0) == SAYS_WRONG
    assert of_row({**row, "votes": None}) == of_row({**row, "critique": None}) == Said(None, None)
    assert Said(1, 1).against(0) == Said(None, 1).against(1) == Said(0, 1).against(None) == ""


def test_a_very_long_thought_is_read_in_a_blink():
    text = "<think>" + "I look again and again, " * 40_000 + "</think><answer>1</answer>"
    started = time.perf_counter()
    said_in(text, "a", "b")
    assert time.perf_counter() - started < 2

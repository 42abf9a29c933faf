"""Judges that write: log-odds against a separate plain computation, both orders, votes, limits."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from checkpoints import QWEN_TEMPLATE, qwen
from PIL import Image
from transformers import AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from app.common.words import verdict
from core.images import ImageError
from core.judges.generative import GenerativeJudge, with_prompt
from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.prompts import PROMPTS
from core.judges.protocols import Judge, Writes
from core.model.loading import CheckpointError
from core.records import Comparison, RecordError, Turn
from core.runs.metrics import outcome

THINKS = QWEN_TEMPLATE.replace(
    "<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n{% endif %}"
)


def photograph(seed=0, size=(120, 90)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype="uint8"))


def comparison(responses=("Two stars.", "I count five of them here."), seed=0):
    return Comparison(str(seed), photograph(seed), "How many stars?", tuple(responses))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return qwen(tmp_path_factory.mktemp("judge"))


@pytest.fixture(scope="module")
def judge(folder):
    return open_judge(str(folder), Options(device="cpu"))


def plain_log_odds(folder, image, asked, written, verdicts=("1", "2"), template=QWEN_TEMPLATE):
    """log P(first) - log P(second) of the token after `written`, by transformers alone. image: one, or a list."""
    images = image if isinstance(image, list) else [image]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    pixels = Qwen2VLImageProcessorPil.from_pretrained(folder)(images=images, return_tensors="pt")
    text = tokenizer.apply_chat_template(
        [{"role": "user", "content": [*({"type": "image"} for _ in images), {"type": "text", "text": asked}]}],
        chat_template=template, tokenize=False, add_generation_prompt=True,
    )  # fmt: skip
    before, *rest = text.split("<|image_pad|>")
    counts = [int(grid.prod()) // 4 for grid in pixels["image_grid_thw"]]
    text = before + "".join("<|image_pad|>" * n + r for n, r in zip(counts, rest, strict=True)) + written
    ids = tokenizer([text], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        logits = model(
            input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=(ids == model.config.image_token_id).int(), **pixels,
        ).logits[0, -1].log_softmax(-1)  # fmt: skip
    first, second = (tokenizer(v, add_special_tokens=False)["input_ids"][0] for v in verdicts)
    return float(logits[first] - logits[second])


class Scripted(GenerativeJudge):
    """Writes what the test says, and reads its own log-odds off the real model."""

    texts: dict = {}

    def write(self, image, asked, votes):
        first = asked.split("Response 1:\n")[1].split("\n")[0]
        return [self.texts[first][i % len(self.texts[first])] for i in range(votes)]


def scripted(judge, texts, prompt="think", votes=1):
    out = Scripted(judge.model, judge.processor, judge.card, PROMPTS[prompt], votes)
    out.texts = texts
    return out


def test_it_is_a_judge_that_writes(judge):
    assert isinstance(judge, Judge) and isinstance(judge, Writes)
    assert judge.card.kind == "generative" and "Prompt 'verdict'" in judge.card.about


def test_the_verdict_at_once_is_the_plain_log_odds_in_both_orders(judge, folder):
    c = comparison()
    judged = judge.judge(c)
    odds = [plain_log_odds(folder, c.image, PROMPTS["verdict"].fill(c.prompt, *pair), "<answer>")
            for pair in (c.responses, c.responses[::-1])]  # fmt: skip
    assert [v.order for v in judged.votes] == [(0, 1), (1, 0)]
    assert [v.log_odds for v in judged.votes] == pytest.approx(odds, abs=1e-5)
    margin = (odds[0] - odds[1]) / 2
    assert judged.rewards == pytest.approx((margin / 2, -margin / 2), abs=1e-5)
    assert judged.margin(0, 1) == pytest.approx(margin, abs=1e-5)
    assert abs(odds[0]) > 1e-3 and odds[0] != odds[1]


def test_several_pictures_and_the_chat_before_the_question_are_read(judge, folder):
    pictures = [photograph(3), photograph(4, (60, 150)), photograph(5)]
    turns = (Turn("system", "Be brief."), Turn("user", "Hello."), Turn("assistant", "Yes?"))
    c = replace(comparison(), image=pictures[0], more_images=tuple(pictures[1:]), turns=turns)
    asked = "system: Be brief.\nuser: Hello.\nassistant: Yes?\nuser: How many stars?"
    odds = [plain_log_odds(folder, pictures, PROMPTS["verdict"].fill(asked, *pair), "<answer>")
            for pair in (c.responses, c.responses[::-1])]  # fmt: skip
    assert [v.log_odds for v in judge.judge(c).votes] == pytest.approx(odds, abs=1e-5)
    without = judge.judge(replace(c, more_images=()))
    assert abs(without.votes[0].log_odds - odds[0]) > 1e-3  # a picture left out would show
    assert judge.card.max_images is None and judge.card.reads_turns
    with pytest.raises(ImageError, match="3 pictures; maps"):
        judge.masked(c, judge.judge(c), 0, 1, lambda o: o.rewards[:, 0], "word", "joint")


def test_mistakes_in_the_reading_would_show(judge, folder):
    c = comparison()
    asked = PROMPTS["verdict"].fill(c.prompt, *c.responses)
    right = plain_log_odds(folder, c.image, asked, "<answer>")
    bare = QWEN_TEMPLATE.replace("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n", "")
    assert abs(plain_log_odds(folder, c.image, asked, "<answer>", template=bare) - right) > 1e-2
    assert abs(plain_log_odds(folder, c.image, asked, "") - right) > 1e-2


def test_swapping_the_responses_turns_the_sign_exactly(judge):
    for seed, (a, b) in enumerate((("Yes.", "No."), ("Two stars.", "I count five of them here, and a dog."))):
        one, other = judge.judge(comparison((a, b), seed)), judge.judge(comparison((b, a), seed))
        assert one.margin(0, 1) == -other.margin(0, 1) and one.rewards == other.rewards[::-1]
        assert one.choice == 1 - other.choice


def test_three_responses_are_judged_by_all_pairs(judge):
    texts = ("one", "two of them", "three")
    found = judge.judge(comparison(texts))
    pairs = {
        (i, j): judge.judge(comparison((texts[i], texts[j]))).margin(0, 1)
        for i in range(3)
        for j in range(i + 1, 3)
    }
    assert len(found.votes) == 6
    assert found.rewards[0] == pytest.approx((pairs[0, 1] + pairs[0, 2]) / 3)
    assert found.rewards[1] == pytest.approx((-pairs[0, 1] + pairs[1, 2]) / 3)
    assert math.fsum(found.rewards) == pytest.approx(0, abs=1e-12)
    back = judge.judge(comparison(texts[::-1]))
    assert back.rewards == found.rewards[::-1]


def test_log_odds_after_a_critique_are_read_where_it_decides(judge, folder):
    c = comparison()
    thought = "<think>There are five.</think><answer>"
    texts = {
        c.responses[0]: [(thought + "2</answer>", True)],
        c.responses[1]: [(thought + "1</answer>", True)],
    }
    judged = scripted(judge, texts).judge(c)
    odds = [plain_log_odds(folder, c.image, PROMPTS["think"].fill(c.prompt, *pair), thought)
            for pair in (c.responses, c.responses[::-1])]  # fmt: skip
    assert [v.log_odds for v in judged.votes] == pytest.approx(odds, abs=1e-5)
    assert [v.choice for v in judged.votes] == [1, 1]
    assert judged.margin(0, 1) == pytest.approx((odds[0] - odds[1]) / 2, abs=1e-5)
    assert judged.critique == thought + "2</answer>" or judged.choice == 0


def test_a_batch_of_comparisons_is_judged_as_each_alone(judge):
    """Answers that are drawn too: each question has its own stream of random numbers, whatever it stands beside."""
    asked = [
        comparison(),
        comparison(("one", "another, which is longer than that")),
        comparison(("x", "y", "z")),
    ]
    for votes in (0, 1, 3):
        one = with_prompt(judge, replace(PROMPTS["think"], max_new_tokens=12), votes)
        together, alone = one.judge_batch(asked), [one.judge(c) for c in asked]
        for a, b in zip(together, alone, strict=True):
            assert [(v.order, v.text, v.choice, v.problem) for v in a.votes] == [
                (v.order, v.text, v.choice, v.problem) for v in b.votes
            ]
            assert a.rewards == pytest.approx(b.rewards, abs=1e-4, nan_ok=True)


def test_answers_without_a_verdict_are_kept_counted_and_say_why(judge):
    c = comparison()
    texts = {
        c.responses[0]: [
            ("<think>It goes on and", False),
            ("I'm sorry, I can't judge this.", True),
            ("Both are fine.", True),
        ],
        c.responses[1]: [("no tag here", True)] * 3,
    }
    judged = scripted(judge, texts, votes=3).judge(c)
    assert [v.problem for v in judged.votes] == ["cut off", "refused", "no verdict"] + ["no verdict"] * 3
    assert judged.votes[0].text == "<think>It goes on and" and judged.choice is None
    assert all(map(math.isnan, judged.rewards)) and outcome(judged.rewards, 0) == "unparsed"
    assert judged.why_undecided == "cut off; refused; no verdict"
    assert verdict(c, judged, 0, 1).startswith("The model gave no verdict: cut off; refused; no verdict.")


def test_one_order_that_decides_is_better_than_none(judge):
    c = comparison()
    texts = {c.responses[0]: [("<answer>1</answer>", True)], c.responses[1]: [("hm", True)]}
    judged = scripted(judge, texts).judge(c)
    assert judged.choice == 0 and judged.margin(0, 1) == pytest.approx(math.log(3))
    assert judged.votes[1].problem == "no verdict"


def test_it_really_writes_and_ends(judge):
    """A random model rambles: the limit ends it, and the same question gives the same text."""
    prompt = PROMPTS["think"]
    short = type(prompt)(**{**prompt.__dict__, "max_new_tokens": 12})
    rambling = with_prompt(judge, short, 3)
    first, again = rambling.judge(comparison()), rambling.judge(comparison())
    assert first.votes == again.votes and len(first.votes) == 6
    assert len({v.text for v in first.votes}) > 1
    assert {v.problem for v in first.votes} <= {"cut off", "no verdict", ""}
    swapped = rambling.judge(comparison(comparison().responses[::-1]))
    assert [v.text for v in swapped.votes if v.order == (1, 0)] == [
        v.text for v in first.votes if v.order == (0, 1)
    ]


def test_what_is_too_long_is_refused_in_a_sentence(judge):
    with pytest.raises(RecordError, match="this model reads at most 4,096"):
        judge.judge(comparison(("word " * 4000, "No.")))


def test_a_template_that_opens_with_a_thought_has_it_closed(tmp_path):
    folder = qwen(tmp_path / "m", text=THINKS)
    judge, c = open_judge(str(folder), Options(device="cpu")), comparison()
    asked = PROMPTS["verdict"].fill(c.prompt, *c.responses)
    expected = plain_log_odds(folder, c.image, asked, "\n</think>\n\n<answer>", template=THINKS)
    assert judge.judge(c).votes[0].log_odds == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(
    "layout", [{"old": True, "shards": True}, {"tied": True}, {"kind": "qwen2_vl"}, {"kind": "qwen3_vl"}]
)
def test_other_layouts(layout, tmp_path):
    folder = qwen(tmp_path / "m", **layout)
    c = comparison()
    judged = open_judge(str(folder), Options(device="cpu", prompt="r1-reward", votes=0)).judge(c)
    asked = PROMPTS["r1-reward"].fill(c.prompt, *c.responses)
    assert judged.votes[0].log_odds == pytest.approx(
        plain_log_odds(folder, c.image, asked, "<answer>"), abs=1e-5
    )


def test_a_prompt_from_a_file_is_asked(folder, tmp_path):
    file = tmp_path / "mine.json"
    file.write_text(json.dumps({
        "text": "Q {prompt} X {first} Y {second}", "lead": "It is ", "verdicts": ["A", "B"], "parsing": "bracketed", "votes": 0,
    }))  # fmt: skip
    judge, c = open_judge(str(folder), Options(device="cpu", prompt=str(file))), comparison()
    expected = plain_log_odds(
        folder, c.image, f"Q {c.prompt} X {c.responses[0]} Y {c.responses[1]}", "It is", (" A", " B")
    )  # the tokenizer joins the space with the letter, and so does the reading
    assert judge.judge(c).votes[0].log_odds == pytest.approx(expected, abs=1e-5)
    assert "mine" in judge.card.about


def test_numbers_of_votes_that_make_no_sense(folder):
    for votes in (-1, 65):
        with pytest.raises(CheckpointError, match="must be from 0"):
            open_judge(str(folder), Options(device="cpu", votes=votes))

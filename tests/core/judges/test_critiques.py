"""What a judge that writes decided by: its verdict at once, and given a critique whose text is held fixed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from checkpoints import qwen
from PIL import Image
from transformers import AutoModelForImageTextToText

from core.explain import METHODS, Request, explain, methods_for, plan, targets_for
from core.judges.generative import GenerativeJudge
from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.prompts import PROMPTS
from core.judges.verdict_forward import sentences_before
from core.records import Comparison, RecordError

PICTURE = Image.fromarray(np.random.default_rng(3).integers(0, 255, (84, 112, 3), dtype="uint8"))
COMPARISON = Comparison("c", PICTURE, "How many stars?", ("Two stars.", "I count five here."))
TEXTS = {
    (0, 1): "<think>There are five stars. The first is wrong.</think><answer>2</answer>",
    (1, 0): "<think>Five is right! I looked twice.</think><answer>1</answer>",
}


class Written(GenerativeJudge):
    """Writes what the test says; everything else is the real model's."""

    texts = TEXTS

    def write(self, image, asked, votes):
        first = asked.split("Response 1:\n")[1].split("\n")[0]
        order = (0, 1) if first == COMPARISON.responses[0] else (1, 0)
        return [(self.texts[order], True)] * votes


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def folder(request, tmp_path_factory):
    return qwen(tmp_path_factory.mktemp("judge"), request.param)


@pytest.fixture(scope="module")
def judge(folder):
    loaded = open_judge(str(folder), Options(device="cpu"))
    return Written(loaded.model, loaded.processor, loaded.card, PROMPTS["think"], 1)


@pytest.fixture(scope="module")
def judged(judge):
    return judge.judge(COMPARISON)


def test_there_is_a_target_for_each_critique(judge, judged):
    assert [key for key, _ in targets_for(judge, judged)] == [
        "verdict",
        "critique:0",
        "critique:1",
        "margin",
        "reward",
    ]
    labels = dict(targets_for(judge, judged))
    assert labels["critique:1"] == "Verdict given critique 2 (B first)"


def test_each_target_is_the_log_odds_that_it_names(judge, judged):
    first, second = (v.log_odds for v in judged.votes)
    at_once = Written(judge.model, judge.processor, judge.card, PROMPTS["think"], 0).judge(COMPARISON)
    values = {t: explain(judge, COMPARISON, judged, target=t) for t, _ in targets_for(judge, judged)}
    assert values["critique:0"].target_value == pytest.approx(first, abs=1e-5)
    assert values["critique:1"].target_value == pytest.approx(
        -second, abs=1e-5
    )  # B stands first: turned round for A
    assert values["verdict"].target_value == pytest.approx(at_once.margin(0, 1), abs=1e-5)
    assert values["margin"].target_value == pytest.approx(judged.margin(0, 1), abs=1e-5)
    assert len({round(v.target_value, 6) for v in values.values()}) == 5
    assert [s for s, _, _ in values["critique:0"].critique_tokens] == [
        "There are five stars.",
        "The first is wrong.",
    ]
    assert values["verdict"].critique_tokens == values["margin"].critique_tokens == ()


def test_a_sentence_is_replaced_by_the_mean_word_and_nothing_else_is(judge, judged, folder):
    """Against transformers alone: the same conversation with the sentence's embeddings overwritten."""
    explained = explain(judge, COMPARISON, judged, target="critique:0", method="ablation")
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    asked = PROMPTS["think"].fill(COMPARISON.prompt, *COMPARISON.responses)
    written = TEXTS[0, 1][: TEXTS[0, 1].index("2</answer>")]
    inputs, (first, second) = judge.before_verdict([PICTURE], asked, written, ("1", "2"))
    ids, tokenizer = inputs["input_ids"][0], judge.processor.tokenizer
    texts = [tokenizer.decode(ids[: n + 1]) for n in range(len(ids))]
    start = texts[-1].index("There are five stars.")
    mean = model.get_input_embeddings().weight.mean(0)

    def odds(span):
        def blank(module, given, out):
            for n, text in enumerate(texts):
                before = len(texts[n - 1]) if n else 0
                if before < span[1] and len(text) > span[0]:
                    out[0, n] = mean
            return out

        hook = model.get_input_embeddings().register_forward_hook(blank)
        with torch.no_grad():
            logits = model(**inputs).logits[0, -1]
        hook.remove()
        return float(logits[first] - logits[second])

    whole = odds((0, 0))
    assert whole == pytest.approx(judged.votes[0].log_odds, abs=1e-5)
    lengths = [len(s) for s, _, _ in explained.critique_tokens]
    spans = [(start, start + lengths[0]), (start + lengths[0] + 1, start + lengths[0] + 1 + lengths[1])]
    assert explained.critique_values == pytest.approx([whole - odds(span) for span in spans], abs=2e-5)
    assert all(abs(v) > 1e-4 for v in explained.critique_values)


@pytest.mark.parametrize("method", [k for k, m in METHODS.items() if not (m.head or m.pixels)])
def test_every_method_explains_a_critique_and_complete_ones_add_up(judge, judged, method):
    asked = {"steps": 48} if METHODS[method].steps else {}
    found = explain(judge, COMPARISON, judged, target="critique:1", method=method, check=False, **asked)
    assert len(found.critique_values) == 2 and method in methods_for(judge)
    if METHODS[method].complete:
        total = (
            sum(sum(v) for v in (*found.token_values, *found.patch_values, found.critique_values))
            + found.prompt_value
        )
        whole = found.target_value - found.baseline_value
        assert total == pytest.approx(whole + found.convergence_delta, abs=1e-5)
        assert abs(found.convergence_delta) < 0.02 * max(1, abs(whole))


def test_the_deletion_check_tries_the_strongest_sentence(judge, judged):
    checked = explain(
        judge, COMPARISON, judged, target="critique:0", method="ablation", check=True
    ).faithfulness
    assert checked.critique.names[0] in ("“There are five stars.”", "“The first is wrong.”")
    assert explain(judge, COMPARISON, judged, target="verdict", check=True).faithfulness.critique is None


def test_swapping_the_responses_turns_every_value_round(judge, judged):
    turned = explain(judge, COMPARISON, judged, pair=(1, 0), target="critique:0", method="ablation")
    found = explain(judge, COMPARISON, judged, target="critique:0", method="ablation")
    assert turned.critique_values == pytest.approx([-v for v in found.critique_values], abs=1e-6)
    for n in (0, 1):
        assert turned.token_values[1 - n] == pytest.approx([-v for v in found.token_values[n]], abs=1e-6)


def test_the_margin_of_several_votes_is_explained_whole(judge):
    """Each order weighs the same, however many of its answers were read at a verdict."""
    several = replace_votes(judge, 3)
    judged = several.judge(COMPARISON)
    votes = (judged.votes[0], *judged.votes[3:])  # one answer in the one order, three in the other
    judged = replace(
        judged,
        votes=tuple(replace(v, log_odds=None, choice=None) if v not in votes else v for v in judged.votes),
    )
    found = explain(several, COMPARISON, judged, target="margin", check=False)
    ahead, behind = votes[0].log_odds, sum(v.log_odds for v in votes[1:]) / 3
    assert found.target_value == pytest.approx((ahead - behind) / 2, abs=1e-5)


def replace_votes(judge, votes):
    return Written(judge.model, judge.processor, judge.card, judge.prompt, votes)


def test_what_cannot_be_explained_is_said(judge, judged, random_judge):
    with pytest.raises(
        RecordError, match="Answer 7 of this judge is not a critique .* critique:0, critique:1"
    ):
        explain(judge, COMPARISON, judged, target="critique:7")
    one = replace(judged, votes=(judged.votes[0], replace(judged.votes[1], choice=None, log_odds=None)))
    with pytest.raises(RecordError, match="In one of the two orders no answer was read"):
        explain(judge, COMPARISON, one, target="margin")
    assert explain(judge, COMPARISON, one, target="critique:0").critique_values
    for target in ("verdict", "critique:0"):
        with pytest.raises(RecordError, match="writes nothing here"):
            plan(random_judge, COMPARISON, random_judge.judge(COMPARISON), Request(target=target))
    with pytest.raises(RecordError, match="There is no target 'critique:x'"):
        explain(judge, COMPARISON, judged, target="critique:x")


@pytest.mark.parametrize(
    ("text", "at", "expected"),
    [
        ("<think>One. Two!</think><answer>", None, ["One.", "Two!"]),
        ("First things. So Answer 1 is better.", 24, ["First things."]),
        ("1", 0, []),
        ("Response 2 is better. Because.", 9, []),
        ("<think>No end</think>\n\n<answer>", None, ["No end"]),
    ],
)
def test_sentences_before_the_verdict(text, at, expected):
    whole = text if at is not None else text + "1</answer>"
    found = sentences_before(whole, len(text) if at is None else at)
    assert [s for s, _, _ in found] == expected
    assert all(whole[start:end] == said for said, start, end in found)

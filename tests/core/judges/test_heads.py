"""Scalar heads of public layouts against a separate plain computation with transformers on the same weights."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from checkpoints import HIDDEN, QWEN_TEMPLATE, add_weights, mlp_head, qwen, score_head, value_head
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from core.judges.heads import HeadJudge
from core.judges.opening import open_judge
from core.judges.options import Options
from core.model.loading import CheckpointError
from core.records import Comparison

CPU = Options(device="cpu")


def photograph(seed=0, size=(120, 90)):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype="uint8"))


def comparison(
    responses=("Two stars.", "I count five of them here, I think."), seed=0, prompt="How many stars?"
):
    return Comparison(str(seed), photograph(seed), prompt, tuple(responses))


def plain_states(folder, c, response, template=QWEN_TEMPLATE):
    """ids and last hidden states of the whole conversation, as the cards of the models compute them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    images = Qwen2VLImageProcessorPil.from_pretrained(folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    messages = [
        {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": c.prompt}]},
        {"role": "assistant", "content": [{"type": "text", "text": response}]},
    ]
    text = tokenizer.apply_chat_template(messages, chat_template=template, tokenize=False)
    pixels = images(images=[c.load_image()], return_tensors="pt")
    text = text.replace("<|image_pad|>", "<|image_pad|>" * int(pixels["image_grid_thw"].prod() // 4))
    ids = tokenizer([text], return_tensors="pt")["input_ids"]
    with torch.no_grad():
        out = model(
            input_ids=ids, attention_mask=torch.ones_like(ids), output_hidden_states=True,
            mm_token_type_ids=(ids == model.config.image_token_id).int(), **pixels,
        )  # fmt: skip
    return ids[0], out.hidden_states[-1][0]


def trl(folder, states):
    held = load_file(folder / "value_head.safetensors")
    return float(states[-1] @ held["v_head.summary.weight"][0] + held["v_head.summary.bias"])


@pytest.fixture(scope="module")
def skywork(tmp_path_factory):
    return value_head(qwen(tmp_path_factory.mktemp("skywork"), old=True, shards=True))


def test_a_value_head_gives_what_the_card_computes(skywork):
    judge, c = open_judge(str(skywork), CPU), comparison()
    assert isinstance(judge, HeadJudge) and judge.card.kind == "scalar"
    assert "value head (TRL)" in judge.card.about and "newline" in judge.card.about
    for response, reward in zip(c.responses, judge.judge(c).rewards, strict=True):
        ids, states = plain_states(skywork, c, response)
        assert AutoTokenizer.from_pretrained(skywork).decode(ids[-1:]) == "\n"
        assert reward == pytest.approx(trl(skywork, states), abs=1e-5)


def test_a_wrong_token_a_dropped_system_message_and_dropped_positions_would_show(skywork):
    """The tolerance above is far below what each of these mistakes costs."""
    c = comparison()
    (ids, states), right = plain_states(skywork, c, c.responses[0]), []
    right = trl(skywork, states)
    assert abs(trl(skywork, states[:-1]) - right) > 1e-2  # <|im_end|> instead of the newline after it
    bare = QWEN_TEMPLATE.replace("<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n", "")
    assert abs(trl(skywork, plain_states(skywork, c, c.responses[0], bare)[1]) - right) > 1e-2
    model = AutoModelForImageTextToText.from_pretrained(skywork, dtype=torch.float32).eval()
    pixels = Qwen2VLImageProcessorPil.from_pretrained(skywork)(images=[c.load_image()], return_tensors="pt")
    with torch.no_grad():
        out = model(
            input_ids=ids[None],
            attention_mask=torch.ones_like(ids[None]),
            output_hidden_states=True,
            **pixels,
        )
    assert abs(trl(skywork, out.hidden_states[-1][0]) - right) > 1e-3


def test_wrapping_leaves_the_attention_implementation_alone(skywork):
    judge = open_judge(str(skywork), CPU)
    backbone = judge.model.backbone
    assert backbone.config._attn_implementation == "sdpa"
    assert backbone.language_model.config._attn_implementation == "sdpa"


@pytest.mark.parametrize("kind", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
@pytest.mark.parametrize("template", ["tokenizer_config.json", "chat_template.jinja", "chat_template.json"])
def test_llama_factory_models_with_the_template_in_any_of_its_files(kind, template, tmp_path):
    folder = value_head(qwen(tmp_path / "m", kind, template=template, tied=template.endswith("jinja")))
    judge, c = open_judge(str(folder), CPU), comparison()
    for response, reward in zip(c.responses, judge.judge(c).rewards, strict=True):
        assert reward == pytest.approx(trl(folder, plain_states(folder, c, response)[1]), abs=1e-5)


@pytest.mark.parametrize("old", [False, True])
def test_ms_swift_classifiers(old, tmp_path):
    folder = score_head(qwen(tmp_path / "m", old=old))
    c = comparison()
    weight = load_file(folder / "model.safetensors")["score.weight"][0]
    judged = open_judge(str(folder), CPU).judge(c)
    for response, reward in zip(c.responses, judged.rewards, strict=True):
        assert reward == pytest.approx(float(plain_states(folder, c, response)[1][-1] @ weight), abs=1e-5)
    # Until its version 4 the turn ended with <|im_end|> alone.
    judged = open_judge(str(folder), Options(device="cpu", pooled="turn-end")).judge(c)
    ids, states = plain_states(folder, c, c.responses[0])
    assert AutoTokenizer.from_pretrained(folder).decode(ids[-2:-1]) == "<|im_end|>"
    assert judged.rewards[0] == pytest.approx(float(states[-2] @ weight), abs=1e-5)


@pytest.mark.parametrize("widths", [(1,), (48, 1), (40, 24, 1)])
def test_heads_of_any_depth(widths, tmp_path):
    folder = mlp_head(qwen(tmp_path / "m"), widths)
    c = comparison()
    held = load_file(folder / "value_head.safetensors")
    for response, reward in zip(c.responses, open_judge(str(folder), CPU).judge(c).rewards, strict=True):
        h = plain_states(folder, c, response)[1][-1]
        for i in range(len(widths)):
            if i:
                h = h * torch.sigmoid(h)
            h = held[f"v_head.{2 * i}.weight"] @ h + held[f"v_head.{2 * i}.bias"]
        assert reward == pytest.approx(float(h), abs=1e-5)


def test_bfloat16_weights_are_read_as_they_are_or_wider(tmp_path):
    folder = value_head(qwen(tmp_path / "m", dtype="bfloat16"))
    c = comparison()
    wide = open_judge(str(folder), CPU).judge(c)
    assert wide.rewards[0] == pytest.approx(trl(folder, plain_states(folder, c, c.responses[0])[1]), abs=1e-5)
    narrow = open_judge(str(folder), Options(device="cpu", dtype="bfloat16")).judge(c)
    assert narrow.rewards[0] == pytest.approx(wide.rewards[0], abs=0.5) and narrow.rewards != wide.rewards


def test_swapping_the_responses_turns_the_sign_exactly(skywork):
    judge = open_judge(str(skywork), CPU)
    for seed in range(4):
        a, b = (
            ("One.", "Seven of them are red, the others blue.") if seed % 2 else ("Yes it is.", "No it is.")
        )
        assert judge.judge(comparison((a, b), seed)).margin(0, 1) == -judge.judge(
            comparison((b, a), seed)
        ).margin(0, 1)


def test_batches_and_single_judgements_agree(skywork):
    judge = open_judge(str(skywork), CPU)
    cases = [comparison(seed=1), comparison(("a", "b", "c"), 2, "Which letter?" * 4)]
    for case, batched in zip(cases, judge.judge_batch(cases), strict=True):
        assert batched.rewards == pytest.approx(judge.judge(case).rewards, abs=1e-5)


def test_the_largest_picture_can_be_set(skywork):
    c = comparison()
    small = open_judge(str(skywork), Options(device="cpu", max_pixels=56 * 56))
    assert int(small.prepare([c]).inputs["image_grid_thw"].prod()) < int(
        open_judge(str(skywork), CPU).prepare([c]).inputs["image_grid_thw"].prod()
    )


def test_heads_that_do_not_fit_are_refused(tmp_path):
    folder = qwen(tmp_path / "m")
    for tensors, words in (
        ({"v_head.summary.weight": torch.randn(1, 99)}, "takes states of width 99, and it is given 64"),
        ({"v_head.summary.weight": torch.full((1, HIDDEN), float("nan"))}, "not numbers"),
        ({"score.weight": torch.randn(5, HIDDEN)}, "a classifier with 5 labels"),
    ):
        save_file(tensors, folder / "value_head.safetensors", {"format": "pt"})
        with pytest.raises(CheckpointError, match=words):
            open_judge(str(folder), CPU)
    with pytest.raises(CheckpointError, match="'nowhere' is not a token to read at"):
        open_judge(str(value_head(folder)), Options(device="cpu", pooled="nowhere"))


def test_missing_and_broken_weights_are_refused(tmp_path):
    folder = value_head(qwen(tmp_path / "half", drop=("model.language_model.layers.1.mlp.up_proj.weight",)))
    with pytest.raises(CheckpointError, match="incomplete checkpoint: 1 of its weights"):
        open_judge(str(folder), CPU)
    folder = value_head(qwen(tmp_path / "nan"))
    add_weights(folder, **{"model.language_model.norm.weight": torch.full((HIDDEN,), float("nan"))})
    with pytest.raises(CheckpointError, match="not numbers"):
        open_judge(str(folder), CPU)


def test_a_template_that_thinks_first_is_refused_for_a_head(tmp_path):
    text = QWEN_TEMPLATE.replace(
        "<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n{% endif %}"
    )
    folder = value_head(qwen(tmp_path / "m", text=text))
    with pytest.raises(CheckpointError, match="thinks first"):
        open_judge(str(folder), CPU)
    config = folder / "tokenizer_config.json"
    held = json.loads(config.read_text())
    del held["chat_template"]
    config.write_text(json.dumps(held))
    with pytest.raises(CheckpointError, match="has no chat template"):
        open_judge(str(folder), CPU)

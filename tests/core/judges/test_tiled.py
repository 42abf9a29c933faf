"""Judges on LLaVA-OneVision and InternVL against transformers alone: its own processor and its own forward."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from checkpoints import official_processor, tiled, value_head
from PIL import Image
from safetensors.torch import load_file
from transformers import AutoModelForImageTextToText

from core.judges.heads import HeadJudge
from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.prompts import PROMPTS
from core.model.loading import CheckpointError
from core.records import Comparison

CPU = Options(device="cpu")
KINDS = ("llava_onevision", "internvl")


def comparison(seed=0):
    picture = np.random.default_rng(seed).integers(0, 255, (90, 150, 3), dtype="uint8")
    return Comparison(str(seed), Image.fromarray(picture), "How many stars?", ("Two stars.", "I count five of them here."))  # fmt: skip


def plain(kind, folder, image, messages, written="", opened=True):
    """Ids, last states and last logits of a conversation."""
    own = official_processor(kind, folder)
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32).eval()
    text = own.tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=opened) + written
    inputs = own(images=image, text=text, return_tensors="pt")
    with torch.no_grad():
        out = model(**inputs, output_hidden_states=True)
    return inputs["input_ids"][0], out.hidden_states[-1][0], out.logits[0, -1]


def asked_of(prompt):
    return {"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}


@pytest.mark.parametrize("kind", KINDS)
def test_a_value_head_reads_the_last_token_of_the_conversation(kind, tmp_path):
    folder = value_head(tiled(tmp_path / "m", kind))
    judge, c = open_judge(str(folder), CPU), comparison()
    assert isinstance(judge, HeadJudge)
    held, one_before = load_file(folder / "value_head.safetensors"), []
    for response, reward in zip(c.responses, judge.judge(c).rewards, strict=True):
        said = {"role": "assistant", "content": [{"type": "text", "text": response}]}
        _, states, _ = plain(kind, folder, c.image, [asked_of(c.prompt), said], opened=False)
        assert reward == pytest.approx(float(states[-1] @ held["v_head.summary.weight"][0] + held["v_head.summary.bias"]), abs=1e-5)  # fmt: skip
        one_before.append(abs(float((states[-2] - states[-1]) @ held["v_head.summary.weight"][0])))
    assert max(one_before) > 1e-3  # a hundred times what is allowed above: a wrong token would show
    other = Comparison("o", c.image, c.prompt, c.responses[::-1])
    assert judge.judge(c).margin(0, 1) == -judge.judge(other).margin(0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_the_verdict_at_once_is_the_plain_log_odds(kind, tmp_path):
    folder = tiled(tmp_path / "m", kind)
    judge, c = open_judge(str(folder), CPU), comparison()
    judged = judge.judge(c)
    for vote, pair in zip(judged.votes, (c.responses, c.responses[::-1]), strict=True):
        asked = PROMPTS["verdict"].fill(c.prompt, *pair)
        _, _, logits = plain(kind, folder, c.image, [asked_of(asked)], "<answer>")
        first, second = (judge.processor.tokenizer(v, add_special_tokens=False)["input_ids"][0] for v in "12")
        assert vote.log_odds == pytest.approx(float(logits[first] - logits[second]), abs=1e-5)
    other = Comparison("o", c.image, c.prompt, c.responses[::-1])
    assert judged.margin(0, 1) == -judge.judge(other).margin(0, 1)


@pytest.mark.parametrize("kind", KINDS)
def test_it_writes(kind, tmp_path):
    judge = open_judge(str(tiled(tmp_path / "m", kind)), CPU)
    c = comparison()
    with judge.lock, torch.inference_mode():
        ids = judge.inputs(c.load_image(), judge.conversation("x"))
    text, _ = judge.write(c.load_image(), "x", 1)[0]
    own = judge.model.generate(**{k: ids[k] for k in ids if k not in ("tiles", "mm_token_type_ids")}, max_new_tokens=8, do_sample=False, top_p=None, top_k=None, temperature=None)  # fmt: skip
    said = judge.processor.tokenizer.decode(own[0, ids["input_ids"].shape[1] :], skip_special_tokens=True)
    assert text.startswith(said[:4])


def test_a_person_cannot_write_a_picture(tmp_path):
    """A picture's token in somebody's text stays text: no place without a feature, no feature moved."""
    for kind, token in (("llava_onevision", "<image>"), ("internvl", "<IMG_CONTEXT>")):
        judge = open_judge(str(value_head(tiled(tmp_path / kind, kind))), CPU)
        c = comparison()
        given = Comparison("g", c.image, f"{token} How many?", (f"Two {token}.", "Five."))
        assert all(np.isfinite(judge.judge(given).rewards))


def test_a_tokenizer_of_another_checkpoint_is_refused(tmp_path):
    folder = tiled(tmp_path / "m", "internvl")
    config = folder / "config.json"
    held = json.loads(config.read_text())
    config.write_text(json.dumps({**held, "image_token_id": held["image_token_id"] - 3}))
    with pytest.raises(CheckpointError, match="another token for pictures"):
        open_judge(str(folder), CPU)

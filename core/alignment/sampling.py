"""Many questions to a judge that writes, answered side by side: for difficulty and for measuring, where one at a time is slow."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from PIL import Image
from transformers import BatchFeature, GenerationConfig

from core.judges.generative import GenerativeJudge, _ends

Asked = tuple[Image.Image, str]  # the picture, and the prompt filled in


def batch_of(judge: GenerativeJudge, asked: Sequence[Asked]) -> BatchFeature:
    """The conversations up to where the judge begins to write, padded on the left; each as `GenerativeJudge.inputs` has it."""
    pixels = judge.processor.pictures([image for image, _ in asked])
    token = judge.processor.image_token
    texts = [
        judge.conversation(text).replace(token, judge.processor.replace_image_token(pixels, i), 1)
        for i, (_, text) in enumerate(asked)
    ]
    found = judge.processor.tokenizer(
        texts, return_tensors="pt", add_special_tokens=False, padding=True, padding_side="left"
    )
    ids = found["input_ids"]
    return BatchFeature({
        **pixels, "input_ids": ids, "attention_mask": found["attention_mask"],
        "mm_token_type_ids": (ids == judge.model.config.image_token_id).int(),
    }).to(judge.model.device)  # fmt: skip


def sample(
    judge: GenerativeJudge, asked: Sequence[Asked], n: int, temperature: float, seed: int = 0
) -> list[list[tuple[str, bool]]]:
    """n answers to each question, as (text, finished). temperature 0: the greedy one, n times the same."""
    inputs = batch_of(judge, asked)
    ends = _ends(judge.model, judge.processor.tokenizer)
    many = n if temperature else 1
    how = GenerationConfig(  # type: ignore[no-untyped-call]
        max_new_tokens=judge.prompt.max_new_tokens, do_sample=temperature > 0, temperature=temperature or None,
        top_p=1.0 if temperature else None, top_k=0 if temperature else None, num_return_sequences=many, eos_token_id=ends,
        pad_token_id=judge.processor.tokenizer.pad_token_id or ends[0],
    )  # fmt: skip
    devices = [judge.model.device] if judge.model.device.type == "cuda" else []
    with judge.lock, torch.inference_mode(), torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        out = judge.model.generate(**judge._own(inputs), generation_config=how)
    rows = [judge._read(row, ends) for row in out[:, inputs["input_ids"].shape[1] :].tolist()]
    return [rows[i * many : (i + 1) * many] * (n // many) for i in range(len(asked))]

"""The model that learns to reason: opened for training, and the rows TRL trains it on.

Rows are chats exactly as core.judges.generative asks its judges: what trained is what judges.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset, Features, Image, List, Value
from tokenizers import AddedToken
from transformers import AutoConfig, AutoModelForImageTextToText

from core.alignment.reasoning_data import Question
from core.judges.contents import look_at
from core.judges.prompts import Prompt
from core.model.backbones import SUPPORTED, load_vlm, open_processor
from core.model.loading import EMBEDDED, CheckpointError, load_checkpoint
from core.model.processor import RewardProcessor, _plain

# Words of prompt and thoughts that the embedded tokenizer cuts into letters: each becomes one token of the reasoning judge, so
# that it reads and writes half as many.
NEW_WORDS = (
    "<think>", "</think>", "<answer>", "</answer>", " Question", " Response", " Which", " better", " gives", " leaves", " leads",
    " adds", " padded", " rude", " broken", " brief", " wrong",
)  # fmt: skip

_CHAT = List({"role": Value("string"), "content": List({"type": Value("string"), "text": Value("string")})})


def open_policy(
    source: str | None, device: str | None, max_pixels: int | None = None
) -> tuple[Any, RewardProcessor]:
    """A model with its language head in training mode, in float32 (TRL's bf16 computes in bfloat16 on it), and its processor
    padding on the left. None: the embedded VL-MDR's backbone, whose embeddings are its language head. Raises CheckpointError."""
    if source is None:
        judge, processor = load_checkpoint(None, device or "cpu")
        config = judge.config.vlm_config
        model: Any = AutoModelForImageTextToText.from_config(config, dtype=torch.float32)
        model.model.load_state_dict(judge.backbone.state_dict())
        model.tie_weights()
        model.config.name_or_path = str(EMBEDDED)
        processor.tokenizer.chat_template = processor.chat_template
        model = with_words(model, processor.tokenizer, NEW_WORDS).to(judge.device)
    else:
        contents = look_at(source)
        if contents.model_type not in SUPPORTED:
            raise CheckpointError(
                f"'{contents.title}' ({contents.model_type or 'of an unknown kind'}) cannot be trained here: use one of {', '.join(SUPPORTED)}."
            )
        model = load_vlm(contents.local, contents.title, device, "float32")
        processor = open_processor(contents.local, contents.title, max_pixels)
    return model.train().requires_grad_(True), for_training(processor)  # judges are loaded without gradients


def with_words(model: Any, tokenizer: Any, words: Sequence[str]) -> Any:
    """The model with a token for each word, which begins as the mean of the pieces that it was cut into."""
    pieces = [tokenizer(w, add_special_tokens=False)["input_ids"] for w in words]
    before = len(tokenizer)
    tokenizer.add_tokens([AddedToken(w, normalized=False, special=False) for w in words])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    table = model.get_input_embeddings().weight.data
    for i, ids in enumerate(pieces):
        table[before + i] = table[ids].mean(0)
    return model


def for_training(processor: RewardProcessor) -> RewardProcessor:
    """Padding on the left: TRL builds mm_token_type_ids with the tokenizer's own side, but pads prompts on the left."""
    processor.tokenizer.padding_side = "left"
    assert processor.return_mm_token_type_ids
    return processor


def shape_of(source: str) -> tuple[Any, Any]:
    """(config, the model on no device at all): everything of it but the weights. Raises CheckpointError."""
    contents = look_at(source)
    if contents.model_type not in SUPPORTED:
        raise CheckpointError(
            f"'{contents.title}' ({contents.model_type}) cannot be trained here: use one of {', '.join(SUPPORTED)}."
        )
    config = AutoConfig.from_pretrained(contents.folder)
    with torch.device("meta"):
        return config, AutoModelForImageTextToText.from_config(config, dtype=torch.bfloat16)


def asked(question: Question, prompt: Prompt, processor: RewardProcessor) -> list[dict[str, Any]]:
    """The chat up to where the judge begins to write, as GenerativeJudge.conversation has it."""
    text = _plain(processor, prompt.fill(question.question, question.first, question.second))
    chat = [{"role": "user", "content": [{"type": "image", "text": None}, {"type": "text", "text": text}]}]
    if prompt.system:
        chat.insert(0, {"role": "system", "content": [{"type": "text", "text": prompt.system}]})
    return chat


def dataset(
    questions: Sequence[Question],
    prompt: Prompt,
    processor: RewardProcessor,
    images: Path,
    texts: dict[str, str] | None = None,
    facts: dict[str, Any] | None = None,
) -> Dataset:
    """Rows for TRL: prompt, images (decoded when they are needed), answer, id, first and second response; with `texts` (by id) also the completion, and
    facts, the characters [start, end) of it that carry one."""
    columns: dict[str, list[Any]] = {
        "prompt": [asked(q, prompt, processor) for q in questions],
        "images": [[str(images / q.image)] for q in questions],
        "answer": [q.answer for q in questions],
        "id": [q.id for q in questions],
        "first": [q.first for q in questions],
        "second": [q.second for q in questions],
    }
    features = {"prompt": _CHAT, "images": List(Image()), "answer": Value("int64"),
                **dict.fromkeys(("id", "first", "second"), Value("string"))}  # fmt: skip
    if texts is not None:
        columns["completion"] = [
            [{"role": "assistant", "content": [{"type": "text", "text": _plain(processor, texts[q.id])}]}]
            for q in questions
        ]
        columns["facts"] = [[list(f) for f in (facts or {}).get(q.id) or ()] for q in questions]
        features |= {"completion": _CHAT, "facts": List(List(Value("int64")))}
    return Dataset.from_dict(columns, features=Features(features))

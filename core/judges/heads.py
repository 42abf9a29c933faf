"""Scalar reward models that others trained: a value head, a classifier with one label or a small stack of layers on a
vision-language model.

The head reads the last token of the conversation as the checkpoint's chat template writes it. With Qwen's template that
is the newline after <|im_end|> (Skywork-VL-Reward, LLaMA-Factory, ms-swift from 4.0 on), not <|im_end|> itself.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

from core.judges.contents import Contents
from core.judges.options import Options
from core.judges.padded import Prepared, card_of
from core.judges.scalar import ScalarJudge
from core.model.backbones import load_vlm, open_processor
from core.model.loading import EMBEDDED_SCALAR, CheckpointError
from core.model.processor import RewardProcessor
from core.model.readers import reader_of
from core.model.value_head import find_layout, load_head
from core.records import Comparison, Judgement, RecordError

POOLED = {"newline": "the last token of the chat template's turn", "turn-end": "the token that ends the turn"}


class HeadJudge(ScalarJudge):
    """A scalar judge from a public checkpoint: see `open_head`.

    Responses go through the model in the order of their texts, whatever order they are given in: a matrix product's last
    digit depends on a row's place, and swapping two responses must turn the sign of the margin and nothing else.
    """

    def prepare(self, comparisons: list[Comparison]) -> Prepared:
        ordered = [replace(c, responses=tuple(sorted(c.responses)), preferred=None) for c in comparisons]
        return replace(super().prepare(ordered), comparisons=comparisons)

    def _judge(self, prepared: Prepared) -> list[Judgement]:
        out = []
        for judgement, comparison in zip(super()._judge(prepared), prepared.comparisons, strict=True):
            rewards = dict(zip(sorted(comparison.responses), judgement.rewards, strict=True))
            if not all(map(math.isfinite, judgement.rewards)):
                raise RecordError(
                    f"The reward that '{self.card.name}' gives is not a number: its weights or its number type "
                    f"({self.card.dtype}) do not hold what it computes. Try --dtype float32."
                )
            out.append(replace(judgement, rewards=tuple(rewards[r] for r in comparison.responses)))
        return out


def open_head(contents: Contents, options: Options, heads: Contents | None = None) -> HeadJudge:
    """heads: where the head's own weights are, if they are not among the others. Raises CheckpointError."""
    heads = heads or contents
    layout = find_layout(heads.names)
    assert layout
    processor = open_processor(contents.local, contents.title, options.max_pixels)
    set_turn(processor, contents.title, options.pooled)
    # A reward model may lack the language head that its class has: nothing of the reward comes from it.
    model = load_vlm(contents.local, contents.title, options.device, options.dtype, ("lm_head.weight",))
    head = load_head(heads.local, layout, model.config.get_text_config().hidden_size)
    reward = reader_of(model, head.to(model.device))
    last = processor.tokenizer.convert_ids_to_tokens(processor.tokenizer(turn_of(processor)[1], add_special_tokens=False)["input_ids"])[-1:]  # fmt: skip
    about = f"{layout.name}, read at {POOLED[options.pooled]} ({_shown(last)}); {processor.limit}"
    source = contents.source if contents.hub else contents.folder
    return HeadJudge(
        reward, processor, card_of(reward, source, "scalar", EMBEDDED_SCALAR, contents.revision, about=about)
    )


def set_turn(processor: RewardProcessor, title: str, pooled: str = "newline") -> None:
    """Fixes what stands around a response, after checking that the template writes finished turns as it opens them.

    Raises CheckpointError.
    """
    if pooled not in POOLED:
        raise CheckpointError(f"'{pooled}' is not a token to read at: use {' or '.join(POOLED)}.")
    mark = "\u241f"
    user: dict[str, Any] = {"role": "user", "content": [{"type": "text", "text": "x"}]}
    reply: dict[str, Any] = {"role": "assistant", "content": [{"type": "text", "text": mark}]}

    def render(messages: list[dict[str, Any]], opened: bool) -> str:
        return str(processor.tokenizer.apply_chat_template(
            messages, chat_template=processor.chat_template, tokenize=False, add_generation_prompt=opened,
        ))  # fmt: skip

    try:
        opened, whole = render([user], True), render([user, reply], False)
    except Exception as error:
        raise CheckpointError(f"The chat template of '{title}' cannot be used: {str(error)[:200]}") from error
    if whole.count(mark) != 1:
        raise CheckpointError(f"The chat template of '{title}' does not write what the assistant said.")
    begun = (
        opened if whole.startswith(opened) else opened.rstrip()
    )  # LLaVA-OneVision ends it in other white space
    if not whole.startswith(begun):
        raise CheckpointError(
            f"The chat template of '{title}' opens a reply with {opened[-24:]!r}, which does not stand before a finished "
            "reply: it is made for a model that thinks first, and a reward head cannot be read behind it. Put the template "
            "with which the head was trained into the folder."
        )
    before, after = whole.removeprefix(begun).split(mark)
    processor._opens = opened.removeprefix(begun)
    processor._turn = before, after if pooled == "newline" else after.rstrip("\n")


def turn_of(processor: RewardProcessor) -> tuple[str, str]:
    assert processor._turn
    return processor._turn


def _shown(tokens: list[str]) -> str:
    return {"Ċ": "newline"}.get(tokens[0], tokens[0]) if tokens else "the response's last token"

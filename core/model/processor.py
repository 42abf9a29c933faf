"""Image and text to tensors, without torchvision.

transformers' Qwen2_5_VLProcessor needs torchvision for video. This project has images only, so its processor
is the PIL image processor and the tokenizer; the ids are those of the official class.
"""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import AutoTokenizer, BatchFeature
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil
from transformers.processing_utils import ProcessorMixin

from core.records import RecordError

MAX_PIXELS = 112 * 112  # of the embedded models' pictures
MARK = "\u241f"  # stands for a text while the chat template is rendered to see what it writes around it


@dataclass(frozen=True)
class Layout:
    """Where a picture's visual tokens look. rows, columns: of a grid over the picture. cells: (tokens,) the cell that each
    token shows, counted row by row; -1 where it shows none of the picture."""

    rows: int
    columns: int
    cells: Tensor


class RewardProcessor(ProcessorMixin):
    """Image processor and tokenizer of Qwen2-VL, Qwen2.5-VL and Qwen3-VL checkpoints; tiles.py has those of others.

    model_keys: what of a picture the model's own forward takes. named, token: where the tokenizer names the token that stands
    for a picture, and the token itself where it does not. several: whether one conversation may hold several pictures.
    """

    named, token = "image_token", "<|image_pad|>"
    model_keys: tuple[str, ...] = ("pixel_values", "image_grid_thw", "mm_token_type_ids")
    several = True

    # Without them transformers falls back to one-dimensional positions, and says nothing (TRL calls the processor itself).
    return_mm_token_type_ids = True

    def __init__(
        self, image_processor: Any = None, tokenizer: Any = None, chat_template: str | None = None, **_: Any
    ):
        self.image_token = getattr(tokenizer, self.named, None) or self.token
        self.control_tokens = [t.content for t in tokenizer.added_tokens_decoder.values() if t.special]
        self._turn: tuple[str, str] | None = None
        self._opens: str | None = None
        self.image_token_id = tokenizer.convert_tokens_to_ids(self.image_token)
        super().__init__(image_processor, tokenizer, chat_template=chat_template or tokenizer.chat_template)

    @classmethod
    def get_attributes(cls) -> list[str]:
        return ["image_processor", "tokenizer"]

    @classmethod
    def from_pretrained(cls, source: Any, **kwargs: Any) -> RewardProcessor:  # type: ignore[override]
        # Without this, transformers asks on the terminal whether to run what a checkpoint brings.
        kwargs["trust_remote_code"] = False
        image_processor = Qwen2VLImageProcessorPil.from_pretrained(source, **kwargs)
        return cls(image_processor, AutoTokenizer.from_pretrained(source, **kwargs))

    def pictures(self, images: list[Image.Image]) -> BatchFeature:
        """What a model is given of them, and what is needed to say where their visual tokens look."""
        return self.image_processor(images=images, return_tensors="pt")

    @property
    def limit(self) -> str:
        """The largest picture that the model is shown, in words."""
        return f"pictures of at most {int(self.image_processor.size['longest_edge']):,} pixels"

    def layout(self, inputs: Any, i: int, tokens: int) -> Layout:
        """Of picture i, which has so many visual tokens: a square, or else one row, where there is no grid."""
        if "image_grid_thw" in inputs:
            _, rows, columns = (
                int(v) // self.image_processor.merge_size for v in inputs["image_grid_thw"][i]
            )
        else:
            side = math.isqrt(tokens)
            rows, columns = (side, side) if side * side == tokens else (1, tokens)
        return Layout(rows, columns, torch.arange(rows * columns))

    def replace_image_token(self, image_inputs: Any, image_idx: int, **_: Any) -> str:
        grid = image_inputs["image_grid_thw"][image_idx]
        return self.image_token * int(grid.prod() // self.image_processor.merge_size**2)


@dataclass(frozen=True)
class Response:
    """A tokenised response: ids (R,) ending with the turn's last token; spans[i] = (start, end) characters of
    token i in the response text, (0, 0) for the template's own tokens."""

    ids: list[int]
    spans: list[tuple[int, int]]


def encode_prefix(processor: RewardProcessor, images: list[Image.Image], prompts: list[str]) -> BatchFeature:
    """Image and prompt up to where the response begins, padded on the left. One image a prompt."""
    texts = [_prefix(processor, prompt) for prompt in prompts]
    inputs = processor.pictures(images)
    texts = [_with_image(processor, text, inputs, i) for i, text in enumerate(texts)]
    tokens = processor.tokenizer(
        texts, padding=True, padding_side="left", return_tensors="pt", add_special_tokens=False
    )
    return BatchFeature(
        {**inputs, "input_ids": tokens["input_ids"], "attention_mask": tokens["attention_mask"]}
    )


def prompt_positions(processor: RewardProcessor, inputs: BatchFeature, prompt: str) -> Tensor:
    """(P,) bool: where the prompt's own words stand in what `encode_prefix` gave for this one prompt.

    Whatever the chat template writes around them: it is rendered once more with a mark in the prompt's place. Raises
    RecordError where the template does not show it.
    """
    whole, around = _prefix(processor, prompt), _prefix(processor, MARK).split(MARK)
    before, after = around[0], around[-1]
    if len(around) != 2 or not (whole.startswith(before) and whole.endswith(after)):
        raise RecordError(
            "This model's chat template does not show the prompt once and as it is, so its words cannot be told from the "
            "template's own and nothing can be explained. Mend the chat_template of the checkpoint."
        )
    start = len(_with_image(processor, before, inputs, 0))
    end = len(_with_image(processor, whole, inputs, 0)) - len(_with_image(processor, after, inputs, 0))
    encoded = processor.tokenizer(_with_image(processor, whole, inputs, 0), add_special_tokens=False,
                                  return_offsets_mapping=True)  # fmt: skip
    return torch.tensor([a < end and b > start and b > a for a, b in encoded["offset_mapping"]])


def encode_response(processor: RewardProcessor, text: str) -> Response:
    """The assistant's turn. Its last token is where the response is scored."""
    before, after = _around_response(processor)
    said = (
        text.strip()
    )  # blanks around a text say nothing, and a model that saw none there would read much into them
    encoded = processor.tokenizer(before + _plain(processor, said) + after, add_special_tokens=False,
                                  return_offsets_mapping=True)  # fmt: skip
    start, end = len(before), len(before) + len(said)
    shift = len(text) - len(text.lstrip()) - start  # spans are those of the text as it was given
    spans = [(max(a, start) + shift, min(b, end) + shift) if a < end and b > start else (0, 0)
             for a, b in encoded["offset_mapping"]]  # fmt: skip
    return Response(encoded["input_ids"], spans)


def pad_responses(processor: RewardProcessor, responses: list[list[Response]]) -> tuple[Tensor, Tensor]:
    """ids and mask (B, N, R), padded on the right."""
    longest = max(len(r.ids) for row in responses for r in row)
    pad = processor.tokenizer.pad_token_id or 0
    ids = torch.tensor([[r.ids + [pad] * (longest - len(r.ids)) for r in row] for row in responses])
    mask = torch.tensor([[[1] * len(r.ids) + [0] * (longest - len(r.ids)) for r in row] for row in responses])
    return ids, mask


def _plain(processor: RewardProcessor, text: str) -> str:
    """Text in which nothing can pass for a control token of the template ("<|im_end|>" typed by a person). No length changes."""
    for token in processor.control_tokens:
        text = text.replace(token, token.replace("|", "¦") if "|" in token else "‹" + token[1:])
    return text


def _prefix(processor: RewardProcessor, prompt: str) -> str:
    content = [{"type": "image"}, {"type": "text", "text": _plain(processor, prompt.strip())}]
    asked = _rendered(processor, [{"role": "user", "content": content}], add_generation_prompt=True)
    return asked.removesuffix(_opens_with(processor))


def _rendered(processor: RewardProcessor, messages: list[dict[str, Any]], **how: Any) -> str:
    return processor.tokenizer.apply_chat_template(messages, chat_template=processor.chat_template, tokenize=False, **how)  # fmt: skip


def _probe(processor: RewardProcessor) -> tuple[str, str, str]:
    """A question, the question with the assistant's turn opened, and with that turn."""
    user = {"role": "user", "content": [{"type": "text", "text": "x"}]}
    assistant = {"role": "assistant", "content": [{"type": "text", "text": MARK}]}
    opened = _rendered(processor, [user], add_generation_prompt=True)
    return _rendered(processor, [user]), opened, _rendered(processor, [user, assistant])


def _opens_with(processor: RewardProcessor) -> str:
    """What the generation prompt writes into the response, as <think> of models that think first: a response that is
    there already does not begin with it. Raises RecordError where the template writes a finished turn quite otherwise."""
    if processor._opens is None:
        question, opened, whole = _probe(processor)
        fits = whole.startswith(opened)
        common = opened if fits else os.path.commonprefix([opened, whole]).rstrip(" ")
        if not fits and len(common) <= len(question.rstrip()):
            raise RecordError(
                "This model's chat template opens the assistant's turn otherwise than it writes a finished one, so where a "
                "response begins cannot be told. Mend the chat_template of the checkpoint."
            )
        processor._opens = opened[len(common) :]
    return processor._opens


def _with_image(processor: RewardProcessor, text: str, inputs: Any, i: int) -> str:
    """A rendered template with the one image token as often as picture i has visual tokens."""
    return text.replace(processor.image_token, processor.replace_image_token(inputs, i), 1)


def _around_response(processor: RewardProcessor) -> tuple[str, str]:
    """What the chat template puts between the generation prompt and the response, and after the response."""
    if processor._turn:
        return processor._turn
    _, opened, whole = _probe(processor)
    before, after = whole.removeprefix(opened.removesuffix(_opens_with(processor))).split(MARK)
    processor._turn = before, after.rstrip("\n")
    return processor._turn

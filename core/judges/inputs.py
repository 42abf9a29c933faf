"""Image, prompt and two responses as decoder-input embeddings, with the baseline they are compared to.

Attribution happens here, at the input of the first decoder layer, with text and image as joint inputs.
(At the token-embedding layer the image gets exactly zero: its features overwrite those embeddings.)

Baseline: a plain grey picture of the same size, and the mean token embedding in place of every word. The chat
template's own tokens stay as they are: they carry no content, and without them the model reads no turn.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from core.judges.conditions import blank_image
from core.judges.pictures import Pictures, look
from core.model.processor import (
    Layout,
    Response,
    RewardProcessor,
    encode_prefix,
    encode_response,
    pad_responses,
    prompt_positions,
)

BASELINE = "grey picture, mean word"


@dataclass(frozen=True)
class Inputs:
    """P prefix positions, R response positions, H hidden.

    prefix, prefix_base: (1, P, H), made when they are first asked for: what an explanation costs is known before the model
    has looked at the picture. with_pictures: B other pictures of the same size in the record's place -> (B, P, H).
    response, response_base: (1, 2, R, H). at_image, at_prompt: (P,) bool.
    layout: where the visual tokens look. responses: the two tokenised responses.
    """

    given: Callable[[], Tensor]
    base: Callable[[], Tensor]
    with_pictures: Callable[[Sequence[Image.Image]], Tensor]
    response: Tensor
    response_base: Tensor
    mask: Tensor
    response_mask: Tensor
    positions: Tensor
    at_image: Tensor
    at_prompt: Tensor
    layout: Layout
    responses: tuple[Response, Response]

    @cached_property
    def prefix(self) -> Tensor:
        return self.given()

    @cached_property
    def prefix_base(self) -> Tensor:
        return self.base()


@torch.no_grad()
def build_inputs(
    model: Any,
    processor: RewardProcessor,
    image: Image.Image,
    prompt: str,
    texts: tuple[str, str],
    pictures: Pictures | None = None,
) -> Inputs:
    """pictures: what the judge has seen. Call this, and use what it gives, under the judge's lock.

    Raises RecordError where the chat template does not show the prompt.
    """
    pictures = pictures or Pictures(model)
    batch = encode_prefix(processor, [image], [prompt]).to(model.device)
    ids = batch["input_ids"]
    vision = {k: v for k, v in batch.items() if k not in ("input_ids", "attention_mask", "pixel_values")}
    at_image = model.at_image(ids)[0]
    at_prompt = prompt_positions(processor, batch, prompt).to(ids.device)
    mean = model.backbone.get_input_embeddings().weight.mean(0)

    @torch.no_grad()
    def given() -> Tensor:
        embeds: Tensor = model.embed(ids, pictures.of(image, lambda: batch))
        return embeds

    @torch.no_grad()
    def base() -> Tensor:
        blank = blank_image(image)
        features = pictures.of(blank, lambda: encode_prefix(processor, [blank], [prompt]).to(model.device))
        embeds: Tensor = model.embed(ids, features)
        embeds[0, at_prompt, : mean.shape[-1]] = mean
        return embeds

    @torch.no_grad()
    def with_pictures(images: Sequence[Image.Image]) -> Tensor:
        seen = encode_prefix(processor, list(images), [prompt] * len(images)).to(model.device)
        embeds: Tensor = model.embed(seen["input_ids"], look(model, seen))
        return embeds

    responses = (encode_response(processor, texts[0]), encode_response(processor, texts[1]))
    response_ids, response_mask = (t.to(model.device) for t in pad_responses(processor, [list(responses)]))
    response = model.backbone.get_input_embeddings()(response_ids)
    response_base = response.clone()
    for n, r in enumerate(responses):
        words = [i for i, (start, end) in enumerate(r.spans) if end > start]
        response_base[0, n, words] = mean
    return Inputs(
        given, base, with_pictures, response, response_base, batch["attention_mask"], response_mask,
        model.positions(ids, batch["attention_mask"], **vision), at_image, at_prompt,
        processor.layout(batch, 0, int(at_image.sum())), responses,
    )  # fmt: skip

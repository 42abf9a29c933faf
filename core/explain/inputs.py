"""Image, prompt and two responses as decoder-input embeddings, with the baseline they are compared to.

Attribution happens here, at the input of the first decoder layer, with text and image as joint inputs.
(At the token-embedding layer the image gets exactly zero: its features overwrite those embeddings.)

Baseline: a plain grey picture of the same size, and the mean token embedding in place of every word. The chat
template's own tokens stay as they are: they carry no content, and without them the model reads no turn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from PIL import Image
from torch import Tensor

from core.judges.conditions import blank_image
from core.judges.vlmdr import VLMDRJudge
from core.model.processor import Response, encode_prefix, encode_response, pad_responses

BASELINE = "grey picture, mean word"


@dataclass(frozen=True)
class Inputs:
    """P prefix positions, R response positions, H hidden.

    prefix, prefix_base: (1, P, H). response, response_base: (1, 2, R, H). at_image, at_prompt: (P,) bool.
    grid: rows and columns of visual tokens. responses: the two tokenised responses.
    """

    prefix: Tensor
    prefix_base: Tensor
    response: Tensor
    response_base: Tensor
    mask: Tensor
    response_mask: Tensor
    positions: Tensor
    at_image: Tensor
    at_prompt: Tensor
    grid: tuple[int, int]
    responses: tuple[Response, Response]


@torch.no_grad()
def build_inputs(judge: VLMDRJudge, image: Image.Image, prompt: str, texts: tuple[str, str]) -> Inputs:
    model, processor = judge.model, judge.processor
    batch = encode_prefix(processor, [image], [prompt]).to(model.device)
    plain = encode_prefix(processor, [blank_image(image)], [prompt]).to(model.device)
    ids, vision = batch["input_ids"], {"image_grid_thw": batch["image_grid_thw"]}
    at_image = model.at_image(ids)[0]
    control = torch.tensor(
        [i in processor.tokenizer.added_tokens_decoder for i in ids[0].tolist()], device=ids.device
    )
    at_prompt = _within_prompt(control)
    mean = model.backbone.get_input_embeddings().weight.mean(0)

    prefix = model.embed(ids, model.image_features(batch["pixel_values"], **vision))
    base = model.embed(ids, model.image_features(plain["pixel_values"], **vision))
    base[0, at_prompt] = mean
    responses = (encode_response(processor, texts[0]), encode_response(processor, texts[1]))
    response_ids, response_mask = (t.to(model.device) for t in pad_responses(processor, [list(responses)]))
    response = model.backbone.get_input_embeddings()(response_ids)
    response_base = response.clone()
    for n, r in enumerate(responses):
        words = [i for i, (start, end) in enumerate(r.spans) if end > start]
        response_base[0, n, words] = mean
    merge = processor.image_processor.merge_size
    _, rows, columns = (int(v) for v in batch["image_grid_thw"][0])
    return Inputs(
        prefix, base, response, response_base, batch["attention_mask"], response_mask,
        model.positions(ids, batch["attention_mask"], **vision), at_image, at_prompt,
        (rows // merge, columns // merge), responses,
    )  # fmt: skip


def _within_prompt(control: Tensor) -> Tensor:
    """Positions of the user's own words: between the end of the picture and the end of the user's turn."""
    at = control.nonzero().flatten().tolist()
    picture_ends, turn_ends = at[-3], at[-2]  # at[-1] opens the assistant's turn
    words = torch.zeros_like(control)
    words[picture_ends + 1 : turn_ends] = True
    return words

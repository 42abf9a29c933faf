"""What every reward model here does with a vision-language backbone: read image and prompt once, then responses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache, PreTrainedModel

# Of a batch of responses: as many as are never read in two halves, and the share of positions that halves must spare.
FEW, SPARED = 8, 0.1


@dataclass
class Prefix:
    """Image and prompt as the backbone left them. B inputs, P prefix positions, H hidden.

    cache: keys and values of the prefix, one (key, value) pair a layer, each (B, heads, P, head_dim).
    mask: (B, P) 1 for tokens, 0 for padding (on the left). next_position: (B,) of the first response token.
    states: (B, P, H) last hidden states.
    """

    cache: list[tuple[Tensor, Tensor]]
    mask: Tensor
    next_position: Tensor
    states: Tensor


class Reader(PreTrainedModel):
    """Works around any `transformers` image-text backbone whose picture enters the decoder as input embeddings
    (Qwen2-VL, Qwen2.5-VL, LLaVA and their kin); Qwen2.5-VL is the reference. Subclasses add the reward head."""

    backbone: Any
    base_model_prefix = "backbone"
    input_modalities = ["image", "text"]
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    # -- image and prompt ------------------------------------------------------------------------------------

    def image_features(self, pixel_values: Tensor, **vision: Any) -> list[Tensor]:
        """One (tokens, H) tensor per image: what the decoder gets to see of it."""
        out = self.backbone.get_image_features(pixel_values, **vision, return_dict=True).pooler_output
        return list(out)

    def embed(self, input_ids: Tensor, features: list[Tensor]) -> Tensor:
        """Token embeddings (B, P, H) with image features at the image positions, in order."""
        embeds = self.backbone.get_input_embeddings()(input_ids)
        at_image = self.at_image(input_ids).unsqueeze(-1).expand_as(embeds)
        flat = torch.cat(features).to(embeds)
        if int(at_image.sum()) != flat.numel():
            raise ValueError(
                f"{int(at_image[..., 0].sum())} image positions in the text but {flat.shape[0]} image features"
            )
        return embeds.masked_scatter(at_image, flat)

    def at_image(self, input_ids: Tensor) -> Tensor:
        return input_ids == self.config.vlm_config.image_token_id  # type: ignore[union-attr]

    def positions(self, input_ids: Tensor, attention_mask: Tensor, **vision: Any) -> Tensor:
        """Rotary positions of the prefix: (3, B, P) for backbones with multimodal rope, else (B, P)."""
        if hasattr(self.backbone, "get_rope_index"):
            vision = {k: v for k, v in vision.items() if k in ("image_grid_thw", "mm_token_type_ids")}
            vision.setdefault("mm_token_type_ids", self.at_image(input_ids).int())
            return self.backbone.get_rope_index(input_ids=input_ids, attention_mask=attention_mask, **vision)[
                0
            ]
        return (attention_mask.long().cumsum(-1) - 1).clamp_min(0)

    def read(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor, **vision: Any) -> Any:
        """Image and prompt, padded on the left. input_ids, attention_mask: (B, P). Gives what `read_embeds` gives."""
        grids = {k: v for k, v in vision.items() if k not in ("mm_token_type_ids",)}
        return self.read_features(
            input_ids, attention_mask, self.image_features(pixel_values, **grids), **vision
        )

    def read_features(
        self, input_ids: Tensor, attention_mask: Tensor, features: list[Tensor], **vision: Any
    ) -> Any:
        """The same where the pictures' features are there already (`image_features`)."""
        embeds = self.embed(input_ids, features)
        positions = self.positions(input_ids, attention_mask, **vision)
        return self.read_embeds(embeds, attention_mask, positions, self.at_image(input_ids))

    def read_embeds(self, embeds: Tensor, mask: Tensor, positions: Tensor, at_image: Tensor) -> Prefix:
        """The same from embeddings (B, P, H): the entrance for attribution and for training."""
        out = self.backbone.get_decoder()(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            past_key_values=None,
        )
        return self.prefix_of(out, mask, positions)

    def prefix_of(self, out: Any, mask: Tensor, positions: Tensor) -> Prefix:
        """What a decoder gave, as it is kept."""
        return Prefix(
            cache=[(layer[0], layer[1]) for layer in out.past_key_values],
            mask=mask,
            next_position=(positions.amax(0) if positions.ndim == 3 else positions).amax(-1) + 1,
            states=out.last_hidden_state,
        )

    # -- responses -------------------------------------------------------------------------------------------

    def response_states(self, reading: Prefix, embeds: Tensor, mask: Tensor) -> Tensor:
        """States of response tokens. embeds (B, N, R, H), mask (B, N, R), padded on the right -> (B, N, R, H).

        Under causal attention the prefix does not depend on the response, so its keys and values are reused:
        one vision pass and one prompt pass serve all N responses.
        """
        b, n, _, _ = embeds.shape
        whole, lengths = embeds.flatten(0, 1), mask.flatten(0, 1)
        parts = _by_length(lengths) if torch.is_inference_mode_enabled() else None
        if parts is None:
            states = self._states(reading, whole, lengths, lambda t: t.repeat_interleave(n, 0))
            return states.unflatten(0, (b, n))
        out = torch.zeros_like(whole)
        for rows, longest in parts:
            some = (rows, slice(longest))
            out[some] = self._states(reading, whole[some], lengths[some], partial(_rows, rows // n))
        return out.unflatten(0, (b, n))

    def _states(
        self, reading: Prefix, embeds: Tensor, mask: Tensor, spread: Callable[[Tensor], Tensor]
    ) -> Tensor:
        """(S, R, H) embeddings of S responses, padded on the right, -> (S, R, H). spread: gives each response what its input
        has, (B, ...) -> (S, ...)."""
        cache = DynamicCache(config=self.config.get_text_config())
        for i, (key, value) in enumerate(reading.cache):
            cache.update(spread(key), spread(value), i)
        offsets = torch.arange(embeds.shape[1], device=embeds.device)
        out = self.backbone.get_decoder()(
            inputs_embeds=embeds,
            attention_mask=torch.cat([spread(reading.mask), mask], dim=1),
            position_ids=spread(reading.next_position)[:, None] + offsets,
            past_key_values=cache,
            use_cache=True,
        )
        states: Tensor = out.last_hidden_state
        return states


def _rows(wanted: Tensor, t: Tensor) -> Tensor:
    return t[wanted]


def _by_length(mask: Tensor) -> list[tuple[Tensor, int]] | None:
    """Rows of a batch (S, R) in two halves, the short and the long ones, with the longest of each; None where that spares
    less than SPARED of the positions, which a second call of the decoder costs."""
    lengths = mask.long().sum(-1)
    if len(lengths) < FEW:
        return None
    order = lengths.argsort(stable=True)
    halves = order.split(-(-len(order) // 2))
    parts = [(rows, int(lengths[rows].max())) for rows in halves]
    spared = 1 - sum(len(rows) * longest for rows, longest in parts) / mask.numel()
    return parts if spared >= SPARED else None


def at_end(states: Tensor, mask: Tensor) -> Tensor:
    """(B, N, R, H) padded on the right -> (B, N, H): the state at the last token of each response."""
    last = (mask.long().sum(-1) - 1).clamp_min(0)
    return states.gather(2, last[..., None, None].expand(-1, -1, 1, states.shape[-1])).squeeze(2)

"""Qwen3-VL: features of the picture are also added to the states after the first decoder layers (DeepStack, 2406.04334).

Here they travel beside the embeddings: a picture's position is (1 + L) x H wide, its embedding and what is added after each
of L layers; a text position has zeros there. So mixing with a baseline, as attribution does, mixes all of what a picture
gives the decoder.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from core.model.reader import Prefix
from core.model.value_head import HeadedReward


class DeepStackReward(HeadedReward):
    def image_features(self, pixel_values: Tensor, **vision: Any) -> list[Tensor]:
        """One (tokens, (1 + L) H) tensor per image."""
        out = self.backbone.get_image_features(pixel_values, **vision, return_dict=True)
        return [
            torch.cat(parts, dim=-1) for parts in zip(out.pooler_output, *out.deepstack_features, strict=True)
        ]

    def embed(self, input_ids: Tensor, features: list[Tensor]) -> Tensor:
        """(B, P, (1 + L) H)."""
        embeds = self.backbone.get_input_embeddings()(input_ids)
        at_image, flat = self.at_image(input_ids), torch.cat(features).to(embeds)
        if int(at_image.sum()) != len(flat):
            raise ValueError(
                f"{int(at_image.sum())} image positions in the text but {len(flat)} image features"
            )
        wide = nn.functional.pad(embeds, (0, flat.shape[-1] - embeds.shape[-1]))
        return wide.masked_scatter(at_image.unsqueeze(-1).expand_as(wide), flat)

    def read_embeds(self, embeds: Tensor, mask: Tensor, positions: Tensor, at_image: Tensor) -> Prefix:
        first, *later = embeds.split(self.config.hidden_size, dim=-1)
        at_image = at_image.expand(embeds.shape[:2])
        out = self.backbone.get_decoder()(
            inputs_embeds=first, attention_mask=mask, position_ids=positions, use_cache=True, past_key_values=None,
            visual_pos_masks=at_image, deepstack_visual_embeds=[added[at_image] for added in later],
        )  # fmt: skip
        return self.prefix_of(out, mask, positions)

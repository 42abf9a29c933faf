"""VLMDR: reads image and prompt once (`read`), then scores any number of responses on them (`score`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoModel, DynamicCache, PreTrainedModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from core.model.config import VLMDRConfig
from core.model.head import ParallelMLP, RewardHead, aggregate, select, weights_over


@dataclass
class Reading:
    """What is known once image and prompt were read. B inputs, P prefix positions, D dimensions, H hidden.

    cache: keys and values of the prefix, one (key, value) pair a layer, each (B, heads, P, head_dim).
    mask: (B, P) 1 for tokens, 0 for padding (on the left). next_position: (B,) of the first response token.
    states: (B, P, H) last hidden states. relevance_logits, weight_logits: (B, D). active: (B, D) bool.
    weights: (B, D), a softmax over the active dimensions.
    """

    cache: list[tuple[Tensor, Tensor]]
    mask: Tensor
    next_position: Tensor
    states: Tensor
    relevance_logits: Tensor
    weight_logits: Tensor
    active: Tensor
    weights: Tensor


@dataclass
class VLMDROutput(ModelOutput):
    """rewards (B, N), scores (B, N, D), relevance_logits (B, D), active (B, D) bool, weights (B, D)."""

    rewards: Tensor | None = None
    scores: Tensor | None = None
    relevance_logits: Tensor | None = None
    active: Tensor | None = None
    weights: Tensor | None = None


class VLMDR(PreTrainedModel):
    """VL-MDR (arXiv 2604.05445): reward = sum over the top-k dimensions of weight * score.

    Works around any `transformers` image-text backbone whose picture enters the decoder as input embeddings
    (Qwen2-VL, Qwen2.5-VL, LLaVA and their kin); Qwen2.5-VL is the reference.
    """

    config: VLMDRConfig
    config_class = VLMDRConfig
    base_model_prefix = "backbone"
    input_modalities = ["image", "text"]
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: VLMDRConfig) -> None:
        super().__init__(config)
        self.backbone = AutoModel.from_config(config.vlm_config)
        hidden = config.hidden_size
        self.head = RewardHead(
            hidden, config.num_dimensions, config.gate_size or hidden // 4, config.score_size
        )
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, ParallelMLP):
            init.normal_(module.down, std=module.down.shape[1] ** -0.5)
            init.zeros_(module.bias)

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

    def read(self, input_ids: Tensor, attention_mask: Tensor, pixel_values: Tensor, **vision: Any) -> Reading:
        """Image and prompt, padded on the left. input_ids, attention_mask: (B, P)."""
        grids = {k: v for k, v in vision.items() if k not in ("mm_token_type_ids",)}
        embeds = self.embed(input_ids, self.image_features(pixel_values, **grids))
        positions = self.positions(input_ids, attention_mask, **vision)
        return self.read_embeds(embeds, attention_mask, positions, self.at_image(input_ids))

    def read_embeds(self, embeds: Tensor, mask: Tensor, positions: Tensor, at_image: Tensor) -> Reading:
        """The same from embeddings (B, P, H): the entrance for attribution and for training."""
        out = self.backbone.get_decoder()(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            use_cache=True,
            past_key_values=None,
        )
        states = out.last_hidden_state
        seen = at_image.unsqueeze(-1).to(states.dtype)
        visual = (states * seen).sum(1) / seen.sum(1).clamp_min(1)
        instruction = torch.cat(
            [states[:, -1], visual], dim=-1
        )  # left padding: the last position ends the prompt
        relevance, weight = self.head.gate(instruction)
        active = select(relevance, self.config.top_k)
        return Reading(
            cache=[(layer[0], layer[1]) for layer in out.past_key_values],
            mask=mask,
            next_position=(positions.amax(0) if positions.ndim == 3 else positions).amax(-1) + 1,
            states=states,
            relevance_logits=relevance,
            weight_logits=weight,
            active=active,
            weights=weights_over(weight, active),
        )

    # -- responses -------------------------------------------------------------------------------------------

    def response_states(self, reading: Reading, embeds: Tensor, mask: Tensor) -> Tensor:
        """States of response tokens. embeds (B, N, R, H), mask (B, N, R), padded on the right -> (B, N, R, H).

        Under causal attention the prefix does not depend on the response, so its keys and values are reused:
        one vision pass and one prompt pass serve all N responses.
        """
        b, n, r, _ = embeds.shape
        cache = DynamicCache(config=self.config.get_text_config())
        for i, (key, value) in enumerate(reading.cache):
            cache.update(key.repeat_interleave(n, 0), value.repeat_interleave(n, 0), i)
        offsets = torch.arange(r, device=embeds.device)
        out = self.backbone.get_decoder()(
            inputs_embeds=embeds.flatten(0, 1),
            attention_mask=torch.cat([reading.mask.repeat_interleave(n, 0), mask.flatten(0, 1)], dim=1),
            position_ids=reading.next_position.repeat_interleave(n)[:, None] + offsets,
            past_key_values=cache,
            use_cache=True,
        )
        return out.last_hidden_state.unflatten(0, (b, n))

    def score(self, reading: Reading, response_ids: Tensor, response_mask: Tensor) -> Tensor:
        """Scores (B, N, D) of responses given as ids and mask (B, N, R), padded on the right."""
        embeds = self.backbone.get_input_embeddings()(response_ids)
        return self.score_embeds(reading, embeds, response_mask)

    def score_embeds(self, reading: Reading, embeds: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, N, D) of responses given as embeddings (B, N, R, H)."""
        return self.score_states(reading, embeds, self.response_states(reading, embeds, mask), mask)

    def score_states(self, reading: Reading, embeds: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, N, D) from the states (B, N, R, H) of the response tokens."""
        last = (mask.long().sum(-1) - 1).clamp_min(0)
        at_end = states.gather(2, last[..., None, None].expand(-1, -1, 1, states.shape[-1])).squeeze(2)
        first = reading.states[:, None, -1:].expand(-1, states.shape[1], -1, -1)
        before = torch.cat([first, states[:, :, :-1]], dim=2)
        return self.head.score(at_end, before, embeds, states, mask)

    def forward(
        self,
        input_ids: Tensor,
        attention_mask: Tensor,
        pixel_values: Tensor,
        response_ids: Tensor,
        response_mask: Tensor,
        **vision: Any,
    ) -> VLMDROutput:
        """Rewards of N responses to each of B inputs. Shapes as in `read` and `score`."""
        reading = self.read(input_ids, attention_mask, pixel_values, **vision)
        scores = self.score(reading, response_ids, response_mask)
        return VLMDROutput(
            rewards=aggregate(reading.weights, scores),
            scores=scores,
            relevance_logits=reading.relevance_logits,
            active=reading.active,
            weights=reading.weights,
        )

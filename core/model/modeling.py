"""VLMDR: reads image and prompt once (`read`), then scores any number of responses on them (`score`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel
from transformers import initialization as init
from transformers.utils import ModelOutput

from core.model.config import VLMDRConfig
from core.model.head import ParallelMLP, RewardHead, aggregate, select, weights_over
from core.model.reader import Prefix, Reader, at_end


@dataclass
class Reading(Prefix):
    """A prefix and what the gate made of it. B inputs, D dimensions.

    relevance_logits, weight_logits: (B, D). active: (B, D) bool. weights: (B, D), a softmax over the active
    dimensions.
    """

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


class VLMDR(Reader):
    """VL-MDR (arXiv 2604.05445): reward = sum over the top-k dimensions of weight * score."""

    config: VLMDRConfig
    config_class = VLMDRConfig

    def __init__(self, config: VLMDRConfig) -> None:
        super().__init__(config)
        self.backbone = AutoModel.from_config(config.vlm_config, trust_remote_code=False)
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

    def read_embeds(self, embeds: Tensor, mask: Tensor, positions: Tensor, at_image: Tensor) -> Reading:
        prefix = super().read_embeds(embeds, mask, positions, at_image)
        states = prefix.states
        seen = at_image.unsqueeze(-1).to(states.dtype)
        visual = (states * seen).sum(1) / seen.sum(1).clamp_min(1)
        # Left padding: the last position ends the prompt.
        relevance, weight = self.head.gate(torch.cat([states[:, -1], visual], dim=-1))
        active = select(relevance, self.config.top_k)
        return Reading(**prefix.__dict__, relevance_logits=relevance, weight_logits=weight, active=active,
                       weights=weights_over(weight, active))  # fmt: skip

    def score(self, reading: Reading, response_ids: Tensor, response_mask: Tensor) -> Tensor:
        """Scores (B, N, D) of responses given as ids and mask (B, N, R), padded on the right."""
        embeds = self.backbone.get_input_embeddings()(response_ids)
        return self.score_embeds(reading, embeds, response_mask)

    def score_embeds(self, reading: Reading, embeds: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, N, D) of responses given as embeddings (B, N, R, H)."""
        return self.score_states(reading, embeds, self.response_states(reading, embeds, mask), mask)

    def score_states(self, reading: Reading, embeds: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """Scores (B, N, D) from the states (B, N, R, H) of the response tokens."""
        return self.head.score(at_end(states, mask), _before(reading, states), embeds, states, mask)

    def token_doubts(self, reading: Reading, embeds: Tensor, states: Tensor, mask: Tensor) -> Tensor:
        """(B, N, R, D): what each response token takes from each score. Their sum is what doubt takes."""
        return self.head.doubts(_before(reading, states), embeds, states, mask)

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


def _before(reading: Prefix, states: Tensor) -> Tensor:
    """The state before each response token (B, N, R, H): the end of the prompt, then the tokens but the last."""
    first = reading.states[:, None, -1:].expand(-1, states.shape[1], -1, -1)
    return torch.cat([first, states[:, :, :-1]], dim=2)


AutoConfig.register("vl_mdr", VLMDRConfig, exist_ok=True)
AutoModel.register(VLMDRConfig, VLMDR, exist_ok=True)

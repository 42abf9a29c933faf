"""The scalar rival: the same backbone, one number instead of 21 (BaseReward, arXiv 2509.16127).

A two-layer perceptron with SiLU on the state at the end of the response, trained by Bradley-Terry on whole
responses. It says who wins, and nothing about why.
"""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from core.model.reader import Prefix, Reader, at_end


@strict
class ScalarRewardConfig(PreTrainedConfig):
    """vlm_config: the config of an image-text model. head_size: hidden width of the head; None is the backbone's."""

    model_type = "scalar_reward"
    sub_configs_defaults = {"vlm_config": SubConfigSpec(config_class=AutoConfig, model_type="qwen2_5_vl")}

    vlm_config: dict | PreTrainedConfig | None = None
    head_size: int | None = None
    about: dict | None = None

    @property
    def hidden_size(self) -> int:
        return self.vlm_config.get_text_config().hidden_size  # type: ignore[union-attr]

    def get_text_config(self, *args, **kwargs):
        return self.vlm_config.get_text_config(*args, **kwargs)  # type: ignore[union-attr]


class ScalarReward(Reader):
    config: ScalarRewardConfig
    config_class = ScalarRewardConfig

    def __init__(self, config: ScalarRewardConfig) -> None:
        super().__init__(config)
        self.backbone = AutoModel.from_config(config.vlm_config, trust_remote_code=False)
        hidden, width = config.hidden_size, config.head_size or config.hidden_size
        self.head = nn.Sequential(nn.Linear(hidden, width), nn.SiLU(), nn.Linear(width, 1))
        self.post_init()

    def score(self, prefix: Prefix, response_ids: Tensor, response_mask: Tensor) -> Tensor:
        """Rewards (B, N) of responses given as ids and mask (B, N, R), padded on the right."""
        embeds = self.backbone.get_input_embeddings()(response_ids)
        states = self.response_states(prefix, embeds, response_mask)
        return self.head(at_end(states, response_mask)).squeeze(-1)

    def forward(self, response_ids: Tensor, response_mask: Tensor, **inputs: Any) -> Tensor:
        """Rewards (B, N) of N responses to each of B inputs; `inputs` as `read` takes them."""
        return self.score(self.read(**inputs), response_ids, response_mask)


AutoConfig.register("scalar_reward", ScalarRewardConfig, exist_ok=True)
AutoModel.register(ScalarRewardConfig, ScalarReward, exist_ok=True)

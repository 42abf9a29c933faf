"""Configuration of VL-MDR: any image-text backbone plus the sizes of the reward head."""

from __future__ import annotations

from typing import Any

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from core.taxonomy import KEYS


@strict
class VLMDRConfig(PreTrainedConfig):
    """Backbone config and head sizes; tiny and 7B are the same classes.

    vlm_config: the config of an image-text model (a dict with `model_type`, or a config object).
    top_k: how many dimensions are active per input (3, as in the paper).
    gate_size: hidden width of the dimension predictor and of the weighting; None is a quarter of the backbone's.
    score_size: hidden width of each of the 21 scorers. Layer sizes of the paper are not public; these
        defaults give 17.88M head parameters at hidden size 3584, the paper's "17.86M, 0.25 %".
    dimensions: what the weights were trained for: keys of core/taxonomy.py, or tables with key, name, capability and
        description, any number of them. num_dimensions: their number; 0 stands for as many as `dimensions`.
    """

    model_type = "vl_mdr"
    sub_configs_defaults = {"vlm_config": SubConfigSpec(config_class=AutoConfig, model_type="qwen2_5_vl")}

    vlm_config: dict | PreTrainedConfig | None = None
    num_dimensions: int = 0
    top_k: int = 3
    gate_size: int | None = None
    score_size: int = 65
    dimensions: list | tuple = tuple(KEYS)
    about: dict | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if not self.num_dimensions:
            self.num_dimensions = len(self.dimensions)
        super().__post_init__(**kwargs)

    @property
    def hidden_size(self) -> int:
        return self.vlm_config.get_text_config().hidden_size  # type: ignore[union-attr]

    def get_text_config(self, *args, **kwargs):
        return self.vlm_config.get_text_config(*args, **kwargs)  # type: ignore[union-attr]

"""Configuration of VL-MDR: any image-text backbone plus the sizes of the reward head."""

from __future__ import annotations

from huggingface_hub.dataclasses import strict
from transformers import AutoConfig, PreTrainedConfig
from transformers.configuration_utils import SubConfigSpec

from core.taxonomy import KEYS, NUM_DIMENSIONS


@strict
class VLMDRConfig(PreTrainedConfig):
    """Backbone config and head sizes; tiny and 7B are the same classes.

    vlm_config: the config of an image-text model (a dict with `model_type`, or a config object).
    top_k: how many dimensions are active per input (3, as in the paper).
    gate_size: hidden width of the dimension predictor and of the weighting; None is a quarter of the backbone's.
    score_size: hidden width of each of the 21 scorers. Layer sizes of the paper are not public; these
        defaults give 17.88M head parameters at hidden size 3584, the paper's "17.86M, 0.25 %".
    dimensions: the taxonomy's keys the weights were trained for; loading under another taxonomy is an error.
    """

    model_type = "vl_mdr"
    sub_configs_defaults = {"vlm_config": SubConfigSpec(config_class=AutoConfig, model_type="qwen2_5_vl")}

    vlm_config: dict | PreTrainedConfig | None = None
    num_dimensions: int = NUM_DIMENSIONS
    top_k: int = 3
    gate_size: int | None = None
    score_size: int = 65
    dimensions: list[str] | tuple[str, ...] = tuple(KEYS)
    about: dict | None = None

    @property
    def hidden_size(self) -> int:
        return self.vlm_config.get_text_config().hidden_size  # type: ignore[union-attr]

    def get_text_config(self, *args, **kwargs):
        return self.vlm_config.get_text_config(*args, **kwargs)  # type: ignore[union-attr]

"""Which reader a backbone needs: the plain one, or one of a model that does something of its own with a picture."""

from __future__ import annotations

from typing import Any

from torch import nn

from core.model.deepstack import DeepStackReward
from core.model.tiles import InternVLReward
from core.model.value_head import HeadedReward

OWN: dict[str, type[HeadedReward]] = {"qwen3_vl": DeepStackReward, "internvl": InternVLReward}


def reader_of(model: Any, head: nn.Module) -> HeadedReward:
    """model: as `load_vlm` gives it. The reader of its kind, under `head`."""
    reader = OWN.get(model.config.model_type, HeadedReward)(model.model, head)
    reader.eval()  # type: ignore[no-untyped-call]
    return reader

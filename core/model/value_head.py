"""Scalar heads of other people's reward models, and a reward model made of a loaded backbone and such a head.

Layouts: TRL and LLaMA-Factory `v_head.summary`, sequence classification `score`, and stacks of linear layers with SiLU
between them (`v_head.0`, `v_head.2`, ...; BaseReward, arXiv 2509.16127). Found by the names and shapes of their weights.
"""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor, nn

from core.model.loading import CheckpointError
from core.model.reader import Reader
from core.model.scalar import ScalarReward, ScalarRewardConfig

KEY = re.compile(r"(v_head|value_head|score|reward_head)\.(?:(summary|\d+)\.)?(weight|bias)")


@dataclass(frozen=True)
class HeadLayout:
    """name: for people. layers: (weight, bias or "") names, first to last."""

    name: str
    layers: tuple[tuple[str, str], ...]


def find_layout(names: frozenset[str]) -> HeadLayout | None:
    """The scalar head among a checkpoint's weight names, or None."""
    found: dict[str, dict[str, set[str]]] = {}
    for name in names:
        if match := KEY.fullmatch(name):
            prefix, layer, part = match[1], match[2] or "", match[3]
            found.setdefault(prefix, {}).setdefault(layer, set()).add(part)
    for prefix in ("v_head", "value_head", "reward_head", "score"):
        layers = {layer: parts for layer, parts in found.get(prefix, {}).items() if "weight" in parts}
        if not layers:
            continue
        order = sorted(layers, key=lambda layer: int(layer) if layer.isdigit() else -1)
        listed = tuple(
            (f"{stem}weight", f"{stem}bias" if "bias" in layers[layer] else "")
            for layer in order
            for stem in [f"{prefix}.{layer}." if layer else f"{prefix}."]
        )
        what = "value head (TRL)" if order == ["summary"] else "sequence-classification head"
        return HeadLayout(what if len(listed) == 1 else f"head of {len(listed)} layers", listed)
    return None


def half_a_head(names: frozenset[str]) -> str:
    """The name of a weight that belongs to a head whose other part is missing; "" where there is none."""
    return "" if find_layout(names) else next((n for n in sorted(names) if KEY.fullmatch(n)), "")


class Head(nn.Sequential):
    """States (..., H) -> (..., 1) in float32, as TRL reads them."""

    def forward(self, states: Tensor) -> Tensor:
        return super().forward(states.float())


def load_head(folder: Path, layout: HeadLayout, width: int) -> Head:
    """Raises CheckpointError where its sizes do not fit, or it is not made of numbers."""
    tensors = _tensors(folder, {name for layer in layout.layers for name in layer if name})
    parts: list[nn.Module] = []
    for i, (weight_name, bias_name) in enumerate(layout.layers):
        weight = tensors[weight_name].float()
        if weight.ndim != 2 or weight.shape[1] != width:
            raise CheckpointError(
                f"The reward head of '{folder.name}' does not fit its model: {weight_name} takes states of width "
                f"{weight.shape[-1]}, and it is given {width}. Head and model come from different trainings."
            )
        linear = nn.Linear(width, weight.shape[0], bias=bool(bias_name))
        linear.weight = nn.Parameter(weight)
        if bias_name:
            bias = tensors[bias_name].float()
            if bias.shape != weight.shape[:1]:
                raise CheckpointError(
                    f"The reward head of '{folder.name}' is damaged: {bias_name} has another size."
                )
            linear.bias = nn.Parameter(bias)
        parts += [nn.SiLU(), linear] if i else [linear]
        width = weight.shape[0]
    if width != 1:
        raise CheckpointError(
            f"The head of '{folder.name}' gives {width} numbers for a response, so it is a classifier with {width} labels; "
            "Rewardscope reads heads that give one reward."
        )
    head = Head(*parts)
    if not all(torch.isfinite(p).all() for p in head.parameters()):
        raise CheckpointError(f"The reward head of '{folder.name}' holds values that are not numbers (NaN).")
    return head


def _tensors(folder: Path, wanted: set[str]) -> dict[str, Tensor]:
    out: dict[str, Tensor] = {}
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as opened:
            for name in wanted & set(opened.keys()):
                out[name] = opened.get_tensor(name)
    if missing := sorted(wanted - out.keys()):
        raise CheckpointError(f"The reward head of '{folder.name}' is incomplete: {missing[0]} is missing.")
    return out


class HeadedReward(ScalarReward):
    """A backbone as it was loaded under a head as it was found."""

    def __init__(self, backbone: Any, head: nn.Module) -> None:
        # A copy: wrapping the config itself would reset the backbone's attention implementation.
        Reader.__init__(self, ScalarRewardConfig(vlm_config=copy.deepcopy(backbone.config)))
        self.backbone = backbone
        self.head: Any = head

"""VL-MDR: a vision-language backbone with a gated reward head of 21 dimensions.

config.py     VLMDRConfig: the backbone's config and the head's sizes
head.py       dimension predictor, weighting, 21 parallel scorers
reader.py     any backbone: read image and prompt once, then any number of responses
modeling.py   VLMDR on top of it
scalar.py     ScalarReward, the rival with one number
losses.py     the hierarchical loss
processor.py  image and text to tensors, without torchvision
loading.py    checkpoints from a folder or the hub, with readable errors
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from core.model.config import VLMDRConfig
    from core.model.modeling import VLMDR
    from core.model.scalar import ScalarReward, ScalarRewardConfig

__all__ = ["VLMDR", "ScalarReward", "ScalarRewardConfig", "VLMDRConfig"]


def __getattr__(name: str) -> Any:
    """The classes, once somebody asks for one: whoever looks at a checkpoint's files alone waits for no torch."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from core.model import config, modeling, scalar

    for module in (config, modeling, scalar):
        if name in vars(module):
            return vars(module)[name]
    raise AssertionError(name)

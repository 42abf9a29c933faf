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

from transformers import AutoConfig, AutoModel

from core.model.config import VLMDRConfig
from core.model.modeling import VLMDR
from core.model.scalar import ScalarReward, ScalarRewardConfig

AutoConfig.register("vl_mdr", VLMDRConfig, exist_ok=True)
AutoModel.register(VLMDRConfig, VLMDR, exist_ok=True)

AutoConfig.register("scalar_reward", ScalarRewardConfig, exist_ok=True)
AutoModel.register(ScalarRewardConfig, ScalarReward, exist_ok=True)

__all__ = ["VLMDR", "ScalarReward", "ScalarRewardConfig", "VLMDRConfig"]

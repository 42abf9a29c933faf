"""VL-MDR: a vision-language backbone with a gated reward head of 21 dimensions.

config.py     VLMDRConfig: the backbone's config and the head's sizes
head.py       dimension predictor, weighting, 21 parallel scorers
modeling.py   VLMDR: read image and prompt once, score any number of responses
losses.py     the hierarchical loss
processor.py  image and text to tensors, without torchvision
loading.py    checkpoints from a folder or the hub, with readable errors
"""

from transformers import AutoConfig, AutoModel

from core.model.config import VLMDRConfig
from core.model.modeling import VLMDR

AutoConfig.register("vl_mdr", VLMDRConfig, exist_ok=True)
AutoModel.register(VLMDRConfig, VLMDR, exist_ok=True)

__all__ = ["VLMDR", "VLMDRConfig"]

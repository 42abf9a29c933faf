"""Public vision-language models: which of them are read rightly, and how they are loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer
from transformers.models.qwen2_vl.image_processing_pil_qwen2_vl import Qwen2VLImageProcessorPil

from core.model.loading import CheckpointError, choose_device, choose_dtype
from core.model.need import need_of
from core.model.processor import RewardProcessor
from core.model.tiles import PROCESSORS

# The shared-prefix reading (core/model/reader.py; deepstack.py for Qwen3-VL) equals the model's own forward:
# tests/core/model/test_backbones.py compares them.
SUPPORTED = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "llava_onevision", "internvl")

WHY_NOT = {
    "gemma3": "Gemma 3 lets image tokens look at one another in both directions",
    "llava": "LLaVA has an image processor and a chat format of its own",
    "llava_next": "LLaVA-NeXT cuts pictures into tiles in a way of its own",
    "smolvlm": "SmolVLM cuts pictures into tiles in a way of its own",
}


def load_vlm(
    folder: Path, title: str, device: str | None, dtype: str | None, may_lack: tuple[str, ...] = ()
) -> Any:
    """The whole model with its language head, in eval mode, its weights frozen. may_lack: weights whose absence does not
    matter.

    Only safetensors are read and no code of the checkpoint is run. Raises CheckpointError.
    """
    place = choose_device(device)
    if need := need_of(title, folder, device, dtype):
        need.check()
    try:
        loaded: Any = AutoModelForImageTextToText.from_pretrained(
            folder, dtype=choose_dtype(place, dtype), use_safetensors=True, trust_remote_code=False, output_loading_info=True,
        )  # fmt: skip
    except Exception as error:
        raise CheckpointError(f"The weights of '{title}' cannot be read: {_first_line(error)}") from error
    model, info = loaded
    if missing := sorted(set(info["missing_keys"]) - set(may_lack)):
        raise CheckpointError(
            f"'{title}' is an incomplete checkpoint: {len(missing)} of its weights are missing, the first is {missing[0]}."
        )
    if info.get("mismatched_keys"):
        raise CheckpointError(f"The weights of '{title}' have other sizes than its config.json says.")
    if bad := next(
        (n for n, p in model.named_parameters() if n not in may_lack and not torch.isfinite(p).all()), None
    ):
        raise CheckpointError(
            f"The weights of '{title}' hold values that are not numbers (NaN), the first in {bad}."
        )
    return model.to(place).eval().requires_grad_(False)


def open_processor(folder: Path, title: str, max_pixels: int | None = None) -> RewardProcessor:
    """Tokenizer, image processor and chat template as the checkpoint brings them. Raises CheckpointError."""
    try:
        config: Any = AutoConfig.from_pretrained(folder, trust_remote_code=False)
        kind = PROCESSORS.get(config.model_type)
        images: Any = (kind.image_processor_class if kind else Qwen2VLImageProcessorPil).from_pretrained(
            folder
        )
        tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        template = tokenizer.chat_template or _template_of(folder)
        tokenizer.chat_template = template
        if kind:
            processor: RewardProcessor = kind(images, tokenizer, config, max_pixels)
        else:
            if max_pixels is not None:
                images.size["longest_edge"] = max_pixels
                images.size["shortest_edge"] = min(images.size["shortest_edge"], max_pixels)
            processor = RewardProcessor(images, tokenizer)
    except Exception as error:
        raise CheckpointError(
            f"'{title}' has weights but no usable tokenizer and image processor: {_first_line(error)}"
        ) from error
    if not isinstance(template, str):
        raise CheckpointError(
            f"'{title}' has no chat template (in tokenizer_config.json, chat_template.jinja or chat_template.json), so "
            "nobody can say how its inputs were written. Put its base model's template there."
        )
    if processor.image_token_id != config.image_token_id:
        raise CheckpointError(
            f"The tokenizer of '{title}' has another token for pictures ({processor.image_token}) than its config.json says: "
            "they come from different checkpoints."
        )
    return processor


def _template_of(folder: Path) -> str | None:
    """Of chat_template.json, which AutoTokenizer does not read."""
    try:
        return json.loads((folder / "chat_template.json").read_text(encoding="utf-8")).get("chat_template")
    except (OSError, ValueError, AttributeError):
        return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]

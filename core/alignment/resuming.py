"""Checkpoints in the middle of a training, read as they were written.

`save_pretrained` writes the weights of Qwen2-VL and Qwen2.5-VL under the names that published checkpoints have, and
transformers' Trainer reads a checkpoint back under the names of the running model: none fits, it says so in a warning, and
training goes on with the weights that it began with.
"""

from __future__ import annotations

from typing import Any

import torch


class ReadsItsCheckpoints:
    """Before a Trainer: weights of a checkpoint are read as any checkpoint is, or the training stops with an error."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        trainer: Any = self
        if (
            trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
        ):  # those keep the running model's own names
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            return
        into = trainer.accelerator.unwrap_model(model or trainer.model)
        found = type(into).from_pretrained(resume_from_checkpoint, dtype=torch.float32, use_safetensors=True)
        into.load_state_dict(found.state_dict())

"""A checkpoint from a folder or the hub, on a sensible device, with errors a person can act on."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig

from core.model import VLMDR, ScalarReward, VLMDRConfig
from core.model.files import EMBEDDED, EMBEDDED_SCALAR, CheckpointError
from core.model.processor import RewardProcessor
from core.model.reader import Reader
from core.model.threads import settle
from core.model.trial import TrialError, try_out
from core.taxonomy import dimensions_from

log = logging.getLogger(__name__)
TABLES = (
    "config.json", "tokenizer.json", "tokenizer_config.json", "preprocessor_config.json", "processor_config.json",
    "generation_config.json", "model.safetensors.index.json",
)  # fmt: skip
LARGEST_JSON = 128 << 20  # bytes of a tokenizer or config that is read


def choose_device(device: str | None = None) -> torch.device:
    """CUDA, then Apple's MPS, then the CPU, unless told. Raises CheckpointError where there is no such device."""
    if device:
        try:
            place = torch.device(device)
        except RuntimeError as error:
            raise CheckpointError(f"'{device}' is not a device: use cuda, mps or cpu.") from error
        try:
            torch.empty(0, device=place)
        except (RuntimeError, AssertionError) as error:
            raise CheckpointError(
                f"The device '{device}' cannot be used on this machine: {_first_line(error)}"
            ) from error
        return place
    if torch.cuda.is_available():
        return torch.device("cuda")
    return torch.device("mps" if torch.backends.mps.is_available() else "cpu")


def choose_dtype(device: torch.device, dtype: str | None = None) -> torch.dtype:
    """bfloat16 on CUDA, float32 elsewhere, unless told ("float32", "bfloat16", "float16")."""
    if dtype is None:
        return torch.bfloat16 if device.type == "cuda" else torch.float32
    named = getattr(torch, dtype, None)
    if not isinstance(named, torch.dtype) or not named.is_floating_point:
        raise CheckpointError(f"'{dtype}' is not a floating point type: use float32, bfloat16 or float16.")
    return named


def load_checkpoint(
    source: str | Path | None = None,
    device: str | None = None,
    dtype: str | None = None,
    revision: str | None = None,
    kind: type[Reader] = VLMDR,
) -> tuple[Any, RewardProcessor]:
    """A model of `kind` in eval mode, its weights frozen, and its processor. source: folder or hub id; None is the
    embedded model.

    Only safetensors are read and no code of the checkpoint is run. Raises CheckpointError.
    """
    where = str(source or embedded(kind))
    if Path(where).is_dir():
        _check_folder(Path(where))
    place = choose_device(device)
    # The embedded models are small: in float32 everywhere they give the same numbers everywhere, and those stored.
    number = torch.float32 if source is None and dtype is None else choose_dtype(place, dtype)
    config = _config(where, revision, kind)
    try:
        loaded: Any = kind.from_pretrained(
            where,
            config=config,
            revision=revision or "main",
            dtype=number,
            use_safetensors=True,
            output_loading_info=True,
        )
    except Exception as error:
        raise CheckpointError(f"The weights of '{where}' cannot be read: {_first_line(error)}") from error
    model, info = loaded
    if missing := sorted(info["missing_keys"]):
        raise CheckpointError(
            f"'{where}' is an incomplete checkpoint: {len(missing)} of its weights are missing, the first is {missing[0]}."
        )
    if info.get("mismatched_keys"):
        raise CheckpointError(f"The weights of '{where}' have other sizes than its config.json says.")
    if unused := sorted(info["unexpected_keys"]):
        log.warning(
            "'%s' holds %d weights that are not used, the first is %s.", where, len(unused), unused[0]
        )
    try:
        processor = RewardProcessor.from_pretrained(where, revision=revision or "main")
    except Exception as error:
        raise CheckpointError(
            f"'{where}' has weights but no usable tokenizer and image processor: {_first_line(error)}"
        ) from error
    # Frozen: else explanations would compute and keep gradients of every weight.
    model = model.to(place).eval().requires_grad_(False)
    settle(model)
    try:
        try_out(model, processor)
    except TrialError as error:
        raise CheckpointError(f"'{where}' cannot judge: {error}") from error
    return model, processor


def embedded(kind: type[Reader]) -> Path:
    return EMBEDDED_SCALAR if kind is ScalarReward else EMBEDDED


def _check_folder(folder: Path) -> None:
    for file in (folder / name for name in TABLES):
        if file.is_file():
            _check_json(file)
    if not (folder / "config.json").is_file():
        raise CheckpointError(f"The folder '{folder}' has no config.json, so it is not a checkpoint.")
    if not list(folder.glob("*.safetensors")):
        if list(folder.glob("*.bin")) or list(folder.glob("*.pt")) or list(folder.glob("*.pkl")):
            raise CheckpointError(
                f"The weights in '{folder}' are pickles, which can run code when opened. Convert them to safetensors."
            )
        raise CheckpointError(f"The folder '{folder}' has a config.json but no .safetensors weights.")


def _check_json(file: Path) -> None:
    """Libraries recurse into what stands in a config: it must be a table that they can."""
    try:
        if file.stat().st_size > LARGEST_JSON:
            raise CheckpointError(f"{file.name} of '{file.parent}' is larger than {LARGEST_JSON >> 20} MiB.")
        value = json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"{file.name} of '{file.parent}' cannot be read ({type(error).__name__}): it is damaged, or nested too deeply."
        ) from error
    if not isinstance(value, dict):
        raise CheckpointError(f"{file.name} of '{file.parent}' is not a table of fields.")


def _config(where: str, revision: str | None, kind: type[Reader]) -> Any:
    config_class: Any = kind.config_class
    wanted = config_class.model_type
    try:
        config = AutoConfig.from_pretrained(where, revision=revision or "main", trust_remote_code=False)
    except Exception as error:
        found = _model_type(where)
        if found and found != wanted:
            raise CheckpointError(_other_kind(where, found, wanted)) from error
        raise CheckpointError(f"No checkpoint can be loaded from '{where}': {_first_line(error)}") from error
    if not isinstance(config, config_class):
        raise CheckpointError(_other_kind(where, config.model_type, wanted))
    if config.about is not None and not isinstance(config.about, dict):
        raise CheckpointError(f"'about' in the config.json of '{where}' is not a table of fields.")
    if isinstance(config, VLMDRConfig):
        _check_dimensions(where, config)
    return config


def _check_dimensions(where: str, config: VLMDRConfig) -> None:
    try:
        named = len(dimensions_from(config.dimensions))
    except (ValueError, TypeError) as error:
        raise CheckpointError(
            f"The dimensions in the config.json of '{where}' cannot be used: {error}."
        ) from error
    if not named:
        raise CheckpointError(
            f"The config.json of '{where}' names no dimensions: list them under 'dimensions'."
        )
    if named != config.num_dimensions:
        raise CheckpointError(
            f"The config.json of '{where}' names {named} dimensions but says that there are {config.num_dimensions}."
        )
    if not isinstance(config.top_k, int) or not 1 <= config.top_k <= named:
        raise CheckpointError(
            f"The config.json of '{where}' says top_k = {config.top_k}: it must be from 1 to {named}, the number of dimensions."
        )


def _other_kind(where: str, found: str, wanted: str) -> str:
    name = {"vl_mdr": "VL-MDR", "scalar_reward": "scalar"}[wanted]
    return f"'{where}' is a checkpoint of kind '{found}', not a {name} reward model (kind '{wanted}')."


def _model_type(where: str) -> str | None:
    try:
        return json.loads((Path(where) / "config.json").read_text()).get("model_type")
    except (OSError, ValueError, AttributeError, RecursionError):
        return None


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:300]

"""LoRA adapters on their base model (peft, optional): merged into it, and refused where their weights fit nothing.

peft itself only warns there, and the judge that comes out is the base model. The names of transformers before 4.52
(`model.layers`, `visual`) are put into those of today first.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open

from core.judges.contents import Contents, header, look_at
from core.judges.options import Options
from core.judges.protocols import Judge
from core.model.backbones import SUPPORTED
from core.model.files import CheckpointError
from core.model.value_head import find_layout

FILE = "adapter_model.safetensors"


def open_adapter(contents: Contents, options: Options) -> Judge:
    """The base as it would open, with the adapter's change in its weights. Raises CheckpointError."""
    said = contents.table("adapter_config.json")
    if str(said.get("peft_type", "")).upper() != "LORA":
        raise CheckpointError(
            f"'{contents.title}' is an adapter of kind '{said.get('peft_type')}'; only LoRA is read."
        )
    if FILE not in contents.files:
        raise CheckpointError(f"The adapter '{contents.title}' has no {FILE}.")
    base = _base(contents, said, options)
    if base.model_type not in SUPPORTED:
        raise CheckpointError(
            f"The base of the adapter '{contents.title}' is '{base.model_type or base.title}'; adapters are read on {' and '.join(SUPPORTED)}."
        )
    # An adapter brings its head with it, or stands on a base that has one.
    names = contents.names if find_layout(contents.names) else base.names
    if find_layout(names):
        from core.judges.heads import open_head

        heads = contents if find_layout(contents.names) else base
        scalar = open_head(base, replace(options, revision=base.revision), heads)
        merge(scalar.model.backbone, contents, said)
        return _named(scalar, contents)
    from core.judges.generative import open_generative

    generative = open_generative(base, options)
    merge(generative.model, contents, said)
    return _named(generative, contents)


def _base(contents: Contents, said: dict[str, Any], options: Options) -> Contents:
    source = options.base or str(said.get("base_model_name_or_path") or "")
    if not source:
        raise CheckpointError(
            f"The adapter '{contents.title}' does not say what its base model is: name it with --base."
        )
    try:
        return look_at(source, None if options.base else said.get("revision"))
    except CheckpointError as error:
        raise CheckpointError(
            f"The base model of the adapter '{contents.title}' cannot be opened; name another place of it with --base. {error}"
        ) from error


def _named(judge: Any, contents: Contents) -> Judge:
    from core.model.files import fingerprint

    base = judge.card.name
    judge.card = replace(
        judge.card, id=contents.title, name=contents.title, revision=contents.revision or "",
        fingerprint=fingerprint(contents.source), about=f"A LoRA adapter on {base}. {judge.card.about}",
    )  # fmt: skip
    named: Judge = judge
    return named


def merge(model: Any, contents: Contents, said: dict[str, Any]) -> None:
    """Adds the adapter's change to the model's weights in place. model: a whole model, or its backbone.

    Raises CheckpointError where a weight of the adapter fits nothing, or something that it should change got none.
    """
    try:
        from peft import LoraConfig, inject_adapter_in_model
        from peft.utils import set_peft_model_state_dict
    except ImportError:
        raise CheckpointError(
            "Reading an adapter needs the peft package: pip install -r requirements-remote.txt."
        ) from None
    given = _tensors(contents.local / FILE)
    modules = {name for name, _ in model.named_modules()}
    tensors, lost = {}, []
    for name, tensor in given.items():
        if find_layout(frozenset({name})):
            continue
        fitting = _fitting(name, modules)
        if fitting is None:
            lost.append(name)
        else:
            tensors[fitting] = tensor
    if lost or not tensors:
        raise CheckpointError(
            f"{len(lost)} of the {len(given)} weights of the adapter '{contents.title}' fit nothing in its base model"
            + (f", the first is {lost[0]}" if lost else "")
            + ". It was made for another model; with it, the base would judge as if there were no adapter."
        )
    targets = sorted(
        {re.sub(r"\.lora_(A|B|magnitude_vector|embedding_A|embedding_B).*$", "", n) for n in tensors}
    )
    known = {k: v for k, v in said.items() if k in LoraConfig.__dataclass_fields__}
    # Exactly the modules that have weights: what a pattern would also reach, training did not.
    known |= {
        "target_modules": targets,
        "inference_mode": True,
        "modules_to_save": None,
        "exclude_modules": None,
    }
    known = {
        k: v
        for k, v in known.items()
        if k not in ("auto_mapping", "base_model_name_or_path", "revision", "task_type", "peft_version")
    }
    try:
        inject_adapter_in_model(LoraConfig(**known), model, "default")
        result: Any = set_peft_model_state_dict(model, tensors, adapter_name="default")
    except Exception as error:
        raise CheckpointError(
            f"The adapter '{contents.title}' cannot be put on its base: {str(error)[:200]}"
        ) from error
    missing = [n for n in (result.missing_keys if result else []) if "lora_" in n]
    if missing or (result and result.unexpected_keys):
        raise CheckpointError(
            f"The adapter '{contents.title}' is incomplete: {(missing or result.unexpected_keys)[0]} does not fit."
        )
    _fold(model)


def _fold(model: Any) -> None:
    """Each wrapped layer becomes a plain one again, with the change in its weights."""
    for name, module in list(model.named_modules()):
        if hasattr(module, "get_base_layer") and hasattr(module, "merge"):
            with torch.no_grad():
                module.merge()
            parent, _, child = name.rpartition(".")
            setattr(model.get_submodule(parent) if parent else model, child, module.get_base_layer())
    for parameter in model.parameters():
        parameter.requires_grad_(False)
    if not all(torch.isfinite(p).all() for p in model.parameters()):
        raise CheckpointError("The adapter's weights hold values that are not numbers (NaN).")


def _fitting(name: str, modules: set[str]) -> str | None:
    """An adapter's weight name as this model would have it, or None."""
    bare = name.removeprefix("base_model.model.")
    layer, mark, rest = bare.partition(".lora_")
    if not mark:
        return None
    for candidate in _spellings(layer):
        if candidate in modules:
            return f"{candidate}.lora_{rest}"
    return None


def _spellings(layer: str) -> list[str]:
    """As given, with today's names, and each without the outer `model.` for a backbone alone."""
    today = re.sub(r"^model\.(?=layers|embed_tokens|norm)", "model.language_model.", layer)
    today = re.sub(r"^visual\.", "model.visual.", today)
    return [layer, today, layer.removeprefix("model."), today.removeprefix("model.")]


def _tensors(file: Path) -> dict[str, torch.Tensor]:
    if not header(file):
        raise CheckpointError(f"The adapter's file {file.name} cannot be read.")
    with safe_open(file, "pt") as opened:
        return {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 (not a dict)

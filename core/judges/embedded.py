"""Who the embedded judge is, said from its files before it is loaded."""

from __future__ import annotations

import math
import sys
from pathlib import Path

from core.judges.contents import header, read_json
from core.model.files import EMBEDDED, CheckpointError, fingerprint
from core.records import JudgeCard
from core.taxonomy import dimensions_from

GPUS = ("/dev/nvidiactl", "/dev/nvidia0", "/dev/kfd", "/dev/dxg")  # what the drivers of CUDA and ROCm leave


def embedded_card(folder: Path = EMBEDDED) -> JudgeCard:
    """The card that VLMDRJudge.load() will give, but for `device`: "" where only torch can tell. Raises CheckpointError where
    the weights are not there, or are not weights (a Git LFS pointer)."""
    config, names = read_json(folder / "config.json"), header(folder / "model.safetensors")
    if not config or not names:
        raise CheckpointError(
            f"The embedded model in '{folder}' is incomplete: fetch the repository's large files (git lfs pull)."
        )
    said = config.get("about") or {}
    return JudgeCard(
        id="vl-mdr",
        name=str(said.get("name")),
        kind="gated",
        fingerprint=fingerprint(folder),
        backbone=config["vlm_config"]["model_type"],
        parameters=sum(math.prod(tensor["shape"]) for tensor in names.values()),
        dtype="float32",
        device="" if sys.platform == "darwin" or any(Path(p).exists() for p in GPUS) else "cpu",
        licence=str(said.get("licence", "")),
        trained_on=str(said.get("trained_on", "")),
        embedded=True,
        top_k=config["top_k"],
        dimensions=dimensions_from(config["dimensions"]),
    )

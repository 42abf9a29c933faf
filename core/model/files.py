"""What can be said of a checkpoint's files without loading it, and where the embedded ones lie. No torch."""

from __future__ import annotations

import hashlib
from pathlib import Path

ASSETS = Path(__file__).parents[2] / "assets"
EMBEDDED = ASSETS / "model"
EMBEDDED_SCALAR = ASSETS / "scalar_model"
EMBEDDED_REASONING = ASSETS / "reasoning_model"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used; the message says why and what to do."""


def fingerprint(folder: str | Path) -> str:
    """sha256 of the weights of a folder (first 16 hex digits), or the hub id itself."""
    files = sorted(Path(folder).glob("*.safetensors")) if Path(folder).is_dir() else []
    digest = hashlib.sha256()
    for file in (f for f in files if f.name != "ood.safetensors"):
        with file.open("rb") as opened:
            while block := opened.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()[:16] if files else str(folder)

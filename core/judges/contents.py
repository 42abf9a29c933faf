"""What a checkpoint holds, as far as it can be known without loading it: files, config.json, names of weights."""

from __future__ import annotations

import json
import re
import struct
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from core.model.loading import CheckpointError

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SMALL = ("*.json", "*.jinja", "*.txt", "*.model", "tokenizer*")  # all but weights
LARGEST_HEADER = 100 << 20  # bytes, as in the safetensors library
PICKLES = (".bin", ".pt", ".pth", ".pkl", ".ckpt")


@dataclass(frozen=True)
class Contents:
    """source: as the person gave it. folder: where its files are here; of a hub id only the small ones at first.
    files: names of all of its files. config: config.json, empty where there is none. names: of its weights. parameters:
    their number, where the hub tells it; 0 of a folder."""

    source: str
    folder: Path
    files: frozenset[str]
    config: dict[str, Any] = field(default_factory=dict)
    names: frozenset[str] = frozenset()
    revision: str | None = None
    hub: bool = False
    parameters: int = 0

    @property
    def model_type(self) -> str:
        return str(self.config.get("model_type") or "")

    @property
    def architectures(self) -> tuple[str, ...]:
        listed = self.config.get("architectures")
        return tuple(map(str, listed)) if isinstance(listed, list) else ()

    @property
    def pickles(self) -> list[str]:
        return sorted(f for f in self.files if f.endswith(PICKLES) and not f.startswith(("training_args", "optimizer", "scheduler", "rng_state")))  # fmt: skip

    @property
    def has_weights(self) -> bool:
        return any(f.endswith(".safetensors") for f in self.files)

    @property
    def title(self) -> str:
        return self.source if self.hub else Path(self.source).name

    @cached_property
    def local(self) -> Path:
        """The folder with the weights in it: downloaded now where they were not here. Raises CheckpointError."""
        if not self.hub:
            return self.folder
        return _snapshot(self.source, self.revision, [*SMALL, "*.safetensors"])

    def table(self, name: str) -> dict[str, Any]:
        """One of its JSON files; empty where there is none or it cannot be read."""
        return read_json(self.folder / name)


def look_at(source: str, revision: str | None = None) -> Contents:
    """Raises CheckpointError where there is neither a folder nor a hub id of this name."""
    folder, hub = Path(source), False
    if not folder.is_dir():
        if folder.is_file():
            raise CheckpointError(f"'{source}' is a file: give the folder that holds the whole checkpoint.")
        if not HUB_ID.fullmatch(source) or source.startswith((".", "/", "~")):
            raise CheckpointError(
                f"No checkpoint can be loaded from '{source}': there is no such folder, and it does not look like a hub id "
                "(owner/name) or an address (http://...)."
            )
        folder, hub = _snapshot(source, revision, list(SMALL)), True
    names, parameters = _hub_weights(source, revision) if hub else (frozenset(), 0)
    files = _hub_files(source, revision) if hub else ()
    here = frozenset(f.name for f in folder.iterdir() if f.is_file())
    return Contents(
        source, folder, here | frozenset(files), read_json(folder / "config.json"),
        names or weight_names(folder), revision, hub, parameters,
    )  # fmt: skip


def read_json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def weight_names(folder: Path) -> frozenset[str]:
    """Of every safetensors file, from its header."""
    found: set[str] = set()
    for file in sorted(folder.glob("*.safetensors")):
        found |= header(file).keys()
    return frozenset(found)


def header(file: Path) -> dict[str, dict[str, Any]]:
    """name -> dtype and shape of each tensor of a safetensors file; empty where it is not one."""
    try:
        with file.open("rb") as opened:
            (length,) = struct.unpack("<Q", opened.read(8))
            if length > LARGEST_HEADER:
                return {}
            found = json.loads(opened.read(length))
    except (OSError, struct.error, ValueError, RecursionError):
        return {}
    return {k: v for k, v in found.items() if k != "__metadata__" and isinstance(v, dict)}


def _snapshot(source: str, revision: str | None, patterns: list[str]) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, revision=revision, allow_patterns=patterns))
    except Exception as error:
        raise CheckpointError(_hub_sentence(source, error)) from error


def _hub_weights(source: str, revision: str | None) -> tuple[frozenset[str], int]:
    """Names of the weights, and how many numbers they hold."""
    from huggingface_hub import get_safetensors_metadata

    try:
        found = get_safetensors_metadata(source, revision=revision)
        return frozenset(found.weight_map), sum(found.parameter_count.values())
    except Exception:  # sharded in another way, or none: then the files say what they are
        return frozenset(), 0


def _hub_files(source: str, revision: str | None) -> list[str]:
    from huggingface_hub import list_repo_files

    try:
        return list(list_repo_files(source, revision=revision))
    except Exception as error:
        raise CheckpointError(_hub_sentence(source, error)) from error


def _hub_sentence(source: str, error: Exception) -> str:
    """Nothing of the error's own text: it may hold addresses and tokens."""
    kind = type(error).__name__
    why = {
        "GatedRepoError": "its owner asks for an agreement first: accept it on the checkpoint's page and set HF_TOKEN",
        "RepositoryNotFoundError": "there is no such checkpoint on the hub, or it is private and HF_TOKEN is not set",
        "RevisionNotFoundError": "it has no such revision",
        "LocalEntryNotFoundError": "the hub cannot be reached from here and the checkpoint was not downloaded before",
        "OfflineModeIsEnabled": "the hub is switched off here (offline mode) and the checkpoint was not downloaded before",
    }.get(kind, f"the hub answered with an error ({kind})")
    return f"No checkpoint can be loaded from '{source}': {why}."

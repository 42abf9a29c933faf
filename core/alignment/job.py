"""What a training of a reasoning judge is: its data, settings and folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.alignment.config import Settings, TrainingError
from core.runs.manifest import write_whole

SCENE = "scene"
Say = Callable[[str], None]


@dataclass(frozen=True)
class Job:
    """data: "scene" for training lessons of the scene world, or a file or hub id of preference data. writer: the judge that
    writes the first thoughts; None in the scene world, where the answer key does. limit: pairs; None for all (of the scene
    world it must be given). device: None is what TRL's own settings say."""

    data: str
    output: Path
    settings: Settings
    writer: str | None = None
    format: str | None = None
    images: Path | None = None
    limit: int | None = None
    seed: int = 0
    say: Say = print

    def identity(self) -> dict[str, Any]:
        """What a folder is a training of."""
        return {
            "data": self.data, "format": self.format, "writer": self.writer, "limit": self.limit, "seed": self.seed,
            "settings": json.loads(json.dumps(asdict(self.settings), default=dict)),
        }  # fmt: skip

    @property
    def pictures(self) -> Path:
        return self.output / "images"


def claim(job: Job) -> None:
    """The folder for this training. Raises TrainingError where it holds another."""
    job.output.mkdir(parents=True, exist_ok=True)
    file, wanted = job.output / "settings.json", job.identity()
    if file.exists():
        try:
            there = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainingError(
                f"'{job.output}' is damaged: its settings.json cannot be read. Choose another folder."
            ) from error
        for name, value in wanted.items():
            if there.get(name) != value:
                raise TrainingError(
                    f"'{job.output}' holds another training: its {name} is {str(there.get(name))[:80]}, not {str(value)[:80]}. Choose "
                    "another folder, or delete that one."
                )
    else:
        write_whole(file, json.dumps(wanted, indent=1).encode())

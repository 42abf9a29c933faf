"""Rows of published tables as they were printed, each with its source."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.records import content_hash

PUBLISHED = Path(__file__).parents[2] / "assets" / "published.json"


@dataclass(frozen=True)
class Published:
    """One row of a published table, in percent as printed (strings keep the decimals). columns: group -> number; plus:
    Acc+. link: where the source is read, "" where none is known."""

    benchmark: str
    name: str
    columns: dict[str, str]
    overall: str | None
    macro: str | None
    plus: str | None
    source: str
    link: str = ""

    @property
    def key(self) -> str:
        """What the row is called in links: it stays when a number of the row is corrected."""
        name = re.sub(r"[^a-z0-9.]+", "-", self.name.lower()).strip("-")[:40]
        return f"{name}-{content_hash(self.benchmark, self.name, self.source)[:6]}"


def published(path: Path = PUBLISHED) -> list[Published]:
    """The rows that ship with the project, each with its source."""
    data: list[dict[str, Any]] = json.loads(path.read_text())
    return [Published(**row) for row in data]

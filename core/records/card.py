"""What is known of a judge, as it travels with its runs and bundles."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any

from core.records.text import plain
from core.taxonomy import Dimension, dimensions_from

LONGEST = 4000  # characters of a field
KINDS = ("gated", "scalar", "generative", "remote", "hybrid", "rule", "none")


class CardError(ValueError):
    """A card that lacks what is needed; the message names it."""


@dataclass(frozen=True)
class JudgeCard:
    """id: what the judge is called in files and filters; name: on pages. Nothing is ever read out of either.

    kind: one of KINDS; "none" only holds rows for labelling. revision: of a hub checkpoint. fingerprint: of the weights
    (core.model.loading.fingerprint), "" without weights. parameters: their number. about: one sentence. reads_images: False
    where a judgement needs no picture. max_images: how many pictures of one prompt it takes, None for any number; it says
    nothing where reads_images is False. reads_turns: whether it reads the chat before the prompt. dimensions: empty where a judge has none. top_k: how many are active per input.
    embedded: whether the weights came with Rewardscope.
    """

    id: str
    name: str
    kind: str
    revision: str = ""
    fingerprint: str = ""
    backbone: str = ""
    parameters: int | None = None
    dtype: str = ""
    device: str = ""
    licence: str = ""
    trained_on: str = ""
    about: str = ""
    reads_images: bool = True
    max_images: int | None = 1
    reads_turns: bool = False
    embedded: bool = False
    top_k: int | None = None
    dimensions: tuple[Dimension, ...] = ()

    def to_row(self) -> dict[str, Any]:
        """For JSON: empty fields are left out."""
        row = {k: v for k, v in asdict(self).items() if v not in ("", None, (), [])}
        if self.max_images == 1:  # as all judges were before
            row.pop("max_images")
        elif self.max_images is None:
            row["max_images"] = None
        if not self.reads_turns:
            row.pop("reads_turns")
        return row

    @classmethod
    def from_row(cls, row: object) -> JudgeCard:
        """Unknown fields are ignored, missing ones have their defaults. Raises CardError."""
        if not isinstance(row, Mapping):
            raise CardError("the judge's card is not a table of fields")
        for name in ("id", "name", "kind"):
            if not isinstance(row.get(name), str) or not row[name]:
                raise CardError(f"the judge's card has no {name}")
        if row["kind"] not in KINDS:
            raise CardError(f"the judge's kind is '{row['kind']}', not one of {', '.join(KINDS)}")
        given: dict[str, Any] = {}
        for field in fields(cls):
            value = row.get(field.name)
            if field.name == "max_images" and "max_images" in row and value is None:
                given["max_images"] = None
            if value is None or field.name == "dimensions":
                continue
            wanted = {
                "reads_images": bool,
                "reads_turns": bool,
                "embedded": bool,
                "parameters": int,
                "top_k": int,
                "max_images": int,
            }.get(field.name, str)
            if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
                raise CardError(
                    f"the judge's card says {field.name} = {str(value)[:60]!r}, which cannot be read"
                )
            too_long = isinstance(value, str) and len(value) > LONGEST
            if too_long or (isinstance(value, int) and not 0 <= value < 1 << 60):
                raise CardError(f"the judge's card says more for {field.name} than fits")
            given[field.name] = plain(value)
        listed = row.get("dimensions") or ()
        if not isinstance(listed, list | tuple) or not all(isinstance(d, str | Mapping) for d in listed):
            raise CardError("the judge's card lists its dimensions in a form that cannot be read")
        try:
            return cls(**given, dimensions=dimensions_from(plain(listed)))
        except (ValueError, RecursionError) as error:
            raise CardError(f"the judge's card cannot be read: {error}") from error

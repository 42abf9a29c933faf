"""What a manifest says of how its run went, in the form that pages rely on."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.records.checked import FormError, Name, Whole, first_problem

EXAMPLES = 1000  # of a kind of finding

Example = tuple[Annotated[list[Whole], Field(max_length=100_000)], Name]


class Found(BaseModel):
    model_config = ConfigDict(extra="ignore")
    count: Whole
    first: Annotated[list[Example], Field(max_length=EXAMPLES)]


class Stats(BaseModel):
    """All that is read of them; what else stands there is kept as it came."""

    model_config = ConfigDict(extra="ignore")
    rows: Whole | None = None
    data_hash: Name | None = None
    findings: dict[Name, Found] = {}


def checked_stats(stats: dict[str, Any]) -> dict[str, Any]:
    """The same. Raises FormError."""
    try:
        Stats.model_validate(stats)
    except ValidationError as error:
        raise FormError(f"stats.{first_problem(error)}") from error
    return stats

"""What a manifest says of how its run went and of what data, in the form that pages rely on."""

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


Said = Annotated[str, Field(max_length=4000)]


class Provenance(BaseModel):
    """What was understood of the data. columns: what is read from which column. decisions: what was decided for the whole
    file, in sentences. notes: what was done to how many rows. left_out: why rows were not judged, counted, the most
    frequent first; judged_all_the_same: what was wrong with rows that were judged, by a judge that needs no picture. Runs from before this was kept have none of it."""

    model_config = ConfigDict(extra="ignore")
    source: Said = ""
    revision: Said = ""
    format: Said = ""
    columns: Annotated[dict[Name, Said], Field(max_length=100)] = {}
    decisions: Annotated[list[Said], Field(max_length=100)] = []
    notes: Annotated[dict[Name, Whole], Field(max_length=100)] = {}
    left_out: Annotated[list[Said], Field(max_length=100)] = []
    judged_all_the_same: Annotated[list[Said], Field(max_length=100)] = []


def checked_provenance(provenance: dict[str, Any]) -> dict[str, Any]:
    """The same. Raises FormError."""
    try:
        Provenance.model_validate(provenance)
    except ValidationError as error:
        raise FormError(f"provenance.{first_problem(error)}") from error
    return provenance


def checked_stats(stats: dict[str, Any]) -> dict[str, Any]:
    """The same. Raises FormError."""
    try:
        Stats.model_validate(stats)
    except ValidationError as error:
        raise FormError(f"stats.{first_problem(error)}") from error
    return stats

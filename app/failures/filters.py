"""From what a link or the boxes of the Failures page hold to the filters of a run."""

from __future__ import annotations

from typing import Any

from app.failures.place import Place
from core.runs import browse
from core.runs.browse import ORDER_CHOICES, OUTCOME_CHOICES, SORTS, VERSUS_CHOICES, Filters
from core.runs.controls import controls_of
from core.runs.library import Library
from core.runs.manifest import RunError
from core.runs.run import Run
from core.runs.said import SAID_CHOICES, states_choices


class FilterError(ValueError):
    """What a link or a box asks for cannot be shown; the message is a sentence for whoever asked."""


def filters_of(place: Place, runs: dict[str, Run], library: Library) -> Filters:
    """Raises FilterError in plain words: links can hold anything."""
    run = runs.get(place.run)
    if run is None:
        raise FilterError("This run is not on this server any more.")
    keys = {d.key for d in run.manifest.judge.dimensions}
    choices = (
        (place.versus, VERSUS_CHOICES), (place.outcome, OUTCOME_CHOICES), (place.sort, SORTS), (place.dimension, keys),
        (place.longer, ("longer", "shorter")), (place.orders, ORDER_CHOICES if or_none(browse.knows_orders, run) else ()),
        (place.said, SAID_CHOICES if states_choices(run) else ()),
    )  # fmt: skip
    for value, allowed in choices:
        if value and value not in allowed:
            raise FilterError(f"'{value[:60]}' is not a filter of this page.")
    if not place.page.isdecimal() or len(place.page) > 6 or (place.row and not (place.row.isdecimal() and len(place.row) < 13)):  # fmt: skip
        raise FilterError("The page or row of this link is not a number.")
    other = runs.get(place.other)
    if place.versus and other is None:
        raise FilterError("Choose a second run under 'Compare with' first.")
    blank, shuffled = controls_of(library, run)
    if place.wrong_reason and blank is None:
        raise FilterError(
            "There is no run of this judge with blank images on this data: make one on the Leaderboard page."
        )
    return Filters(
        place.outcome or "mistakes", place.subgroup, place.dimension, (_number(place.low), _number(place.high)),
        place.longer, place.search, other, place.versus, blank, bool(place.wrong_reason),
        place.sort or next(iter(SORTS)), shuffled, place.orders, place.said,
    )  # fmt: skip


def or_none(read: Any, run: Run) -> Any:
    """What a damaged run cannot be asked is as if there were none."""
    try:
        return read(run)
    except RunError:
        return ()


def _number(text: str) -> float | None:
    if not text:
        return None
    try:
        value = float(text.replace(",", ".").replace("−", "-"))
    except ValueError as error:
        raise FilterError(f"'{text[:40]}' is not a number.") from error
    return value

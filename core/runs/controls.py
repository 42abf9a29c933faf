"""What a run's controls say of a record: the same judge's runs with blank and with shuffled images."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from core.records import Condition, ImageAblation
from core.runs import browse
from core.runs.library import Library
from core.runs.run import Run


def controls_of(library: Library, run: Run) -> tuple[Run | None, Run | None]:
    """The runs with blank and with shuffled images, where there are such. A control has none itself."""
    if run.manifest.condition is not Condition.AS_GIVEN:
        return None, None
    return library.under(run, Condition.BLANK), library.under(run, Condition.SHUFFLED)


def image_ablation_of(library: Library, run: Run, stored: Mapping[str, Any]) -> ImageAblation | None:
    """How far the stored margin of the preferred response over the best other one rests on the picture; None without a run
    with blank images. Raises RunError where a control is damaged."""
    blank, shuffled = controls_of(library, run)
    without = _margin(blank, stored)
    if blank is None or without is None or not stored["margin"]:
        return None
    return ImageAblation(stored["margin"], without, _margin(shuffled, stored), blank.manifest.blank)


def _margin(run: Run | None, stored: Mapping[str, Any]) -> float | None:
    """The margin that another run gives the same record."""
    other = browse.record(run, stored["row"]) if run else None
    return other["margin"] if other and other["key"] == stored["key"] else None

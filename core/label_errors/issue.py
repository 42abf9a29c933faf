"""A row whose label may be wrong, and how strong the evidence is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CONTRADICTION, REPEATED, JUDGED = 0, 1, 2  # tiers


@dataclass(frozen=True)
class LabelIssue:
    """One labelled comparison.

    row: the run's row number. wrong: estimated probability that the label is wrong, None where no judge saw the row and
    nothing contradicts it. reasons: core.label_errors.reasons. tier: 0 contradicts another row, 1 repeated, 2 neither.
    """

    row: int
    wrong: float | None
    reasons: tuple[dict[str, Any], ...]
    tier: int

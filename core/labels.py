"""The label store: who said what of which comparison, append-only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

TIE, BAD, UNSURE = "tie", "bad", "unsure"  # besides "0" to "3", the index of the better response
UNDECIDED = (TIE, BAD, UNSURE)


@dataclass(frozen=True)
class Item:
    """One comparison of a queue, complete by itself: the run it came from may be gone.

    position: its place in the queue. row, key, id, subgroup, cluster, preferred: as in the run (core.runs).
    picture: hash of a stored picture, or "" where there is none or the benchmark draws it from `row`.
    evidence: why it stands here {"wrong": probability that the label is wrong or None, "reasons": [sentences]}.
    judged: what the judges said, one mapping each: judge, weights (the model's revision), rewards, selected,
    relevance, contribution weights and scores as in core.records.Judgement.to_row, less what is empty.
    """

    queue: str
    position: int
    row: int
    key: str
    id: str
    subgroup: str
    cluster: str
    prompt: str
    responses: tuple[str, ...]
    preferred: int | None
    picture: str
    evidence: dict[str, Any]
    judged: tuple[dict[str, Any], ...]


@dataclass(frozen=True)
class Label:
    """What one annotator says of one item at present: a view over the events, undone ones left out.

    first: the verdict before model and old label were shown; final: the one that stands after. Both are the index
    of the better response as text ("0" to "3", in the record's own order), "tie", "bad" (both bad) or "unsure".
    blind: whether `first` was given before any reveal of this item to this person (it is not after an undo).
    dimensions: keys of the dimensions that decided. seconds: from sight to first verdict; None where unknown.
    """

    queue: str
    position: int
    annotator: str
    first: str
    final: str
    blind: bool
    dimensions: tuple[str, ...]
    note: str
    seconds: float | None
    at: str

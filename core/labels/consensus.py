"""What the annotators of an item say together, and how far they are from each other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from math import comb

from core.labels.records import UNSURE, Label

DISPUTED = "disputed"


@dataclass(frozen=True)
class Consensus:
    """verdict: the one with the most votes ("0" to "3", "tie", "bad"); "disputed" where two have the most; "unsure"
    where nobody was sure. votes: all verdicts, "unsure" among them. annotators: who gave one."""

    verdict: str
    votes: dict[str, int]
    annotators: int


def verdicts_by_item(labels: Sequence[Label], first: bool = False) -> dict[int, list[str]]:
    """Final verdicts per position, or (first) the first ones of those that were blind."""
    found: dict[int, list[str]] = {}
    for label in labels:
        if label.blind or not first:
            found.setdefault(label.position, []).append(label.first if first else label.final)
    return found


def consensus(labels: Sequence[Label], first: bool = False) -> dict[int, Consensus]:
    """By position: the verdict of most annotators, "unsure" not counted. first: of the blind first verdicts instead
    of the final ones. An item that nobody labelled is not there."""
    return {position: _of(verdicts) for position, verdicts in verdicts_by_item(labels, first).items()}


def _of(verdicts: list[str]) -> Consensus:
    ranked = Counter(v for v in verdicts if v != UNSURE).most_common(2)
    verdict = UNSURE if not ranked else ranked[0][0]
    if len(ranked) == 2 and ranked[0][1] == ranked[1][1]:
        verdict = DISPUTED
    return Consensus(verdict, dict(sorted(Counter(verdicts).items())), len(verdicts))


def most_disputed(labels: Sequence[Label]) -> list[tuple[int, float]]:
    """(position, disagreement) from the most disputed on, for a follow-up queue: the share of pairs of annotators whose
    final verdicts differ. Only items with two or more verdicts besides "unsure", and some disagreement."""
    out = []
    for position, verdicts in verdicts_by_item(labels).items():
        counts = Counter(v for v in verdicts if v != UNSURE)
        pairs = comb(counts.total(), 2)
        unlike = pairs - sum(comb(n, 2) for n in counts.values())
        if unlike:
            out.append((position, unlike / pairs))
    return sorted(out, key=lambda found: (-found[1], found[0]))

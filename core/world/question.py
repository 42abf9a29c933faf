"""What a question is: a right answer, a wrong one, and the twin for which they change places.

Honesty comes from the twin: every wrong answer here is the right answer to the same question about a
minimally edited picture. A benchmark that holds both halves shows each text pair once with either label,
so a judge that cannot see the picture is at chance *exactly*, whatever it knows about language.

In templates, [brackets] mark the words that are wrong when the claim is wrong.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core.world.pictures import Box, Picture


@dataclass(frozen=True)
class Claim:
    """An answer in two forms, both with [brackets] around the words that carry the fact."""

    short: str
    sentence: str


@dataclass(frozen=True)
class Question:
    """`right` is true of `picture` and `wrong` of `twin`; `spoils` names the dimension on which `wrong` fails
    for `picture`, `twin_spoils` the one on which `right` fails for `twin`."""

    family: str
    picture: Picture
    twin: Picture
    prompt: str
    relevant: tuple[str, ...]
    right: Claim
    wrong: Claim
    spoils: str
    twin_spoils: str
    evidence: tuple[Box, ...]
    twin_evidence: tuple[Box, ...]

    def swapped(self) -> Question:
        """The same question about the twin."""
        return replace(
            self, picture=self.twin, twin=self.picture, right=self.wrong, wrong=self.right,
            spoils=self.twin_spoils, twin_spoils=self.spoils,
            evidence=self.twin_evidence, twin_evidence=self.evidence,
        )  # fmt: skip


def claims_for(
    rng: random.Random, short: str, sentences: tuple[str, ...], right: dict, wrong: dict
) -> tuple[Claim, Claim]:
    sentence = rng.choice(sentences)
    return (
        Claim(short.format(**right), sentence.format(**right)),
        Claim(short.format(**wrong), sentence.format(**wrong)),
    )


def a_thing(colour: str, shape: str) -> str:
    return f"{'an' if colour == 'orange' else 'a'} {colour} {shape}"


def another(rng: random.Random, values: Sequence, *but: object) -> Any:
    return rng.choice([v for v in values if v not in but])


def near_miss(rng: random.Random, value: int, low: int, high: int) -> int:
    """Another number within 2: a plausible mistake."""
    return rng.choice([v for v in range(low, high + 1) if 0 < abs(v - value) <= 2])

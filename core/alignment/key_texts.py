"""Thoughts by the scene world's answer key, for the cold start: what each response says, what the picture shows, where they
differ, and the verdict, in many wordings.

Only training lessons are ever written about. A thought names the facts of the key in words that a person can follow, so that
training by rewards begins with a judge that reasons in the right order; the sentence that decides is one that
core.judges.verdicts.prose reads.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from core.taxonomy import DIMENSIONS, INDEX, MANNER
from core.world.draw import draw
from core.world.items import Answer, Item, png
from core.world.splits import lesson

SAYS = (
    "Response {n} says {words}.",
    "Response {n} gives {words}.",
    "In Response {n} it is {words}.",
    "Response {n}: {words}.",
)
SHOWS = (
    "The picture shows {words}.",
    "I see {words} in the picture.",
    "Looking at the picture, it is {words}.",
    "The picture has {words}.",
)
PARTS = ("They differ in {what}.", "The difference is {what}.", "What tells them apart is {what}.")
SAME = ("Both state the same fact.", "On the fact they agree.", "The fact is the same in both.")
FAULT = {
    "format": (
        "Response {n} is not in the form that was asked for.",
        "Response {n} ignores the form that the prompt wants.",
    ),
    "relevance": ("Response {n} leaves the topic.", "Response {n} talks about something else as well."),
    "conciseness": ("Response {n} is padded.", "Response {n} has words that say nothing."),
    "fluency": ("Response {n} is not correct English.", "The English of Response {n} is broken."),
    "respect": ("Response {n} is rude.", "Response {n} insults the reader."),
}
SO = (
    "So Response {n} is better.",
    "Therefore Response {n} is better.",
    "Response {n} is better.",
    "That is why Response {n} is better.",
)


@dataclass(frozen=True)
class Pair:
    """A training record of the scene world before its order is chosen. image: PNG. family: what it asks."""

    id: str
    family: str
    image: bytes
    item: Item
    wrong: int

    @property
    def texts(self) -> tuple[str, str]:
        """(right, wrong)"""
        return self.item.answers[0].text, self.item.answers[self.wrong].text


def training_pairs(seed: int, start: int = 0) -> Iterator[Pair]:
    """Without end, from lesson number `start` on: one question a picture, minimal pairs side by side, faults of manner in turn."""
    index = start
    while True:
        item = lesson(seed, index, 1).items[0]
        others = range(1, len(item.answers))
        wrong = 1 if index // 2 % 3 else others[index // 6 % len(others)]
        yield Pair(f"lesson-{seed}-{index}", item.family, png(draw(item.picture)), item, wrong)
        index += 1


def thought(pair: Pair, right_first: bool, rng: random.Random) -> str:
    """The whole answer of a judge: <think>...</think><answer>1</answer> or 2."""
    right, wrong = pair.item.answers[0], pair.item.answers[pair.wrong]
    places = (1, 2) if right_first else (2, 1)
    sentences = (
        _by_manner(wrong, places, rng) if wrong.spoils in MANNER else _by_fact(right, wrong, places, rng)
    )
    best = rng.choice(SO).format(n=places[0])
    return f"<think>{' '.join([*sentences, best])}</think><answer>{places[0]}</answer>"


def _by_fact(right: Answer, wrong: Answer, places: tuple[int, int], rng: random.Random) -> list[str]:
    said = [(places[0], _marked(right)), (places[1], _marked(wrong))]
    says = [rng.choice(SAYS).format(n=n, words=w) for n, w in sorted(said)]
    shows = rng.choice(SHOWS).format(words=_marked(right))
    what = DIMENSIONS[INDEX[wrong.spoils or ""]].name.lower()
    parts = [rng.choice(PARTS).format(what=what)] if rng.random() < 0.5 else []
    return [*says, shows, *parts] if rng.random() < 0.7 else [shows, *says, *parts]


def _by_manner(wrong: Answer, places: tuple[int, int], rng: random.Random) -> list[str]:
    return [rng.choice(SAME), rng.choice(FAULT[wrong.spoils or ""]).format(n=places[1])]


def _marked(answer: Answer) -> str:
    """The words that carry the fact."""
    return " ".join(answer.text[a:b] for a, b in answer.spans) or answer.text.rstrip(".")

"""Training lessons and held-out records, kept apart by combinations of facts.

Some combinations (a green star, bar C at 4, Ann on Tue with 3, the words "open hotel", ...) are *reserved*:
no training picture contains one, and every held-out picture contains at least one.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

from core.records import Comparison
from core.world.draw import draw
from core.world.items import Item, build_item, png, to_comparison
from core.world.pictures import (
    COLOURS,
    DANGERS,
    DAYS,
    FIRST_WORDS,
    LETTERS,
    NAMES,
    SAFE_DRINKS,
    SECOND_WORDS,
    SHAPES,
    Picture,
)
from core.world.question import Question
from core.world.questions import KINDS, MANNER_FAMILIES, VISUAL_FAMILIES, Asker

_COLOURS = tuple(COLOURS)


_ASKER_OF: dict[str, tuple[str, Asker]] = {
    asker.__name__.removeprefix("ask_"): (kind, asker)
    for kind, (_, askers) in KINDS.items()
    for asker in askers
}


def reserved(combination: tuple[str, ...]) -> bool:
    """Whether a combination is kept for the held-out split. Every single word still occurs in training."""
    kind, *facts = combination
    if kind == "thing":
        return (3 * _COLOURS.index(facts[0]) + SHAPES.index(facts[1])) % 8 == 0
    if kind == "bar":
        return (LETTERS.index(facts[0]) + int(facts[1])) % 6 == 0
    if kind == "cell":
        return (NAMES.index(facts[0]) + 2 * DAYS.index(facts[1]) + int(facts[2])) % 6 == 0
    if kind == "words":
        return (FIRST_WORDS.index(facts[0]) + SECOND_WORDS.index(facts[1])) % 4 == 0
    if kind == "label":
        words = SAFE_DRINKS if facts[1] in SAFE_DRINKS else DANGERS
        return (_COLOURS.index(facts[0]) - words.index(facts[1])) % 4 < 2
    if kind == "chain":
        a, b, c = (LETTERS.index(letter) for letter in facts)
        return (a + 2 * b + 3 * c) % 5 == 0
    raise ValueError(f"no such kind of combination: {kind}")


def is_training(picture: Picture) -> bool:
    return not any(reserved(c) for c in picture.combinations())


def is_held_out(picture: Picture) -> bool:
    return any(reserved(c) for c in picture.combinations())


# -- training ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Lesson:
    """One picture with several items about it, so that training looks once and asks often."""

    picture: Picture
    items: tuple[Item, ...]


# How often a family opens a lesson. Those that rarely fit an existing picture, or come hard, open more.
OPENING_WEIGHTS = {
    "count": 3.0,
    "caption": 3.0,
    "path": 3.5,
    "sum": 1.5,
    "highest": 1.5,
    "more": 1.5,
    "absent": 1.5,
}


def lesson(seed: int, index: int, questions: int, opening: dict[str, float] = OPENING_WEIGHTS) -> Lesson:
    """Lesson number `index`, opened by a family drawn with the weights of `opening` (1 where it names none). Lessons 2n and 2n + 1 are twins: one edit apart, opposite answers to item 0."""
    rng = random.Random(f"lesson-{seed}-{index // 2}")
    while True:
        family = rng.choices(VISUAL_FAMILIES, [opening.get(f, 1.0) for f in VISUAL_FAMILIES])[0]
        kind, asker = _ASKER_OF[family]
        make, askers = KINDS[kind]
        first = asker(rng, make(rng))
        if first and is_training(first.picture) and is_training(first.twin):
            break
    if index % 2:
        first = first.swapped()
        rng = random.Random(f"lesson-{seed}-{index}")
    asked = [first]
    for _ in range(3 * questions):
        if len(asked) == questions:
            break
        more = rng.choice(askers)(rng, first.picture)
        # A wrong answer that names a reserved combination would teach that those are always wrong.
        honest = more and more.picture == first.picture and is_training(more.twin)
        if more and honest and more.prompt not in {q.prompt for q in asked}:
            asked.append(more)
    items = [build_item(q, f"{seed}-{index // 2 if i == 0 else index}-{i}") for i, q in enumerate(asked)]
    return Lesson(first.picture, tuple(items))


# -- held out ----------------------------------------------------------------------------------------------


def held_out_question(rng: random.Random, family: str) -> Question:
    kind, asker = _ASKER_OF[family]
    while True:
        question = asker(rng, KINDS[kind][0](rng))
        if question and is_held_out(question.picture) and is_held_out(question.twin):
            return question


def held_out(n: int, seed: int = 0, *, images: bool = True) -> Iterator[Comparison]:
    """At least n records: couples of twins, families in turn, manner families among them.

    With images=False the pictures are not drawn (for text-only controls).
    """
    families = VISUAL_FAMILIES + MANNER_FAMILIES
    made = 0
    index = 0
    while made < n or index % len(families):
        family = families[index % len(families)]
        for comparison in couple(family, f"held-out-{seed}-{index}", images=images):
            yield comparison
            made += 1
        index += 1


def couple(family: str, seed: str, *, images: bool = True) -> tuple[Comparison, ...]:
    """Two held-out records of one family: the same texts about two pictures that answer them differently.

    A coin puts either answer first, and both halves keep that order. So in a visual family the blind see the
    very same prompt and responses twice, once with either label.
    """
    rng = random.Random(seed)
    attempt = 0
    while True:
        asked = rng.choice(VISUAL_FAMILIES) if family in MANNER_FAMILIES else family
        question = held_out_question(rng, asked)
        attempt += 1
        halves = [build_item(q, f"{seed}-{attempt}") for q in (question, question.swapped())]
        wrong = _answer_of(halves[0], family)
        if wrong is not None:
            break
    coin = random.Random(f"{seed}-sides").random() < 0.5
    out = []
    for half, item in enumerate(halves):
        image = png(draw(item.picture)) if images else b"not drawn"
        out.append(to_comparison(item, wrong, f"{seed}-{half}", coin if half == 0 else not coin, image))
    return tuple(out)


def _answer_of(item: Item, family: str) -> int | None:
    """Which answer belongs to the family: the visual mistake, or the fault of manner that names it."""
    if family not in MANNER_FAMILIES:
        return 1
    return next((i for i, a in enumerate(item.answers) if a.spoils == family), None)

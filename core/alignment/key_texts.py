"""Thoughts by the scene world's answer key, for the cold start: what the picture shows, what is wrong with the other response,
and the verdict in the words of the better one, in many wordings.

Only training lessons are ever written about. Looking comes first, in the words in which the backbone already answers the
question itself, so that what it has learnt to see carries over; answers that take steps (sums, arrows, comparisons) show them.
The verdict names no number: core.judges.verdicts.nearest finds the response that says the same (docs/reasoning.md tells why).
"""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass

from core.taxonomy import MANNER
from core.world.draw import draw
from core.world.items import Answer, Item, png, unmark
from core.world.manner import Spans
from core.world.pictures import Bottle, Chart, Diagram, Scene, Table
from core.world.splits import lesson

SEES = ("I see: {what}.", " The picture shows: {what}.", " In the picture: {what}.")
OTHER = (" One says {wrong}.", " One gives {wrong}.", " But one says {wrong}.")
MORE = (" One leaves out {right}.", " But one leaves out {right}.")
ADDED = (" One adds {wrong}.", " But {wrong} is not there.")
FAULT = {
    "format": (" But one is not in the form that you want.", " One is not the form you want."),
    "relevance": (" But {wrong} is not on the topic.", " But {wrong} leaves the topic."),
    "conciseness": (" But {wrong} is padded.", " But {wrong} is not brief."),
    "fluency": (" But {wrong} is not correct English.", " But {wrong} is broken English."),
    "respect": (" But {wrong} is rude.", " But {wrong} is not polite."),
}
QUOTED = 3  # words of what is at fault
INSULT = re.compile(r", (you fool|you idiot|stupid)(?=\.?$)")
MARKED = re.compile(r"\[([^]]*)]")


@dataclass(frozen=True)
class Pair:
    """A training record of the scene world before its order is chosen. family: what it asks."""

    id: str
    family: str
    item: Item
    wrong: int

    @property
    def image(self) -> bytes:
        """PNG."""
        return png(draw(self.item.picture))

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
        yield Pair(f"lesson-{seed}-{index}", item.family, item, wrong)
        index += 1


def thought(pair: Pair, rng: random.Random) -> tuple[str, Spans]:
    """(text, spans): the whole answer of a judge, <think>...</think><answer>what the better response says</answer>, and the
    characters of the words that carry a fact, which only the picture or the comparison can tell."""
    right, wrong = pair.item.answers[0], pair.item.answers[pair.wrong]
    then: tuple[str, ...]
    if wrong.spoils in MANNER:
        then = FAULT[wrong.spoils]
    else:
        then = OTHER if right.spans and wrong.spans else MORE if right.spans else ADDED
    claim = _claim(right)
    sees = rng.choice(SEES).format(what=_steps(pair.item) + claim)
    against = rng.choice(then).format(right=_quoted(right), wrong=_quoted(wrong))
    return unmark(
        f"<think>{sees}{against}</think><answer> {claim}</answer>"
    )  # a blank: words are single tokens behind one


def _quoted(answer: Answer) -> str:
    """The words that carry the fact or the fault, as they stand, in brackets; of several words the first."""
    return f"[{' '.join(_marked(answer).split()[:QUOTED])}]"


def _claim(right: Answer) -> str:
    """Its first sentence, without what is put in for manner, facts in brackets; all of it is one where nothing is marked."""
    text, marked, at = right.text, "", 0
    for a, b in right.spans:
        marked += f"{text[at:a]}[{text[a:b]}]"
        at = b
    sentence = INSULT.sub("", re.split(r"(?<=\.) ", marked + text[at:])[0]).removesuffix(".")
    return sentence if "[" in sentence else f"[{sentence}]"


def _marked(answer: Answer) -> str:
    """The words that carry the fact, or the fault."""
    return " ".join(answer.text[a:b] for a, b in answer.spans) or answer.text.rstrip(".")


def _steps(item: Item) -> str:
    """What must be seen before the answer can be, in sentences; empty where one look is enough."""
    picture, prompt = item.picture, item.prompt
    if item.family == "sum" and isinstance(picture, Chart):
        asked = re.findall(r"\b[A-F]\b", prompt)[:2]
        return "".join(f"{x} is [{picture.values[picture.labels.index(x)]}]. " for x in asked)
    if item.family == "more" and isinstance(picture, Table):
        day = next(d for d in picture.days if d in prompt)
        asked = [n for n in re.findall(r"\b[A-Z]\w+", prompt) if n in picture.names]
        column = picture.days.index(day)
        return "".join(f"{n} has [{picture.cells[picture.names.index(n)][column]}]. " for n in asked)
    if item.family == "path" and isinstance(picture, Diagram) and "two arrows" in prompt:
        at = picture.letters.index(re.findall(r"\b[A-F]\b", prompt)[0])
        a, b, c = picture.letters[at : at + 3]
        return f"{a} leads to [{b}]. {b} leads to [{c}]. "
    if item.family == "drink" and isinstance(picture, Bottle):
        return f"The label says [{picture.word}]. "
    if item.family == "relation" and isinstance(picture, Scene):
        places = {t.shape: t.place for t in picture.things}
        asked = [w for w in re.findall(r"\w+", prompt) if w in places]
        return "".join(f"The {s} is at the [{places[s]}]. " for s in asked)
    return ""

"""Thoughts by the scene world's answer key, for the cold start: what the picture shows, which response says so, what the other
says or what is wrong with it, and the verdict, in many wordings.

Only training lessons are ever written about. Looking comes first, in the words in which the backbone already answers the
question itself, so that what it has learnt to see carries over. Then the response is found that says so: from words to the number of the response
that they stand in, which attention learns sooner than from a number to its words. Answers that take steps (sums, arrows, comparisons) show them. The sentence that decides is one that
core.judges.verdicts.prose reads.
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
AGREES = (" Response [{n}] says so.", " So says Response [{n}].", " That is Response [{n}].")
SAYS = (" Response {n} says {what}.", " Response {n} gives {what}.", " Response {n}: {what}.")
BOTH = (" Both say so.", " Both agree.", " The same in both.")
# The words at fault come before the number of the response that they are found in.
FAULT = {
    "format": (" But Response [{n}] is not in the form that you want.", " But Response [{n}] is not the form you want."),
    "relevance": (" But {what} leaves the topic: Response [{n}].", " But {what} is not on the topic: Response [{n}]."),
    "conciseness": (" But {what} is padded: Response [{n}].", " But {what} is not brief: Response [{n}]."),
    "fluency": (" But {what} is not correct English: Response [{n}].", " But {what} is broken English: Response [{n}]."),
    "respect": (" But {what} is rude: Response [{n}].", " But {what} is not polite: Response [{n}]."),
}  # fmt: skip
QUOTED = 3  # words of what is at fault
SO = (
    " So Response [{n}] is better.",
    " Therefore Response [{n}] is better.",
    " Response [{n}] is better.",
)
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


def thought(pair: Pair, right_first: bool, rng: random.Random) -> tuple[str, Spans]:
    """(text, spans): the whole answer of a judge, <think>...</think><answer>1</answer> or 2, and the characters of the words that
    carry a fact, which only the picture or the comparison can tell."""
    right, wrong = pair.item.answers[0], pair.item.answers[pair.wrong]
    first, second = (1, 2) if right_first else (2, 1)
    sentences = [rng.choice(SEES).format(what=_steps(pair.item) + _claim(right))]
    if wrong.spoils in MANNER:
        fault = " ".join(_marked(wrong).split()[:QUOTED])
        sentences += [rng.choice(BOTH), rng.choice(FAULT[wrong.spoils]).format(n=second, what=f"[{fault}]")]
    else:
        agrees = rng.choice(AGREES).format(n=first)
        sentences += [agrees, rng.choice(SAYS).format(n=second, what=f"[{_said(wrong, right)}]")]
    sentences.append(rng.choice(SO).format(n=first))
    return unmark(f"<think>{''.join(sentences)}</think><answer>[{first}]</answer>")


def _claim(right: Answer) -> str:
    """Its first sentence, without what is put in for manner, facts in brackets; all of it is one where nothing is marked."""
    text, marked, at = right.text, "", 0
    for a, b in right.spans:
        marked += f"{text[at:a]}[{text[a:b]}]"
        at = b
    sentence = INSULT.sub("", re.split(r"(?<=\.) ", marked + text[at:])[0]).removesuffix(".")
    return sentence if "[" in sentence else f"[{sentence}]"


def _said(answer: Answer, other: Answer | None) -> str:
    """In few words: red, 3, bottom left, yes, no star, a green star. other: the answer that it is an edit of."""
    words = [answer.text[a:b] for a, b in answer.spans]
    if not words:
        if other is None or not other.spans:
            return _claim(answer).strip("[]")
        return f"no {re.sub(r'^an? ', '', _marked(other))}"  # a list that leaves out what the other names
    if words[0].lower() in ("yes", "no"):
        thing = re.match(r" \w+", answer.text[answer.spans[0][1] :])
        return words[0].lower() + (thing[0] if thing else "")
    return " ".join(words)


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

"""An Item: picture, prompt with its instructions, answers with their faults, and the whole answer key."""

from __future__ import annotations

import io
import random
import re
from dataclasses import dataclass

from PIL import Image

from core.records import Comparison, Truth, content_hash
from core.world.draw import draw
from core.world.manner import FAULTS, INSTRUCTIONS, SHORT_FORM, Spans
from core.world.pictures import Box, Picture
from core.world.question import Claim, Question

RELEVANT = 3  # dimensions per prompt, as in the paper's data (three relevant dimensions a sample)
QUIRK = 0.2  # share of items in which one answer has a fault of manner that nobody asked about


@dataclass(frozen=True)
class Answer:
    """A response, the dimension it spoils (None: nothing wrong), and the spans of the words that carry its
    fact or its fault: in a right answer the right words, in a spoilt one the wrong ones."""

    text: str
    spoils: str | None
    spans: Spans


@dataclass(frozen=True)
class Item:
    """answers[0] is right; every other answer spoils exactly one relevant dimension."""

    picture: Picture
    family: str
    prompt: str
    relevant: tuple[str, ...]
    answers: tuple[Answer, ...]
    evidence: tuple[Box, ...]


def unmark(marked: str) -> tuple[str, Spans]:
    """Text without [brackets], and the spans that stood in them."""
    text, spans, at = "", [], 0
    for match in re.finditer(r"\[([^]]*)]", marked):
        text += marked[at : match.start()]
        spans.append((len(text), len(text) + len(match.group(1))))
        text += match.group(1)
        at = match.end()
    return text + marked[at:], tuple(spans)


def build_item(question: Question, seed: str) -> Item:
    """Adds instructions and faults of manner. The same seed gives a question and its twin the same texts."""
    rng = random.Random(seed)
    manner = rng.sample(list(INSTRUCTIONS), RELEVANT - len(question.relevant))
    short = manner == ["format"] and rng.random() < 0.5
    instructions = [rng.choice(SHORT_FORM if short and m == "format" else INSTRUCTIONS[m]) for m in manner]
    lengthens = {"relevance", "conciseness"}  # either one also breaks the other
    taboo = {*manner, *(lengthens if lengthens & set(manner) else ())}
    irrelevant = [
        m for m in FAULTS if m not in taboo and m != "fluency"
    ]  # broken grammar would move the marked words
    # The quirk goes to one of the two claims by their text, not by which is right: no cue for the blind.
    first, second = sorted((question.right, question.wrong), key=lambda c: c.sentence)
    quirk = (
        (rng.choice((first, second)), rng.choice(irrelevant))
        if irrelevant and not short and rng.random() < QUIRK
        else None
    )

    def write(claim: Claim, as_short: bool) -> tuple[str, Spans]:
        text, spans = unmark(claim.short if as_short else claim.sentence)
        if quirk and quirk[0] is claim:
            text, _ = FAULTS[quirk[1]](random.Random(seed + text), text)
        return text, spans

    text, facts = write(question.right, short)
    wrong, spans = write(question.wrong, short)
    answers = [Answer(text, None, facts), Answer(wrong, question.spoils, spans)]
    for m in manner:
        if m == "format":
            other, _ = write(question.right, not short)
            answers.append(Answer(other, m, ((0, len(other)),)))
        else:
            answers.append(Answer(*_spoil(random.Random(seed + m + text), m, text)))
    return Item(
        question.picture,
        question.family,
        " ".join([question.prompt, *instructions]),
        (*question.relevant, *manner),
        tuple(answers),
        question.evidence,
    )


def _spoil(rng: random.Random, manner: str, text: str) -> tuple[str, str, Spans]:
    spoiled, spans = FAULTS[manner](rng, text)
    return spoiled, manner, spans


def to_comparison(
    item: Item, wrong: int, seed: str, right_first: bool, image: bytes | None = None
) -> Comparison:
    """The right answer against answer number `wrong`. Whoever calls balances the sides."""
    pair = (item.answers[0], item.answers[wrong])
    sides = pair if right_first else pair[::-1]
    spoils = pair[1].spoils or ""
    w, h = item.picture.size
    manner = spoils in INSTRUCTIONS
    truth = Truth(
        relevant=item.relevant,
        spoilt=tuple(a.spoils for a in sides),
        wrong_spans=tuple(a.spans if a.spoils else () for a in sides),
        # A fault of manner is proven by no pixel.
        evidence=() if manner else tuple((a / w, b / h, c / w, d / h) for a, b, c, d in item.evidence),
    )
    data = image if image is not None else png(draw(item.picture))
    texts = tuple(a.text for a in sides)
    return Comparison(
        id=content_hash(seed, item.prompt, *texts),
        image=data,
        prompt=item.prompt,
        responses=texts,
        preferred=sides.index(pair[0]),
        benchmark="scene world",
        category=spoils if manner else item.family,
        truth=truth,
    )


def png(image: Image.Image) -> bytes:
    out = io.BytesIO()
    image.save(out, "PNG", compress_level=1)
    return out.getvalue()

"""Faults of manner: what is wrong with an answer whoever looks at it, picture or not.

A prompt asks for a manner ("Be polite."), which makes that dimension relevant; a fault breaks it.
Each fault returns the text and the character spans that carry it.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable

Spans = tuple[tuple[int, int], ...]
Spoiled = tuple[str, Spans]

INSTRUCTIONS: dict[str, tuple[str, ...]] = {
    "format": ("Answer in a full sentence.", "Write a whole sentence."),
    "relevance": ("Stay on the topic.", "Talk about nothing else."),
    "conciseness": ("Keep it brief.", "Be short."),
    "fluency": ("Write correct English.", "Mind your grammar."),
    "respect": ("Be polite.", "Please stay friendly."),
}
SHORT_FORM = ("Give the bare answer.", "Answer with no sentence.")

_PADDING = (
    "I looked at the picture for a long time to be sure.",
    "This took some thought but here you have my answer.",
    "As you surely know already it is what it is.",
)
_CHATTER = (
    "By the way the weather is nice today.",
    "My favourite sport is tennis.",
    "Music is fun and I like songs.",
)
_RUDE = ("you fool", "you idiot", "stupid")


def _append(text: str, extra: str) -> Spoiled:
    joined = f"{text} {extra}"
    return joined, ((len(text) + 1, len(joined)),)


def pad(rng: random.Random, text: str) -> Spoiled:
    return _append(text, rng.choice(_PADDING))


def wander(rng: random.Random, text: str) -> Spoiled:
    return _append(text, rng.choice(_CHATTER))


def insult(rng: random.Random, text: str) -> Spoiled:
    body = text.removesuffix(".")
    end = text[len(body) :]
    rude = rng.choice(_RUDE)
    out = f"{body}, {rude}{end}"
    return out, ((len(body) + 2, len(body) + 2 + len(rude)),)


def break_grammar(rng: random.Random, text: str) -> Spoiled:
    """Doubles a word, turns two words round, or breaks the verb."""
    words = [(m.start(), m.end()) for m in re.finditer(r"[^\s.,]+", text)]
    verb = re.search(r"\b(is|are|has|says|shows)\b", text)
    way = rng.choice(("double", "swap", "verb") if len(words) > 2 and verb else ("double",))
    if way == "verb" and verb:
        broken = {"is": "be", "are": "be", "has": "have", "says": "saying", "shows": "showing"}[verb.group()]
        out = text[: verb.start()] + broken + text[verb.end() :]
        return out, ((verb.start(), verb.start() + len(broken)),)
    if way == "swap":
        i = rng.randrange(min(2, len(words) - 1))  # near the start, where no list can make it right again
        (a0, a1), (b0, b1) = words[i], words[i + 1]
        out = text[:a0] + text[b0:b1] + text[a1:b0] + text[a0:a1] + text[b1:]
        return out, ((a0, b1),)
    s, e = rng.choice(words)
    out = f"{text[:e]} {text[s:e]}{text[e:]}"
    return out, ((s, e + 1 + e - s),)


FAULTS: dict[str, Callable[[random.Random, str], Spoiled]] = {
    "relevance": wander,
    "conciseness": pad,
    "fluency": break_grammar,
    "respect": insult,
}

"""What a prompt demands of the form of an answer, found by its words and checked one by one.

Only demands that a rule can decide are found: "at most 20 words", not "keep it brief". English prompts, answers in any
script.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.judges.pieces import pieces
from core.judges.verifiers.answers import polarity
from core.judges.verifiers.check import LONGEST, Check, shown
from core.judges.verifiers.readings import NUMBER, folded, numbers

EXACT, LIKELY = 0.99, 0.93  # counted or parsed; read off the look of a sentence
MOST = 20  # constraints of one prompt

_N = r"(?P<n>\d{1,5}|one|two|three|four|five|six|seven|eight|nine|ten|a single)"
_UNIT = r"(?P<unit>words?|sentences?|characters?|letters?|paragraphs?|lines?|bullet points?|bullets|items)"
_FEW = r"(?P<few>at most|no more than|not more than|up to|max(?:imum)?(?: of)?|under|fewer than|less than|at least|no fewer than|no less than|more than|over|min(?:imum)?(?: of)?|exactly|precisely|in|with|of|within|using|give|list|write|name)"
LENGTH = re.compile(
    rf"\b{_FEW}\s+(?:only\s+)?{_N}\s+(?:short\s+)?{_UNIT}\b(?:\s+(?P<or>or (?:less|fewer|more)))?",
    re.IGNORECASE,
)
RANGE = re.compile(
    rf"\b(?:between\s+)?(?P<low>\d{{1,5}})\s*(?:-|–|to|and)\s*(?P<high>\d{{1,5}})\s+{_UNIT}\b", re.IGNORECASE
)
KEYS = re.compile(r"\bkeys?\s*:?\s*((?:[\"'`][\w -]{1,40}[\"'`](?:\s*(?:,|and)\s*)*){1,20})", re.IGNORECASE)
QUOTE = r"[\"“'`‘](?P<quoted>[^\"“”'`‘’\n]{1,100})[\"”'`’]"
FENCE = re.compile(r"^\s*```(?:json)?\s*\n(.*?)\n?\s*```\s*$", re.DOTALL | re.IGNORECASE)
BULLET = re.compile(r"^\s*[-*•]\s+\S", re.MULTILINE)
ITEM = re.compile(r"^\s*\d{1,3}[.)]\s+\S", re.MULTILINE)
CLOSED = re.compile(r"[.!?…。！？।॥؟۔][\"'”’)»」]*\s*$")


@dataclass(frozen=True)
class Constraint:
    """words: as the prompt has it. holds(answer) -> whether it is kept; confidence: of either word."""

    words: str
    holds: Callable[[str], bool]
    confidence: float = EXACT


def constraints(prompt: str) -> list[Constraint]:
    """Those that the prompt makes, in its order of kinds; at most MOST."""
    if len(prompt) > LONGEST:
        return []
    found = [*_lengths(prompt), *_forms(prompt), *_contents(prompt)]
    unique = {c.words.lower(): c for c in found}
    return list(unique.values())[:MOST]


def kept(prompt: str, response: str) -> list[tuple[Constraint, bool]]:
    """Each constraint of the prompt with whether the response keeps it; empty where there is none or the response is too long to read."""
    if len(response) > LONGEST:
        return []
    return [(c, c.holds(response)) for c in constraints(prompt)]


def adherence(prompt: str, response: str) -> Check | None:
    """All of the prompt's constraints as one rule: right where each is kept. The confidence is that of the least sure word
    that decides: of the broken ones the surest, of kept ones the least sure."""
    found = kept(prompt, response)
    if not found:
        return None
    broken = [c for c, ok in found if not ok]
    if broken:
        worst = max(broken, key=lambda c: c.confidence)
        return Check("instructions", False, worst.confidence, f"breaks “{shown(worst.words)}”")
    return Check(
        "instructions", True, min(c.confidence for c, _ in found), f"keeps “{shown(found[0][0].words)}”"
    )


# -- length --------------------------------------------------------------------------------------------------

_NUMBERS = {
    w: i
    for i, w in enumerate(["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"], 1)
} | {"a single": 1}


def _lengths(prompt: str) -> Iterator[Constraint]:
    text = folded(prompt)
    taken: list[tuple[int, int]] = []
    for m in RANGE.finditer(text):
        low, high = int(m["low"]), int(m["high"])
        if low <= high:
            taken.append(m.span())
            yield Constraint(m[0], _between(m["unit"], low, high))
    for m in LENGTH.finditer(text):
        if any(a < m.end() and m.start() < b for a, b in taken):
            continue
        n = _NUMBERS.get(m["n"].lower()) or int(m["n"])
        few, more = m["few"].lower(), (m["or"] or "").lower()
        low, high = _bounds(few, more, n)
        yield Constraint(m[0], _between(m["unit"], low, high))
    one = re.search(r"\b(?:in|with|as) (?:one|a single) word\b|\bone[- ]word answer\b", text, re.IGNORECASE)
    if one and not LENGTH.search(text):
        yield Constraint(one[0], _between("word", 1, 1))


def _bounds(few: str, more: str, n: int) -> tuple[int, int]:
    if few.startswith(("at least", "no fewer", "no less", "min")) or more == "or more":
        return n, 10**9
    if few in ("more than", "over"):
        return n + 1, 10**9
    if few in ("under", "fewer than", "less than"):
        return 0, n - 1
    if few.startswith(("at most", "no more", "not more", "up to", "max", "within")) or more:
        return 0, n
    return n, n


def _between(unit: str, low: int, high: int) -> Callable[[str], bool]:
    return lambda answer: low <= count(answer, unit) <= high


def count(text: str, unit: str) -> int:
    """How many words, sentences, characters, paragraphs, lines or list items a text has."""
    unit = unit.lower()
    if unit.startswith("word"):
        return len([w for w, _, _ in pieces(text, "word") if any(ch.isalnum() for ch in w)])
    if unit.startswith("sentence"):
        return len(pieces(text, "sentence"))
    if unit.startswith("character"):
        return len(text.strip())
    if unit.startswith("letter"):
        return sum(ch.isalpha() for ch in text)
    if unit.startswith("paragraph"):
        return len([p for p in re.split(r"\n\s*\n", text) if p.strip()])
    if unit.startswith("line"):
        return len([line for line in text.splitlines() if line.strip()])
    return max(len(BULLET.findall(text)), len(ITEM.findall(text)))


# -- form ----------------------------------------------------------------------------------------------------


def _forms(prompt: str) -> Iterator[Constraint]:
    table: tuple[tuple[str, Callable[[str], bool], float], ...] = (
        (r"\b(?:full|whole|complete|entire) sentences?\b", is_sentence, LIKELY),
        (r"\bbare answer\b|\bwith no sentences?\b|\bno full sentences?\b|\bnot in a sentence\b|\bjust the answer\b|\bonly the answer\b", lambda a: not is_sentence(a), LIKELY),
        (r"\b(?:answer|reply|respond)\s+(?:only\s+)?(?:with\s+)?(?:either\s+)?[\"“']?yes[\"”']?\s+or\s+[\"“']?no\b", lambda a: polarity(a) is not None and len(a.split()) == 1, EXACT),
        (r"\b(?:only|just) (?:with )?(?:a|the|one) (?:single )?number\b|\bwith a number only\b|\bas a single number\b", is_number, EXACT),
        (r"\b(?:only|just) (?:with )?(?:a|the|one) (?:single )?(?:option )?letter\b", lambda a: bool(re.fullmatch(r"\s*\(?[A-Za-z]\)?\.?\s*", a)), EXACT),
        (r"\ball[- ]?(?:in )?(?:lower ?case|small letters)\b|\bin lower ?case\b", lambda a: a == a.lower() and any(ch.islower() for ch in a), EXACT),
        (r"\ball[- ]caps\b|\ball capital letters\b|\bin (?:all )?(?:capital letters|capitals|upper ?case)\b", lambda a: a == a.upper() and any(ch.isupper() for ch in a), EXACT),
        (r"\bnumbered list\b", lambda a: len(ITEM.findall(a)) >= 2, EXACT),
        (r"\b(?:as a|a|in) bullet(?:ed)?(?:[- ]point)? list\b|\b(?:use|in|as) bullet points\b", lambda a: len(BULLET.findall(a)) >= 1, EXACT),
        (r"\b(?:do not|don't|without)(?: using| use)?(?: any)? commas\b", lambda a: not re.search("[,،、，]", a), EXACT),
    )  # fmt: skip
    for pattern, holds, confidence in table:
        if m := re.search(pattern, prompt, re.IGNORECASE):
            yield Constraint(m[0], holds, confidence)
    if m := re.search(
        r"\b(?:as|in|with|valid|return|output)\s+(?:an?\s+)?(?:valid\s+)?json\b", prompt, re.IGNORECASE
    ):
        keys = KEYS.search(prompt)
        names = tuple(re.findall(r"[\"'`]([\w -]{1,40})[\"'`]", keys[1])) if keys else ()
        yield Constraint(m[0], lambda a: is_json(a, names))


def is_sentence(text: str) -> bool:
    """Three words or more, closed as sentences are. Whether there is a verb in it no rule can tell in every language."""
    body = text.strip()
    words = [w for w, _, _ in pieces(body, "word") if any(ch.isalnum() for ch in w)]
    return len(words) >= 3 and bool(CLOSED.search(body))


def is_number(text: str) -> bool:
    body = text.strip().rstrip(".")
    found = numbers(body)
    return len(found) == 1 and (bool(NUMBER.fullmatch(folded(body))) or len(body) <= len(found[0].text))


def is_json(text: str, keys: tuple[str, ...] = ()) -> bool:
    """Strict JSON and nothing else, in a fence or not; with all of the keys at its top where some are asked for."""
    fenced = FENCE.match(text)
    try:
        found = json.loads(fenced[1] if fenced else text, parse_constant=_not_json)
    except (ValueError, RecursionError):
        return False
    if not isinstance(found, dict | list):
        return False
    return all(isinstance(found, dict) and k in found for k in keys)


def _not_json(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


# -- content -------------------------------------------------------------------------------------------------


def _contents(prompt: str) -> Iterator[Constraint]:
    table: tuple[tuple[str, Callable[[str, str], bool]], ...] = (
        (rf"\b(?:do not|don't|never|avoid|without)\s+(?:use|say|mention|using|saying|mentioning|include|including)?\s*(?:the\s+)?(?:words?|phrase)\s*{QUOTE}", lambda a, q: not _has(a, q)),
        (rf"\b(?:use|include|mention|say|contain(?:ing)?|using|including)\s+(?:the\s+)?(?:words?|phrase)\s*{QUOTE}", _has),
        (rf"\b(?:begin|start)(?:ing)?\s+(?:your \w+\s+)?with\s+(?:the\s+)?(?:words?\s+|phrase\s+)?{QUOTE}", lambda a, q: a.strip().casefold().startswith(q.casefold())),
        (rf"\b(?:end|finish)(?:ing)?\s+(?:your \w+\s+)?with\s+(?:the\s+)?(?:words?\s+|phrase\s+)?{QUOTE}", lambda a, q: a.strip().casefold().endswith(q.casefold())),
    )  # fmt: skip
    taken: list[tuple[int, int]] = []
    for pattern, holds in table:
        for m in re.finditer(pattern, prompt, re.IGNORECASE):
            if any(a <= m.start() < b for a, b in taken):  # "do not use the word" is not "use the word"
                continue
            taken.append(m.span())
            quoted = m["quoted"]
            yield Constraint(m[0], lambda a, q=quoted, h=holds: h(a, q))  # type: ignore[misc]


def _has(answer: str, words: str) -> bool:
    return bool(re.search(rf"(?<!\w){re.escape(words.casefold())}(?!\w)", answer.casefold()))

"""An answer against the references that the data gives: exact, multiple choice, yes or no, numbers with units, lists."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from fractions import Fraction

from core.judges.verifiers.check import Check, Task, shown
from core.judges.verifiers.readings import Number, answer_of, folded, marked, numbers, plain_words

RELATIVE = Fraction(1, 10**6)  # tolerance of a number, of the reference's size
MARKED, WHOLE, ONLY, LAST = 0.99, 0.98, 0.95, 0.6  # confidence by how the answer was found
ITEM_WORDS = 4  # of an item of a list

YES = frozenset(
    [
        "yes",
        "yeah",
        "yep",
        "true",
        "correct",
        "oui",
        "ja",
        "sí",
        "si",
        "да",
        "はい",
        "是",
        "是的",
        "نعم",
        "हाँ",
    ]
)
NO = frozenset(
    ["no", "nope", "false", "incorrect", "non", "nein", "nee", "нет", "いいえ", "不", "不是", "لا", "नहीं"]
)
FIRST_WORD = re.compile(r"\W*(\w+)")
OPTION = re.compile(r"(?:^|[\s(\[])([A-H])[).:\]]\s*([^\n]{1,200}?)(?=\s*[\s(\[][A-H][).:\]]\s|\s*\n|\s*$)")
LETTER = re.compile(
    r"(?:option|choice|answer(?:\s+is)?)?\s*:?\s*[(\[*]*([A-Ha-h])[)\]*]*\s*[.:)]?(?=\s|$)", re.IGNORECASE
)
PARTS = re.compile(r"\s*(?:\n\s*(?:[-*•]|\d{1,3}[.)])?|[,;、،]|\band\b|&)\s*")


def exact(task: Task, response: str) -> Check | None:
    """The same words as a reference, whole or marked. It never says that an answer is wrong: there are many ways to be right."""
    said, _ = answer_of(response)
    words = plain_words(said)
    for reference in task.known.references:
        if words and words == plain_words(reference):
            return Check("exact match", True, MARKED, f"{shown(said)} = {shown(reference)}")
    return None


def choice(task: Task, response: str) -> Check | None:
    """One of the prompt's options, by its letter or by its text."""
    options = options_of(task.prompt)
    wanted = {o for r in task.known.references if (o := _option(r, options))}
    if not wanted:
        return None
    said = _option(response, options)
    if said is None:
        return None
    letter_alone = len(answer_of(response)[0]) <= 4
    confidence = MARKED if marked(response) or letter_alone else ONLY
    right = said in wanted
    return Check(
        "multiple choice", right, confidence, f"{said} {'=' if right else '≠'} {' or '.join(sorted(wanted))}"
    )


def options_of(prompt: str) -> dict[str, str]:
    """Letter -> text; empty where the prompt offers fewer than two, or the letters do not run from A on."""
    found = {m[1]: m[2].strip() for m in OPTION.finditer(prompt)}
    letters = sorted(found)
    return found if len(letters) >= 2 and letters == list("ABCDEFGH"[: len(letters)]) else {}


def _option(text: str, options: dict[str, str]) -> str | None:
    if not options:
        return None
    said, _ = answer_of(text)
    if (m := LETTER.match(said)) and m[1].upper() in options:
        letter, rest = m[1].upper(), said[m.end() :]
        # "A cat" is not the option A: behind a letter stands nothing, a mark, or the option's own text
        if not rest or m[0].rstrip()[-1] in ".:)]" or plain_words(rest) == plain_words(options[letter]):
            return letter
    words = f" {plain_words(said)} "
    named = [k for k, v in options.items() if plain_words(v) and f" {plain_words(v)} " in words]
    longest = [
        k
        for k in named
        if not any(k != o and plain_words(options[k]) in plain_words(options[o]) for o in named)
    ]
    return longest[0] if len(longest) == 1 and not _denied(words) else None


def _denied(words: str) -> bool:
    return bool(re.search(r"\b(?:not|no|neither|nor|except|rather than|instead of)\b|n't\b", words))


def yes_no(task: Task, response: str) -> Check | None:
    """Where a reference begins with yes or no. Read off the first word of the answer, and off no other."""
    wanted = {v for r in task.known.references if (v := polarity(r)) is not None}
    said = polarity(answer_of(response)[0])
    if len(wanted) != 1 or said is None:
        return None
    right = said in wanted
    return Check(
        "yes or no",
        right,
        MARKED if marked(response) else 0.97,
        f"{_word(said)} {'=' if right else '≠'} {_word(not said if not right else said)}",
    )


def polarity(text: str) -> bool | None:
    m = FIRST_WORD.match(text)
    word = m[1].casefold() if m else ""
    return True if word in YES else False if word in NO else None


def _word(value: bool) -> str:
    return "yes" if value else "no"


def number(task: Task, response: str, relative: Fraction = RELATIVE) -> Check | None:
    """A reference that is one number, with or without a unit. relative: tolerance, of the reference's size; a reference
    written with decimals is also met by what rounds to it."""
    wanted = [n for r in task.known.references if (n := _single(r))]
    if not wanted:
        return None
    found = _said(task.prompt, response)
    if found is None:
        return None
    said, confidence = found
    for reference in wanted:
        if same(said, reference, relative):
            return Check("number", True, confidence, f"{said} = {reference}")
    if any(_unit_left_out(said, w) for w in wanted):
        confidence = min(confidence, 0.8)  # the number may be right in a unit that nobody wrote
    return Check("number", False, confidence, f"{said} ≠ {wanted[0]}")


def _single(reference: str) -> Number | None:
    """The reference as one number: nothing but that number and its unit."""
    found = numbers(reference)
    rest = folded(reference).strip().rstrip(".")
    return found[0] if len(found) == 1 and len(rest) <= len(found[0].text) + 1 else None


def _said(prompt: str, response: str) -> tuple[Number, float] | None:
    """The number that answers: the one where the answer is marked, else the only one that the prompt does not give."""
    if said := marked(response):
        found = numbers(said)
        return (found[0], MARKED) if len(found) == 1 else (found[-1], LAST) if found else None
    found = numbers(response)
    if not found:
        return None
    if len(found) == 1 and len(response.strip()) <= len(found[0].text) + 2:
        return found[0], WHOLE
    given = {n.value for n in numbers(prompt)}
    own = [n for n in found if n.value not in given] or found
    if len({n.quantity for n in own}) == 1:
        return own[-1], ONLY if len(own) == len(found) or len(own) == 1 else 0.9
    return own[-1], LAST


def same(said: Number, reference: Number, relative: Fraction = RELATIVE) -> bool:
    """Whether two numbers agree: the same kind of quantity (a unit that one of them leaves out is the other's), within the
    tolerance, or rounding to the decimals of the reference."""
    (kind, value), (wanted_kind, wanted) = said.quantity, reference.quantity
    if kind != wanted_kind and "share" in (kind, wanted_kind) and "" in (kind, wanted_kind):
        # 50 % is 0.5, and also what somebody means who writes 50 where a percentage was asked
        return any(
            _near(a, b, reference, relative) for a, b in ((value, wanted), (said.value, reference.value))
        )
    if kind and wanted_kind and kind != wanted_kind:
        return False
    if not kind or not wanted_kind:
        value, wanted = said.value, reference.value
    return _near(value, wanted, reference, relative)


def _near(value: Fraction | None, wanted: Fraction | None, reference: Number, relative: Fraction) -> bool:
    if value is None or wanted is None:
        return False
    away = abs(value - wanted)
    return away <= relative * abs(wanted) or (
        reference.places > 0 and wanted == reference.value and 2 * away * 10**reference.places <= 1
    )


def _unit_left_out(said: Number, reference: Number) -> bool:
    return bool(said.unit) != bool(reference.unit)


def listed(task: Task, response: str) -> Check | None:
    """A reference of several items: the same ones, in any order unless the prompt asks for one."""
    for reference in task.known.references:
        wanted = items_of(reference)
        if len(wanted) < 2 or not _is_list(reference, wanted):
            continue
        said = items_of(answer_of(response)[0])
        if len(said) < 2:
            return None
        ordered = bool(
            re.search(
                r"\bin (?:the |this )?(?:right |correct )?order\b|\bfrom \w+ to \w+\b",
                task.prompt,
                re.IGNORECASE,
            )
        )
        right = said == wanted if ordered else sorted(said) == sorted(wanted)
        # Of a sentence around the list its first item keeps words, so only whole or marked lists are surely wrong.
        whole = bool(marked(response)) or _is_list(response, said)
        return Check(
            "list",
            right,
            ONLY if right or whole else LAST,
            f"{shown(', '.join(said))} {'=' if right else '≠'} {shown(', '.join(wanted))}",
        )
    return None


def _is_list(text: str, items: Sequence[str]) -> bool:
    """Not a sentence with commas in it: short items, and no full stop behind the last one."""
    return all(len(item.split()) <= ITEM_WORDS for item in items) and not text.rstrip().endswith(
        (".", "!", "?")
    )


def items_of(text: str) -> list[str]:
    try:
        found = json.loads(text) if text.lstrip().startswith("[") and len(text) < 5000 else None
    except (ValueError, RecursionError):
        found = None
    parts: Sequence[str] = [str(p) for p in found] if isinstance(found, list) else PARTS.split(text)
    return [w for p in parts if (w := plain_words(p))]

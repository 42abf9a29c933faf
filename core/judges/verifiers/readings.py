"""Numbers, units and the place of the answer in texts that anybody may have written.

Numbers are decimals, never evaluated: 1e999 is a number beyond any scale and equals nothing else, ½ and 3½ and 1/2 and
1,000.5 and "minus three" are what they say, digits of every script are digits.
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from decimal import Decimal, localcontext
from fractions import Fraction

LARGEST_EXPONENT = 308  # beyond it a number is infinite here, as in a double
MOST_DIGITS = 60
WHOLE = 60  # characters of a response that may be an answer as a whole

_ONES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen",
         "fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen")  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_WORDS = {
    **{w: i for i, w in enumerate(_ONES)},
    **{w: 10 * (i + 2) for i, w in enumerate(_TENS)},
    **{f"{t}-{o}": 10 * (i + 2) + n for i, t in enumerate(_TENS) for n, o in enumerate(_ONES[1:10], 1)},
    "none": 0, "dozen": 12, "hundred": 100, "thousand": 1000,
}  # fmt: skip
_WORD = "|".join(sorted(map(re.escape, _WORDS), key=len, reverse=True))
_DIGITS = r"(?:\d{1,3}(?:[,\u00a0\u202f']\d{3})+(?!\d)(?:\.\d{1,40})?|\d{1,60}(?:\.\d{1,40})?|\.\d{1,40})"
NUMBER = re.compile(
    rf"(?P<sign>(?:(?<![\w)])[-+]\s?|\b(?:minus|negative)\s+)?)"
    rf"(?:(?P<digits>{_DIGITS})(?:[eE](?P<power>[-+]?\d{{1,12}})(?!\w)|\s?×\s?10\^?(?P<ten>[-+]?\d{{1,4}}))?"
    rf"(?:\s?/\s?(?P<below>\d{{1,12}})(?![\d/]))?(?P<part>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])?"
    rf"|(?P<alone>[½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])|\b(?P<word>{_WORD})\b)",
    re.IGNORECASE,
)

# unit -> (what it measures, how many of the base unit); temperatures and currencies are not converted.
_UNITS: dict[str, tuple[str, Fraction]] = {
    name: (kind, Fraction(factor))
    for kind, table in {
        "length": {"mm": "1/1000", "cm": "1/100", "dm": "1/10", "m": "1", "km": "1000", "in": "0.0254", "ft": "0.3048", "yd": "0.9144", "mi": "1609.344"},
        "mass": {"mg": "1/1000000", "g": "1/1000", "kg": "1", "t": "1000", "lb": "0.45359237", "oz": "0.028349523125"},
        "time": {"ms": "1/1000", "s": "1", "min": "60", "h": "3600", "d": "86400"},
        "volume": {"ml": "1/1000", "cl": "1/100", "l": "1"},
        "speed": {"m/s": "1", "km/h": "5/18"},
        "share": {"%": "1/100"},
        "°C": {"°c": "1"}, "°F": {"°f": "1"}, "angle": {"°": "1"},
        "dollar": {"$": "1"}, "euro": {"€": "1"}, "pound": {"£": "1"}, "yen": {"¥": "1"},
    }.items()
    for name, factor in table.items()
}  # fmt: skip
_LONG = {
    "millimetre": "mm", "millimeter": "mm", "centimetre": "cm", "centimeter": "cm", "metre": "m", "meter": "m", "kilometre": "km",
    "kilometer": "km", "inch": "in", "inche": "in", "foot": "ft", "feet": "ft", "yard": "yd", "mile": "mi", "gram": "g", "kilogram": "kg",
    "kilo": "kg", "tonne": "t", "ton": "t", "pound": "lb", "ounce": "oz", "millisecond": "ms", "second": "s", "sec": "s", "minute": "min",
    "hour": "h", "hr": "h", "day": "d", "millilitre": "ml", "milliliter": "ml", "litre": "l", "liter": "l", "percent": "%", "degree": "°",
    "dollar": "$", "euro": "€", "kmh": "km/h", "kph": "km/h",
}  # fmt: skip
_AFTER = re.compile(
    r"\s?(°[cf]|[%°$€£¥]|km/h|m/s|[a-z]{1,11})", re.IGNORECASE
)  # right behind a number, in lower case once found
_BEFORE = re.compile(r"([$€£¥])\s?$")
MARKED = re.compile(
    r"\\boxed\{(?P<boxed>[^{}]{1,200}(?:\{[^{}]{0,100}\}[^{}]{0,100}){0,4})\}|<answer>(?P<tag>.{1,400}?)</answer>|^####\s*(?P<hashes>.{1,200})$|"
    r"\b(?:final answer|the answer|answer)\s*(?:is\b\s*:?|:)\s*(?P<said>[^\n]{1,200})",
    re.IGNORECASE | re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Number:
    """value: None where it is beyond any scale. unit: a key of _UNITS, "" where none was given. places: decimals written."""

    value: Fraction | None
    unit: str
    places: int
    text: str

    @property
    def quantity(self) -> tuple[str, Fraction | None]:
        """What it measures ("" without a unit), in its base unit."""
        if not self.unit:
            return "", self.value
        kind, factor = _UNITS[self.unit]
        return kind, None if self.value is None else self.value * factor

    def __str__(self) -> str:
        return self.text


def folded(text: str) -> str:
    """Digits of every script as ASCII, one minus sign, wide letters as narrow ones. Fractions such as ½ stay."""
    out = []
    for ch in text:
        if ch.isdecimal():
            out.append(str(unicodedata.digit(ch)))
        elif ch in "−‒–﹣－":
            out.append("-")
        elif "\uff01" <= ch <= "\uff5e":
            out.append(chr(ord(ch) - 0xFEE0))
        elif ch == "٫":  # the Arabic decimal sign
            out.append(".")
        elif ch == "٬":  # ... and its sign between thousands
            out.append(",")
        else:
            out.append(ch)
    return "".join(out)


def numbers(text: str) -> list[Number]:
    """All numbers of a text, in order. Those with more than MOST_DIGITS digits are left out."""
    text = folded(text)
    found = []
    for m in NUMBER.finditer(text):
        if _inside_word(text, m):
            continue
        value, places = _value(m)
        unit, end = _unit_at(text, m.start(), m.end())
        found.append(Number(value, unit, places, text[m.start() : end].strip()))
    return found


def _inside_word(text: str, m: re.Match[str]) -> bool:
    """Such as the 2 of "B2", of "v1.2.3" or of "2nd"."""
    before, after = text[: m.start()][-1:], text[m.end() :][:2]
    if m["word"]:
        return before == "-" or after[:1] == "-"
    if m["sign"] == "" and (before.isalpha() or before in ("_", ".")):
        return True
    return after.lower() in ("st", "nd", "rd", "th") or (after[:1] == "." and after[1:2].isdigit())


def _value(m: re.Match[str]) -> tuple[Fraction | None, int]:
    sign = -1 if m["sign"].strip().lower() in ("-", "minus", "negative") else 1
    if m["word"]:
        return Fraction(sign * _WORDS[m["word"].lower()]), 0
    if m["alone"]:
        return sign * _part(m["alone"]), 0
    digits = re.sub(r"[,\u00a0\u202f']", "", m["digits"])
    power = int(m["power"] or m["ten"] or 0)
    if abs(power) > LARGEST_EXPONENT or len(digits) > MOST_DIGITS:
        return (None, 0) if power > 0 or not m["power"] else (Fraction(0), 0)
    with localcontext() as context:
        context.prec = 2 * MOST_DIGITS
        value = Fraction(Decimal(digits)) * Fraction(10) ** power
    if m["below"]:
        if int(m["below"]) == 0:
            return None, 0
        value /= int(m["below"])
    if m["part"]:
        value += _part(m["part"])
    return sign * value, len(digits.partition(".")[2])


def _part(sign: str) -> Fraction:
    above, below = unicodedata.normalize("NFKD", sign).split("\u2044")
    return Fraction(int(above), int(below))


def _unit_at(text: str, start: int, end: int) -> tuple[str, int]:
    """The unit that stands behind or before a number, and where the number with it ends."""
    if m := _AFTER.match(text, end):
        word = m[1].lower()
        rest = text[m.end() : m.end() + 1]
        if not rest.isalpha():
            for name in (word, _LONG.get(word, ""), _LONG.get(word.removesuffix("s"), "")):
                # "in" and "t" and "d" are words more often than units
                if name in _UNITS and not (word in ("in", "t", "d") and m[0] != m[1]):
                    return name, m.end()
    if m := _BEFORE.search(text, max(0, start - 2), start):
        return m[1], end
    return "", end


def marked(text: str) -> str | None:
    """The answer where the text marks it: \\boxed{}, <answer>, ####, "the answer is"; the last one."""
    last = None
    for last in MARKED.finditer(text):  # noqa: B007
        pass
    if last is None:
        return None
    said = next(v for v in last.groupdict().values() if v is not None).strip()
    return re.split(r"(?<=[^\d.])\.\s|\.\s*$", said)[0].strip() if last["said"] else said


def answer_of(text: str) -> tuple[str, bool]:
    """(the part that is the answer, whether it is surely that): what is marked, else a text that is short as a whole, else
    all of it."""
    if said := marked(text):
        return said, True
    whole = text.strip()
    return whole, len(whole) <= WHOLE and "\n" not in whole


def plain_words(text: str) -> str:
    """For comparing: one script of digits, no case, no punctuation at the ends of words, no articles."""
    text = unicodedata.normalize("NFKC", folded(text)).casefold()
    words = re.sub(r"[^\w\s.%$€£¥°/+-]", " ", text).split()
    kept = [w.strip(".-") or w for w in words]
    return " ".join(w for w in kept if w not in ("a", "an", "the"))

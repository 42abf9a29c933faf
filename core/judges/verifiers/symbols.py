"""Arithmetic and LaTeX. Numbers are computed here by exact fractions; formulas are compared by math-verify (optional).

math-verify evaluates what it reads, so a few characters could keep it busy for hours (9^9^9^9, 10^8!). Only formulas of a
small, closed grammar reach it: nothing nested deeply, no large powers, no commands but those named.
"""

from __future__ import annotations

import logging
import re
from fractions import Fraction
from functools import lru_cache

from core.judges.verifiers.answers import MARKED, ONLY, WHOLE, _said, same
from core.judges.verifiers.check import Check, Task, shown
from core.judges.verifiers.readings import Number, answer_of, folded, marked

_NUMBER = r"\d{1,12}(?:\.\d{1,12})?(?!\d)"
_SIGN = r"(?:[-+*/×·÷]|plus|minus|times|divided by|(?<=[\d ])x(?=[\d ]))"
EXPRESSION = re.compile(rf"-?{_NUMBER}(?:\s*{_SIGN}\s*-?{_NUMBER}){{1,12}}", re.IGNORECASE)
EQUATION = re.compile(rf"(?<![\w.^(])({EXPRESSION.pattern})\s*(?:=|is|equals|makes)\s*(-?{_NUMBER})(?![\w^(%/*×·÷+]|\.\d|\s*[-+*/×·÷])", re.IGNORECASE)  # fmt: skip
TOKENS = re.compile(rf"({_NUMBER})|({_SIGN})", re.IGNORECASE)
ASKS = re.compile(
    r"\b(?:what is|calculate|compute|work out|how much is|evaluate|solve)\b|=\s*\?", re.IGNORECASE
)
NAMES = {"plus": "+", "minus": "-", "times": "*", "x": "*", "divided by": "/", "×": "*", "·": "*", "÷": "/"}

LONGEST, DEEPEST, LARGEST_POWER = 120, 4, 12
COMMANDS = frozenset(
    [
        "frac",
        "dfrac",
        "tfrac",
        "sqrt",
        "pi",
        "cdot",
        "times",
        "left",
        "right",
        "text",
        "mathrm",
        "div",
        "pm",
        "circ",
        "quad",
        "infty",
        "boxed",
    ]
)
FORMULA = re.compile(r"[\\^{}√π]|\d\s*[*/+]\s*\d|[a-z]\s*[=+*/-]\s*[\da-z]", re.IGNORECASE)


def value_of(expression: str) -> Fraction | None:
    """Of numbers and + - * / with their usual precedence; None where it divides by zero or does not read."""
    tokens = [(m[1], NAMES.get((m[2] or "").lower(), m[2])) for m in TOKENS.finditer(expression)]
    total, product, sign, operation = Fraction(0), None, 1, "+"
    for n, op in tokens:
        if n is None:
            if operation and op == "-" and product is None or operation in ("*", "/") and op == "-":
                sign = -sign
                continue
            if operation:
                return None
            if op in "+-":
                total, product = total + (product or 0), None
                sign = -1 if op == "-" else 1
            operation = op
            continue
        value, sign = sign * Fraction(n), 1
        if operation == "/":
            if value == 0:
                return None
            product = (product or 0) / value
        elif operation == "*":
            product = (product or 0) * value
        else:
            product = value
        operation = ""
    return None if operation else total + (product or 0)


def asked(task: Task, response: str) -> Check | None:
    """A prompt that asks for the value of one expression of numbers: that value is the reference."""
    prompt = folded(task.prompt)
    found = [m[0] for m in EXPRESSION.finditer(prompt) if re.search(_SIGN, m[0][1:], re.IGNORECASE)]
    if task.known.references or len(found) != 1 or not ASKS.search(prompt) or "(" in prompt or "^" in prompt:
        return None
    value = value_of(found[0])
    said = _said(prompt, response)
    if value is None or said is None:
        return None
    number, confidence = said
    reference = Number(value, "", 0, _text(value))
    right = same(number, reference)
    return Check("arithmetic", right, confidence, f"{number} {'=' if right else '≠'} {shown(found[0])}")


def written(task: Task, response: str) -> Check | None:
    """Equations of numbers that the response writes: one that is false makes it wrong. True ones say nothing of the answer."""
    del task
    for m in EQUATION.finditer(folded(response)):
        value, claimed = value_of(m[1]), Fraction(m[2])
        if value is None:
            continue
        places = len(m[2].partition(".")[2])
        rounded = (
            abs(value - claimed) * 2 * 10**places <= 1
            if places or value.denominator != 1
            else value == claimed
        )
        if not rounded:
            return Check("arithmetic", False, ONLY, f"{shown(m[1])} ≠ {m[2]}")
    return None


def _text(value: Fraction) -> str:
    return str(value) if value.denominator == 1 else f"{float(value):.6g}"


def symbolic(task: Task, response: str) -> Check | None:
    """A reference that is a formula, compared as mathematics. None without math-verify."""
    wanted = [r for r in task.known.references if FORMULA.search(r) and tame(r)]
    said, short = answer_of(response)
    if not wanted or not tame(said):
        return None
    equal = [_equal(r.strip(), said.strip()) for r in wanted]
    if all(e is None for e in equal):
        return None
    right = any(equal)
    confidence = MARKED if marked(response) else WHOLE if short else 0.6
    return Check(
        "formula",
        right,
        confidence if right or short or marked(response) else 0.6,
        f"{shown(said)} {'=' if right else '≠'} {shown(wanted[0])}",
    )


def tame(formula: str) -> bool:
    """Whether a formula is of the small grammar that may be evaluated."""
    text = folded(formula)
    if (
        not text.strip()
        or len(text) > LONGEST
        or re.search(r"[^\w\s\\^{}()\[\]+*/=.,$%√π·×÷!|<>-]", text)
        or "!" in text
    ):
        return False
    if set(re.findall(r"\\([a-zA-Z]+)", text)) - COMMANDS or re.search(r"\d{13,}", text):
        return False
    depth = deepest = 0
    for ch in text:
        depth += (ch in "({[") - (ch in ")}]")
        deepest = max(deepest, depth)
    if deepest > DEEPEST or depth != 0:
        return False
    powers = re.findall(r"(?:\^|\*\*)\s*[{(]?\s*(-?\d*)([^})]*)", text)
    small = all(
        p and abs(int(p)) <= LARGEST_POWER and not re.search(r"[\^*]", rest[:12])
        for p, rest in ((p.strip("-"), r) for p, r in powers)
    )
    return small and len(powers) <= 3


@lru_cache(maxsize=4096)
def _equal(reference: str, said: str) -> bool | None:
    """None where either cannot be read as mathematics, or math-verify is not installed."""
    try:
        from math_verify import parse, verify
    except ImportError:
        return None
    for name in ("math_verify.parser", "math_verify.grader"):  # they warn at each call that timeouts are off
        logging.getLogger(name).setLevel(logging.ERROR)
    try:  # timeouts off: they are signals, which only a main thread may set; `tame` stands in for them
        a, b = (parse(f"${_bare(t)}$", parsing_timeout=None) for t in (reference, said))
        return bool(verify(a, b, timeout_seconds=None)) if a and b else None
    except Exception:  # sympy raises whatever it likes on what it cannot do
        return None


def _bare(text: str) -> str:
    return text.strip().strip("$").strip()

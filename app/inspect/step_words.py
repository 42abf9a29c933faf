"""A step of an edit path in words."""

from __future__ import annotations

import difflib
import re

from core.records import Comparison, letter
from core.records.edit_path import Step, cells

LONGEST = 40  # characters of a piece of text
MOST = 3  # pieces of one text
DIFFED = 2_000  # words beyond which the difference is not looked for


def words_of_step(before: Comparison, step: Step) -> str:
    """What it changed. before: the comparison that it was made to."""
    parts = []
    if step.prompt is not None:
        parts.append(f"prompt: {_difference(before.prompt, step.prompt)}")
    for i, text in step.responses:
        if i < len(before.responses):
            parts.append(f"{letter(i)}: {_difference(before.responses[i], text)}")
    if step.mask:
        share = max(0.01, float(cells(step.mask).mean()))
        parts.append(f"{share:.0%} of the picture {'blurred' if step.how == 'blur' else 'erased'}")
    return ("found: " if step.found else "") + "; ".join(parts)


def _difference(old: str, new: str) -> str:
    a, b = (re.findall(r"\S+", t) for t in (old, new))
    if max(len(a), len(b)) > DIFFED:
        return "rewritten"
    changes = []
    for tag, i0, i1, j0, j1 in difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes():
        gone, come = _quoted(a[i0:i1]), _quoted(b[j0:j1])
        if tag == "replace":
            changes.append(f"{gone} → {come}")
        elif tag == "delete":
            changes.append(f"{gone} struck")
        elif tag == "insert":
            changes.append(f"{come} added")
    if not changes:
        return "spacing changed"
    more = len(changes) - MOST
    return ", ".join(changes[:MOST]) + (f" and {more} more" if more > 0 else "")


def _quoted(words: list[str]) -> str:
    text = " ".join(words)
    return f"“{text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}”"

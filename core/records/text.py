"""Texts and lists as records keep them: fit for UTF-8, hashed by content, tuples at every depth."""

from __future__ import annotations

import hashlib
import re
from typing import Any


def frozen(value: Any) -> Any:
    """Lists, as JSON and Parquet give them back, made tuples again at every depth."""
    return tuple(frozen(v) for v in value) if isinstance(value, list | tuple) else value


def plain(value: Any) -> Any:
    """The same with every text fit for UTF-8, at any depth: halves of a surrogate pair are joined where both stand
    side by side, and become U+FFFD where one stands alone."""
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, dict):
        return {plain(k): plain(v) for k, v in value.items()}
    return [plain(v) for v in value] if isinstance(value, list | tuple) else value


def content_hash(*parts: str | bytes) -> str:
    """sha256 over length-prefixed parts, first 16 hex digits: the same content gives the same id."""
    digest = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        digest.update(len(data).to_bytes(8, "big") + data)
    return digest.hexdigest()[:16]


def letter(i: int) -> str:
    """What response i is called: A to Z, then AA, AB, ..."""
    return (letter(i // 26 - 1) if i >= 26 else "") + chr(ord("A") + i % 26)


def formatted(value: float | str, spec: str = "") -> str:
    """Python's format, but that a number which rounds to nothing has no sign: 0.00, never -0.00 or +0.00."""
    text = format(value, spec)
    return text[1:] if re.fullmatch(r"[+-]0[0,]*(\.0*)?(e[+-]\d+)?%?", text) else text


def signed(value: float, digits: int = 2) -> str:
    """+0.12 or -0.12; what rounds to nothing is 0.00, without a sign."""
    return formatted(value, f"+.{digits}f")

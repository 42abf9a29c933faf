"""Recovery phrases: six words by which a name is taken up again on another browser. Only a salted hash of them is kept.

Six of 2,048 words are 66 bits: with scrypt's cost a guess cannot be repeated often enough even by whoever has the database.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import unicodedata
from functools import cache
from pathlib import Path

from core.labels.records import LabelError

WORDS = Path(__file__).parents[2] / "assets" / "recovery_words.txt"
LENGTH = 6
N, R, P = 2**14, 8, 1  # scrypt: 16 MiB and about 50 ms a guess


@cache
def words() -> tuple[str, ...]:
    return tuple(w for w in WORDS.read_text().split("\n") if w and not w.startswith("#"))


def new_phrase() -> str:
    return " ".join(secrets.choice(words()) for _ in range(LENGTH))


def read(text: object) -> str:
    """A phrase as somebody typed it -> as it was given. Raises LabelError where it cannot be one."""
    typed = unicodedata.normalize("NFKC", str(text or ""))[:500].lower()
    found = [w for w in re.split(r"[\s,.;_–-]+", typed) if w]
    if len(found) != LENGTH:
        raise LabelError(f"A recovery phrase has {LENGTH} words: this has {len(found)}.")
    strange = [w for w in found if w not in words()]
    if strange:
        raise LabelError(
            f"'{strange[0][:30]}' is not a word of any recovery phrase: look for a slip of the pen."
        )
    return " ".join(found)


def hashed(phrase: str) -> str:
    """ "scrypt$N$R$P$SALT$HASH", each hash with a salt of its own."""
    salt = secrets.token_bytes(16)
    return f"scrypt${N}${R}${P}${salt.hex()}${_scrypt(phrase, salt, N, R, P).hex()}"


def matches(phrase: str, kept: str | None) -> bool:
    """Takes as long where nothing is kept: how long it takes does not tell which names have a phrase."""
    if kept is None:
        _scrypt(phrase, b"\0" * 16, N, R, P)
        return False
    _, n, r, p, salt, proof = kept.split("$")
    return hmac.compare_digest(
        _scrypt(phrase, bytes.fromhex(salt), int(n), int(r), int(p)), bytes.fromhex(proof)
    )


def _scrypt(phrase: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(phrase.encode(), salt=salt, n=n, r=r, p=p, maxmem=2 * 128 * n * r, dklen=32)

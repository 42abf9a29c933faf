"""Which words of a text did the embedded model never see? Its byte-level tokenizer was made from the sentences of the scene
world, each word of which is one token: a word that falls into several stood in none of them.

Measured by tests/benchmarks/measure_vocabulary.py: of 2,640 prompts and responses of held-out scene-world records none holds
such a word; of 766 texts of MM-RLHF-RewardBench 0.7 % hold none, of 500 of OwlEval 1.4 %. Known words in sentences of another
kind are not told apart. No torch: a page says it before a model is there.
"""

from __future__ import annotations

import functools
import re
from typing import TYPE_CHECKING

from core.model.files import EMBEDDED

if TYPE_CHECKING:
    from tokenizers import Tokenizer

FILE = EMBEDDED / "tokenizer.json"
WORD = re.compile(
    r"[^\W\d_]+|[^\x00-\x7f\w\s]+"
)  # letters of any script; signs that are not ASCII, such as emoji


@functools.cache
def _tokenizer() -> Tokenizer:
    from tokenizers import Tokenizer

    return Tokenizer.from_file(str(FILE))


@functools.lru_cache(maxsize=4096)
def _known(word: str) -> bool:
    spellings = {f" {word}", f" {word.lower()}", word, word.lower()}
    return any(len(_tokenizer().encode(s, add_special_tokens=False).ids) == 1 for s in spellings)


def unknown_words(*texts: str) -> tuple[str, ...]:
    """Each once, in the order in which they stand."""
    found = (w for text in texts for w in WORD.findall(text))
    return tuple(dict.fromkeys(w for w in found if not _known(w)))

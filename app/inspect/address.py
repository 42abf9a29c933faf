"""Inspect's state as an address: what is compared, which pair, which map, and the edits that led there.

Own pictures cannot stand in an address. Nothing is kept of them unless a link is asked for (app.inspect.links).
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache

from app.common.address import TooLong, part, written
from app.inspect.gallery import gallery
from app.inspect.views import View
from core.images import open_image, to_png_bytes
from core.records import Comparison, JudgeCard, RecordError, content_hash, letter
from core.records.edit_path import MOST_STEPS, Step

TEXT = ".*"
UNPACKED = 100_000  # bytes of steps; what unpacks to more is refused before it is unpacked
REMEMBERED = 1000  # records that were opened from a run or a kept view


@dataclass(frozen=True)
class Inspect:
    """What is compared: example, or run and row, or view (kept on this server), with prompt and texts a to d where they differ
    from the example's. pair: two letters. target, method, level: of the map on show, where it is not the first one. judge:
    whose numbers they were. edits: `packed` steps that were made after that."""

    example: str | None = part("example", r"[a-z0-9-]+", 40)
    run: str | None = part("run", r"[^\x00-\x1f\x7f]+", 300)
    row: str | None = part("row", r"[0-9]+", 11)
    view: str | None = part("kept view", r"[0-9a-f]{16}", 16)
    prompt: str | None = part("prompt", TEXT, 3000)
    a: str | None = part("response A", TEXT, 3000)
    b: str | None = part("response B", TEXT, 3000)
    c: str | None = part("response C", TEXT, 3000)
    d: str | None = part("response D", TEXT, 3000)
    pair: str | None = part("pair of responses", r"(?!(.)\1)[A-D]{2}", 2)
    target: str | None = part("target", r"[a-z]+(:[^\x00-\x1f\x7f<>]+)?", 120)
    method: str | None = part("method", r"[a-z_]+", 40)
    level: str | None = part("level", r"word|sentence", 8)
    judge: str | None = part("judge", r"[^\x00-\x1f\x7f]+", 200)
    edits: str | None = part("path of edits", r"[A-Za-z0-9_-]+", 2900)

    @property
    def map(self) -> tuple[str | None, ...]:
        return self.pair, self.target, self.method, self.level

    @property
    def indices(self) -> tuple[int, int] | None:
        """Of the pair."""
        return (ord(self.pair[0]) - ord("A"), ord(self.pair[1]) - ord("A")) if self.pair else None


class Origins:
    """Where comparisons came from that an address can name: gallery examples by their picture, and the last REMEMBERED others
    that were opened from an address."""

    def __init__(self) -> None:
        self._opened: OrderedDict[str, Inspect] = OrderedDict()

    def remember(self, comparison: Comparison, address: Inspect) -> None:
        """address: of the record, without pair and map."""
        self._opened[comparison.id] = Inspect(run=address.run, row=address.row, view=address.view)
        self._opened.move_to_end(comparison.id)
        while len(self._opened) > REMEMBERED:
            self._opened.popitem(last=False)

    def of(self, comparison: Comparison) -> Inspect | None:
        """None where only the browser has its picture."""
        if known := self._opened.get(comparison.id):
            return known
        if not isinstance(comparison.image, bytes):
            return None
        key = _examples().get(content_hash(comparison.image))
        if key is None:
            return None
        own = next(e.comparison for e in gallery() if e.id == key)
        if (own.prompt, own.responses) == (comparison.prompt, comparison.responses):
            return Inspect(example=key)
        texts = {letter(i).lower(): text for i, text in enumerate(comparison.responses)}
        return Inspect(example=key, prompt=comparison.prompt, **texts)


@cache
def _examples() -> dict[str, str]:
    """Content of a picture as views.comparison_of makes it -> the example's id."""
    return {content_hash(to_png_bytes(open_image(e.path), effort=1)): e.id for e in gallery()}


def query_of(view: View, origins: Origins, card: JudgeCard, first: tuple[str, str]) -> str:
    """The address of what is on show; "" where it cannot be one. first: target and method that nobody has to ask for."""
    start = origins.of(view.start or view.comparison)
    if start is None:
        return ""
    steps = view.path.steps if view.start and view.path else ()
    e = view.explanation
    ranked = sorted(view.judgement.ranking[:2])
    shown: dict[str, str | None] = {"judge": card.id}
    if list(view.pair) != ranked:
        shown["pair"] = "".join(map(letter, view.pair))
    if e and (e.target_key, e.method_key) != first:
        shown |= {"target": e.target_key, "method": e.method_key, "level": e.level}
    try:
        return written(replace(start, edits=packed(steps) if steps else None, **shown))
    except (TooLong, ValueError):
        return ""


def packed(steps: Sequence[Step]) -> str:
    """Steps as letters, without what they did: that is measured again. Raises TooLong."""
    rows = [replace(s, margin=None, found=False).to_dict() for s in steps]
    data = zlib.compress(json.dumps(rows, ensure_ascii=False, separators=(",", ":")).encode(), 9)
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def unpacked(text: str) -> tuple[Step, ...]:
    """What `packed` gave. Raises RecordError for anything else."""
    try:
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        stream = zlib.decompressobj()
        rows = stream.decompress(data, UNPACKED)
        if stream.unconsumed_tail or not stream.eof:
            raise ValueError("too large, or cut off")
        steps = json.loads(rows)
        if not isinstance(steps, list) or not 0 < len(steps) <= MOST_STEPS:
            raise ValueError("not a list of steps")
    except (binascii.Error, zlib.error, ValueError, RecursionError) as error:
        raise RecordError("The path of edits of this address cannot be read and is left out.") from error
    return tuple(replace(Step.from_dict(s), margin=None, found=False) for s in steps)

"""A recorded gallery: judged and explained comparisons as one file that opens with no model and no GPU.

A zip of gallery.json (format, title, captions in order) and one bundle (core.records.bundle) an entry.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from core.records.bundle import UNREADABLE, Bundle, BundleError
from core.records.bundle import read as read_bundle
from core.records.bundle import write as write_bundle
from core.records.card import JudgeCard
from core.records.text import plain

FORMAT = "rewardscope gallery"  # and its version
VERSION = 1
INDEX = "gallery.json"
MOST = 500  # entries
LARGEST_ENTRY, LARGEST = 128 << 20, 1 << 30  # bytes of one bundle, and of all together
LONGEST = 200  # characters of a caption or title


@dataclass(frozen=True)
class Entry:
    caption: str
    bundle: Bundle


@dataclass(frozen=True)
class Gallery:
    """title: for people. entries: all of one judge."""

    title: str
    entries: tuple[Entry, ...]

    @property
    def card(self) -> JudgeCard:
        return self.entries[0].bundle.card


def write(file: Path, title: str, entries: Iterable[Entry]) -> int:
    """Writes entries as they come, so that none but one is held in memory, and gives their number."""
    captions: list[str] = []
    with zipfile.ZipFile(file, "w") as archive:  # bundles are compressed already
        for entry in entries:
            _add(archive, _name(len(captions)), write_bundle(entry.bundle))
            captions.append(entry.caption[:LONGEST])
        index = {"format": f"{FORMAT} {VERSION}", "title": title[:LONGEST], "captions": captions}
        _add(archive, INDEX, json.dumps(plain(index), ensure_ascii=False, indent=1).encode())
    return len(captions)


def _add(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    archive.writestr(
        zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data
    )  # the same results give the same file


def read(source: Path | bytes) -> Gallery:
    """Raises BundleError in plain words. Only the members that the index counts are read, none beyond its size."""
    try:
        with zipfile.ZipFile(io.BytesIO(source) if isinstance(source, bytes) else source) as archive:
            title, captions = _index(_member(archive, INDEX, 1 << 20))
            sizes = [archive.getinfo(_name(i)).file_size for i in range(len(captions))]
            if sum(sizes) > LARGEST:
                raise BundleError(f"This recorded gallery is larger than {LARGEST >> 20} MiB.")
            bundles = [read_bundle(_member(archive, _name(i), LARGEST_ENTRY)) for i in range(len(captions))]
    except UNREADABLE as error:
        if isinstance(error, BundleError):
            raise
        raise BundleError("This file is not a recorded gallery of Rewardscope, or it is damaged.") from error
    if len({b.card.id for b in bundles}) > 1:
        raise BundleError("This recorded gallery holds results of several judges.")
    return Gallery(title, tuple(Entry(c, b) for c, b in zip(captions, bundles, strict=True)))


def _name(i: int) -> str:
    return f"{i:04d}.zip"


def _member(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    info = archive.getinfo(name)
    if info.file_size > largest:
        raise BundleError(f"The {name} of this recorded gallery is larger than {largest >> 20} MiB.")
    with archive.open(info) as file:
        return file.read(largest + 1)


def _index(data: bytes) -> tuple[str, Sequence[str]]:
    """Raises BundleError."""
    found = plain(json.loads(data))
    said = found.get("format") if isinstance(found, dict) else None
    name, _, number = said.rpartition(" ") if isinstance(said, str) else ("", "", "")
    if name != FORMAT or not (number.isascii() and number.isdecimal()):
        raise BundleError("This zip is not a recorded gallery of Rewardscope.")
    if int(number) > VERSION:
        raise BundleError(
            f"This recorded gallery has version {int(number)}; this Rewardscope reads up to {VERSION}. Open it with a newer one."
        )
    title, captions = found.get("title"), found.get("captions")
    if (
        not isinstance(title, str)
        or not isinstance(captions, list)
        or not all(isinstance(c, str) for c in captions)
    ):
        raise BundleError("This recorded gallery has no readable list of its entries.")
    if not 1 <= len(captions) <= MOST:
        raise BundleError(f"This recorded gallery has {len(captions):,} entries: it may have 1 to {MOST}.")
    return title[:LONGEST], [c[:LONGEST] for c in captions]

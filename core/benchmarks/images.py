"""The pictures of a row: bytes, a path inside the data's folder, base64, a list of these, or nothing with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from core.benchmarks.fields import literal
from core.images import ImageError, image_hash, picture_bytes
from core.records import ImageSource

MOST = 8  # pictures of one prompt
KEYS = ("bytes", "path", "image", "url", "image_url", "base64", "data", "file_name", "filename")


@dataclass(frozen=True)
class Pictures:
    """What a row's pictures are. found: in order, all of them or none. names: what tells them apart, found or not, as
    far as the row says; asked: how many the row names. problem: why they cannot be had, without row and column."""

    found: tuple[ImageSource, ...] = ()
    names: tuple[str | bytes, ...] = ()
    asked: int = 0
    problem: str = ""


class ImageFinder:
    """Looks for images below `root` only. A path in a file is data: it cannot lead anywhere else."""

    def __init__(self, root: Path | None) -> None:
        self.root = root.resolve() if root else None

    def find(self, value: Any) -> Pictures:
        """Nothing is decoded here."""
        given = each(value)
        if not given:
            return Pictures(problem="the row has no image")
        single = [self._one(v) for v in given]
        names = tuple(name for _, name, _ in single)
        problem = next((p for _, _, p in single if p), "")
        if len(given) > MOST:
            problem = f"{len(given)} images, but at most {MOST} are supported"
        found = () if problem else tuple(source for source, _, _ in single if source is not None)
        return Pictures(found, names, len(given), problem)

    def _one(self, value: Any) -> tuple[ImageSource | None, str | bytes, str]:
        """(picture, what tells it apart, the reason why there is none)"""
        value = _inner(value)
        if _are_bytes(value):
            value = bytes(value)
        if isinstance(value, bytes | bytearray | memoryview):
            return bytes(value), bytes(value), ""
        if isinstance(value, Image.Image):
            return value, image_hash(value), ""
        if value is None or value == "":
            return None, "", "the row has no image"
        if not isinstance(value, str):
            return (
                None,
                repr(value),
                f"{type(value).__name__} where a path, bytes or base64 was expected",
            )
        try:
            data = picture_bytes(value)
        except ImageError:
            return None, value, "not valid base64"
        if data is not None:
            return data, data, ""
        path, problem = self._file(value)
        return path, value.removeprefix("./"), problem

    def _file(self, value: str) -> tuple[Path | None, str]:
        shown = value if len(value) <= 120 else value[:117] + "..."
        value = value.removeprefix("file://")
        if "://" in value:
            return None, f"{shown!r} is an address; addresses are not fetched"
        if self.root is None:
            return None, f"{shown!r} is a path, but the data has no folder"
        for spelling in (value, value.replace("\\", "/")):  # the second: written under Windows
            try:
                path = (self.root / spelling).resolve()
                if not path.is_relative_to(self.root):
                    return None, f"{shown!r} leads out of the data's folder"
                if path.is_file():
                    return path, ""
            except (OSError, ValueError, RuntimeError):  # a name that no file can have, links in a circle
                pass
        return None, f"there is no file {shown!r} in the image folder"


def each(value: Any) -> list[Any]:
    """A column's value as the list of its pictures, of which each is a source or a structure around one."""
    if isinstance(value, str):
        listed = literal(value)
        value = listed if listed is not None else value
    if not isinstance(value, list | tuple) or _are_bytes(value):
        value = [value]
    return [inner for v in value for inner in (_within(v) if isinstance(v, list | tuple) else [v]) if not _nothing(_inner(inner))]  # fmt: skip


def _nothing(value: Any) -> bool:
    """Also as tools write it into a table of texts."""
    return value is None or (isinstance(value, str) and value.strip().lower() in ("", "nan", "none", "null"))


def _within(value: Any) -> list[Any]:
    """A list inside the list of pictures: the bytes of one as numbers, or some of them."""
    return [value] if _are_bytes(value) else list(value)


def _are_bytes(value: Any) -> bool:
    """Bytes as JSON writes them, a list of numbers."""
    return isinstance(value, list | tuple) and len(value) > 8 and all(type(v) is int and 0 <= v < 256 for v in value)  # fmt: skip


def _inner(value: Any) -> Any:
    """The source inside {"bytes": ..., "path": ...}, {"image_url": {"url": ...}} and the like."""
    for _ in range(4):
        if not isinstance(value, dict):
            break
        value = next((value[k] for k in KEYS if value.get(k) not in (None, "", b"")), None)
    return value

"""The image of a row: bytes, a path inside the data's folder, base64, or nothing with the reason."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path
from typing import Any

from PIL import Image

from core.records import ImageSource


class ImageFinder:
    """Looks for images below `root` only. A path in a file is data: it cannot lead anywhere else."""

    def __init__(self, root: Path | None) -> None:
        self.root = root.resolve() if root else None

    def find(self, value: Any) -> tuple[ImageSource | None, str]:
        """(image, "") or (None, the reason). Nothing is decoded here."""
        if isinstance(value, list | tuple):
            if len(value) > 1:
                return None, f"column image: {len(value)} images, but exactly one is supported"
            value = value[0] if value else None
        if isinstance(value, dict):  # datasets' undecoded image
            value = value.get("bytes") or value.get("path")
        if value is None or value == "":
            return None, "column image: the row has no image"
        if isinstance(value, bytes | Image.Image):
            return value, ""
        if not isinstance(value, str):
            return None, f"column image: {type(value).__name__} where a path, bytes or base64 was expected"
        return self._base64(value) if _is_base64(value) else self._file(value)

    def _base64(self, value: str) -> tuple[bytes | None, str]:
        try:
            return base64.b64decode(value.split(",", 1)[-1], validate=True), ""
        except (binascii.Error, ValueError):
            return None, "column image: not valid base64"

    def _file(self, value: str) -> tuple[Path | None, str]:
        shown = value if len(value) <= 120 else value[:117] + "..."
        if "://" in value:
            return None, f"column image: {shown!r} is an address; addresses are not fetched"
        if self.root is None:
            return None, f"column image: {shown!r} is a path, but the data has no folder"
        try:
            path = (self.root / value).resolve()
            if not path.is_relative_to(self.root):
                return None, f"column image: {shown!r} leads out of the data's folder"
            if path.is_file():
                return path, ""
        except (OSError, ValueError):  # a name that no file can have
            pass
        return None, f"column image: there is no file {shown!r} in the image folder"


def _is_base64(value: str) -> bool:
    return value.startswith("data:image/") or (len(value) > 512 and "." not in value and "\\" not in value)

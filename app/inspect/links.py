"""Links that reopen a view.

A gallery example whose texts are short travels in the link itself and lives for ever. Anything else is kept on
this server's disk under the hash of its content, the newest KEPT of them, and only once a link is asked for.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

from app.common.words import BOXES
from app.inspect.gallery import by_id
from core.images import open_image, to_png_bytes
from core.records import content_hash, letter
from core.runs.library import Library
from core.runs.rows import comparison_of

KEPT = 500
LONGEST = 3000  # characters of a link before it is kept on disk instead
STORE = Path(tempfile.gettempdir()) / "rewardscope-views"
LETTERS = [letter(i).lower() for i in range(BOXES)]


@dataclass(frozen=True)
class View:
    """What a link brings back: the picture (a path), the example it came from if any, prompt and responses."""

    picture: str | None
    example: str | None
    prompt: str
    responses: tuple[str, ...]


def make_link(base: str, view: View) -> str:
    """The link of a view. Raises ImageError where its picture cannot be read."""
    if view.example and (known := by_id(view.example)) and known.path == view.picture:
        query = {"example": view.example, "prompt": view.prompt}
        query |= dict(zip(LETTERS, view.responses, strict=False))
        if len(link := f"{base}?{urlencode(query)}") <= LONGEST:
            return link
    return f"{base}?{urlencode({'view': _keep(view)})}"


def open_link(query: Mapping[str, str], library: Library | None = None) -> tuple[View | None, str]:
    """The view of a link's query and a sentence where it cannot be reopened."""
    if library and query.get("run"):
        return _of_run(library, query["run"], query.get("row", ""))
    if key := query.get("view"):
        return _kept(key)
    if key := query.get("example"):
        known = by_id(key)
        if known is None:
            return None, "The example of this link is not in this version's gallery."
        texts = tuple(query[x] for x in LETTERS if x in query) or known.comparison.responses
        return View(known.path, key, query.get("prompt", known.comparison.prompt), texts), ""
    return None, ""


def _of_run(library: Library, name: str, row: str) -> tuple[View | None, str]:
    """A record of a run, with everything filled in."""
    run = library.runs().get(name)
    found = comparison_of(run, int(row)) if run and row.isdecimal() and len(row) < 12 else None
    if found is None:
        return None, "The record of this link is not on this server."
    picture = None
    if isinstance(found.image, bytes):
        STORE.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = STORE / f"{content_hash(found.image)}-run.png"
        path.write_bytes(found.image)
        picture = str(path)
    return View(
        picture, None, found.prompt, found.responses
    ), "" if picture else "This run holds no picture of the record."


def _keep(view: View) -> str:
    STORE.mkdir(mode=0o700, parents=True, exist_ok=True)
    picture = to_png_bytes(open_image(view.picture)) if view.picture else b""
    key = content_hash(picture, view.prompt, *view.responses)
    if picture:
        (STORE / f"{key}.png").write_bytes(picture)
    (STORE / f"{key}.json").write_text(json.dumps({"prompt": view.prompt, "responses": view.responses}))
    for old in sorted(STORE.glob("*.json"), key=lambda p: p.stat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
        old.with_suffix(".png").unlink(missing_ok=True)
    return key


def _kept(key: str) -> tuple[View | None, str]:
    # The key is a hash of ours or nothing: it never becomes part of a path otherwise.
    if not (len(key) == 16 and all(c in "0123456789abcdef" for c in key)):
        return None, "This link is not one of ours."
    path = STORE / f"{key}.json"
    try:
        data = json.loads(path.read_text())
    except OSError:
        return (
            None,
            "The view of this link is no longer kept on this server: give the picture and texts again.",
        )
    picture = path.with_suffix(".png")
    return View(
        str(picture) if picture.is_file() else None, None, data["prompt"], tuple(data["responses"])
    ), ""

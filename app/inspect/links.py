"""Links that reopen a view.

A gallery example whose texts are short travels in the link itself and lives for ever. Anything else is kept on
this server's disk under the hash of its content, the newest KEPT of them, and only once a link is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode

from app.common import privately
from app.common.words import BOXES
from app.inspect.gallery import by_id
from core.images import ImageError, open_image, to_png_bytes
from core.records import RecordError, content_hash, letter
from core.runs.library import Library
from core.runs.manifest import RunError
from core.runs.rows import comparison_of

KEPT = 500
LONGEST = 3000  # characters of a link before it is kept on disk instead
STORE = privately.folder("rewardscope-views-")
LETTERS = [letter(i).lower() for i in range(BOXES)]


@dataclass(frozen=True)
class View:
    """What a link brings back: the picture (a path), the example it came from if any, prompt and responses. preferred: the
    response that the record's label prefers, where there is a label."""

    picture: str | None
    example: str | None
    prompt: str
    responses: tuple[str, ...]
    preferred: int | None = None


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
        prompt = query.get("prompt", known.comparison.prompt)
        same = (prompt, texts) == (known.comparison.prompt, known.comparison.responses)
        return View(known.path, key, prompt, texts, known.comparison.preferred if same else None), ""
    return None, ""


def _of_run(library: Library, name: str, row: str) -> tuple[View | None, str]:
    """A record of a run, with everything filled in."""
    run = library.runs().get(name)
    try:
        found = comparison_of(run, int(row)) if run and row.isdecimal() and len(row) < 12 else None
    except (RunError, RecordError, ImageError) as error:
        return None, f"The record of this link cannot be opened. {error}"
    if found is None:
        return None, "The record of this link is not on this server."
    picture = None
    if isinstance(found.image, bytes):
        picture = kept_picture(found.image)
    view = View(picture, None, found.prompt, found.responses, found.preferred)
    return view, "" if picture else "This run holds no picture of the record."


def kept_picture(png: bytes) -> str:
    """A picture that was not uploaded, as a file; the newest KEPT of them stay."""
    path = privately.write(STORE() / f"{content_hash(png)}-run.png", png)
    _bounded("*-run.png")
    return str(path)


def _keep(view: View) -> str:
    picture = to_png_bytes(open_image(view.picture)) if view.picture else b""
    key = content_hash(picture, view.prompt, *view.responses)
    if picture:
        privately.write(STORE() / f"{key}.png", picture)
    privately.write(
        STORE() / f"{key}.json", json.dumps({"prompt": view.prompt, "responses": view.responses}).encode()
    )
    _bounded("*.json")
    return key


def _bounded(names: str) -> None:
    """The newest KEPT stay."""
    for old in sorted(STORE().glob(names), key=lambda p: p.lstat().st_mtime)[:-KEPT]:
        old.unlink(missing_ok=True)
        if old.suffix == ".json":
            old.with_suffix(".png").unlink(missing_ok=True)


def _kept(key: str) -> tuple[View | None, str]:
    # The key is a hash of ours or nothing: it never becomes part of a path otherwise.
    if not (len(key) == 16 and all(c in "0123456789abcdef" for c in key)):
        return None, "This link is not one of ours."
    path = STORE() / f"{key}.json"
    try:
        data = json.loads(privately.read(path))
        picture = path.with_suffix(".png")
        return View(
            str(picture) if privately.own(picture) else None, None, data["prompt"], tuple(data["responses"])
        ), ""
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return (
            None,
            "The view of this link is no longer kept on this server: give the picture and texts again.",
        )

"""The pictures of the wall, each at an address of its own: the browser fetches those that come into view, and keeps them."""

from __future__ import annotations

import io
from functools import lru_cache
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from core.images import ImageError
from core.runs.library import Library
from core.runs.manifest import RunError
from core.runs.rows import small_picture
from core.runs.run import Run

PATH = "thumbnail"
LONGEST = 240  # pixels; shown at half of that, for screens with two pixels to one
KEPT = 2_000  # of a few kilobytes each
KEEP = {"Cache-Control": "private, max-age=86400"}  # the address changes with the run
NONE = (
    b'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 120 120"><rect width="120" height="120" fill="#dfe3e8"/>'
    b'<text x="60" y="64" font-family="sans-serif" font-size="13" text-anchor="middle" fill="#475569">no picture</text></svg>'
)


def address(name: str, run: Run, row: int) -> str:
    """Of the picture of a run's row, seen from the Failures page. name: the run's in links."""
    return f"{PATH}?{urlencode({'run': name, 'row': row, 'of': run.file.stat().st_mtime_ns // 10**9})}"


def route(library: Library) -> Route:
    def answer(request: Request) -> Response:  # not async: Starlette runs it on a thread
        name, row = request.query_params.get("run", ""), request.query_params.get("row", "")
        run = library.runs().get(name) if row.isdecimal() and len(row) < 12 else None
        try:
            found = _picture(run, int(row)) if run else None
        except (RunError, ImageError):  # the record itself says what is wrong with it
            found = None
        if found is None:
            return Response(NONE, media_type="image/svg+xml", headers={"Cache-Control": "no-store"})
        return Response(found, media_type="image/webp", headers=KEEP)

    return Route(f"/{PATH}", answer, methods=["GET"])


@lru_cache(maxsize=KEPT)
def _picture(run: Run, row: int) -> bytes | None:
    picture = small_picture(run, row, LONGEST)
    if picture is None:
        return None
    out = io.BytesIO()
    picture.save(out, "WEBP", quality=75, method=2)
    return out.getvalue()

"""Gradio's style sheets, of which a page asks for forty small ones, as one file.

A sheet that the page already links to is not fetched again when a component asks for it, and a link that is disabled is not
fetched at all: so the page names all of them, disabled, beside the one file that holds them. Where Gradio's files lie elsewhere
than expected there is nothing to join, and each is fetched as before.
"""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

import gradio
from markupsafe import escape

FOLDER = Path(gradio.__file__).parent / "templates" / "frontend" / "assets"
LARGEST = 25_000  # bytes; larger ones belong to what few pages show
OWN = re.compile(r'href="[^"]*assets/([^"/]+\.css)"')  # sheets of the page itself


_files: dict[str, bytes] = {}


@cache
def links(own: frozenset[str]) -> bytes:
    """For the head of a page. own: sheets that it links to anyway."""
    sheets = [f for f in sorted(FOLDER.glob("*.css")) if f.name not in own and f.stat().st_size <= LARGEST]
    if not sheets:
        return b""
    content = b"\n".join(f.read_bytes() for f in sheets)
    name = f"joined-{hashlib.sha256(content).hexdigest()[:12]}.css"  # changes with the content
    _files[name] = content
    one = f'<link rel="stylesheet" href="./assets/{name}">'
    none = "".join(f'<link rel="stylesheet" disabled href="./assets/{escape(f.name)}">' for f in sheets)
    return (one + none).encode()


def with_links(page: bytes) -> bytes:
    """The page with them, behind what its head holds."""
    head, end, rest = page.partition(b"</head>")
    own = frozenset(OWN.findall(head.decode("utf-8", "replace")))
    return head + links(own) + end + rest if end else page


def file(path: str) -> bytes | None:
    """What a path that `links` gave stands for."""
    folder, _, name = path.rpartition("/")
    return _files.get(name) if folder == "/assets" else None

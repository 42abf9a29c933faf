"""What a page needs before its first paint: the colours that a person chose. Gradio's own scripts come seconds later."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

SCRIPT = Path(__file__).parents[2] / "assets" / "theme.js"
# Gradio's page follows the system until its style sheet is there; --bg and --col are its own, as the theme sets them.
STYLE = """<style>body { font-family: system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
html[data-theme="light"] { color-scheme: light; } html[data-theme="light"] body { background: var(--bg); color: var(--col); }
html[data-theme="dark"] { color-scheme: dark; } html[data-theme="dark"] body { background: var(--bg-dark); color: var(--col-dark); }</style>"""


@cache
def script(path: Path) -> str:
    """For a page, without what is for whoever reads the file: comments in lines of their own, and indentation."""
    return f"<script>{re.sub(r'(?m)^[ ]*(//.*)?', '', path.read_text())}</script>"


def with_theme(page: bytes) -> bytes:
    """The page with them behind what its head holds: its own scripts wait until it is read."""
    head, end, rest = page.partition(b"</head>")
    return head + f"{STYLE}{script(SCRIPT)}".encode() + end + rest if end else page

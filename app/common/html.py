"""HTML by template. Whatever a template is given is escaped; only what a template made itself is not. Halves of
surrogate pairs, which no browser can be sent, are replaced.

`html("<p>{{ text }}</p>", text=...)` gives Markup, which stands as it is in a larger template. Nothing else on a page may
put text into HTML, so that nobody has to remember to escape. `f` is Python's format without -0.00: `{{ share|f(".1f") }}`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from typing import Any

from jinja2 import Environment, StrictUndefined, Template
from markupsafe import Markup

from core.records import formatted, plain, signed

ENVIRONMENT = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
ENVIRONMENT.filters["f"] = formatted
ENVIRONMENT.filters["signed"] = signed
NOTHING = Markup("")


def html(source: str, **values: Any) -> Markup:
    """source: a template of this program's own, never a text from elsewhere. Line breaks between its tags are dropped."""
    return Markup(plain(_compiled(source).render(values)))  # noqa: S704 (its values are escaped)


@lru_cache(maxsize=512)
def _compiled(source: str) -> Template:
    lines = re.sub(r">\s*\n\s*<", "><", source.strip())
    return ENVIRONMENT.from_string(lines)


def notice(said: object) -> str:
    """A text for gr.Error, gr.Warning and gr.Info, which show theirs as HTML. Quotes stay: it stands in no attribute."""
    return escape(str(said), quote=False)


def joined(parts: Any, between: str = "") -> Markup:
    return Markup(between).join(parts)  # noqa: S704 (`between` is the program's own)

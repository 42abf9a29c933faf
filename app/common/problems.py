"""What cannot be shown, named on the page: folded, as it concerns whoever runs the server."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from app.common.html import NOTHING, html

SHOWN = 50


def problems_html(problems: Sequence[str]) -> Markup:
    if not problems:
        return NOTHING
    return html(
        """
        <details class="small problems"><summary>{{ n }} {{ "run" if n == 1 else "runs" }} cannot be shown</summary><ul>
        {%- for problem in problems %}<li>{{ problem }}</li>{% endfor %}
        {%- if n > shown %}<li>and {{ n - shown }} more</li>{% endif %}</ul></details>
        """,
        n=len(problems),
        problems=problems[:SHOWN],
        shown=SHOWN,
    )

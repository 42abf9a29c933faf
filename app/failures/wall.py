"""The wall: a page of records as pictures, each a link, with label, judge's choice and margin; and the 2 x 2 of two judges."""

from __future__ import annotations

from typing import Any

import pandas as pd
from markupsafe import Markup

from app.common.html import NOTHING, html, signed
from app.failures import thumbnails
from app.failures.place import Place
from core.records import ImageAblation, ImageUse, letter
from core.runs import browse
from core.runs.browse import PAGE, QUADRANTS, Crosstab, Similar
from core.runs.run import Run

ASKED = 110  # characters of a prompt on the wall


def wall_html(found: browse.Page, place: Place, run: Run) -> Markup:
    if not len(found.rows):
        return html('<p class="small">No record passes these filters.</p>')
    pages = (found.total - 1) // PAGE + 1
    return html(
        """
        {% if aside %}<p class="small">Row {{ row }}, shown beside, is not among these.</p>{% endif %}
        <ul class="wall" aria-label="Records">{% for s in shots %}<li>
        <a class="shot {{ s.outcome }}" href="failures?{{ s.query }}" data-row="{{ s.row }}"{% if s.row == row %} aria-current="true"{% endif %}>
        <img src="{{ s.picture }}" alt="Row {{ s.row }}" width="120" height="120" loading="lazy" decoding="async">
        <span class="asked" dir="auto">{{ s.prompt }}</span>
        <span class="choices"><span>{{ s.label }}</span> <span>{{ s.judge }}</span></span>
        <span class="margin">{{ s.margin }}</span>{% if s.note %} <span class="note">{{ s.note }}</span>{% endif %}</a></li>
        {%- endfor %}</ul>{% if pages > 1 %}<p class="small pages">page {{ page }} of {{ pages|f(",") }}</p>{% endif %}
        """,
        shots=[_shot(r, place, run) for r in found.rows.to_dict("records")], row=int(place.row or -1), aside=place.row and int(place.row) not in set(found.rows["row"]),
        page=f"{int(place.page) + 1:,}", pages=pages,
    )  # fmt: skip


def _shot(r: dict[str, Any], place: Place, run: Run) -> dict[str, Any]:
    row = int(r["row"])
    return {
        "row": row, "query": place.at(row), "picture": thumbnails.address(place.run, run, row), "prompt": short(r["prompt"]),
        "outcome": r["outcome"], "label": "no label" if pd.isna(r["preferred"]) else f"label {letter(int(r['preferred']))}",
        "judge": _judge(r), "margin": "" if pd.isna(r["margin"]) else signed(r["margin"]), "note": _note(r),
    }  # fmt: skip


def short(prompt: Any) -> str:
    text = " ".join(str(prompt if isinstance(prompt, str) else "").split())
    return text if len(text) <= ASKED else text[: ASKED - 1] + "…"


def _judge(r: dict[str, Any]) -> str:
    if pd.notna(r["favourite"]):
        return f"judge {letter(int(r['favourite']))}"
    return {"tie": "a tie", "missing": "not judged"}.get(r["outcome"], "no verdict")


def _note(r: dict[str, Any]) -> str:
    """What sets a record apart: an answer that depends on the order, or one that does not rest on the picture."""
    if "order_consistent" in r and pd.notna(r["order_consistent"]) and not r["order_consistent"]:
        return "depends on the order"
    if "margin_blank" in r and pd.notna(r["margin_blank"]) and pd.notna(r["margin"]) and r["margin"]:
        used = ImageAblation(float(r["margin"]), float(r["margin_blank"]), None).use
        return "ignores the image" if used is ImageUse.IGNORES else ""
    return ""


def crosstab_html(counts: Crosstab | None, this: str, other: str, chosen: str) -> Markup:
    """Two judges on the same records: each cell is a button that shows its records. chosen: the filter that is on."""
    if counts is None:
        return NOTHING
    cells = [
        {"index": i, "n": n, "what": what, "on": "true" if what == chosen else "false", "split": i in (1, 2)}
        for i, (what, n) in enumerate(counts.cells().items())
    ]
    return html(
        """
        <div class="wide"><table class="crosstab"><caption>Records that both judged: press a cell to see them</caption>
        <thead><tr><td></td><th scope="col">{{ other }}<br>right</th><th scope="col">{{ other }}<br>not right</th></tr></thead><tbody>
        {%- for line in (cells[:2], cells[2:]) %}
        <tr><th scope="row">{{ this }}<br>{{ "right" if loop.first else "not right" }}</th>
        {%- for c in line %}<td><button type="button" class="{{ "split" if c.split }}" data-index="{{ c.index }}" aria-pressed="{{ c.on }}"
         aria-label="{{ c.n|f(",") }} records: {{ c.what }}">{{ c.n|f(",") }}</button></td>{% endfor %}</tr>
        {%- endfor %}</tbody></table></div>
        """,
        cells=cells, this=this, other=other,
    )  # fmt: skip


def quadrant(index: Any) -> str:
    """The filter of a cell by its number; "" for anything else."""
    return QUADRANTS[index] if type(index) is int and 0 <= index < len(QUADRANTS) else ""


def similar_html(found: Similar | None, place: Place, run: Run) -> Markup:
    if found is None or not found.rows:
        return NOTHING
    shots = [
        {"row": row, "distance": distance, "query": Place(run=place.run, other=place.other, third=place.third, row=str(row)).query(),
         "picture": thumbnails.address(place.run, run, row)}
        for row, distance in found.rows
    ]  # fmt: skip
    return html(
        """
        <section class="similar"><h3>Similar errors <span class="small">nearest contribution vectors first</span></h3>
        <ul class="wall few">{% for s in shots %}<li><a class="shot" href="failures?{{ s.query }}">
        <img src="{{ s.picture }}" alt="" width="72" height="72" loading="lazy" decoding="async">
        <span class="small">row {{ s.row }}<br>distance {{ s.distance|f(".2f") }}</span></a></li>{% endfor %}</ul>
        <p class="small">On the {{ r.n }} records with the same selected dimensions this judge is right {{ (100 * r.value)|f(".1f") }} % of the time
        (95 %: {{ (100 * r.low)|f(".1f") }} to {{ (100 * r.high)|f(".1f") }}).</p></section>
        """,
        shots=shots, r=found.same_dimensions,
    )  # fmt: skip

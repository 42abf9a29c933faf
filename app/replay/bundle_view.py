"""A replay bundle as HTML: verdict, contributions and maps from the file alone. No model."""

from __future__ import annotations

import gradio as gr
from markupsafe import Markup

from app.common import heat, item_view, words
from app.common.html import html, notice
from app.common.orders_view import orders_html
from core.records import Explanation, RecordError
from core.records.bundle import Bundle, BundleError, read


def open_bundle(path: str | None) -> Bundle:
    """Raises gr.Error in plain words."""
    if not path:
        raise gr.Error("There is no file.")
    try:
        return read(path)
    except (BundleError, RecordError) as error:
        raise gr.Error(notice(error), title="This bundle cannot be opened") from error


def bundle_html(bundle: Bundle) -> Markup:
    return judged_html(bundle, bundle.explanation)


def judged_html(bundle: Bundle, explanation: Explanation) -> Markup:
    """explanation: one of those that the bundle holds."""
    c, j, e = bundle.comparison, bundle.judgement, explanation
    a, b = e.pair
    return html(
        """
        <p class="verdict" role="status">{{ verdict }}</p>
        <p class="rewards">reward {{ rewards }}<br>judged by {{ card.name }}
        {%- if card.kind != "remote" %}, weights {{ card.fingerprint[:16] or "unknown" }}{% endif %}</p>
        {{ image_ablation }}<p class="prompt" dir="auto"><b>{{ prompt }}</b></p>
        {{ orders }}{{ contributions }}{{ map }}
        """,
        verdict=words.verdict(c, j, a, b), rewards=words.reward_line(j), card=bundle.card, prompt=c.prompt,
        image_ablation=item_view.image_ablation_html(bundle.image_ablation), contributions=item_view.contributions_html(j, a, b),
        orders=orders_html(j, a, b),
        map=heat.explanation_html(c.load_image(), e, (c.responses[a], c.responses[b]), (a, b), heat.held_text(j, e), c.prompt),
    )  # fmt: skip

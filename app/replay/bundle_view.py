"""A replay bundle as HTML: verdict, ledger and maps from the file alone. No model."""

from __future__ import annotations

import html

import gradio as gr

from app.common import heat, item_view, words
from core.records import RecordError
from core.records.bundle import Bundle, BundleError, read


def open_bundle(path: str | None) -> Bundle:
    """Raises gr.Error in plain words."""
    if not path:
        raise gr.Error("There is no file.")
    try:
        return read(path)
    except (BundleError, RecordError) as error:
        raise gr.Error(str(error), title="This bundle cannot be opened") from error


def bundle_html(bundle: Bundle) -> str:
    c, j, e = bundle.comparison, bundle.judgement, bundle.explanation
    a, b = e.pair
    said = f"{bundle.card.name}, weights {bundle.card.fingerprint[:16] or 'unknown'}"
    return (
        f'<p class="verdict" role="status">{html.escape(words.verdict(c, j, a, b))}</p>'
        f'<p class="rewards">reward {html.escape(words.reward_line(j))}<br>judged by {html.escape(said)}</p>'
        f"{item_view.reliance_html(bundle.reliance)}"
        f'<p class="prompt" dir="auto"><b>{html.escape(c.prompt)}</b></p>'
        f"{item_view.ledger(j, a, b)}"
        f"{heat.explanation_html(c.load_image(), e, (c.responses[a], c.responses[b]), (a, b))}"
    )

"""The Recorded page: results of judges that are not here, as they were recorded, on the pictures of whoever recorded them.

No model is loaded and nothing is computed: what is shown stands in the file (core.records.gallery).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from markupsafe import Markup

from app.common import privately, words
from app.common.html import html
from app.common.region_map import shrink
from app.replay.bundle_view import judged_html
from core.images import to_png_bytes
from core.records import Explanation, content_hash
from core.records.gallery import Entry, Gallery

PRIVATE: dict[str, Any] = {"api_visibility": "private"}


class RecordedPage:
    """Components and events. The session holds the gallery's and the entry's number."""

    def __init__(self, galleries: Sequence[Gallery]) -> None:
        self.galleries = galleries

    def build(self, demo: gr.Blocks) -> None:
        gr.HTML(
            "<header><h1>Recorded</h1><p>What other judges said, as it was recorded: no model is loaded for it, and nothing is "
            "computed here.</p></header>"
        )
        self.place = gr.State((0, 0))
        named = [(g.title, i) for i, g in enumerate(self.galleries)]
        with gr.Row(equal_height=False):
            with gr.Column(scale=4, min_width=320):
                self.which = gr.Dropdown(
                    named, value=0, label="Recording", elem_id="recording", visible=len(named) > 1
                )
                self.pictures = gr.Gallery(
                    label="Pictures", columns=3, height=420, allow_preview=False, object_fit="contain", elem_id="recorded",
                    interactive=False,
                )  # fmt: skip
                self.about = gr.HTML(elem_id="about")
            with gr.Column(scale=7, min_width=320):
                self.badge = gr.HTML(elem_id="badge")
                self.target = gr.Dropdown([], label="Explain", elem_id="target")
                self.shown = gr.HTML(elem_id="judged")
        outputs = [self.place, self.badge, self.target, self.shown]
        filled = [self.pictures, self.about, *outputs]
        demo.load(lambda: self.on_recording(0), None, filled, **PRIVATE)
        self.which.input(self.on_recording, [self.which], filled, **PRIVATE)
        self.pictures.select(self.on_picture, [self.place], outputs, **PRIVATE)
        self.target.input(self.on_target, [self.place, self.target], [self.shown], **PRIVATE)

    def on_recording(self, which: int) -> tuple:
        gallery = self.galleries[which]
        return thumbnails(gallery), about_html(gallery), *self._show(which, 0)

    def on_picture(self, place: tuple[int, int], event: gr.SelectData) -> tuple:
        which = place[0]
        number = event.index if isinstance(event.index, int) else 0
        return self._show(which, min(max(number, 0), len(self.galleries[which].entries) - 1))

    def on_target(self, place: tuple[int, int], target: str) -> Markup:
        entry = self._entry(place)
        chosen = next((e for e in explanations(entry) if e.target_key == target), entry.bundle.explanation)
        return judged_html(entry.bundle, chosen)

    def _entry(self, place: tuple[int, int]) -> Entry:
        return self.galleries[place[0]].entries[place[1]]

    def _show(self, which: int, number: int) -> tuple:
        entry = self._entry((which, number))
        choices = [(e.target, e.target_key) for e in explanations(entry)]
        return (
            (which, number), badge_html(entry),
            gr.Dropdown(choices=choices, value=choices[0][1], visible=len(choices) > 1),
            judged_html(entry.bundle, entry.bundle.explanation),
        )  # fmt: skip


def explanations(entry: Entry) -> list[Explanation]:
    return [entry.bundle.explanation, *entry.bundle.more]


def badge_html(entry: Entry) -> Markup:
    return html(
        '<p class="small"><span class="badge">recorded</span> {{ caption }}, judged by {{ name }}</p>',
        caption=entry.caption, name=entry.bundle.card.name,
    )  # fmt: skip


def about_html(gallery: Gallery) -> Markup:
    card = gallery.card
    return html(
        """
        <p class="small"><b>{{ card.name }}</b>{% for fact in facts %} · {{ fact }}{% endfor %}</p>
        {%- if card.about %}<p class="small">{{ card.about }}</p>{% endif %}
        <p class="small">{{ n }} recorded {{ "comparison" if n == 1 else "comparisons" }}; made by
        <code>python -m app.gallery_results</code>.</p>
        """,
        card=card, n=len(gallery.entries), facts=words.facts(card),
    )  # fmt: skip


def thumbnails(gallery: Gallery) -> list[tuple[str, str]]:
    """(file, caption) of each picture, small, for the gallery on the page."""
    folder, out = privately.folder("rewardscope-recorded-")(), []
    for entry in gallery.entries:
        image = entry.bundle.comparison.image
        assert isinstance(image, bytes)  # of a bundle
        path = folder / f"{content_hash(image)}.png"
        if not path.exists():
            privately.write(path, to_png_bytes(shrink(entry.bundle.comparison.load_image())))
        out.append((str(path), entry.caption))
    return out

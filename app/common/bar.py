"""The bar over every page: wordmark, pages, the switch between light and dark, and on the first page the tour.

Gradio's own bar has no room for the first and the last two, so it is left empty and its links stand here.
"""

from __future__ import annotations

import gradio as gr
from markupsafe import Markup

from app.common.html import html

# A lens over two responses on a balance. Its own colours, readable on both grounds; the ring takes the text's.
MARK = """<svg class="mark" viewBox="0 0 24 24" width="24" height="24" aria-hidden="true" focusable="false">
<circle cx="10.5" cy="10.5" r="8.25" fill="none" stroke="currentColor" stroke-width="2"/>
<path d="M16.6 16.6 21.5 21.5" stroke="currentColor" stroke-width="2.6" stroke-linecap="round"/>
<rect x="6.2" y="6.4" width="3.4" height="8.2" rx="1" fill="var(--mark-a)"/><rect x="11.4" y="10.2" width="3.4" height="4.4" rx="1" fill="var(--mark-b)"/></svg>"""
TOUR = (
    ("asked", "What was asked", "A picture and a question, and responses to compare."),
    ("won", "Who won", "Which response the model prefers, and how sure it is."),
    ("why", "Why", "Which dimensions, words and parts of the picture made the difference."),
    ("change", "Change it", "Change a word or the picture and judge again: when does the verdict turn?"),
)  # (where: see assets/tour.js, what, in a sentence)


class Bar:
    """`build` on each page, `finish` once all pages are there."""

    def __init__(self) -> None:
        self.built: list[tuple[gr.HTML, str, bool]] = []

    def build(self, path: str = "", tour: bool = False) -> None:
        """path: of the page, "" of the first. tour: whether it is the page that the tour shows."""
        gr.Navbar(main_page_name=False)  # with the pages below it stays empty, and the style sheet hides it
        self.built.append((gr.HTML(elem_id="bar"), path, tour))
        if tour:
            gr.HTML(tour_html(), elem_id="tour")

    def finish(self, demo: gr.Blocks, first: str) -> None:
        """first: the name of the first page."""
        pages = [(path, name if path else first) for path, name, _ in demo.pages]
        demo.pages[:] = [(path, name, False) for path, name, _ in demo.pages]
        for part, here, tour in self.built:
            part.value = bar_html(pages, here, tour)


def bar_html(pages: list[tuple[str, str]], here: str, tour: bool) -> Markup:
    """pages: (path, name). here: the path of this one."""
    return html(
        """
        <div class="bar"><a class="wordmark" href="./">{{ mark }}<span>Rewardscope</span></a>
        <nav aria-label="Pages">{% for path, name in pages %}<a href="./{{ path }}"{% if path == here %} aria-current="page"{% endif %}>{{ name }}</a>{% endfor %}</nav>
        <span class="bar-end">{% if tour %}<button type="button" data-tour-start>Tour</button>{% endif %}
        <button type="button" data-theme-switch aria-label="Dark colours" aria-pressed="false" title="Light or dark">
        <svg viewBox="0 0 24 24" width="20" height="20" aria-hidden="true" focusable="false"><circle cx="12" cy="12" r="8" fill="none" stroke="currentColor" stroke-width="2"/><path d="M12 4a8 8 0 0 1 0 16z" fill="currentColor"/></svg></button></span></div>
        """,
        mark=Markup(MARK), pages=pages, here=here, tour=tour,
    )  # fmt: skip


def tour_html() -> Markup:
    """Hidden until assets/tour.js shows it: once to who has not seen it, and whenever the button is pressed."""
    return html(
        """
        <section class="tour" aria-label="Tour" data-tour hidden><p class="tour-text" role="status" tabindex="-1" data-tour-text>New here? A tour of 20
        seconds<span class="only-wide">: what was asked, who won, why, and how to change it</span>.</p><ol hidden>
        {%- for where, what, sentence in steps %}<li data-at="{{ where }}" data-what="{{ what }}">{{ sentence }}</li>{% endfor %}</ol>
        <span class="tour-buttons"><button type="button" data-tour-back hidden>Back</button>
        <button type="button" data-tour-next>Start</button><button type="button" data-tour-end>No, thanks</button></span></section>
        """,
        steps=TOUR,
    )

"""Sections that are closed at first. What stands in them is fetched by the browser when somebody opens them: editors, sliders
and tables are most of a page's weight, and most visitors never see them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr
from gradio.blocks import BlockContext


@contextmanager
def section(title: str, **more: Any) -> Iterator[None]:
    """A closed accordion around the components that are built inside. more: as gr.Accordion takes it."""
    with gr.Accordion(title, open=False, **more) as accordion:
        yield
    # Each by itself: inside of something invisible Gradio fetches all the same.
    hidden = [c for c in _inside(accordion) if c.visible is True]
    for component in hidden:
        component.visible = False
    show = f"() => Array({len(hidden)}).fill({{__type__: 'update', visible: true}})"
    accordion.expand(None, None, hidden, js=show, show_progress="hidden", api_visibility="private")


def _inside(block: Any) -> Iterator[Any]:
    for child in block.children:
        if isinstance(child, BlockContext):
            yield from _inside(child)
        else:
            yield child

"""How every page looks, and what lets it be used without a mouse or without eyes: theme, style sheet, scripts."""

from __future__ import annotations

from pathlib import Path

import gradio as gr

ASSETS = Path(__file__).parents[2] / "assets"
CSS = ASSETS / "style.css"
SCRIPTS = ("keys.js", "accessible.js", "address.js", "cards.js", "linked.js", "brush.js")
FONTS = [
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "sans-serif",
]  # nothing is fetched from elsewhere

# Soft, with every pair of colours that falls short of WCAG 2.2 AA (4.5 for text, 3 for edges) moved as far as needed.
THEME = gr.themes.Soft(
    primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"]
).set(
    background_fill_primary="*neutral_50",  # Soft's own: a second set() falls back to white
    body_text_color_subdued="*neutral_600",
    body_text_color_subdued_dark="#a1afc2",
    block_label_text_color="*primary_700",
    block_title_text_color="*primary_700",
    input_border_color="#8492a6",
    input_border_color_dark="*neutral_500",
    input_border_width="1px",
    input_placeholder_color="*neutral_500",
    input_placeholder_color_dark="#a1afc2",
    checkbox_border_color="*neutral_500",
    checkbox_border_color_dark="*neutral_400",
    checkbox_label_background_fill_selected="*primary_600",
    checkbox_label_border_width="0px",
    button_primary_background_fill="*primary_600",
    button_primary_background_fill_hover="*primary_700",
    button_primary_background_fill_hover_dark="*primary_700",
    button_secondary_background_fill_hover_dark="*primary_700",
    link_text_color_dark="*secondary_300",
    link_text_color_active_dark="*secondary_300",
    link_text_color_visited="*secondary_700",
    link_text_color_visited_dark="*secondary_300",
)


def head() -> str:
    """The scripts inside the page itself: they come with it whatever address a proxy gives it."""
    return "".join(f"<script>{(ASSETS / name).read_text()}</script>" for name in SCRIPTS)

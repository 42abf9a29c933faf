"""The switch for single-key shortcuts (assets/keys.js): such keys must be possible to turn off (WCAG 2.1.4)."""

from __future__ import annotations

import gradio as gr


def keys_switch(demo: gr.Blocks) -> gr.Checkbox:
    """A checkbox where it is called, wired: one a page. The browser remembers it, for all pages."""
    box = gr.Checkbox(
        True, label="Keyboard shortcuts", container=False, min_width=180, scale=0, elem_id="keys-on"
    )
    box.input(None, [box], None, js="on => { window.rewardscopeKeys.turn(on); }")
    demo.load(None, None, [box], js="() => window.rewardscopeKeys.on()")
    return box

"""Who waits for the model is told how long; whoever finds the queue full is told so in a sentence."""

import threading

import gradio as gr
import pytest
from playwright.sync_api import expect

from app.common.lane import LANE

pytestmark = pytest.mark.browser


def test_a_place_in_the_queue_and_a_sentence_when_it_is_full(browser):
    gate = threading.Event()
    with gr.Blocks() as demo:
        button, said = gr.Button("go", elem_id="go"), gr.Textbox(elem_id="said")
        button.click(lambda: gate.wait(60), None, said, **LANE)
    demo.queue(max_size=1)
    _, url, _ = demo.launch(prevent_thread_lock=True, quiet=True)
    pages = [browser.new_page() for _ in range(3)]
    try:
        for page, shows in zip(pages, ("processing", "queue: 1/1", "Error"), strict=True):
            page.goto(url)
            page.locator("#go").click()
            expect(page.locator("#said")).to_contain_text(shows, timeout=20_000)
        expect(pages[2].locator(".toast-body")).to_contain_text("currently busy. Please try again")
    finally:
        gate.set()
        for page in pages:
            page.close()
        demo.close()

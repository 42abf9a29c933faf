"""What is not needed is not loaded: torch at the start, components in closed sections, style sheets one by one."""

import gzip
import subprocess
import sys
import threading
import time
from dataclasses import replace
from pathlib import Path

import gradio as gr
import pytest

from app.common import late, styles
from app.common.late import LateJudge, loaded
from app.common.sections import section
from core.explain import has_dimensions, methods_for, targets_for
from core.judges.embedded import embedded_card
from core.model.files import CheckpointError
from core.records import RecordError

ROOT = Path(__file__).parents[3]


def test_the_pages_are_built_without_torch_and_what_is_slow_to_load():
    code = """
import sys
from pathlib import Path
from app.common.late import LateJudge
from app.pages import Desk, build
from core.labels.store import LabelStore
build(LateJudge(lambda: 1/0), Path("runs"), Desk(LabelStore("sqlite://")))
print(*sorted({"torch", "transformers", "scipy", "statsmodels", "plotly", "krippendorff", "datasets", "captum", "matplotlib"} & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


def test_the_embedded_judge_is_known_before_it_is_loaded(embedded_judge):
    assert replace(embedded_card(), device=embedded_judge.card.device) == embedded_judge.card
    waiting = LateJudge(lambda: embedded_judge)
    assert has_dimensions(waiting) and methods_for(waiting).keys() == methods_for(embedded_judge).keys()
    waiting.start()
    assert loaded(waiting) is embedded_judge and loaded(embedded_judge) is embedded_judge


def test_whoever_asks_too_early_waits_and_a_failure_is_said(embedded_judge, comparison_of_a_gallery):
    gate = threading.Event()

    def slow():
        gate.wait(20)
        return embedded_judge

    waiting = LateJudge(slow)
    waiting.start()
    found = []
    asked = threading.Thread(target=lambda: found.append(waiting.judge(comparison_of_a_gallery)))
    asked.start()
    time.sleep(0.1)
    assert not found
    gate.set()
    asked.join(60)
    assert found[0].rewards == embedded_judge.judge(comparison_of_a_gallery).rewards
    assert targets_for(waiting, found[0]) == targets_for(embedded_judge, found[0])

    def broken():
        raise CheckpointError("the weights are torn")

    torn = LateJudge(broken)
    torn.start()
    with pytest.raises(RecordError, match="could not be loaded.*torn"):
        torn.loaded()


@pytest.fixture
def comparison_of_a_gallery():
    from app.inspect.gallery import gallery

    return gallery()[0].comparison


def test_weights_that_are_not_there_are_told_before_anything_is_served(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_text("version https://git-lfs.github.com/spec/v1")
    with pytest.raises(CheckpointError, match="git lfs pull"):
        embedded_card(tmp_path)
    assert late.NEEDED


def test_components_of_a_closed_section_are_shown_when_it_opens():
    with gr.Blocks() as demo, section("More"):
        box = gr.Textbox()
        with gr.Row():
            button, gone = gr.Button(), gr.Button(visible=False)
    assert (box.visible, button.visible, gone.visible) == (False, False, False)
    (event,) = demo.fns.values()
    assert event.fn is None and [b for b in event.outputs] == [box, button] and "visible: true" in event.js


def test_style_sheets_are_joined_and_each_still_named():
    page = b'<html><head><link rel="stylesheet" href="./assets/index-X.css"></head><body></body></html>'
    made = styles.with_links(page).decode()
    (name,) = {part.split('"')[0] for part in made.split('href="./')[1:] if "joined-" in part.split('"')[0]}
    content = styles.file("/" + name)
    sheets = [f for f in styles.FOLDER.glob("*.css") if f.stat().st_size <= styles.LARGEST]
    assert len(sheets) > 50 and made.count(" disabled ") == len(sheets)
    assert all(f.read_bytes() in content for f in sheets) and len(gzip.compress(content)) < 60_000
    assert styles.file("/assets/other.css") is None and styles.file("/x/" + name.rpartition("/")[2]) is None
    assert styles.with_links(b"no head") == b"no head"

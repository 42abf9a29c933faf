"""Puts the pages together, around a loaded judge or around finished runs alone."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from app.explanations_page import build_explanations
from app.failures_page import build_failures
from app.leaderboard_page import build_leaderboard
from app.library import Library
from app.replay_page import build_replay

if TYPE_CHECKING:
    from core.judges.vlmdr import VLMDRJudge

TITLE = "Rewardscope"


def _blocks() -> gr.Blocks:
    return gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 86400))


def _duplicate() -> None:
    """On a Space, whoever it belongs to: a copy of one's own."""
    if os.environ.get("SPACE_ID"):
        gr.DuplicateButton("Duplicate this Space", elem_id="duplicate")


def build(judge: VLMDRJudge, runs: Path = Path("runs")) -> gr.Blocks:
    """The whole interface around one loaded judge. runs: where runs are made and looked for, beside the bundled ones."""
    from app import lane  # these import torch, which a replay does without
    from app.api import publish
    from app.gallery_results import stored_for
    from app.inspect_page import build_inspect
    from app.looks import Looks
    from app.run_maker import RunMaker

    lane.register(judge)
    looks = Looks(judge, stored_for(judge))
    library = Library([runs])
    with _blocks() as demo:
        gr.Navbar(main_page_name="Inspect")
        _duplicate()
        build_inspect(looks, demo, library)
        publish(looks)
    with demo.route("Leaderboard", "/leaderboard"):
        gr.Navbar(main_page_name="Inspect")
        build_leaderboard(library, demo, RunMaker(judge, runs))
    with demo.route("Failures", "/failures"):
        gr.Navbar(main_page_name="Inspect")
        build_failures(library, demo)
    with demo.route("Explanations", "/explanations"):
        gr.Navbar(main_page_name="Inspect")
        build_explanations(demo)
    return demo


def build_without_model(folder: Path) -> gr.Blocks:
    """A replay: the pages over the finished runs below `folder` and the bundled ones."""
    library = Library([folder])
    with _blocks() as demo:
        gr.Navbar(main_page_name="Runs")
        _duplicate()
        build_replay(library, demo)
    with demo.route("Leaderboard", "/leaderboard"):
        gr.Navbar(main_page_name="Runs")
        build_leaderboard(library, demo)
    with demo.route("Failures", "/failures"):
        gr.Navbar(main_page_name="Runs")
        build_failures(library, demo, inspect=False)
    with demo.route("Explanations", "/explanations"):
        gr.Navbar(main_page_name="Runs")
        build_explanations(demo)
    return demo

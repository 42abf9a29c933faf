"""Puts the pages together, around a loaded judge or around finished runs alone."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import gradio as gr

from app.audit.page import build_audit
from app.common.bar import Bar
from app.common.identity import Identity
from app.common.recovery import Recovery
from app.explanations.page import build_explanations
from app.failures.page import build_failures
from app.label.page import LabelPage
from app.leaderboard.page import build_leaderboard
from app.queues.page import QueuesPage
from app.recorded.page import RecordedPage
from app.replay.page import build_replay
from core.labels.store import LabelStore
from core.runs.library import Library

if TYPE_CHECKING:
    from core.judges.protocols import Explainable
    from core.records.gallery import Gallery

TITLE = "Rewardscope"
RECORDED = (
    Path(__file__).parents[1] / "assets" / "recorded"
)  # galleries that a Space brings (app.space --recorded)


def _blocks() -> gr.Blocks:
    return gr.Blocks(title=TITLE, analytics_enabled=False, delete_cache=(3600, 86400))


@dataclass(frozen=True)
class Desk:
    """What the label pages work with. sign_in: see app.common.identity. storage: where labels live, if a person must know."""

    store: LabelStore
    sign_in: str = "name"
    storage: str = ""


def _duplicate() -> None:
    """On a Space, whoever it belongs to: a copy of one's own."""
    if os.environ.get("SPACE_ID"):
        gr.DuplicateButton("Duplicate this Space", elem_id="duplicate")


def build(judge: Explainable, runs: Path, desk: Desk, recorded: Sequence[Gallery] = ()) -> gr.Blocks:
    """The whole interface around one loaded judge. runs: where runs are made and looked for, beside the bundled ones."""
    from app.api import publish
    from app.common import lane
    from app.inspect.first_looks import Looks
    from app.inspect.gallery_results import stored_for
    from app.inspect.page import build_inspect
    from app.leaderboard.run_maker import RunMaker

    lane.register(judge)
    looks = Looks(judge, stored_for(judge))
    library = Library([runs])
    bar = Bar()
    with _blocks() as demo:
        bar.build(tour=True)
        _duplicate()
        build_inspect(looks, demo, library)
        publish(looks)
    _recorded_page(demo, recorded, bar)
    with demo.route("Leaderboard", "/leaderboard"):
        bar.build("leaderboard")
        build_leaderboard(library, demo, RunMaker(judge, runs))
    with demo.route("Audit", "/audit"):
        bar.build("audit")
        build_audit(demo)
    with demo.route("Failures", "/failures"):
        bar.build("failures")
        build_failures(library, demo)
    with demo.route("Explanations", "/explanations"):
        bar.build("explanations")
        build_explanations(demo)
    _label_pages(demo, library, desk, runs, bar)
    bar.finish(demo, "Inspect")
    return demo


def _recorded_page(demo: gr.Blocks, recorded: Sequence[Gallery], bar: Bar) -> None:
    if recorded:
        with demo.route("Recorded", "/recorded"):
            bar.build("recorded")
            RecordedPage(recorded).build(demo)


def _label_pages(demo: gr.Blocks, library: Library, desk: Desk, runs: Path, bar: Bar) -> None:
    recovery = Recovery(desk.store)  # one for both pages: they count together
    with demo.route("Label", "/label"):
        bar.build("label")
        LabelPage(desk.store, Identity(desk.store, desk.sign_in, recovery)).build(demo, desk.storage)
    with demo.route("Queues", "/queues"):
        bar.build("queues")
        QueuesPage(desk.store, Identity(desk.store, desk.sign_in, recovery), library, runs).build(
            demo, desk.storage
        )


def build_without_model(folder: Path, desk: Desk, recorded: Sequence[Gallery] = ()) -> gr.Blocks:
    """A replay: the pages over the finished runs below `folder` and the bundled ones."""
    library = Library([folder])
    bar = Bar()
    with _blocks() as demo:
        bar.build()
        _duplicate()
        build_replay(library, demo)
    _recorded_page(demo, recorded, bar)
    with demo.route("Leaderboard", "/leaderboard"):
        bar.build("leaderboard")
        build_leaderboard(library, demo)
    with demo.route("Audit", "/audit"):
        bar.build("audit")
        build_audit(demo)
    with demo.route("Failures", "/failures"):
        bar.build("failures")
        build_failures(library, demo, inspect=False)
    with demo.route("Explanations", "/explanations"):
        bar.build("explanations")
        build_explanations(demo)
    _label_pages(demo, library, desk, folder, bar)
    bar.finish(demo, "Runs")
    return demo

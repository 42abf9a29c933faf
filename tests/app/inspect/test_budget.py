"""The seconds of a refinement reach it from the page, and only a method that can stop at any time has them."""

from __future__ import annotations

import threading
from types import SimpleNamespace

import pytest

from app.common import lane
from app.inspect import page as inspect_page
from app.inspect.page import MOST_SECONDS, SECONDS, InspectPage
from core.records import Comparison
from core.runs.library import Library
from tests.plain import noise


@pytest.fixture
def page(random_judge, tmp_path):
    return InspectPage(SimpleNamespace(judge=random_judge), Library([tmp_path]))


def test_only_a_method_that_can_stop_has_a_number_of_seconds(page):
    assert page.on_method("refine").visible and not page.on_method("ablation").visible


@pytest.mark.parametrize(
    ("method", "given", "seconds"),
    [
        ("refine", 7, 7),
        ("refine", None, SECONDS),
        ("refine", 1e9, MOST_SECONDS),
        ("refine", -3, 1),
        ("ablation", 7, None),
    ],
)
def test_the_seconds_are_those_of_the_box(page, random_judge, monkeypatch, method, given, seconds):
    comparison = Comparison("c", noise(0), "How many stars?", ("3", "2"))
    view = SimpleNamespace(comparison=comparison, judgement=None, pair=(0, 1))
    asked = {}

    def run(task, judge, comparison, judgement, request, watch, seconds):
        asked.update(request=request, seconds=seconds, cancelled=watch["cancelled"]())
        raise inspect_page.Cancelled

    monkeypatch.setattr(lane, "run_on_model", run)
    request = SimpleNamespace(session_hash="s")
    *_, said = page.on_exact(view, "margin", method, "word", True, given, request, lambda *_, **__: None)
    assert "Stopped" in said and isinstance(page.cancel_flags["s"], threading.Event)
    assert asked["request"].seconds == seconds and not asked["cancelled"]
    assert asked["seconds"] == lane.SECONDS + int(seconds or 0)

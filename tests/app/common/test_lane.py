"""The GPU boundary: one place, and everything the app does crosses it as ZeroGPU carries things."""

import importlib
import re
import sys
from pathlib import Path

import gradio as gr
import pytest
from PIL import Image

from app.api import publish
from app.common import lane, tasks
from app.inspect import views
from app.inspect.edits import Edits
from app.inspect.first_looks import Looks
from app.inspect.gallery import by_id
from app.inspect.page import InspectPage
from app.leaderboard.run_maker import RunMaker
from core.explain import Cancelled, explain, plan
from core.explain.counterfactual import change_masked, effects
from core.records import RecordError
from core.records.bundle import Bundle, read, write
from core.runs.library import Library
from tests.app.zero import stand_in

ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def zero():
    """The lane as it is where `spaces` forks."""
    found = sys.modules.get("spaces")
    sys.modules["spaces"] = module = stand_in()
    importlib.reload(lane)
    yield module
    del sys.modules["spaces"]
    if found:
        sys.modules["spaces"] = found
    importlib.reload(lane)


@pytest.fixture(scope="module")
def judge(zero, embedded_judge):
    lane.register(embedded_judge)
    return embedded_judge


@pytest.fixture(scope="module")
def comparison():
    c = by_id("colour").comparison
    return views.comparison_of(c.image, c.prompt, list(c.responses))


@pytest.fixture(scope="module")
def view(judge, comparison):
    return views.judge_view(Looks(judge), comparison)


def test_the_gpu_is_asked_for_in_one_place():
    sources = [ROOT / "app.py", *(ROOT / "app").rglob("*.py"), *(ROOT / "core").rglob("*.py")]
    found = [p.name for p in sources for _ in re.findall(r"spaces\.GPU|import GPU", p.read_text())]
    assert found == ["lane.py"]


def test_elsewhere_it_is_a_plain_call_with_its_callbacks(random_judge):
    assert not lane.forks()
    told = []

    def task(judge, x, on_step):  # a closure, and not even registered: nothing leaves this process
        on_step(x)
        told.append(judge)
        return x + 1

    assert lane.run_on_model(task, random_judge, 1, watch={"on_step": told.append}) == 2
    assert told == [1, random_judge]


def test_a_flag_cancels_elsewhere(embedded_judge, comparison):
    judgement = embedded_judge.judge(comparison)
    with pytest.raises(Cancelled):
        lane.run_on_model(
            explain,
            embedded_judge,
            comparison,
            judgement,
            watch={"cancelled": lambda: True},
            method="ablation",
        )


def test_judging_in_a_fork_gives_the_same_numbers(zero, judge, comparison, view):
    assert lane.forks() and zero.durations
    here = tasks.first_look(judge, comparison, view.other)
    assert view.judgement.rewards == pytest.approx(here.judgement.rewards, abs=1e-5)
    assert sum(view.explanation.token_values, ()) == pytest.approx(
        sum(here.explanation.token_values, ()), abs=1e-4
    )
    assert view.image_ablation.other == pytest.approx(here.image_ablation.other, abs=1e-4)
    assert view.judgement.ood.score == pytest.approx(here.judgement.ood.score, abs=1e-4)
    assert view.plan == here.plan


def test_a_small_model_asks_for_little_time(zero, judge, view):
    assert set(zero.durations) == {lane.SECONDS}
    lane.run_on_model(tasks.first_look, judge, view.comparison, view.other, seconds=7)
    assert zero.durations[-1] == 7


def test_explaining_and_planning_in_a_fork(judge, view):
    c, j = view.comparison, view.judgement
    found = lane.run_on_model(
        explain, judge, c, j, pair=view.pair, method="ablation", watch={"cancelled": lambda: True}
    )
    assert found.method_key == "ablation" and found.faithfulness  # the flag stayed here
    assert lane.run_on_model(plan, judge, c, j, pair=view.pair, method="integrated_gradients").points == 32


def test_edits_and_drawings_in_a_fork(judge, view):
    page = Edits(judge)
    strip, words, regions = page.on_run(view)
    assert strip.count("<li") >= 6 and "Would" in words and "<td" in regions
    mask = Image.new("L", view.comparison.load_image().size, 255)
    edit = change_masked(view.comparison, mask, "erase", "all")
    assert lane.run_on_model(effects, judge, view.judgement, *view.pair, [edit])[0].label == "all erased"


def test_a_bundle_is_verified_in_a_fork(judge, view):
    made = Bundle(view.comparison, view.judgement, view.explanation, None, judge.card)
    found, verdict = views.checked_view(judge, read(write(made)))
    assert verdict.holds and found.image_ablation.given == pytest.approx(view.image_ablation.given, abs=1e-4)


def test_the_page_works_on_a_fork(judge, view, tmp_path):
    page = InspectPage(Looks(judge), Library([tmp_path]))
    with gr.Blocks() as demo:
        page.build(demo)
    c = view.comparison
    *nothing, wanted = page.on_asked(None, None, None, c.image, c.prompt, *c.responses)
    first = page.on_wanted(None, wanted)[0]
    assert first.judgement.rewards == pytest.approx(view.judgement.rewards, abs=1e-4)
    again = page.on_asked(None, None, None, c.image, c.prompt, *c.responses)[
        0
    ]  # known by now, in this process
    assert again.judgement == first.judgement and not again.fresh
    for target in [key for _, key in views.targets_of(first, judge)][:3]:
        assert page.on_target(first, target, "ablation", "word")[0].explanation.target_key == target
    other, *_ = page.on_pair(first, "01")
    assert other.pair == (0, 1)
    assert "evaluations" in page.on_choice(first, "margin", "ablation", "word")  # known with the first look
    assert page.on_choice(first, "margin", "integrated_gradients", "word") == ""  # would cost a GPU call


def test_the_api_works_on_a_fork(judge, comparison):
    with gr.Blocks() as demo:
        publish(Looks(judge))
    api = {f.api_name: f.fn for f in demo.fns.values()}
    asked = ("example:colour", comparison.prompt, list(comparison.responses))
    scored = api["score"](*asked)
    assert sum(scored["contributions"].values()) == pytest.approx(scored["margin"], abs=1e-5)
    found = api["explain"](*asked, method="decomposition")
    assert list(found["pair"]) == scored["pair"] and found["faithfulness"]
    with pytest.raises(gr.Error, match="no target 'x'"):
        api["explain"](*asked, target="x")


def test_a_run_is_made_in_a_fork(judge, tmp_path):
    maker = RunMaker(judge, tmp_path)
    for name, condition in (("vl-mdr", "blank image"), ("longer", "as given")):
        assert "8 rows judged" in maker.on_make(
            name, condition, "scene", None, 8, progress=lambda *a, **k: None
        )
    assert len(list(tmp_path.rglob("judgements.parquet"))) == 2


def test_words_for_people_cross_the_boundary(judge, view):
    with pytest.raises(RecordError, match="no method 'x'"):
        lane.run_on_model(explain, judge, view.comparison, view.judgement, method="x")
    with pytest.raises(gr.Error, match="AttributeError"):  # a fault of the program: spaces says only its name
        lane.run_on_model(explain, judge, None, view.judgement)


def test_what_cannot_be_pickled_is_noticed_here(judge):
    with pytest.raises(Exception, match="pickle"):
        lane.run_on_model(lambda judge: 1, judge)

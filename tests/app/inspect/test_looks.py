"""First looks: computed once, never poisoned, bounded; and those of the gallery stored with the app."""

import threading
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from app.common import lane
from app.common.shared import Shared
from app.common.tasks import first_look
from app.inspect import first_looks as looks
from app.inspect import gallery_results, views
from app.inspect.first_looks import Looks
from app.inspect.gallery import gallery
from app.inspect.gallery_results import stored_for

# -- shared work ---------------------------------------------------------------------------------------------


def test_those_who_ask_at_once_share_one_computation():
    shared, calls, together = Shared(4), [], threading.Barrier(8)

    def compute():
        calls.append(1)
        time.sleep(0.2)
        return object()

    def ask():
        together.wait()
        return shared.get("k", compute)

    with ThreadPoolExecutor(8) as pool:
        got = {f.result() for f in [pool.submit(ask) for _ in range(8)]}
    assert len(calls) == 1 and len(got) == 1 and shared.known("k") in got


def test_different_questions_do_not_wait_for_each_other():
    shared, gate = Shared(4), threading.Event()
    with ThreadPoolExecutor(1) as pool:
        slow = pool.submit(shared.get, "slow", gate.wait)
        assert shared.get("quick", lambda: 1) == 1 and not slow.done()
        gate.set()
        assert slow.result() is True


def test_a_failure_is_not_kept_and_the_next_one_computes_himself():
    shared, gate, calls = Shared(4), threading.Event(), []

    def compute():
        calls.append(1)
        if len(calls) == 1:
            gate.wait(5)
            raise ValueError("cancelled")
        return "good"

    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(shared.get, "k", compute)
        while not calls:
            time.sleep(0.01)
        second = pool.submit(shared.get, "k", compute)
        time.sleep(0.05)
        assert not second.done()
        gate.set()
        with pytest.raises(ValueError, match="cancelled"):
            first.result()
        assert second.result() == "good"
    assert len(calls) == 2


def test_only_the_newest_are_kept():
    shared = Shared(3)
    for i in range(4):
        shared.get(i, lambda i=i: i + 1)
    assert shared.known(0) is None and shared.known(1) == 2
    shared.get(9, lambda: 9)  # 1 was asked for last, so 2 goes
    assert shared.known(2) is None and shared.known(1) == 2


# -- first looks ---------------------------------------------------------------------------------------------


def comparison_of(example):
    c = example.comparison
    return views.comparison_of(c.image, c.prompt, list(c.responses))


@pytest.fixture
def counted(monkeypatch):
    """Calls that reached the model."""
    calls, real = [], lane.run_on_model

    def run(task, *args, **kwargs):
        calls.append(task)
        return real(task, *args, **kwargs)

    monkeypatch.setattr(looks.lane, "run_on_model", run)
    return calls


def test_the_same_comparison_is_judged_once(embedded_judge, counted):
    found = Looks(embedded_judge)
    c = comparison_of(gallery()[0])
    assert views.known_view(found, c) is None
    first, second = (views.judge_view(found, c) for _ in range(2))
    assert counted == [first_look] and first.fresh and not second.fresh
    assert second.judgement == first.judgement and second.explanation == first.explanation
    assert "cached" in views.verdict_html(second) and "kept" not in views.verdict_html(first)
    other = views.comparison_of(c.image, c.prompt, [*c.responses[:1], "Something else."])
    assert views.judge_view(found, other).fresh and len(counted) == 2


def test_the_gallery_opens_without_the_model(embedded_judge, counted):
    found = Looks(embedded_judge, stored_for(embedded_judge))
    for example in gallery():
        view = views.known_view(found, comparison_of(example))
        assert view, f"no stored result for {example.id}: run `python -m app.gallery_results`"
        assert view.judgement.comparison_id == view.explanation.comparison_id == view.comparison.id
        assert view.judgement.ood and view.image_ablation and view.explanation.faithfulness and view.plan
        assert view.parts and view.ablation == view.explanation
        assert views.verdict_html(view) and views.heat_html(view) and views.figures_of(view)
    assert not counted


def test_stored_numbers_are_what_the_model_gives_now(embedded_judge):
    stored = stored_for(embedded_judge)
    for example in gallery()[:2]:
        c = comparison_of(example)
        kept, now = stored[c.id], first_look(embedded_judge, c, views.another_picture(c))
        for name in ("rewards", "gate_logits", "weights"):
            assert getattr(kept.judgement, name) == pytest.approx(getattr(now.judgement, name), abs=1e-4)
        for name in ("token_values", "patch_values"):
            ours, theirs = (sum(getattr(x.explanation, name), ()) for x in (kept, now))
            assert ours == pytest.approx(theirs, abs=1e-4)
        assert kept.explanation.tokens == now.explanation.tokens and kept.plan == now.plan
        assert kept.parts.dimensions == now.parts.dimensions
        for ours, theirs in zip(
            sum(kept.parts.words, kept.parts.regions), sum(now.parts.words, now.parts.regions), strict=True
        ):
            assert ours == pytest.approx(theirs, abs=1e-4)
        assert kept.image_ablation.other == pytest.approx(now.image_ablation.other, abs=1e-4)
        assert kept.judgement.ood.score == pytest.approx(now.judgement.ood.score, abs=1e-4)


def test_other_weights_or_no_file_means_live(embedded_judge, random_judge, tmp_path, monkeypatch):
    assert len(stored_for(embedded_judge)) == len(gallery())
    assert stored_for(random_judge) == {}
    assert stored_for(embedded_judge, tmp_path / "none.zip") == {}
    (tmp_path / "torn.zip").write_bytes(gallery_results.FILE.read_bytes()[:5000])
    assert stored_for(embedded_judge, tmp_path / "torn.zip") == {}
    for key, other in (("fingerprint", "0123456789abcdef"), ("dtype", "bfloat16"), ("embedded", False)):
        monkeypatch.setattr(embedded_judge, "card", replace(embedded_judge.card, **{key: other}))
        assert stored_for(embedded_judge) == {}
        monkeypatch.undo()


def test_a_cost_of_another_device_is_not_shown(embedded_judge, monkeypatch):
    monkeypatch.setattr(embedded_judge, "card", replace(embedded_judge.card, device="cuda:0"))
    assert {look.plan for look in stored_for(embedded_judge).values()} == {None}


def test_the_file_is_small_and_holds_ordinary_bundles():
    from core.records.bundle import read

    assert gallery_results.FILE.stat().st_size < 1_000_000
    with zipfile.ZipFile(gallery_results.FILE) as archive:
        assert read(archive.read("count.zip")).judgement.ood

"""Dimensions travel with the judge: a checkpoint with 5 or 40 others is loaded, judged, explained, stored and replayed."""

import json

import numpy as np
import pytest
import torch

from app.common import figures, item_view, words
from core.benchmarks import BENCHMARKS
from core.explain import explain, targets_for
from core.judges.vlmdr import VLMDRJudge
from core.model import VLMDR
from core.records import Judgement
from core.records.what_if import apply, gate_of, smallest_flip
from core.runs import browse, leaderboard
from core.runs.browse import Filters
from core.runs.manifest import Manifest
from core.runs.runner import Job, run
from core.taxonomy import KEYS, Dimension, dimensions_from
from core.training.stages import tiny_config
from core.world.splits import held_out

FEW = ["colour", {"key": "tact", "name": "Tact <b>", "capability": "Manner", "description": "Spares feelings."},
       {"key": "depth", "name": "Depth"}, "humour_and_wit", {"key": "safety", "capability": "Manner"}]  # fmt: skip
MANY = [f"quality_{i}" for i in range(40)]


@pytest.fixture(scope="module", params=[FEW, MANY], ids=["5", "40"])
def judge(request, processor, tmp_path_factory) -> VLMDRJudge:
    """As a person would have it: from a folder."""
    folder = tmp_path_factory.mktemp("checkpoint")
    torch.manual_seed(1)
    config = tiny_config(processor)
    config.dimensions, config.num_dimensions, config.top_k = request.param, len(request.param), 4
    VLMDR(config).eval().save_pretrained(folder)
    processor.save_pretrained(folder)
    return VLMDRJudge.load(folder, device="cpu")


@pytest.fixture(scope="module")
def record():
    return next(iter(held_out(1, 5)))


def test_names_come_from_the_checkpoint(judge):
    names = [d.name for d in judge.card.dimensions]
    if len(names) == 5:
        assert names == ["Colour", "Tact <b>", "Depth", "Humour and wit", "Safety"]
        assert judge.card.dimensions[1].description == "Spares feelings."
    else:
        assert names == [f"Quality {i}" for i in range(40)]


def test_it_judges_and_its_contributions_add_up(judge, record):
    j = judge.judge(record)
    d = len(judge.card.dimensions)
    assert j.dimensions == judge.card.dimensions and len(j.selected) == 4
    assert np.shape(j.scores) == (2, d) and len(j.weights) == len(j.relevance) == d
    assert sum(j.contributions(0, 1).values()) == pytest.approx(j.margin(0, 1), abs=1e-9)
    assert apply(j, gate_of(j)).rewards == pytest.approx(j.rewards, abs=1e-5)
    flip = smallest_flip(j, 0, 1)
    assert flip is None or apply(j, flip.gate).margin(0, 1) * j.margin(0, 1) < 0
    assert Judgement.from_row(json.loads(json.dumps(j.to_row()))) == j


def test_every_target_is_one_of_its_own(judge, record):
    j = judge.judge(record)
    keys = {d.key for d in judge.card.dimensions}
    targets = [key for key, _ in targets_for(judge, j)]
    asked = {t.partition(":")[2] for t in targets if ":" in t}
    assert asked == {judge.card.dimensions[i].key for i in j.selected} <= keys
    found = explain(judge, record, j, target=targets[1], method="ablation")
    assert found.target.startswith(j.dimensions[j.selected[0]].name)
    with pytest.raises(ValueError, match="no target 'score:counting'"):
        explain(judge, record, j, target="score:counting")


def test_pages_show_its_own_names_and_run_no_markup(judge, record):
    j = judge.judge(record)
    drawn = [figures.waterfall(j, 0, 1), figures.scores(j), figures.gates(j)]
    shown = " ".join(
        [*(f.html() for f in drawn), item_view.contributions_html(j, 0, 1), words.about(judge.card)]
    )
    for d in j.selected:
        assert j.dimensions[d].name.split(" <")[0] in shown
    assert "<b>" not in item_view.contributions_html(j, 0, 1) and "Tact <b>" not in drawn[2].html()
    assert "own list" not in words.about(judge.card)


def test_a_run_of_it_is_stored_filtered_and_replayed(judge, tmp_path):
    loaded = BENCHMARKS["scene"].open().first(46)
    done = run(Job(loaded, judge, tmp_path / "r", keep_images=False))
    assert done and done.manifest.judge == judge.card == Manifest.load(tmp_path / "r").judge
    live = judge.judge(next(iter(loaded.rows())).comparison)
    replayed = browse.judgement(done, 0)
    assert replayed and replayed.dimensions == judge.card.dimensions and replayed.selected == live.selected
    key = judge.card.dimensions[live.selected[0]].key
    found = browse.page(done, Filters("everything", dimension=key), limit=100)
    rows = done.table(["row", "selected"]).to_pylist()
    assert sorted(found.rows["row"]) == [r["row"] for r in rows if live.selected[0] in r["selected"]]
    assert browse.page(done, Filters("everything", dimension="counting"), limit=100).total == 0
    assert browse.similar(done, 0) is not None
    assert leaderboard.entry(done).by_dimension


def test_lists_that_are_no_dimensions_are_refused():
    for listed, words_ in (
        ([""], "no key"),
        ([{}], "no key"),
        (["a", {"key": "a"}], "'a' stands there more than once"),
    ):
        with pytest.raises(ValueError, match=words_):
            dimensions_from(listed)
    assert [d.key for d in dimensions_from(KEYS)] == list(KEYS)
    assert dimensions_from([{"key": "x", "name": "X", "unknown": 1}]) == (Dimension("x", "X"),)

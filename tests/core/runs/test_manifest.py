"""Manifests: what is written is read; what is damaged, hostile or newer is named, and the other runs stay."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.records import Condition, JudgeCard
from core.runs.library import BUNDLED, Library
from core.runs.manifest import FORMAT, Manifest, RunError
from core.runs.run import open_run, survey
from core.taxonomy import DIMENSIONS

CARD = JudgeCard("j", "A judge", "gated", fingerprint="f", parameters=3, top_k=2, dimensions=DIMENSIONS[:4])
WHOLE = Manifest(
    "own",
    "T",
    "s.jsonl",
    "",
    CARD,
    Condition.BLANK,
    None,
    4,
    16,
    "v",
    0,
    "grey",
    {"rows": 2},
    {"format": "TRL"},
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3), max_leaves=6,
)  # fmt: skip


def test_it_comes_back_whole(tmp_path):
    for manifest in (
        WHOLE,
        replace(WHOLE, limit=7, condition=Condition.AS_GIVEN, judge=JudgeCard("r", "R", "rule")),
    ):
        manifest.save(tmp_path)
        assert Manifest.load(tmp_path) == manifest
        assert json.loads((tmp_path / "manifest.json").read_text())["format"] == FORMAT


def test_another_card_or_condition_is_another_run():
    same = WHOLE.identity_fields()
    assert replace(WHOLE, code="other", stats={}, provenance={}).identity_fields() == same
    for other in (
        replace(WHOLE, condition=Condition.SHUFFLED),
        replace(WHOLE, judge=replace(CARD, fingerprint="g")),
    ):
        assert other.identity_fields() != same


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is damaged"),
        ("{", "is damaged"),
        ("[" * 200_000, "is damaged"),
        ("[]", "not made by Rewardscope"),
        ("null", "not made by Rewardscope"),
        (json.dumps(WHOLE.to_row() | {"format": FORMAT + 1}), f"has format {FORMAT + 1}; this Rewardscope reads up to {FORMAT}"),
        (json.dumps(WHOLE.to_row() | {"format": "new"}), "not a version number"),
        (json.dumps(WHOLE.to_row() | {"judge": None}), "card is not a table"),
        (json.dumps(WHOLE.to_row() | {"judge": {"id": "x", "name": "X"}}), "has no kind"),
        (json.dumps(WHOLE.to_row() | {"judge": {"id": "x", "name": "X", "kind": "oracle"}}), "kind is 'oracle'"),
        (json.dumps(WHOLE.to_row() | {"judge": CARD.to_row() | {"dimensions": ["a", "a"]}}), "more than once"),
        (json.dumps(WHOLE.to_row() | {"judge": CARD.to_row() | {"dimensions": 5}}), "dimensions"),
        (json.dumps(WHOLE.to_row() | {"condition": "upside down"}), "names a condition that is not known"),
        (json.dumps(WHOLE.to_row() | {"benchmark": ["own"]}), "no readable 'benchmark'"),
        (json.dumps(WHOLE.to_row() | {"batch": True}), "no readable 'batch'"),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_named_and_the_other_runs_stay(tmp_path, text, words):
    shutil.copytree(BUNDLED / "scene" / "longer", tmp_path / "sound")
    shutil.copytree(BUNDLED / "scene" / "longer", tmp_path / "broken")
    (tmp_path / "broken" / "manifest.json").write_text(text)
    with pytest.raises(RunError, match=words) as refusal:
        open_run(tmp_path / "broken")
    assert str(refusal.value).startswith("broken: its manifest.json") and str(refusal.value).endswith(".")
    runs, problems = survey(tmp_path)
    assert [r.folder.name for r in runs] == ["sound"] and problems == [str(refusal.value)]
    library = Library([tmp_path])
    assert "sound" in library.runs() and library.problems() == problems


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_change_of_a_field_ends_in_anything_but_a_sentence(tmp_path_factory, data):
    folder = tmp_path_factory.mktemp("m")
    row = json.loads(json.dumps(WHOLE.to_row()))
    where = data.draw(st.sampled_from([row, row["judge"], row["stats"]]))
    name = data.draw(st.sampled_from(sorted(where)))
    if data.draw(st.booleans()):
        del where[name]
    else:
        where[name] = data.draw(JSON)
    (folder / "manifest.json").write_text(json.dumps(row))
    try:
        found = Manifest.load(folder)
    except RunError as error:
        assert str(error).endswith(".")
    else:
        assert isinstance(found.benchmark, str) and isinstance(found.judge, JudgeCard)


def test_a_run_under_way_is_no_problem(tmp_path):
    (tmp_path / "r" / "parts").mkdir(parents=True)
    WHOLE.save(tmp_path / "r")
    assert survey(tmp_path) == ([], [])


@pytest.mark.parametrize(
    "fields", [{}, {"id": ""}, {"id": "x", "name": "X", "kind": "rule", "parameters": "many"}]
)
def test_a_card_with_missing_or_wrong_fields_says_which(fields):
    with pytest.raises(ValueError, match="card (has no|says)"):
        JudgeCard.from_row(fields)


def test_bundled_runs_name_their_conditions():
    conditions = {p.name: Manifest.load(p).condition for p in Path(BUNDLED / "scene").iterdir()}
    assert (
        conditions.pop("vl-mdr-blind") is Condition.BLANK
        and conditions.pop("vl-mdr-swapped") is Condition.SHUFFLED
    )
    assert set(conditions.values()) == {Condition.AS_GIVEN}

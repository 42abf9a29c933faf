"""A run that is wrong, anywhere, is named and touches no other: not its benchmark's Leaderboard, not the front page, not a queue."""

import copy
import json
import os
import random
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.failures.page import FailuresPage
from app.failures.place import Place
from app.leaderboard.detail import findings_html
from app.leaderboard.page import LeaderboardPage
from app.replay.page import runs_html
from core.records import JudgeCard
from core.runs import browse, leaderboard
from core.runs.library import BUNDLED, Library
from core.runs.manifest import Manifest, RunError
from core.runs.run import find_runs, open_run, survey

SOUND = BUNDLED / "scene" / "longer"
GATED = BUNDLED / "scene" / "vl-mdr"
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def root(tmp_path):
    """A folder of runs with one that is sound."""
    shutil.copytree(SOUND, tmp_path / "sound")
    return tmp_path


def broken(root, name="broken", manifest=None, table=None, source=SOUND):
    """A copy of a run with its manifest or its rows changed."""
    folder = root / name
    shutil.copytree(source, folder)
    if manifest is not None:
        row = json.loads((folder / "manifest.json").read_text())
        (folder / "manifest.json").write_text(json.dumps(manifest(row)))
    if table is not None:
        pq.write_table(table(pq.read_table(folder / "judgements.parquet")), folder / "judgements.parquet")
    return folder


def drawn(root):
    """Every page over these runs, and what they show."""
    library = Library([root])
    board, failures = LeaderboardPage(library, None), FailuresPage(library, False)
    shown = [runs_html(library), *map(str, board.on_board("scene", "wrong"))]
    for name in library.runs():
        shown += map(str, board.on_detail(name, None, "wrong"))
        shown += map(str, failures._show(Place(run=name, outcome="everything", row="0"))[2:])
    return "".join(shown)


# -- manifests -----------------------------------------------------------------------------------------------

WRONG = [None, True, 0, -1, 10**40, 1.5, float("nan"), "", EVIL, "\ud800", "x" * 100_000, [], [1], ["x"], {}, {"a": [1]}]  # fmt: skip


def places(value, here=()):
    yield here
    if isinstance(value, dict | list):
        for k, v in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(v, (*here, k))


def test_a_manifest_broken_in_every_place_is_refused_or_read_and_never_more(tmp_path):
    good = json.loads((GATED / "manifest.json").read_text())
    rng, refused = random.Random(0), 0
    for place in places(good):
        for wrong in ["drop", "nest", *rng.sample(WRONG, 6)]:
            row = copy.deepcopy(good) if place else wrong
            if place:
                at = row
                for step in place[:-1]:
                    at = at[step]
                if wrong == "drop":
                    del at[place[-1]]
                else:
                    at[place[-1]] = [at[place[-1]]] if wrong == "nest" else wrong
            (tmp_path / "manifest.json").write_text(json.dumps(row))
            try:
                found = Manifest.load(tmp_path)
            except RunError as error:
                refused += 1
                assert str(error).endswith(".") and tmp_path.name in str(error)
            else:
                assert isinstance(found.judge, JudgeCard)
                json.dumps(found.to_row(), ensure_ascii=False).encode()  # a browser can be sent it
                assert EVIL not in findings_html(found.stats.get("findings", {}), "n")
    assert refused > 100


@pytest.mark.parametrize(
    "change",
    [
        lambda m: {**m, "judge": None}, lambda m: {**m, "benchmark": ["scene"]}, lambda m: [], lambda m: "x", lambda m: {},
        lambda m: {**m, "stats": {"findings": {"x": {"first": [[[EVIL], "y"]], "count": 1}}}},
        lambda m: {**m, "stats": {"findings": {"x": []}}}, lambda m: {**m, "limit": 10**30}, lambda m: {**m, "format": 99},
    ],
)  # fmt: skip
def test_one_bad_manifest_takes_nothing_from_the_others(root, change):
    broken(root, manifest=change)
    page = drawn(root)
    assert "broken" in page and "1 run cannot be shown" in page and "<img src=x" not in page
    assert [r.folder.name for r in find_runs(root)] == ["sound"]


def test_manifests_that_are_no_text_at_all(root, caplog):
    for name, data in {"deep": b"[" * 200_000, "cut": b'{"format"', "binary": bytes(range(256)), "empty": b""}.items():  # fmt: skip
        (broken(root, name) / "manifest.json").write_bytes(data)
    os.symlink("/", root / "link")
    library = Library([root])
    assert len(library.problems()) == 4 and len(library.runs()) > 1
    assert all(any(n in record.getMessage() for record in caplog.records) for n in ("deep", "cut", "binary", "empty"))  # fmt: skip
    library.runs()
    assert len([r for r in caplog.records if "deep" in r.getMessage()]) == 1  # said once


def test_row_numbers_of_findings_are_escaped_whatever_they_are():
    assert EVIL not in findings_html({"same": {"count": 1, "first": [[[EVIL], EVIL]]}}, "run")


# -- rows ----------------------------------------------------------------------------------------------------


def column(name, change):
    def of(table):
        at = table.schema.get_field_index(name)
        values = table[name].to_pylist()
        values[0] = change(values[0])
        return table.set_column(at, table.schema.field(at), pa.array(values, table.schema.field(at).type))

    return of


DAMAGED = {
    "preferred out of range": ("preferred", lambda v: 9),
    "preferred below": ("preferred", lambda v: -3),
    "one reward": ("rewards", lambda v: v[:1]),
    "reward is no number": ("rewards", lambda v: [float("nan"), 1.0]),
    "selected out of range": ("selected", lambda v: [120]),
    "scores cut": ("scores", lambda v: v[:-1]),
    "weights cut": ("weights", lambda v: v[:-1]),
    "no prompt": ("prompt", lambda v: None),
    "no responses": ("responses", lambda v: None),
    "a response missing": ("responses", lambda v: [None, *v[1:]]),
    "picture is none": ("image", lambda v: b"not a picture"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_row_is_named_and_the_rest_goes_on(root, name):
    folder = broken(root, table=column(*DAMAGED[name]), source=GATED)
    run, library = open_run(folder), Library([root])
    page = FailuresPage(library, False)
    summary, _, wall, item = page._show(Place(run="broken", outcome="everything", row="0"))[2:6]
    assert "Row 0 cannot be shown" in item
    assert wall.count("<li>") > 1 and "records" in summary
    assert "item-text" in page._show(Place(run="broken", outcome="everything", row="5"))[5]
    if name != "picture is none":
        with pytest.raises(RunError, match="Row 0"):
            browse.record(run, 0)
    assert "longer" in drawn(root)


@pytest.mark.parametrize("where", [0.2, 0.5, 0.8])
def test_a_file_damaged_in_its_pages_is_named_on_every_page(root, where):
    folder = broken(root, source=GATED)
    data = bytearray((folder / "judgements.parquet").read_bytes())
    for at in range(int(len(data) * where), int(len(data) * where) + 40_000):
        data[at % (len(data) - 60_000)] ^= 0xA5
    (folder / "judgements.parquet").write_bytes(bytes(data))
    page = drawn(root)
    assert "longer" in page and "Traceback" not in page


@pytest.mark.parametrize("data", [b"", b"PAR1", b"x" * 1000, b"PAR1" + b"\0" * 100 + b"PAR1"])
def test_a_file_that_is_no_parquet_is_named(root, data):
    (broken(root) / "judgements.parquet").write_bytes(data)
    runs, problems = survey(root)
    assert len(runs) == 1 and len(problems) == 1 and "broken" in problems[0]
    assert "broken" in drawn(root)


def test_wrong_columns_are_named(root):
    broken(root, "lacks", table=lambda t: t.drop_columns(["margin"]))
    broken(root, "text", table=lambda t: t.set_column(0, "row", pa.array([str(v) for v in range(len(t))])))
    assert len(survey(root)[1]) == 2


def test_an_outcome_that_is_none_spoils_its_run_alone(root):
    broken(root, table=column("outcome", lambda v: "splendid"))
    good, problems = leaderboard.sound(Library([root]).of_benchmark("scene"))
    assert any(r.folder.name == "sound" for r in good.values())
    assert all("broken" in p for p in problems)
    assert "longer" in drawn(root)


def test_every_kind_of_damage_in_random_cells(root):
    """Values of the right type that cannot be, all over a run: every page still stands."""
    rng = np.random.default_rng(0)
    table = pq.read_table(GATED / "judgements.parquet").slice(0, 60)
    for trial in range(6):
        changed = table
        for name in rng.choice(table.schema.names, 3, replace=False):
            field, values = table.schema.field(name), table[name].to_pylist()
            at = int(rng.integers(len(values)))
            values[at] = None if pa.types.is_binary(field.type) else [values[at], None][int(rng.integers(2))]
            if isinstance(values[at], list):
                values[at] = values[at][::2] * int(rng.integers(0, 3))
            elif isinstance(values[at], int):
                values[at] = int(rng.integers(-100, 100))
            changed = changed.set_column(
                table.schema.get_field_index(name), field, pa.array(values, field.type)
            )
        folder = broken(root, f"trial{trial}", source=GATED)
        pq.write_table(changed, folder / "judgements.parquet")
    assert "longer" in drawn(root)
    library, page = Library([root]), None
    page = FailuresPage(library, False)
    for trial in range(6):
        for row in range(0, 60, 3):
            page._show(Place(run=f"trial{trial}", outcome="everything", row=str(row)))


def test_unlucky_names_and_paths(root):
    folder = broken(root, EVIL.replace("/", ""))
    assert "<img src=x" not in drawn(root)
    assert isinstance(folder, Path)

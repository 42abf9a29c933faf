"""Failures of a judge that writes: which response wins in both orders, on the wall, as a filter and as a badge."""

from collections import Counter
from dataclasses import replace

import pytest
from server import serving, text_of

from app.failures.filters import FilterError
from app.failures.page import FailuresPage
from app.failures.place import Place
from core.benchmarks import BENCHMARKS
from core.judges.opening import open_judge
from core.judges.options import Options
from core.runs import browse
from core.runs.browse import Filters
from core.runs.library import BUNDLED, Library
from core.runs.run import open_run
from core.runs.runner import Job, run
from core.runs.schema import SCHEMA, judgement_of

pytest.importorskip("openai")
ROWS = 24


def biased(handler, body, number):
    """By the question: the longer response in both orders, the one shown first, or nothing."""
    text = text_of(body)
    first, second = (text.split(f"Response {n}:\n")[1].split("\n\n")[0] for n in (1, 2))
    turn = sum(map(ord, text.split("Question:\n")[1].split("\n")[0])) % 3
    if turn == 2:
        return handler.say("Both are fine.")
    return handler.say(f"<answer>{1 if turn or len(first) >= len(second) else 2}</answer>")


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")
    with serving(biased) as server:
        judge = open_judge(server.address, Options(workers=16))
        return run(
            Job(BENCHMARKS["scene"].open().first(ROWS), judge, folder / "biased", batch=8, keep_images=False)
        )


def plain(stored):
    """From the votes as they were written, without the code under test."""
    by_order = {tuple(v["order"]): v["choice"] for v in stored["votes"] or ()}
    first, second = by_order[0, 1], by_order[1, 0]
    return None if first is None or second is None else first == second


def test_the_column_is_what_the_votes_say(made):
    rows = made.table(SCHEMA.names).to_pylist()
    two = [r for r in rows if len(r["responses"]) == 2]
    assert [r["order_consistent"] for r in two] == [plain(r) for r in two]
    assert len(Counter(r["order_consistent"] for r in two)) == 3


def test_the_filter_finds_them_and_the_record_names_the_winner(made):
    rows = made.table(["order_consistent"])["order_consistent"].to_pylist()
    everything = Filters(outcome="everything", sort="order of the data")
    for key, wanted in (("same", True), ("depends", False)):
        found = browse.page(made, replace(everything, orders=key))
        assert found.total == rows.count(wanted) > 0
    page = FailuresPage(Library([made.folder.parent]), inspect=False)
    place = Place(run="biased", outcome="everything", sort="order of the data")
    _, address, _, _, wall, item, _ = page._shown(replace(place, orders="depends"))
    assert "orders=depends" in address
    assert wall.count("depends on the order") == wall.count("<li>") == min(rows.count(False), browse.PAGE)
    assert "the answer depends on the order" in item
    shown, _, _, _, wall, item, _ = page._shown(replace(place, orders="same"))
    assert "depends on the order" not in wall
    row = browse.record(made, int(shown.row))
    winner = "ABC"[judgement_of(row, made.manifest).choice]
    assert f"{winner} wins in both orders" in item


def test_other_runs_have_no_such_column_and_no_such_filter(made):
    assert browse.knows_orders(made)
    scalar = open_run(BUNDLED / "scene" / "scalar")
    assert not browse.knows_orders(scalar)
    page = FailuresPage(Library([]), inspect=False)
    assert "depends on the order" not in page._shown(Place(run="scene/scalar", outcome="everything"))[4]
    with pytest.raises(FilterError, match="not a filter of this page"):
        page._shown(Place(run="scene/scalar", orders="same"))

"""What is said of a file is said at every door: the dry run of the command line and of pages, a run, a queue."""

import base64
import html
import json

import pytest
from PIL import Image
from typer.testing import CliRunner

from app.common.data_check import understood
from app.common.tasks import RunWanted, make_run
from app.queues import maker
from core.benchmarks import BenchmarkError
from core.commands.app import app
from core.judges.rules import RuleJudge
from core.labels.records import LabelError
from core.records import JudgeCard
from core.world.items import png

RED = base64.b64encode(png(Image.new("RGB", (16, 16), "red"))).decode()
GOOD = {"image": RED, "prompt": "Which colour?", "responses": ["red", "green"], "preferred": "A"}
CASES = {
    "a missing picture": ([GOOD, {**GOOD, "image": "gone.png"}], "row 1, column image: there is no file 'gone.png' in the image folder"),
    "six missing pictures": ([{**GOOD, "image": f"{i}.png", "prompt": f"{i}?"} for i in range(6)], "6 rows: column image: there is no file … in the image folder (first: row 0"),
    "an unknown label": ([GOOD, {**GOOD, "preferred": "C"}], "row 1, column preferred: 'C' where A or B was expected"),
    "an empty response": ([GOOD, {**GOOD, "responses": ["red", ""]}], "row 1, column responses: Response 2 of 2 is empty"),
    "a picture in a response": ([GOOD, {**GOOD, "responses": [[{"role": "assistant", "content": [{"type": "image"}]}], "green"]}], "row 1, column responses: a picture inside a response is not supported"),
    "a broken picture": ([GOOD, {**GOOD, "image": "data:image/png;base64,!"}], "row 1, column image: not valid base64"),
    "tool calls": ([GOOD, {**GOOD, "prompt": [{"role": "user", "content": "x", "tool_calls": [1]}]}], "row 1, column prompt: a turn with tool calls is not supported"),
    "labels from one": ([{**GOOD, "preferred": n, "prompt": f"{i}?"} for i, n in enumerate((1, 2, 3))], "row 2, column preferred: 3 where A or B or 1 to 2 was expected"),
}  # fmt: skip


@pytest.fixture
def warned(monkeypatch):
    said = []
    monkeypatch.setattr(maker.gr, "Warning", lambda message, **how: said.append(message))
    return said


def queue_of(file, folder, format_=None):
    return maker.QueueMaker(None, None, None, folder)._of_file(file, "own", format_)


def looking():
    return RuleJudge(JudgeCard("x", "x", "rule"), lambda responses: [float(len(r)) for r in responses])


@pytest.mark.parametrize("name", CASES)
def test_every_door_says_why_a_row_is_left_out(tmp_path, warned, name):
    rows, words = CASES[name]
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps(r) + "\n" for r in rows))
    assert words in CliRunner().invoke(app, ["data", "check", str(file)]).output
    assert words in html.unescape(understood(str(file), "own"))
    total, judged, reasons = make_run(looking(), RunWanted("vl-mdr", "own", file, tmp_path / "runs", None))
    assert total == len(rows) and judged < total and words in "\n".join(reasons)
    (done,) = queue_of(file, tmp_path / "queues").values()
    assert words in " ".join(warned) and len(done.table(["row"])) == len(rows)
    assert done.manifest.provenance["source"] == "mine.jsonl"


def test_a_file_without_labels_says_so_and_where_they_would_stand(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({k: v for k, v in GOOD.items() if k != "preferred"}) + "\n")
    with pytest.raises(
        LabelError, match=r"No row of this file has a label.*1 rows?.*column preferred, label"
    ):
        queue_of(file, tmp_path / "queues")
    assert "1 row without a label" in understood(str(file), "own")


def test_the_format_may_be_chosen_at_every_door(tmp_path, warned):
    row = {"question": "Which?", "image": RED, "answer1": "red", "answer2": "green", "human_answer": "C"}
    file = tmp_path / "mine.jsonl"
    file.write_text("".join(json.dumps({**row, "question": f"{i}?", "human_answer": h}) + "\n" for i, h in enumerate("AC")))  # fmt: skip
    assert "read as MLLM-as-a-Judge" in understood(str(file), "own")
    chosen = understood(str(file), "own", "own")
    assert "read as the general form" in chosen and "'C' where A or B was expected" in html.unescape(chosen)
    assert "'C' where A or B was expected" in CliRunner().invoke(app, ["data", "check", str(file), "--format", "own"]).output  # fmt: skip
    wanted = RunWanted("vl-mdr", "own", file, tmp_path / "runs", None, format="own")
    assert make_run(looking(), wanted)[:2] == (2, 1)
    (name,) = queue_of(file, tmp_path / "queues", "own")
    assert name.endswith("-own")
    with pytest.raises(BenchmarkError, match="There is no format 'x'"):
        queue_of(file, tmp_path / "queues", "x")


def test_the_first_comparison_is_shown_and_cut(tmp_path):
    file = tmp_path / "mine.jsonl"
    file.write_text(json.dumps({**GOOD, "responses": ["<script>" + "x" * 900, "green"]}) + "\n")
    said = understood(str(file), "own")
    assert "(preferred): &lt;script&gt;" in said and "x" * 300 not in said

"""Other people's files of the same kinds of fault, tried after the cases were mended: each was read wrongly at first."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from core.benchmarks import BENCHMARKS, BenchmarkError
from core.benchmarks.check import check
from core.benchmarks.findings import findings
from core.benchmarks.rows import Row
from core.world.items import png

RED, BLUE = (png(Image.new("RGB", (16, 16), c)) for c in ("red", "blue"))
Q = "Which colour?"
PAIR = {"prompt": Q, "chosen": "red", "rejected": "green"}


def user(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "user", "content": content, **more}


def says(content: Any, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content, **more}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "a.png").write_bytes(RED)
    (tmp_path / "b.png").write_bytes(BLUE)
    return tmp_path


def read(folder: Path, rows: list[dict[str, Any]]) -> list[Row]:
    (folder / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    return list(BENCHMARKS["own"].open(folder / "d.jsonl").rows())


def content(folder: Path, name: str, data: bytes) -> list[Row]:
    (folder / name).write_bytes(data)
    return list(BENCHMARKS["own"].open(folder / name).rows())


def label(row: Row) -> str:
    """What the row's label was read as."""
    if row.comparison is None:
        return "refused"
    if row.label.tie:
        return "tie"
    return "none" if row.comparison.preferred is None else row.comparison.responses[row.comparison.preferred]


# -- pictures -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "given",
    [
        lambda name, data: {"image": {"bytes": list(data)}},
        lambda name, data: {"image": list(data)},
        lambda name, data: {"image": [[name]]},
        lambda name, data: {"image_1": name, "image_2": None},
        lambda name, data: {"Image1": name},
        lambda name, data: {"img_path_1": name},
        lambda name, data: {"image": None, "image_path": name},
        lambda name, data: {"image": {"bytes": None, "path": None}, "image_path": name},
        lambda name, data: {"images": [], "image": name},
        lambda name, data: {"prompt": [user(Q, images=[name])]},
        lambda name, data: {"prompt": [user(f"<image>{Q}", image=name)]},
        lambda name, data: {"prompt": [user([{"type": "image_url", "image_url": {"url": "data:image/png;base64," + base64.b64encode(data).decode()}}, {"type": "text", "text": Q}])]},
        lambda name, data: {"prompt": [user([{"type": "image", "source": {"type": "base64", "data": base64.b64encode(data).decode()}}, {"type": "text", "text": Q}])]},
        lambda name, data: {"prompt": [user([{"type": "image", "text": None, "image": name}, {"type": "text", "text": Q, "image": None}])]},
    ],
)  # fmt: skip
def test_a_picture_is_found_and_tells_rows_apart(folder, given) -> None:
    rows = read(folder, [{**PAIR, **given("a.png", RED)}, {**PAIR, **given("b.png", BLUE), "chosen": "green", "rejected": "red"}])  # fmt: skip
    assert [r.problem for r in rows] == ["", ""] and len({r.key for r in rows}) == 2 and findings(rows) == []
    assert [r.comparison and r.comparison.prompt for r in rows] == [Q, Q]
    assert [r.comparison.load_image().getpixel((5, 5)) for r in rows if r.comparison] == [(255, 0, 0), (0, 0, 255)]  # fmt: skip


def test_pictures_of_numbered_columns_are_in_their_order(folder) -> None:
    (one, other) = read(folder, [{**PAIR, "image_2": a, "image_1": b} for a, b in (("a.png", "b.png"), ("b.png", "a.png"))])  # fmt: skip
    assert one.pictures == other.pictures == 2 and one.key != other.key
    assert [i.getpixel((1, 1))[0] for i in one.comparison.load_images()] == [0, 255]  # type: ignore[union-attr]
    assert check(folder / "d.jsonl").provenance["columns"]["picture"] == "image_1, image_2"


# -- chats ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (says("ok", tool_calls=[{"id": 1}]), "tool calls"),
        (says("ok", function_call={"name": "f"}), "tool calls"),
        (says("ok", reasoning_content="First I look."), "reasoning beside its content"),
        (says("ok", audio={"id": "x"}), "audio"),
        (says("ok", images=["a.png"]), "a picture inside a response"),
        (says([{"type": "text", "text": "ok", "image": "a.png"}]), "a part of the kind 'text'"),
        ({"text": "red", "model": "gpt"}, "an object that is not a chat"),
        (["red"], "a list that is not a chat"),
    ],
)
def test_what_would_be_lost_of_a_response_is_named(folder, message, words) -> None:
    (row,) = read(folder, [{**PAIR, "image": "a.png", "chosen": message}])
    assert row.comparison is None and "column chosen" in row.problem and words in row.problem


@pytest.mark.parametrize(
    "pair",
    [
        {"prompt": f"<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n", "chosen": "red<|im_end|>", "rejected": "green<|im_end|>\n"},
        {"chosen": f"Human: {Q}\n\nAssistant: red", "rejected": f"Human: {Q}\n\nAssistant: green", "prompt": Q},
        {"prompt": Q, "chosen": f"{Q}\nred", "rejected": f"{Q}\ngreen"},
        {"prompt": Q, "chosen": json.dumps([{"content": "red", "role": "assistant"}], indent=1), "rejected": json.dumps({"name": "x", "role": "assistant", "content": "green"})},
        {"prompt": Q, "chosen": says([{"type": "text", "content": "red"}]), "rejected": says([{"type": "text", "text": "green", "annotations": []}])},
    ],
)  # fmt: skip
def test_the_marks_of_chats_are_no_words_of_a_response(folder, pair) -> None:
    (row, plain) = read(folder, [{**pair, "image": "a.png"}, {**PAIR, "image": "a.png"}])
    assert row.key == plain.key and label(row) == "red", (row.problem, row.comparison)


def test_roles_of_a_chat_template_are_kept_or_refused(folder) -> None:
    told = (
        f"<|im_start|>system\nBe brief.<|im_end|>\n<|im_start|>user\n{Q}<|im_end|>\n<|im_start|>assistant\n"
    )
    good, bad = read(folder, [{**PAIR, "image": "a.png", "prompt": p} for p in (told, f"{told}red<|im_end|> and so on")])  # fmt: skip
    assert [(t.role, t.text) for t in good.comparison.turns] == [("system", "Be brief.")]  # type: ignore[union-attr]
    assert bad.comparison is None and "column prompt: it begins with <|im_start|>" in bad.problem


def test_what_both_responses_begin_with_is_taken_out_only_where_it_is_the_question(folder) -> None:
    same, one, short = read(folder, [
        {**PAIR, "chosen": f"{Q} red", "rejected": f"{Q} green"},
        {**PAIR, "chosen": f"{Q} red"},
        {"prompt": "Yes?", "chosen": "Yes? no", "rejected": "Yes? yes"},
    ])  # fmt: skip
    assert label(same) == "red" and "the question" in same.notes[0]
    assert label(one) == f"{Q} red" and label(short) == "Yes? no" and not one.notes and not short.notes


@pytest.mark.parametrize(
    "place", ["<IMAGE>", "<Image>", "(<image>./</image>)\n", "<image></image>", "[IMG]", "<|vision_start|><|vision_end|>", "<|begin_of_image|><|image|><|end_of_image|>"]
)  # fmt: skip
def test_other_places_of_a_picture_are_taken_out_too(folder, place) -> None:
    row, plain = read(folder, [{**PAIR, "image": "a.png", "prompt": p} for p in (place + Q, Q)])
    assert row.key == plain.key and row.notes


# -- labels ---------------------------------------------------------------------------------------------------

F, S, R = "first", "second", "refused"


@pytest.mark.parametrize(
    ("values", "meaning"),
    [
        ([-1, 0, 1], [R, R, R]),  # 0 may be a tie
        ([0.2, 0.9, 0.5], [R, R, R]),
        ([1, 0, 0.5], [R, R, R]),  # shares of won games
        (["1", "0", "0.5"], [R, R, R]),
        ([[1, 0], [0, 1]], [R, R]),
        (["A>B", "B>>A", "A<B", "A=B", "[[A>>B]]"], [F, S, S, "tie", F]),
        (["Ａ", "Ｂ"], [F, S]),
        (["model_a", "model_b", "tie (bothbad)", "both bad"], [F, S, "tie", "tie"]),
        ([0, 1, "A"], [F, S, F]),  # a letter is clear beside any numbers
        (["0", "B"], [R, S]),  # a number beside letters is not
    ],
)
def test_a_label_is_read_rightly_or_not_at_all(folder, values, meaning) -> None:
    rows = read(folder, [{"prompt": f"{i}?", "responses": ["first", "second"], "preferred": v} for i, v in enumerate(values)])  # fmt: skip
    assert [label(r) for r in rows] == meaning


def test_values_that_are_no_labels_are_not_said_to_be_none(folder) -> None:
    read(folder, [{"prompt": Q, "responses": ["a", "b"], "preferred": 0.3}])
    assert "holds values that do not say which" in check(folder / "d.jsonl").provenance["decisions"][0]


def test_winners_in_columns_of_their_own(folder) -> None:
    won = [(1, 0, 0), (0, 1, 0), (0, 0, 1), (0, 0, 0), (1, 1, 0)]
    rows = read(folder, [
        {"prompt": f"{i}?", "response_a": "first", "response_b": "second", "winner_model_a": a, "winner_model_b": b, "winner_tie": t}
        for i, (a, b, t) in enumerate(won)
    ])  # fmt: skip
    assert [label(r) for r in rows] == [F, S, "tie", "none", R]


def test_chosen_may_be_a_number_beside_a_list(folder) -> None:
    rows = read(folder, [{"prompt": f"{i}?", "responses": ["first", "second"], "chosen": i} for i in (0, 1)])
    assert [label(r) for r in rows] == [F, S]


def test_columns_of_ten_responses_are_in_their_order(folder) -> None:
    rows = read(folder, [{"prompt": "?", **{f"response_{i}": f"r{i}" for i in range(1, 11)}, "label": n} for n in (10, 2)])  # fmt: skip
    assert [label(r) for r in rows] == ["r10", "r2"]
    (row,) = read(folder, [{"prompt": "?", **{f"answer{i}": f"a{i}" for i in range(1, 11)}, **{f"score{i}": -abs(i - 10) for i in range(1, 11)}}])  # fmt: skip
    assert label(row) == "a10"


def test_a_label_beside_chosen_and_rejected_is_said_not_to_be_read(folder) -> None:
    read(folder, [{**PAIR, "label": 0}])
    assert check(folder / "d.jsonl").provenance["decisions"] == [
        "Column label is not read: chosen and rejected say which response is preferred."
    ]
    read(folder, [PAIR])
    assert check(folder / "d.jsonl").provenance["decisions"] == []


def test_an_answer_that_is_json_with_a_from_in_it_stays_text(folder) -> None:
    answer = '{"from": "Berlin", "value": 3}'
    row, tool = read(
        folder, [{**PAIR, "chosen": answer}, {**PAIR, "chosen": '{"role": "tool", "content": "3"}'}]
    )
    assert label(row) == answer and "a turn of the role 'tool' is not supported" in tool.problem


def test_tools_of_a_row_are_not_left_out_silently(folder) -> None:
    rows = read(folder, [{**PAIR, "tools": t} for t in ("[]", None, '[{"name": "f"}]')])
    assert [r.comparison is None for r in rows] == [False, False, True]
    assert "column tools: tools that the model may call are not supported" in rows[2].problem


@pytest.mark.parametrize("nothing", ["nan", "None", "null", " ", "", None, [], "[]"])
def test_a_cell_without_a_picture_is_no_missing_file(folder, nothing) -> None:
    (row,) = read(folder, [{**PAIR, "image": nothing}])
    assert row.problem == "row 0, column image: the row has no image" and row.pictures == 0


# -- files ----------------------------------------------------------------------------------------------------


def test_a_first_row_that_lacks_a_value_does_not_decide_the_format(folder) -> None:
    good, bad = {**PAIR, "image": "a.png"}, {**PAIR, "rejected": None, "image": None}
    first, second = read(folder, [bad, good])
    assert first.comparison is None and label(second) == "red"
    assert check(folder / "d.jsonl").provenance["columns"] == {
        "prompt": "prompt", "picture": "image", "responses": "chosen (preferred), rejected",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("d.json", json.dumps({"7": PAIR, "8": {**PAIR, "prompt": "Another?"}}).encode()),
        (
            "d.json",
            json.dumps({k: [v, v if k != "prompt" else "Another?"] for k, v in PAIR.items()}).encode(),
        ),
        ("d.csv", b"prompt|chosen|rejected\nWhich colour?|red|green\nAnother?|red|green\n"),
    ],
    ids=["rows by id", "columns", "bars"],
)
def test_tables_of_another_shape(folder, name, data) -> None:
    assert [(r.comparison and r.comparison.prompt, label(r)) for r in content(folder, name, data)] == [(Q, "red"), ("Another?", "red")]  # fmt: skip


def test_an_open_quote_is_suspected_where_a_row_swallows_lines(folder) -> None:
    data = b'prompt,chosen,rejected\nx,f,s\n"y,f,s\nz,f,s\n'
    good, bad = content(folder, "d.csv", data)
    assert good.comparison and "lines 3 to 4: is a quote left open?" in bad.problem


def test_a_file_of_results_is_refused_with_its_columns(folder) -> None:
    with pytest.raises(
        BenchmarkError, match="row 0 has the columns forward, id, reverse. A row needs a prompt"
    ):
        content(folder, "d.json", json.dumps({"x": {"forward": [], "reverse": []}, "y": {"forward": [], "reverse": []}}).encode())  # fmt: skip


def test_a_half_character_is_said(folder) -> None:
    (row,) = content(folder, "d.jsonl", b'{"prompt": "Which \\ud83d?", "chosen": "x", "rejected": "y"}\n')
    assert row.notes == ("a character that could not be read stands as \ufffd",)


# -- what a run remembers of its file -------------------------------------------------------------------------


def test_a_finished_run_does_not_answer_for_a_file_that_was_changed(folder) -> None:
    from core.judges.rules import longer
    from core.runs.manifest import RunError
    from core.runs.runner import Job, run

    def start() -> Any:
        return run(Job(BENCHMARKS["own"].open(folder / "d.jsonl"), longer(), folder / "run"))

    read(folder, [{**PAIR, "image": "a.png"}])
    assert start() and start()
    read(folder, [{**PAIR, "image": "a.png", "chosen": "dark red"}])
    with pytest.raises(RunError, match="holds a run of other data: row 0 of d.jsonl"):
        start()


def test_another_file_of_the_same_name_is_another_run_on_the_page(folder) -> None:
    from app.common.tasks import RunWanted, make_run
    from core.judges.rules import longer

    for chosen in ("red", "dark red"):
        read(folder, [{**PAIR, "image": "a.png", "chosen": chosen}])
        rows, judged, _ = make_run(
            longer(), RunWanted("longer", "own", folder / "d.jsonl", folder / "runs", None)
        )
        assert (rows, judged) == (1, 1)
    assert len(list((folder / "runs").iterdir())) == 2


# -- one picture in any form is one picture -------------------------------------------------------------------


def test_the_same_bytes_in_any_form_and_file_give_the_same_key(folder) -> None:
    import csv

    import datasets
    import pandas as pd

    text = base64.b64encode(RED).decode()
    wrapped = "\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    forms: list[Any] = [text, wrapped, text.rstrip("="), f"data:image/png;base64,{text}", [text], {"bytes": text}, list(RED)]  # fmt: skip
    keys = {r.key for r in read(folder, [{**PAIR, "image": f} for f in forms])}
    pd.DataFrame([{**PAIR, "image": RED}, {**PAIR, "image": RED}]).to_parquet(folder / "p.parquet")
    keys |= {r.key for r in BENCHMARKS["own"].open(folder / "p.parquet").rows()}
    pd.DataFrame([{**PAIR, "image": {"bytes": RED, "path": "elsewhere.png"}}]).to_parquet(
        folder / "s.parquet"
    )
    keys |= {r.key for r in BENCHMARKS["own"].open(folder / "s.parquet").rows()}
    with (folder / "c.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, [*PAIR, "image"])
        writer.writeheader()
        writer.writerows({**PAIR, "image": f} for f in (text, wrapped))
    keys |= {r.key for r in BENCHMARKS["own"].open(folder / "c.csv").rows()}
    saved = datasets.Dataset.from_list([{**PAIR, "image": {"bytes": RED, "path": None}}]).cast_column("image", datasets.Image())  # fmt: skip
    saved.save_to_disk(str(folder / "saved"))
    keys |= {r.key for r in BENCHMARKS["own"].open(folder / "saved").rows()}
    assert len(keys) == 1


@pytest.mark.parametrize("seed", range(3))
def test_a_run_gives_back_what_was_read(folder, seed) -> None:
    """Read, run, written out of the run as a table, read again: the same comparisons."""
    import random

    from core.judges.rules import longer
    from core.runs.runner import Job, run

    random.seed(seed)
    texts = [f"{random.choice('äß猫🙂x')} {i} <b>" for i in range(12)]
    rows = read(folder, [{"image": random.choice(["a.png", "b.png"]), "prompt": f"{t}?", "responses": [t, t + "!"], "preferred": random.choice("AB")} for t in texts])  # fmt: skip
    table = run(Job(BENCHMARKS["own"].open(folder / "d.jsonl"), longer(), folder / "run")).table().to_pylist()  # type: ignore[union-attr]
    again = read(folder, [{"prompt": r["prompt"], "responses": r["responses"], "preferred": "AB"[r["preferred"]]} for r in table])  # fmt: skip
    assert [(r.comparison.prompt, r.comparison.responses, r.comparison.preferred) for r in rows if r.comparison] == [
        (r.comparison.prompt, r.comparison.responses, r.comparison.preferred) for r in again if r.comparison
    ]  # fmt: skip

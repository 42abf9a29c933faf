"""Situations of other people's files, each as its trouble was reported: what is read, and what is said."""

from __future__ import annotations

import base64
import csv
import io
import json
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from core.benchmarks import BENCHMARKS
from core.benchmarks.check import check
from core.benchmarks.findings import findings
from core.benchmarks.reasons import Reasons
from core.benchmarks.rows import Row
from core.images import MAX_RATIO, MIN_SIDE, open_image, small_copy
from core.judges.rules import longer
from core.runs.runner import Job, run
from core.world.items import png

RED, BLUE = (png(Image.new("RGB", (16, 16), c)) for c in ("red", "blue"))
ASKED = "Which colour is the circle?"
PAIR = {"image": "a.png", "prompt": ASKED, "chosen": "red", "rejected": "green"}


def user(text: Any) -> dict[str, Any]:
    return {"role": "user", "content": text}


def says(text: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text}


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "a.png").write_bytes(RED)
    (tmp_path / "b.png").write_bytes(BLUE)
    return tmp_path


def written(folder: Path, rows: list[dict[str, Any]], name: str = "data.jsonl") -> Path:
    (folder / name).write_text("".join(json.dumps(r) + "\n" for r in rows))
    return folder / name


def read(folder: Path, rows: list[dict[str, Any]], **how: Any) -> list[Row]:
    return list(BENCHMARKS["own"].open(written(folder, rows), **how).rows())


def said_first(row: Row) -> str:
    """The preferred response."""
    assert row.comparison and row.comparison.preferred is not None, row.problem
    return row.comparison.responses[row.comparison.preferred]


@pytest.mark.parametrize(
    "form",
    [
        lambda name, data: [name],
        lambda name, data: [{"path": name, "bytes": None}],
        lambda name, data: {"bytes": base64.b64encode(data).decode(), "path": None},
        lambda name, data: base64.b64encode(data).decode(),
        lambda name, data: ["data:image/png;base64," + base64.b64encode(data).decode()],
        lambda name, data: json.dumps([name]),
        lambda name, data: str([name]),
        lambda name, data: {"url": name},
    ],
)
def test_two_pictures_are_two_rows_in_whatever_form_they_come(folder, form) -> None:
    rows = read(folder, [
        {"images": form("a.png", RED), "prompt": ASKED, "chosen": "red", "rejected": "green"},
        {"images": form("b.png", BLUE), "prompt": ASKED, "chosen": "green", "rejected": "red"},
    ])  # fmt: skip
    assert len({r.key for r in rows}) == 2 and findings(rows) == []
    assert [r.comparison.load_image().getpixel((5, 5)) for r in rows if r.comparison] == [(255, 0, 0), (0, 0, 255)]  # fmt: skip


def test_a_picture_inside_a_message_tells_rows_apart_too(folder) -> None:
    rows = read(folder, [
        {"prompt": [user([{"type": "image", "image": name}, {"type": "text", "text": ASKED}])],
         "chosen": [says("red")], "rejected": [says("green")]}
        for name in ("a.png", "b.png")
    ])  # fmt: skip
    assert len({r.key for r in rows}) == 2 and not any(r.problem for r in rows)


def test_only_the_last_turn_of_a_chat_is_the_response(folder) -> None:
    whole = {"chosen": [user(ASKED), says("red")], "rejected": [user(ASKED), says("green")]}
    (row,) = read(folder, [{"image": "a.png", "prompt": ASKED, **whole}])
    assert said_first(row) == "red" and set(row.comparison.responses) == {"red", "green"}  # type: ignore[union-attr]
    (row,) = read(folder, [{"image": "a.png", **whole}])  # no prompt column at all
    assert said_first(row) == "red" and row.comparison.prompt == ASKED  # type: ignore[union-attr]
    (row,) = read(folder, [{"image": "a.png", "prompt": "Another question?", **whole}])
    assert row.comparison is None and "column chosen" in row.problem and "asks something else" in row.problem


def test_a_picture_inside_a_response_is_refused_by_its_column(folder) -> None:
    part = [{"type": "text", "text": "Here it is."}, {"type": "image", "image": "b.png"}]
    (row,) = read(folder, [{**PAIR, "chosen": [says(part)], "rejected": [says("no")]}])
    assert row.comparison is None
    assert row.problem == "row 0, column chosen: a picture inside a response is not supported"


@pytest.mark.parametrize("write", [json.dumps, str], ids=["as JSON", "as Python writes it"])
@pytest.mark.parametrize("kind", ["jsonl", "csv"])
def test_a_chat_as_text_is_a_chat(folder, write, kind) -> None:
    raw = {"image": "a.png", "prompt": write([user(ASKED)]), "chosen": write([says("red")]), "rejected": write([says("green")])}  # fmt: skip
    if kind == "csv":
        with (folder / "data.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(raw))
            writer.writeheader()
            writer.writerow(raw)
    else:
        written(folder, [raw])
    (row,) = BENCHMARKS["own"].open(folder / f"data.{kind}").rows()
    assert said_first(row) == "red" and row.comparison.prompt == ASKED  # type: ignore[union-attr]


def test_a_chat_as_text_that_is_cut_off_is_refused(folder) -> None:
    (row,) = read(folder, [{**PAIR, "chosen": '[{"role": "assistant", "content": "re'}])
    assert row.comparison is None and "column chosen: it begins like a chat" in row.problem


def test_an_answer_that_is_json_itself_stays_text(folder) -> None:
    answer = '[{"quantity": 1, "price": 75000}]'
    (row,) = read(folder, [{**PAIR, "chosen": answer}])
    assert said_first(row) == answer


def test_a_small_picture_as_base64_is_judged(folder) -> None:
    text = base64.b64encode(RED).decode()
    assert len(text) < 512
    (row,) = read(folder, [{**PAIR, "image": text}])
    assert row.comparison and row.comparison.load_image().size == (16, 16)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda t: "\n".join(t[i : i + 76] for i in range(0, len(t), 76)),
        lambda t: "\r\n".join(t[i : i + 64] for i in range(0, len(t), 64)) + "\r\n",
        lambda t: t.rstrip("="),
        lambda t: t.replace("+", "-").replace("/", "_"),
        lambda t: f"data:image/png;base64,{t}",
        lambda t: f"DATA:image/png;base64,{t.rstrip('=')}",
        lambda t: f"b'{t}'",
    ],
)
def test_base64_as_tools_write_it(folder, spoil) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (20, 21, 3), dtype="uint8")
    data = png(Image.fromarray(noise))
    (row,) = read(folder, [{**PAIR, "image": spoil(base64.b64encode(data).decode())}])
    assert row.comparison and np.array_equal(np.asarray(row.comparison.load_image()), noise), row.problem


def test_broken_base64_stays_refused(folder) -> None:
    text = base64.b64encode(RED).decode()
    (row,) = read(folder, [{**PAIR, "image": "data:image/png;base64," + text[:50] + "!" + text[50:]}])
    assert "column image: not valid base64" in row.problem


@pytest.mark.parametrize(
    ("prompt", "bare"),
    [
        (f"<image>\n{ASKED}", ASKED),
        (f"{ASKED}\n<image>", ASKED),
        (f"<|vision_start|><|image_pad|><|vision_end|>{ASKED}", ASKED),
        (f"<image 1> {ASKED}", ASKED),
        (f"Look.\n<image>\n{ASKED}", f"Look.\n{ASKED}"),
        (f"Picture 1: <img>a.png</img>\n{ASKED}", f"Picture 1:\n{ASKED}"),
        ("<image-map> is a tag?", "<image-map> is a tag?"),
    ],
)
def test_the_place_of_the_picture_is_no_word_of_the_prompt(folder, prompt, bare) -> None:
    first, second = read(folder, [{**PAIR, "prompt": prompt}, {**PAIR, "prompt": bare}])
    assert first.comparison and first.comparison.prompt.replace(": \n", ":\n") == bare
    if first.comparison.prompt == bare:
        assert first.key == second.key
        assert bool(first.notes) == (prompt != bare)


def test_without_a_picture_the_text_stays_as_it_is(folder) -> None:
    (row,) = read(folder, [{k: v for k, v in {**PAIR, "prompt": "<image> in HTML?"}.items() if k != "image"}])
    assert row.comparison and row.comparison.prompt == "<image> in HTML?"


def test_more_places_than_pictures_are_refused(folder) -> None:
    (row,) = read(folder, [{**PAIR, "prompt": "<image> or <image>?"}])
    assert row.comparison is None and "2 places for pictures, but the row has 1 picture" in row.problem


@pytest.mark.parametrize("at", [0, 3, 399])
def test_one_bad_byte_costs_one_row_of_a_csv(folder, at) -> None:
    lines = [b"image,prompt,chosen,rejected"] + [b"a.png,Which colour %d?,red,green" % i for i in range(400)]
    lines[at + 1] = b"a.png,fa\xe7ade?,red,green"
    (folder / "data.csv").write_bytes(b"\n".join(lines))
    rows = list(BENCHMARKS["own"].open(folder / "data.csv").rows())
    assert len(rows) == 400 and [r.index for r in rows if r.problem] == [at]
    assert f"row {at}: column prompt: it holds a byte that is not UTF-8" in rows[at].problem


def test_half_a_surrogate_pair_becomes_the_replacement_character(folder) -> None:
    (folder / "data.jsonl").write_text(
        '{"image":"a.png","prompt":"Which \\ud83d colour?","chosen":"red","rejected":"green"}\n'
        '{"image":"a.png","prompt":"Which \\ud83d\\ude00 colour?","chosen":"red","rejected":"green"}\n'
    )
    done = run(Job(BENCHMARKS["own"].open(folder / "data.jsonl"), longer(), folder / "run"))
    assert done and done.table()["prompt"].to_pylist() == ["Which \ufffd colour?", "Which 😀 colour?"]


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


@pytest.mark.parametrize(
    "chunk",
    [
        _chunk(b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 2_000_000)),
        _chunk(b"tEXt", b"workflow\0" + b"x" * 2_000_000),
        _chunk(b"iCCP", b"profile\0\0" + zlib.compress(bytes(2_000_000))),
    ],
    ids=["compressed text", "text", "colour profile"],
)
@pytest.mark.parametrize("at", [33, -12], ids=["before the pixels", "after them"])
def test_a_png_with_much_metadata_is_opened(chunk, at) -> None:
    data = RED[:at] + chunk + RED[at:]
    assert open_image(data).getpixel((3, 3)) == (255, 0, 0)


def test_a_damaged_png_with_metadata_is_still_refused() -> None:
    from core.images import ImageError

    chunk = _chunk(b"tEXt", b"workflow\0" + b"x" * 100)
    with pytest.raises(ImageError, match="damaged|not a picture"):
        open_image(RED[:33] + chunk + RED[33:45])


@pytest.mark.parametrize(("w", "h"), [(4000, 44), (44, 4000), (3999, 40), (801, 9), (512, 512), (9, 9), (5000, 3000)])  # fmt: skip
def test_the_kept_copy_of_what_was_judged_opens_again(w, h) -> None:
    image = Image.new("RGB", (w, h), "red")
    open_image(image)
    kept = small_copy(image, 512)
    assert open_image(kept).size == kept.size
    assert min(kept.size) >= MIN_SIDE and max(kept.size) <= MAX_RATIO * min(kept.size)
    assert max(kept.size) <= 512 or min(kept.size) == MIN_SIDE


def test_a_long_thin_picture_goes_through_a_run(folder) -> None:
    from core.runs.rows import comparison_of

    Image.new("RGB", (4000, 44), "red").save(folder / "wide.png")
    loaded = BENCHMARKS["own"].open(written(folder, [{**PAIR, "image": "wide.png"}]))
    done = run(Job(loaded, longer(), folder / "run"))
    assert done
    again = comparison_of(done, 0)
    assert again and again.load_image().getpixel((10, 3))[0] > 200


def test_an_empty_response_is_named_as_the_file_names_it(folder) -> None:
    rows = read(folder, [{"image": "a.png", "prompt": f"Which {i}?", "responses": ["red", ""], "preferred": 0} for i in range(4)])  # fmt: skip
    assert {r.problem.split(": ", 1)[1] for r in rows} == {"Response 2 of 2 is empty"}
    (row,) = read(folder, [{**PAIR, "rejected": " "}])
    assert row.problem == "row 0, column rejected: the response is empty"


def test_roles_are_kept_and_a_judge_that_cannot_read_them_says_so(folder) -> None:
    turns = [{"role": "system", "content": "Be brief."}, user("What is on the left?"), says("A circle."), user("Its colour?")]  # fmt: skip
    (row,) = read(folder, [{**PAIR, "prompt": turns, "chosen": [says("red")], "rejected": [says("green")]}])
    assert row.comparison and row.comparison.prompt == "Its colour?"
    assert [(t.role, t.text) for t in row.comparison.turns] == [
        ("system", "Be brief."), ("user", "What is on the left?"), ("assistant", "A circle."),
    ]  # fmt: skip
    judge = longer()
    object.__setattr__(judge.card, "reads_images", True)
    done = run(Job(BENCHMARKS["own"].open(folder / "data.jsonl"), judge, folder / "run"))
    assert done
    (stored,) = done.table().to_pylist()
    assert stored["outcome"] == "missing" and "3 earlier turns" in stored["problem"]
    assert stored["prompt"].startswith("system: Be brief.\nuser: What is on the left?\nassistant: A circle.")


def test_what_is_left_out_is_counted_with_its_reason(folder) -> None:
    labels = ["tie", "C", -1, "A"]
    rows = [{"image": "gone.png", "prompt": ASKED, "responses": ["red", "green"], "preferred": v} for v in labels]  # fmt: skip
    found = check(written(folder, rows))
    assert (found.rows, found.readable, found.labelled, found.ties, found.without_picture) == (4, 2, 1, 1, 2)
    text = "\n".join(found.lines())
    assert "2 rows: column image: there is no file … in the image folder (first: row 0" in text
    assert "row 1, column preferred: 'C'" in text and "row 2, column preferred: -1" in text


def test_a_file_without_labels_is_read_and_said_to_have_none(folder) -> None:
    found = check(written(folder, [{"image": "a.png", "prompt": ASKED, "responses": ["red", "green"]}]))
    assert found.readable == 1 and found.labelled == 0 and "1 row without a label" in "\n".join(found.lines())


def test_labels_one_and_two_count_from_one(folder) -> None:
    rows = [("red", "green", 1), ("green", "red", 2), ("red", "blue", 1)]
    raws = [{"image": "a.png", "prompt": f"{i}?", "responses": [a, b], "preferred": n} for i, (a, b, n) in enumerate(rows)]  # fmt: skip
    loaded = BENCHMARKS["own"].open(written(folder, raws))
    assert [said_first(r) for r in loaded.rows()] == ["red"] * 3
    assert loaded.provenance["decisions"] == ["Column preferred counts the responses from 1: 1 is the first."]


def test_one_infinite_pixel_does_not_blacken_a_depth_map(tmp_path) -> None:
    grey = np.linspace(0, 1, 96 * 64).reshape(64, 96).astype("float32")
    Image.fromarray(grey).save(tmp_path / "plain.tif")
    grey[0, 0], grey[0, 1], grey[0, 2] = np.inf, np.nan, -np.inf
    Image.fromarray(grey).save(tmp_path / "deep.tif")
    found, plain = (np.asarray(open_image(tmp_path / n)).astype(int) for n in ("deep.tif", "plain.tif"))
    assert np.array_equal(found[1:], plain[1:]) and found[0, 0, 0] == 255 and found[0, 1, 0] == 0


def test_the_command_says_why_rows_were_not_judged(folder, capsys) -> None:
    from core.commands.run import _say

    rows = [{**PAIR, "image": f"gone{i}.png"} for i in range(6)] + [{**PAIR, "prompt": ""}]
    judge = longer()
    object.__setattr__(judge.card, "reads_images", True)
    done = run(Job(BENCHMARKS["own"].open(written(folder, rows)), judge, folder / "run"))
    assert done
    _say(done)
    said = capsys.readouterr().out
    assert "0 of 7 rows judged" in said
    assert "6 rows: column image: there is no file … in the image folder (first: row 0, column image: there is no file 'gone0.png'" in said  # fmt: skip
    assert "1 row: row 6" in said


def test_reasons_hold_no_more_kinds_than_they_show() -> None:
    found = Reasons(f"row {i}, column c: {'x' * i} went wrong" for i in range(1000))
    assert len(found.found) <= Reasons.MOST + 1 and sum(r.count for r in found.found.values()) == 1000


# -- several pictures ---------------------------------------------------------------------------------------


def test_up_to_eight_pictures_are_read_and_one_picture_judges_refuse(folder) -> None:
    from core.images import ImageError

    names = ["a.png", "b.png"] * 4
    for n in (2, 8):
        (row,) = read(folder, [{**PAIR, "image": names[:n], "prompt": "<image>" * n + ASKED}])
        assert row.comparison and len(row.comparison.load_images()) == n and row.comparison.prompt == ASKED
        with pytest.raises(ImageError, match=f"{n} pictures; maps, edits and judges of one picture"):
            row.comparison.load_image()
    (row,) = read(folder, [{**PAIR, "image": [*names, "a.png"]}])
    assert row.comparison and row.comparison.image is None and "9 images" in row.problem


def test_places_among_the_words_say_which_picture_is_meant(folder) -> None:
    (row,) = read(folder, [{**PAIR, "image": ["a.png", "b.png"], "prompt": "Is <image> or <image> red?"}])
    assert row.comparison and row.comparison.prompt == "Is (picture 1) or (picture 2) red?"


def test_the_order_of_pictures_is_a_part_of_the_question(folder) -> None:
    one, other = read(folder, [{**PAIR, "image": i} for i in (["a.png", "b.png"], ["b.png", "a.png"])])
    assert one.key != other.key


def test_a_row_with_one_missing_picture_of_two_has_none(folder) -> None:
    (row,) = read(folder, [{**PAIR, "image": ["a.png", "gone.png"]}])
    assert row.comparison and row.comparison.image is None and "'gone.png'" in row.problem


def test_people_see_all_pictures_of_a_row(folder) -> None:
    loaded = BENCHMARKS["own"].open(written(folder, [{**PAIR, "image": ["a.png", "b.png"]}]))
    done = run(Job(loaded, longer(), folder / "run"))
    assert done
    kept = Image.open(io.BytesIO(done.table()["image"].to_pylist()[0])).convert("RGB")
    left, right = kept.getpixel((5, 8)), kept.getpixel((kept.width - 6, 8))
    assert left[0] > 200 and left[2] < 60 and right[2] > 200 and right[0] < 60  # type: ignore[index]


# -- the doors ----------------------------------------------------------------------------------------------


def test_the_dry_run_of_the_command_line(folder) -> None:
    from typer.testing import CliRunner

    from core.commands.app import app

    path = written(folder, [PAIR, {**PAIR, "image": "gone.png"}, {**PAIR, "prompt": ""}])
    done = CliRunner().invoke(app, ["data", "check", str(path)])
    assert done.exit_code == 0 and "2 of 3 rows are readable" in done.output
    assert "responses: column chosen (preferred), rejected" in done.output
    assert "row 1, column image: there is no file 'gone.png'" in done.output
    done = CliRunner().invoke(app, ["data", "check", str(folder / "nowhere.jsonl")])
    assert done.exit_code == 2 and "There is no file" in done.output + done.stderr
    done = CliRunner().invoke(app, ["data", "check", str(path), "--format", "nonsense"])
    assert done.exit_code == 2
    done = CliRunner().invoke(app, ["data", "template"])
    assert json.loads(done.output.splitlines()[0])["preferred"] == "B"


def test_pages_say_the_same_and_escape_what_is_not_theirs(folder) -> None:
    from app.common.data_check import understood

    path = written(folder, [{**PAIR, "image": "<b>gone.png"}])
    said = understood(str(path), "own")
    assert "1 of 1 rows are readable" in said and "&lt;b&gt;gone.png" in said and "<b>gone" not in said
    assert 'download="template.jsonl"' in understood(None, "own") and understood(str(path), "scene") == ""
    assert "There is no file" in understood(str(folder / "nowhere.jsonl"), "own")


def test_the_api_takes_base64_as_files_do() -> None:
    from app.api import _picture
    from core.images import ImageError

    text = base64.b64encode(RED).decode()
    lines = "\n".join(text[i : i + 76] for i in range(0, len(text), 76))
    for form in (text, lines, text.rstrip("="), f"data:image/png;base64,{lines}"):
        assert _picture(form) == RED
    for form in ("not base64!", "data:image/png;base64,?"):
        with pytest.raises(ImageError, match="not base64"):
            _picture(form)


def test_a_row_with_one_response_has_no_say_in_what_a_label_column_means(tmp_path):
    rows = [{"prompt": f"p{i}", "responses": ["a", "b"], "preferred": i % 2} for i in range(4)]
    rows.append({"prompt": "p", "responses": ["only one"], "preferred": 1})
    (tmp_path / "d.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    found = list(BENCHMARKS["own"].open(tmp_path / "d.jsonl").rows())
    assert [r.comparison is not None for r in found] == [True] * 4 + [False]
    assert "1 response" in found[-1].problem and not any("not clear" in r.problem for r in found)

"""Each named format on rows in exactly its columns; labels decided for a column; no input ends in a traceback."""

from __future__ import annotations

import base64
import csv
import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from core.benchmarks import BENCHMARKS, BenchmarkError, labels
from core.benchmarks.check import Report, check, template
from core.benchmarks.fields import RowProblem
from core.benchmarks.formats import FORMATS
from core.benchmarks.rows import UNEXPECTED, Row
from core.world.items import png

PICTURE = png(Image.new("RGB", (16, 16), "red"))
Q, GOOD, BAD = "Which colour is the circle?", "red, of course", "green"


def user(content: Any) -> dict[str, Any]:
    return {"role": "user", "content": content}


def says(content: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": content}


TEXT = [{"type": "text", "text": Q}]
R1 = (
    "You are a highly skilled and impartial evaluator.\n- Output \"1\" if Response 1 is better.\n\n###### **Input:**  \n"
    f"###### [Question]:\n{Q}  \n\n###### [Response 1]:\n{BAD}  \n\n###### [Response 2]:\n{GOOD}  \n\n"
    "###### **Output Format (strictly follow):**  \n<think>Your analysis</think><answer>1/2</answer>"
)  # fmt: skip
CRITIC = (
    "<image>\nGiven an image and a corresponding question, please serve as an unbiased and fair judge. Your task is "
    f"provided as follows:\nQuestion: [{Q}]\nThe first response: [{BAD}]\nThe second response: [{GOOD}]\nASSISTANT:\n"
)


def rated(**ratings: str) -> dict[str, Any]:
    return {aspect: {"Rating": r, "Rationale": "because"} for aspect, r in ratings.items()}


ROWS: dict[str, dict[str, Any]] = {
    "trl": {"prompt": [user([{"type": "image"}, *TEXT])], "images": ["i.png"],
            "chosen": [says([{"type": "text", "text": GOOD}])], "rejected": [says([{"type": "text", "text": BAD}])]},
    "rlhf-v": {"ds_name": "RLHF-V", "image": "i.png", "text": json.dumps({"question": Q, "chosen": GOOD, "rejected": BAD}),
               "origin_dataset": "VQAv2", "origin_split": "{}", "idx": 3, "image_path": "i.png"},
    "rlaif-v": {"ds_name": "RLAIF-V", "image": "i.png", "question": Q, "chosen": GOOD, "rejected": BAD,
                "origin_dataset": "coco", "origin_split": "train", "idx": "7", "image_path": "i.png"},
    "mm-rlhf": {"id": "9", "image": "i.png", "prompt": Q, "chosen": GOOD, "rejected": BAD, "chosen_reason": "x", "rejected_reason": "y"},
    "llava-critic": {"id": "1", "source": "LLaVA", "image": "i.png", "conversations": [
        {"from": "human", "value": CRITIC}, {"from": "gpt", "value": "The first one errs. Therefore, the second response is better."}]},
    "mllm-judge": {"id": 4, "pair_id": "4_1", "image_path": "i.png", "original_dataset": "coco", "instruction": Q,
                   "answer1": {"name": "gpt", "answer": BAD}, "answer2": {"name": "llava", "answer": GOOD}, "human_answer": "B"},
    "llama-factory": {"conversations": [{"from": "human", "value": f"<image>{Q}"}], "images": ["i.png"],
                      "chosen": {"from": "gpt", "value": GOOD}, "rejected": {"from": "gpt", "value": BAD}},
    "ms-swift": {"messages": [user(f"<image>{Q}"), says(GOOD)], "rejected_response": BAD, "images": ["i.png"]},
    "openrlhf": {"chosen": [user(Q), says(GOOD)], "rejected": [user(Q), says(BAD)], "image": "i.png"},
    "vlmevalkit": {"index": 0, "question": Q, "response": str([BAD, GOOD]), "answer": "[1, 0]", "category": "general",
                   "image": base64.b64encode(PICTURE).decode()},
    "mmrb2": {"id": "blink_1", "prompt_content": [["text", Q], ["image", "i.png"]], "prompt_source": "blink",
              "response_a": {"model_name": "a", "response_content": [["text", GOOD]]},
              "response_b": {"model_name": "b", "response_content": [["text", BAD]]}, "chosen": "A"},
    "r1-reward-rl": {"message": json.dumps([user([{"type": "text", "text": R1}, {"type": "image", "image": "i.png"}])]),
                     "question": Q, "answer": ["<answer>2</answer>"]},
    "multi-crit": {"image": "i.png", "question_id": "3", "image_path": "i.png", "question": Q, "pred_a": BAD, "pred_b": GOOD,
                   "model_a": "m1", "model_b": "m2", "split": "open_ended", "criterion": "Clarity", "preference": "B", "prompt_id": "p"},
    "ixc": {"id": 0, "conversations_a": [{"from": "human", "value": Q}, {"from": "bot", "value": GOOD}],
            "conversations_b": [{"from": "human", "value": Q}, {"from": "bot", "value": BAD}], "image": "./i.png"},
    "vlfeedback": {"id": "svit-1", "prompt": Q, "models": ["a", "b"], "img_path": "i.png", "completions": [
        {"model": "a", "response": BAD, "annotations": rated(Helpfulness="2", Ethical="5")},
        {"model": "b", "response": GOOD, "annotations": rated(Helpfulness="5", Ethical="5")}]},
}  # fmt: skip


def written(folder: Path, rows: list[dict[str, Any]], suffix: str = ".jsonl") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "i.png").write_bytes(PICTURE)
    path = folder / f"data{suffix}"
    if suffix == ".jsonl":
        path.write_text("".join(json.dumps(r) + "\n" for r in rows))
    elif suffix == ".json":
        path.write_text(json.dumps(rows, indent=1))
    elif suffix == ".parquet":
        pd.DataFrame(rows).to_parquet(path)
    else:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), delimiter="\t" if suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows({k: json.dumps(v) if isinstance(v, list | dict) else v for k, v in r.items()} for r in rows)  # fmt: skip
    return path


def read(folder: Path, rows: list[dict[str, Any]], suffix: str = ".jsonl", **how: Any) -> list[Row]:
    return list(BENCHMARKS["own"].open(written(folder, rows, suffix), **how).rows())


def preferred(row: Row) -> str:
    assert row.comparison and row.comparison.preferred is not None, row.problem
    return row.comparison.responses[row.comparison.preferred]


@pytest.mark.parametrize("suffix", [".jsonl", ".json", ".csv", ".tsv", ".parquet"])
@pytest.mark.parametrize("name", ROWS)
def test_a_format_is_recognised_by_its_columns_and_read(tmp_path, name, suffix) -> None:
    loaded = BENCHMARKS["own"].open(written(tmp_path, [ROWS[name], ROWS[name]], suffix))
    row, again = loaded.rows()
    assert loaded.provenance["format"] == FORMATS[name].title
    assert row.problem == "" and row.comparison and row.comparison.prompt == Q
    assert set(row.comparison.responses) == {GOOD, BAD} and preferred(row) == GOOD
    assert row.comparison.load_image().getpixel((3, 3)) == (255, 0, 0) and row.comparison.turns == ()
    assert row.key == again.key
    named = BENCHMARKS["own"].open(tmp_path / f"data{suffix}", format=name)
    assert [r.key for r in named.rows()] == [row.key, row.key]


def test_every_format_has_a_row_here() -> None:
    assert set(ROWS) == set(FORMATS) - {"own"}


def test_a_datasets_folder_of_trl_keeps_pictures_encoded(tmp_path) -> None:
    import datasets

    rows = [
        {**ROWS["trl"], "images": [{"bytes": data, "path": None}]} for data in (PICTURE, b"not a picture")
    ]
    data = datasets.Dataset.from_list(rows).cast_column("images", datasets.List(datasets.Image()))
    data.save_to_disk(str(tmp_path / "saved"))
    good, bad = BENCHMARKS["own"].open(tmp_path / "saved").rows()
    assert good.comparison and good.comparison.load_image().size == (16, 16) and preferred(good) == GOOD
    assert bad.comparison and bad.key != good.key
    found = check(tmp_path / "saved")
    assert (found.named, found.found) == (2, 1) and "not a picture" in found.problems[0]


def test_a_folder_of_pictures_with_a_table(tmp_path) -> None:
    written(tmp_path / "set", [{"file_name": "i.png", "prompt": Q, "chosen": GOOD, "rejected": BAD}])
    (row,) = BENCHMARKS["own"].open(tmp_path / "set").rows()
    assert preferred(row) == GOOD and row.comparison.load_image().size == (16, 16)  # type: ignore[union-attr]


def test_an_unknown_format_is_said(tmp_path) -> None:
    with pytest.raises(BenchmarkError, match="There is no format 'nonsense': use one of rlhf-v"):
        BENCHMARKS["own"].open(written(tmp_path, [ROWS["trl"]]), format="nonsense")


# -- what is particular to a format ---------------------------------------------------------------------------


@pytest.mark.parametrize("as_columns", [False, True], ids=["a list", "as datasets keeps it"])
def test_ratings_become_pairs(tmp_path, as_columns) -> None:
    ratings = [("4", "5"), ("2", "5"), ("4", "5"), ("N/A", "N/A")]
    completions: Any = [
        {"model": f"m{i}", "response": f"r{i}", "annotations": rated(Helpfulness=a, Visual=b)} for i, (a, b) in enumerate(ratings)
    ]  # fmt: skip
    if as_columns:
        completions = {k: [c[k] for c in completions] for k in completions[0]}
    rows = read(tmp_path, [{**ROWS["vlfeedback"], "completions": completions}, ROWS["vlfeedback"]])
    # r0 and r2 are equal, r3 has no rating: what remains is r0 over r1 and r2 over r1
    assert [(preferred(r), r.cluster, r.id) for r in rows] == [
        ("r0", "svit-1", "svit-1 1-2"), ("r2", "svit-1", "svit-1 2-3"), (GOOD, "svit-1", "svit-1 1-2"),
    ]  # fmt: skip
    assert [r.index for r in rows] == [0, 1, 2] and [r.place for r in rows] == [0, 0, 1]


def test_a_tie_is_a_label_without_a_preferred_response(tmp_path) -> None:
    (row,) = read(tmp_path, [{**ROWS["mllm-judge"], "human_answer": "C"}])
    assert row.comparison and row.comparison.preferred is None and row.label.tie
    (row,) = read(tmp_path, [{**ROWS["mm-rlhf"], "is_tie": True}])
    assert row.comparison and row.comparison.preferred is None and row.label.tie
    (row,) = read(tmp_path, [{**ROWS["mllm-judge"], "human_answer": "D"}])
    assert row.comparison is None and "column human_answer: 'D' where A, B or C" in row.problem


def test_a_picture_inside_a_response_of_mmrb2_is_refused(tmp_path) -> None:
    drawn = {"response_content": [["text", "Here:"], ["image", "i.png"]]}
    file = tmp_path / "data.json"
    written(tmp_path, [])
    file.write_text(json.dumps({"pairs": [ROWS["mmrb2"], {**ROWS["mmrb2"], "response_b": drawn}]}))
    good, bad = BENCHMARKS["own"].open(file).rows()
    assert preferred(good) == GOOD
    assert bad.problem == "row 1, column response_b: a picture inside a response is not supported"


@pytest.mark.parametrize(
    ("text", "outcome"),
    [
        ("The first response is better than the second.", BAD),
        ("Overall, the second response is slightly better.", GOOD),
        ("Both responses are equally good.", None),
        ("The first response is better at colours, but the second response is better overall.", "refused"),
        ("I like neither.", "refused"),
    ],
)
def test_the_critics_sentence_is_the_label(tmp_path, text, outcome) -> None:
    raw = {**ROWS["llava-critic"], "conversations": [{"from": "human", "value": CRITIC}, {"from": "gpt", "value": text}]}  # fmt: skip
    (row,) = read(tmp_path, [raw])
    if outcome == "refused":
        assert row.comparison is None and "does not say once which response is better" in row.problem
    elif outcome is None:
        assert row.label.tie
    else:
        assert preferred(row) == outcome


def test_pointwise_rows_of_a_critic_have_nothing_to_compare(tmp_path) -> None:
    talk = [{"from": "human", "value": "Score the response out of 100.\nThe LMM response: [x]"}, {"from": "gpt", "value": "80"}]  # fmt: skip
    (row,) = read(tmp_path, [{"id": "1", "image": "i.png", "conversations": talk}])
    assert "it scores one response" in row.problem


def test_alpaca_rows_of_llama_factory(tmp_path) -> None:
    raw = {"instruction": "Answer.", "input": Q, "chosen": GOOD, "rejected": BAD, "images": ["i.png"], "system": "Be brief.",
           "history": [["Hello", "Hi"]]}  # fmt: skip
    (row,) = read(tmp_path, [raw])
    assert row.comparison and row.comparison.prompt == f"Answer.\n{Q}" and preferred(row) == GOOD
    assert [(t.role, t.text) for t in row.comparison.turns] == [
        ("system", "Be brief."), ("user", "Hello"), ("assistant", "Hi"),
    ]  # fmt: skip


def test_ms_swift_with_rejected_messages_and_a_system_turn(tmp_path) -> None:
    system = {"role": "system", "content": "Be brief."}
    raw = {"messages": [system, user(f"<image>{Q}"), says(GOOD)], "images": ["i.png"],
           "rejected_messages": [system, user(f"<image>{Q}"), says(BAD)], "rejected_images": ["i.png"]}  # fmt: skip
    (row,) = read(tmp_path, [raw])
    assert row.problem == "" and preferred(row) == GOOD and len(row.comparison.turns) == 1  # type: ignore[union-attr]
    (row,) = read(tmp_path, [{**raw, "rejected_images": ["other.png"]}])
    assert "another picture for the rejected response" in row.problem
    (row,) = read(tmp_path, [{**raw, "rejected_messages": [user("Another?"), says(BAD)]}])
    assert "asks something else" in row.problem


def test_hh_texts_are_chats(tmp_path) -> None:
    raw = {
        "chosen": f"\n\nHuman: {Q}\n\nAssistant: {GOOD}",
        "rejected": f"\n\nHuman: {Q}\n\nAssistant: {BAD}",
    }
    (row,) = read(tmp_path, [raw])
    assert row.comparison and row.comparison.prompt == Q and preferred(row) == GOOD


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ({"role": "tool", "content": "x"}, "a turn of the role 'tool'"),
        ({"role": "user", "content": [{"type": "video", "video": "v.mp4"}]}, "a part of the kind 'video'"),
        ({"role": "user", "content": 7}, "content is int"),
        ({"role": "user"}, "not a chat of messages"),
        ({"content": "x"}, "not a chat of messages"),
    ],
)
def test_what_a_chat_holds_that_is_not_supported_is_named(tmp_path, message, words) -> None:
    (row,) = read(tmp_path, [{**ROWS["trl"], "prompt": [message, user(Q)]}])
    assert row.comparison is None and "column prompt" in row.problem and words in row.problem


# -- labels ---------------------------------------------------------------------------------------------------


def column(tmp_path: Path, values: list[Any], suffix: str = ".jsonl", name: str = "preferred") -> list[str]:
    """What each label was read as: the preferred response, "tie", "none", or the problem."""
    raws = [{"prompt": f"{i}?", "responses": ["first", "second"], name: v} for i, v in enumerate(values)]
    out = []
    for row in read(tmp_path, raws, suffix):
        if row.comparison is None:
            out.append("refused")
        else:
            out.append(
                "tie" if row.label.tie else "none" if row.comparison.preferred is None else preferred(row)
            )
    return out


F, S, R = "first", "second", "refused"


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
@pytest.mark.parametrize(
    ("values", "meaning"),
    [
        ([0, 1, 0], [F, S, F]),
        ([1, 2, 1], [F, S, F]),
        (["A", "B", "a"], [F, S, F]),
        (["0.0", "1.0", "0.0"], [F, S, F]),
        ([1.0, 2.0], [F, S]),
        (["1", "2", ""], [F, S, "none"]),
        ([True, False], [R, R]),
        ([0, 1, 2], [R, R, R]),
        ([1, 1, 1], [R, R, R]),
        (["Response 1", "Response 2"], [F, S]),
        (["Response 1", "response 1"], [F, F]),
        (["response_a", "response_b", "tie"], [F, S, "tie"]),
        (["[[A]]", "[[B]]"], [F, S]),
        (["first", "The second response is better."], [F, S]),
        (["A", "B", 1], [F, S, R]),
        (["A", "C"], [F, R]),
        (["A", "maybe"], [F, R]),
        ([0, 1, -1], [R, R, R]),
        ([0, 1, 0.5], [R, R, R]),
        ([0, 1, 2.5], [F, S, R]),
    ],
)
def test_a_label_means_what_its_column_says(tmp_path, values, meaning, suffix) -> None:
    assert column(tmp_path, values, suffix) == meaning


def test_the_decision_is_said(tmp_path) -> None:
    for values, words in (([0, 1], "from 0"), ([1, 2], "from 1"), (["A", "B"], "letters"), ([1, 1], "is not understood"), ([True], "true and false")):  # fmt: skip
        raws = [{"prompt": "?", "responses": ["x", "y"], "label": v} for v in values]
        (decision,) = BENCHMARKS["own"].open(written(tmp_path, raws)).provenance["decisions"]
        assert words in decision and "label" in decision


def test_ranks_and_scores(tmp_path) -> None:
    assert column(tmp_path, [[0, 1], [1, 0], [2, 1], [1, 1], [0, 5], [0.5, 1]], name="ranking") == [F, S, S, "tie", R, R]  # fmt: skip
    assert column(tmp_path, [[4.5, 3], ["2", "9"], [3, 3], [1], ["x", 1]], name="scores") == [
        F,
        S,
        "tie",
        R,
        R,
    ]


def test_a_label_may_name_a_column(tmp_path) -> None:
    raws = [{"Prompt": Q, "Output0": "x", "Output1": "y", "Better": b} for b in ("Output1", "Output1")]
    assert [preferred(r) for r in read(tmp_path, raws)] == ["y", "y"]
    raws = [{"question": Q, "responses": ["red circle", "blue circle"], "preferred": "blue circle"}]
    assert [preferred(r) for r in read(tmp_path, raws)] == ["blue circle"]
    raws = [{"question": Q, "response_a": 3, "response_b": 4, "score_a": 1, "score_b": "2.5"}]
    assert [preferred(r) for r in read(tmp_path, raws)] == ["4"]
    raws = [{"question": Q, "answer1": "x", "answer2": "y", "winner": 1}]
    assert [preferred(r) for r in read(tmp_path, raws)] == ["x"]


def test_several_rejected_responses_and_named_models(tmp_path) -> None:
    (row,) = read(tmp_path, [{"prompt": Q, "chosen": GOOD, "rejected": [BAD, "blue"]}])
    assert preferred(row) == GOOD and len(row.comparison.responses) == 3  # type: ignore[union-attr]
    (row,) = read(tmp_path, [{"prompt": Q, "responses": {"llava": BAD, "gpt": GOOD}, "preferred": "B"}])
    assert preferred(row) == GOOD


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(2, 5)), min_size=1, max_size=20))
def test_numbers_are_read_rightly_or_not_at_all(cells) -> None:
    """Whoever counts from 0 or from 1 throughout never has a label read as another response."""
    for start in (0, 1):
        rows = [(min(best, n - 1), n) for best, n in cells]
        counted: dict[tuple[labels.Token, int], int] = {}
        for best, n in rows:
            counted[labels.token(best + start), n] = 1
        found = labels.decide("c", counted)
        for best, n in rows:
            try:
                assert found.read(best + start, n).preferred == best
            except RowProblem:
                assert found.start is None


# -- identities, repetitions ------------------------------------------------------------------------------------


def test_ids_that_the_file_does_not_have_are_never_found_to_repeat(tmp_path) -> None:
    from core.benchmarks.findings import findings

    rows = read(tmp_path, [{"prompt": Q, "chosen": GOOD, "rejected": BAD, "image": i} for i in ("i.png", "j.png")])  # fmt: skip
    assert [f.kind for f in findings(rows)] == [] and [r.id for r in rows] == ["row 0", "row 1"]


def test_equal_responses_are_said(tmp_path) -> None:
    from core.benchmarks.findings import findings
    from core.judges.rules import longer
    from core.runs.runner import Job, run

    rows = [{"prompt": Q, "chosen": GOOD, "rejected": GOOD}, {"prompt": Q, "chosen": GOOD, "rejected": BAD}]
    assert [f.kind for f in findings(read(tmp_path, rows))] == ["responses are the same text"]
    assert check(tmp_path / "data.jsonl").equal == 1
    done = run(Job(BENCHMARKS["own"].open(tmp_path / "data.jsonl"), longer(), tmp_path / "run"))
    assert done and done.manifest.stats["findings"]["responses are the same text"]["first"][0][0] == [0]
    assert done.manifest.provenance["format"] == "the general form"


def test_the_template_is_read_as_it_says(tmp_path) -> None:
    (tmp_path / "t.jsonl").write_text(template())
    found = check(tmp_path / "t.jsonl")
    assert found.rows == found.readable == found.labelled == 2 and found.missing == 2


# -- any table, any form: the same comparisons and keys ---------------------------------------------------------

WORDS = st.text(st.characters(codec="utf-8", exclude_characters="\r\0\x1a"), min_size=1, max_size=30).filter(
    lambda t: t.strip() and "<" not in t and not t.lstrip().startswith(("[", "{", "\n\nHuman:"))
)
TABLE = st.lists(
    st.tuples(WORDS, WORDS, WORDS, st.sampled_from(["A", "B", ""]), st.sampled_from([["i.png"], ["i.png", "i.png"], []])),
    min_size=1, max_size=5,
)  # fmt: skip


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(TABLE)
def test_a_table_in_any_form_gives_the_same_comparisons_and_keys(tmp_path_factory, table) -> None:
    folder = tmp_path_factory.mktemp("t")
    plain = [
        {"prompt": p, "responses": [a, b], "preferred": label, "images": i} for p, a, b, label, i in table
    ]
    chats = [
        {**r, "prompt": [user(r["prompt"])], "responses": [[says(t)] for t in r["responses"]]} for r in plain
    ]
    parts = [{**r, "prompt": [user([*({"type": "image", "image": n} for n in r["images"]), {"type": "text", "text": r["prompt"]}])], "images": []}
             for r in plain]  # fmt: skip
    forms = [(plain, s) for s in (".jsonl", ".json", ".csv", ".tsv", ".parquet")]
    forms += [(chats, ".jsonl"), (chats, ".csv"), (parts, ".jsonl"), (parts, ".csv")]
    seen = []
    for rows, suffix in forms:
        found = read(folder, rows, suffix)
        assert len(found) == len(table)
        seen.append([
            (r.key, r.comparison and (r.comparison.prompt, r.comparison.responses, r.comparison.preferred, len(r.comparison.more_images)))
            for r in found
        ])  # fmt: skip
    assert all(s == seen[0] for s in seen)
    assert all(c for _, c in seen[0])


# -- no input ends in a traceback -------------------------------------------------------------------------------


def faults(found: Report) -> list[str]:
    """Rows that the reader did not refuse on purpose."""
    return [r.first for r in found.reasons.found.values() if UNEXPECTED in r.first]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 5) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["i.png", "user", "assistant", "image", "text", "[1, 2]", '[{"role": "user"}]', "<image>", "\ud83d", "A"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(st.sampled_from(["role", "content", "from", "value", "type", "text", "image", "bytes", "path", "answer", "response",
                                       "annotations", "response_content", "Rating"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip
COLUMNS = sorted({k for r in ROWS.values() for k in r} | {"preferred", "label", "responses", "human_ranking", "scores", "history", "system", "video"})  # fmt: skip


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(st.dictionaries(st.sampled_from(COLUMNS), JSON, max_size=7), min_size=1, max_size=3),
    st.sampled_from([None, *FORMATS]),
)
def test_any_json_is_read_or_refused_in_words(tmp_path_factory, rows, name) -> None:
    folder = tmp_path_factory.mktemp("j")
    try:
        found = check(written(folder, rows), format=name)
    except BenchmarkError as error:
        assert str(error)
    else:
        assert found.lines() and found.rows >= 1 and not faults(found)


@settings(deadline=None, max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(sorted(ROWS)), st.data())
def test_a_row_of_a_format_with_one_column_spoilt_is_read_or_refused_in_words(
    tmp_path_factory, name, data
) -> None:
    spoilt = dict(ROWS[name])
    spoilt[data.draw(st.sampled_from(sorted(spoilt)))] = data.draw(JSON)
    folder = tmp_path_factory.mktemp("s")
    found = check(written(folder, [ROWS[name], spoilt, ROWS[name]]))
    assert found.rows >= 3 and found.readable >= 2 and found.lines() and not faults(found)


@settings(deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.binary(max_size=300), st.sampled_from([".jsonl", ".json", ".csv", ".tsv", ".parquet"]), st.booleans()
)
def test_any_bytes_are_read_or_refused_in_words(tmp_path_factory, data, suffix, after_a_good_row) -> None:
    folder = tmp_path_factory.mktemp("b")
    path = written(folder, [{"prompt": Q, "chosen": GOOD, "rejected": BAD}], suffix)
    path.write_bytes(path.read_bytes() + data if after_a_good_row else data)
    try:
        found = check(path)
        assert found.lines() and not faults(found)
    except BenchmarkError as error:
        assert str(error)


# -- limits ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".jsonl", ".csv"])
def test_a_line_beyond_the_limit_is_one_row_left_out(tmp_path, monkeypatch, suffix) -> None:
    from core.benchmarks import source

    monkeypatch.setattr(source, "MAX_LINE", 5000)
    before = csv.field_size_limit(5000)
    try:
        rows = [{"prompt": "x" * n, "chosen": GOOD, "rejected": BAD} for n in (10, 12_000, 20)]
        good, *bad, after = read(tmp_path, rows, suffix)
    finally:
        csv.field_size_limit(before)
    assert good.comparison and after.comparison and bad
    assert any("longer than" in r.problem for r in bad) and all(r.comparison is None for r in bad)


def test_a_large_json_file_is_refused_with_the_way_out(tmp_path, monkeypatch) -> None:
    from core.benchmarks import source

    path = written(tmp_path, [ROWS["trl"]], ".json")
    monkeypatch.setattr(source, "MAX_JSON", 100)
    with pytest.raises(BenchmarkError, match="save it as JSON Lines"):
        BENCHMARKS["own"].open(path)


@pytest.mark.parametrize(
    ("name", "content", "format_"),
    [
        ("lines.json", '{"prompt": "a?", "chosen": "x", "rejected": "y"}\n{"prompt": "b?", "chosen": "x", "rejected": "y"}\n', None),
        ("array.jsonl", '[{"prompt": "a?", "chosen": "x", "rejected": "y"},\n {"prompt": "b?", "chosen": "x", "rejected": "y"}]', None),
        ("wrapped.json", '{"data": [{"prompt": "a?", "chosen": "x", "rejected": "y"}, {"prompt": "b?", "chosen": "x", "rejected": "y"}]}', None),
        ("semicolons.csv", "prompt;chosen;rejected\na?;x;y\nb?;x;y\n", None),
        ("marked.csv", "\ufeffprompt,chosen,rejected\na?,x,y\nb?,x,y\n", None),
        ("capitals.csv", "Prompt, Chosen ,REJECTED\na?,x,y\nb?,x,y\n", None),
        ("late.jsonl", 'broken\n{"prompt": "a?", "chosen": "x", "rejected": "y"}\n{"prompt": "b?", "chosen": "x", "rejected": "y"}\n', None),
    ],
)  # fmt: skip
def test_files_that_are_good_are_not_refused(tmp_path, name, content, format_) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8")
    rows = [r for r in BENCHMARKS["own"].open(tmp_path / name, format=format_).rows() if r.comparison]
    assert [r.comparison.prompt for r in rows if r.comparison] == ["a?", "b?"]

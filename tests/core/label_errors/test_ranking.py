"""Suspected labels against hand-made runs whose faults are known, brute force, and a release with known errors."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from core.benchmarks import BENCHMARKS, Row
from core.judges.rules import longer
from core.label_errors import contradictions
from core.label_errors.contradictions import words
from core.label_errors.issue import LabelIssue
from core.label_errors.ranking import label_issues
from core.label_errors.report import report
from core.label_errors.words import reason_words
from core.records import Comparison, Condition, JudgeCard, Judgement, OODScore, content_hash
from core.runs.manifest import Manifest, RunError
from core.runs.run import Run, open_run
from core.runs.runner import Job
from core.runs.runner import run as run_job
from core.runs.schema import SCHEMA, row_of
from tests import releases

ROOT = Path(__file__).parents[3]
SCENE = ROOT / "assets" / "runs" / "scene"
RELEASE = ROOT.parent / "shared" / "data" / "vl_rewardbench" / "unifiedreward_data.json"
CLUSTERED = next(b.name for b in BENCHMARKS.values() if b.clustered)
LONG = "the quick brown fox jumps over the lazy dog near the old river bank while seven swans watch"


def row(prompt="What is it?", texts=("a cat", "a dog"), preferred=0, id_="", picture="", reference=""):
    """A row as a loader would give it; picture: what the run stores of it, reference: what the data says of it."""
    return {"prompt": prompt, "texts": tuple(texts), "preferred": preferred, "id": id_, "picture": picture,
            "reference": reference or picture}  # fmt: skip


def make(
    folder: Path,
    rows,
    margins=None,
    judge="judge",
    benchmark="own",
    swapped=False,
    blank=False,
    kind="gated",
    outside=(),
    **how,
) -> Run:
    """margins: preferred over best other, one per row, None for a row that was not judged."""
    folder.mkdir(parents=True)
    condition = Condition.SHUFFLED if swapped else Condition.BLANK if blank else Condition.AS_GIVEN
    card = JudgeCard(judge, judge, kind, fingerprint="w")
    Manifest(benchmark, "T", "t.jsonl", "", card, condition, None, 4, 16, "", 0, stats=how).save(folder)
    table = []
    for i, r in enumerate(rows):
        key = content_hash(r["prompt"], *sorted(r["texts"]), r["reference"])
        comparison = Comparison(key, None, r["prompt"], r["texts"], r["preferred"]) if r["texts"] else None
        stored = tuple(range(len(r["texts"])))
        row_ = Row(i, key, r["id"] or f"id{i}", "", r["id"] or f"id{i}", comparison, stored)
        margin, judged = margins[i] if margins else None, None
        if margin is not None and comparison:
            rewards = [margin if k == (r["preferred"] or 0) else 0.0 for k in stored]
            judged = Judgement(
                key, judge, tuple(rewards), ood=OODScore(3.0 if i in outside else 1.0, 2.0, i in outside)
            )
        table.append(row_of(row_, judged, "", r["picture"].encode() or None))
    pq.write_table(pa.Table.from_pylist(table, SCHEMA), folder / "judgements.parquet")
    return open_run(folder)


def words_of(found: LabelIssue) -> list[str]:
    assert json.loads(json.dumps(found.reasons)) == list(found.reasons)  # the store keeps them as JSON
    return [reason_words(r) for r in found.reasons]


def tiers(tmp_path, rows, **kw) -> list[int]:
    found = label_issues([make(tmp_path / str(len(list(tmp_path.iterdir()))), rows, **kw)])
    return [s.tier for s in sorted(found, key=lambda s: s.row)]


# -- contradictions ----------------------------------------------------------------------------------------


def test_opposite_labels_under_one_picture_contradict_each_other(tmp_path) -> None:
    pair = [row(picture="p"), row(texts=("a dog", "A CAT."), preferred=0, picture="p")]
    other = row(prompt="Where?", picture="p")
    found = label_issues([make(tmp_path / "a", [other, *pair], [1.0, 3.0, 1.0])])
    assert [(s.row, s.tier) for s in found] == [(2, 0), (1, 0), (0, 2)]
    # equal weights, scale 1: asinh(3) for row 1 and asinh(1) for row 2, the mean of both testimonies
    odds = np.exp((np.arcsinh(3) - np.arcsinh(1)) / 2)
    assert found[0].wrong == pytest.approx(odds / (1 + odds)) and found[0].wrong + found[1].wrong == pytest.approx(1)  # fmt: skip
    assert (
        "Row 1 asks the same question" in words_of(found[0])[0] and "word for word" in words_of(found[0])[0]
    )


def test_other_pictures_are_other_questions(tmp_path) -> None:
    assert tiers(tmp_path, [row(picture="p"), row(preferred=1, picture="q")]) == [2, 2]
    twins = [row(reference="p.png"), row(preferred=1, reference="q.png")]
    assert tiers(tmp_path, twins) == [2, 2]
    for id_ in (
        "",
        "x",
    ):  # long texts, and rows of one id: only the key tells that the data named two pictures
        long = [row(texts=(LONG, LONG[::-1]), preferred=i, reference=f"{i}.png", id_=id_) for i in (0, 1)]
        assert tiers(tmp_path, long) == ([1, 1] if id_ else [2, 2])
    same_id = [{**r, "id": "x"} for r in (row(picture="p"), row(preferred=1, picture="q"))]
    assert tiers(tmp_path, same_id) == [2, 2]
    assert tiers(tmp_path, [row(reference="p.png"), row(preferred=1, reference="p.png")]) == [0, 0]


def test_short_texts_prove_nothing_without_a_picture(tmp_path) -> None:
    short = [row(texts=("Yes.", "No."), reference="p"), row(texts=("no", "yes"), reference="q")]
    assert tiers(tmp_path, short) == [2, 2]
    long = [row(texts=(LONG, LONG[::-1]), reference="p"), row(texts=(LONG[::-1], LONG + "!"), reference="q")]
    assert tiers(tmp_path, long) == [0, 0]
    found = label_issues([make(tmp_path / "said", long)])
    assert "pictures were not available" in words_of(found[0])[0] and found[0].wrong == 0.5


def test_the_middle_of_a_ranking_is_no_contradiction_unless_the_ids_agree(tmp_path) -> None:
    chain = [row(texts=("a", "b"), picture="p", id_="1"), row(texts=("b", "c"), picture="p", id_="2")]
    assert tiers(tmp_path, chain) == [2, 2]
    same = [{**r, "id": "1"} for r in chain]
    assert tiers(tmp_path, same) == [0, 0]
    assert tiers(tmp_path, same, benchmark=CLUSTERED) == [2, 2]  # its ids repeat by design
    reversed_ = [same[0], {**same[0], "preferred": 1}]
    assert tiers(tmp_path, reversed_, benchmark=CLUSTERED) == [0, 0]


def test_repeats_come_after_contradictions_and_groups_stay_together(tmp_path) -> None:
    rows = [row("A?"), row("B?", picture="b"), row("C?", id_="twice"), row("D?", id_="twice"), row("A?", preferred=1),
            row("B?", picture="b"), row("B?", picture="b", preferred=1), row("F?")]  # fmt: skip
    found = label_issues([make(tmp_path / "a", rows, [5.0, 1.0, 2.0, 3.0, -5.0, 1.0, -1.0, -9.0])])
    order = [s.row for s in found]
    assert [s.tier for s in found] == [0] * 5 + [1] * 2 + [2]
    assert order[:3] == [6, 1, 5] and order[3:] == [
        4,
        0,
        2,
        3,
        7,
    ]  # three rows hold more wrong labels than two
    assert any("Its id also stands at row 3." in words_of(s) for s in found)
    pairs = [
        row(q, preferred=i, picture=q) for i in (0, 1) for q in ("A?", "B?")
    ]  # interleaved, and never judged
    assert [s.row for s in label_issues([make(tmp_path / "b", pairs)])] == [0, 2, 1, 3]


# -- near duplicates ---------------------------------------------------------------------------------------

WORDS = [f"w{c}" for c in "bcdfg"]
texts_near = st.lists(st.sampled_from(WORDS), min_size=30, max_size=34).flatmap(
    lambda t: st.lists(st.tuples(st.integers(0, 29), st.sampled_from(WORDS)), max_size=6).map(
        lambda edits: [" ".join([*t[:i], w, *t[i + 1 :]]) for i, w in edits] + [" ".join(t), " ".join(t[1:])]
    )
)


def plain_similarity(a: str, b: str) -> float:
    first, second = ({tuple(t[i : i + 3]) for i in range(len(t) - 2)} for t in (a.split(), b.split()))
    return len(first & second) / len(first | second)


@settings(max_examples=60, deadline=None)
@given(st.lists(texts_near, min_size=1, max_size=3))
def test_near_texts_are_those_that_brute_force_finds(groups) -> None:
    texts = {t for g in groups for t in g}
    expected = {t: {t} for t in texts}
    for a, b in combinations(sorted(texts), 2):
        if plain_similarity(a, b) >= contradictions.NEAR and expected[a] is not expected[b]:
            expected[a] |= expected[b]
            for t in expected[b]:
                expected[t] = expected[a]
    found = contradictions._likes({words(t) for t in texts}, True)
    for a, b in combinations(sorted(texts), 2):
        assert (found[words(a)] == found[words(b)]) == (b in expected[a])


def test_one_number_letter_or_negation_makes_another_text() -> None:
    base = words(LONG + " " + LONG + " and then the answer is B with 3.91 inches")
    for change in (("b", "c"), ("3.91", "3.19"), ("quick", "not")):
        assert contradictions.similarity(base, tuple(change[1] if w == change[0] else w for w in base)) == 0
    assert words("x = -5") != words("x = 5") and words("The cat, sat!") == words("the  cat sat")


def test_near_duplicates_with_opposite_labels_say_how_near(tmp_path) -> None:
    a, b = " ".join(WORDS * 30) + " one", "quite another answer to the question"
    near = [row(texts=(a, b), picture="p"), row(texts=(a + " more words", b), preferred=1, picture="p")]
    assert tiers(tmp_path, near) == [
        2,
        2,
    ]  # each word is in few runs here: 5 different runs, 3 more, not 90 %
    rng = random.Random(0)
    a = " ".join(rng.choice(WORDS) for _ in range(200))
    near = [row(texts=(a, b), picture="p"), row(texts=(a + " more", b), preferred=1, picture="p")]
    found = label_issues([make(tmp_path / "near", near)])
    assert [s.tier for s in found] == [0, 0]
    assert f"{plain_similarity(a, a + ' more'):.0%} alike" in words_of(found[0])[0]
    agreeing = label_issues([make(tmp_path / "agreeing", [near[0], {**near[1], "preferred": 0}])])
    assert [s.tier for s in agreeing] == [2, 2] and "nearly the same comparison" in words_of(agreeing[0])[0]


def test_minimal_edits_do_not_contradict_themselves_or_their_copies(tmp_path) -> None:
    rng = random.Random(1)
    a = " ".join(rng.choice(WORDS) for _ in range(200))
    edit = [row(texts=(a, a + " more"), picture="p"), row(texts=(a + " more", a), preferred=1, picture="p")]
    assert tiers(tmp_path, edit) == [1, 1]  # one row twice
    assert tiers(tmp_path, [edit[0], {**edit[1], "preferred": 0}]) == [0, 0]


def test_a_text_is_matched_with_the_one_it_resembles_most(tmp_path) -> None:
    rng = random.Random(2)
    base, other = " ".join(rng.choice(WORDS) for _ in range(200)), "quite another answer to the question"
    a = row(texts=(base + " more more", other), picture="p", id_="x")
    b = row(
        texts=(base + " more", base), picture="p", id_="x"
    )  # rejects a near one, but prefers a nearer one
    assert tiers(tmp_path, [a, b]) == [1, 1]
    c = row(texts=(base + " more", other), picture="p", id_="x")  # prefers just what the minimal edit rejects
    edit = row(texts=(base + " more", base), preferred=1, picture="p", id_="x")
    assert tiers(tmp_path, [c, edit]) == [0, 0]


# -- the whole ---------------------------------------------------------------------------------------------


@st.composite
def data(draw):
    n = draw(st.integers(1, 25))
    rows = []
    for _ in range(n):
        k = draw(st.sampled_from([0, 2, 2, 2, 3]))
        texts = draw(st.permutations(["aa", "bb", "cc", "dd"]))[:k]
        preferred = draw(st.sampled_from([None, *range(k)])) if k else None
        rows.append(row(draw(st.sampled_from("PQ")), texts, preferred, draw(st.sampled_from(["", "x", "y"])),
                        draw(st.sampled_from(["", "p", "q"]))))  # fmt: skip
    margins = draw(st.lists(st.sampled_from([None, -2.0, -0.5, 0.0, 1.0, 3.0]), min_size=n, max_size=n))
    return rows, margins, draw(st.randoms(use_true_random=False))


@settings(max_examples=60, deadline=None)
@given(data())
def test_every_labelled_row_once_whatever_order_its_responses_are_stored_in(tmp_path_factory, made) -> None:
    rows, margins, rng = made
    place = tmp_path_factory.mktemp("runs")
    found = label_issues([make(place / "a", rows, margins)])
    labelled = [i for i, r in enumerate(rows) if r["preferred"] is not None]
    assert sorted(s.row for s in found) == labelled
    assert [s.tier for s in found] == sorted(s.tier for s in found)
    assert all(s.reasons and (s.wrong is None or 0 <= s.wrong <= 1) for s in found)
    turned = []
    for r in rows:
        order = rng.sample(range(len(r["texts"])), len(r["texts"]))
        preferred = None if r["preferred"] is None else order.index(r["preferred"])
        turned.append({**r, "texts": tuple(r["texts"][i] for i in order), "preferred": preferred})
    again = label_issues([make(place / "b", turned, margins)])
    assert [(s.row, s.tier) for s in again] == [(s.row, s.tier) for s in found]
    np.testing.assert_allclose([s.wrong or -1 for s in again], [s.wrong or -1 for s in found])


def test_a_random_order_is_a_seeded_permutation_of_the_same_estimates() -> None:
    runs = [open_run(SCENE / "scalar")]
    first, again, other = (label_issues(runs, "random", seed) for seed in (1, 1, 2))
    assert first == again and [s.row for s in first] != [s.row for s in other]
    ranked = {s.row: s.wrong for s in label_issues(runs)}
    assert {s.row: s.wrong for s in first} == ranked and not any(s.reasons for s in first)
    assert 800 < np.mean([s.row for s in first[:200]]) < 1200  # the first of 2,024 are from everywhere
    with pytest.raises(ValueError, match="there is no order"):
        label_issues(runs, "best")


def test_runs_of_other_data_are_refused(tmp_path) -> None:
    rows = [row("A?"), row("B?")]
    a = make(tmp_path / "a", rows, data_hash="1")
    for name, other, message in (
        ("b", make(tmp_path / "b", rows, benchmark="mm-rlhf"), "benchmark is own in one and mm-rlhf"),
        ("c", make(tmp_path / "c", rows, data_hash="2"), "data hash"),
        ("d", make(tmp_path / "d", [rows[0], {**rows[1], "preferred": 1}]), "rows or labels differ"),
        ("e", make(tmp_path / "e", rows[:1]), "rows or labels differ"),
    ):
        with pytest.raises(RunError, match=f"a and {name} are not of the same data: .*{message}"):
            label_issues([a, other])
    for controls in ([], [make(tmp_path / "s", rows, swapped=True)]):
        with pytest.raises(RunError, match="no run to rank by"):
            label_issues(controls)


@pytest.fixture(scope="module")
def scene() -> list[LabelIssue]:
    return label_issues([open_run(SCENE / name) for name in ("vl-mdr", "vl-mdr-blind", "scalar")])


def test_twins_of_the_scene_world_are_not_suspected_of_contradiction(scene) -> None:
    assert len(scene) == 2024 and {s.tier for s in scene} == {2}
    swapped = [open_run(SCENE / n) for n in ("vl-mdr-swapped", "vl-mdr", "vl-mdr-blind", "scalar")]
    assert label_issues(swapped) == scene  # a control takes no part


def test_what_the_blind_judge_says_is_said(scene) -> None:
    margins = [
        open_run(SCENE / n).table(["margin"])["margin"].to_pylist() for n in ("vl-mdr", "vl-mdr-blind")
    ]
    for s in scene:
        seeing, blind = margins[0][s.row], margins[1][s.row]
        said = " ".join(words_of(s))
        assert ("the label may have been made from the texts alone" in said) == (seeing < 0 < blind)
        assert ("Shown a blank image, Rewardscope scene model still disagrees" in said) == (
            seeing < 0 and blind < 0
        )


def test_the_errors_of_an_imitated_release_come_first(tmp_path) -> None:
    key = releases.vl_rewardbench(tmp_path / "data.json")
    done = run_job(Job(BENCHMARKS["vl-rewardbench"].open(tmp_path / "data.json"), longer(), tmp_path / "r", keep_images=False))  # fmt: skip
    assert done
    found = label_issues([done])
    contradict, repeat = 2 * releases.BOTH_WAYS, 2 * releases.TWICE
    assert {s.row for s in found[:contradict]} == set(range(contradict))
    assert {s.row for s in found[contradict:repeat]} == set(range(contradict, repeat))
    assert [s.tier for s in found] == [0] * contradict + [1] * (repeat - contradict) + [2] * (
        len(key) - repeat
    )
    for a, b in zip(found[:contradict:2], found[1:contradict:2], strict=True):
        assert a.row // 2 == b.row // 2  # the two rows of one question stand together


@pytest.mark.skipif(not RELEASE.exists(), reason="needs the old release of VL-RewardBench")
def test_the_known_errors_of_a_real_release_come_first(tmp_path) -> None:
    loaded = BENCHMARKS["vl-rewardbench"].open(RELEASE)
    done = run_job(Job(loaded, longer(), tmp_path / "r", keep_images=False))
    assert done
    found = label_issues([done])
    raw = json.loads(RELEASE.read_text())
    ids: dict[str, list[int]] = {}
    for i, r in enumerate(raw):
        ids.setdefault(r["id"], []).append(i)
    twice = [pair for pair in ids.values() if len(pair) > 1]
    both_ways = set()
    for pair in twice:
        won, lost = ([raw[i]["response"][raw[i]["human_ranking"].index(k)] for i in pair] for k in (0, 1))
        both_ways |= set(pair) if won[0] == lost[1] or won[1] == lost[0] else set()
    assert len(twice) == 25 and len(both_ways) == 30
    assert {s.row for s in found[:30]} == both_ways
    assert {s.row for s in found[30:50]} == {r for pair in twice for r in pair} - both_ways
    assert [s.tier for s in found] == [0] * 30 + [1] * 20 + [2] * 1200
    for a, b in zip(found[:30:2], found[1:30:2], strict=True):
        assert [a.row, b.row] in twice or [b.row, a.row] in twice


# -- the report --------------------------------------------------------------------------------------------


def test_nothing_in_the_data_becomes_markup(tmp_path) -> None:
    evil = "````\n# head\n<script>x</script> [a](http://b) ![i](c) @me\n```` </code>"
    rows = [row(evil, (evil + "1", evil + "2"), id_="`` <b>x</b> `` @me")]
    run = make(tmp_path / "r", rows, [-1.0], judge="*bold* <i>judge</i> [l](http://x) https://y.z www.y.z")
    found = label_issues([run])
    said = "two of <u>two</u> said **wrong**\n\n# so"
    text = report([run], found, 5, {0: said})
    page = MarkdownIt("gfm-like", {"html": True, "linkify": False}).parse(text)
    blocks = [t.content for t in page if t.type == "fence"]
    assert blocks == [evil + "\n", evil + "1\n", evil + "2\n"]
    inline = [c for t in page if t.type == "inline" for c in t.children]
    assert {c.type for c in inline} <= {
        "text",
        "text_special",
        "code_inline",
        "strong_open",
        "strong_close",
        "softbreak",
    }
    assert [t.content for t in page if t.type == "heading_open" and t.tag == "h1"] == [""]
    assert not [t for t in page if t.type == "html_block"]
    shown = "".join(c.content for c in inline)
    assert "*bold* <i>judge</i> [l](http://x)" in shown and "two of <u>two</u> said **wrong** # so" in shown
    assert "`` <b>x</b> `` @me" in shown


def test_the_report_says_what_it_rests_on(tmp_path) -> None:
    rows = [row("A?", picture="p"), row("A?", preferred=1, picture="p"), row("B?"), row("x" * 5000)]
    run = make(tmp_path / "r", rows, [1.0, -1.0, 2.0, 3.0], data_hash="abc")
    text = report([run], label_issues([run]), 2)
    for part in ("`own`", "`t.jsonl`", "`abc`", "weights `w`", "2 contradict another row", "2 have nothing", "## 2. Row 0",
                 "The label prefers response B (number 2 in the file)", open_key(run, 1)):  # fmt: skip
        assert part in text
    assert "## 3." not in text and "by people" not in text
    last = [s for s in label_issues([run]) if s.row == 3]
    assert "more characters)" in report([run], last, 1) and len(report([run], last, 1)) < 3000
    assert "estimated to be wrong: over 99%" in report([run], [replace(last[0], wrong=0.9999)], 1)


def open_key(run: Run, number: int) -> str:
    return run.table(["key"])["key"].to_pylist()[number]


def test_the_command_writes_a_report_or_says_why_not(tmp_path) -> None:
    command = [sys.executable, "-m", "core", "label-errors", "--run", str(SCENE / "scalar")]
    out = ["--most", "2", "--output", str(tmp_path / "r.md")]
    subprocess.run([*command, *out], cwd=ROOT, check=True, capture_output=True)
    assert (tmp_path / "r.md").read_text().count("\n## ") == 2
    make(tmp_path / "other", [row()])
    done = subprocess.run(
        [*command, "--run", str(tmp_path / "other")], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode and "Cannot rank: scalar and other are not of the same data" in done.stderr


def test_a_rule_accuses_no_label_and_the_report_says_so(tmp_path) -> None:
    """Release 0.1 let `longer` estimate a label to be wrong with 90 %, in a report made to be posted."""
    rows = [row(f"q{i}", (f"a{i}", f"b{i}")) for i in range(60)]
    margins = [-900.0 if i == 7 else 2.0 for i in range(60)]
    rule = make(tmp_path / "rule", rows, margins, judge="longer wins", kind="rule")
    found = label_issues([rule])
    assert all(s.wrong is None and words_of(s) == ["No judge has judged this row."] for s in found)
    assert (
        "longer wins is a rule over the texts: it takes no part in the estimates and accuses no label"
        in report([rule], found, 3)
    )
    model = make(tmp_path / "model", rows, margins, judge="model")
    both, alone = label_issues([model, rule]), label_issues([model])
    assert both[0].row == alone[0].row == 7
    assert {s.row: s.wrong for s in both} == pytest.approx({s.row: s.wrong for s in alone}, abs=1e-5)
    assert not any("longer" in w for s in both for w in words_of(s))


def test_what_a_judge_says_of_an_image_it_was_not_made_for_is_no_evidence(tmp_path) -> None:
    rows = [row(f"q{i}", (f"a{i}", f"b{i}")) for i in range(60)]
    margins = [-5.0 if i in (7, 8) else 2.0 for i in range(60)]
    run = make(tmp_path / "r", rows, margins, outside={8})
    found = {s.row: s for s in label_issues([run])}
    assert found[7].wrong and found[7].wrong > 0.5 and "judge prefers response B by 5." in words_of(found[7])
    assert found[8].wrong is None and words_of(found[8]) == [
        "The image is out of distribution for judge, so what it says of this row is left out."
    ]
    assert "1 of 60 images are out of distribution for judge" in report([run], list(found.values()), 3)

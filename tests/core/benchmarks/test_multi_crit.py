"""Multi-Crit: its rows, and its measures against a separate plain computation of the reference implementation's rules."""

from __future__ import annotations

import itertools
import json
import random

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from core.benchmarks import BENCHMARKS, BenchmarkError
from core.benchmarks.multi_crit import CRITERIA
from core.commands.measures import lines
from core.records import JudgeCard, Judgement
from core.runs import leaderboard
from core.runs.criteria import criteria_of
from core.runs.runner import Job, run


def row(split="open_ended", item="p1", criterion="clarity", preference="model_a", question_id=None, **more):
    return {
        "image": "i.png", "question_id": question_id or f"{split} {item} {criterion}", "image_path": "i.png", "question": "What is it?",
        "pred_a": f"Response one of {item}.", "pred_b": f"The other of {item}.", "model_a": "m1", "model_b": "m2", "split": split,
        "criterion": criterion, "preference": preference, "prompt_id": item, **more,
    }  # fmt: skip


def official(records):
    """PAcc, TOS, CMR and the mean of the criteria in percent by the reference rules. records: prompt_id, question_id,
    criterion, preference, prediction ("error" where there is none)."""
    seen, prompts = set(), {}
    for r in records:
        if r["question_id"] in seen:
            continue
        seen.add(r["question_id"])
        prompts.setdefault(r["prompt_id"], {})[r["criterion"]] = r
    hit = lambda r: r["prediction"] == r["preference"]  # noqa: E731
    pacc = [all(hit(r) for r in p.values()) for p in prompts.values()]
    tos, cmr = [], []
    for p in prompts.values():
        pairs = [
            (x, y) for x, y in itertools.combinations(p.values(), 2) if x["preference"] != y["preference"]
        ]
        cmr += [hit(x) and hit(y) for x, y in pairs]
        if pairs:
            tos.append(any(x["prediction"] != y["prediction"] and "error" not in (x["prediction"], y["prediction"]) for x, y in pairs))  # fmt: skip
    by = {}
    for p in prompts.values():
        for c, r in p.items():
            by.setdefault(c, []).append(hit(r))
    return [100 * float(np.mean(x)) for x in (pacc, tos, cmr)] + [float(np.mean([100 * np.mean(v) for v in by.values()]))]  # fmt: skip


def test_the_measures_are_those_of_the_reference(tmp_path):
    rng = random.Random(3)
    frame, records = [], {s: [] for s in CRITERIA}
    for split, names in CRITERIA.items():
        for item in range(60):
            for criterion in rng.sample(list(names), rng.randint(2, 5)):
                label, said = rng.choice("ab"), rng.choices(["a", "b", "error"], [5, 4, 1])[0]
                outcome = "tie" if said == "error" else "right" if said == label else "wrong"
                times = rng.choices([1, 2], [9, 1])[0]  # an id that stands twice counts once
                for again in range(times):
                    shown = outcome if not again else "right"
                    frame.append({"id": f"{split}{item}{criterion}", "cluster": f"{split} {item}", "subgroup": f"{split}--{criterion}",
                                  "outcome": shown, "preferred_stored": "ab".index(label)})  # fmt: skip
                    predicted = said if not again else label
                    records[split].append({"prompt_id": item, "question_id": f"{item}{criterion}", "criterion": criterion,
                                           "preference": label, "prediction": predicted})  # fmt: skip
    found = criteria_of(pd.DataFrame(frame))
    assert [c.split for c in found] == ["open-ended", "reasoning"]
    for c in found:
        assert [100 * c.pacc.value, 100 * c.tos.value, 100 * c.cmr.value, 100 * c.macro] == pytest.approx(official(records[c.split]))  # fmt: skip
        assert c.cmr.low < c.cmr.value < c.cmr.high and c.left_out == 0 and set(c.by_criterion) == set(CRITERIA[c.split])  # fmt: skip


def test_a_judge_blind_to_criteria_has_no_sensitivity():
    frame = pd.DataFrame([
        {"id": f"{i}{c}", "cluster": str(i), "subgroup": f"reasoning--{c}", "outcome": "right" if label == 0 else "wrong", "preferred_stored": label}
        for i in range(10) for c, label in (("logic", 0), ("efficiency", 1))
    ])  # fmt: skip
    (found,) = criteria_of(frame)
    assert (found.tos.k, found.tos.n, found.cmr.k, found.cmr.n, found.pacc.k) == (0, 10, 0, 10, 0)
    assert found.macro == 0.5
    frame.loc[0, "outcome"] = "missing"
    (found,) = criteria_of(frame)
    assert found.left_out == 1 and found.tos.n == 9


class ByLength:
    """Prefers the longer response when the criterion is completeness, the shorter when it is clarity; else the first word."""

    card = JudgeCard("by-length", "by-length", "rule", reads_images=False)

    def judge_batch(self, comparisons):
        return [self.judge(c) for c in comparisons]

    def judge(self, c):
        lengths = [float(len(r)) for r in c.responses]
        sign = 1 if "Completeness" in c.prompt else -1
        return Judgement(c.id, "by-length", tuple(sign * n for n in lengths))


def test_a_run_is_measured_by_item_and_the_criterion_is_asked(tmp_path, capsys):
    Image.new("RGB", (30, 20), "red").save(tmp_path / "i.png")
    rows = []
    for item in ("p1", "p2", "p3"):
        rows += [
            row(item=item, criterion="completeness", preference="model_a"),
            row(item=item, criterion="clarity", preference="model_b" if item != "p3" else "model_a"),
        ]
    rows.append(row("reasoning", "p1", "logic", "model_a"))
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, rows)))
    loaded = BENCHMARKS["multi-crit"].open(data)
    read = list(loaded.rows())
    assert (
        read[0].cluster == "open-ended p1" == read[1].cluster
        and read[0].subgroup == "open-ended--completeness"
    )
    assert read[0].comparison.prompt.endswith("Compare the responses by one criterion only: Completeness and coverage.")  # fmt: skip
    done = run(Job(loaded, ByLength(), tmp_path / "run", keep_images=False))
    entry = leaderboard.entry(done)
    open_ended = entry.criteria[0]
    assert (open_ended.pacc.k, open_ended.pacc.n) == (2, 3) and (open_ended.tos.k, open_ended.tos.n) == (2, 2)
    assert (open_ended.cmr.k, open_ended.cmr.n) == (2, 2) and entry.criteria[1].cmr.n == 0
    told = "\n".join(lines(done))
    assert "right on all criteria of an item (PAcc) 66.67 % (2/3" in told and "not measured" in told
    table = leaderboard.table([done])
    assert table["open-ended: PAcc"][0] == 66.67 and table["open-ended: TOS"][0] == 100


def test_rows_that_are_not_of_it_are_told(tmp_path):
    Image.new("RGB", (30, 20), "red").save(tmp_path / "i.png")
    bad = [row(criterion="charm"), row(split="video"), row(preference="both"), row(question_id="ok")]
    data = tmp_path / "data.jsonl"
    data.write_text("\n".join(map(json.dumps, bad)))
    read = list(BENCHMARKS["multi-crit"].open(data).rows())
    words = (
        "column criterion: 'charm' where one of completeness",
        "column split: 'video'",
        "column preference: 'both'",
    )
    assert all(w in r.problem for w, r in zip(words, read, strict=False)) and not read[3].problem
    data.write_text(json.dumps({"question": "x", "pred_a": "a", "pred_b": "b"}))
    with pytest.raises(BenchmarkError, match="Multi-Crit needs prompt_id"):
        BENCHMARKS["multi-crit"].open(data)

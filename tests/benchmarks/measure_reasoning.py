"""Measures a reasoning judge on fresh records of the scene world, in both orders:

`python tests/benchmarks/measure_reasoning.py assets/reasoning_model --records 2000 --votes 8 --vote-records 1000 --seed 161 OUT`

OUT/answers.jsonl has every answer and is continued after a kill; OUT/measured.json has the figures. Greedy answers are those of
`--votes 1`; sampled ones (temperature 1) give the Voting@K curve, of both orders mixed as core.runs.votes has it. --split training
draws lessons that no training saw (of another seed), for choices; the records that are reported decide nothing.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections import defaultdict
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.alignment.key_texts import training_pairs  # noqa: E402
from core.alignment.reasoning_data import read_rows, write_rows  # noqa: E402
from core.alignment.sampling import sample  # noqa: E402
from core.evaluation.scene_world import with_other_images  # noqa: E402
from core.judges.conditions import blanked  # noqa: E402
from core.judges.generative import GenerativeJudge  # noqa: E402
from core.judges.opening import open_judge  # noqa: E402
from core.judges.options import Options  # noqa: E402
from core.judges.said import SIGHT, of_vote, said_in  # noqa: E402
from core.judges.verdicts import problem_of, read  # noqa: E402
from core.records import Comparison, Vote  # noqa: E402
from core.runs.votes import Cast, order_effects, share, share_of_rows, voting_curve  # noqa: E402
from core.world.items import to_comparison  # noqa: E402
from core.world.questions import MANNER_FAMILIES, VISUAL_FAMILIES  # noqa: E402
from core.world.splits import held_out  # noqa: E402

KS, BATCH = (1, 3, 5, 7, 9, 15), 24
ORDERS = ((0, 1), (1, 0))


def records_of(split: str, n: int, seed: int) -> list[Comparison]:
    if split == "held-out":
        return list(held_out(n, seed))
    pairs = islice(training_pairs(seed, 5_000_000), n)
    return [to_comparison(p.item, p.wrong, p.id, i % 4 in (0, 3), p.image) for i, p in enumerate(pairs)]


def answers_to(
    judge: GenerativeJudge, records: Sequence[Comparison], n: int, temperature: float, seed: int
) -> list[list[list[tuple[str, bool]]]]:
    """[record][order][answer]"""
    asked = [
        (r.load_image(), judge.prompt.fill(r.whole_prompt, *(r.responses[k] for k in order)))
        for r in records
        for order in ORDERS
    ]
    found = sample(judge, asked, n, temperature, seed)
    return [found[i : i + 2] for i in range(0, len(found), 2)]


def vote_of(
    judge: GenerativeJudge, text: str, finished: bool, order: tuple[int, int], responses: Sequence[str]
) -> Vote:
    """As GenerativeJudge reads an answer, without the log-odds."""
    verdict = read(judge.prompt.parsing, text, (responses[order[0]], responses[order[1]]))
    problem = problem_of(text, verdict, finished)
    choice = None if problem or verdict.choice is None else order[verdict.choice]
    return Vote(order, text, choice, None, problem)


def ask(
    judge: GenerativeJudge, records: list[Comparison], args: argparse.Namespace, file: Path
) -> list[dict[str, Any]]:
    rows = read_rows(file)
    write_rows(file, rows)  # without what a kill cut off
    others = {r.id: r for r in with_other_images([r for r in records if r.category in VISUAL_FAMILIES])}
    with file.open("a", encoding="utf-8") as out:
        for start in range(len(rows), len(records), BATCH):
            some = records[start : start + BATCH]
            started = time.process_time()
            greedy = answers_to(judge, some, 1, 0.0, 0)
            seconds = (time.process_time() - started) / len(some) / 2
            voting = some[: max(0, args.vote_records - start)] if args.votes else []
            sampled = answers_to(judge, voting, args.votes, 1.0, args.seed + start) if voting else []
            visual = [r for r in some if r.category in VISUAL_FAMILIES and args.controls]
            controls = {
                name: dict(
                    zip((r.id for r in with_image), answers_to(judge, with_image, 1, 0.0, 0), strict=True)
                )
                for name, with_image in (
                    ("blank", [blanked(r) for r in visual]),
                    ("shuffled", [others[r.id] for r in visual if r.id in others]),
                )
                if with_image
            }
            for i, r in enumerate(some):
                row: dict[str, Any] = {
                    "record": start + i, "family": r.category, "preferred": r.preferred, "responses": list(r.responses), "prompt": r.prompt,
                    "greedy": [o[0] for o in greedy[i]], "seconds": seconds,
                }  # fmt: skip
                if i < len(sampled):
                    row["sampled"] = [
                        [_short(judge, a, order, r.responses) for a in o]
                        for o, order in zip(sampled[i], ORDERS, strict=True)
                    ]
                row |= {
                    name: [o[0] for o in found[r.id]] for name, found in controls.items() if r.id in found
                }
                out.write(json.dumps(row, ensure_ascii=False) + "\n")
                rows.append(row)
            out.flush()
            print(f"{len(rows):,} of {len(records):,}", flush=True)
    return rows


def _short(
    judge: GenerativeJudge, answer: tuple[str, bool], order: tuple[int, int], responses: Sequence[str]
) -> dict[str, Any]:
    vote = vote_of(judge, *answer, order, responses)
    return {"choice": vote.choice, "problem": vote.problem, "tokens": _tokens(judge, answer[0])}


def _tokens(judge: GenerativeJudge, text: str) -> int:
    return len(judge.processor.tokenizer(text, add_special_tokens=False)["input_ids"])


def measured(judge: GenerativeJudge, rows: list[dict[str, Any]]) -> dict[str, Any]:
    votes = {
        name: [votes_of(judge, r, name) for r in rows if name in r]
        for name in ("greedy", "blank", "shuffled")
    }
    cast = [
        Cast(r["record"], r["family"], r["preferred"], tuple(v))
        for r, v in zip(rows, votes["greedy"], strict=True)
    ]
    order = order_effects(cast)
    every = [v for vs in votes["greedy"] for v in vs]
    spoken = [(r, v) for r, vs in zip(rows, votes["greedy"], strict=True) for v in vs]
    lengths = [_tokens(judge, v.text) for v in every]
    out: dict[str, Any] = {
        "records": len(rows),
        "accuracy, one answer": per_record(rows, votes["greedy"]),
        "accuracy, one answer, visual families": per_record(*families(rows, votes["greedy"], VISUAL_FAMILIES)),
        "accuracy, one answer, manner families": per_record(*families(rows, votes["greedy"], MANNER_FAMILIES)),
        "accuracy, by both orders' answers (a split is wrong)": plain(share(sum(
            all(v.choice == r["preferred"] for v in vs) for r, vs in zip(rows, votes["greedy"], strict=True)), len(rows))),
        "both orders agree": plain(order.consistent),
        "prefers the first shown": plain(order.first),
        "unparsed": plain(share(sum(v.choice is None for v in every), len(every))),
        "tokens of an answer": {"mean": float(np.mean(lengths)), "p95": float(np.quantile(lengths, 0.95)), "most": max(lengths)},
        "names the truth": per_record(*families(rows, votes["greedy"], VISUAL_FAMILIES), right=names_truth),
        "verdict agrees with what it says": plain(follows(spoken)),
        "says right, decides wrong": plain(share(*_against(spoken, "says right, decides wrong"))),
        "says wrong, decides right": plain(share(*_against(spoken, "says wrong, decides right"))),
        "by family": {f: per_record(*families(rows, votes["greedy"], (f,))) for f in VISUAL_FAMILIES + MANNER_FAMILIES
                      if any(r["family"] == f for r in rows)},
        "cpu seconds an answer": float(np.mean([r["seconds"] for r in rows])),
    }  # fmt: skip
    for name in ("blank", "shuffled"):
        if votes[name]:
            out[f"accuracy, visual families, {name} image"] = per_record(
                [r for r in rows if name in r], votes[name]
            )
    if sampled := [r for r in rows if "sampled" in r]:
        out["voting"] = voting(sampled)
    return out


def votes_of(judge: GenerativeJudge, row: dict[str, Any], name: str) -> list[Vote]:
    return [
        vote_of(judge, *answer, order, row["responses"])
        for answer, order in zip(row[name], ORDERS, strict=True)
    ]


def families(rows: list[dict[str, Any]], votes: list[list[Vote]], names: Sequence[str]) -> tuple[Any, Any]:
    kept = [(r, v) for r, v in zip(rows, votes, strict=True) if r["family"] in names]
    return [r for r, _ in kept], [v for _, v in kept]


def is_right(row: dict[str, Any], vote: Vote) -> bool:
    return vote.choice == row["preferred"]


def names_truth(row: dict[str, Any], vote: Vote) -> bool:
    """Whether what the thoughts say that they see agrees with the response that is true of the picture, whatever they decide."""
    place, by = said_in(vote.text, *(row["responses"][i] for i in vote.order))
    return by == SIGHT and place is not None and vote.order[place] == row["preferred"]


def per_record(rows: list[dict[str, Any]], votes: list[list[Vote]], right: Any = is_right) -> dict[str, Any]:
    """Each answer counts; the interval resamples twin couples of records, whose answers are not independent."""
    couples: dict[int, list[int]] = defaultdict(lambda: [0, 0])
    for r, vs in zip(rows, votes, strict=True):
        couples[r["record"] // 2][0] += sum(right(r, v) for v in vs)
        couples[r["record"] // 2][1] += len(vs)
    return plain(share_of_rows([(k, n) for k, n in couples.values()]))


def follows(spoken: list[tuple[dict[str, Any], Vote]]) -> Any:
    """Of answers that say something and decide: the decision is for what they say."""
    found = [of_vote(v.text, v.order, v.choice, r["responses"]) for r, v in spoken]
    known = [s for s in found if s.said is not None and s.decided is not None]
    return share(sum(s.said == s.decided for s in known), len(known))


def _against(spoken: list[tuple[dict[str, Any], Vote]], what: str) -> tuple[int, int]:
    found = [of_vote(v.text, v.order, v.choice, r["responses"]).against(r["preferred"]) for r, v in spoken]
    return found.count(what), len(found)


def voting(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    cast = [
        Cast(r["record"], r["family"], r["preferred"], tuple(
            Vote(order, "", v["choice"], None, v["problem"]) for order, vs in zip(ORDERS, r["sampled"], strict=True) for v in vs))
        for r in rows
    ]  # fmt: skip
    out = []
    for at in voting_curve(cast, ks=KS):
        k = at.counts["agree"]
        out.append(
            {
                "k": at.k,
                "rows": at.rows,
                **plain(share(k, at.rows)),
                "no majority": at.rows - k - at.counts["reject"],
            }
        )
    return out


def plain(found: Any) -> dict[str, Any]:
    return {
        "value": round(found.value, 4),
        "low": round(found.low, 4),
        "high": round(found.high, 4),
        "n": found.n,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("model")
    parser.add_argument("output", type=Path)
    parser.add_argument("--records", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=161)
    parser.add_argument("--votes", type=int, default=0, help="sampled answers in each order")
    parser.add_argument("--vote-records", type=int, default=10**9, help="of so many records")
    parser.add_argument("--split", choices=("held-out", "training"), default="held-out")
    parser.add_argument("--prompt", default="own-answer")
    parser.add_argument("--no-controls", dest="controls", action="store_false")
    args = parser.parse_args()
    judge = open_judge(args.model, Options(device="cpu", prompt=args.prompt))
    assert isinstance(judge, GenerativeJudge)
    records = records_of(args.split, args.records, args.seed)
    args.output.mkdir(parents=True, exist_ok=True)
    rows = ask(judge, records, args, args.output / "answers.jsonl")[: len(records)]
    said = {k: v for k, v in vars(args).items() if k not in ("output",)}
    found = {"settings": said, "fingerprint": judge.card.fingerprint, **measured(judge, rows)}
    (args.output / "measured.json").write_text(json.dumps(found, indent=1))
    for name, value in found.items():
        print(f"{name}: {json.dumps(value)}")


if __name__ == "__main__":
    main()

"""Whether this checkout computes the same numbers as another one of the project, a release above all.

`python tests/benchmarks/compare_release.py --release FOLDER`, FOLDER being a checkout of release 0.1.

Either side runs in a process of its own, in its own folder, on records that the scene world draws anew: judgements,
runs as the runner writes them, explanations, the metrics of the bundled runs, and how long the pages take to build.
Ends with 1 where numbers differ for which EXCEPTIONS names no reason.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

HERE = Path(__file__).resolve().parents[2]
RUNS = ("vl-mdr", "vl-mdr-blind", "vl-mdr-swapped", "scalar", "longer")
POLICIES = ("wrong", "half", "dropped", "coin")
STEPS = 3  # of explanations that take steps

# What may differ, as a pattern of the table's first column, and why. Nothing else may.
EXCEPTIONS: dict[str, str] = {
    "run vl-mdr-blind: *": "a blank image is plain grey since 0.2, as it is for explanations; it was white",
    "run vl-mdr-swapped: *": "a row whose group holds no other picture is left out since 0.2; it was judged with its own",
    "run *: id": "a row without an id is called by its number since 0.2; it was given a hash",
    "run *: cluster": "the same, where the cluster is the id",
    "run *: findings of the manifest": "made-up ids are no longer reported as repeated ids of the data",
}


# -- one adapter a side: where things are called, and how -----------------------------------------------------


def release_0_1() -> SimpleNamespace:
    from app.pages import Desk, build, build_without_model
    from core import leaderboard
    from core.explain import METHODS, TARGETS, explain
    from core.judges.registry import JUDGES, Options
    from core.labels import LabelStore
    from core.runner import Job, run
    from core.runs import find_runs

    def make(loaded: Any, name: str, folder: Path) -> None:
        judge = JUDGES[name.removesuffix("-swapped")](Options(device="cpu"))
        run(Job(loaded, judge, folder, swap_images=name.endswith("-swapped")))

    return SimpleNamespace(
        judge=lambda name: JUDGES[name](Options(device="cpu")),
        run=make,
        find_runs=find_runs,
        targets=lambda judge, judged: [key for key, _ in TARGETS(judged)],
        methods=list(METHODS),
        explain=lambda judge, c, judged, pair, target, method: explain(
            judge, c, judged, *pair, target=target, method=method, steps=STEPS
        ),
        delta=lambda e: e.completeness_error,
        leaderboard=leaderboard,
        pages=(build, build_without_model, lambda: Desk(LabelStore("sqlite://"))),
    )


def this_checkout() -> SimpleNamespace:
    from app.pages import Desk, build, build_without_model
    from core.explain import METHODS, Request, explain, targets_for
    from core.explain.methods import ALIASES
    from core.judges.registry import JUDGES, Options
    from core.labels.store import LabelStore
    from core.records import Condition
    from core.runs import leaderboard
    from core.runs.run import find_runs
    from core.runs.runner import Job, run

    old_names = {new: old for old, new in ALIASES.items()}
    conditions = {"-blind": Condition.BLANK, "-swapped": Condition.SHUFFLED}

    def make(loaded: Any, name: str, folder: Path) -> None:
        suffix = next((s for s in conditions if name.endswith(s)), "")
        judge = JUDGES[name.removesuffix(suffix)](Options(device="cpu"))
        run(Job(loaded, judge, folder, condition=conditions.get(suffix, Condition.AS_GIVEN)))

    return SimpleNamespace(
        judge=lambda name: JUDGES[name](Options(device="cpu")),
        run=make,
        find_runs=find_runs,
        targets=lambda judge, judged: [key for key, _ in targets_for(judge, judged)],
        methods=[old_names.get(m, m) for m in METHODS if m != "refine"],  # younger than that release
        explain=lambda judge, c, judged, pair, target, method: explain(
            judge, c, judged, Request(pair, target, method, STEPS)
        ),
        delta=lambda e: e.convergence_delta,
        leaderboard=leaderboard,
        pages=(build, build_without_model, lambda: Desk(LabelStore("sqlite://"))),
    )


SIDES: dict[str, Callable[[], SimpleNamespace]] = {"release": release_0_1, "this": this_checkout}


# -- what one side computes ----------------------------------------------------------------------------------


def records(n: int, seed: int) -> list[Any]:
    """Held-out records; of every five, one gets a third response and one a third and a fourth, from the next one."""
    from dataclasses import replace

    from core.world.splits import held_out

    found = list(held_out(n, seed))[:n]
    more = {3: 1, 4: 2}
    return [
        replace(c, responses=c.responses + found[(i + 2) % len(found)].responses[: more.get(i % 5, 0)], truth=None)
        for i, c in enumerate(found)
    ]  # fmt: skip


def judgements(side: SimpleNamespace, all_records: list[Any]) -> dict[str, Any]:
    out: dict[str, Any] = {}
    for name in ("vl-mdr", "scalar"):
        judge = side.judge(name)
        batches = [all_records[i : i + 16] for i in range(0, len(all_records), 16)]
        found = [j for batch in batches for j in judge.judge_batch(batch)]
        alone = [judge.judge(c) for c in all_records[:20]]
        fields = ("rewards", "gate_logits", "relevance", "weights", "weight_logits", "scores", "selected")
        for field in fields if name == "vl-mdr" else fields[:1]:
            out[f"{name}: {field}, in batches"] = [getattr(j, field) for j in found]
            out[f"{name}: {field}, one by one"] = [getattr(j, field) for j in alone]
    return out


def explanations(side: SimpleNamespace, some: list[Any]) -> dict[str, Any]:
    judge, out = side.judge("vl-mdr"), {}
    for c, pair in zip(some, ((0, 1), (2, 0), (1, 3)), strict=False):
        judged = judge.judge(c)
        keys = side.targets(judge, judged)
        gate = next(k for k in keys if k.startswith("gate:"))
        targets = ["margin", "reward", *[k for k in keys if k.startswith("score:")][:2], gate]
        for method in side.methods:
            for target in targets:
                if method == "account" and target == gate:
                    continue  # the account has no entry for a gate
                e = side.explain(judge, c, judged, pair, target, method)
                values = out.setdefault(f"explanation {method}, {target.split(':')[0]}", [])
                values += [e.token_values, e.patch_values, e.prompt_value, e.other_value, e.target_value]
                values += [e.baseline_value, side.delta(e), e.faithfulness and asdict(e.faithfulness)]
    return out


def runs(side: SimpleNamespace, all_records: list[Any], folder: Path) -> None:
    from core.benchmarks import BENCHMARKS

    data = folder / "data"
    data.mkdir()
    with (data / "data.jsonl").open("w") as file:
        for i, c in enumerate(all_records):
            (data / f"{i}.png").write_bytes(c.image)
            row = {"image": f"{i}.png", "prompt": c.prompt, "responses": c.responses, "category": c.category,
                   "preferred": c.preferred if i % 17 else None}  # fmt: skip
            row |= {"image": "gone.png"} if i % 23 == 5 else {}
            file.write(json.dumps(row) + "\n")
    loaded = BENCHMARKS["own"].open(data / "data.jsonl")
    for name in RUNS:
        side.run(loaded, name, folder / name)


def metrics(side: SimpleNamespace) -> dict[str, Any]:
    """Of the runs that came with the release, which both sides read."""
    out = {}
    found = side.find_runs(Path(os.environ["RELEASE"]) / "assets" / "runs")
    first = next(r for r in found if r.folder.name == "vl-mdr")
    for run in found:
        values: list[Any] = [asdict(side.leaderboard.paired(first, run))]
        for policy in POLICIES:
            e = side.leaderboard.entry(run, policy)
            values += [[asdict(r) for r in e.reports], e.plus and asdict(e.plus)]
            values += [[asdict(r) for r in part.values()] for part in (e.controls, e.by_dimension)]
            values += [[asdict(b) for b in e.calibration[0]], e.calibration[1], e.margins.tolist()]
        out[f"metrics of the bundled run {run.folder.name}"] = values
    return out


def compute(side: SimpleNamespace, folder: Path, n: int, seed: int) -> None:
    import torch

    torch.set_num_threads(1)  # so that sums have one order
    all_records = records(n, seed)
    found = judgements(side, all_records)
    found |= explanations(side, [all_records[i] for i in (0, 3, 4) if i < n])
    found |= metrics(side)
    runs(side, all_records, folder)
    (folder / "found.json").write_text(json.dumps(found))


def start(side: SimpleNamespace, with_model: bool) -> None:
    """Everything of a start but the server."""
    build, build_without_model, desk = side.pages
    with tempfile.TemporaryDirectory() as folder:
        if with_model:
            build(side.judge("vl-mdr"), Path(folder), desk())
        else:
            build_without_model(Path(folder), desk())


# -- both sides, compared ------------------------------------------------------------------------------------


def call(side: str, checkout: Path, *arguments: str) -> float:
    """Seconds that a process of that side took."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": str(checkout)}  # RELEASE: set by main
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, str(Path(__file__).resolve()), "--side", side, *arguments],
        cwd=checkout, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        sys.exit(f"The side '{side}' failed in {checkout}:\n{done.stderr[-3000:]}")
    return time.perf_counter() - started


def leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, dict):
        for key in value:
            yield key
            yield from leaves(value[key])
    elif isinstance(value, list | tuple):
        yield len(value)
        for v in value:
            yield from leaves(v)
    else:
        yield value


@dataclass(frozen=True)
class Line:
    """values: how many were compared. difference: the largest; infinite where texts or lengths differ."""

    what: str
    values: int
    difference: float
    equal: bool


def compared(what: str, ours: Any, theirs: Any) -> Line:
    largest, equal = 0.0, True
    mine, others = list(leaves(ours)), list(leaves(theirs))
    if len(mine) != len(others):
        return Line(what, len(mine), math.inf, False)
    for a, b in zip(mine, others, strict=True):
        if isinstance(a, float) and isinstance(b, float):
            if a == b or (math.isnan(a) and math.isnan(b)):
                continue
            equal = False
            largest = max(largest, math.inf if math.isnan(a - b) else abs(a - b))
        elif a != b:
            equal, largest = False, math.inf
    return Line(what, len(mine), largest, equal)


def compared_runs(ours: Path, theirs: Path) -> Iterator[Line]:
    import pyarrow.parquet as pq

    for name in RUNS:
        tables = [pq.read_table(folder / name / "judgements.parquet") for folder in (ours, theirs)]
        both = [c for c in tables[1].column_names if c in tables[0].column_names]
        for column in tables[1].column_names:
            if column not in both:
                yield Line(f"run {name}: {column} (absent here)", 0, math.inf, False)
        for column in both:
            mine, others = (t[column].to_pylist() for t in tables)
            if column == "image":  # thumbnails, as bytes
                mine, others = ([v and v.hex() for v in values] for values in (mine, others))
            yield compared(f"run {name}: {column}", mine, others)
        how = [
            (m := json.loads((f / name / "manifest.json").read_text())).get("stats") or m["how"]
            for f in (ours, theirs)
        ]
        for key in ("rows", "data_hash", "findings"):
            yield compared(f"run {name}: {key} of the manifest", how[0].get(key), how[1].get(key))


def table(lines: list[Line]) -> list[Line]:
    """Prints it; gives back what differs without a named reason."""
    wide = max(len(line.what) for line in lines)
    print(f"{'what':{wide}}  {'values':>8}  {'largest difference':>18}  equal bit for bit")
    strange = []
    for line in lines:
        reason = next((r for p, r in EXCEPTIONS.items() if fnmatch.fnmatchcase(line.what, p)), "")
        told = "yes" if line.equal else f"no: {reason}" if reason else "NO"
        print(f"{line.what:{wide}}  {line.values:>8,}  {line.difference:>18.3g}  {told}")
        if not line.equal and not reason:
            strange.append(line)
    return strange


def starts(release: Path, repeats: int) -> None:
    """Interleaved, so that whatever else the machine does falls on both."""
    for name, what in (("with the model", "start"), ("as a replay", "start-replay")):
        seconds: dict[str, list[float]] = {"this": [], "release": []}
        for _ in range(repeats):
            for side, checkout in (("release", release), ("this", HERE)):
                seconds[side].append(call(side, checkout, "--what", what))
        new, old = (statistics.median(seconds[s]) for s in ("this", "release"))
        print(
            f"start {name}: {new:.2f} s here, {old:.2f} s there, ratio {new / old:.2f} (medians of {repeats})"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--release", type=Path, help="the other checkout")
    parser.add_argument("--records", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2_000, help="of the held-out records")
    parser.add_argument("--repeats", type=int, default=3, help="of each start; 0 leaves them out")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--what", default="numbers", help=argparse.SUPPRESS)
    parser.add_argument("--output", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        side = SIDES[args.side]()
        if args.what == "numbers":
            compute(side, args.output, args.records, args.seed)
        else:
            start(side, args.what == "start")
        return
    if not args.release or not (args.release / "core").is_dir():
        sys.exit("Give --release FOLDER: a checkout of the release to compare with.")
    os.environ["RELEASE"] = str(args.release.resolve())
    with tempfile.TemporaryDirectory() as folder:
        for side, checkout in (("release", args.release.resolve()), ("this", HERE)):
            (Path(folder) / side).mkdir()
            call(side, checkout, "--output", str(Path(folder) / side), "--records", str(args.records),
                 "--seed", str(args.seed))  # fmt: skip
        ours, theirs = Path(folder) / "this", Path(folder) / "release"
        mine, others = (json.loads((f / "found.json").read_text()) for f in (ours, theirs))
        lines = [compared(what, mine.get(what), others[what]) for what in others]
        strange = table(lines + list(compared_runs(ours, theirs)))
    starts(args.release.resolve(), args.repeats) if args.repeats else None
    print(f"{len(strange)} of {len(lines)} groups of numbers differ without a named reason." if strange else "Same numbers.")  # fmt: skip
    sys.exit(bool(strange))


if __name__ == "__main__":
    main()

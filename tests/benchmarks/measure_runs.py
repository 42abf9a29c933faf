"""How browsing grows with the size of a run: `python tests/benchmarks/measure_runs.py --sizes 1000 10000 100000 1000000`.

Writes synthetic runs in the runner's row groups (every text another one: prompts of 25 words and responses of 90, 21
dimensions), then times, in a fresh process per size: opening
(leaderboard entry), a page of failures with and without filters and text search, one record, similar failures; and
prints the process's peak memory.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.records import Condition, JudgeCard  # noqa: E402
from core.runs import browse, leaderboard  # noqa: E402
from core.runs.browse import Filters  # noqa: E402
from core.runs.manifest import Manifest
from core.runs.run import open_run  # noqa: E402
from core.runs.runner import GROUP_ROWS  # noqa: E402
from core.runs.schema import SCHEMA  # noqa: E402
from core.taxonomy import DIMENSIONS, NUM_DIMENSIONS  # noqa: E402

WORDS = np.array(
    [
        "the",
        "a",
        "red",
        "green",
        "blue",
        "star",
        "circle",
        "is",
        "are",
        "near",
        "left",
        "right",
        "above",
        "below",
        "chart",
        "table",
        "says",
        "value",
        "one",
        "two",
    ]
)


def synthesise(folder: Path, n: int) -> None:
    folder.mkdir(parents=True)
    Manifest(
        "own",
        "synthetic",
        "synthetic",
        "",
        JudgeCard("synthetic", "synthetic judge", "gated", top_k=3, dimensions=DIMENSIONS),
        Condition.AS_GIVEN,
        None,
        16,
        64,
        "",
        0,
    ).save(folder)
    rng = np.random.default_rng(0)
    with pq.ParquetWriter(folder / "judgements.parquet", SCHEMA, compression="zstd") as writer:
        for start in range(0, n, GROUP_ROWS):
            writer.write_table(_chunk(rng, start, min(GROUP_ROWS, n - start)))


def _chunk(rng: np.random.Generator, start: int, n: int) -> pa.Table:
    def texts(words: int) -> list[str]:
        return [" ".join(line) for line in rng.choice(WORDS, (n, words))]

    prompts, first, second = texts(25), texts(90), texts(90)
    logits = rng.normal(size=(n, NUM_DIMENSIONS)).astype(np.float32)
    selected = np.argsort(-logits, axis=1)[:, :3]
    weights = np.zeros((n, NUM_DIMENSIONS), dtype=np.float32)
    np.put_along_axis(weights, selected, rng.dirichlet([1, 1, 1], n).astype(np.float32), axis=1)
    scores = rng.normal(size=(n, 2, NUM_DIMENSIONS)).astype(np.float32)
    rewards = (scores * weights[:, None]).sum(-1)
    preferred = rng.integers(0, 2, n)
    margin = rewards[np.arange(n), preferred] - rewards[np.arange(n), 1 - preferred]
    columns = {
        "row": np.arange(start, start + n), "key": [f"{i:016x}" for i in range(start, start + n)],
        "id": [f"id{i}" for i in range(start, start + n)], "subgroup": rng.choice(["x", "y", "z"], n),
        "cluster": [f"id{i}" for i in range(start, start + n)], "prompt": prompts,
        "responses": list(zip(first, second, strict=True)), "stored": [[0, 1]] * n, "preferred": preferred,
        "relevant": [None] * n, "decisive": [None] * n, "image": [None] * n,
        "outcome": np.where(margin > 0, "right", "wrong"), "margin": margin, "rewards": list(rewards),
        "gate_logits": list(logits), "selected": list(selected.astype(np.int8)), "weights": list(weights), "weight_logits": list(logits),
        "scores": list(scores.reshape(n, -1)), "problem": [""] * n,
    }  # fmt: skip
    return pa.table([pa.array(columns.get(f.name, [None] * n), f.type) for f in SCHEMA], schema=SCHEMA)


def measure(folder: Path) -> dict[str, float]:
    out = {}

    def timed(name: str, work) -> None:
        started = time.perf_counter()
        work()
        out[name] = round(time.perf_counter() - started, 3)

    run = open_run(folder)
    timed("load", lambda: leaderboard.entry(run))
    for name, filters in {
        "page": Filters(), "page, dimension and margin": Filters(dimension="counting", margin=(-2.0, 0.0)),
        "page, longer": Filters(longer="longer"), "page, search": Filters(search="green circle near"),
        "page, two runs": Filters(other=run, versus="both are wrong"),
    }.items():  # fmt: skip
        timed(name, lambda f=filters: browse.page(run, f))
    timed("page 20", lambda: browse.page(run, Filters(), offset=500))
    timed("record", lambda: browse.record(run, 77))
    timed("similar, first", lambda: browse.similar(run, 77))
    timed("similar, again", lambda: browse.similar(run, 78))
    out["peak MB"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[1_000, 10_000, 100_000, 1_000_000])
    parser.add_argument("--one", type=Path, help="(internal) measure this folder and print JSON")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as place:
        for n in args.sizes:
            folder = Path(place) / str(n)
            synthesise(folder, n)
            done = subprocess.run(
                [sys.executable, __file__, "--one", str(folder)], capture_output=True, text=True, check=True
            )
            results[n] = {
                "file MB": round((folder / "judgements.parquet").stat().st_size / 1e6, 1),
                **json.loads(done.stdout),
            }
    names = list(next(iter(results.values())))
    print("seconds".ljust(30), *(f"{n:>12,}" for n in results))
    for name in names:
        print(name.ljust(30), *(f"{r[name]:>12}" for r in results.values()))


if __name__ == "__main__":
    main()

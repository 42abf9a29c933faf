"""What a look into a large run costs, against reading it three times as release 0.1 did and against one plain query:

    python tests/benchmarks/measure_browse.py [--sizes 100000 1000000]

Writes runs as the runner does (row groups, side file of texts), every text another one (a prompt of 25 words, two responses of 90),
and times in a fresh process per size. Each time is the median of five looks of which none was remembered; the ratios are within one
process, so that they hold on a busy machine too.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.label_errors.ranking import label_issues  # noqa: E402
from core.records import Condition, JudgeCard  # noqa: E402
from core.runs import browse, leaderboard  # noqa: E402
from core.runs.browse import Filters  # noqa: E402
from core.runs.manifest import Manifest  # noqa: E402
from core.runs.run import Run, open_run  # noqa: E402
from core.runs.schema import SCHEMA  # noqa: E402
from core.runs.texts import write_texts  # noqa: E402
from core.taxonomy import DIMENSIONS, NUM_DIMENSIONS  # noqa: E402

CHUNK = 20_000
COMMON, RARE = "green circle near", "zanzibar"  # in a few of a hundred rows, and in a few rows
ROUNDS = 5
RELEASE_0_1 = (
    "SELECT outcome, count(*) FROM read_parquet($f) WHERE {where} GROUP BY 1",
    "SELECT count(*) FROM read_parquet($f) WHERE {where} AND list_contains(['wrong', 'tie', 'unparsed'], outcome)",
    "SELECT row FROM read_parquet($f) WHERE {where} AND list_contains(['wrong', 'tie', 'unparsed'], outcome) ORDER BY margin NULLS LAST, row LIMIT 25",
)
SEARCH = "(contains(lower(prompt), $s) OR contains(lower(array_to_string(responses, chr(10))), $s) OR lower(id) = $s)"


def pieces(rng: np.random.Generator) -> list[str]:
    letters, words = list("abcdefghijklmnoprstuvw"), []
    for _ in range(20_000):
        words.append("".join(rng.choice(letters, rng.integers(2, 9))))
    often = 1 / np.arange(1, len(words) + 1) ** 0.8
    found = [" ".join(rng.choice(words, 5, p=often / often.sum())) for _ in range(20_000)]
    found[:20] = [f"a {COMMON} the left"] * 20
    return found


def synthesise(folder: Path, n: int) -> None:
    folder.mkdir(parents=True)
    card = JudgeCard("synthetic", "synthetic judge", "gated", top_k=3, dimensions=DIMENSIONS)
    Manifest("own", "synthetic", "synthetic", "", card, Condition.AS_GIVEN, None, 16, 64, "", 0).save(folder)
    rng = np.random.default_rng(0)
    known = pieces(rng)
    with pq.ParquetWriter(folder / "judgements.parquet", SCHEMA, compression="zstd") as writer:
        for start in range(0, n, CHUNK):
            writer.write_table(chunk(rng, known, start, min(CHUNK, n - start)))
    write_texts(folder / "judgements.parquet", folder)


def chunk(rng: np.random.Generator, known: list[str], start: int, n: int) -> pa.Table:
    def texts(k: int) -> pa.Array:
        picked = pa.array(known).take(pa.array(rng.integers(0, len(known), n * k)))
        return pc.binary_join(
            pa.ListArray.from_arrays(np.arange(0, n * k + 1, k, dtype=np.int32), picked), " "
        )

    def lists(values: np.ndarray) -> pa.Array:
        flat = values.reshape(n, -1)
        ends = np.arange(0, flat.size + 1, flat.shape[1], dtype=np.int32)
        return pa.ListArray.from_arrays(ends, pa.array(flat.ravel()))

    prompts, both = texts(5).to_pylist(), [texts(18), texts(18)]
    responses = pa.ListArray.from_arrays(
        np.arange(0, 2 * n + 1, 2, dtype=np.int32),
        pa.concat_arrays(both).take(pa.array(np.arange(2 * n).reshape(2, n).T.ravel())),
    )
    if start == 0:
        prompts[5] += f" {RARE}"
    logits = rng.normal(size=(n, NUM_DIMENSIONS)).astype(np.float32)
    selected = np.argsort(-logits, axis=1)[:, :3]
    weights = np.zeros((n, NUM_DIMENSIONS), dtype=np.float32)
    np.put_along_axis(weights, selected, rng.dirichlet([1, 1, 1], n).astype(np.float32), axis=1)
    scores = rng.normal(size=(n, 2, NUM_DIMENSIONS)).astype(np.float32)
    rewards = (scores * weights[:, None]).sum(-1)
    preferred = rng.integers(0, 2, n)
    margin = rewards[np.arange(n), preferred] - rewards[np.arange(n), 1 - preferred]
    numbers = range(start, start + n)
    columns = {
        "row": np.arange(start, start + n), "key": [f"{i:016x}" for i in numbers], "id": [f"id{i}" for i in numbers],
        "subgroup": rng.choice(["x", "y", "z"], n), "cluster": [f"id{i}" for i in numbers], "prompt": prompts,
        "responses": responses, "stored": [[0, 1]] * n, "preferred": preferred,
        "outcome": np.where(margin > 0, "right", "wrong"), "margin": margin, "rewards": lists(rewards),
        "gate_logits": lists(logits), "selected": lists(selected.astype(np.int32)), "weights": lists(weights),
        "weight_logits": lists(logits), "scores": lists(scores), "problem": [""] * n,
    }  # fmt: skip
    made = [columns.get(f.name, [None] * n) for f in SCHEMA]
    arrays = [
        v if isinstance(v, pa.Array) else pa.array(v, f.type) for v, f in zip(made, SCHEMA, strict=True)
    ]
    return pa.table(arrays, schema=SCHEMA)


def release_0_1(run: Run, where: str, term: str) -> None:
    with duckdb.connect() as db:
        for query in RELEASE_0_1:
            values = {"f": str(run.file), **({"s": term} if "$s" in where else {})}
            rows = db.execute(query.format(where=where), values).fetchall()
        browse._rows(db, run, [r for (r,) in rows])


def plain(run: Run) -> None:
    """One pass over what a page is chosen by: no way to read the run itself is faster."""
    with duckdb.connect() as db:
        query = "SELECT min(row), min(margin), count(*) FROM read_parquet(?) GROUP BY outcome"
        db.execute(query, [str(run.file)]).fetchall()


def timed(work: Callable[[int], object], rounds: int = ROUNDS) -> float:
    times = []
    for i in range(rounds):
        started = time.perf_counter()
        work(i)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def measure(folder: Path) -> dict[str, float]:
    run = open_run(folder)

    def look(filters: Filters) -> Callable[[int], object]:
        return lambda i: browse.page(
            replace(run), filters
        )  # another Run each time: nothing is remembered of it

    out: dict[str, float] = {"plain query": timed(lambda i: plain(run))}
    for name, filters, where, term in (
        ("page", Filters(), "true", ""),
        ("search, common", Filters(search=COMMON), SEARCH, COMMON),
        ("search, rare", Filters(search=RARE), SEARCH, RARE),
    ):
        out[name] = timed(look(filters))
        out[f"{name}, release 0.1"] = timed(lambda i, w=where, t=term: release_0_1(run, w, t), 3)
        out[f"{name}, ratio"] = out[name] / out[f"{name}, release 0.1"]
    for name, filters in {
        "search and a group": Filters(search=COMMON, subgroup="x"), "longer": Filters(longer="longer"),
        "dimension and margin": Filters(dimension="counting", margin=(-2.0, 0.0)),
        "two runs": Filters(other=run, versus="both are wrong"),
    }.items():  # fmt: skip
        out[name] = timed(look(filters))
    same = replace(run, manifest=replace(run.manifest, stats={"data_hash": "of both"}))
    both = Filters(other=same, versus="both are wrong")
    out["two runs of the same data"] = timed(lambda i: browse.page(replace(same), both))
    out["two by two, the same data"] = timed(lambda i: browse.crosstab(replace(same), both))
    out["page of a row"] = timed(lambda i: browse.page_of(replace(run), Filters(), 77 + i))
    out["page 20"] = timed(lambda i: browse.page(replace(run), Filters(), offset=500))
    out["record"] = timed(lambda i: browse.record(run, 77 + i))
    out["similar, first"] = timed(lambda i: browse.similar(run, 77), 1)
    out["similar, again"] = timed(lambda i: browse.similar(run, 78 + i))
    out["leaderboard entry"] = timed(lambda i: leaderboard.entry(run), 1)
    out["peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    out["2,000 likely label errors"] = timed(lambda i: label_issues([run])[:2000], 1)
    out["... peak MB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--keep", type=Path, help="folder of the runs, kept for the next time")
    parser.add_argument("--one", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(measure(args.one)))
        return
    results = {}
    with tempfile.TemporaryDirectory() as place:
        for n in args.sizes:
            folder = (args.keep or Path(place)) / str(n)
            started = time.perf_counter()
            if not folder.exists():
                synthesise(folder, n)
            made = time.perf_counter() - started
            done = subprocess.run(
                [sys.executable, __file__, "--one", str(folder)], capture_output=True, text=True, check=True
            )
            sizes = {f.name: f.stat().st_size / 1e6 for f in folder.glob("*.*")}
            results[n] = {
                "made in s": made, **{f"{k} MB": v for k, v in sorted(sizes.items())}, **json.loads(done.stdout)
            }  # fmt: skip
    print("seconds".ljust(30), *(f"{n:>12,}" for n in results))
    for name in next(iter(results.values())):
        print(name.ljust(30), *(f"{r.get(name, float('nan')):>12.3f}" for r in results.values()))


if __name__ == "__main__":
    main()

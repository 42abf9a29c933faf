"""How many wrong labels stand in the first tenth of the queue: `python tests/benchmarks/measure_queue.py`.

Flips a tenth of the labels of the bundled scene runs in temporary copies (changing nothing but preferred, outcome and
margin), ranks them, and prints precision and recall of the first tenth over several seeds. Then what 100,000 rows cost:
`python tests/benchmarks/measure_queue.py --rows 100000`.
"""

from __future__ import annotations

import argparse
import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from itertools import product
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.label_errors.ranking import label_issues  # noqa: E402
from core.records import Condition, JudgeCard  # noqa: E402
from core.runs.manifest import Manifest  # noqa: E402
from core.runs.metrics import outcome  # noqa: E402
from core.runs.run import Run, open_run  # noqa: E402
from core.runs.schema import SCHEMA  # noqa: E402

SCENE = ROOT / "assets" / "runs" / "scene"
SHARE = 0.1
WAYS = {
    "vl-mdr, vl-mdr-blind and scalar": ("vl-mdr", "vl-mdr-blind", "scalar"),
    "scalar alone": ("scalar",),
    "vl-mdr-blind alone": ("vl-mdr-blind",),
    "vl-mdr alone": ("vl-mdr",),
}


def flipped(run: Run, rows: set[int], folder: Path) -> Run:
    """A copy of a run of pairs in which these rows have the other label."""
    shutil.copytree(run.folder, folder)
    table = run.table()
    columns: dict[str, list] = {"preferred": [], "outcome": [], "margin": []}
    for row in table.select(["row", "rewards", *columns]).to_pylist():
        preferred = 1 - row["preferred"] if row["row"] in rows else row["preferred"]
        columns["preferred"].append(preferred)
        columns["outcome"].append(outcome(row["rewards"], preferred))
        columns["margin"].append(row["rewards"][preferred] - row["rewards"][1 - preferred])
    for name, values in columns.items():
        field = SCHEMA.field(name)
        table = table.set_column(table.schema.get_field_index(name), field, pa.array(values, field.type))
    pq.write_table(table, folder / "judgements.parquet", compression="zstd")
    return open_run(folder)


def one_seed(seed: int, place: Path) -> dict[str, float]:
    """Way of ranking -> share of flipped rows among the first tenth (precision; as many are flipped, so recall too)."""
    rng = np.random.default_rng(seed)
    real = {name: open_run(SCENE / name) for name in WAYS["vl-mdr, vl-mdr-blind and scalar"]}
    n = real["scalar"].table(["row"]).num_rows
    flips = set(rng.choice(n, round(SHARE * n), replace=False).tolist())
    runs = {name: flipped(run, flips, place / f"{seed}" / name) for name, run in real.items()}
    first: dict[str, list[int]] = {}
    for way, names in WAYS.items():
        first[way] = [s.row for s in label_issues([runs[name] for name in names])]
    for name in ("vl-mdr", "scalar"):
        first[f"plain margin of {name}"] = (
            runs[name].table(["row", "margin"]).sort_by("margin")["row"].to_pylist()
        )
    first["random"] = [s.row for s in label_issues([runs["scalar"]], "random", seed)]
    return {way: len(flips & set(rows[: len(flips)])) / len(flips) for way, rows in first.items()}


def synthesise(folder: Path, n: int) -> None:
    """Pairs of 60-word texts, half of them without a picture, 5 rows to a prompt, some of them copies and twins."""
    rng = np.random.default_rng(0)
    vocabulary = np.array(["".join(w) for w in product("bdfglmnprs", "aeiou", "bdfglmnprs", "aeiou")])
    folder.mkdir()
    Manifest(
        "own",
        "synthetic",
        "synthetic",
        "",
        JudgeCard("judge", "judge", "rule"),
        Condition.AS_GIVEN,
        None,
        16,
        64,
        "",
        0,
    ).save(folder)
    texts = [" ".join(t) for t in vocabulary[rng.integers(0, len(vocabulary), (2 * n, 60))]]
    pairs = [list(p) for p in zip(texts[::2], texts[1::2], strict=True)]
    keys = [f"{i:016x}" for i in range(n)]
    for i in range(1, n, 55):  # copies: the label is drawn anew
        pairs[i], keys[i] = pairs[i - 1], keys[i - 1]
    preferred, margin = rng.integers(0, 2, n), rng.normal(1, 1, n).astype(np.float32)
    rewards = np.where(preferred[:, None] == np.arange(2), margin[:, None], 0).astype(np.float32)
    columns = {
        "row": range(n), "key": keys, "id": [f"id{i}" for i in range(n)], "subgroup": ["x"] * n,
        "cluster": [f"id{i}" for i in range(n)], "prompt": [f"Describe picture {i // 5} in a few words." for i in range(n)],
        "responses": pairs, "stored": [[0, 1]] * n, "preferred": preferred, "relevant": [None] * n, "decisive": [None] * n,
        "image": [f"{i // 5}".encode() if i // 5 % 2 else None for i in range(n)],
        "outcome": np.where(margin > 0, "right", "wrong"), "margin": margin, "rewards": list(rewards),
        **{name: [[]] * n for name in ("gate_logits", "selected", "weights", "weight_logits", "scores")}, "problem": [""] * n,
    }  # fmt: skip
    table = pa.table([pa.array(columns[f.name], f.type) for f in SCHEMA], schema=SCHEMA)
    pq.write_table(table, folder / "judgements.parquet", compression="zstd")


def cost(folder: Path) -> dict[str, float]:
    started, busy = time.perf_counter(), time.process_time()
    found = label_issues([open_run(folder)])
    seconds, busy = time.perf_counter() - started, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"seconds": round(seconds, 1), "of them computing": round(busy, 1), "peak MB": round(peak), "contradictory rows": sum(s.tier == 0 for s in found)}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--rows", type=int, help="measure the cost on so many synthetic rows instead")
    parser.add_argument("--one", type=Path, help="(internal) rank this folder and print JSON")
    args = parser.parse_args()
    if args.one:
        print(json.dumps(cost(args.one)))
        return
    with tempfile.TemporaryDirectory() as place:
        if args.rows:
            synthesise(Path(place) / "run", args.rows)
            command = [sys.executable, __file__, "--one", str(Path(place) / "run")]
            print(subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip())
            return
        found = [one_seed(seed, Path(place)) for seed in range(args.seeds)]
    print(f"{'precision = recall of the first tenth':38s}  mean   lowest  highest")
    for way in found[0]:
        values = [f[way] for f in found]
        print(f"{way:38s}  {np.mean(values):.3f}  {min(values):.3f}   {max(values):.3f}")


if __name__ == "__main__":
    main()

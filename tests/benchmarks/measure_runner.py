"""What the runner costs beside the model's bare forward passes: `python tests/benchmarks/measure_runner.py [--rows 512]`

On pictures as people have them (PNG of 336 x 336, scaled to the model's 112 x 112), thumbnails kept, one core a worker:

  best      bare forward passes on the runner's very batches, everything decoded and encoded before, in one process a
            core with one torch thread each: the fastest that this machine can do
  threads   the same in one process with torch's own number of threads
  runner    the whole run with worker processes: reading, decoding, encoding, forward passes, thumbnails, writing
  alone     the whole run in one process
  loop      one comparison at a time, as a plain script would

Interleaved, the best of --repeats; prints runner / best (target at most 1.25) and loop / runner (target at least 1.5), of
seconds and of processor seconds, which other work on the machine disturbs less. --without leaves out what is slow.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.benchmarks import BENCHMARKS  # noqa: E402
from core.judges.vlmdr import VLMDRJudge  # noqa: E402
from core.runs.runner import BATCH, WINDOW, Job, _length, run  # noqa: E402
from core.runs.workers import spread  # noqa: E402
from core.world.items import png  # noqa: E402

SIDE = 336  # pixels


def written(folder: Path, rows: int) -> Path:
    """The scene world's records as a file of one's own with a PNG beside it for each row."""
    with (folder / "data.jsonl").open("w") as file:
        for i, row in enumerate(BENCHMARKS["scene"].open().first(rows).rows()):
            c = row.comparison
            assert c
            (folder / f"{i}.png").write_bytes(png(c.load_image().resize((SIDE, SIDE))))
            line = {
                "image": f"{i}.png",
                "prompt": c.prompt,
                "responses": c.responses,
                "preferred": c.preferred,
            }
            file.write(json.dumps(line) + "\n")
    return folder / "data.jsonl"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--without", nargs="*", default=[], choices=["threads", "alone", "loop"])
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    args = parser.parse_args()
    given = torch.get_num_threads()
    judge = VLMDRJudge.load(device="cpu")
    with tempfile.TemporaryDirectory() as place:
        loaded = BENCHMARKS["own"].open(written(Path(place), args.rows))
        rows = list(loaded.rows())
        batches = []
        for start in range(0, len(rows), BATCH * WINDOW):
            window = sorted(rows[start : start + BATCH * WINDOW], key=lambda r: (_length(r), r.index))
            batches += [[r.comparison for r in window[i : i + BATCH]] for i in range(0, len(window), BATCH)]
        ready = [judge.prepare([c for c in batch if c]) for batch in batches]

        def forward(n: int) -> None:
            judge.judge_prepared(ready[n])

        def best() -> None:
            for _ in spread(forward, range(len(ready)), args.workers):
                pass

        def threads() -> None:
            torch.set_num_threads(given)
            for n in range(len(ready)):
                forward(n)
            torch.set_num_threads(1)

        def whole(workers: int) -> None:
            with tempfile.TemporaryDirectory(dir=place) as folder:
                run(Job(loaded, judge, Path(folder) / "r", workers=workers))

        def runner() -> None:
            whole(args.workers)

        def alone() -> None:
            whole(1)

        def loop() -> None:
            unseen = VLMDRJudge(
                judge.model, judge.processor, judge.card, judge.ood
            )  # it keeps what it has read
            for r in rows:
                if r.comparison:
                    unseen.judge(r.comparison)

        every: list[Callable[[], None]] = [best, threads, runner, alone, loop]
        works = [w for w in every if w.__name__ not in args.without]
        times: dict[str, list[float]] = {w.__name__: [] for w in works}
        used: dict[str, list[float]] = {w.__name__: [] for w in works}
        forward(0)
        for _ in range(args.repeats):
            for work in works:
                started, before = time.perf_counter(), sum(os.times()[:4])  # of this process and its children
                work()
                times[work.__name__].append(time.perf_counter() - started)
                used[work.__name__].append(sum(os.times()[:4]) - before)
    print(f"{args.rows} rows, {args.workers} workers, load {os.getloadavg()[0]:.1f}, best of {args.repeats}")
    for what, found in (("seconds", times), ("processor", used)):
        least = {name: min(t) for name, t in found.items()}
        for name, seconds in least.items():
            each = 1e3 * seconds / len(rows)
            print(
                f"{what:<10} {name:<8} {seconds:7.2f} s {each:7.2f} ms a row   {seconds / least['best']:.2f} x best"
            )
        print(f"{what:<10} runner / best {least['runner'] / least['best']:.2f}", end="")
        print(f"   loop / runner {least['loop'] / least['runner']:.2f}" if "loop" in least else "")


if __name__ == "__main__":
    main()

"""What the runner costs: `python tests/benchmarks/measure_runner.py --rows 480`. All three in one process, one after the other:

  bare      the model's forward passes on the very batches of the runner, everything decoded and encoded before
  runner    the whole run: decoding, encoding, forward passes, writing
  loop      one comparison at a time, as a plain script would

prints runner / bare (target at most 1.15) and loop / runner (target at least 1.5), the best of `--repeats`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.benchmarks import BENCHMARKS  # noqa: E402
from core.benchmarks.rows import Loaded  # noqa: E402
from core.judges.vlmdr import VLMDRJudge  # noqa: E402
from core.runs.runner import BATCH, WINDOW, Job, _length, run  # noqa: E402


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=480)
    parser.add_argument("--repeats", type=int, default=3)
    args = parser.parse_args()
    judge = VLMDRJudge.load()
    loaded = BENCHMARKS["scene"].open().first(args.rows)
    rows = list(loaded.rows())  # drawn before: drawing is the benchmark's work, not the runner's
    loaded = Loaded(loaded.benchmark, "built in", "", lambda: iter(rows), len(rows))
    batches = []
    for start in range(0, len(rows), BATCH * WINDOW):
        window = sorted(rows[start : start + BATCH * WINDOW], key=lambda r: (_length(r), r.index))
        batches += [[r.comparison for r in window[i : i + BATCH]] for i in range(0, len(window), BATCH)]
    ready = [judge.prepare(b) for b in batches]

    def bare() -> None:
        with torch.inference_mode():
            for batch in ready:
                reading = judge.model.read(**batch.inputs)
                judge.model.score(reading, batch.ids, batch.mask)

    def runner() -> None:
        with tempfile.TemporaryDirectory() as folder:
            run(Job(loaded, judge, Path(folder) / "r", keep_images=False))

    def loop() -> None:
        for r in rows:
            judge.judge(r.comparison)

    best = {}
    for work in (bare, runner, loop):
        work()
        times = []
        for _ in range(args.repeats):
            started = time.perf_counter()
            work()
            times.append(time.perf_counter() - started)
        best[work.__name__] = min(times)
        print(f"{work.__name__:<8} {min(times):7.2f} s   {len(rows) / min(times):7.1f} rows/s", flush=True)
    print(
        f"runner / bare {best['runner'] / best['bare']:.2f}   loop / runner {best['loop'] / best['runner']:.2f}"
    )


if __name__ == "__main__":
    main()

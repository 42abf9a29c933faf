"""What bfloat16 changes on this machine's CPU: `python tests/benchmarks/measure_bf16.py [--records 1024]`

Held-out records, judged by both embedded judges in float32 and in bfloat16, batch by batch in turn. Prints how many verdicts
are turned, how far margins move, and how much faster it is. `python -m core run --dtype bfloat16` is worth it where no
verdict is turned and the processor computes in bfloat16 (AVX512_BF16, AMX).
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.judges.registry import JUDGES, Options  # noqa: E402
from core.world.splits import held_out  # noqa: E402

BATCH = 16
TYPES = ("float32", "bfloat16")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--records", type=int, default=1024)
    args = parser.parse_args()
    records = list(held_out(args.records, 7_000))[: args.records]
    records.sort(key=lambda c: len(c.prompt) + max(map(len, c.responses)))
    batches = [records[i : i + BATCH] for i in range(0, len(records), BATCH)]
    for name in ("vl-mdr", "scalar"):
        judges = {t: JUDGES[name](Options(device="cpu", dtype=t)) for t in TYPES}
        margins: dict[str, list[float]] = {t: [] for t in TYPES}
        seconds = dict.fromkeys(TYPES, 0.0)
        for batch in batches:
            for type_, judge in judges.items():
                ready = judge.prepare(batch)  # type: ignore[attr-defined]
                started = time.process_time()
                found = judge.judge_prepared(ready)  # type: ignore[attr-defined]
                seconds[type_] += time.process_time() - started
                margins[type_] += [j.margin(0, 1) for j in found]
        exact, short = (np.array(margins[t]) for t in TYPES)
        turned = np.flatnonzero(np.sign(exact) != np.sign(short))
        moved = np.abs(exact - short)
        closest = f", the surest of them by {np.abs(exact[turned]).max():.3f}" if len(turned) else ""
        print(f"{name}: {len(turned)} of {len(exact):,} verdicts turned{closest}; margins move by {np.median(moved):.4f} (median), "
              f"{moved.max():.3f} at most, of {np.median(np.abs(exact)):.2f}; {seconds['float32'] / seconds['bfloat16']:.2f} times faster "
              f"({1e3 * seconds['float32'] / len(exact):.1f} and {1e3 * seconds['bfloat16'] / len(exact):.1f} ms a record)")  # fmt: skip


if __name__ == "__main__":
    main()

"""How long a first look takes, and what torch's own threads make of it: `python tests/benchmarks/measure_first_look.py [--busy 8]`

A first look is what the page computes for a comparison that nobody judged before: the judgement, a map, its deletion check,
the control images and what "Explain" would cost. With one torch thread, as a small model runs, and with as many as torch
takes by itself, interleaved; --busy starts so many processes beside it that only compute. The target is 0.5 s on a machine
that does nothing else. Also prints how often the vision tower and the decoder are called, and processor seconds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import torch  # noqa: E402

GIVEN = torch.get_num_threads()

from app.common.tasks import first_look  # noqa: E402
from core.judges.vlmdr import VLMDRJudge  # noqa: E402
from core.world.splits import held_out  # noqa: E402


def counted(judge: Any) -> dict[str, int]:
    calls = {"vision": 0, "decoder": 0}

    def count(what: str) -> None:
        calls[what] += 1

    whole = judge.model.image_features
    judge.model.image_features = lambda *a, **k: (count("vision"), whole(*a, **k))[1]
    judge.model.backbone.get_decoder().register_forward_pre_hook(lambda *_: count("decoder"))
    return calls


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--looks", type=int, default=8)
    parser.add_argument("--busy", type=int, default=0, metavar="N")
    args = parser.parse_args()
    judge = VLMDRJudge.load(device="cpu")
    calls = counted(judge)
    records = iter(list(held_out(2 * (2 * args.looks + 2), 5_000)))
    beside = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(args.busy)]
    seconds: dict[int, list[float]] = {1: [], GIVEN: []}
    processor: dict[int, list[float]] = {1: [], GIVEN: []}
    try:
        for n in range(args.looks + 1):
            for threads in dict.fromkeys((1, GIVEN)):
                torch.set_num_threads(threads)
                given, other = next(records), next(records).load_image()
                calls.update(vision=0, decoder=0)
                started, used = time.perf_counter(), time.process_time()
                first_look(judge, given, other)
                if n:  # the first one imports
                    seconds[threads].append(time.perf_counter() - started)
                    processor[threads].append(time.process_time() - used)
    finally:
        for process in beside:
            process.kill()
    print(f"load {os.getloadavg()[0]:.1f}, {args.busy} busy processes beside, medians of {args.looks}")
    for threads, found in seconds.items():
        print(
            f"{threads} torch threads: {statistics.median(found):.2f} s, {statistics.median(processor[threads]):.2f} s of processor"
        )
    print(
        f"one thread against {GIVEN}: {statistics.median(seconds[GIVEN]) / statistics.median(seconds[1]):.1f} times faster"
    )
    print(f"{calls['vision']} calls of the vision tower, {calls['decoder']} of the decoder")


if __name__ == "__main__":
    main()

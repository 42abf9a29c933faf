"""Processor time and memory of the dry run over JSON Lines with base64 pictures, at growing sizes, and of one line beyond the limit.

python tests/benchmarks/measure_reading.py [ROWS ...]     (by default 2500 5000 10000 20000)

Each size runs in a process of its own; memory is the peak of that process less that of an empty one.
"""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.world.items import png  # noqa: E402


def written(folder: Path, rows: int) -> Path:
    """rows with their own noise picture of 96 x 96, 37 kB of base64 each, labels in letters."""
    rng, path = np.random.default_rng(0), folder / f"{rows}.jsonl"
    with path.open("w") as file:
        for i in range(rows):
            data = png(Image.fromarray(rng.integers(0, 255, (96, 96, 3), dtype="uint8")))
            row = {"image": base64.b64encode(data).decode(), "prompt": f"What is {i}?", "responses": ["one", f"two {i}"],
                   "preferred": "AB"[i % 2]}  # fmt: skip
            file.write(json.dumps(row) + "\n")
    return path


def one_line(folder: Path, mebibytes: int) -> Path:
    path = folder / "line.jsonl"
    with path.open("w") as file:
        file.write('{"prompt": "a?", "chosen": "x", "rejected": "y"}\n{"image": "')
        for _ in range(mebibytes):
            file.write("A" * (1 << 20))
        file.write(
            '", "prompt": "b?", "chosen": "x", "rejected": "y"}\n{"prompt": "c?", "chosen": "x", "rejected": "y"}\n'
        )
    return path


CHILD = """
import sys, time
from core.benchmarks.check import check
peak = lambda: int(next(l for l in open("/proc/self/status") if l.startswith("VmHWM")).split()[1]) / 1024
before, started = peak(), time.process_time()
found = check(sys.argv[1])
print(time.process_time() - started, peak() - before, found.rows, found.found)
for line in found.lines()[-2:]: print(line)
"""


def measured(path: Path) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(path)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def main() -> None:
    sizes = [int(n) for n in sys.argv[1:]] or [2500, 5000, 10000, 20000]
    print("| rows | file, MiB | seconds | µs a row | peak memory, MiB |\n| --- | --- | --- | --- | --- |")
    with tempfile.TemporaryDirectory() as folder:
        for n in sizes:
            path = written(Path(folder), n)
            seconds, memory, rows, found = map(float, measured(path)[0].split())
            assert rows == found == n
            print(f"| {n:,} | {path.stat().st_size >> 20} | {seconds:.1f} | {1e6 * seconds / n:.0f} | {memory:.0f} |", flush=True)  # fmt: skip
            path.unlink()
        path = one_line(Path(folder), 300)
        first, *said = measured(path)
        seconds, memory, rows, _ = map(float, first.split())
        print(f"One line of 300 MiB among {rows:.0f}: {seconds:.1f} s, {memory:.0f} MiB at most. {' '.join(s.strip() for s in said)}")  # fmt: skip


if __name__ == "__main__":
    main()

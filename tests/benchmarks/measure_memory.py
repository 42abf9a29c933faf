"""Does memory grow over 2,000 judgements? `python tests/benchmarks/measure_memory.py [--judgements 2000]`

Through the published endpoint of a running app, each time with a text that nobody judged before. Prints resident memory
along the way; exits with 1 if it ends more than 20 % above where it stood after the first tenth.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

from gradio_client import Client

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from load_visitors import memory  # noqa: E402

from tests.app.conftest import started  # noqa: E402


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--judgements", type=int, default=2000)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rewardscope-memory-"))
    with started(folder, "--runs", str(folder / "runs")) as (url, pid):
        client = Client(url, verbose=False)
        marks = []
        for n in range(args.judgements):
            client.predict("example:count", "How many stars are there?", ["2", f"{n}"], api_name="/score")
            if (n + 1) % (args.judgements // 10) == 0:
                marks.append(memory(pid))
                print(f"{n + 1:,} judgements: {marks[-1]:.0f} MB", flush=True)
    return int(marks[-1] > 1.2 * marks[0])


if __name__ == "__main__":
    sys.exit(main())

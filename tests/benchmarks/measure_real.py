"""Runs real pictures with real prompts and responses through the page's own code path. A script, not a test.

`python tests/benchmarks/measure_real.py FOLDER`: FOLDER holds items.jsonl with image, question and responses {model: text}.
Prints a row per item: size, verdict, warning, seconds. Nothing here is a claim of accuracy: the embedded model
does not know these pictures, and the page has to say so.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from app.common import words  # noqa: E402
from app.inspect import views  # noqa: E402
from core.images import open_image  # noqa: E402
from core.judges.vlmdr import VLMDRJudge  # noqa: E402


def main(folder: Path) -> None:
    judge = VLMDRJudge.load()
    judging, whole, warned, count, failed = [], [], 0, 0, 0
    for line in (folder / "items.jsonl").read_text(encoding="utf-8").splitlines():
        item = json.loads(line)
        texts = [t for t in item["responses"].values() if t.strip()][-2:]
        started = time.perf_counter()
        count += 1
        try:
            view = views.judge_view(judge, str(folder / item["image"]), item["question"], texts)
            page = views.verdict_html(view) + views.heat_html(view)
        except Exception as error:
            failed += 1
            print(f"{item['image']:22} FAILED {type(error).__name__}: {error}")
            continue
        seconds = time.perf_counter() - started
        judging.append(view.judgement.seconds)
        whole.append(seconds)
        warning = words.warning(view.judgement.ood)
        warned += warning is not None
        assert not warning or "outside the world" in page
        size = "×".join(map(str, open_image(folder / item["image"]).size))
        sentence = words.verdict(view.comparison, view.judgement, *view.pair)
        print(
            f"{item['image']:16} {size:>10} {'warned' if warning else 'NOT WARNED':10} {seconds:5.2f} s  {sentence}"
        )
    print(f"{count} comparisons, {failed} failed, {warned} warned of")
    print(f"seconds to judge: median {statistics.median(judging):.3f}, most {max(judging):.3f}")
    print(f"seconds to judge, explain and draw: median {statistics.median(whole):.3f}, most {max(whole):.3f}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))

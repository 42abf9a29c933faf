"""How long from a key to the next item, and from a verdict to the reveal, in a real browser.

    python tests/benchmarks/measure_desk.py [--items 60] [--pause 1.0]

From the key press to the first frame that shows the change. pause: seconds a person looks before each key.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.labels import queues  # noqa: E402
from core.labels.store import LabelStore  # noqa: E402
from core.runs.library import BUNDLED  # noqa: E402
from core.runs.run import open_run  # noqa: E402
from tests.app.conftest import CHROMIUM, FLAGS, started  # noqa: E402

PRESS = """([box, key]) => new Promise(done => {
  const started = performance.now();
  const seen = new MutationObserver(() => { seen.disconnect(); requestAnimationFrame(() => done(performance.now() - started)); });
  seen.observe(document.querySelector(box), {childList: true, subtree: true, characterData: true});
  document.body.dispatchEvent(new KeyboardEvent('keydown', {key, bubbles: true}));
})"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=60)
    parser.add_argument("--pause", type=float, default=1.0)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rewardscope-desk-"))
    store = LabelStore(f"sqlite:///{folder / 'labels.sqlite'}")
    runs = {f"scene/{n}": open_run(BUNDLED / "scene" / n) for n in ("vl-mdr", "scalar")}
    queues.from_runs(store, runs, name="desk", by="script", most=args.items + 5)
    with started(folder, "--replay", str(folder)) as (url, _), sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        page = browser.new_page(viewport={"width": 1440, "height": 1000})
        page.goto(f"{url}label")
        page.locator("#name input, #name textarea").first.fill("Measured")
        page.keyboard.press("Enter")
        page.locator(".desk-item").wait_for(timeout=60_000)
        reveal, following = [], []
        for _ in range(args.items):
            time.sleep(args.pause)
            reveal.append(page.evaluate(PRESS, ["#reveal", "1"]))
            time.sleep(args.pause)
            following.append(page.evaluate(PRESS, ["#item-text", "Enter"]))
        browser.close()
    for name, times in (("verdict to reveal", reveal), ("next item", following)):
        times.sort()
        print(
            f"{name}: median {statistics.median(times):.0f} ms, 95 % {times[int(0.95 * len(times))]:.0f} ms, most {times[-1]:.0f} ms ({len(times)})"
        )


if __name__ == "__main__":
    main()

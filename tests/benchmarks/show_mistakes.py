"""Ten mistakes of a run with their maps as one picture, evenly from the surest to the least sure:
`python tests/benchmarks/show_mistakes.py assets/runs/scene/vl-mdr assets/ten_failures.png`. Needs Debian's chromium."""

from __future__ import annotations

import argparse
import io
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

sys.path.insert(0, str(Path(__file__).parents[2]))

from app.common import heat  # noqa: E402
from app.common.html import html  # noqa: E402
from app.common.theme import CSS  # noqa: E402
from core.explain import explain  # noqa: E402
from core.judges.vlmdr import VLMDRJudge  # noqa: E402
from core.runs.rows import comparison_of  # noqa: E402
from core.runs.run import open_run  # noqa: E402

SHOWN, COLUMNS, WIDTH = 10, 5, 1900

PAGE = """<!doctype html><meta charset="utf-8"><style>{{ css }}
:root { --block-background-fill: #fff; --body-text-color: #1f2937; --body-text-color-subdued: #4b5563;
--border-color-primary: #d1d5db; --background-fill-secondary: #f3f4f6; }
body { margin: 12px; font: 13px system-ui, sans-serif; color: #1f2937; background: #fff; }
main { display: grid; grid-template-columns: repeat({{ columns }}, minmax(0, 1fr)); gap: 18px; }
h2 { font-size: 14px; margin: 0 0 6px; } img { width: 100%; } .explanation .pictures { display: flex; flex-wrap: nowrap; gap: 6px; } .explanation .pictures figure { margin: 0; flex: 1 1 0; min-width: 0; }
.response { display: flex; gap: 8px; align-items: baseline; } .response p { margin: 4px 0; } .small { font-size: 11px; }
</style><main>{% for question, map in shown %}<section><h2>{{ question }}</h2>{{ map }}</section>{% endfor %}</main>"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("output", type=Path)
    args = parser.parse_args()
    run, judge = open_run(args.run), VLMDRJudge.load(device="cpu")
    table = run.table(["row", "outcome", "margin"]).to_pylist()
    wrong = sorted((r for r in table if r["outcome"] == "wrong"), key=lambda r: r["margin"])
    chosen = [wrong[round(i * (len(wrong) - 1) / (SHOWN - 1))] for i in range(SHOWN)]
    shown = []
    for row in chosen:
        c = comparison_of(run, row["row"])
        assert c and c.preferred is not None
        j = judge.judge(c)
        texts = (c.responses[0], c.responses[1])
        map_ = heat.explanation_html(c.load_image(), explain(judge, c, j, method="ablation"), texts, (0, 1))
        shown.append((f"{c.prompt} Right: {'AB'[c.preferred]}, judged by {row['margin']:+.2f}", map_))
    page = html(PAGE, css=CSS.read_text(), columns=COLUMNS, shown=shown)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": WIDTH, "height": 900})
        tab.set_content(str(page))
        png = tab.locator("main").screenshot()
        browser.close()
    Image.open(io.BytesIO(png)).convert("RGB").save(args.output, optimize=True)
    print(f"{len(wrong)} mistakes, {len(chosen)} shown in {args.output}")


if __name__ == "__main__":
    main()

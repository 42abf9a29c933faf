"""Takes pictures of the Inspect page with a scalar, a generative and a remote judge, and of a recorded gallery, on one photograph:

    python tests/benchmarks/show_judges.py PHOTO QUESTION A B OUTPUT

No public weights are here: the checkpoints are tiny and random, in the published layouts, and what a random model would think is
dictated. So the pages show that the wiring holds, and their numbers mean nothing.
"""

import argparse
import base64
import io
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from checkpoints import qwen, value_head  # noqa: E402
from server import serving, text_of, token  # noqa: E402

from app.common.theme import CSS, THEME, head  # noqa: E402
from app.inspect.recording import record  # noqa: E402
from app.pages import Desk, build, build_without_model  # noqa: E402
from core.judges.generative import GenerativeJudge  # noqa: E402
from core.judges.opening import open_judge  # noqa: E402
from core.judges.options import Options  # noqa: E402
from core.labels.store import LabelStore  # noqa: E402
from core.records.gallery import read  # noqa: E402

THOUGHTS = (
    "<think>Response 1 says in words where it is. Response 2 says more than it needs to. The place it names can be seen in the "
    "picture.</think><answer>",
    "<think>Both look at the right part of the picture. Response 2 names the place exactly.</think><answer>",
)


class Dictated(GenerativeJudge):
    """Its thoughts are dictated; the verdict behind them and its log-odds are the model's own."""

    def write(self, image, asked, votes):
        odds = [self.log_odds(image, asked, thought) for thought in THOUGHTS]
        texts = [f"{thought}{1 if o > 0 else 2}</answer>" for thought, o in zip(THOUGHTS, odds, strict=True)]
        return [(texts[i % 2], True) for i in range(votes)]


def answer(handler, body, number):
    """Likes long answers, the more so the more red it sees, and whatever is shown first a little more."""
    url = next(p["image_url"]["url"] for p in body["messages"][-1]["content"] if p["type"] == "image_url")
    red, green, _ = (
        np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))).transpose(2, 0, 1).astype(int)
    )
    seen = ((red > 150) & (green < 130)).mean()
    first, second = (text_of(body).split(f"Response {n}:\n")[1].split("\n\n")[0] for n in (1, 2))
    odds = (len(first) - len(second)) / 60 * (1 + 10 * seen) + 0.3
    mine, other = ("1", "2") if odds >= 0 else ("2", "1")
    said = THOUGHTS[0]
    handler.say(f"{said}{mine}</answer>", tokens=[
        token(said, -0.1), token(mine, -0.1, **{other: -0.1 - abs(odds)}), token("</answer>", -0.1),
    ])  # fmt: skip


def pictures(browser, url, name, asked, out, after):
    for width in asked.widths:
        for theme in asked.themes:
            page = browser.new_page(viewport={"width": width, "height": 1000})
            page.goto(f"{url}?__theme={theme}")
            after(page)
            page.wait_for_timeout(1500)
            page.screenshot(path=str(out / f"{name}-{width}-{theme}.png"), full_page=True)
            page.close()


def inspect(asked, kind):
    def after(page):
        page.wait_for_function("document.querySelector('#prompt textarea')?.value")
        page.locator("#verdict p").first.wait_for(timeout=60_000)
        page.wait_for_timeout(1000)
        page.locator("#change-picture").click()
        page.locator("#picture input[type=file]").first.set_input_files(str(asked.photo))
        for field, text in (("prompt", asked.question), ("response-a", asked.a), ("response-b", asked.b)):
            page.locator(f"#said-{field} [data-edit]").click()
            page.locator(f"#{field} textarea").fill(text)
        page.wait_for_timeout(5000)
        page.locator("#judge").click()
        page.locator("#verdict .rewards").wait_for(timeout=90_000)
        page.locator("#said-response-a .word").first.wait_for(timeout=90_000)
        page.wait_for_timeout(2000)
        if kind == "remote":
            page.get_by_role("button", name="Another map").click()
            page.locator("#cost p").wait_for(timeout=60_000)
            page.locator("#exact").click()
            page.locator("#heat .legend").wait_for(timeout=90_000)
        if kind != "generative":
            page.locator("#edits button").first.click()
            page.locator("#try-edits").click()
            page.locator("#strip .chart").first.wait_for(timeout=90_000)

    return after


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", type=Path)
    for name in ("question", "a", "b"):
        parser.add_argument(name)
    parser.add_argument("output", type=Path)
    parser.add_argument("--only", nargs="*", default=["scalar", "generative", "remote", "recorded"])
    parser.add_argument("--widths", nargs="*", type=int, default=[1440, 390])
    parser.add_argument("--themes", nargs="*", default=["light", "dark"])
    asked = parser.parse_args()
    asked.output.mkdir(parents=True, exist_ok=True)
    scratch = Path(tempfile.mkdtemp())
    plain = qwen(scratch / "Random-VL-Judge")
    scalar = value_head(qwen(scratch / "Random-VL-Reward"))
    small = Options(device="cpu", max_pixels=150_000)
    with serving(answer, models=("random-judge",)) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=["--no-sandbox", "--disable-gpu"]
        )
        for kind in asked.only:
            desk = Desk(LabelStore(f"sqlite:///{scratch / kind}.sqlite"))
            if kind == "recorded":
                file = recorded(asked, scratch, server.address)
                demo = build_without_model(scratch, desk, [read(file)])
            else:
                how = replace(small, prompt="think", votes=3) if kind == "generative" else small
                judge = open_judge(
                    {"scalar": str(scalar), "remote": server.address}.get(kind, str(plain)), how
                )
                if kind == "generative":
                    judge = Dictated(judge.model, judge.processor, judge.card, judge.prompt, judge.votes)
                demo = build(judge, scratch / "runs", desk)
            _, url, _ = demo.launch(theme=THEME, css_paths=CSS, head=head(), prevent_thread_lock=True, quiet=True, ssr_mode=False, footer_links=[])  # fmt: skip
            path = f"{url}recorded" if kind == "recorded" else url
            after = (
                (lambda page: page.locator("#judged .legend").wait_for(timeout=60_000))
                if kind == "recorded"
                else inspect(asked, kind)
            )
            pictures(browser, path, kind, asked, asked.output, after)
            demo.close()
        browser.close()


def recorded(asked, scratch, address):
    import json
    import shutil

    folder = scratch / "photos"
    folder.mkdir()
    shutil.copy(asked.photo, folder / "photo.jpg")
    row = {"image": "photo.jpg", "question": asked.question, "responses": [asked.a, asked.b]}
    (folder / "items.jsonl").write_text(json.dumps(row) + "\n")
    names = ("revision", "prompt", "votes", "pooled", "base", "served", "workers", "device", "dtype")
    record(SimpleNamespace(
        **dict.fromkeys(names), model=address, max_pixels=150_000, data=None, images=folder, format=None, limit=5, title=None,
        output=scratch / "recorded.zip",
    ))  # fmt: skip
    return scratch / "recorded.zip"


if __name__ == "__main__":
    main()

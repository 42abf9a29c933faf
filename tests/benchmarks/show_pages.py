"""Makes the README's pictures anew: `python tests/benchmarks/show_pages.py [FOLDER]` (by default assets/).

screenshot.png: the first page. desk.png: the label desk after a verdict. ten_failures.png: see show_mistakes.py. moving.webp: a pair
is judged, a word hovered, a word changed until the verdict turns; at most 1.5 MB. Starts the app and drives headless Chromium,
by labels and roles and not by layout. A step whose place is not found is named and left out, and the exit status is then 1.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from core.labels import queues  # noqa: E402
from core.labels.store import LabelStore  # noqa: E402
from core.runs.library import BUNDLED  # noqa: E402
from core.runs.run import open_run  # noqa: E402
from tests.app.conftest import CHROMIUM, FLAGS, started  # noqa: E402

LARGEST = 1_500_000  # bytes of the moving picture
WIDE = 960  # its pixels across
VERDICT = re.compile(r"The model prefers [A-Z]")
# Screenshots have no pointer: this one follows the mouse.
POINTER = """() => {
    const dot = document.createElement('div');
    dot.style.cssText = 'position:fixed;z-index:99999;width:22px;height:22px;margin:-11px;border-radius:50%;pointer-events:none;'
        + 'background:rgba(217,115,13,.45);border:2px solid #a34f06;left:-99px;top:-99px';
    document.body.append(dot);
    addEventListener('mousemove', e => { dot.style.left = e.clientX + 'px'; dot.style.top = e.clientY + 'px'; }, true);
}"""
missing: list[str] = []


class Film:
    """Frames of a page, each with the milliseconds that it is seen."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.frames: list[Image.Image] = []
        self.seen: list[int] = []

    def take(self, milliseconds: int) -> None:
        frame = Image.open(io.BytesIO(self.page.screenshot())).convert("RGB")
        self.frames.append(
            frame.resize((WIDE, round(frame.height * WIDE / frame.width)), Image.Resampling.LANCZOS)
        )
        self.seen.append(milliseconds)

    def save(self, path: Path) -> None:
        for quality in (80, 70, 60, 50, 40, 30, 20):
            self.frames[0].save(
                path, save_all=True, append_images=self.frames[1:], duration=self.seen, loop=0, quality=quality, method=6, minimize_size=True,
            )  # fmt: skip
            if path.stat().st_size <= LARGEST:
                return
        raise SystemExit(
            f"{path.name} has {path.stat().st_size:,} bytes at the lowest quality: take fewer frames."
        )


def first(*places: Locator) -> Locator:
    """The first of these that can be seen. Raises LookupError."""
    for place in places:
        for found in place.all():
            if found.is_visible():
                return found
    raise LookupError("nothing on this page fits")


def step(name: str, act: Callable[[], None]) -> None:
    try:
        act()
    except Exception as error:  # a page that was rebuilt: the other steps are still worth seeing
        missing.append(f"{name}: {str(error).splitlines()[0][:120]}")


def opened(browser: Browser, url: str, width: int = 1440, height: int = 900) -> Page:
    context = browser.new_context(
        viewport={"width": width, "height": height}, color_scheme="light", reduced_motion="reduce"
    )
    context.add_init_script("try { localStorage.setItem('rewardscope-tour', 'offered'); } catch {}")
    page = context.new_page()
    page.goto(url)
    return page


def first_page(browser: Browser, url: str, path: Path) -> None:
    page = opened(browser, url)
    expect(page.get_by_text(VERDICT).first).to_be_visible(timeout=120_000)
    _still(page)
    page.screenshot(path=path)
    page.context.close()


def desk(browser: Browser, url: str, path: Path) -> None:
    page = opened(browser, f"{url}label")
    page.get_by_label("Your name on this server").fill("Ann")
    page.get_by_role("button", name="Enter", exact=True).click()
    page.get_by_role("button", name="I have written it down").click(timeout=60_000)
    page.get_by_role("button", name=re.compile(r"\(2\)$")).click()
    expect(page.get_by_text("You said Right.")).to_be_visible(timeout=60_000)
    page.wait_for_timeout(500)
    page.screenshot(path=path)
    page.context.close()


def moving(browser: Browser, url: str, path: Path) -> None:
    page = opened(browser, url, 1280, 800)
    verdict = page.get_by_text(VERDICT).first
    expect(verdict).to_be_visible(timeout=120_000)
    _still(page)
    page.evaluate(POINTER)
    film = Film(page)
    film.take(1800)
    step("judge", lambda: judge(page, film))
    step("hover a word", lambda: hover(page, film))
    step("flip", lambda: flip(page, film))
    film.save(path)
    page.context.close()


def _field(page: Page, letter: str) -> Locator:
    """Where a response is written; behind its Edit button, where it has one."""
    name = re.compile(rf"^(edit )?(response )?{letter}\b", re.IGNORECASE)
    with contextlib.suppress(LookupError):
        first(page.get_by_role("button", name=re.compile(f"^edit response {letter}", re.IGNORECASE))).click()
    return first(page.get_by_role("textbox", name=name), page.get_by_label(name))


def _judge(page: Page) -> None:
    button = first(
        page.get_by_role("button", name="Judge", exact=True),
        page.get_by_role("button", name=re.compile("^Judge")),
    )
    button.hover()
    button.click()


def _changed(page: Page, before: str) -> None:
    page.wait_for_function(
        "before => !document.body.innerText.includes(before) && /The model prefers [A-Z]/.test(document.body.innerText)", arg=before,
        timeout=60_000,
    )  # fmt: skip
    _still(page)


def _still(page: Page) -> None:
    """Map and check are there as well: nothing says that it is at work any more."""
    page.wait_for_timeout(1000)
    page.wait_for_function("!/processing|queue: /.test(document.body.innerText)", timeout=60_000)
    page.wait_for_timeout(500)


def _said(page: Page) -> str:
    return page.get_by_text(VERDICT).first.inner_text()


def judge(page: Page, film: Film) -> None:
    """A word is taken out, and the pair judged."""
    field, before = _field(page, "B"), _said(page)
    field.scroll_into_view_if_needed()
    field.hover()
    film.take(500)
    text = field.input_value()
    field.fill(text.replace(", you idiot", ""))
    film.take(1000)
    _judge(page)
    _changed(page, before)
    first(page.get_by_text(VERDICT)).scroll_into_view_if_needed()
    film.take(1800)


def hover(page: Page, film: Film) -> None:
    """The words of a map, one after the other."""
    words = [w for w in page.get_by_text(re.compile(r"^([12][.,]|purple|shapes)$")).all() if w.is_visible()]
    if not words:
        raise LookupError("no word of a response stands by itself")
    for word in words[:3]:
        word.scroll_into_view_if_needed()
        word.hover()
        page.wait_for_timeout(400)
        film.take(900)


def flip(page: Page, film: Film) -> None:
    """One button turns the verdict, where there is one; else the wrong number is made right and the right one wrong."""
    before = _said(page)
    try:
        button = first(page.get_by_role("button", name=re.compile("^flip", re.IGNORECASE)))
        button.hover()
        film.take(700)
        button.click()
    except LookupError:
        for letter, text in (
            ("B", "The number of purple shapes is 2."),
            ("A", "The number of purple shapes is 1."),
        ):
            field = _field(page, letter)
            field.scroll_into_view_if_needed()
            field.hover()
            field.fill(text)
            film.take(800)
        _judge(page)
    _changed(page, before)
    first(page.get_by_text(VERDICT)).scroll_into_view_if_needed()
    film.take(2600)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, nargs="?", default=ROOT / "assets")
    parser.add_argument("--no-failures", action="store_true", help="leave ten_failures.png as it is")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as temporary, sync_playwright() as driver:
        folder = Path(temporary)
        store = LabelStore(f"sqlite:///{folder / 'labels.sqlite'}")
        runs = {f"scene/{n}": open_run(BUNDLED / "scene" / n) for n in ("vl-mdr", "scalar")}
        queues.from_runs(store, runs, name="Scenes", by="Ann", most=50)
        store.close()
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        with started(folder, "--runs", str(folder / "runs")) as (url, _):
            step("screenshot.png", lambda: first_page(browser, url, args.folder / "screenshot.png"))
            step("desk.png", lambda: desk(browser, url, args.folder / "desk.png"))
            step("moving.webp", lambda: moving(browser, url, args.folder / "moving.webp"))
        browser.close()
    if not args.no_failures:
        script = [sys.executable, str(Path(__file__).with_name("show_mistakes.py"))]
        subprocess.run(
            [*script, str(BUNDLED / "scene" / "vl-mdr"), str(args.folder / "ten_failures.png")], check=True
        )
    for name in ("screenshot.png", "desk.png", "moving.webp", "ten_failures.png"):
        if (args.folder / name).exists():
            print(f"{args.folder / name}: {(args.folder / name).stat().st_size:,} bytes")
    if missing:
        sys.exit("\n".join(["Left out:", *missing]))


if __name__ == "__main__":
    main()

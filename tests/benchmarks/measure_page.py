"""Measures the app as a person meets it, and takes the README's picture. A script, not a test.

`python tests/benchmarks/measure_page.py [--screenshots FOLDER]`: starts `python app.py` and drives headless Chromium.
"""

from __future__ import annotations

import argparse
import shutil
import socket
import statistics
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
ROUNDS = 5


def start(port: int) -> tuple[subprocess.Popen, float]:
    begun = time.perf_counter()
    process = subprocess.Popen([sys.executable, "app.py", "--port", str(port)], cwd=ROOT, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)  # fmt: skip
    while True:
        try:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
            return process, begun
        except OSError:
            time.sleep(0.1)


def judged(page: Page) -> float:
    """Seconds from the click on Judge to a new verdict with its first map."""
    field = page.locator("#response-b textarea")
    if not field.is_visible():
        page.locator("#said-response-b [data-edit]").click()
    field.fill(field.input_value() + " ")
    page.evaluate("document.querySelector('.rewards').dataset.old = '1'")
    begun = time.perf_counter()
    page.locator("#judge").click()
    page.wait_for_selector(".rewards:not([data-old])")
    return time.perf_counter() - begun


def explained(page: Page) -> float:
    """Seconds from the click on integrated gradients (32 steps) to its map."""
    judged(page)
    begun = time.perf_counter()
    if not page.locator("#exact").is_visible():
        page.get_by_role("button", name="Another map").click()
    page.locator("#exact").click()
    expect(page.locator("#map-details .small")).to_contain_text("Integrated gradients", timeout=60_000)
    return time.perf_counter() - begun


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--screenshots", type=Path)
    args = parser.parse_args()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process, begun = start(port)
    try:
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=shutil.which("chromium"),
                args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"],
            )
            page = browser.new_page(viewport={"width": 1440, "height": 1000})
            page.goto(f"http://127.0.0.1:{port}/")
            page.wait_for_selector(".verdict")
            print(f"from `python app.py` to a judged page: {time.perf_counter() - begun:.1f} s")
            for name, action in (
                ("click to verdict and first map", judged),
                ("click to integrated gradients", explained),
            ):
                times = [action(page) for _ in range(ROUNDS)]
                print(f"{name}: median {statistics.median(times):.2f} s, most {max(times):.2f} s of {ROUNDS}")
            page.close()
            if args.screenshots:
                for width in (1440, 390):
                    for theme in ("light", "dark"):
                        page = browser.new_page(viewport={"width": width, "height": 1000})
                        page.goto(f"http://127.0.0.1:{port}/?__theme={theme}")
                        page.wait_for_selector("#contributions .strip-row")
                        page.wait_for_timeout(1500)
                        page.screenshot(
                            path=args.screenshots / f"inspect-{width}-{theme}.png", full_page=True
                        )
                        page.close()
            browser.close()
    finally:
        process.terminate()


if __name__ == "__main__":
    main()

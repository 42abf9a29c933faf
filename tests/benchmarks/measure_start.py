"""Start, weight and first click of the app, beside another checkout of it in the same sitting:

    python tests/benchmarks/measure_start.py [--against CHECKOUT] [--rounds 3]

Per checkout, in turns: seconds and CPU seconds from `python app.py` to the first served page, and what a fresh browser fetches for
the front page; then a click on Judge for a text that nobody judged before, and what the model's own part of it took.
The last lines are ratios, this checkout over the other.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).parents[2]
TICKS = os.sysconf("SC_CLK_TCK")


def cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def start(checkout: Path, folder: Path) -> tuple[subprocess.Popen[bytes], str, dict[str, float]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    url, begun = f"http://127.0.0.1:{port}/", time.perf_counter()
    command = [
        sys.executable,
        "app.py",
        "--port",
        str(port),
        "--labels",
        f"sqlite:///{folder / 'labels.sqlite'}",
    ]
    process = subprocess.Popen(command, cwd=checkout, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while True:
        try:
            urllib.request.urlopen(url, timeout=60).read()
            return (
                process,
                url,
                {"start to first page, s": time.perf_counter() - begun, "... CPU, s": cpu(process.pid)},
            )
        except OSError:
            if process.poll() is not None:
                raise
            time.sleep(0.05)


def visit(browser: Browser, url: str) -> dict[str, float]:
    context = browser.new_context()
    page = context.new_page()
    events = context.new_cdp_session(page)
    events.send("Network.enable")
    sent: list[str] = []
    size: list[float] = []
    events.on("Network.requestWillBeSent", lambda e: sent.append(e["request"]["url"]))
    events.on("Network.loadingFinished", lambda e: size.append(e["encodedDataLength"]))
    page.goto(url)
    page.wait_for_selector(".verdict", timeout=120_000)
    page.wait_for_timeout(4000)
    out = {"requests": float(sum(not u.startswith("data:") for u in sent)), "kB": sum(size) / 1000}
    times, models, hops = [], [], []
    field = page.locator("#response-b textarea")
    for _ in range(4):
        if not field.is_visible():  # a card: an earlier version has a field
            page.locator("#said-response-b [data-edit]").click()
        field.fill(field.input_value() + " and more")
        page.evaluate("document.querySelector('.rewards').dataset.old = '1'")
        before, begun = len(sent), time.perf_counter()
        page.locator("#judge").click()
        page.wait_for_selector(".rewards:not([data-old])", timeout=120_000)
        times.append(time.perf_counter() - begun)
        page.wait_for_timeout(1500)
        hops.append(float(sum(not u.startswith("data:") for u in sent[before:])))
        said = re.search(r"judged in ([\d.]+) s", page.locator(".rewards").inner_text())
        mapped = re.findall(
            r"([\d.]+) s, [\d,.]+ MiB|float32, ([\d.]+) s", page.locator("#heat").inner_text()
        )
        models.append(sum(float(x) for x in [said[1] if said else 0, *(a or b for a, b in mapped[:1])]))
    out |= {"Judge, s": statistics.median(times[1:]), "... its judgement and map, s": statistics.median(models[1:]), "... requests": statistics.median(hops[1:])}  # fmt: skip
    context.close()
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    checkouts = [ROOT, *([args.against] if args.against else [])]
    found: list[list[dict[str, float]]] = [[] for _ in checkouts]
    with sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"]
        )
        for n in range(args.rounds):
            for checkout, rounds in zip(checkouts, found, strict=True):
                process, url, took = start(checkout, Path(folder))
                try:
                    rounds.append(took | (visit(browser, url) if n == 0 else {}))
                finally:
                    process.terminate()
                    process.wait(30)
        browser.close()
    table = [{k: statistics.median(r[k] for r in rounds if k in r) for k in rounds[0]} for rounds in found]
    for name in table[0]:
        ratio = f"   ratio {table[0][name] / table[1][name]:.2f}" if len(table) > 1 and table[1][name] else ""
        print(f"{name:<32}" + "".join(f"{t[name]:>10.2f}" for t in table) + ratio)


if __name__ == "__main__":
    main()

import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

from core.labels import queues
from core.labels.store import LabelStore
from core.runs.library import BUNDLED
from core.runs.run import open_run

ROOT = Path(__file__).parents[2]
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@contextmanager
def started(folder: Path, *arguments: str, cwd: Path = ROOT, env: dict[str, str] | None = None):
    """The app as its user starts it: `python app.py` in `cwd`. Gives its address and process id; `folder` gets its log."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    log = folder / "log"
    if "--labels" not in arguments:
        arguments = (*arguments, "--labels", f"sqlite:///{folder / 'labels.sqlite'}")
    with log.open("w") as out:
        process = subprocess.Popen(
            [sys.executable, "app.py", "--port", str(port), *arguments],
            cwd=cwd,
            env=env,
            stdout=out,
            stderr=out,
        )
    try:
        for _ in range(240):
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5)
                break
            except OSError:
                assert process.poll() is None, log.read_text()
                time.sleep(0.5)
        yield f"http://127.0.0.1:{port}/", process.pid
    finally:
        process.terminate()
        process.wait(60)


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("app")
    store = LabelStore(f"sqlite:///{folder / 'labels.sqlite'}")
    runs = {f"scene/{n}": open_run(BUNDLED / "scene" / n) for n in ("vl-mdr", "scalar")}
    queues.from_runs(store, runs, name="Suspicious scenes", by="a test", most=50)
    with started(folder, "--runs", str(folder / "runs"), "--mcp") as (url, _):
        yield url


@pytest.fixture(scope="session")
def browser():
    assert CHROMIUM, "these tests need Debian's chromium: apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield chromium
        chromium.close()

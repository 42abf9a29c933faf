"""Fifty visitors judging and browsing at once for five minutes: errors, waiting, memory.

    python tests/benchmarks/load_visitors.py [--visitors 50] [--minutes 5]

Each visitor uploads a picture of the scene world, judges texts that nobody judged before, opens pages, walks through failures
and labels, with a second or so between. "The queue is full" is no error, it is counted. Exits with 1 on any other
error, or if memory ends more than 20 % above where it stood after the first minute.
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from desk_client import Annotator, Page, Refused  # noqa: E402

from core.labels import queues  # noqa: E402
from core.labels.store import LabelStore  # noqa: E402
from core.runs.library import BUNDLED  # noqa: E402
from core.runs.run import open_run  # noqa: E402
from core.world.splits import couple  # noqa: E402
from tests.app.conftest import started  # noqa: E402

FULL = "queue is full"


class Visitor:
    def __init__(self, url: str, number: int, counts: Counter, waits: dict[str, list[float]]) -> None:
        self.url, self.counts, self.waits, self.rng = url, counts, waits, random.Random(number)
        self.client = httpx.Client(timeout=300)
        self.page, self.number = Page(url, self.client), number
        self.comparison = couple("count", f"visitor-{number}")[0]
        files = {"files": ("p.png", self.comparison.image, "image/png")}
        self.path = self.client.post(f"{url}/gradio_api/upload", files=files).json()[0]
        # What the page sends by itself once `judge` has put the comparison into its State.
        self.judged = self.page.find("", None, "change", kind="state")
        self.desk: Annotator | None = None

    def act(self) -> None:
        deed = self.rng.choice(["judge", "judge", "browse", "browse", "look", "label"])
        started = time.perf_counter()
        try:
            if getattr(self, deed)() is not False:
                self.counts[deed] += 1
                self.waits.setdefault(deed, []).append(time.perf_counter() - started)
        except (Refused, httpx.HTTPError, LookupError, AssertionError) as error:
            self.counts[f"ERROR {deed}: {repr(error)[:160]}"] += 1

    def judge(self) -> bool | None:
        """A new text each time: no cache helps."""
        a, b = self.comparison.responses
        picture = {"path": self.path, "meta": {"_type": "gradio.FileData"}, "orig_name": "p.png"}
        new = f"{a} {self.rng.randrange(10**9)}"
        asked, started = self.page.find("", "judge", "click"), time.perf_counter()
        if not self.wait(asked, picture, self.comparison.prompt, new, b, "", ""):
            return False
        self.waits.setdefault("verdict (the first half of judge)", []).append(time.perf_counter() - started)
        return self.wait(self.judged)  # map, image ablation and cost

    def wait(self, event: dict, *data: object) -> bool:
        if self.page.ask(event, *data) is None:
            self.counts["told that the queue is full"] += 1
            return False
        return True

    def browse(self) -> bool:
        load = self.page.find("failures", None, "load")
        nothing = [None] * sum(self.page.kinds[i] != "state" for i in load["inputs"])
        return self.wait(load, *nothing) and all(
            self.wait(self.page.find("failures", "next", "click")) for _ in range(3)
        )

    def look(self) -> None:
        for path in ("", "leaderboard", "explanations", "queues"):
            self.client.get(f"{self.url}/{path}").raise_for_status()

    def label(self) -> None:
        if self.desk is None:
            self.desk = Annotator(self.url, f"visitor {self.number}")
            self.shown = self.desk.open()
        if "desk-item" in self.shown:
            self.desk.judge(self.rng.choice(["0", "1", "tie"]))
            self.shown = self.desk.next()


def memory(pid: int) -> float:
    """MB resident."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--visitors", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=5.0)
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rewardscope-load-"))
    store = LabelStore(f"sqlite:///{folder / 'labels.sqlite'}")
    queues.from_runs(
        store, {"scene/vl-mdr": open_run(BUNDLED / "scene" / "vl-mdr")}, name="load", by="script", most=2000
    )
    with started(folder, "--labels", store.url, "--runs", str(folder / "runs")) as (address, pid):
        url = address.rstrip("/")
        counts, waits, used = Counter(), {}, []
        end = time.perf_counter() + 60 * args.minutes
        barrier = time.perf_counter()

        def visit(number: int) -> None:
            visitor = Visitor(url, number, counts, waits)
            while time.perf_counter() < end:
                visitor.act()
                time.sleep(visitor.rng.uniform(0.5, 2))

        people = [threading.Thread(target=visit, args=(n,)) for n in range(args.visitors)]
        for thread in people:
            thread.start()
        while time.perf_counter() < end:
            time.sleep(5)
            used.append((time.perf_counter() - barrier, memory(pid)))
        for thread in people:
            thread.join(300)
        used.append((time.perf_counter() - barrier, memory(pid)))
    first = next(m for t, m in used if t >= 60 or t == used[-1][0])
    most = max(m for t, m in used if t >= 60 or t == used[-1][0])
    for deed, times in sorted(waits.items()):
        times.sort()
        print(
            f"{deed}: {len(times):,} times, median {statistics.median(times):.2f} s, 95 % {times[int(0.95 * len(times))]:.2f} s, most {times[-1]:.1f} s"
        )
    print({k: v for k, v in counts.items() if k not in waits})
    print(
        f"memory: {first:.0f} MB after the first minute, {used[-1][1]:.0f} MB at the end, {most:.0f} MB at most"
    )
    broken = (
        [k for k in counts if k.startswith("ERROR")]
        or used[-1][1] > 1.2 * first
        or "Traceback" in (folder / "log").read_text()
    )
    print(f"tracebacks in the log: {(folder / 'log').read_text().count('Traceback')}")
    return int(bool(broken))


if __name__ == "__main__":
    sys.exit(main())

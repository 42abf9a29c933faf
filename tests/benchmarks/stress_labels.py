"""Twenty annotators, 5,000 labels, and the server killed ten times: is every acknowledged label there, none twice?

    python tests/benchmarks/stress_labels.py [--labels 5000] [--people 20] [--kills 10] [--database URL]

The app runs as `python app.py --replay`, the annotators send what the page sends. Exits with 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from pathlib import Path

import httpx

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from desk_client import Annotator, Refused  # noqa: E402

from core.benchmarks import BENCHMARKS  # noqa: E402
from core.judges.rules import no_judge  # noqa: E402
from core.labels import queues  # noqa: E402
from core.labels.store import LabelStore  # noqa: E402
from core.runs.runner import Job, run  # noqa: E402


class Server:
    def __init__(self, folder: Path, database: str) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url, self.folder, self.database = f"http://127.0.0.1:{self.port}", folder, database
        self.process: subprocess.Popen | None = None
        self.starts: list[float] = []

    def start(self) -> None:
        started = time.perf_counter()
        (self.folder / "runs").mkdir(exist_ok=True)
        with (self.folder / "log").open("a") as log:
            self.process = subprocess.Popen(
                [sys.executable, "app.py", "--replay", str(self.folder / "runs"), "--labels", self.database, "--port", str(self.port)],
                cwd=ROOT, stdout=log, stderr=log,
            )  # fmt: skip
        while True:
            try:
                httpx.get(f"{self.url}/config", timeout=5)
                break
            except httpx.HTTPError:
                assert self.process.poll() is None, (self.folder / "log").read_text()[-2000:]
                time.sleep(0.2)
        self.starts.append(time.perf_counter() - started)

    def kill(self) -> None:
        assert self.process
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


def person(
    server: Server, name: str, said: list, errors: Counter, times: list, stop: threading.Event
) -> None:
    """Labels until nothing is left. said: (name, row, verdict) of what the server acknowledged."""
    secret, rng = "", random.Random(name)
    while not stop.is_set():
        try:
            me = Annotator(server.url, name, secret)
            secret = me.secret
            shown = me.open()
            while "desk-item" in shown:
                verdict = rng.choice(["0", "1", "1", "tie"])
                started = time.perf_counter()
                row = me.judge(verdict)
                times.append(time.perf_counter() - started)
                said.append((name, row, verdict))
                started = time.perf_counter()
                shown = me.next()
            if "Nothing is left" in shown and "in the hands of others" not in shown:
                return
            time.sleep(1)
        except httpx.HTTPError:
            errors["server away"] += 1
            time.sleep(0.5)
        except Refused as refused:
            errors[str(refused)[:120]] += 1
            time.sleep(0.5)
        except Exception as error:  # noqa: BLE001 - a thread must say what broke it
            errors[repr(error)[:200]] += 1
            time.sleep(0.5)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--labels", type=int, default=5000)
    parser.add_argument("--people", type=int, default=20)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--database", help="empty one; SQLite in a temporary folder by default")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="rewardscope-stress-"))
    database = args.database or f"sqlite:///{folder / 'labels.sqlite'}"
    rows = folder / "rows.jsonl"
    rows.write_text(
        "".join(
            json.dumps({"prompt": f"Question {i}?", "chosen": f"yes {i}", "rejected": f"no {i}"}) + "\n"
            for i in range(args.labels)
        )
    )
    store = LabelStore(database)
    made = run(Job(BENCHMARKS["own"].open(rows), no_judge(), folder / "runs" / "rows"))
    assert made
    queue = queues.from_runs(
        store, {"rows": made}, name="stress", by="script", order="random", most=args.labels
    )
    server, rng = Server(folder, database), random.Random(args.seed)
    server.start()
    said: list = []
    errors: Counter = Counter()
    times: list = []
    stop = threading.Event()
    begun = time.perf_counter()
    people = [
        threading.Thread(target=person, args=(server, f"person {i}", said, errors, times, stop))
        for i in range(args.people)
    ]
    for thread in people:
        thread.start()
    marks = sorted(rng.sample(range(args.labels // 50, args.labels - args.labels // 50), args.kills))
    for mark in marks:
        while len(said) < mark:
            time.sleep(0.01)
        time.sleep(rng.random() * 0.5)
        server.kill()
        print(f"killed at {len(said):,} acknowledged labels", flush=True)
        server.start()
    for thread in people:
        thread.join()
    took = time.perf_counter() - begun
    server.kill()

    labels = store.labels(queue.id)
    items = store.items(queue.id)
    there = {(v.annotator, items[v.position].row): v.first for v in labels}
    lost = [s for s in said if (s[0], s[1]) not in there]
    other = [s for s in said if there.get((s[0], s[1]), s[2]) not in ("tie", "0", "1")]
    per_item = Counter(v.position for v in labels)
    events = store.events()
    checks = {
        "acknowledged labels that are not there": len(lost) + len(other),
        "acknowledged twice": len(said) - len({(n, r) for n, r, _ in said}),
        "items with more than one label": sum(n > 1 for n in per_item.values()),
        "items without a label": args.labels - len(per_item),
        "events written twice": len(events) - len({e["id"] for e in events}),
    }
    times.sort()
    print(
        f"{len(labels):,} labels, {len(said):,} acknowledged, {args.kills} kills, {args.people} people, {took:.0f} s"
    )
    print(
        f"verdict to reveal: median {1000 * times[len(times) // 2]:.0f} ms, 95 % {1000 * times[int(0.95 * len(times))]:.0f} ms"
    )
    print(f"starts: {', '.join(f'{s:.0f} s' for s in server.starts)}; what clients met: {dict(errors)}")
    for what, n in checks.items():
        print(f"{what}: {n}")
    return int(any(checks.values()))


if __name__ == "__main__":
    sys.exit(main())

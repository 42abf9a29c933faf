"""Runs a judge over a benchmark: `python -m core run --benchmark scene --judge vl-mdr --output runs/scene/vl-mdr`.

Kill it at any moment and start it again: it continues and ends with the same judgements.parquet. Rows are taken in
windows; inside a window they are batched by length; a finished window is one file in parts/, written whole or not
at all, until many are gathered into one (parts.py). The next window's images are decoded while the model works on this one. Under `accelerate launch` each
process takes every n-th window.
"""

from __future__ import annotations

import errno
import hashlib
import io
import logging
import shutil
import subprocess
import time
from collections import Counter, deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from accelerate import PartialState
from filelock import FileLock, Timeout
from PIL import Image

from core.benchmarks import Row
from core.benchmarks.reasons import Reasons
from core.benchmarks.rows import LONGEST, Loaded
from core.images import ImageError, side_by_side, small_copy
from core.judges.conditions import BLANK, blank_image
from core.judges.protocols import Judge, Prepares
from core.records import Comparison, Condition, Judgement, RecordError
from core.runs import workers
from core.runs.data_checks import oddities
from core.runs.manifest import Manifest, RunError
from core.runs.parts import Parts
from core.runs.run import Run, open_run
from core.runs.schema import SCHEMA, row_of
from core.runs.swapped import swapped
from core.runs.texts import write_texts

log = logging.getLogger(__name__)
BATCH = 16
WINDOW = 4  # batches
EXAMPLES = 10  # reasons why rows were left out that the manifest tells
THUMBNAIL = 512  # pixels, longest side, of the images kept for browsing
# A row group of the finished file: queries read whole ones, so few are faster to scan. Looking up one row reads all
# pictures of its group, so pictures bound it too.
GROUP_ROWS, GROUP_BYTES = 20_000, 64 << 20

Progress = Callable[[int, int | None, float], None]


@dataclass(frozen=True)
class Job:
    """What to run. keep_images: store thumbnails, so that the folder can be browsed without the data. workers: processes,
    for a judge on a CPU (core.runs.workers)."""

    loaded: Loaded
    judge: Judge
    folder: Path
    batch: int = BATCH
    limit: int | None = None
    condition: Condition = Condition.AS_GIVEN
    keep_images: bool = True
    workers: int = 1

    @property
    def parts(self) -> Parts:
        return Parts(self.folder, self.batch * WINDOW)

    def manifest(self) -> Manifest:
        return Manifest(
            benchmark=self.loaded.benchmark.name,
            title=self.loaded.benchmark.title,
            source=self.loaded.source,
            data_revision=self.loaded.revision,
            judge=self.judge.card,
            condition=self.condition,
            limit=self.limit,
            batch=self.batch,
            window=self.batch * WINDOW,
            code=code_version(),
            seed=0,
            blank=BLANK if self.condition is Condition.BLANK else "",
            provenance=self.loaded.provenance,
        )


def run(
    job: Job,
    progress: Progress = lambda done, total, seconds: None,
    cancelled: Callable[[], bool] = lambda: False,
) -> Run | None:
    """Starts or continues a run; None if it was cancelled. Raises RunError where the folder holds another run."""
    state = PartialState()
    try:
        job.folder.mkdir(parents=True, exist_ok=True)
        with FileLock(job.folder / f".lock-{state.process_index}", blocking=False):
            _check_manifest(job, state)
            if not (job.folder / "judgements.parquet").exists():
                started = time.perf_counter()
                read = _windows(job, state, progress, cancelled)
                if read is None:
                    return None
                state.wait_for_everyone()
                if state.is_main_process:
                    processes = max(state.num_processes, _workers(job, state))
                    _merge(job, *read, time.perf_counter() - started, processes)
            elif state.is_main_process:
                _check_rows(job)
            state.wait_for_everyone()
    except Timeout as error:
        raise RunError(
            f"{job.folder.name} is being written by another process: wait for it, or choose another folder."
        ) from error
    except OSError as error:
        raise RunError(_trouble(job.folder, error)) from error
    if state.is_main_process:
        shutil.rmtree(job.folder / "parts", ignore_errors=True)
    return open_run(job.folder)


def _trouble(folder: Path, error: OSError) -> str:
    """What the disk says, and what to do."""
    again = "run the same command again and it continues."
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return f"The disk of '{folder}' is full: make room, then {again}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"'{folder}' cannot be written to ({error.strerror}): allow it or choose another folder, then {again}"
    if error.errno in (errno.EEXIST, errno.ENOTDIR):
        return f"'{folder}' is a file, or lies below one: choose a folder for the run."
    return f"'{folder}' cannot be read or written ({error.strerror or error}): mend that, then {again}"


def _check_manifest(job: Job, state: PartialState) -> None:
    wanted = job.manifest()
    if (job.folder / "manifest.json").exists():
        there, here = Manifest.load(job.folder).identity_fields(), wanted.identity_fields()
        for name in here:
            if there.get(name) != here[name]:
                raise RunError(
                    f"{job.folder.name} holds another run: its {name} is {str(there.get(name))[:80]!r}, not "
                    f"{str(here[name])[:80]!r}. Choose another folder, or delete that one."
                )
    elif state.is_main_process:
        wanted.save(job.folder)
    state.wait_for_everyone()


def _check_rows(job: Job) -> None:
    """A finished run must not answer for a file that has been changed since: its first window is compared. Raises RunError."""
    if job.loaded.benchmark.built_in is not None:
        return
    most = _smaller(job.limit, job.batch * WINDOW) or 0
    here = [(r.index, r.key) for r in islice(job.loaded.rows(), most)]
    done = open_run(job.folder).rows([i for i, _ in here], ["row", "key"])
    changed = [i for i, key in here if i not in done or done[i]["key"] != key]
    if changed:
        raise RunError(
            f"{job.folder.name} holds a run of other data: row {changed[0]} of {job.loaded.source} is not the one that was "
            "judged. Choose another folder, or delete that one."
        )


@dataclass(frozen=True)
class Ready:
    """A window that is decoded and prepared. images: of each row, all that its judge is shown; kept: their small copy. batches: (places in the window, what the judge's `prepare` gave)."""

    rows: list[Row]
    images: list[tuple[Image.Image, ...]]
    batches: list[tuple[list[int], Any]]
    problems: dict[int, str]
    kept: list[bytes | None]


Window = tuple[int, list[Row]]  # its number, its rows


def _windows(
    job: Job, state: PartialState, progress: Progress, cancelled: Callable[[], bool]
) -> tuple[int, Counter[str]] | None:
    """How many windows the data has, those of other processes too, and what was done to how many of its rows; None
    where it was cancelled."""
    parts = job.parts
    parts.make()
    started, judged = time.perf_counter(), 0
    total = _smaller(job.loaded.length, job.limit)
    read = _Read(job, state, parts)
    count = _workers(job, state)
    windows = _in_processes(job, parts, read, count) if count > 1 else _one_ahead(job, parts, read)
    with closing(windows):
        while not cancelled():
            if (rows := next(windows, None)) is None:
                return read.windows, read.notes
            judged += len(rows)
            progress(read.finished + judged, total, (time.perf_counter() - started) / judged)
    return None


class _Read:
    """The windows of this process that are still to be judged, and what was seen on the way to them.

    windows: of the data, those of other processes too. finished: rows whose part is there already. notes: what was done to
    how many rows."""

    def __init__(self, job: Job, state: PartialState, parts: Parts) -> None:
        self.job, self.state, self.parts = job, state, parts
        self.windows, self.finished = 0, 0
        self.notes: Counter[str] = Counter()

    def __iter__(self) -> Iterator[Window]:
        for number, rows in _split(self.job):
            self.windows += 1
            self.notes.update(note for row in rows if row.comparison for note in row.notes)
            if number % self.state.num_processes != self.state.process_index:
                continue
            if self.parts.finished(number, rows):
                self.finished += len(rows)
            else:
                yield number, rows


def _workers(job: Job, state: PartialState) -> int:
    """No more than there are windows; none beside the processes of `accelerate launch`."""
    total = _smaller(job.loaded.length, job.limit)
    windows = job.workers if total is None else -(-total // (job.batch * WINDOW))
    return min(job.workers, windows) if state.num_processes == 1 and workers.possible(job.judge) else 1


def _in_processes(job: Job, parts: Parts, todo: Iterable[Window], count: int) -> Generator[list[Row]]:
    def work(window: Window) -> None:
        number, rows = window
        parts.write(number, _judge_window(job, _prepare_window(job, rows)))

    for _, rows in workers.spread(work, todo, count):
        yield rows


def _one_ahead(job: Job, parts: Parts, todo: Iterable[Window]) -> Generator[list[Row]]:
    """In this process; while a window is judged, the next one is prepared in another thread."""
    with ThreadPoolExecutor(1) as ahead:
        waiting: deque[tuple[int, list[Row], Future[Ready]]] = deque()
        for number, rows in todo:
            waiting.append((number, rows, ahead.submit(_prepare_window, job, rows)))
            if len(waiting) > 1:
                yield _written(job, parts, *waiting.popleft())
        if waiting:
            yield _written(job, parts, *waiting.popleft())


def _written(job: Job, parts: Parts, number: int, rows: list[Row], ready: Future[Ready]) -> list[Row]:
    parts.write(number, _judge_window(job, ready.result()))
    return rows


def _split(job: Job) -> Iterator[tuple[int, list[Row]]]:
    def given() -> Iterator[Row]:
        return iter(job.loaded.rows() if job.limit is None else islice(job.loaded.rows(), job.limit))

    rows = swapped(given) if job.condition is Condition.SHUFFLED else given()
    number = 0
    while window := list(islice(rows, job.batch * WINDOW)):
        yield number, window
        number += 1


def _decode(row: Row, condition: Condition) -> tuple[tuple[Image.Image, ...], str]:
    if row.comparison is None or row.comparison.image is None:
        return (), row.problem
    try:
        images = row.comparison.load_images()
        return tuple(blank_image(i) if condition is Condition.BLANK else i for i in images), ""
    except ImageError as error:
        return (), f"row {row.index}, column image: {error}"


def _refused(judge: Judge, row: Row) -> str:
    """Why this judge cannot be asked, although the row can be read. Earlier turns are a part of the question, and not
    every judge that looks at pictures reads them too, or takes several pictures."""
    if row.comparison is None or not judge.card.reads_images:
        return ""
    most, pictures = judge.card.max_images, 1 + len(row.comparison.more_images)
    if most is not None and pictures > most:
        takes = "one picture" if most == 1 else f"at most {most} pictures"
        return f"row {row.index}, column image: it has {pictures} pictures, and this judge takes {takes}"
    if row.comparison.turns and not judge.card.reads_turns:
        n = len(row.comparison.turns)
        return (
            f"row {row.index}, column prompt: it is a chat with {n} earlier turn{'s' * (n > 1)} (system messages "
            "included), and this judge reads the last question only"
        )
    return ""


def _prepare_window(job: Job, rows: list[Row]) -> Ready:
    """Everything before the model: images, batches of similar length, tokens. A row that the judge refuses must not
    take its batch with it: then each is prepared alone."""
    decoded = [_decode(row, job.condition) for row in rows]
    needs_image = job.judge.card.reads_images
    kept = [_thumbnail(images) if job.keep_images else None for images, _ in decoded]
    refused = {i: why for i, row in enumerate(rows) if (why := _refused(job.judge, row))}
    problems = refused | {i: p for i, (_, p) in enumerate(decoded) if p}
    shown = [() if i in refused else images for i, (images, _) in enumerate(decoded)]
    ready = Ready(rows, shown, [], problems, kept)
    able = [
        i for i, row in enumerate(rows)
        if row.comparison and (shown[i] or not needs_image) and i not in refused
    ]  # fmt: skip
    able.sort(key=lambda i: (_length(rows[i]), i))
    for start in range(0, len(able), job.batch):
        _prepare_batch(job.judge, ready, able[start : start + job.batch])
    return ready


def _prepare_batch(judge: Judge, ready: Ready, batch: list[int]) -> None:
    comparisons = []
    for i in batch:
        comparison = ready.rows[i].comparison
        assert comparison
        image, *more = ready.images[i] or (None,)
        comparisons.append(replace(comparison, image=image, more_images=tuple(more)))
    try:
        ready.batches.append(
            (batch, judge.prepare(comparisons) if isinstance(judge, Prepares) else comparisons)
        )
    except (RecordError, ImageError) as error:
        if len(batch) == 1:
            ready.problems[batch[0]] = f"row {ready.rows[batch[0]].index}: {error}"
            return
        for i in batch:
            _prepare_batch(judge, ready, [i])


def _judge_window(job: Job, ready: Ready) -> pa.Table:
    judge = job.judge
    judgements: dict[int, Judgement] = {}
    for batch, prepared in ready.batches:
        if isinstance(judge, Prepares):
            judgements.update(zip(batch, judge.judge_prepared(prepared), strict=True))
        else:
            _judge_plain(judge, ready, batch, prepared, judgements)
    table = [
        row_of(
            row,
            _under(judgements.get(i), job.condition),
            ready.problems.get(i, ""),
            ready.kept[i],
        )
        for i, row in enumerate(ready.rows)
    ]
    return pa.Table.from_pylist(table, SCHEMA)


def _under(judgement: Judgement | None, condition: Condition) -> Judgement | None:
    return replace(judgement, condition=condition) if judgement else None


def _judge_plain(
    judge: Judge,
    ready: Ready,
    batch: list[int],
    comparisons: list[Comparison],
    judgements: dict[int, Judgement],
) -> None:
    """For judges without `prepare`: a refusal shows only here."""
    try:
        judgements.update(zip(batch, judge.judge_batch(comparisons), strict=True))
    except (RecordError, ImageError) as error:
        if len(batch) == 1:
            ready.problems[batch[0]] = f"row {ready.rows[batch[0]].index}: {error}"
            return
        for i, comparison in zip(batch, comparisons, strict=True):
            _judge_plain(judge, ready, [i], [comparison], judgements)


def _length(row: Row) -> int:
    assert row.comparison
    return len(row.comparison.prompt) + max(map(len, row.comparison.responses))


def _thumbnail(images: Sequence[Image.Image]) -> bytes | None:
    """Of all pictures of the row, so that people see what the question is about."""
    if not images:
        return None
    kept = small_copy(images[0], THUMBNAIL)
    if len(images) > 1:
        kept = small_copy(side_by_side([small_copy(i, THUMBNAIL) for i in images]), 2 * THUMBNAIL)
    out = io.BytesIO()
    kept.save(out, "JPEG", quality=85)  # 20 times faster than WebP, which took as long as the judging
    return out.getvalue()


def _merge(job: Job, windows: int, notes: Counter[str], seconds: float, processes: int) -> None:
    """parts/ -> judgements.parquet, in the order of rows; the digest of keys and labels goes into the manifest. What else lies
    in parts/ is not ours and is left out."""
    temporary = job.folder / "judgements.parquet.tmp"
    digest, count, left_out, all_the_same = hashlib.sha256(), 0, Reasons(), Reasons()
    with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for table in _groups(map(job.parts.read, range(windows))):
            writer.write_table(table)
            for key, preferred in zip(table["key"].to_pylist(), table["preferred"].to_pylist(), strict=True):
                digest.update(f"{key}:{preferred};".encode())
            count += len(table)
            for outcome, problem in zip(
                table["outcome"].to_pylist(), table["problem"].to_pylist(), strict=True
            ):
                (left_out if outcome == "missing" else all_the_same).add(problem)
    manifest = Manifest.load(job.folder)
    manifest.stats = {"rows": count, "data_hash": digest.hexdigest()[:16], "seconds_of_last_start": round(seconds, 1),
                    "findings": oddities(temporary, job.loaded.benchmark.clustered), "processes": processes, "finished": time.strftime("%Y-%m-%d %H:%M:%S")}  # fmt: skip
    manifest.provenance = job.loaded.provenance | {
        "notes": dict(notes), "left_out": _told(left_out), "judged_all_the_same": _told(all_the_same),
    }  # fmt: skip
    manifest.save(job.folder)
    write_texts(temporary, job.folder)
    temporary.replace(job.folder / "judgements.parquet")


def _groups(parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Parts joined to row groups."""
    waiting: list[pa.Table] = []
    rows = size = 0
    for part in parts:
        waiting.append(part)
        rows, size = rows + len(part), size + part.nbytes
        if rows >= GROUP_ROWS or size >= GROUP_BYTES:
            yield pa.concat_tables(waiting)
            waiting, rows, size = [], 0, 0
    if waiting:
        yield pa.concat_tables(waiting)


def _told(reasons: Reasons) -> list[str]:
    return [line[:LONGEST] for line in reasons.lines(EXAMPLES)]


def _smaller(a: int | None, b: int | None) -> int | None:
    return min(a, b) if a is not None and b is not None else a if b is None else b if a is None else None


def code_version() -> str:
    here = Path(__file__).parent
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=here, capture_output=True, text=True, check=False
    )
    return found.stdout.strip() or "not a git checkout"

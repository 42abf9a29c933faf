"""Runs a judge over a benchmark: `python -m core run --benchmark scene --judge vl-mdr --output runs/scene/vl-mdr`.

Kill it at any moment and start it again: it continues and ends with the same judgements.parquet. Rows are taken in
windows; inside a window they are batched by length; a finished window is one file in parts/, written whole or not
at all. The next window's images are decoded while the model works on this one. Under `accelerate launch` each
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
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
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
from core.benchmarks.rows import LONGEST, Loaded, Problem
from core.images import ImageError, side_by_side, small_copy
from core.judges.conditions import BLANK, blank_image, shuffled
from core.judges.protocols import Judge, Prepares
from core.records import Comparison, Condition, Judgement, RecordError
from core.runs.data_checks import oddities
from core.runs.manifest import Manifest, RunError, write_whole
from core.runs.run import Run, open_run
from core.runs.schema import SCHEMA, completed, reads, row_of

log = logging.getLogger(__name__)
BATCH = 16
WINDOW = 4  # batches
NO_OTHER = "no other picture in its group to shuffle with"
EXAMPLES = 10  # reasons why rows were left out that the manifest tells
THUMBNAIL = 512  # pixels, longest side, of the images kept for browsing

Progress = Callable[[int, int | None, float], None]


@dataclass(frozen=True)
class Job:
    """What to run. keep_images: store thumbnails, so that the folder can be browsed without the data."""

    loaded: Loaded
    judge: Judge
    folder: Path
    batch: int = BATCH
    limit: int | None = None
    condition: Condition = Condition.AS_GIVEN
    keep_images: bool = True

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
                    _merge(job, *read, time.perf_counter() - started, state.num_processes)
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


def _windows(
    job: Job, state: PartialState, progress: Progress, cancelled: Callable[[], bool]
) -> tuple[int, Counter[str]] | None:
    """How many windows the data has, those of other processes too, and what was done to how many of its rows; None
    where it was cancelled."""
    parts = job.folder / "parts"
    parts.mkdir(exist_ok=True)
    started, judged = time.perf_counter(), 0
    every: list[int] = []
    total = _smaller(job.loaded.length, job.limit)
    notes: Counter[str] = Counter()
    with ThreadPoolExecutor(1) as ahead:
        for number, rows, ready in _prefetched(job, state, parts, ahead, every, notes):
            if cancelled():
                return None
            if ready is not None:
                _write_part(_part(parts, number), _judge_window(job, ready.result()))
                judged += len(rows)
            done = number * job.batch * WINDOW + len(rows)
            progress(done, total, (time.perf_counter() - started) / judged if judged else 0.0)
    return len(every), notes


def _prefetched(
    job: Job,
    state: PartialState,
    parts: Path,
    ahead: ThreadPoolExecutor,
    every: list[int],
    notes: Counter[str],
) -> Iterator[tuple[int, list[Row], Future[Ready] | None]]:
    """Windows of this process; the future is None for those that are finished. One window is prepared ahead. every: gets the
    numbers of all windows; notes: counts what was done to their rows."""
    waiting: tuple[int, list[Row], Future[Ready] | None] | None = None
    for number, rows in _split(job):
        every.append(number)
        notes.update(note for row in rows if row.comparison for note in row.notes)
        if number % state.num_processes != state.process_index:
            continue
        finished = _finished(_part(parts, number), rows)
        ready = None if finished else ahead.submit(_prepare_window, job, rows)
        if waiting:
            yield waiting
        waiting = (number, rows, ready)
    if waiting:
        yield waiting


def _part(parts: Path, number: int) -> Path:
    return parts / f"{number:07d}.parquet"


def _finished(part: Path, rows: list[Row]) -> bool:
    """Whether the window is there, whole and of these rows. One that is not is thrown away and judged again."""
    if not part.exists():
        return False
    try:
        table = pq.read_table(part)
        fits = reads(table.schema)
        same = fits and table["row"].to_pylist() == [r.index for r in rows]
        if same and table["key"].to_pylist() == [r.key for r in rows]:
            return True
    except (pa.ArrowException, OSError, ValueError) as error:
        log.warning("%s is damaged (%s) and is judged again.", part, type(error).__name__)
    else:
        log.warning("%s is not a part of this run and is judged again.", part)
    part.unlink()
    return False


def _split(job: Job) -> Iterator[tuple[int, list[Row]]]:
    rows = iter(job.loaded.rows() if job.limit is None else islice(job.loaded.rows(), job.limit))
    if job.condition is Condition.SHUFFLED:
        rows = iter(_shuffled(list(rows)))
    number = 0
    while window := list(islice(rows, job.batch * WINDOW)):
        yield number, window
        number += 1


def _shuffled(rows: list[Row]) -> list[Row]:
    """Each row that has a picture gets another row's (core.judges.conditions)."""
    able = [i for i, r in enumerate(rows) if r.comparison and r.comparison.image is not None]
    others = shuffled([rows[i].subgroup for i in able], [rows[i].cluster for i in able])
    out = list(rows)
    for i, other in zip(able, others, strict=True):
        mine = rows[i].comparison
        assert mine
        if other is None:
            problem = Problem(rows[i].index, "image", NO_OTHER)
            out[i] = replace(
                rows[i], comparison=replace(mine, image=None, more_images=()), problems=(problem,)
            )
            continue
        source = rows[able[other]].comparison
        assert source
        out[i] = replace(
            rows[i], comparison=replace(mine, image=source.image, more_images=source.more_images)
        )
    return out


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
    kept.save(out, "WEBP", quality=80, method=4)
    return out.getvalue()


def _write_part(path: Path, table: pa.Table) -> None:
    out = io.BytesIO()
    pq.write_table(table, out, compression="zstd")
    write_whole(path, out.getvalue())


def _merge(job: Job, windows: int, notes: Counter[str], seconds: float, processes: int) -> None:
    """parts/ -> judgements.parquet, in the order of rows; the digest of keys and labels goes into the manifest. What else lies
    in parts/ is not ours and is left out."""
    parts = [_part(job.folder / "parts", n) for n in range(windows)]
    temporary = job.folder / "judgements.parquet.tmp"
    digest, count, left_out, all_the_same = hashlib.sha256(), 0, Reasons(), Reasons()
    with pq.ParquetWriter(temporary, SCHEMA, compression="zstd") as writer:
        for part in parts:
            try:
                table = completed(pq.read_table(part), SCHEMA.names)  # release 0.1 may have begun it
            except (pa.ArrowException, FileNotFoundError) as error:
                raise RunError(
                    f"{part.name} of {job.folder.name} was damaged while the run went on: run the same command again and it "
                    "continues."
                ) from error
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
    temporary.replace(job.folder / "judgements.parquet")


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

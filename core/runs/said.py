"""What a judge that writes says against what it decides: the choice that most of its written answers state, beside the response that
its rewards prefer. They can part, as the rewards rest on the log-odds at the verdict and not on the words before it. Of the embedded
judge, whose thoughts have a known form, what the thoughts on show speak for (core.judges.said) comes first."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from core.judges.said import of_row
from core.records import Vote
from core.runs.run import Run, damage_told

MOST = 1_000  # responses of a record; more are a damaged file

SAID_CHOICES = ("says the right thing and decides wrongly", "says the wrong thing and decides rightly")


def states_choices(run: Run) -> bool:
    """Whether its judge wrote texts and the choice that each states is kept. By the file's footer."""
    return run.manifest.judge.kind in ("generative", "remote") and bool(
        _stated_in(run.file, *_stamp(run.file))
    )


@lru_cache(maxsize=256)
def _stated_in(file: Path, *stamp: int) -> str:
    """The leaf that holds the choices: it alone is read, as an answer's text may be pages long. "" where no text was written."""
    del stamp  # part of the cache's key
    try:
        footer = pq.read_metadata(file)
    except (OSError, pa.ArrowException):
        return ""
    paths = [footer.schema.column(i).path for i in range(footer.num_columns)]
    leaf = next((p for p in paths if p.startswith("votes.") and p.endswith(".choice")), "")
    if not leaf or "critique" not in paths:
        return ""
    at = paths.index("critique")
    known = (footer.row_group(g).column(at).statistics for g in range(footer.num_row_groups))
    return leaf if any(s is not None and s.num_values > 0 for s in known) else ""


@damage_told
def contradictions(run: Run) -> dict[str, np.ndarray]:
    """Rows by SAID_CHOICES, rising. A row whose answers state different choices equally often says nothing and is in neither."""
    if not states_choices(run):
        return dict.fromkeys(SAID_CHOICES, np.empty(0, dtype=np.int64))
    return _contradictions(run.file, run.manifest.judge.embedded, *_stamp(run.file))


@lru_cache(maxsize=8)
def _contradictions(file: Path, thoughts: bool, *stamp: int) -> dict[str, np.ndarray]:
    columns = [
        "row",
        "outcome",
        "preferred",
        *(["responses", "critique", "votes"] if thoughts else [_stated_in(file, *stamp)]),
    ]
    right, wrong = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
    for batch in pq.ParquetFile(file).iter_batches(8_192, columns=columns):
        answered = pc.greater(pc.fill_null(pc.list_value_length(batch["votes"]), 0), 0)
        able = batch.filter(pc.and_(pc.is_valid(batch["preferred"]), answered))
        says, rows = _stated(able["votes"]), able["row"].to_numpy()
        if thoughts:
            known = [of_row(row).said for row in able.to_pylist()]
            says = np.array(
                [s if t is None else t for s, t in zip(says.tolist(), known, strict=True)], dtype=np.int64
            )
        outcomes = able["outcome"].to_numpy(zero_copy_only=False)
        preferred = able["preferred"].to_numpy(zero_copy_only=False)
        right.append(rows[(says == preferred) & (outcomes == "wrong")])
        wrong.append(rows[(says >= 0) & (says != preferred) & (outcomes == "right")])
    return dict(zip(SAID_CHOICES, (np.sort(np.concatenate(rows)) for rows in (right, wrong)), strict=True))


def stated_by(votes: Sequence[Vote]) -> int | None:
    """The response that most written answers of one record decide for; None where two are stated equally often or none is."""
    counts = Counter(v.choice for v in votes if v.text and v.choice is not None).most_common(2)
    return counts[0][0] if counts and (len(counts) == 1 or counts[0][1] > counts[1][1]) else None


def _stated(votes: pa.Array) -> np.ndarray:
    """(N,) the response that most answers of a row state, -1 where there is none or two are stated equally often."""
    choices = pc.struct_field(votes.flatten(), "choice")
    lengths = pc.list_value_length(votes).to_numpy(zero_copy_only=False)
    owner = np.repeat(np.arange(len(votes)), lengths)
    given = pc.is_valid(choices).to_numpy(zero_copy_only=False)
    stated = pc.fill_null(choices, 0).to_numpy(zero_copy_only=False)[given]
    if len(stated) and not 0 <= stated.min() <= stated.max() < MOST:
        raise ValueError("an answer states the choice of a response that there is not")
    responses = int(stated.max(initial=0)) + 1
    counts = np.bincount(owner[given] * responses + stated, minlength=len(votes) * responses).reshape(
        -1, responses
    )
    most = counts.max(axis=1, initial=0)
    alone = (counts == most[:, None]).sum(axis=1) == 1
    return np.where((most > 0) & alone, counts.argmax(axis=1), -1)


def _stamp(file: Path) -> tuple[int, int]:
    try:
        found = file.stat()
    except OSError:
        return (0, 0)
    return found.st_mtime_ns, found.st_size

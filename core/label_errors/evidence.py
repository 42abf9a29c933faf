"""What is known of the rows of a data set as narrow columns, read by DuckDB, and reasons for the few rows that somebody looks at.

Texts are only compared for equality here, so numbers stand for them: 64 bits of their MD5. Among ten million different texts two
have the same number with a probability of about 3 in a million.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import md5
from typing import Any, overload

import duckdb
import numpy as np
import pandas as pd

from core.label_errors.contradictions import Kin
from core.label_errors.issue import LabelIssue
from core.label_errors.reasons import Opinion, Reason, Repeat, judge_reasons, kin_reasons, repeat_reason
from core.records import Condition
from core.runs.run import Run

BLOCK = 4096  # rows whose reasons are put together at once
NOTHING = int.from_bytes(md5(b"").digest()[:8], "little")  # md5_number_lower('')
# Each with its length before it, so that no two lists of texts look alike.
TEXTS = """
    SELECT "row", md5_number_lower(key) AS key, md5_number_lower(id) AS id, md5_number_lower(cluster) AS cluster,
        md5_number_lower(concat_ws('', length(prompt), ':', prompt,
            array_to_string(list_transform(list_sort(responses), lambda t: length(t) || ':' || t), ''))) AS texts,
        md5_number_lower(concat_ws('', key, ':', responses[preferred + 1])) AS labelled_as,
        md5_number_lower(regexp_replace(lower(prompt), '[^bcdegmopqruvxz0-9]', '', 'g')) AS asks
    FROM read_parquet(?) WHERE preferred IS NOT NULL AND len(responses) > 1
"""
PICTURES = (
    """SELECT "row", md5_number_lower(image) AS picture FROM read_parquet(?) WHERE octet_length(image) > 0"""
)


def labelled(used: Sequence[Run]) -> pd.DataFrame:
    """The labelled rows in their order, a number for each text; picture: of the stored one, from the first run that stores any, 0
    where there is none. asks: the same for prompts that are the same but for case, spaces, punctuation and some of their letters
    (those that another case may be written with are left out: prompts of the same words always have the same number)."""
    with duckdb.connect() as db:
        frame = db.execute(f"{TEXTS} ORDER BY 1", [str(used[0].file)]).df()
        pictures = pd.Series(dtype="uint64")
        for run in used:
            found = db.execute(PICTURES, [str(run.file)]).df()
            if len(found):
                pictures = (
                    found.drop_duplicates("row", keep="last").set_index("row")["picture"].astype("uint64")
                )
                break
    there = frame["row"].isin(pictures.index).to_numpy()
    numbers = np.zeros(len(frame), dtype="uint64")
    numbers[there] = pictures.reindex(frame["row"][there]).to_numpy(dtype="uint64")
    return frame.assign(picture=numbers)


def candidates(run: Run, frame: pd.DataFrame) -> pd.DataFrame:
    """The texts of all rows that may be of one question with another row, as `contradictions.kin` takes them: that show its
    picture, or where none is known ask the same."""
    question = np.where(frame["picture"] != 0, frame["picture"], frame["asks"])
    several = frame[
        pd.DataFrame({"q": question, "seen": frame["picture"] != 0}).duplicated(keep=False).to_numpy()
    ]
    wanted = several[["row", "picture"]]
    with duckdb.connect() as db:
        db.register("wanted", wanted)
        query = """
            SELECT r."row", r.key, r.id, r.prompt, r.responses, r.preferred, w.picture
            FROM read_parquet(?) r JOIN wanted w ON r."row" = w."row" ORDER BY 1
        """
        found = db.execute(query, [str(run.file)]).df()
    pictures = [str(p) if p else "" for p in found["picture"].tolist()]
    return found.assign(
        responses=found["responses"].map(list), preferred=found["preferred"].astype(int), picture=pictures
    )


@dataclass(frozen=True)
class Evidence:
    """Of all rows. margins, outside, weights: (rows, judges). wrong: (rows,). related, repeats: of the few rows that have any."""

    used: Sequence[Run]
    margins: np.ndarray
    outside: np.ndarray
    weights: np.ndarray
    wrong: np.ndarray
    related: Sequence[Kin]
    repeats: dict[int, list[Repeat]]

    @cached_property
    def by_row(self) -> dict[int, list[Kin]]:
        out: dict[int, list[Kin]] = defaultdict(list)
        for k in self.related:
            out[k.a].append(k)
            out[k.b].append(k)
        return dict(out)

    def reasons(self, places: Sequence[int], rows: Sequence[int]) -> list[tuple[Reason, ...]]:
        """Of the rows at these places, with these numbers."""
        choices = [_choices(run, rows) for run in self.used]
        judges = [(run.manifest.judge.name, run.manifest.condition is Condition.BLANK) for run in self.used]
        out = []
        for i, row in zip(places, rows, strict=True):
            margins = self.margins[i]
            blamed = None if np.isnan(margins).all() else float(self.wrong[i])
            said = [
                Opinion(name, blank, float(margins[j]), choices[j].get(row), bool(self.weights[i, j] > 0))
                for j, (name, blank) in enumerate(judges)
                if np.isfinite(margins[j])
            ]
            unknown = [name for j, (name, blank) in enumerate(judges) if self.outside[i, j] and not blank]
            out.append((
                *kin_reasons(row, self.by_row.get(row, []), blamed),
                *map(repeat_reason, self.repeats.get(row, [])),
                *judge_reasons(said, blamed is None, unknown),
            ))  # fmt: skip
        return out


def _choices(run: Run, rows: Sequence[int]) -> dict[int, int | None]:
    """Per row the response with the judge's highest reward, None without rewards."""
    found = run.rows(rows, ["row", "rewards"])
    return {
        row: max(range(len(r["rewards"])), key=r["rewards"].__getitem__) if r["rewards"] else None
        for row, r in found.items()
    }


class Ranked(Sequence[LabelIssue]):
    """Label issues in their order, each put together when it is looked at. evidence: None for issues without reasons."""

    def __init__(
        self,
        rows: np.ndarray,
        places: np.ndarray,
        wrong: np.ndarray,
        tier: np.ndarray,
        evidence: Evidence | None,
    ) -> None:
        self._rows, self._places, self._wrong, self._tier, self._evidence = (
            rows,
            places,
            wrong,
            tier,
            evidence,
        )

    def __len__(self) -> int:
        return len(self._places)

    @overload
    def __getitem__(self, at: int) -> LabelIssue: ...
    @overload
    def __getitem__(self, at: slice) -> list[LabelIssue]: ...
    def __getitem__(self, at: int | slice) -> Any:
        if isinstance(at, slice):
            return list(self._of(self._places[at]))
        return next(self._of(self._places[[at]]))

    def __iter__(self) -> Iterator[LabelIssue]:
        return self._of(self._places)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and list(self) == list(other)

    def count_by_tier(self) -> list[int]:
        """How many there are of each tier."""
        found: list[int] = np.bincount(self._tier, minlength=3).tolist()
        return found

    def _of(self, places: np.ndarray) -> Iterator[LabelIssue]:
        for start in range(0, len(places), BLOCK):
            here = places[start : start + BLOCK].tolist()
            rows = self._rows[here].tolist()
            reasons = self._evidence.reasons(here, rows) if self._evidence else [()] * len(here)
            for i, row, why in zip(here, rows, reasons, strict=True):
                wrong = float(self._wrong[i])
                yield LabelIssue(row, None if np.isnan(wrong) else wrong, why, int(self._tier[i]))

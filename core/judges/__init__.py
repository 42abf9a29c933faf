"""Judges: anything that answers a Comparison with a Judgement. One file each."""

from __future__ import annotations

from typing import Any, Protocol

from core.records import Comparison, Judgement


class Judge(Protocol):
    """`name` in tables, `about` for people, `judge` for one comparison, `judge_batch` for several at once.

    about["reads_image"] is False for judges that need no picture. A judge may split judge_batch into `prepare`
    (decoding, tokens; no model) and `judge_prepared`: the runner then prepares ahead in another thread.
    """

    name: str
    about: dict[str, Any]

    def judge(self, comparison: Comparison) -> Judgement: ...

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]: ...

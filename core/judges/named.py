"""What --judge and the pages can name: the judges of the registry, and those that stand on another."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from core.judges.options import Options
from core.judges.protocols import Judge
from core.judges.registry import JUDGES


def _over(form: str) -> Callable[[Options], Judge]:
    def load(options: Options) -> Judge:
        from core.judges.opening import open_judge  # torch, which pages do without until something is judged

        return open_judge(f"{form}:{options.model or ''}", options)

    return load


NAMED: Mapping[str, Callable[[Options], Judge]] = {
    **JUDGES, "hybrid": _over("hybrid"), "hybrid-plain": _over("hybrid-plain"),
}  # fmt: skip

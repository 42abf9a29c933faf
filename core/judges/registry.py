"""The judges that stand on no other. Adding one is one file and one line here; named.py adds those that stand on one."""

from __future__ import annotations

from collections.abc import Callable

from core.judges.options import Options
from core.judges.protocols import Judge
from core.judges.rules import always_first, longer, shorter


def _vlmdr(options: Options) -> Judge:
    from core.judges.vlmdr import VLMDRJudge  # torch, which pages do without until something is judged

    return VLMDRJudge.load(options.model, options.device, options.dtype, options.revision)


def _scalar(options: Options) -> Judge:
    from core.judges.scalar import ScalarJudge  # as above

    return ScalarJudge.load(options.model, options.device, options.dtype, options.revision)


def _reasoning(options: Options) -> Judge:
    from core.judges.reasoning import load_reasoning  # as above

    return load_reasoning(options)


def _rules(options: Options) -> Judge:
    from core.judges.hybrid import HybridJudge

    return HybridJudge(None)


__all__ = ["JUDGES", "Options"]

JUDGES: dict[str, Callable[[Options], Judge]] = {
    "vl-mdr": _vlmdr,
    "scalar": _scalar,
    "reasoning": _reasoning,
    "always-first": lambda _: always_first(),
    "longer": lambda _: longer(),
    "shorter": lambda _: shorter(),
    "rules": _rules,
}

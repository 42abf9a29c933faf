"""The judges that a run can name. Adding one is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from core.judges.protocols import Judge
from core.judges.rules import always_first, longer, shorter
from core.judges.scalar import ScalarJudge
from core.judges.vlmdr import VLMDRJudge


@dataclass(frozen=True)
class Options:
    """What a judge may need to load. model: folder or hub id; None is the embedded one."""

    model: str | None = None
    revision: str | None = None
    device: str | None = None
    dtype: str | None = None


def _vlmdr(options: Options) -> VLMDRJudge:
    return VLMDRJudge.load(options.model, options.device, options.dtype, options.revision)


def _scalar(options: Options) -> ScalarJudge:
    return ScalarJudge.load(options.model, options.device, options.dtype, options.revision)


JUDGES: dict[str, Callable[[Options], Judge]] = {
    "vl-mdr": _vlmdr,
    "scalar": _scalar,
    "always-first": lambda _: always_first(),
    "longer": lambda _: longer(),
    "shorter": lambda _: shorter(),
}

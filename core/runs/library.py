"""The runs that the pages show: finished run folders below the roots, each under a name that fits in a link."""

from __future__ import annotations

import logging
from pathlib import Path

from core.records import Condition
from core.runs.run import Run, survey

log = logging.getLogger(__name__)
BUNDLED = Path(__file__).parents[2] / "assets" / "runs"


class Library:
    """Looked up anew each time: a run that finishes appears with the next view."""

    def __init__(self, roots: list[Path]) -> None:
        self.roots = [BUNDLED, *(r for r in roots if r.resolve() != BUNDLED.resolve())]
        self._told: set[str] = set()

    def runs(self) -> dict[str, Run]:
        """Name in links -> run. A name is only ever looked up here: it never becomes a path."""
        return self.surveyed()[0]

    def problems(self) -> list[str]:
        """A sentence for each folder below the roots that cannot be shown."""
        return self.surveyed()[1]

    def surveyed(self) -> tuple[dict[str, Run], list[str]]:
        """Both. A problem is logged when it is first seen."""
        out: dict[str, Run] = {}
        problems: list[str] = []
        for root in self.roots:
            if root.is_dir():
                found, wrong = survey(root)
                problems += wrong
                for run in found:
                    name = run.folder.name if run.folder == root else run.folder.relative_to(root).as_posix()
                    out[name if name not in out else f"{root.name}/{name}"] = run
        for problem in problems:
            if problem not in self._told:
                self._told.add(problem)
                log.warning("A run is left out. %s", problem)
        return out, problems

    def of_benchmark(self, benchmark: str) -> dict[str, Run]:
        return {k: r for k, r in self._judged().items() if r.manifest.benchmark == benchmark}

    def _judged(self) -> dict[str, Run]:
        """Less the runs that only hold rows for labelling (core.judges.rules.no_judge)."""
        return {k: r for k, r in self.runs().items() if r.manifest.judge.kind != "none"}

    def benchmarks(self) -> list[tuple[str, str]]:
        """(title, name) of the benchmarks that have runs, the bundled one first."""
        present = {r.manifest.benchmark: r.manifest.title for r in self._judged().values()}
        return [(title, name) for name, title in sorted(present.items(), key=lambda kv: kv[0] != "scene")]

    def under(self, run: Run, condition: Condition) -> Run | None:
        """The same judge's run of the same data under another condition, if there is one."""
        m = run.manifest
        for other in self.of_benchmark(m.benchmark).values():
            o = other.manifest
            if o.condition is condition and (o.judge.id, o.judge.fingerprint, o.source) == (
                m.judge.id,
                m.judge.fingerprint,
                m.source,
            ):
                return other
        return None

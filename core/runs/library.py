"""The runs that the pages show: finished run folders below the roots, each under a name that fits in a link."""

from __future__ import annotations

from pathlib import Path

from core.records import Condition
from core.runs.run import Run, find_runs, survey

BUNDLED = Path(__file__).parents[2] / "assets" / "runs"


class Library:
    """Looked up anew each time: a run that finishes appears with the next view."""

    def __init__(self, roots: list[Path]) -> None:
        self.roots = [BUNDLED, *(r for r in roots if r.resolve() != BUNDLED.resolve())]

    def runs(self) -> dict[str, Run]:
        """Name in links -> run. A name is only ever looked up here: it never becomes a path."""
        out = {}
        for root in self.roots:
            if root.is_dir():
                for run in find_runs(root):
                    name = run.folder.name if run.folder == root else run.folder.relative_to(root).as_posix()
                    out[name if name not in out else f"{root.name}/{name}"] = run
        return out

    def of_benchmark(self, benchmark: str) -> dict[str, Run]:
        return {k: r for k, r in self._judged().items() if r.manifest.benchmark == benchmark}

    def problems(self) -> list[str]:
        """A sentence for each folder below the roots that cannot be shown."""
        return [p for root in self.roots if root.is_dir() for p in survey(root)[1]]

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

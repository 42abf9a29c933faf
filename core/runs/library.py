"""The runs that the pages show: finished run folders below the roots, each under a name that fits in a link."""

from __future__ import annotations

from pathlib import Path

from core.runs.run import Run, find_runs

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

    def _judged(self) -> dict[str, Run]:
        """Less the runs that only hold rows for labelling (core.judges.rules.nobody)."""
        return {k: r for k, r in self.runs().items() if r.manifest.judge_about.get("judges", True)}

    def benchmarks(self) -> list[tuple[str, str]]:
        """(title, name) of the benchmarks that have runs, the bundled one first."""
        present = {r.manifest.benchmark: r.manifest.title for r in self._judged().values()}
        return [(title, name) for name, title in sorted(present.items(), key=lambda kv: kv[0] != "scene")]

    def blind_of(self, run: Run) -> Run | None:
        """The image-blind run of the same data, if there is one."""
        for other in self.of_benchmark(run.manifest.benchmark).values():
            if other.manifest.judge.endswith(", blind") and other.manifest.source == run.manifest.source:
                return other
        return None

    def swapped_of(self, run: Run) -> Run | None:
        """The same judge's run of the same data with the pictures exchanged, if there is one."""
        for other in self.of_benchmark(run.manifest.benchmark).values():
            m, own = other.manifest, run.manifest
            judge = f"{own.judge}, images swapped"
            if m.images != "as given" and (m.judge, m.weights, m.source) == (judge, own.weights, own.source):
                return other
        return None

"""Who imports whom, read from the source: `python tests/imports.py [CHECKOUT]` prints it for any checkout of the project.

A room is a package of core or app, or a file that lies loose in one of them. An arrow goes from the room that imports to the
room it imports from. Files that only forward a command of release 0.1 are doors, not rooms.
"""

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).parents[1]
FORWARDS = '"""The command of release 0.1;'  # how such a file begins


class House:
    """files: module name -> path. arrows: (importing module, imported module) of all imports, also those inside functions.
    at_start: only those that happen while a module is imported."""

    def __init__(self, root=ROOT, tops=("core", "app")):
        self.root = root
        found = sorted(p for top in tops for p in (root / top).rglob("*.py"))
        self.doors = {self._name(p): p for p in found if p.read_text().startswith(FORWARDS)}
        self.files = {self._name(p): p for p in found if self._name(p) not in self.doors}
        self.arrows, self.at_start = set(), set()
        for name, path in self.files.items():
            self._read(name, path)

    def _name(self, path):
        parts = path.relative_to(self.root).with_suffix("").parts
        return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)

    def _read(self, name, path):
        tree = ast.parse(path.read_text())
        late = {id(n) for outer in ast.walk(tree) if _is_late(outer) for n in ast.walk(outer)}
        for node in ast.walk(tree):
            for target in self._targets(node):
                if target != name:
                    self.arrows.add((name, target))
                    if id(node) not in late:
                        self.at_start.add((name, target))

    def _targets(self, node):
        if isinstance(node, ast.Import):
            names = [a.name for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, "imports are absolute here"
            names = [f"{node.module}.{a.name}" for a in node.names]
        else:
            return set()
        # `from core.records import Comparison` is an import of core.records, `from core.benchmarks import fields` of the file
        cut = {n if n in self.files else n.rpartition(".")[0] for n in names}
        return {n for n in cut if n in self.files}

    def packages(self):
        return {n for n, p in self.files.items() if p.name == "__init__.py" and "." in n}

    def room(self, module):
        """core.records.bundle -> core.records; core.images -> core.images; app.pages -> app.pages."""
        return ".".join(module.split(".")[:2])

    def rooms(self):
        return {self.room(m) for m in self.files if "." in m and self.files[m].name != "__main__.py"}

    def between_rooms(self, arrows=None):
        pairs = {(self.room(a), self.room(b)) for a, b in (self.arrows if arrows is None else arrows)}
        return {(a, b) for a, b in pairs if a != b}


def _is_late(node):
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
        return True
    return isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)


def circles(arrows):
    """Sets of nodes that reach each other (strongly connected components of more than one node), by Tarjan."""
    after = defaultdict(list)
    for a, b in sorted(arrows):
        after[a].append(b)
    number, low, stack, out = {}, {}, [], []

    def visit(node):
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in after[node]:
            if other not in number:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == number[node]:
            found = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(found) > 1:
                out.append(sorted(found))

    for node in sorted(after):
        if node not in number:
            visit(node)
    return out


def report(root):
    lines = []
    for tops in (("core",), ("app",), ("core", "app")):
        house = House(root, tops)
        rooms, arrows = house.rooms(), house.between_rooms()
        loose = rooms - house.packages()
        lines.append(
            f"{' and '.join(tops)}: {len(house.files)} files in {len(rooms)} rooms ({len(loose)} of them loose files), "
            f"{len(arrows)} arrows between rooms, {len(house.arrows)} between files"
        )
        lines += [f"  circle of rooms: {', '.join(c)}" for c in circles(arrows)]
        lines += [f"  circle of files: {', '.join(c)}" for c in circles(house.at_start)]
    return "\n".join(lines)


if __name__ == "__main__":
    print(report(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else ROOT))

"""Which part may stand on which. `python tests/imports.py` prints the map that this reads."""

import ast
import subprocess
import sys

import pytest
from imports import House, circles

HOUSE = House()
CORE = {m for m in HOUSE.files if m.split(".")[0] == "core"}
# From the ground up: each may import those above it in this list, never those below.
ORDER = (
    "core.images",
    "core.taxonomy",
    "core.records",
    "core.world",
    "core.model",
    "core.judges",
    "core.benchmarks",
    "core.explain",
    "core.runs",
    "core.label_errors",
    "core.labels",
    "core.label_analysis",
    "core.training",
    "core.alignment",
    "core.evaluation",
    "core.commands",
    "core.__main__",
)
LOOSE = {"core.images", "core.taxonomy", "core.__main__"}
DOORS = {
    "core.runner",
    "core.evaluate",
    "core.fit_familiarity",
    "core.suspects",
    "core.explain.benchmark",
    "core.training.__main__",
    "app.gallery_results",
}  # the commands that the README of release 0.1 named
LONGEST_CLASS = 300
LONGER = {
    "LabelStore",  # every transaction of the label store
    "InspectPage",  # layout and events of the largest page
}


def test_every_room_of_core_has_a_place_in_the_order():
    assert {HOUSE.room(m) for m in CORE if "." in m} == set(ORDER)


@pytest.mark.parametrize("room", ORDER)
def test_a_room_imports_only_what_stands_below_it(room):
    above = set(ORDER[ORDER.index(room) + 1 :])
    wrong = [f"{a} imports {b}" for a, b in HOUSE.arrows if HOUSE.room(a) == room and HOUSE.room(b) in above]
    assert not wrong, "\n".join(sorted(wrong))


def test_no_import_runs_in_a_circle():
    for what, arrows in (("packages", HOUSE.between_rooms()), ("files", HOUSE.arrows)):
        assert not (found := circles(arrows)), f"circle of {what}: {'; '.join(map(', '.join, found))}"


def test_a_planted_circle_is_found():
    ring = {("a", "b"), ("b", "c"), ("c", "b"), ("c", "d"), ("x", "y"), ("y", "z"), ("z", "x")}
    assert circles(ring) == [["b", "c"], ["x", "y", "z"]]
    assert circles({("a", "b"), ("b", "c"), ("a", "c")}) == []


def test_the_map_tells_imports_at_the_start_from_later_ones(tmp_path):
    (tmp_path / "core" / "b").mkdir(parents=True)
    (tmp_path / "core" / "b" / "__init__.py").write_text("NAME = 1\n")
    (tmp_path / "core" / "b" / "c.py").write_text("from core.b import NAME\nimport torch\n")
    (tmp_path / "core" / "a.py").write_text("from core.b import c\n\ndef f():\n    from core.b import NAME\n")
    found = House(tmp_path, ("core",))
    assert found.arrows == {("core.a", "core.b.c"), ("core.a", "core.b"), ("core.b.c", "core.b")}
    assert found.arrows - found.at_start == {("core.a", "core.b")}
    assert found.between_rooms() == {("core.a", "core.b")} and found.packages() == {"core.b"}


def test_core_imports_nothing_of_the_interface():
    for module in CORE:
        for node in ast.walk(ast.parse(HOUSE.files[module].read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module]
            wrong = {n.split(".")[0] for n in names} & {"app", "gradio", "plotly"}
            assert not wrong, f"{module} imports {', '.join(wrong)}"


def test_nothing_lies_loose_in_core():
    packages = HOUSE.packages()
    assert {m for m in CORE if m.count(".") == 1} - packages == LOOSE
    assert set(HOUSE.doors) == DOORS


@pytest.mark.parametrize(
    "room", ["core.records", "core.world", "core.benchmarks", "core.labels", "core.taxonomy"]
)
def test_a_room_without_models_loads_no_torch(room):
    """Whatever it imports in turn: all of its files, in a process of their own."""
    modules = sorted(m for m in CORE if m == room or m.startswith(room + "."))
    code = f"import sys, {', '.join(modules)}\nprint(*({{'torch', 'transformers', 'gradio'}} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], cwd=HOUSE.root, capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stdout + done.stderr


def test_the_world_knows_no_model():
    reached, new = set(), {m for m in CORE if HOUSE.room(m) == "core.world"}
    while new:
        reached |= new
        new = {b for a, b in HOUSE.arrows if a in new} - reached
    assert {HOUSE.room(m) for m in reached} <= {"core.world", "core.records", "core.images", "core.taxonomy"}


def test_a_class_fits_in_the_head():
    long = {}
    for path in HOUSE.files.values():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ClassDef) and node.end_lineno - node.lineno >= LONGEST_CLASS:
                long[node.name] = node.end_lineno - node.lineno + 1
    assert set(long) <= LONGER, f"longer than {LONGEST_CLASS} lines: {long}"

"""The house rules that a machine can check."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SOURCES = [p for folder in ("core", "app") for p in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize(
    "command",
    [
        ["ruff", "check", "."],
        ["ruff", "format", "--check", "."],
        ["mypy", "core", "app"],
        ["mypy", "-c", (ROOT / "app.py").read_text()],
    ],
    ids=["ruff check", "ruff format", "mypy", "mypy app.py"],  # app.py by its text: the package has its name
)
def test_tool_is_content(command):
    done = subprocess.run([sys.executable, "-m", *command], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", (ROOT / "core").rglob("*.py"), ids=lambda p: p.name)
def test_core_knows_nothing_of_the_interface(path):
    for node in ast.walk(ast.parse(path.read_text())):
        names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module]
        assert not {n.split(".")[0] for n in names} & {"gradio", "app", "plotly"}


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_file_is_one_idea(path):
    assert len(path.read_text().splitlines()) <= 450

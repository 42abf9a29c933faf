"""What the tools check: style and types. tests/test_architecture.py has the order of the packages."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


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

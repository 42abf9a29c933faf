"""The commands of app that release 0.1 named. app.space has its own tests."""

import subprocess
import sys
from pathlib import Path

import pytest

from app.inspect.gallery_results import FILE

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(
    ("argument", "code", "says"), [("--help", 0, "first looks"), ("--nonsense", 2, "--nonsense")]
)
def test_the_gallery_is_written_anew_only_when_asked(argument, code, says):
    before = FILE.stat().st_mtime_ns
    command = [sys.executable, "-m", "app.gallery_results", argument]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == code and says in done.stdout + done.stderr
    assert "Traceback" not in done.stderr and FILE.stat().st_mtime_ns == before

"""Files of this server's own in the system's temporary folder, which others on the machine may write to as well."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import stat
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

OWNER = ".owner"  # holds the process id: whoever starts later throws away what a killed server left


def folder(prefix: str) -> Callable[[], Path]:
    """A folder of a new name that nobody else can enter, made when it is first asked for."""

    known: list[Path] = []
    lock = threading.Lock()

    def made() -> Path:
        with lock:
            if not known:
                clean(prefix)
                path = Path(tempfile.mkdtemp(prefix=prefix))
                write(path / OWNER, str(os.getpid()).encode())
                known.append(path)
        return known[0]

    return made


def clean(prefix: str) -> None:
    """Removes the folders of servers of this user that do not run any more."""
    for old in Path(tempfile.gettempdir()).glob(f"{prefix}*"):
        with contextlib.suppress(OSError, ValueError):
            found = old.lstat()
            if not stat.S_ISDIR(found.st_mode) or found.st_uid != _me() or found.st_mode & 0o077:
                continue
            if not _running(int(read(old / OWNER))):
                shutil.rmtree(old, ignore_errors=True)


def _running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def write(path: Path, data: bytes) -> Path:
    """A file of one's own: a link that stands in its place is replaced, not followed."""
    handle, temporary = tempfile.mkstemp(dir=path.parent)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    os.replace(temporary, path)
    return path


def read(path: Path) -> bytes:
    """Raises OSError, also where a link stands."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0))
    with os.fdopen(handle, "rb") as file:
        return file.read()


def own(path: Path) -> bool:
    """Whether it is a plain file of this user's, and no link."""
    try:
        found = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_uid == _me()


def _me() -> int:
    return os.getuid() if hasattr(os, "getuid") else 0


def fit(name: str) -> str:
    """A name for a file."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:120] or "file"

"""Writes a folder that can be pushed to a Hugging Face Space as it is: `python -m app.space FOLDER [--zero-gpu]`.

Only what the app needs to run, as plain files: no tests, no caches, no links. With --zero-gpu the requirements leave to the
platform what it brings itself. The folder may be the clone of a Space: its .git stays, what this command wrote before
is replaced.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from core.records.bundle import BundleError
from core.records.gallery import read

ROOT = Path(__file__).parents[1]
FOLDERS = ("app", "core", "assets")
FILES = ("app.py", "README.md", "CHANGELOG.md", "LICENSE", "requirements.txt")
GIVEN = ("gradio", "spaces", "huggingface_hub")  # ZeroGPU installs these itself and refuses other versions
ZERO_PYTHON = "3.12.12"  # ZeroGPU has but a few Pythons and names them to the last digit


class SpaceError(ValueError):
    """A folder that must not be written to; the message says why."""


def export(folder: Path, zero_gpu: bool = False, recorded: Sequence[Path] = ()) -> list[Path]:
    """Writes the Space and gives its files. recorded: galleries (app.gallery_results) that it shows. Raises SpaceError where the
    folder holds anything else, or one of them is not a gallery."""
    for file in recorded:
        try:
            read(file)
        except BundleError as error:
            raise SpaceError(f"'{file}' cannot be shown: {error}") from error
    known = {*FOLDERS, *FILES, ".gitattributes", ".git"}
    strange = sorted(p.name for p in folder.iterdir() if p.name not in known) if folder.exists() else []
    if strange:
        raise SpaceError(
            f"'{folder}' holds other things ({strange[0]}): name a new folder, or a Space's clone."
        )
    if (folder / "app").exists() and not (folder / ".gitattributes").exists():
        raise SpaceError(f"'{folder}' was not written by this command: name a new folder.")
    for name in FOLDERS:
        shutil.rmtree(folder / name, ignore_errors=True)
    written = []
    for source in _sources():
        target = folder / source.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target)
        written.append(target)
    for file in recorded:
        target = folder / "assets" / "recorded" / f"{file.stem}.zip"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(file, target)
        written.append(target)
    if zero_gpu:
        _rewrite(folder / "requirements.txt", zero_requirements)
        _rewrite(
            folder / "README.md",
            lambda s: re.sub(r"(?m)^python_version: .*$", f'python_version: "{ZERO_PYTHON}"', s, count=1),
        )
    (folder / ".gitattributes").write_text(_attributes(written))
    return [*written, folder / ".gitattributes"]


def zero_requirements(text: str) -> str:
    """Without what ZeroGPU brings itself, and any torch: it offers a list of its own."""
    out = []
    for line in text.splitlines():
        name = re.split(r"[\[=<>~ #]", line)[0].lower().replace("-", "_")
        if name == "torch":
            out.append("torch  # the version that ZeroGPU offers")
        elif name not in GIVEN:
            out.append(line)
    return "\n".join(out) + "\n"


def _sources() -> Iterator[Path]:
    yield from (ROOT / name for name in FILES)
    for name in FOLDERS:
        for path in sorted((ROOT / name).rglob("*")):
            hidden = any(p.startswith(".") or p == "__pycache__" for p in path.relative_to(ROOT).parts)
            if path.is_file() and not path.is_symlink() and not hidden:
                yield path


def _attributes(files: list[Path]) -> str:
    """Git LFS for every kind of file that is not text: the hub refuses them otherwise."""
    kinds = sorted({p.suffix for p in files if b"\0" in p.read_bytes()[:8192]})
    return "".join(f"*{kind} filter=lfs diff=lfs merge=lfs -text\n" for kind in kinds)


def _rewrite(path: Path, change: Callable[[str], str]) -> None:
    path.write_text(change(path.read_text()))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m app.space", description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--zero-gpu", action="store_true", help="leave torch and gradio to a ZeroGPU Space")
    parser.add_argument(
        "--recorded",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a recorded gallery that the Space shows",
    )
    args = parser.parse_args()
    try:
        written = export(args.folder, args.zero_gpu, args.recorded)
    except SpaceError as error:
        sys.exit(f"Nothing is written: {error}")
    size = sum(p.stat().st_size for p in written)
    print(f"{len(written)} files, {size / 1e6:.1f} MB, in {args.folder}. Commit them with Git LFS and push.")


if __name__ == "__main__":
    main()

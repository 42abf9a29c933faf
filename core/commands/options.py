"""What the sub-commands share: the options that load a judge, where results go, and how a command says no."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer


def one_of(what: str, names: Callable[[], Iterable[str]]) -> Callable[[str], str]:
    """A check that a name is known. names: a function, for some lists cost an import of torch."""

    def check(value: str) -> str:
        known = list(names())
        if value not in known:
            raise typer.BadParameter(f"there is no {what} '{value}'; use one of {', '.join(known)}.")
        return value

    return check


def _judges() -> Iterable[str]:
    from core.judges.registry import JUDGES

    return sorted(JUDGES)


def _in_a_folder(path: Path | None) -> Path | None:
    """Said before the work begins, not after it."""
    if path is not None and path.is_dir():
        raise typer.BadParameter(f"'{path}' is a folder; name a file.")
    if path is not None and not path.absolute().parent.is_dir():
        raise typer.BadParameter(f"there is no folder '{path.parent}'; make it first.")
    return path


JudgeName = Annotated[
    str,
    typer.Option(
        "--judge",
        metavar="NAME",
        callback=one_of("judge", _judges),
        help="vl-mdr, vl-mdr-blind (never sees the picture), scalar, always-first, longer or shorter",
    ),
]
Model = Annotated[
    str | None,
    typer.Option(metavar="FOLDER_OR_HUB_ID", help="a checkpoint; the model that comes with Rewardscope without it"),
]  # fmt: skip
Device = Annotated[str | None, typer.Option(help="cuda, mps or cpu; chosen automatically without it")]
DType = Annotated[
    str | None,
    typer.Option("--dtype", help="float32, bfloat16 or float16; chosen automatically without it"),
]
Output = Annotated[
    Path | None, typer.Option(metavar="FILE", callback=_in_a_folder, help="write the result to this file")
]


def refuse(sentence: str, code: int = 2) -> typer.Exit:
    """To be raised: the sentence goes to stderr, the command ends with `code`."""
    print(sentence, file=sys.stderr)
    return typer.Exit(code)


@contextmanager
def saying(what: str, *errors: type[Exception]) -> Iterator[None]:
    """What the caller can mend becomes `Cannot <what>: <sentence>` and exit code 2; everything else keeps its traceback."""
    try:
        yield
    except errors as error:
        raise refuse(f"Cannot {what}: {error}") from error

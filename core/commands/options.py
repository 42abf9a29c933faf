"""What the sub-commands share: options, the judge they name, and how a command says no."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from core.judges.protocols import Judge


def known(option: str, value: str, names: Iterable[str]) -> None:
    """Raises typer.BadParameter where `value` is not among the names."""
    names = list(names)
    if value not in names:
        raise typer.BadParameter(f"use one of {', '.join(names)}, not '{value}'.", param_hint=f"'{option}'")


def _file(path: Path | None) -> Path | None:
    """Said before the work begins, not after it."""
    if path is not None:
        folder = path.absolute().parent
        if path.is_dir():
            raise typer.BadParameter(f"'{path}' is a folder; name a file.")
        if not folder.is_dir():
            raise typer.BadParameter(f"there is no folder '{folder}'; make it first.")
        if not os.access(path if path.exists() else folder, os.W_OK):
            raise typer.BadParameter(f"'{path}' must not be written to; name another file.")
    return path


def folder(path: Path | None) -> Path | None:
    """Callback of options that name a folder to write to, which may be a new one."""
    if path is not None and path.exists() and not path.is_dir():
        raise typer.BadParameter(f"'{path}' is a file; name a folder.")
    return path


JudgeName = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="vl-mdr, scalar, reasoning, rules, hybrid or hybrid-plain (rules first, then the model), always-first, longer or shorter; left out "
        "with --model, which says what it is itself",
    ),
]
Format = Annotated[
    str | None,
    typer.Option(
        metavar="NAME", help="how a file of your own is read; without it, recognised by its columns"
    ),
]
Model = Annotated[
    str | None,
    typer.Option(
        metavar="FOLDER|HUB_ID|ADDRESS",
        help="a checkpoint, or http(s)://... of a server; without it, Rewardscope's own model",
    ),
]
PromptName = Annotated[
    str | None,
    typer.Option(
        "--prompt",
        metavar="NAME|FILE",
        help="how a judge that writes is asked (core/judges/prompts.py), or a TOML or JSON file",
    ),
]
Votes = Annotated[
    int | None,
    typer.Option(
        metavar="K", min=0, help="answers in each order of a judge that writes; 0 reads the verdict at once"
    ),
]
MaxPixels = Annotated[
    int | None,
    typer.Option(metavar="N", min=1, help="largest picture shown to a checkpoint; without it, its own limit"),
]
Served = Annotated[str | None, typer.Option(metavar="NAME", help="which of a server's models")]
Workers = Annotated[int, typer.Option(metavar="N", min=1, max=256, help="requests to a server at once")]
RunWorkers = Annotated[
    int | None,
    typer.Option(
        "--workers",
        metavar="N",
        min=1,
        max=256,
        help="requests to a server at once (8), or processes of a judge on this machine's CPU (one a core, if it is small)",
    ),
]
Pooled = Annotated[
    str,
    typer.Option(
        metavar="TOKEN",
        help="where a reward head reads: newline (the end of the turn) or turn-end (<|im_end|>)",
    ),
]
Base = Annotated[str | None, typer.Option(metavar="FOLDER|HUB_ID", help="the base model of an adapter")]
Device = Annotated[
    str | None, typer.Option(metavar="DEVICE", help="cuda, mps or cpu; without it, the best there is")
]
DType = Annotated[
    str | None, typer.Option(metavar="TYPE", help="float32, bfloat16 or float16; without it, what fits the device")
]  # fmt: skip
Output = Annotated[Path | None, typer.Option(metavar="FILE", callback=_file, help="write the result here")]


def open_judge(name: str | None, model: str | None, **options: Any) -> Judge:
    """The judge that the options name; without a name, whatever `model` is. options: of core.judges.options.Options.
    Raises typer.BadParameter and core.model.loading.CheckpointError."""
    from core.judges import opening
    from core.judges.named import NAMED
    from core.judges.options import Options

    if name is None:
        return opening.open_judge(
            model, Options(**options), lambda sentence: print(sentence, file=sys.stderr)
        )
    known("--judge", name, sorted(NAMED))
    return NAMED[name](Options(model, **options))


def refuse(sentence: str, code: int = 2) -> typer.Exit:
    """To be raised: the sentence goes to stderr, the command ends with `code`."""
    print(sentence, file=sys.stderr)
    return typer.Exit(code)


@contextmanager
def saying(what: str, *errors: type[Exception]) -> Iterator[None]:
    """Errors that the caller can mend become `Cannot <what>: <sentence>` and exit code 2; others keep their traceback."""
    try:
        yield
    except errors as error:
        raise refuse(f"Cannot {what}: {error}") from error

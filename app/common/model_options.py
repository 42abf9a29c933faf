"""What a person says about the judge to open: the same options for the app and for recording a gallery."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from core.judges.options import Options


def add_model_options(parser: ArgumentParser) -> None:
    """Each can also be said by the environment, as a Space does: REWARDSCOPE_MODEL, REWARDSCOPE_MAX_PIXELS and so on."""

    def add(name: str, help: str, kind: type = str) -> None:
        said = os.environ.get(f"REWARDSCOPE_{name.upper().replace('-', '_')}")
        parser.add_argument(f"--{name}", type=kind, default=said, help=help)

    add("model", "folder, hub id or http(s) address of a reward model; without it, Rewardscope's own")
    add("revision", "revision of a hub checkpoint")
    add("prompt", "how a judge that writes is asked: a name or a file")
    add("votes", "answers in each order of a judge that writes; 0 reads the verdict at once", int)
    add(
        "max-pixels",
        "largest picture shown to a judge, in pixels; without it, the checkpoint's own limit",
        int,
    )
    add("pooled", "where a reward head reads: newline (the end of the turn) or turn-end")
    add("base", "the base model of an adapter")
    add("served", "which of a server's models")
    add("workers", "requests to a server at once", int)
    parser.add_argument("--device", help="cuda, mps or cpu; chosen by itself")
    parser.add_argument("--dtype", help="float32, bfloat16 or float16; chosen by itself")


def options_of(args: Namespace) -> Options:
    from core.judges.options import Options  # a replay does without it

    names = (
        "revision",
        "prompt",
        "votes",
        "max_pixels",
        "pooled",
        "base",
        "served",
        "workers",
        "device",
        "dtype",
    )
    return Options(**{n: getattr(args, n) for n in names if getattr(args, n) is not None})

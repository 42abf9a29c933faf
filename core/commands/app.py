"""`python -m core`: all sub-commands under one name."""

from __future__ import annotations

import sys
from functools import partial

import typer

from core.commands.audit import audit
from core.commands.data import check, template
from core.commands.evaluate import evaluate
from core.commands.explain_benchmark import explain_benchmark
from core.commands.fit_ood import fit_ood
from core.commands.judge import judge
from core.commands.label_errors import label_errors
from core.commands.run import run
from core.commands.train_reasoning_judge import train_reasoning_judge
from core.commands.train_scene import train_scene

plain = partial(
    typer.Typer,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app = plain(
    help="Why did a vision-language reward model prefer this response? `python -m core COMMAND --help` says more."
)
train = plain(help="Train a judge.")
train.command("scene")(train_scene)
train.command("reasoning-judge")(train_reasoning_judge)

data = plain(help="Look at preference data.")
data.command("check")(check)
data.command("template")(template)

app.command("judge")(judge)
app.command("run")(run)
app.command("evaluate")(evaluate)
app.command("label-errors")(label_errors)
app.command("explain-benchmark")(explain_benchmark)
app.command("fit-ood")(fit_ood)
app.add_typer(train, name="train")
app.add_typer(data, name="data")
app.command("audit")(audit)


def main(*before: str) -> None:
    """Runs the command line. before: the sub-command, where an older command's name stood for it."""
    app([*before, *sys.argv[1:]], prog_name="python -m core")

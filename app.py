"""Builds the interface and launches it: `python app.py [--model PATH_OR_HUB_ID]`."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  # on ZeroGPU, which takes CUDA's place and must come before torch

import gradio as gr

from app.common import lane, privately
from app.common.identity import kind_of_sign_in
from app.common.late import LateJudge
from app.common.model_options import add_model_options, options_of
from app.common.previews import Finder
from app.common.server import Logins, doors, given_hosts
from app.common.theme import CSS, THEME, head
from app.failures import thumbnails
from app.pages import RECORDED, Desk, build, build_without_model
from core.explain import can_explain
from core.judges.options import Options
from core.judges.protocols import Explainable, Judge
from core.labels.backup import keep
from core.labels.database import default_url
from core.labels.records import LabelError
from core.labels.store import LabelStore
from core.model.files import CheckpointError
from core.records.bundle import BundleError
from core.records.gallery import Gallery
from core.records.gallery import read as read_gallery
from core.runs.library import Library


def with_judge(args: argparse.Namespace, desk: Desk) -> tuple[gr.Blocks, Callable[[], None], Finder]:
    """The interface, what is to be done once it is served, and what its links are previewed by."""
    options = options_of(args)
    try:
        if (
            not args.model and options == Options() and not lane.forks()
        ):  # a fork knows what was there before it
            late = LateJudge(_embedded)
            return build(late, args.runs, desk, recorded(args)), late.start, _previews(late, args)
        judge = _opened(args.model, options)
    except CheckpointError as error:
        sys.exit(f"Rewardscope cannot start: {error}")
    if not can_explain(judge):
        sys.exit(
            f"Rewardscope cannot start: '{judge.card.name}' can judge, but there is nothing to explain it by. Judge data with it by "
            "`python -m core run --model ...` and show the run with --replay."
        )
    return build(judge, args.runs, desk, recorded(args)), lambda: None, _previews(judge, args)


def _previews(judge: Explainable, args: argparse.Namespace) -> Finder:
    """What links are previewed by: this judge's stored results, and finished runs."""
    from app.inspect.gallery_results import stored_for
    from app.inspect.preview import Finder as OfInspect

    return OfInspect(judge.card, lambda: stored_for(judge), Library([args.runs]))


def _opened(model: str | None, options: Options) -> Judge:
    from core.judges.opening import open_judge  # torch

    return open_judge(model, options, lambda sentence: print(sentence, flush=True))


def _embedded() -> Explainable:
    judge = _opened(None, Options())
    assert can_explain(judge)
    return judge


def replay(args: argparse.Namespace, desk: Desk) -> gr.Blocks:
    folder = Path(args.replay)
    if not folder.is_dir():
        sys.exit(f"Rewardscope cannot start: there is no folder '{folder}' to replay.")
    return build_without_model(folder, desk, recorded(args))


def recorded(args: argparse.Namespace) -> list[Gallery]:
    """Recorded galleries: those that were named, and those that came with the app."""
    try:
        return [read_gallery(file) for file in [*args.recorded, *sorted(RECORDED.glob("*.zip"))]]
    except BundleError as error:
        sys.exit(f"Rewardscope cannot start: {error}")


def open_desk(url: str, auth: bool) -> Desk:
    try:
        store = LabelStore(url)
    except LabelError as error:
        sys.exit(f"Rewardscope cannot start: {error}")
    repository = os.environ.get("REWARDSCOPE_LABELS_REPO")
    folder = privately.folder("rewardscope-labels-")()
    return Desk(store, kind_of_sign_in(auth), keep(store, folder, repository))


def logins(file: Path) -> list[tuple[str, str]]:
    """name:password lines; empty ones and those that begin with # are passed over."""
    try:
        lines = [line.strip() for line in file.read_text().splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"Rewardscope cannot start: {file} cannot be read ({error}).")
    pairs = [tuple(line.split(":", 1)) for line in lines if line and not line.startswith("#")]
    if not pairs or any(len(pair) != 2 or not all(pair) for pair in pairs):
        sys.exit(f"Rewardscope cannot start: {file} must hold lines of name:password.")
    return [(name.strip(), password) for name, password in pairs]


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Rewardscope: why did the reward model prefer this response?"
    )
    add_model_options(parser)
    parser.add_argument(
        "--recorded",
        type=Path,
        action="append",
        default=[],
        metavar="FILE",
        help="a gallery that `python -m app.gallery_results` recorded; may be given several times",
    )
    parser.add_argument(
        "--runs",
        type=Path,
        default=Path(os.environ.get("REWARDSCOPE_RUNS", "runs")),
        help="folder of runs to show and to write",
    )
    parser.add_argument(
        "--replay",
        type=Path,
        default=os.environ.get("REWARDSCOPE_REPLAY"),
        help="show the finished runs below this folder (and the bundled ones) without loading a model",
    )
    parser.add_argument(
        "--labels",
        default=default_url(),
        help="where labels are kept: sqlite:///FILE or postgresql+psycopg://...",
    )
    parser.add_argument(
        "--auth", type=Path, help="file of name:password lines; only these people may come in"
    )
    parser.add_argument("--host", default=None)
    parser.add_argument(
        "--allow-host",
        action="append",
        default=[],
        metavar="NAME",
        help="a name under which the server is reached, such as desk.example.org; may be given several times",
    )
    parser.add_argument("--port", type=int, default=None)
    parser.add_argument(
        "--mcp",
        action="store_true",
        default=os.environ.get("REWARDSCOPE_MCP", "") not in ("", "0"),
        help="offer `score` and `explain` as MCP tools too",
    )
    args = parser.parse_args()
    if args.mcp and (args.replay or args.auth):
        parser.error(
            "--mcp does not go with --replay, which publishes no tools."
            if args.replay
            else "--mcp does not go with --auth: an MCP client has no way to log in."
        )
    signal.signal(
        signal.SIGTERM, lambda *_: sys.exit(0)
    )  # a Space stops like this: the last labels are still saved
    # Uploads and what is handed out: a folder of this start's own, which nobody else on this machine can read.
    os.environ.setdefault("GRADIO_TEMP_DIR", str(privately.folder("rewardscope-files-")()))
    auth = logins(args.auth) if args.auth else None
    desk = open_desk(args.labels, bool(auth))
    if args.replay:
        demo, once_served, find = replay(args, desk), lambda: None, None
    else:
        demo, once_served, find = with_judge(args, desk)
    # To whoever comes after those, Gradio says "This application is currently busy. Please try again."
    demo.queue(max_size=64)
    demo.launch(
        server_name=args.host,
        server_port=args.port,
        theme=THEME,
        css_paths=CSS,
        head=head(),
        max_file_size="20mb",
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=args.mcp,
        show_error=True,
        prevent_thread_lock=True,
        **doors(
            given_hosts(args.allow_host, args.host),
            head(),
            Logins(auth) if auth else None,
            find,
            [thumbnails.route(Library([args.replay or args.runs]))],
        ),
    )
    once_served()
    demo.block_thread()


if __name__ == "__main__":
    main()

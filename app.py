"""Builds the interface and launches it: `python app.py [--model PATH_OR_HUB_ID]`."""

from __future__ import annotations

import argparse
import os
import sys
from pathlib import Path

import gradio as gr

from app.look import CSS, THEME, head
from app.pages import build, build_without_model


def with_judge(args: argparse.Namespace) -> gr.Blocks:
    from core.judges.vlmdr import VLMDRJudge  # a replay does without torch
    from core.model.loading import CheckpointError

    try:
        judge = VLMDRJudge.load(args.model, args.device, args.dtype, args.revision)
    except CheckpointError as error:
        sys.exit(f"Rewardscope cannot start: {error}")
    return build(judge, args.runs)


def replay(folder: Path) -> gr.Blocks:
    if not folder.is_dir():
        sys.exit(f"Rewardscope cannot start: there is no folder '{folder}' to replay.")
    return build_without_model(folder)


def main() -> None:
    parser = argparse.ArgumentParser(
        description="Rewardscope: why did the reward model prefer this response?"
    )
    parser.add_argument(
        "--model", default=os.environ.get("REWARDSCOPE_MODEL"), help="folder or hub id of a VL-MDR checkpoint"
    )
    parser.add_argument(
        "--revision", default=os.environ.get("REWARDSCOPE_REVISION"), help="revision of a hub checkpoint"
    )
    parser.add_argument("--device", help="cuda, mps or cpu; chosen by itself")
    parser.add_argument("--dtype", help="float32, bfloat16 or float16; chosen by itself")
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
    parser.add_argument("--host", default=None)
    parser.add_argument("--port", type=int, default=None)
    args = parser.parse_args()
    demo = replay(Path(args.replay)) if args.replay else with_judge(args)
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
        mcp_server=not args.replay,  # a replay publishes no endpoint
        show_error=True,
    )


if __name__ == "__main__":
    main()

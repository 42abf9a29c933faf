"""Builds the interface and launches it: `python app.py [--model PATH_OR_HUB_ID]`."""

from __future__ import annotations

import argparse
import contextlib
import os
import sys
from importlib.util import find_spec
from pathlib import Path

with contextlib.suppress(ImportError):
    import spaces  # noqa: F401  # on ZeroGPU, which takes CUDA's place and must come before torch

import gradio as gr

from app.pages import build, build_without_model

FONTS = [
    "system-ui",
    "-apple-system",
    "Segoe UI",
    "Roboto",
    "sans-serif",
]  # nothing is fetched from elsewhere
CSS = Path(__file__).parent / "assets" / "style.css"


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
    demo.queue(
        max_size=64
    )  # to the next one Gradio says "This application is currently busy. Please try again."
    demo.launch(
        server_name=args.host,
        server_port=args.port,
        theme=gr.themes.Soft(
            primary_hue="blue", neutral_hue="slate", font=FONTS, font_mono=["ui-monospace", "monospace"]
        ),
        css_paths=CSS,
        max_file_size="20mb",
        footer_links=["api"],
        run_history=False,
        enable_monitoring=False,
        ssr_mode=False,
        # A replay publishes no endpoint; a Space may bring a gradio without its extras.
        mcp_server=not args.replay and find_spec("mcp") is not None,
        show_error=True,
    )


if __name__ == "__main__":
    main()

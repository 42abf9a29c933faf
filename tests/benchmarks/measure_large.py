"""A model of real shape on this machine: `python tests/benchmarks/measure_large.py PHOTOGRAPH [--size 3b|7b] [--budget SECONDS]`.

Random weights in the shape of Qwen2.5-VL-3B (or 7B) with a value head as Skywork-VL-Reward has it, in bf16 and sharded
safetensors, are written to a scratch folder; the photograph is judged by the command that anyone would use; then the model
is opened once more and judges, gives a gradient map and a refinement within the budget. Prints seconds and peak memory. The
folder is deleted again, whatever happens. At 3B it needs 8 GB of disk and about 11 GB of memory.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

QUESTION = "What is in the picture, and what is unusual about it?"
ANSWERS = (
    "Somebody stands at the back of a moving car and irons a shirt, which nobody would do on a street.",
    "It is an ordinary street with some cars and a house, and there is nothing unusual about it.",
)
SIZES: dict[str, dict[str, Any]] = {
    "3b": {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36, "num_attention_heads": 16, "num_key_value_heads": 2,
           "vocab_size": 151936, "tie_word_embeddings": True},
    "7b": {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
           "vocab_size": 152064, "tie_word_embeddings": False},
    "tiny": {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 2,
             "vocab_size": 4096, "tie_word_embeddings": True},
}  # fmt: skip
SHARD = 2 << 30  # bytes


def write_checkpoint(folder: Path, size: str) -> int:
    """Shard by shard, so that this takes no more memory than one of them. Gives the number of parameters."""
    import torch
    from checkpoints import QWEN_TEMPLATE, old_name, write_template
    from safetensors.torch import save_file
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    from core.training.tokenizer import build_processor

    torch.manual_seed(0)
    processor, shape = build_processor(0, lessons=60), dict(SIZES[size])
    tied, token = shape.pop("tie_word_embeddings"), processor.tokenizer.convert_tokens_to_ids
    third = shape["hidden_size"] // shape["num_attention_heads"] // 8
    config = Qwen2_5_VLConfig(
        text_config={**shape, "max_position_embeddings": 128000, "bos_token_id": None, "eos_token_id": token("<|im_end|>"),
                     "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [third, 3 * third // 2, 3 * third // 2]}},
        vision_config={"depth": 2 if size == "tiny" else 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16,
                       "out_hidden_size": shape["hidden_size"], "patch_size": 14, "window_size": 112,
                       "fullatt_block_indexes": [1] if size == "tiny" else [7, 15, 23, 31]},
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"), vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"), tie_word_embeddings=tied,
    )  # fmt: skip
    with torch.device("meta"):
        model: Any = Qwen2_5_VLForConditionalGeneration(config)
    shapes = {n: tuple(p.shape) for n, p in model.named_parameters() if not (tied and n == "lm_head.weight")}
    where: dict[str, str] = {}
    shard: dict[str, Any] = {}

    def write() -> None:
        file = f"model-{len(set(where.values())) + 1:05d}.safetensors"
        save_file(shard, folder / file, {"format": "pt"})
        where.update(dict.fromkeys(shard, file))
        shard.clear()

    for name, dims in shapes.items():
        tensor = (
            torch.ones(dims, dtype=torch.bfloat16)
            if len(dims) == 1
            else torch.empty(dims, dtype=torch.bfloat16).normal_(std=0.02)
        )
        shard[old_name(name)] = torch.zeros_like(tensor) if name.endswith("bias") else tensor
        if sum(t.nbytes for t in shard.values()) >= SHARD:
            write()
    write()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": where}))
    save_file({"v_head.summary.weight": torch.randn(1, shape["hidden_size"]) / 30, "v_head.summary.bias": torch.zeros(1)},
              folder / "value_head.safetensors", {"format": "pt"})  # fmt: skip
    config.architectures, config.dtype = ["Qwen2_5_VLForConditionalGeneration"], "bfloat16"
    config.save_pretrained(folder)
    images = processor.image_processor
    images.temporal_patch_size, images.size = 2, {"shortest_edge": 3136, "longest_edge": 12845056}
    images.save_pretrained(folder)
    processor.tokenizer.chat_template = None
    processor.tokenizer.save_pretrained(folder)
    write_template(folder, "chat_template.json", QWEN_TEMPLATE)
    return sum(int(torch.Size(d).numel()) for d in shapes.values())


def explained(folder: str, args: argparse.Namespace) -> None:
    """In a process of its own: what is measured here is the app's own work."""
    from core.explain import explain
    from core.explain.memory import Peak
    from core.images import open_image
    from core.judges.opening import open_judge
    from core.judges.options import Options
    from core.records import Comparison

    def told(what: str, started: tuple[float, float], more: str = "") -> None:
        wall, cpu = (now - before for now, before in zip(clocks(), started, strict=True))
        print(f"{what:12} {wall:8.1f} s ({cpu:.0f} s of CPU) {more}", flush=True)

    started = clocks()
    judge: Any = open_judge(
        folder, Options(device=args.device, dtype="bfloat16", max_pixels=args.max_pixels), print
    )
    told("open", started, f"   {judge.card.about}")
    comparison = Comparison("photograph", open_image(Path(args.photograph)), QUESTION, ANSWERS)
    started = clocks()
    with Peak(judge.model.device) as peak:
        judged = judge.judge(comparison)
    told("judge", started, f"{_mib(peak.bytes)} on top; rewards {judged.rewards}")
    for method, seconds in (("gradient", None), ("refine", args.budget)):
        started = clocks()
        done = explain(judge, comparison, judged, method=method, seconds=seconds, check=False,
                       on_step=lambda n, of: print(f"\r  {n} of {of}", end="\r", file=sys.stderr))  # fmt: skip
        told(method, started, f"{_mib(done.peak_memory)} on top; {done.points} evaluations, {len(done.patch_values)} x {len(done.patch_values[0])} regions, "
             f"{sum(map(len, done.token_values))} words; strongest region {max(map(max, done.patch_values)):+.4f}")  # fmt: skip
    print(f"peak of the whole process {_mib(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)}")


def clocks() -> tuple[float, float]:
    """Seconds on the wall and of this process's CPUs: on a busy machine only the second says something of the model."""
    return time.perf_counter(), time.process_time()


def _mib(size: int | None) -> str:
    return "unknown" if size is None else f"{size / 2**20:,.0f} MiB"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("photograph")
    parser.add_argument("--size", choices=sorted(SIZES), default="3b")
    parser.add_argument("--max-pixels", type=int, default=448 * 448)
    parser.add_argument("--budget", type=float, default=240, help="seconds of the refinement")
    parser.add_argument("--device", default="cpu")
    parser.add_argument(
        "--scratch", type=Path, help="where the folder is made; without it, the system's own place"
    )
    parser.add_argument("--explained", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.explained:
        explained(args.explained, args)
        return
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the folder goes then, too
    with tempfile.TemporaryDirectory(prefix="rewardscope-large-", dir=args.scratch) as scratch:
        folder, started = Path(scratch) / f"random-{args.size}", time.perf_counter()
        folder.mkdir()
        parameters = write_checkpoint(folder, args.size)
        size = sum(f.stat().st_size for f in folder.iterdir())
        print(f"written      {time.perf_counter() - started:8.1f} s {parameters / 1e9:.2f} billion parameters, {size / 2**30:.1f} GiB in "
              f"{len(list(folder.glob('model-*')))} shards", flush=True)  # fmt: skip
        command = [sys.executable, "-m", "core", "judge", args.photograph, QUESTION, *ANSWERS, "--model", str(folder),
                   "--dtype", "bfloat16", "--device", args.device, "--max-pixels", str(args.max_pixels)]  # fmt: skip
        started = time.perf_counter()
        subprocess.run(command, cwd=ROOT, check=True)
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
        print(
            f"command      {time.perf_counter() - started:8.1f} s, loading included; peak {_mib(peak)}",
            flush=True,
        )
        again = [sys.executable, __file__, args.photograph, "--explained", str(folder), "--max-pixels", str(args.max_pixels),
                 "--budget", str(args.budget), "--device", args.device]  # fmt: skip
        subprocess.run(again, cwd=ROOT, check=True, env={**os.environ, "PYTHONPATH": str(ROOT)})
    print("the folder is deleted")


if __name__ == "__main__":
    main()

"""Do explanations take the memory that is said before? `python tests/benchmarks/measure_estimates.py [--only joint]`

Every method in both scopes, on two shapes of input (more picture than words, more words than picture) and a model of 4
layers of width 512 with random weights. Each case runs in a fork of its own, with one torch thread. Prints estimated /
measured; the target is 0.8 to 1.2. Memory is what the process grows by, less the gaps of the C library's heap: blocks from
64 kB on are taken from the system one by one here (in a process that runs for long, gaps add up to half as much again). The
cases take hundreds of megabytes, but for the gradient's: of one point, the process's own growth is a large part.
"""

from __future__ import annotations

import argparse
import os
import sys
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from itertools import product
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from transformers import Qwen2_5_VLConfig

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from plain import judge_of  # noqa: E402

from core.explain import METHODS, Request, explain, plan  # noqa: E402
from core.judges.vlmdr import VLMDRJudge  # noqa: E402
from core.model import VLMDR, VLMDRConfig  # noqa: E402
from core.records import Comparison  # noqa: E402
from core.training.tokenizer import build_processor  # noqa: E402

SHAPES = {"picture": (224, 6), "text": (112, 48)}  # pixels of a side; words of a response
STEPS = {"integrated_gradients": 32, "shapley": 1}
SCOPES = ("joint", "responses")
THRESHOLD = "MALLOC_MMAP_THRESHOLD_"
JUDGES: list[VLMDRJudge] = []


def random_judge() -> VLMDRJudge:
    processor = build_processor(0, lessons=150)
    processor.image_processor.size["longest_edge"] = 224 * 224
    token = processor.tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            "model_type": "qwen2_5_vl_text", "vocab_size": len(processor.tokenizer), "hidden_size": 512,
            "intermediate_size": 2048, "num_hidden_layers": 4, "num_attention_heads": 8, "num_key_value_heads": 2,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [8, 12, 12]},
            "bos_token_id": None, "eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={"depth": 1, "hidden_size": 64, "intermediate_size": 128, "num_heads": 2, "out_hidden_size": 512,
                       "temporal_patch_size": 1},
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
    )  # fmt: skip
    torch.manual_seed(0)
    model = VLMDR(VLMDRConfig(vlm_config=config)).eval().requires_grad_(False)
    return judge_of(model, processor, "random weights")


def record(side: int, words: int) -> Comparison:
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype="uint8")
    texts = tuple(" ".join([word] * words) + "." for word in ("blue", "green"))
    return Comparison("m", Image.fromarray(pixels), "What colour is the star?", texts)


def measure(c: Comparison, method: str, scope: str) -> tuple[int, int, int, int]:
    """Points, the batch, bytes estimated and measured."""
    judge = JUDGES[0]  # of the parent
    judgement = judge.judge(c)
    request = Request(method=method, scope=scope, steps=STEPS.get(method), level="word")
    cost = plan(judge, c, judgement, request)
    return cost.points, cost.batch, cost.bytes, explain(judge, c, judgement, request).peak_memory or 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="cases whose name holds this")
    args = parser.parse_args()
    if THRESHOLD not in os.environ:  # read by the C library before anything runs
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | {THRESHOLD: "65536"})
    torch.set_num_threads(1)
    import_module("captum.attr")
    JUDGES.append(random_judge())
    ratios = []
    print(f"{'case':44} {'points':>7} {'batch':>5} {'estimated':>10} {'measured':>10}  ratio", flush=True)
    for shape, method, scope in product(SHAPES, METHODS, SCOPES):
        name = f"{shape}, {method}, {scope}"
        if args.only not in name:
            continue
        with ProcessPoolExecutor(1, get_context("fork")) as pool:
            found = pool.submit(measure, record(*SHAPES[shape]), method, scope).result()
        points, batch, estimated, measured = found
        ratios.append(estimated / measured)
        mib = [f"{n / 2**20:,.0f} MiB" for n in (estimated, measured)]
        print(f"{name:44} {points:7,} {batch:5} {mib[0]:>10} {mib[1]:>10}  {ratios[-1]:.2f}", flush=True)
    off = sum(not 0.8 <= r <= 1.2 for r in ratios)
    print(f"{min(ratios):.2f} to {max(ratios):.2f}; {off} of {len(ratios)} cases are more than 20 % off")
    sys.exit(bool(off))


if __name__ == "__main__":
    main()

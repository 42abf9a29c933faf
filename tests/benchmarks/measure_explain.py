"""How much faster attribution to responses is with reused keys and values than plain Captum, in one run.

    python tests/benchmarks/measure_explain.py [--rounds 3] [--size 7b] [--device cuda]

Inputs where image and prompt are 80 % of the tokens, 32 steps of integrated gradients, the same batch for both. --size 7b
builds a model of Qwen2.5-VL-7B's shape with random weights (bf16): it wants a GPU. The first lines compare the numbers.
"""

import argparse
import sys
import time
from pathlib import Path

import numpy as np
import torch
from captum.attr import IntegratedGradients
from PIL import Image
from transformers import Qwen2_5_VLConfig

sys.path[:0] = [str(Path(__file__).parents[2]), str(Path(__file__).parents[1])]

from plain import judge_of  # noqa: E402

from core.explain import explain  # noqa: E402
from core.explain.explanation import Request, prepare  # noqa: E402
from core.judges.vlmdr import VLMDRJudge  # noqa: E402
from core.model import VLMDR, VLMDRConfig  # noqa: E402
from core.model.head import weights_over  # noqa: E402
from core.model.processor import encode_prefix, encode_response  # noqa: E402
from core.records import Comparison  # noqa: E402
from core.training.tokenizer import build_processor  # noqa: E402
from tests.plain import integrated_gradients  # noqa: E402

STEPS = 32


def large(device):
    processor = build_processor(0, lessons=150)
    token = processor.tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(  # the defaults of text and vision are the 7B's
        text_config={
            "model_type": "qwen2_5_vl_text", "vocab_size": len(processor.tokenizer), "hidden_size": 3584,
            "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28, "num_key_value_heads": 4,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
            "bos_token_id": None, "eos_token_id": token("<|im_end|>"), "pad_token_id": token("<|endoftext|>"),
        },
        vision_config={"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
                       "temporal_patch_size": 1},
        image_token_id=token("<|image_pad|>"), video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"), vision_end_token_id=token("<|vision_end|>"),
    )  # fmt: skip
    torch.set_default_dtype(torch.bfloat16)
    with torch.device(device):
        model = VLMDR(VLMDRConfig(vlm_config=config)).eval().requires_grad_(False)
    torch.set_default_dtype(torch.float32)
    return judge_of(model, processor, "7B-shaped, random weights")


def record(judge, side):
    """A picture of side x side pixels (the processor may shrink it), two responses of 24 words, and a prompt as long as
    makes image and prompt 80 % of all tokens."""
    pixels = np.random.default_rng(0).integers(0, 255, (side, side, 3), dtype="uint8")
    image = Image.fromarray(pixels)
    texts = tuple(" ".join([word] * 24) + "." for word in ("blue", "green"))
    responses = sum(len(encode_response(judge.processor, t).ids) for t in texts)
    prompt = "What colour is the star?"
    while encode_prefix(judge.processor, [image], [prompt])["input_ids"].shape[1] < 4 * responses:
        prompt += " Look at it again: what colour is the star?"
    return Comparison("m", image, prompt, texts)


def plain(forward, batch):
    """Captum's integrated gradients as one would write it: over the embeddings of each whole sequence."""
    i, model = forward.inputs, forward.model
    p = i.prefix.shape[1]
    out = torch.zeros(i.response.shape[1:3], device=i.prefix.device)
    for n, sign in ((0, 1.0), (1, -1.0)):
        length = int(i.response_mask[0, n].sum())
        tail = int(i.positions.amax()) + 1 + torch.arange(length, device=i.prefix.device)
        places = torch.cat([i.positions, tail.expand(3, 1, -1)], dim=-1)

        def reward(embeds, length=length, places=places):
            b = len(embeds)
            states = model.backbone.get_decoder()(
                inputs_embeds=embeds, position_ids=places.expand(-1, b, -1), use_cache=False
            ).last_hidden_state
            visual = states[:, :p][:, i.at_image].mean(1)
            _, weight = model.head.gate(torch.cat([states[:, p - 1], visual], dim=-1))
            mask = torch.ones(b, length, device=embeds.device)
            scores = model.head.score(
                states[:, -1], states[:, p - 1 : -1], embeds[:, p:], states[:, p:], mask
            )
            shares = weights_over(weight.float(), forward.active.expand(b, -1))
            return (shares * scores.float()).sum(-1)

        given = torch.cat([i.prefix, i.response[:, n, :length]], dim=1)
        base = torch.cat([i.prefix, i.response_base[:, n, :length]], dim=1)
        found = IntegratedGradients(reward).attribute(
            given, baselines=base, n_steps=STEPS, internal_batch_size=batch, method="gausslegendre"
        )
        out[n, :length] = sign * found.sum(-1)[0, p:].float()
    return out


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--size", choices=("embedded", "7b"), default="embedded")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    args = parser.parse_args()
    judge = large(args.device) if args.size == "7b" else VLMDRJudge.load(device=args.device)
    for p in judge.model.parameters():
        p.requires_grad_(False)
    c = record(judge, 112 if args.size == "embedded" else 224)
    judgement = judge.judge(c)
    with judge.lock:
        ready = prepare(
            judge,
            c,
            judgement,
            Request(method="integrated_gradients", steps=STEPS, level="word", scope="responses"),
        )
    forward, cost = ready.forward, ready.plan
    prefix, responses = forward.inputs.prefix.shape[1], int(forward.inputs.response_mask.sum())
    print(
        f"{judge.name}: {prefix} prefix and {responses} response tokens ({prefix / (prefix + responses):.0%} prefix)"
    )
    batch = min(8, cost.batch)
    z = forward.ones()

    def fast():
        return IntegratedGradients(forward).attribute(
            z, baselines=torch.zeros_like(z), n_steps=STEPS, internal_batch_size=batch, method="gausslegendre"
        )[0]

    def sync():
        if args.device.startswith("cuda"):
            torch.cuda.synchronize()

    times = {"plain": [], "shared": [], "reused": []}
    for _ in range(args.rounds):
        ways = (
            ("plain", lambda: plain(forward, batch)),
            ("shared", lambda: integrated_gradients(forward, STEPS, batch)),
            ("reused", fast),
        )
        for name, run in ways:
            forward._read_given = None  # reading image and prompt once is part of the fast way
            sync()
            started = time.perf_counter()
            found = run()
            sync()
            times[name].append(time.perf_counter() - started)
            if name == "plain":
                tokens = found
    units = [
        float(tokens[forward.features.response == u].sum()) for u in range(forward.features.text_count - 1)
    ]
    error = np.abs(np.array(units) - fast()[: len(units)].float().cpu().numpy()).max()
    print(f"largest difference of a word's value {error:.1e}, largest value {np.abs(units).max():.3g}")
    best = {k: min(v) for k, v in times.items()}
    for name, words in (
        ("plain", "plain Captum"),
        ("shared", "Captum with a prefix shared by both responses"),
    ):
        print(
            f"{words} {best[name]:.2f} s, reused {best['reused']:.2f} s: {best[name] / best['reused']:.1f} times faster"
        )
    e = explain(judge, c, judgement, method="integrated_gradients", scope="responses", check=False)
    print(
        f"estimated {cost.bytes / 2**20:,.0f} MiB a batch, measured {(e.peak_memory or 0) / 2**20:,.0f} MiB"
    )


if __name__ == "__main__":
    main()

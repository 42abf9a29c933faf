"""Runs one method on one target and says what fell on which word and which region."""

from __future__ import annotations

import time
from collections.abc import Callable

import torch
from torch import Tensor

from core.explain.inputs import BASELINE, Inputs, build_inputs
from core.explain.methods import METHODS, Pair
from core.explain.targets import evaluate, label
from core.judges.vlmdr import VLMDRJudge
from core.records import Comparison, Explanation, Judgement

TOKENS_PER_BATCH = 2048  # decoder positions per forward pass on a path


class Cancelled(Exception):
    """The person who asked for the explanation no longer wants it."""


def explain(
    judge: VLMDRJudge,
    comparison: Comparison,
    judgement: Judgement,
    a: int = 0,
    b: int = 1,
    target: str = "margin",
    method: str = "gradient",
    steps: int = 32,
    on_step: Callable[[int, int], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Explanation:
    """Attributes the contrast of responses a and b. Positive values speak for a, negative for b.

    on_step(done, total) is told about progress; cancelled() is asked before every batch of steps, and a yes
    raises Cancelled. Raises ValueError for an unknown target or method.
    """
    if method not in METHODS:
        raise ValueError(f"There is no method '{method}': use one of {', '.join(METHODS)}.")
    if a == b:
        raise ValueError("A response cannot be explained against itself.")
    started = time.perf_counter()
    how = METHODS[method]
    image = comparison.load_image()
    texts = (comparison.responses[a], comparison.responses[b])
    with judge.lock:
        inputs = build_inputs(judge, image, comparison.prompt, texts)
        forward = _forward(judge, inputs, judgement, target, steps, on_step, cancelled)
        batch = max(1, TOKENS_PER_BATCH // (inputs.prefix.shape[1] + 2 * inputs.response.shape[2]))
        ends = (inputs.prefix, inputs.response), (inputs.prefix_base, inputs.response_base)
        with torch.no_grad():
            value, base = (float(_plain(judge, inputs, judgement, target)(*e)) for e in ends)
        found = how.run(forward, *ends, steps, batch)
    total = float(found[0].double().sum() + found[1].double().sum())
    return Explanation(
        comparison_id=comparison.id,
        target=label(target, a, b),
        method=how.name,
        baseline=BASELINE,
        steps=steps if how.has_steps else 1,
        target_value=value,
        baseline_value=base,
        completeness_error=total - (value - base) if how.complete else None,
        seconds=time.perf_counter() - started,
        dtype=str(judge.model.dtype).removeprefix("torch."),
        **_where(inputs, found, texts),  # type: ignore[arg-type]
    )


def _plain(
    judge: VLMDRJudge, inputs: Inputs, judgement: Judgement, target: str
) -> Callable[[Tensor, Tensor], Tensor]:
    """(prefix, response) embeddings of B points on the path -> target (B,), active set frozen."""
    model = judge.model
    active = torch.zeros(1, model.config.num_dimensions, dtype=torch.bool, device=model.device)
    active[0, list(judgement.selected)] = True

    def run(prefix: Tensor, response: Tensor) -> Tensor:
        n = len(prefix)
        positions = inputs.positions.expand(*inputs.positions.shape[:-2], n, -1)
        at_image = inputs.at_image.expand(n, -1)
        reading = model.read_embeds(prefix, inputs.mask.expand(n, -1), positions, at_image)
        mask = inputs.response_mask.expand(n, -1, -1)
        scores = model.score_embeds(reading, response, mask)
        return evaluate(target, reading.weight_logits.float(), active.expand(n, -1), scores.float())

    return run


def _forward(
    judge: VLMDRJudge, inputs: Inputs, judgement: Judgement, target: str, steps: int,
    on_step: Callable[[int, int], None] | None, cancelled: Callable[[], bool] | None,
) -> Callable[[Tensor, Tensor], Tensor]:  # fmt: skip
    plain = _plain(judge, inputs, judgement, target)
    done = 0

    def run(prefix: Tensor, response: Tensor) -> Tensor:
        nonlocal done
        if cancelled and cancelled():
            raise Cancelled
        value = plain(prefix, response)
        done = min(done + len(prefix), steps)
        if on_step:
            on_step(done, steps)
        return value

    return run


def _where(inputs: Inputs, found: Pair, texts: tuple[str, str]) -> dict[str, object]:
    prefix, response = found[0][0].float().cpu(), found[1][0].float().cpu()
    at_image, at_prompt = inputs.at_image.cpu(), inputs.at_prompt.cpu()
    rows, columns = inputs.grid
    tokens, values, other = [], [], float(prefix[~at_image & ~at_prompt].sum())
    for n, r in enumerate(inputs.responses):
        words = [i for i, (start, end) in enumerate(r.spans) if end > start]
        tokens.append(tuple((texts[n][slice(*r.spans[i])], *r.spans[i]) for i in words))
        values.append(tuple(float(response[n, i]) for i in words))
        other += float(response[n].sum()) - sum(values[-1])
    return {
        "tokens": tuple(tokens),
        "token_values": tuple(values),
        "patch_values": tuple(tuple(row) for row in prefix[at_image].view(rows, columns).tolist()),
        "prompt_value": float(prefix[at_prompt].sum()),
        "other_value": other,
    }

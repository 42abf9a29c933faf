"""Methods: how a target is attributed. Each is a function of 10 to 40 lines whose docstring is the help text.

A method gets a differentiable function of (prefix, response) embeddings, its inputs and their baselines, and
returns one attribution per embedding position, summed over the hidden width.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

from captum.attr import InputXGradient, IntegratedGradients
from torch import Tensor

Pair = tuple[Tensor, Tensor]
Forward = Callable[..., Tensor]


@dataclass(frozen=True)
class Method:
    """has_steps: whether it walks a path in `steps` steps. complete: whether its attributions must add up to the
    difference between input and baseline (then the remainder is its completeness error)."""

    name: str
    run: Callable[[Forward, Pair, Pair, int, int], Pair]
    has_steps: bool
    complete: bool

    @property
    def help(self) -> str:
        return inspect.getdoc(self.run) or ""


def gradient(forward: Forward, inputs: Pair, baselines: Pair, steps: int, batch: int) -> Pair:
    """One backward pass: how strongly the result reacts to each word and region, times how far it is from the
    baseline. Instant, good for a first look; it promises no exact sum."""
    del steps, batch
    change = tuple((x - b).detach().requires_grad_() for x, b in zip(inputs, baselines, strict=True))

    def moved(prefix: Tensor, response: Tensor) -> Tensor:
        return forward(baselines[0] + prefix, baselines[1] + response)

    prefix, response = InputXGradient(moved).attribute(change)
    return prefix.detach().sum(-1), response.detach().sum(-1)


def integrated_gradients(forward: Forward, inputs: Pair, baselines: Pair, steps: int, batch: int) -> Pair:
    """Walks from the baseline to the input in small steps and adds up the gradients on the way (Sundararajan et
    al. 2017). The attributions add up to the difference that is explained, but for the completeness error."""
    prefix, response = IntegratedGradients(forward, multiply_by_inputs=True).attribute(
        inputs, baselines=baselines, n_steps=steps, internal_batch_size=batch, method="gausslegendre"
    )
    return prefix.detach().sum(-1), response.detach().sum(-1)


METHODS: dict[str, Method] = {
    "gradient": Method("Gradient × input", gradient, has_steps=False, complete=False),
    "integrated_gradients": Method(
        "Integrated gradients", integrated_gradients, has_steps=True, complete=True
    ),
}

"""Methods: how a target is attributed to units. Each is a short function whose docstring is the help text.

A method gets the problem (a function of presences z (B, U)), how many steps to take and how many points fit into
one batch, and returns one number per unit (U,). Captum supplies the algorithms. It is imported where it is used: it brings
Matplotlib along, a second of every start.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from core.explain.problem import Problem, Units

Forward = Callable[[Tensor], Tensor]
WINDOW = 2  # regions along each side of an occluding window


@dataclass(frozen=True)
class Method:
    """steps: how many it takes unless told (0: it takes none). complete: whether its attributions must add up to
    the difference between input and baseline. gradient: whether it needs a backward pass. points: how many model
    evaluations it needs for so many units and steps."""

    name: str
    run: Callable[[Forward, Problem, int, int], Tensor]
    steps: int
    complete: bool
    gradient: bool
    points: Callable[[Units, int], int]

    @property
    def help(self) -> str:
        return inspect.getdoc(self.run) or ""


def gradient(forward: Forward, problem: Problem, steps: int, batch: int) -> Tensor:
    """One backward pass: how strongly the result reacts to each word and region, times how far it is from the
    baseline. Instant, good for a first look; it promises no exact sum."""
    from captum.attr import InputXGradient

    del steps, batch
    return InputXGradient(forward).attribute(problem.ones().requires_grad_())[0].detach()


def integrated_gradients(forward: Forward, problem: Problem, steps: int, batch: int) -> Tensor:
    """Walks from the baseline to the input in small steps and adds up the gradients on the way (Sundararajan et
    al. 2017). The attributions add up to the difference that is explained, but for the completeness error."""
    from captum.attr import IntegratedGradients

    z = problem.ones()
    return IntegratedGradients(forward).attribute(
        z, baselines=torch.zeros_like(z), n_steps=steps, internal_batch_size=batch, method="gausslegendre"
    )[0].detach()  # fmt: skip


def ablation(forward: Forward, problem: Problem, steps: int, batch: int) -> Tensor:
    """Replaces each word and each region by its baseline, one at a time, and reads how far the result falls. What
    it says of a single unit is true by construction; it does not see units that stand in for each other."""
    from captum.attr import FeatureAblation

    del steps
    return FeatureAblation(forward).attribute(problem.ones(), baselines=0.0, perturbations_per_eval=batch)[0]


def occlusion(forward: Forward, problem: Problem, steps: int, batch: int) -> Tensor:
    """Slides a grey window of 2 x 2 regions over the picture and a gap of one over the words, and averages what
    each position cost (Zeiler and Fergus 2014). Sees things that lie across the border of two regions."""
    from captum.attr import Occlusion

    del steps
    units, z = problem.units, problem.ones()
    text, picture = z[:, : units.text_count], z[:, units.regions].view(1, *units.grid)

    def joined(text: Tensor, picture: Tensor) -> Tensor:
        return forward(torch.cat([text, picture.flatten(1)], dim=1))

    window = tuple(min(WINDOW, side) for side in units.grid)
    found = Occlusion(joined).attribute(
        (text, picture), sliding_window_shapes=((1,), window), strides=(1, 1), baselines=(0.0, 0.0),
        perturbations_per_eval=batch,
    )  # fmt: skip
    return torch.cat([found[0].flatten(), found[1].flatten()])


def shapley(forward: Forward, problem: Problem, steps: int, batch: int) -> Tensor:
    """Puts words and regions in one after another, in many random orders, and averages what each added (Strumbelj
    and Kononenko 2010). Shares credit fairly among units that act together; slow. Adds up exactly."""
    from captum.attr import ShapleyValueSampling

    torch.manual_seed(0)
    return ShapleyValueSampling(forward).attribute(
        problem.ones(), baselines=0.0, n_samples=steps, perturbations_per_eval=batch
    )[0]  # fmt: skip


def account(forward: Forward, problem: Problem, steps: int, batch: int) -> Tensor:
    """Reads the words off the reward head's own books: each score is what the end of the response is worth less the
    doubt about each of its words, so each word's share is exact, without any approximation. Regions come from
    ablation. Explains the margin, a reward or a score; what is worth the end is shown as the rest."""
    from captum.attr import FeatureAblation

    del steps
    units = problem.units
    sign = (-1.0, 0.0 if problem.target.kind == "reward" else 1.0)  # doubt about b speaks for a
    doubts = problem.doubts()
    out = torch.zeros(units.count, device=doubts.device)
    for n in (0, 1):
        at = units.response[n]
        out.index_add_(0, at[at >= 0], sign[n] * doubts[n][at >= 0])
    z = problem.ones()
    whole = torch.zeros_like(z).index_fill_(1, torch.arange(units.text_count, device=z.device), 1.0)

    def regions(picture: Tensor) -> Tensor:
        return forward(torch.cat([whole[:, : units.text_count].expand(len(picture), -1), picture], dim=1))

    out[units.regions] = FeatureAblation(regions).attribute(
        z[:, units.regions], baselines=0.0, perturbations_per_eval=batch
    )[0]  # fmt: skip
    return out


METHODS: dict[str, Method] = {
    "gradient": Method("Gradient × input", gradient, 0, False, True, lambda u, n: 1),
    "integrated_gradients": Method("Integrated gradients", integrated_gradients, 32, True, True, lambda u, n: n),
    "ablation": Method("Ablation", ablation, 0, False, False, lambda u, n: u.count + 1),
    "occlusion": Method(
        "Occlusion", occlusion, 0, False, False,
        lambda u, n: u.text_count + max(1, u.grid[0] - 1) * max(1, u.grid[1] - 1) + 1,
    ),
    "shapley": Method("Shapley sampling", shapley, 25, True, False, lambda u, n: n * u.count + 1),
    "account": Method(
        "Account of doubt", account, 0, False, False, lambda u, n: u.grid[0] * u.grid[1] + 1
    ),
}  # fmt: skip

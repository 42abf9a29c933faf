"""StableReinforce (R1-Reward, arXiv 2505.02835) as a thin subclass of TRL's GRPOTrainer.

Two changes to plain policy gradients keep training from collapsing, and each can be switched off:

pre-clip   the difference of log-probabilities is clamped to [log 1e-3, log 1e3] before exp, so that no ratio overflows
filter     advantages are standardised over the whole batch, and those that lie more than three standard deviations out are
           set to 0

A `Recipe` names which of them are on and what the baseline is; StableReinforce, Reinforce++ and GRPO are recipes of one class.
The paper and the released code differ in the filter: "paper" keeps |z| <= 3; "released" compares z with the raw mean of the
rewards plus and minus 3, as openrlhf/trainer/ppo_utils/replay_buffer.py does, and so drops every wrong sample of R1-Reward's
own rewards once accuracy passes 0.685 (the paper's rule: 0.90).

TRL's four private methods overridden here are pinned (requirements-train.txt) and guarded by `check_hooks`.
"""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from trl import GRPOConfig, GRPOTrainer
from trl import __version__ as trl_version

from core.alignment.resuming import ReadsItsCheckpoints

LOG_BOUNDS = (math.log(1e-3), math.log(1e3))
SIGMAS = 3.0
FLAT = 1e-6  # a batch whose rewards spread less than this says nothing
FILTERS, BASELINES = ("paper", "released", "none"), ("batch", "group", "grpo")


@dataclass(frozen=True)
class Recipe:
    """pre_clip: of the log-ratio, before exp. filter: of standardised advantages, one of FILTERS. baseline: "batch" (mean and
    deviation over the batch), "group" (less the group's mean, then over the batch), or "grpo": TRL's own advantages as its
    config has them, which no filter touches."""

    name: str
    pre_clip: bool
    filter: str
    baseline: str = "batch"

    def __post_init__(self) -> None:
        if self.filter not in FILTERS or self.baseline not in BASELINES:
            raise ValueError(
                f"filter must be one of {', '.join(FILTERS)}, baseline one of {', '.join(BASELINES)}"
            )
        if self.baseline == "grpo" and self.filter != "none":
            raise ValueError("GRPO's own advantages are not filtered: choose the baseline 'batch' or 'group'")


RECIPES = {
    r.name: r
    for r in (
        Recipe("stable-reinforce", True, "paper"),
        Recipe("stable-reinforce-released", True, "released"),
        Recipe("reinforce++", False, "none"),
        Recipe("grpo", False, "none", "grpo"),
        # each part left out in turn
        Recipe("no-pre-clip", False, "paper"),
        Recipe("no-filter", True, "none"),
    )
}

HOOKS = {
    "_calculate_rewards": ("inputs", "prompts", "completions", "completion_ids_list"),
    "_generate_and_score_completions": ("inputs",),
    "_get_per_token_logps_and_entropies": ("model", "input_ids", "attention_mask", "logits_to_keep"),
    "_compute_loss": ("model", "inputs"),
}


def check_hooks(base: type = GRPOTrainer) -> None:
    """Raises ImportError with a sentence where TRL no longer has what is overridden here."""
    for name, parameters in HOOKS.items():
        method = getattr(base, name, None)
        if method is None:
            raise ImportError(
                f"trl {trl_version} has no GRPOTrainer.{name}: install the version in requirements-train.txt."
            )
        found = list(inspect.signature(method).parameters)[1 : len(parameters) + 1]
        if tuple(found) != parameters:
            raise ImportError(
                f"GRPOTrainer.{name} of trl {trl_version} takes {', '.join(found)}, not {', '.join(parameters)}: install the "
                "version in requirements-train.txt."
            )
    source = inspect.getsource(base._compute_loss)  # type: ignore[attr-defined]
    for needed in (
        "self._get_per_token_logps_and_entropies(",
        'inputs.get("old_per_token_logps")',
        "torch.exp(",
    ):
        if needed not in source:
            raise ImportError(
                f"GRPOTrainer._compute_loss of trl {trl_version} no longer uses {needed}: install the version in "
                "requirements-train.txt."
            )


def pre_clipped(logps: Tensor, old: Tensor, bounds: tuple[float, float] = LOG_BOUNDS) -> Tensor:
    """Log-probabilities whose difference to the old ones lies within the bounds; the gradient is 0 where it did not."""
    return old + (logps - old).clamp(*bounds)


def standardised(rewards: Tensor, recipe: Recipe, group: int) -> tuple[Tensor, Tensor]:
    """(advantages, which of them the filter dropped), both (N,). rewards: (N,) of the whole batch, groups side by side; NaN
    where no reward function said anything, which gives the advantage 0 and takes no part in the statistics.

    All zero where the rewards are alike.
    """
    known = ~rewards.isnan()
    r = rewards.double()
    dropped = torch.zeros_like(known)
    if not known.any():
        return torch.zeros_like(r), dropped
    if recipe.baseline == "group":
        r = r - r.view(-1, group).nanmean(1).repeat_interleave(group)
    mean = r[known].mean()
    deviation = r[known].std(correction=0)
    if deviation < FLAT:
        return torch.zeros_like(r), dropped
    z = torch.where(known, (r - mean) / (deviation + 1e-8), 0.0)
    if recipe.filter == "paper":
        dropped = z.abs() > SIGMAS
    elif recipe.filter == "released":
        dropped = (z < mean - SIGMAS) | (z > mean + SIGMAS) | (z.abs() > 10)
    dropped &= known
    return z.masked_fill(dropped, 0.0), dropped


class StableReinforceTrainer(ReadsItsCheckpoints, GRPOTrainer):
    """GRPOTrainer with a `recipe`. Logs how often each part engaged: `stable/pre_clip` (share of tokens outside the bounds),
    `stable/filter` (share of samples dropped), beside TRL's `clip_ratio/*`, and the log-ratio's extremes. Raises ValueError
    for settings under which the ratio is always 1, so that clip and pre-clip would do nothing."""

    def __init__(self, *args: Any, recipe: Recipe = RECIPES["stable-reinforce"], **kwargs: Any) -> None:
        check_hooks()
        self.recipe = recipe
        self._old: Tensor | None = None
        self._mask: Tensor | None = None
        self._total = torch.zeros(0)
        super().__init__(*args, **kwargs)
        assert isinstance(self.args, GRPOConfig)
        check_ratio_can_move(self.args)

    def _calculate_rewards(self, *args: Any, **kwargs: Any) -> Tensor:
        rewards = super()._calculate_rewards(*args, **kwargs)
        rewards = rewards.masked_fill(rewards.isinf(), torch.nan)  # beyond any scale: as if nothing was said
        total = (rewards * self.reward_weights.to(rewards.device)).nansum(1)
        self._total = total.masked_fill(rewards.isnan().all(1), torch.nan)
        return rewards

    def _generate_and_score_completions(self, inputs: Any) -> dict[str, Any]:
        out: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.recipe.baseline == "grpo":
            return out
        group = self.num_generations if self._mode() == "train" else self.num_generations_eval
        advantages, dropped = standardised(self._total, self.recipe, group or 1)
        n, i = len(out["advantages"]), self.accelerator.process_index
        out["advantages"] = advantages[i * n : (i + 1) * n].to(out["advantages"].dtype)
        self._metrics[self._mode()]["stable/filter"].append(float(dropped.float().mean()))
        return out

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        self._old, self._mask = inputs.get("old_per_token_logps"), inputs.get("completion_mask")
        try:
            return super()._compute_loss(model, inputs)
        finally:
            self._old = self._mask = None

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> tuple[Tensor, Any, Any]:
        logps, entropies, auxiliary = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        if self._old is not None:  # within a loss: the old ones are those of the rollout
            self._watch((logps - self._old).detach())
            if self.recipe.pre_clip:
                logps = pre_clipped(logps, self._old)
        return logps, entropies, auxiliary

    def _mode(self) -> str:
        return "train" if self.model is not None and self.model.training else "eval"

    def _watch(self, difference: Tensor) -> None:
        if self._mask is None or not self._mask.any():
            return
        mode = self._mode()
        seen = difference[self._mask.bool()].float()
        outside = (seen < LOG_BOUNDS[0]) | (seen > LOG_BOUNDS[1])
        for name, value in (
            ("pre_clip", outside.float().mean()), ("log_ratio_max", seen.max()), ("log_ratio_min", seen.min()),
            ("kl_to_rollout", (seen.clamp(-20, 20).exp() - 1 - seen.clamp(-20, 20)).mean()),
        ):  # fmt: skip
            self._metrics[mode][f"stable/{name}"].append(float(value))


def check_ratio_can_move(args: GRPOConfig) -> None:
    """Raises ValueError where no optimiser step lies between a rollout and its use: then new and old log-probabilities are
    the same, and TRL does not even compute the old ones."""
    every = (args.steps_per_generation or 1) * args.num_iterations
    if args.gradient_accumulation_steps % every == 0 and not args.use_vllm:
        raise ValueError(
            "With these settings every ratio is 1, so clip and pre-clip do nothing: set steps_per_generation to a multiple of "
            f"gradient_accumulation_steps (now {args.steps_per_generation} and {args.gradient_accumulation_steps}), or num_iterations "
            "to 2 or more."
        )

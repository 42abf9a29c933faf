"""The trainer against the table of losses and gradients, the filter's rules, TRL's hooks, and what the processor gives TRL."""

from __future__ import annotations

import functools
import logging
import math

import pytest
import torch
from checkpoints import qwen
from datasets import Dataset
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

trl = pytest.importorskip("trl")

from core.alignment.stable_reinforce import (  # noqa: E402
    RECIPES,
    Recipe,
    StableReinforceTrainer,
    check_hooks,
    standardised,
)
from core.model.backbones import load_vlm, open_processor  # noqa: E402

STABLE = RECIPES["stable-reinforce"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return qwen(tmp_path_factory.mktemp("policy"))


def letters(completions, **_):
    return [float(sum(ch.isalpha() for ch in c[0]["content"])) % 7 for c in completions]


def rows(n=4):
    asked = [
        [
            {
                "role": "user",
                "content": [{"type": "image"}, {"type": "text", "text": "Which is it?" + " Say." * i}],
            }
        ]
        for i in range(n)
    ]
    images = [[Image.new("RGB", (56, 84), (40 * i, 90, 10))] for i in range(n)]
    return Dataset.from_dict({"prompt": asked, "images": images, "k": list(range(n))})


def trainer(folder, output, recipe="stable-reinforce", functions=(letters,), learning_rate=1e-3, **more):
    processor = open_processor(folder, "policy")
    processor.tokenizer.padding_side = "left"
    model = load_vlm(folder, "policy", "cpu", "float32").train().requires_grad_(True)
    settings_ = {
        "per_device_train_batch_size": 4, "num_generations": 2, "max_completion_length": 6, "max_steps": 2, "steps_per_generation": 2,
        "gradient_accumulation_steps": 1, "loss_type": "grpo", "scale_rewards": "none", "beta": 0.0, "epsilon": 0.2, "report_to": "none", "use_cpu": True,
        "bf16": False, "logging_steps": 1, "save_strategy": "no", "learning_rate": learning_rate, "gradient_checkpointing": False, "disable_tqdm": True, **more,
    }  # fmt: skip
    return StableReinforceTrainer(
        model=model, reward_funcs=list(functions), args=trl.GRPOConfig(str(output), **settings_), train_dataset=rows(),
        processing_class=processor, recipe=RECIPES[recipe],
    )  # fmt: skip


@pytest.fixture(scope="module")
def ready(folder, tmp_path_factory):
    return trainer(folder, tmp_path_factory.mktemp("out"))


def loss_and_gradient(ready, monkeypatch, recipe, log_ratio, advantage):
    """Of one token: the trainer's own loss with the model's log-probability replaced by a leaf."""
    leaf = torch.tensor([[-1.0 + log_ratio]], dtype=torch.float64, requires_grad=True)
    monkeypatch.setattr(
        trl.GRPOTrainer, "_get_per_token_logps_and_entropies", lambda *a, **k: (leaf, torch.zeros(1, 1), None)
    )
    monkeypatch.setattr(ready, "recipe", RECIPES[recipe])
    one = torch.ones(1, 1, dtype=torch.long)
    inputs = {
        "prompt_ids": one, "prompt_mask": one, "completion_ids": one, "completion_mask": one,
        "advantages": torch.tensor([advantage], dtype=torch.float64), "old_per_token_logps": torch.tensor([[-1.0]], dtype=torch.float64),
        "num_items_in_batch": torch.tensor(1.0),
    }  # fmt: skip
    ready.current_gradient_accumulation_steps = 1
    loss = ready._compute_loss(ready.model, inputs)
    loss.backward()
    return loss.item(), float(leaf.grad)


# log-ratio, advantage, plain (loss, gradient), pre-clipped (loss, gradient); the notes' table, field.md A.2
TABLE = [
    (6, -1, (math.exp(6), math.exp(6)), (math.exp(6), math.exp(6))),
    (8, -1, (math.exp(8), math.exp(8)), (1000, 0)),
    (20, -1, (math.exp(20), math.exp(20)), (1000, 0)),
    (-8, 1, (-math.exp(-8), -math.exp(-8)), (-1e-3, 0)),
    (0.1, 1, (-math.exp(0.1), -math.exp(0.1)), (-math.exp(0.1), -math.exp(0.1))),
    (1, 1, (-1.2, 0), (-1.2, 0)),
    (-1, -1, (0.8, 0), (0.8, 0)),
    (800, 1, (-1.2, math.nan), (-1.2, 0)),  # exp overflows a double at 709, a float at 88
    (800, -1, (math.inf, math.inf), (1000, 0)),
]  # fmt: skip


@pytest.mark.parametrize(("log_ratio", "advantage", "plain", "clipped"), TABLE)
def test_the_table_of_losses_and_gradients(ready, monkeypatch, log_ratio, advantage, plain, clipped):
    assert loss_and_gradient(ready, monkeypatch, "reinforce++", log_ratio, advantage) == pytest.approx(
        plain, rel=1e-6, nan_ok=True
    )
    found = loss_and_gradient(ready, monkeypatch, "stable-reinforce", log_ratio, advantage)
    assert found == pytest.approx(clipped, rel=1e-6)


def test_what_engaged_is_counted(ready, monkeypatch):
    ready._metrics["train"].clear()
    for log_ratio in (0.5, 8, 8, -8):
        loss_and_gradient(ready, monkeypatch, "stable-reinforce", log_ratio, -1)
    seen = ready._metrics["train"]
    assert seen["stable/pre_clip"] == [0.0, 1.0, 1.0, 1.0]
    assert seen["stable/log_ratio_max"] == [0.5, 8, 8, -8]
    assert seen["clip_ratio/low_mean"][-1] == 1.0


# -- the filter ------------------------------------------------------------------------------------------------


def test_one_odd_sample_among_many_is_dropped():
    """The paper's example: 255 rewards of 1 and one of 0 give z = -15.97."""
    rewards = torch.ones(256)
    rewards[7] = 0
    kept, dropped = standardised(rewards, STABLE, 8)
    assert dropped.nonzero().tolist() == [[7]] and kept[7] == 0 and kept[0] == pytest.approx(0.0626, abs=1e-4)
    unfiltered, _ = standardised(rewards, RECIPES["reinforce++"], 8)
    assert unfiltered[7] == pytest.approx(-15.97, abs=0.01)


@pytest.mark.parametrize(
    ("recipe", "threshold"), [("stable-reinforce", 0.90), ("stable-reinforce-released", 0.685)]
)
def test_from_which_accuracy_on_every_wrong_sample_is_dropped(recipe, threshold):
    """R1-Reward's rewards 0.5 (wrong) and 2.0 (right), field.md A.1."""
    n = 4000
    for accuracy, gone in ((threshold - 0.01, False), (threshold + 0.01, True)):
        right = round(n * accuracy)
        rewards = torch.tensor([2.0] * right + [0.5] * (n - right))
        kept, dropped = standardised(rewards, RECIPES[recipe], 8)
        assert bool(dropped[right:].all()) is gone and bool((kept[right:] == 0).all()) is gone
        assert not dropped[:right].any()


def test_the_filter_cannot_fire_on_groups_of_eight():
    """|z| of one odd sample of G is (G - 1) / sqrt(G) at most: 2.47 for 8. So the statistics are the batch's."""
    odd = torch.tensor([1.0] * 7 + [0.0])
    z = (odd - odd.mean()) / odd.std()
    assert z.abs().max() == pytest.approx(7 / math.sqrt(8), abs=1e-5) and z.abs().max() < 3


@pytest.mark.parametrize(
    "recipe", [r for r in RECIPES.values() if r.baseline != "grpo"], ids=lambda r: r.name
)
def test_a_batch_of_equal_rewards_moves_nothing(recipe):
    for value in (0.0, 0.1, 2.0, 1e6, -3.7):
        kept, dropped = standardised(torch.full((64,), value), recipe, 8)
        assert not kept.any() and not dropped.any()


def test_what_nobody_scored_moves_nothing_and_changes_no_statistic():
    rewards = torch.tensor([1.0, 0.0, 1.0, 0.0])
    with_gap = torch.cat([rewards, torch.tensor([math.nan] * 4)])
    alone, _ = standardised(rewards, STABLE, 4)
    kept, _ = standardised(with_gap, STABLE, 4)
    assert torch.equal(kept[:4], alone) and not kept[4:].any()
    assert not standardised(torch.full((4,), math.nan), STABLE, 4)[0].any()


@given(st.lists(st.floats(-100, 100, width=32), min_size=8, max_size=64).filter(lambda v: len(v) % 4 == 0))
@settings(deadline=None)
def test_advantages_are_finite_and_bounded(values):
    for recipe in (STABLE, RECIPES["reinforce++"], Recipe("g", True, "paper", "group")):
        kept, _ = standardised(torch.tensor(values), recipe, 4)
        assert kept.isfinite().all() and (recipe.filter == "none" or kept.abs().max() <= 3)


def test_a_recipe_that_is_not_one():
    with pytest.raises(ValueError, match="paper, released, none"):
        Recipe("x", True, "sometimes")
    with pytest.raises(ValueError, match="GRPO's own advantages"):
        Recipe("x", True, "paper", "grpo")


# -- in TRL ----------------------------------------------------------------------------------------------------


def test_the_hooks_are_there():
    check_hooks()


def test_a_trl_without_them_is_refused_in_a_sentence():
    class Changed(trl.GRPOTrainer):
        def _calculate_rewards(self, batch):
            return batch

    class Gone:
        pass

    with pytest.raises(ImportError, match="_calculate_rewards .*takes batch.*requirements-train.txt"):
        check_hooks(Changed)
    with pytest.raises(ImportError, match="has no GRPOTrainer._calculate_rewards"):
        check_hooks(Gone)

    class Quiet(trl.GRPOTrainer):
        def _compute_loss(self, model, inputs):
            return 0

    with pytest.raises(ImportError, match="no longer uses"):
        check_hooks(Quiet)


def test_settings_under_which_clipping_would_do_nothing_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match="every ratio is 1"):
        trainer(folder, tmp_path, steps_per_generation=1)


@pytest.mark.parametrize("recipe", ["stable-reinforce", "reinforce++", "grpo"])
def test_all_recipes_train(folder, tmp_path, recipe):
    t = trainer(folder, tmp_path, recipe)
    before = {k: v.clone() for k, v in t.model.state_dict().items()}
    t.train()
    assert any(not torch.equal(v, before[k]) for k, v in t.model.state_dict().items())
    logged = [h for h in t.state.log_history if "stable/pre_clip" in h]
    assert (
        len(logged) == 2
        and logged[0]["stable/pre_clip"] == 0.0
        and ("stable/filter" in logged[0]) == (recipe != "grpo")
    )
    # the second step of a rollout is off-policy: there the ratio moves
    assert logged[1]["stable/log_ratio_max"] > 1e-4 and abs(logged[0]["stable/log_ratio_max"]) < 1e-3


def test_rewards_that_raise_or_say_nothing_do_not_end_a_training(folder, tmp_path, caplog):
    from core.alignment.rewards import guarded

    def some(completions, k, **_):
        if 3 in k:
            raise RuntimeError("no server")
        return [
            math.nan if i == 2 else float(len(c[0]["content"])) for i, c in zip(k, completions, strict=True)
        ]

    with caplog.at_level(logging.ERROR):
        t = trainer(folder, tmp_path, functions=(guarded(some),))
        t.train()
    assert all(p.isfinite().all() for p in t.model.parameters())


def test_two_runs_with_one_seed_give_the_same_weights(folder, tmp_path):
    done = []
    for name in ("a", "b"):
        t = trainer(folder, tmp_path / name, seed=3)
        t.train()
        done.append({k: v.clone() for k, v in t.model.state_dict().items()})
    assert all(torch.equal(v, done[1][k]) for k, v in done[0].items())


def test_the_processor_gives_trl_three_dimensional_positions_padded_on_the_left(ready, monkeypatch):
    """Both fail silently otherwise: positions become one-dimensional, and image tokens are misaligned."""
    seen = {}
    real = ready.model.forward

    @functools.wraps(real)
    def watch(*args, **kwargs):
        seen.update({k: v.clone() for k, v in kwargs.items() if torch.is_tensor(v)})
        return real(*args, **kwargs)

    monkeypatch.setattr(ready.model, "forward", watch)
    inputs = [dict(r) for r in ready.train_dataset for _ in range(2)]
    out = ready._generate_and_score_completions(inputs)
    ids = torch.cat([out["prompt_ids"], out["completion_ids"]], 1)
    at_image = (ids == ready.model.config.image_token_id).int()
    assert torch.equal(out["mm_token_type_ids"].int(), at_image) and at_image.any()
    mask = out["prompt_mask"]
    assert (mask[:, -1] == 1).all() and (mask[:, 0] == 0).any()  # the shorter prompts are padded, on the left
    assert torch.equal(mask, mask.sort(1).values)
    assert torch.equal(
        seen["mm_token_type_ids"].int(), (seen["input_ids"] == ready.model.config.image_token_id).int()
    )
    positions, _ = ready.model.model.get_rope_index(
        ids,
        image_grid_thw=out["image_grid_thw"],
        mm_token_type_ids=at_image,
        attention_mask=torch.cat([mask, out["completion_mask"]], 1),
    )
    inside = positions[:, at_image.bool()]
    assert not torch.equal(inside[0], inside[1])  # rows and columns of a picture, not a line

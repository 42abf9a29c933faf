"""Coarse to fine: what stands alone is what ablation gives, what matters is found early, and time and cancelling are kept."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
import torch

from core.explain import Cancelled, explain, explanation
from core.explain.refine import divided, first_groups, refine
from core.explain.targets import Target
from core.judges.features import Features, Outputs
from core.judges.pieces import pieces
from core.records import Comparison
from tests.plain import noise

WORDS = "There are three stars in the upper left corner of this picture, and all of them are red."


class Function:
    """Any function of presences, as a masked forward of a picture in a grid and two responses."""

    baseline, cached, computed, positions = "zero", 4, 8, 8

    def __init__(self, value, grid):
        text = SimpleNamespace(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
        config = SimpleNamespace(get_text_config=lambda: text)
        self.model = SimpleNamespace(config=config, dtype=torch.float32, device=torch.device("cpu"))
        split = tuple(tuple(pieces(t, "word")) for t in (WORDS, "Two."))
        self.features, self.target, self.value = (
            Features(split, grid, torch.zeros(4), torch.zeros(2, 3)),
            Target("margin"),
            value,
        )
        self.points = 0

    def outputs(self, z):
        return Outputs(torch.stack([self.value(z), torch.zeros(len(z))], dim=1))

    def __call__(self, z):
        self.points += len(z)
        return self.target(self.outputs(z))

    def ones(self):
        return torch.ones(1, self.features.count)


@pytest.mark.parametrize("grid", [(1, 1), (5, 3), (16, 16), (1, 7)])
def test_groups_always_cover_every_feature_once(grid):
    features = Function(None, grid).features
    groups = first_groups(features)
    while True:
        assert sorted(u for g in groups for u in g.features) == list(range(features.count))
        if all(len(g.features) == 1 for g in groups):
            break
        groups = [p for g in groups for p in (divided(g, features) if len(g.features) > 1 else [g])]
    rows, columns = grid
    for g in first_groups(features):
        if g.box:
            top, left, bottom, right = g.box
            assert {divmod(u - features.regions.start, columns) for u in g.features} == {
                (y, x) for y in range(top, bottom) for x in range(left, right)
            }


def test_fully_divided_it_is_ablation():
    weights = torch.randn(1 + 18 + 1 + 15, generator=torch.Generator().manual_seed(0))
    f = Function(lambda z: z @ weights + 0.3 * (z @ weights) ** 2, (5, 3))
    assert f.features.count == len(weights)
    one = f.ones()
    alone = [float(f(one) - f(one.index_fill(1, torch.tensor([u]), 0.0))) for u in range(len(weights))]
    assert torch.allclose(refine(f, f, 10_000, 8), torch.tensor(alone, dtype=torch.float64), atol=1e-4)


def test_a_group_that_was_not_divided_adds_up_to_what_blanking_it_did():
    weights = torch.linspace(-1, 2, 1 + 18 + 1 + 256)
    f = Function(lambda z: z @ weights, (16, 16))
    found = refine(
        f, f, 9, 4
    )  # the gradient, the input as given, and the first groups: two responses, prompt, four quarters
    assert f.points == 9
    for group in first_groups(f.features):
        at = list(group.features)
        assert float(found[at].sum()) == pytest.approx(float(weights[at].sum()), rel=1e-4)


def test_what_matters_is_found_in_few_evaluations():
    """One region of 1,024 and one word, whose gradient says nothing: they only count when they are gone (a threshold)."""
    at, word = 19 + 1 + 700, 6
    f = Function(lambda z: (z[:, at] > 0.5).float() + 2 * (z[:, word] > 0.5).float() + 0 * z.sum(1), (32, 32))
    found = refine(f, f, 64, 8)
    assert int(found.abs().argmax()) == word and int(found[20:].abs().argmax()) == 700
    assert float(found[at]) == 1 and float(found[word]) == 2 and f.points <= 64
    assert float(found.sum()) == pytest.approx(3)  # and nothing anywhere else


@pytest.fixture(scope="module")
def comparison():
    return Comparison(
        "c", noise(0), "How many stars are there?", ("The number of stars is 3.", "I count 2 of them.")
    )


def test_with_time_enough_it_equals_ablation_of_a_real_model(random_judge, comparison):
    judged = random_judge.judge(comparison)
    slow = explain(random_judge, comparison, judged, method="refine", steps=10_000)
    plain = explain(random_judge, comparison, judged, method="ablation")
    assert np.allclose(slow.patch_values, plain.patch_values, atol=1e-5)
    assert slow.prompt_value == pytest.approx(plain.prompt_value, abs=1e-5)
    for a, b in zip(slow.token_values, plain.token_values, strict=True):
        assert np.allclose(a, b, atol=1e-5)
    assert slow.steps == slow.points < 10_000


def test_the_time_is_kept_and_what_was_found_is_given_and_can_be_found_again(
    random_judge, comparison, monkeypatch
):
    """On a clock of its own, which every evaluation moves on by 30 ms a point: this machine may be busy."""
    judged = random_judge.judge(comparison)
    masked, clock = random_judge.masked, [0.0]

    def slowly(*given):
        forward = masked(*given)
        outputs = forward.outputs

        def slow(z):
            clock[0] += 0.03 * len(z)
            return outputs(z)

        forward.outputs = slow
        return forward

    with monkeypatch.context() as patched:
        patched.setattr(random_judge, "masked", slowly)
        patched.setattr(explanation, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
        found = explain(random_judge, comparison, judged, method="refine", seconds=0.6, check=False)
        # Beside the input and the baseline; batches of 8 at most may leave a rest of the time.
        assert 0.3 < clock[0] - 0.06 <= 0.6 and found.steps == round((clock[0] - 0.06) / 0.03)
    again = explain(random_judge, comparison, judged, method="refine", steps=found.steps, check=False)
    assert again.steps == found.steps and np.allclose(again.patch_values, found.patch_values, atol=1e-6)
    assert np.allclose(again.token_values[0], found.token_values[0], atol=1e-6)
    first = explain(random_judge, comparison, judged, method="refine", seconds=0, check=False)
    gradient = explain(random_judge, comparison, judged, method="gradient", check=False)
    assert first.steps == 1 and np.allclose(first.patch_values, gradient.patch_values, atol=1e-6)


def test_it_stops_when_it_is_cancelled(random_judge, comparison):
    seen = []
    with pytest.raises(Cancelled):
        explain(random_judge, comparison, random_judge.judge(comparison), method="refine",
                on_step=lambda done, total: seen.append(done), cancelled=lambda: len(seen) >= 3)  # fmt: skip
    assert len(seen) == 3

"""What a page says under a map is true, on held-out comparisons that no choice was made by."""

from collections import Counter

import pytest
import torch

from core.explain import METHODS, Request, explain
from core.explain.explanation import prepare
from core.explain.faithfulness import strongest, words
from core.records import Passed
from core.world.splits import held_out

SEED, RECORDS, DRAWS = 90210, 24, 64


@pytest.fixture(scope="module")
def judged(embedded_judge):
    some = list(held_out(RECORDS, SEED))[:RECORDS]
    return [(c, embedded_judge.judge(c)) for c in some]


def moves(forward, sets):
    """The target as given, and how far it moves without each of the sets: one plain call of the model."""
    z = forward.ones().repeat(len(sets) + 1, 1)
    for row, gone in zip(z[1:], sets, strict=True):
        row[gone] = 0
    with torch.no_grad():
        whole, *left = forward(z).tolist()
    return whole, [value - whole for value in left]


def test_a_deletion_check_that_is_passed_is_passed_with_other_random_draws(embedded_judge, judged):
    """Removed anew, one set at a time, beside 64 random choices of another generator: of the maps that pass (3 times random or
    more), all move the target further than random, toward the other side, and nine in ten still do so 2 times as far."""
    rng, seen, held, twice = torch.Generator().manual_seed(1), Counter(), 0, 0
    for c, j in judged:
        found = explain(embedded_judge, c, j, method="ablation")
        assert found.faithfulness
        check = found.faithfulness.words
        seen[check.passed] += 1
        if check.passed is not Passed.PASSES:
            continue
        with embedded_judge.lock:
            forward = prepare(embedded_judge, c, j, Request(method="ablation")).forward
            among = words(forward.features)
            n = len(check.names)
            values = torch.tensor([*sum(found.token_values, ()), 0.0])
            top = strongest(values, among, found.target_value)
            drawn = [torch.randperm(len(among), generator=rng)[:n].tolist() for _ in range(DRAWS)]
            whole, (move, *random_moves) = moves(forward, [top, *drawn])
        random = sum(map(abs, random_moves)) / DRAWS
        fell = -move if whole >= 0 else move
        held += fell > random
        twice += fell > 2 * random
    assert sum(seen.values()) >= 22 and seen[Passed.PASSES] >= 8, seen
    assert held == seen[Passed.PASSES], (held, seen)
    assert twice >= 0.9 * seen[Passed.PASSES], (twice, seen)


def test_only_complete_methods_promise_a_sum_and_they_keep_it(embedded_judge, judged):
    """The convergence delta that is printed is the true one: sum of the values less (target as given - at the baseline)."""
    others = [m for m in METHODS if m != "integrated_gradients"]
    for i, (c, j) in enumerate(judged[:4]):
        for method in ("integrated_gradients", others[i % len(others)]):
            how = METHODS[method]
            e = explain(embedded_judge, c, j, method=method, steps=6, check=False)
            total = sum(map(sum, e.token_values)) + sum(map(sum, e.patch_values)) + e.prompt_value
            whole = e.target_value - e.baseline_value
            assert e.target_value == pytest.approx(j.margin(0, 1), abs=1e-4)
            assert (
                (e.convergence_delta is not None)
                == how.complete
                == (method in ("integrated_gradients", "shapley"))
            )
            if how.complete:
                assert e.convergence_delta == pytest.approx(total - whole, abs=1e-4)
            if method == "shapley":
                assert abs(e.convergence_delta) < 1e-3 * max(1, abs(whole))
            if method == "decomposition":
                assert total + e.other_value == pytest.approx(whole, abs=1e-4)

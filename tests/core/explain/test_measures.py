"""Measures of explanations against closed forms on a linear masked forward, and the baselines against their words."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from core.explain.explanation import Plan, Prepared
from core.explain.measures import (
    BASELINES,
    changes,
    correlation,
    infidelity,
    last_word,
    middle_region,
    most_contrast,
    random_sets,
    sensitivity_max,
    text_difference,
    unexplained,
)
from core.explain.methods import METHODS, seeded
from core.explain.targets import Target
from core.judges.features import Features, Outputs
from core.judges.pieces import pieces
from core.model.need import Pass
from core.records import RecordError

GRID = (2, 3)
TEXTS = ("There are 3 stars.", "I count 2 stars.")


class Linear:
    """f(z) = w·z + curve * (w·z)². Sizes of a model of which a thousand points fit."""

    baseline, computed, positions, passes = "zero", 8, 8, (Pass(8),)

    def __init__(self, weights, curve=0.0):
        text = SimpleNamespace(hidden_size=8, num_hidden_layers=1, num_attention_heads=1)
        config = SimpleNamespace(get_text_config=lambda: text)
        self.model = SimpleNamespace(config=config, dtype=torch.float32, device=torch.device("cpu"))
        split = tuple(tuple(pieces(t, "word")) for t in TEXTS)
        self.features = Features(split, GRID, torch.zeros(4), torch.zeros(2, 3))
        self.target, self.weights, self.curve = Target("margin"), weights, curve

    def outputs(self, z):
        value = z @ self.weights
        return Outputs(torch.stack([value + self.curve * value**2, torch.zeros(len(z))], dim=1))

    def __call__(self, z):
        return self.target(self.outputs(z))

    def ones(self):
        return torch.ones(1, self.features.count)


@pytest.fixture
def weights():
    return torch.linspace(-1, 2, 4 + 4 + 1 + 6)


@pytest.fixture
def linear(weights):
    return Linear(weights)


def test_random_sets_take_words_and_regions_and_leave_the_prompt(linear):
    sets = random_sets(linear.features, 200, seed=3)
    assert sets.shape == (200, 15) and not sets[:, linear.features.prompt].any()
    sizes = sets.sum(1)
    assert sizes.min() == 1 and sizes.max() == 7  # half of 14
    assert sets.any(0).sum() == 14 and torch.equal(sets, random_sets(linear.features, 200, seed=3))
    assert not torch.equal(sets, random_sets(linear.features, 200, seed=4))


def test_the_weights_of_a_linear_function_explain_it_wholly(linear, weights):
    sets = random_sets(linear.features)
    fell = changes(linear, sets)
    assert torch.allclose(fell, (sets @ weights).double(), atol=1e-5)
    assert infidelity(linear, weights, sets) == pytest.approx(0, abs=1e-9)
    assert correlation(weights, sets, fell) == pytest.approx(1, abs=1e-6)
    assert unexplained(linear, weights, sets, fell) == pytest.approx(0, abs=1e-6)


def test_infidelity_of_other_values_is_the_mean_squared_error_of_their_prediction(linear, weights):
    sets = random_sets(linear.features)
    fell = changes(linear, sets)
    other = torch.cos(torch.arange(15.0))
    error = ((sets @ other).double() - fell).pow(2).mean()
    assert infidelity(linear, other, sets) == pytest.approx(float(error), rel=1e-4)
    assert infidelity(linear, torch.zeros(15), sets) == pytest.approx(float((fell**2).mean()), rel=1e-5)
    # The wrong scale is forgiven where that is asked for, the wrong pattern never: the cosine's angle in closed form.
    assert infidelity(linear, 7 * weights, sets) > 1
    assert infidelity(linear, 7 * weights, sets, scaled=True) == pytest.approx(0, abs=1e-4)
    predicted = (sets @ other).double()
    angle = 1 - float((predicted @ fell) ** 2 / (predicted @ predicted) / (fell @ fell))
    assert unexplained(linear, other, sets, fell) == pytest.approx(angle, rel=1e-3)
    assert unexplained(linear, torch.zeros(15), sets, fell) == pytest.approx(1, rel=1e-5)
    assert correlation(other, sets, fell) == pytest.approx(np.corrcoef(predicted, fell)[0, 1], abs=1e-6)
    assert correlation(torch.zeros(15), sets, fell) == 0


def ready(forward, method, steps=4):
    return Prepared(forward, METHODS[method], forward.target, steps, "word", Plan(1, 8, 1))


@pytest.mark.parametrize("method", ["gradient", "ablation", "integrated_gradients", "shapley"])
def test_sensitivity_of_a_linear_function_is_that_of_the_presences_alone(linear, weights, method):
    """Attributions at presences p are w·p: their relative change is |w·(p - 1)| over |w|, for the largest of the draws."""
    drawn = []
    found = sensitivity_max(ready(Linear(weights), method), radius=0.1, samples=6, seed=5)
    with seeded(5, torch.device("cpu")):
        for _ in range(6):  # Captum draws one ball after another
            drawn.append(1 + torch.FloatTensor(1, 15).uniform_(-0.1, 0.1)[0])
    expected = max(float((weights * (p - 1)).norm() / weights.norm()) for p in drawn)
    assert found == pytest.approx(expected, rel=1e-3)
    assert 0 < found < 0.1 + 1e-6


def test_a_curved_function_is_more_sensitive_and_a_head_method_is_refused(weights):
    flat, curved = (sensitivity_max(ready(Linear(weights, c), "gradient"), seed=1) for c in (0.0, 3.0))
    assert curved > 1.5 * flat
    with pytest.raises(RecordError, match="presences cannot move it"):
        sensitivity_max(ready(Linear(weights), "decomposition"))


def test_random_numbers_of_others_are_left_as_they_were(linear):
    torch.manual_seed(11)
    expected = torch.rand(3)
    torch.manual_seed(11)
    METHODS["shapley"].run(linear, linear, 3, 8)
    sensitivity_max(ready(linear, "gradient"))
    assert torch.equal(torch.rand(3), expected)


def test_baselines_say_what_their_names_say(linear):
    features = linear.features
    picture = Image.new("L", (90, 60), 128)
    picture.paste(0, (65, 5, 75, 15))  # in row 1, column 3
    picture = picture.convert("RGB")
    assert text_difference(features, picture, 1, 0)[:8].tolist() == [0, 0, 0, 0, 1, 1, 1, 0]
    assert text_difference(features, picture, 0, 0)[:8].tolist() == [1, 1, 1, 0, 0, 0, 0, 0]
    assert last_word(features, picture, 1, 0).nonzero().flatten().tolist() == [7]
    assert int(most_contrast(features, picture, 1, 0)[features.regions].argmax()) == 2
    middle = middle_region(features, picture, 1, 0)[features.regions].view(GRID)
    assert torch.allclose(middle[0], middle[1]) and middle[0, 1] > middle[0, 0] == middle[0, 2] > 0
    for baseline in BASELINES:
        values = baseline.run(features, picture, 1, 3)
        assert values.shape == (15,) and torch.equal(values, baseline.run(features, picture, 1, 3))
        assert baseline.words == bool(values[: features.prompt].any())
        assert baseline.regions == bool(values[features.regions].any())

"""Public scalar heads and judges that write are explained by the same methods as VL-MDR, and the sums hold."""

import numpy as np
import pytest
import torch
from checkpoints import adapter, mlp_head, qwen, score_head, tiled, value_head
from PIL import Image

from core.explain import METHODS, explain, methods_for
from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.protocols import Differentiable
from core.judges.verdicts import RULES
from core.records import Comparison, RecordError, Vote

STEPS = {
    "integrated_gradients": 64,
    "shapley": 8,
}  # a random model's path is steep: 24 steps leave 15 % of it


def noise(seed):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (84, 112, 3), dtype="uint8"))


@pytest.fixture(scope="module")
def comparison():
    return Comparison("c", noise(3), "How many stars?", ("Two stars.", "I count five here."))


@pytest.fixture(
    scope="module",
    params=[
        "value_head", "value_head on qwen3_vl", "score_head on qwen2_vl", "mlp_head", "adapter", "generative", "generative on qwen3_vl",
        "generative on qwen2_vl", "value_head on llava_onevision", "generative on internvl",
    ],
)  # fmt: skip
def judge(request, tmp_path_factory):
    """Every kind that has gradients, on every backbone."""
    kind, _, backbone = request.param.partition(" on ")
    backbone = backbone or "qwen2_5_vl"
    folder = (qwen if backbone.startswith("qwen") else tiled)(tmp_path_factory.mktemp("judge"), backbone)
    if kind == "adapter":
        folder = adapter(tmp_path_factory.mktemp("adapter"), folder, head=True)
    elif kind != "generative":
        {"value_head": value_head, "score_head": score_head, "mlp_head": mlp_head}[kind](folder)
    return open_judge(str(folder), Options(device="cpu"))


def test_it_can_be_explained(judge):
    assert isinstance(judge, Differentiable) and set(methods_for(judge)) == {
        k for k, m in METHODS.items() if not m.head and (judge.rewords or not m.pixels)
    }


def test_the_whole_input_is_the_judgements_margin_and_every_value_is_differentiable(judge, comparison):
    judged = judge.judge(comparison)
    with judge.lock:
        forward = judge.masked(
            comparison, judged, 0, 1, lambda o: o.rewards[:, 0] - o.rewards[:, 1], "word", "joint"
        )
        z = forward.ones().requires_grad_()
        value = forward(z)
        (slope,) = torch.autograd.grad(value.sum(), z)
    assert float(value.detach()) == pytest.approx(judged.margin(0, 1), rel=1e-5, abs=1e-5)
    assert slope.shape == z.shape and (slope[0] != 0).all()  # every word, the question and every region count


def test_each_feature_is_replaced_by_its_own_tokens_alone(judge, comparison):
    """Blanking a word of b leaves nothing of a changed: the same as a masked forward of all but that word."""
    judged = judge.judge(comparison)
    with judge.lock, torch.no_grad():
        forward = judge.masked(
            comparison, judged, 0, 1, lambda o: o.rewards[:, 0] - o.rewards[:, 1], "word", "joint"
        )
        swapped = judge.masked(
            comparison, judged, 1, 0, lambda o: o.rewards[:, 0] - o.rewards[:, 1], "word", "joint"
        )
        first, second = len(forward.features.texts[0]), len(forward.features.texts[1])
        for u in range(first + second):
            z, other = forward.ones(), swapped.ones()
            z[0, u] = 0
            other[0, u + second if u < first else u - first] = 0
            assert float(forward(z)) == pytest.approx(-float(swapped(other)), abs=1e-5)


@pytest.mark.parametrize("method", [k for k, m in METHODS.items() if not m.head])
def test_methods_run_and_complete_ones_add_up(judge, comparison, method):
    judged = judge.judge(comparison)
    if method not in methods_for(judge):
        with pytest.raises(RecordError, match="cannot be shown point by point"):
            explain(judge, comparison, judged, method=method)
        return
    found = explain(judge, comparison, judged, method=method, steps=STEPS.get(method), check=False)
    assert found.target_value == pytest.approx(judged.margin(0, 1), rel=1e-5, abs=1e-5)
    assert len(found.token_values[0]) == 2 and len(found.token_values[1]) == 4
    if METHODS[method].complete:
        assert abs(found.convergence_delta) < 0.05 * max(1, abs(found.target_value - found.baseline_value))
    assert explain(judge, comparison, judged, method="ablation", scope="responses").scope == "responses"


def test_swapping_the_responses_turns_the_sign_of_the_margin_exactly(judge, comparison):
    turned = Comparison("t", comparison.image, comparison.prompt, comparison.responses[::-1])
    one, other = judge.judge(comparison), judge.judge(turned)
    assert one.margin(0, 1) == -other.margin(0, 1) != 0 and one.rewards == other.rewards[::-1]


def test_a_critique_is_held_fixed(tmp_path, comparison):
    judge = open_judge(str(qwen(tmp_path / "m")), Options(device="cpu", prompt="think", votes=0))
    texts = {
        (0, 1): "<think>Five, I see.</think><answer>2</answer>",
        (1, 0): "<think>Hm.</think><answer>1</answer>",
    }
    odds = {}
    for order, text in texts.items():
        asked = judge.prompt.fill(comparison.prompt, *(comparison.responses[i] for i in order))
        with judge.lock, torch.inference_mode():
            odds[order] = judge.log_odds(
                comparison.load_images(), asked, text[: RULES["answer-tag"](text).at]
            )
    votes = tuple(Vote(order, text, 1, odds[order]) for order, text in texts.items())
    judged = judge.judge(comparison)
    judged = type(judged)(**{**judged.__dict__, "votes": votes})
    margin = (odds[0, 1] - odds[1, 0]) / 2
    assert explain(judge, comparison, judged).target_value == pytest.approx(margin, abs=1e-5)

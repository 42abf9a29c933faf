"""A judge without dimensions is explained by the same methods, against plain computations over re-encoded inputs."""

import numpy as np
import pytest
import torch
from PIL import Image
from plain import noise

from core.explain import METHODS, Request, default_method, explain, methods_for, plan, targets_for
from core.explain.counterfactual import Outcome, effects, no_image, region_by_dimension, suggest, with_text
from core.explain.explanation import prepare
from core.explain.verify import verify
from core.images import to_png_bytes
from core.judges.inputs import build_inputs
from core.judges.protocols import Differentiable, MaskedForward, Rewords
from core.judges.rules import longer
from core.judges.scalar import ScalarJudge
from core.model import ScalarReward, ScalarRewardConfig
from core.records import Comparison, JudgeCard, RecordError, content_hash
from core.records.bundle import Bundle, read, write
from core.training.stages import tiny_config

RESPONSES = ("There are 3 stars. They are blue.", "I count 2 stars, you fool.")


@pytest.fixture(scope="module")
def judge(processor):
    torch.manual_seed(7)
    model = ScalarReward(ScalarRewardConfig(vlm_config=tiny_config(processor).vlm_config)).eval()
    torch.nn.init.normal_(model.head[-1].weight)  # rewards of about 1, so that tolerances mean something
    return ScalarJudge(model, processor, JudgeCard("scalar", "scalar", "scalar", fingerprint="f"))


@pytest.fixture(scope="module")
def comparison():
    png, prompt = to_png_bytes(noise(1)), "How many stars are there?"
    return Comparison(content_hash(png, prompt, *RESPONSES), png, prompt, RESPONSES)


@pytest.fixture(scope="module")
def judgement(judge, comparison):
    return judge.judge(comparison)


def flat(e):
    return np.array([*e.token_values[0], *e.token_values[1], e.prompt_value, *np.ravel(e.patch_values)])


def reward_without(judge, comparison, n, word=None, region=None, prompt=False):
    """The reward of response n from its whole sequence of embeddings, no cache: what is named replaced by hand."""
    model, processor = judge.model, judge.processor
    inputs = build_inputs(model, processor, comparison.load_image(), comparison.prompt, RESPONSES)
    prefix, response = inputs.prefix.clone(), inputs.response.clone()
    if prompt:
        prefix[0, inputs.at_prompt] = inputs.prefix_base[0, inputs.at_prompt]
    if region is not None:
        at = inputs.at_image.nonzero().flatten()[region]
        prefix[0, at] = inputs.prefix_base[0, at]
    if word is not None:
        start, end = word
        for t, (s, e) in enumerate(inputs.responses[n].spans):
            if e > s and start <= s < end:
                response[0, n, t] = model.backbone.get_input_embeddings().weight.mean(0)
    length = int(inputs.response_mask[0, n].sum())
    first = int(inputs.positions.amax()) + 1
    tail = (first + torch.arange(length)).expand(3, 1, -1)
    with torch.no_grad():
        states = model.backbone.get_decoder()(
            inputs_embeds=torch.cat([prefix, response[:, n, :length]], dim=1),
            position_ids=torch.cat([inputs.positions, tail], dim=-1),
            use_cache=False,
        ).last_hidden_state
        return float(model.head(states[:, -1]))


def test_it_is_differentiable_and_a_rule_is_not(judge, random_judge, comparison, judgement):
    assert isinstance(judge, Differentiable) and isinstance(random_judge, Differentiable)
    assert not isinstance(longer(), Differentiable)
    ready = prepare(judge, comparison, judgement, Request())
    assert isinstance(ready.forward, MaskedForward) and isinstance(ready.forward, Rewords)
    assert "decomposition" in methods_for(random_judge) and set(methods_for(judge)) == set(METHODS) - {
        "decomposition"
    }
    assert methods_for(longer()) == {} and targets_for(longer(), judgement) == []
    assert [k for k, _ in targets_for(judge, judgement)] == ["margin", "reward"]
    assert default_method(judge, comparison) == "ablation"


def test_ablation_equals_a_plain_loop_over_whole_sequences(judge, comparison, judgement):
    e = explain(judge, comparison, judgement, method="ablation", level="word")
    whole = [reward_without(judge, comparison, n) for n in (0, 1)]
    assert e.target_value == pytest.approx(whole[0] - whole[1], abs=1e-5)
    assert e.target_value == pytest.approx(judgement.margin(0, 1), abs=1e-5)
    for n, sign in ((0, 1), (1, -1)):
        before = 0  # a blank goes with the word it leads to
        for value, (_, _, end) in zip(e.token_values[n], e.tokens[n], strict=True):
            expected = sign * (whole[n] - reward_without(judge, comparison, n, word=(before, end)))
            assert value == pytest.approx(expected, abs=1e-5)
            before = end
    for region, value in enumerate(np.ravel(e.patch_values)):
        less = [reward_without(judge, comparison, n, region=region) for n in (0, 1)]
        assert value == pytest.approx((whole[0] - whole[1]) - (less[0] - less[1]), abs=1e-5)
    less = [reward_without(judge, comparison, n, prompt=True) for n in (0, 1)]
    assert e.prompt_value == pytest.approx((whole[0] - whole[1]) - (less[0] - less[1]), abs=1e-5)
    only = explain(judge, comparison, judgement, method="ablation", level="word", target="reward")
    assert only.target_value == pytest.approx(whole[0], abs=1e-5) and np.allclose(
        only.token_values[1], 0, atol=1e-5
    )


@pytest.mark.parametrize("target", ["margin", "reward"])
@pytest.mark.parametrize("method", ["shapley", "integrated_gradients"])
@pytest.mark.parametrize("scope", ["joint", "responses"])
def test_complete_methods_add_up(judge, comparison, judgement, method, target, scope):
    e = explain(
        judge, comparison, judgement, method=method, target=target, scope=scope, steps=24, check=False
    )
    whole = e.target_value - e.baseline_value
    assert flat(e).sum() == pytest.approx(whole + e.convergence_delta, abs=1e-6)
    assert abs(e.convergence_delta) < 1e-3 * max(1, abs(whole))


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients", "ablation", "occlusion", "shapley"])
def test_swapping_the_pair_turns_every_sign(judge, comparison, judgement, method):
    kwargs = {"method": method, "steps": 60 if method == "shapley" else None, "check": False}
    ab, ba = (explain(judge, comparison, judgement, pair=p, **kwargs) for p in ((0, 1), (1, 0)))
    assert ab.target_value == pytest.approx(-ba.target_value, abs=1e-6)
    if method == "shapley":  # drawn in other orders: the same to its sampling error
        assert np.corrcoef(flat(ab), -flat(ba)[_swapped(ab)])[0, 1] > 0.9
        return
    assert np.allclose(flat(ab), -flat(ba)[_swapped(ab)], atol=1e-5)


def _swapped(e):
    """Places of (b's words, a's words, prompt, regions) in the order (a's, b's, prompt, regions)."""
    a, b = len(e.tokens[0]), len(e.tokens[1])
    return [*range(b, b + a), *range(b), *range(a + b, len(flat(e)))]


def test_what_it_does_not_have_is_refused_in_a_sentence(judge, comparison, judgement):
    for target in ("score:counting", "gate:counting"):
        with pytest.raises(RecordError, match="has no dimensions"):
            explain(judge, comparison, judgement, target=target)
    with pytest.raises(RecordError, match="token surprisal, which the judge 'scalar' does not have"):
        explain(judge, comparison, judgement, method="decomposition")
    with pytest.raises(RecordError, match="cannot be explained"):
        plan(longer(), comparison, judgement)
    with pytest.raises(RecordError, match="no dimensions"):
        region_by_dimension(judge, comparison, judgement, 0, 1)


def test_its_edits_suggestions_and_bundles_are_its_own_numbers(judge, comparison, judgement):
    e = explain(judge, comparison, judgement, method="ablation")
    (effect,) = effects(judge, judgement, 0, 1, [no_image(comparison)])
    grey = Image.new("RGB", comparison.load_image().size, (128, 128, 128))
    fresh = judge.judge(Comparison("x", grey, comparison.prompt, RESPONSES))
    assert effect.after == pytest.approx(fresh.margin(0, 1), abs=1e-5)
    found, loser = suggest(judge, comparison, judgement, 0, 1, e), judgement.loser(0, 1)
    assert found
    for s in found:
        fresh = judge.judge(with_text(comparison, loser, s.text)).margin(0, 1)
        assert s.margin == pytest.approx(fresh, abs=1e-5)
        assert (s.outcome is Outcome.FLIPS) == (fresh * judgement.margin(0, 1) < 0)
    verdict = verify(read(write(Bundle(comparison, judgement, e, None, judge.card))), judge)
    assert verdict.holds


# -- targets of one's own ----------------------------------------------------------------------------------------


def b_alone(outputs):
    return outputs.rewards[:, 1]


def test_a_target_may_be_any_function_of_what_the_judge_gives(judge, random_judge, comparison, judgement):
    own = explain(judge, comparison, judgement, method="ablation", target=b_alone)
    named = explain(judge, comparison, judgement, method="ablation", target="reward", pair=(1, 0))
    assert np.allclose(flat(own), flat(named)[_swapped(own)], atol=1e-5)
    assert own.target == "b_alone of A and B" and own.target_key == "custom"
    gated = random_judge.judge(comparison)
    d = gated.selected[0]
    key = gated.dimensions[d].key
    by_hand = explain(
        random_judge, comparison, gated, method="integrated_gradients", target=lambda o: o.scores[:, 0, d] - o.scores[:, 1, d]
    )  # fmt: skip
    by_name = explain(random_judge, comparison, gated, method="integrated_gradients", target=f"score:{key}")
    assert np.array_equal(flat(by_hand), flat(by_name))


def test_a_function_of_another_shape_or_without_a_name_is_refused(judge, random_judge, comparison, judgement):
    with pytest.raises(RecordError, match="one number a point"):
        explain(judge, comparison, judgement, target=lambda o: o.rewards)
    with pytest.raises(RecordError, match="named targets"):
        explain(
            random_judge, comparison, random_judge.judge(comparison), method="decomposition", target=b_alone
        )
    e = explain(judge, comparison, judgement, target=b_alone)
    with pytest.raises(RecordError, match="somebody's own code"):
        verify(Bundle(comparison, judgement, e, None, judge.card), judge)

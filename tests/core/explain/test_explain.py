"""Attributions against a separate plain computation, and their sums against what they explain."""

import numpy as np
import pytest
import torch

from core.explain import METHODS, Cancelled, Request, explain, explanation, targets_for
from core.judges.conditions import FINER
from core.judges.inputs import build_inputs
from core.model.head import aggregate, weights_over
from core.records import Comparison
from tests.plain import noise

RESPONSES = ("The number of stars is 3.", "I count 2 for the stars, you fool.", "4")


@pytest.fixture(scope="module")
def comparison():
    return Comparison("c", noise(0), "How many stars are there? Be polite.", RESPONSES)


def total(e):
    return sum(map(sum, e.token_values)) + sum(map(sum, e.patch_values)) + e.prompt_value + e.other_value


@pytest.mark.parametrize("pair", [(0, 1), (2, 0)])
def test_attributions_and_error_add_up_for_every_target(random_judge, comparison, judgement, pair):
    for target, _ in targets_for(random_judge, judgement):
        e = explain(random_judge, comparison, judgement, Request(pair, target, "integrated_gradients", 16))
        assert total(e) == pytest.approx(e.target_value - e.baseline_value + e.convergence_delta, abs=1e-6)
        assert abs(e.convergence_delta) < 1e-3 * max(1, abs(e.target_value - e.baseline_value))


def test_the_target_is_the_margin_of_the_judgement(random_judge, comparison, judgement):
    e = explain(random_judge, comparison, judgement)
    assert e.target_value == pytest.approx(judgement.margin(0, 1), abs=1e-5)
    d = judgement.selected[0]
    e = explain(random_judge, comparison, judgement, target=targets_for(random_judge, judgement)[1][0])
    assert e.target_value == pytest.approx(judgement.scores[0][d] - judgement.scores[1][d], abs=1e-5)


def test_swapping_the_pair_turns_every_sign(random_judge, comparison, judgement):
    ab, ba = (explain(random_judge, comparison, judgement, pair=p) for p in ((0, 1), (1, 0)))
    assert np.allclose(ab.token_values[0], -np.array(ba.token_values[1]), atol=1e-6)
    assert np.allclose(ab.patch_values, -np.array(ba.patch_values), atol=1e-6)


def test_integrated_gradients_equal_a_plain_riemann_sum(random_judge, comparison, judgement):
    """No captum, no cache: one prefix+response sequence a response, gradients by hand at the Gauss-Legendre points."""
    model, steps = random_judge.model, 8
    texts = RESPONSES[:2]
    inputs = build_inputs(model, random_judge.processor, comparison.load_image(), comparison.prompt, texts)
    active = torch.zeros(1, 21, dtype=torch.bool)
    active[0, list(judgement.selected)] = True
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    prefix_sum, response_sum = torch.zeros_like(inputs.prefix), torch.zeros_like(inputs.response)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        prefix = (inputs.prefix_base + node * (inputs.prefix - inputs.prefix_base)).detach().requires_grad_()
        response = (
            (inputs.response_base + node * (inputs.response - inputs.response_base)).detach().requires_grad_()
        )
        states, scores = None, []
        for n in (0, 1):
            length = int(inputs.response_mask[0, n].sum())
            embeds = torch.cat([prefix, response[:, n, :length]], dim=1)
            first = int(inputs.positions.amax()) + 1
            tail = (first + torch.arange(length)).expand(3, 1, -1)
            out = model.backbone.get_decoder()(
                inputs_embeds=embeds,
                position_ids=torch.cat([inputs.positions, tail], dim=-1),
                use_cache=False,
            ).last_hidden_state
            states = out[:, : prefix.shape[1]]
            start = prefix.shape[1]
            scores.append(
                model.head.scorers(out[:, -1])
                - model.head.doubt(
                    out[:, start - 1 : -1], response[:, n, :length], out[:, start:], torch.ones(1, length)
                )
            )
        visual = states[:, inputs.at_image].mean(1)
        _, weight_logits = model.head.gate(torch.cat([states[:, -1], visual], dim=-1))
        rewards = aggregate(weights_over(weight_logits, active), torch.stack(scores, dim=1))
        (rewards[:, 0] - rewards[:, 1]).sum().backward()
        prefix_sum += float(weight) * prefix.grad
        response_sum += float(weight) * response.grad
    expected_prefix = ((inputs.prefix - inputs.prefix_base) * prefix_sum).sum(-1)[0]
    expected_response = ((inputs.response - inputs.response_base) * response_sum).sum(-1)[0]
    e = explain(random_judge, comparison, judgement, method="integrated_gradients", steps=steps)
    assert np.allclose(np.ravel(e.patch_values), expected_prefix[inputs.at_image].numpy(), atol=1e-5)
    assert e.prompt_value == pytest.approx(float(expected_prefix[inputs.at_prompt].sum()), abs=1e-5)
    for n in (0, 1):
        assert sum(e.token_values[n]) == pytest.approx(float(expected_response[n].sum()), abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_picture_gets_a_share(random_judge, comparison, judgement, method):
    e = explain(random_judge, comparison, judgement, method=method, steps=4)
    finer = FINER if METHODS[method].pixels else 1
    # what the tiny model's processor makes of 112 x 140 pixels
    assert np.shape(e.patch_values) == (3 * finer, 4 * finer)
    assert np.all(np.abs(e.patch_values) > 0)


@pytest.mark.parametrize("method", ["ablation", "integrated_gradients"])
def test_visual_tokens_are_joined_to_blocks_where_there_are_too_many(
    random_judge, comparison, judgement, monkeypatch, method
):
    """3 x 4 tokens in blocks of 2 x 2; the lower blocks have one row. Measured here on the embeddings themselves."""
    monkeypatch.setattr(explanation, "COARSE", 2)
    monkeypatch.setattr(explanation, "FINEST", 2)
    e = explain(random_judge, comparison, judgement, method=method, check=False)
    assert np.shape(e.patch_values) == (2, 2) and np.all(np.abs(e.patch_values) > 0)
    monkeypatch.undo()
    whole = explain(random_judge, comparison, judgement, method=method, check=False)
    tokens = np.array(whole.patch_values)
    assert tokens.shape == (3, 4)
    if method == "integrated_gradients":  # a sum over positions
        blocks = [[tokens[r : r + 2, c : c + 2].sum() for c in (0, 2)] for r in (0, 2)]
        assert np.allclose(e.patch_values, blocks, atol=1e-5)
        return
    model = random_judge.model
    inputs = build_inputs(
        model, random_judge.processor, comparison.load_image(), comparison.prompt, RESPONSES[:2]
    )
    active = torch.zeros(1, 21, dtype=torch.bool)
    active[0, list(judgement.selected)] = True

    def margin(prefix):
        with torch.no_grad():
            reading = model.read_embeds(prefix, inputs.mask, inputs.positions, inputs.at_image[None])
            scores = model.score_embeds(reading, inputs.response, inputs.response_mask)
            rewards = aggregate(weights_over(reading.weight_logits, active), scores)[0]
        return float(rewards[0] - rewards[1])

    rows, columns = np.divmod(np.arange(12), 4)
    for r in (0, 1):
        for c in (0, 1):
            at = inputs.at_image.nonzero().flatten()[torch.from_numpy((rows // 2 == r) & (columns // 2 == c))]
            less = inputs.prefix.clone()
            less[0, at] = inputs.prefix_base[0, at]
            assert e.patch_values[r][c] == pytest.approx(margin(inputs.prefix) - margin(less), abs=1e-5)


def test_spans_point_at_the_words(random_judge, comparison, judgement):
    e = explain(random_judge, comparison, judgement, pair=(0, 2))
    for n, text in ((0, RESPONSES[0]), (1, RESPONSES[2])):
        assert all(text[s:t] == piece for piece, s, t in e.tokens[n])


def test_progress_and_cancel(random_judge, comparison, judgement):
    seen = []
    explain(
        random_judge,
        comparison,
        judgement,
        method="integrated_gradients",
        steps=32,
        on_step=lambda *x: seen.append(x),
    )
    assert seen[-1] == (32, 32) and [d for d, _ in seen] == sorted(d for d, _ in seen)
    with pytest.raises(Cancelled):
        explain(random_judge, comparison, judgement, method="integrated_gradients", cancelled=lambda: True)
    assert not random_judge.lock.locked()


def test_unknown_words_are_refused(random_judge, comparison, judgement):
    with pytest.raises(ValueError, match="no method"):
        explain(random_judge, comparison, judgement, method="magic")
    with pytest.raises(ValueError, match="no target"):
        explain(random_judge, comparison, judgement, target="score:taste")
    with pytest.raises(ValueError, match="itself"):
        explain(random_judge, comparison, judgement, pair=(1, 1))


def test_every_method_explains_itself():
    assert all(len(m.help) > 40 for m in METHODS.values())

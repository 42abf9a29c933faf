"""Each method against a separate plain computation, and what an explanation says about its own truth."""

import mmap
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from core.explain import METHODS, explain, memory, plan
from core.explain.explanation import Request, prepare
from core.explain.faithfulness import area, curve, faithfulness
from core.judges.masked import PrefixForward
from core.records import Comparison, RecordError
from tests.plain import integrated_gradients, noise

RESPONSES = ("There are 3 stars. They are blue.", "I count 2 stars, you fool.")


@pytest.fixture(scope="module")
def comparison():
    return Comparison("c", noise(1), "How many stars are there?", RESPONSES)


def masked_of(judge, comparison, judgement, method="ablation", scope="joint", target="margin"):
    request = Request(target=target, method=method, level="word", scope=scope)
    return prepare(judge, comparison, judgement, request).forward


def flat(e):
    return np.array([*e.token_values[0], *e.token_values[1], e.prompt_value, *np.ravel(e.patch_values)])


@pytest.mark.parametrize("target", ["margin", "reward", "gate:counting", "score:colour"])
def test_ablation_is_one_feature_taken_away_at_a_time(random_judge, comparison, judgement, target):
    forward = masked_of(random_judge, comparison, judgement, target=target)
    z = forward.ones()
    with torch.no_grad():
        whole = float(forward(z))
        expected = []
        for u in range(forward.features.count):
            less = z.clone()
            less[0, u] = 0
            expected.append(whole - float(forward(less)))
    found = explain(random_judge, comparison, judgement, target=target, method="ablation", level="word")
    assert np.allclose(flat(found), expected, atol=1e-5)


def test_occlusion_averages_windows_of_two_by_two(random_judge, comparison, judgement):
    forward = masked_of(random_judge, comparison, judgement)
    rows, columns = forward.features.grid
    total, times = np.zeros((rows, columns)), np.zeros((rows, columns))
    with torch.no_grad():
        whole = float(forward(forward.ones()))
        for r in range(rows - 1):
            for c in range(columns - 1):
                z = forward.ones()
                for y, x in ((r, c), (r, c + 1), (r + 1, c), (r + 1, c + 1)):
                    z[0, forward.features.text_count + y * columns + x] = 0
                fall = whole - float(forward(z))
                total[r : r + 2, c : c + 2] += fall
                times[r : r + 2, c : c + 2] += 1
    found = explain(random_judge, comparison, judgement, method="occlusion", level="word")
    assert np.allclose(found.patch_values, total / times, atol=1e-5)


def test_shapley_adds_up_and_shares_equally_between_equals(random_judge, comparison, judgement):
    found = explain(random_judge, comparison, judgement, method="shapley", steps=4, level="word")
    assert flat(found).sum() == pytest.approx(found.target_value - found.baseline_value, abs=1e-4)
    assert abs(found.convergence_delta) < 1e-4


def test_the_account_of_doubt_is_exact(random_judge, comparison, judgement):
    """words + rest = margin, and the words are the head's own doubts, computed here response by response."""
    judge, model = random_judge, random_judge.model
    found = explain(judge, comparison, judgement, method="decomposition", level="word")
    for n, sign in ((0, -1), (1, 1)):
        one = Comparison("x", comparison.image, comparison.prompt, (RESPONSES[n], "unused"))
        prepared = judge.prepare([one])
        with torch.no_grad():
            reading = model.read(**prepared.inputs)
            embeds = model.backbone.get_input_embeddings()(prepared.ids)
            states = model.response_states(reading, embeds, prepared.mask)
            doubts = model.token_doubts(reading, embeds, states, prepared.mask)[0, 0]
        weights = torch.tensor(judgement.weights)
        spans = judge.encode(one)[0].spans  # the template's own tokens span no text
        said = torch.tensor([end > start for start, end in spans])
        expected = sign * float((doubts @ weights)[: len(said)][said].sum())
        assert sum(found.token_values[n]) == pytest.approx(expected, abs=1e-4)


def test_attribution_to_responses_equals_captum_over_the_whole_sequence(random_judge, comparison, judgement):
    """Reused keys and values against plain integrated gradients that read image and prompt at every step."""
    forward = masked_of(random_judge, comparison, judgement, scope="joint")
    tokens = integrated_gradients(forward, 32)
    found = explain(
        random_judge, comparison, judgement, method="integrated_gradients", scope="responses", level="word"
    )
    for n in (0, 1):
        for u, value in enumerate(found.token_values[n], start=forward.features.of_text(n).start):
            assert float(tokens[n][forward.features.response[n] == u].sum()) == pytest.approx(value, abs=1e-4)
    assert not np.any(found.patch_values) and found.prompt_value == 0


def test_sentences_are_the_sums_of_their_words_for_linear_paths(random_judge, comparison, judgement):
    word, sentence = (
        explain(random_judge, comparison, judgement, method="integrated_gradients", level=v)
        for v in ("word", "sentence")
    )
    assert [t for t, _, _ in sentence.tokens[0]] == ["There are 3 stars.", "They are blue."]
    assert sentence.token_values[0][0] == pytest.approx(sum(word.token_values[0][:4]), abs=1e-5)


def test_faithfulness_is_what_the_model_really_does(random_judge, comparison, judgement):
    forward = masked_of(random_judge, comparison, judgement)
    sign = 1 if judgement.margin(0, 1) >= 0 else -1
    values = sign * torch.arange(forward.features.count).float()
    with torch.no_grad():
        whole = float(forward(forward.ones()))
    found = faithfulness(forward, values, whole)
    last_words = [
        forward.features.text_count - 2,
        forward.features.text_count - 3,
    ]  # the prompt is no word of a response
    z = forward.ones()
    z[0, last_words] = 0
    with torch.no_grad():
        assert found.words.after == pytest.approx(float(forward(z)), abs=1e-5)
    assert found.words.names == ("“fool.”", "“you”")
    assert found.words.before == pytest.approx(judgement.margin(0, 1), abs=1e-4)
    assert found.regions.names[0] == f"row {forward.features.grid[0]}, column {forward.features.grid[1]}"


def test_curves_start_and_end_where_they_must(random_judge, comparison, judgement):
    forward = masked_of(random_judge, comparison, judgement)
    order = list(range(forward.features.count - 1, -1, -1))
    down, up = curve(forward, order), curve(forward, order, insert=True)
    assert len(down) == forward.features.count + 1
    assert down[0] == pytest.approx(up[-1], abs=1e-5) and down[-1] == pytest.approx(up[0], abs=1e-5)
    assert area([4, 2, 0], 4) == pytest.approx(0.5) and area([4, 0, 0], 4) == pytest.approx(0.25)


# -- memory ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["joint", "responses"])
def test_the_estimate_of_memory_is_near_what_is_kept(random_judge, comparison, judgement, scope):
    kept: dict[int, int] = {}

    def pack(t):
        kept[t.untyped_storage().data_ptr()] = t.untyped_storage().nbytes()
        return t

    forward = masked_of(random_judge, comparison, judgement, "gradient", scope)
    weights = {p.untyped_storage().data_ptr() for p in forward.model.parameters()}
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        forward(forward.ones().requires_grad_().repeat(8, 1))
    real = sum(b for p, b in kept.items() if p not in weights) / 8
    estimate = plan(random_judge, comparison, judgement, method="gradient", scope=scope, check=False).bytes
    assert 0.8 < estimate / real < 1.2  # tests/benchmarks/measure_estimates.py measures the whole


def test_out_of_memory_becomes_a_smaller_batch_then_a_clear_message(
    random_judge, comparison, judgement, monkeypatch
):
    whole, sizes, most = PrefixForward.__call__, [], 4

    def scarce(self, z):
        sizes.append(len(z))
        if len(z) > most:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, z)

    monkeypatch.setattr(PrefixForward, "__call__", scarce)
    found = explain(random_judge, comparison, judgement, method="integrated_gradients", steps=16, check=False)
    assert max(sizes) == 16 and sizes[-1] == 4
    monkeypatch.undo()
    plain = explain(random_judge, comparison, judgement, method="integrated_gradients", steps=16, check=False)
    assert np.allclose(flat(found), flat(plain), atol=1e-5)

    def none(self, z):
        if z.requires_grad:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return whole(self, z)

    monkeypatch.setattr(PrefixForward, "__call__", none)
    with pytest.raises(RecordError, match="not enough memory"):
        explain(random_judge, comparison, judgement, method="integrated_gradients", check=False)


def the_system_tells() -> bool:
    status = Path("/proc/self/status")
    return status.is_file() and "VmHWM" in status.read_text()


def take(mib):
    """Fresh pages from the system, touched and given back: a tensor may get what the process already holds."""
    with mmap.mmap(-1, mib << 20) as block:
        block[:: mmap.PAGESIZE] = b"x" * (len(block) // mmap.PAGESIZE)


@pytest.mark.skipif(not the_system_tells(), reason="this system does not tell a process's largest size")
def test_peak_counts_what_was_taken_and_only_that():
    with memory.Peak(torch.device("cpu")) as peak:
        take(64)
    assert peak.bytes is not None and 60 << 20 < peak.bytes < 96 << 20
    with memory.Peak(torch.device("cpu")) as later:
        pass
    assert later.bytes is not None and later.bytes < 16 << 20  # what was taken before does not count


def test_peak_is_not_made_up_where_the_system_does_not_tell(monkeypatch):
    monkeypatch.setattr(memory, "_status", lambda name: None)
    with memory.Peak(torch.device("cpu")) as peak:
        pass
    assert peak.bytes is None


@pytest.mark.skipif(not the_system_tells(), reason="this system does not tell a process's largest size")
def test_an_explanation_says_what_memory_it_took(random_judge, comparison, judgement, monkeypatch):
    whole = PrefixForward.__call__

    def greedy(self, z):
        take(512)  # far more than what the process gives back meanwhile
        return whole(self, z)

    monkeypatch.setattr(PrefixForward, "__call__", greedy)
    found = explain(random_judge, comparison, judgement, method="gradient", check=False)
    assert found.peak_memory is not None and found.peak_memory > 400 << 20


def test_the_account_refuses_a_gate(random_judge, comparison, judgement):
    with pytest.raises(ValueError, match="gate"):
        explain(random_judge, comparison, judgement, target="gate:colour", method="decomposition")


def test_every_method_tells_its_cost(random_judge, comparison, judgement):
    for method in METHODS:
        seen = []
        explain(
            random_judge,
            comparison,
            judgement,
            method=method,
            steps=4,
            check=False,
            on_step=lambda d, t, seen=seen: seen.append((d, t)),
        )
        assert seen[-1][0] == seen[-1][1]


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(st.characters(codec="utf-8"), min_size=1, max_size=40).filter(str.strip),
        min_size=2,
        max_size=2,
    ),
    target=st.sampled_from(["margin", "reward", "score:colour", "gate:counting"]),
    method=st.sampled_from(["integrated_gradients", "shapley", "decomposition", "ablation", "gradient"]),
    level=st.sampled_from(["word", "sentence"]),
)
def test_sums_equal_differences_whatever_is_said(random_judge, comparison, texts, target, method, level):
    """attributions + completeness error = target(input) - target(baseline); contributions = margin."""
    if method == "decomposition" and target.startswith("gate"):
        method = "ablation"
    c = Comparison("p", comparison.image, "What is it?", tuple(texts))
    judged = random_judge.judge(c)
    assert sum(judged.contributions(0, 1).values()) == pytest.approx(judged.margin(0, 1), abs=1e-5)
    e = explain(random_judge, c, judged, target=target, method=method, steps=3, level=level, check=False)
    total, whole = flat(e).sum() + e.other_value, e.target_value - e.baseline_value
    assert np.isfinite(flat(e)).all()
    if e.convergence_delta is not None:
        assert total - e.convergence_delta == pytest.approx(whole, abs=1e-4)
    if method in ("shapley", "decomposition"):
        assert total == pytest.approx(whole, abs=1e-3)

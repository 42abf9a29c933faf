"""Gradient checkpointing through a filled cache: the same numbers, less kept, and only where nothing else fits."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest
import torch
from checkpoints import qwen, value_head

from core.explain import explain, memory
from core.explain.explanation import Request, prepare
from core.judges.opening import open_judge
from core.judges.options import Options
from core.model.sparing import checkpointed
from core.records import Comparison, RecordError
from tests.plain import noise

C = Comparison("c", noise(1), "How many stars?", ("There are 3 stars. They are blue.", "I count 2 of them."))


@pytest.fixture(scope="module", params=["embedded", "scalar", "writes", "scalar on qwen3_vl"])
def judge(request, tmp_path_factory, random_judge):
    kind, _, backbone = request.param.partition(" on ")
    if kind == "embedded":
        return random_judge
    folder = qwen(tmp_path_factory.mktemp("judge"), backbone or "qwen2_5_vl")
    if kind == "scalar":
        value_head(folder)
    return open_judge(str(folder), Options(device="cpu"))


@pytest.fixture
def judgement(judge):
    return judge.judge(C)


def gradient(forward, kept: list[int] | None = None) -> torch.Tensor:
    z = torch.full((2, forward.features.count), 0.7, requires_grad=True)
    mine: set[int] = set()

    def pack(t: torch.Tensor) -> torch.Tensor:
        if kept is not None and t.untyped_storage().data_ptr() not in mine:
            mine.add(t.untyped_storage().data_ptr())
            kept.append(t.untyped_storage().nbytes())
        return t

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
        value = forward(z).sum()
    return torch.autograd.grad(value, z)[0]


def test_the_gradient_is_the_same_and_less_is_kept(judge, judgement):
    with judge.lock:
        forward = prepare(judge, C, judgement, Request(method="gradient")).forward
        plain_bytes: list[int] = []
        spared_bytes: list[int] = []
        plain = gradient(forward, plain_bytes)
        layers = forward.model.backbone.get_decoder().layers
        with checkpointed(forward.model):
            assert "forward" in vars(layers[0])
            spared = gradient(forward, spared_bytes)
        assert "forward" not in vars(layers[0])
        again = gradient(forward)
    assert float(plain.abs().max()) > 0
    assert torch.allclose(spared, plain, atol=1e-7, rtol=1e-5) and torch.equal(again, plain)
    assert sum(spared_bytes) < 0.7 * sum(plain_bytes)


@pytest.mark.parametrize("method", ["gradient", "integrated_gradients"])
def test_it_is_used_where_not_even_one_point_fits_and_gives_the_same_map(
    judge, judgement, method, monkeypatch
):
    expected = explain(judge, C, judgement, method=method, steps=4, check=False)
    entered = []
    real = torch.autograd.grad

    def no_memory(*args, **kwargs):
        layers = entered and entered[-1]
        if not layers or "forward" not in vars(layers[0]):
            raise torch.OutOfMemoryError("CUDA out of memory")
        return real(*args, **kwargs)

    def watched(model):
        entered.append(model.backbone.get_decoder().layers)
        return checkpointed(model)

    monkeypatch.setattr("core.explain.explanation.checkpointed", watched)
    monkeypatch.setattr(torch.autograd, "grad", no_memory)
    found = explain(judge, C, judgement, method=method, steps=4, check=False)
    assert len(entered) == 1
    for a, b in zip(
        (*found.token_values, *found.patch_values),
        (*expected.token_values, *expected.patch_values),
        strict=True,
    ):
        assert np.allclose(a, b, atol=1e-6)


def test_what_does_not_fit_even_so_is_a_sentence():
    def never(batch: int) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with pytest.raises(RecordError, match="not enough memory"):
        memory.with_halving(never, 4, contextlib.nullcontext)

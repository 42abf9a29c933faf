"""The training code does what it says on small pieces; the recipe as a whole is measured, not tested."""

import pytest
import torch

from core.model import VLMDR
from core.training.data import Collator, LessonDataset, evidence_tokens, grounding_targets
from core.training.objective import Objective, concept_tokens
from core.training.stages import STAGES, tiny_config
from core.world.pictures import CONCEPTS, Scene
from core.world.splits import lesson


@pytest.fixture(scope="module")
def batch(processor):
    stage = STAGES[-1]
    data = LessonDataset(processor, 0, 0, 100, stage.questions, stage.answers)
    return Collator(processor)([data[i] for i in range(6)])


def test_a_lesson_is_a_function_of_its_number(processor):
    a, b = (LessonDataset(processor, 0, 40, 10, 2, 3)[3] for _ in range(2))
    assert torch.equal(a["pixel_values"], b["pixel_values"])
    assert [i["prompt"] for i in a["items"]] == [i["prompt"] for i in b["items"]]


def test_things_are_named_at_the_token_under_their_centre():
    grid = torch.tensor([1, 8, 8])
    checked = 0
    for i in range(80):
        picture = lesson(3, i, 1).picture
        if not isinstance(picture, Scene):
            continue
        target = grounding_targets(picture, grid, 2).view(4, 4, -1)
        assert int(target.any(-1).sum()) == len(picture.things)  # no two things share a token
        for thing in picture.things:
            x, y = picture.centre(thing)
            names = {CONCEPTS[j] for j in target[int(y // 28), int(x // 28)].nonzero().flatten()}
            assert {f"shape={thing.shape}", f"colour={thing.colour}", f"size={thing.size}"} <= names
            checked += 1
    assert checked > 40


def test_evidence_is_the_token_of_the_thing_asked_about():
    for i in range(60):
        made = lesson(4, i, 3)
        for item in made.items:
            if item.family in ("object", "colour", "size") and isinstance(made.picture, Scene):
                found = evidence_tokens(made.picture, item.evidence, torch.tensor([1, 8, 8]), 2).view(4, 4)
                (x0, y0, x1, y1) = item.evidence[0]
                assert found[int((y0 + y1) / 2 // 28), int((x0 + x1) / 2 // 28)] and found.sum() == 1


def test_each_concept_is_said_by_its_own_word(processor):
    for concept, token in zip(CONCEPTS, concept_tokens(processor).tolist(), strict=True):
        group, value = concept.split("=")
        if token >= 0 and group not in ("row", "column"):
            assert processor.tokenizer.decode([token]).strip() == value


def test_a_few_steps_lower_the_loss(processor, batch):
    torch.manual_seed(0)
    objective = Objective(VLMDR(tiny_config(processor)), STAGES[-1].weights, processor)
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    losses = []
    for _ in range(12):
        out = objective(**batch)
        out["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(out["loss"].detach()))
    assert losses[-1] < 0.75 * losses[0]
    assert all(torch.isfinite(v) for v in out.values())


def test_a_pointer_that_lies_on_the_proof_costs_nothing(processor, batch):
    objective = Objective(VLMDR(tiny_config(processor)), {}, processor)
    n, tokens = batch["evidence"].shape
    features = [torch.zeros(tokens, 192) for _ in range(n)]
    middle = [torch.zeros(n, 5, 192), torch.zeros(n * 3, batch["response_ids"].shape[-1], 192)]
    found = objective.finding(features, middle, (n, 3, 1), batch)
    # An undecided pointer: -log of the share of proving tokens, over the items whose proof is known.
    known = batch["evidence"].any(-1) & batch["marked"][:, 0].any(-1)
    expected = -(batch["evidence"].sum(-1).float() / tokens).log()[known].mean()
    assert float(found) == pytest.approx(float(expected), rel=1e-5)

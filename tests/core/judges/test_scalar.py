"""The scalar rival: the same backbone, its rewards against each response scored alone, and its training."""

import pytest
import torch
from PIL import Image

from core.judges.scalar import ScalarJudge
from core.model import VLMDR, ScalarReward, ScalarRewardConfig
from core.model.loading import CheckpointError, load_checkpoint
from core.records import Comparison
from core.training.data import Collator, LessonDataset
from core.training.objective import Objective
from core.training.stages import STAGES, tiny_config
from core.training.trainer import with_scalar_head


@pytest.fixture(scope="module")
def folder(processor, tmp_path_factory):
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("scalar")
    ScalarReward(ScalarRewardConfig(vlm_config=tiny_config(processor).vlm_config)).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def comparison(i, responses, size=(112, 112)):
    torch.manual_seed(i)
    noise = (torch.rand(size[1], size[0], 3) * 255).byte().numpy()
    return Comparison(str(i), Image.fromarray(noise), "How many stars?" + " Be brief." * i, tuple(responses))


def test_batched_rewards_are_those_of_the_plain_model_on_the_whole_text(folder):
    judge = ScalarJudge.load(folder, device="cpu")
    cases = [
        comparison(0, ["Two.", "I count five of them here."]),
        comparison(2, ["3", "none", "a lot"], (84, 140)),
    ]
    for case, judgement in zip(cases, judge.judge_batch(cases), strict=True):
        assert judgement.scores == () and judgement.selected == ()
        for response, reward in zip(case.responses, judgement.rewards, strict=True):
            prepared = judge.prepare([Comparison("x", case.image, case.prompt, (response, response))])
            ids = torch.cat([prepared.inputs["input_ids"], prepared.ids[:, 0]], dim=1)
            with torch.no_grad():
                out = judge.model.backbone(
                    input_ids=ids,
                    attention_mask=torch.ones_like(ids),
                    mm_token_type_ids=judge.model.at_image(ids).int(),
                    pixel_values=prepared.inputs["pixel_values"],
                    image_grid_thw=prepared.inputs["image_grid_thw"],
                )
                up, _, down = judge.model.head
                h = up(out.last_hidden_state[0, -1])
                alone = float(down(h * torch.sigmoid(h)))
            assert reward == pytest.approx(alone, abs=1e-4)


def test_the_two_kinds_are_not_taken_for_each_other(folder, tmp_path, processor):
    with pytest.raises(CheckpointError, match="kind 'scalar_reward', not a VL-MDR"):
        load_checkpoint(folder)
    VLMDR(tiny_config(processor)).save_pretrained(tmp_path)
    with pytest.raises(CheckpointError, match="kind 'vl_mdr', not a scalar"):
        load_checkpoint(tmp_path, kind=ScalarReward)


def test_its_training_starts_where_the_other_head_started_and_learns(processor):
    torch.manual_seed(0)
    shared = Objective(VLMDR(tiny_config(processor)), {}, processor)
    objective = with_scalar_head(shared, processor)
    before = shared.model.backbone.state_dict()
    assert all(torch.equal(v, before[k]) for k, v in objective.model.backbone.state_dict().items())
    assert torch.equal(objective.pointer.weight, shared.pointer.weight)
    stage = STAGES[-1]
    data = LessonDataset(processor, 0, 0, 100, stage.questions, stage.answers)
    batch = Collator(processor)([data[i] for i in range(6)])
    objective.weights = stage.weights
    optimizer = torch.optim.AdamW(objective.parameters(), lr=1e-3)
    losses = []
    for _ in range(15):
        out = objective(**batch)
        out["loss"].backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(out["judging_overall"]))
    assert losses[0] == pytest.approx(0.693, abs=0.1) and losses[-1] < 0.8 * losses[0]

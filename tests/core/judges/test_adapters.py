"""LoRA adapters: the numbers of a model with the change added by hand, and refusals where they fit nothing."""

import json
import shutil

import pytest
import torch
from checkpoints import adapter, qwen, value_head
from safetensors.torch import load_file, save_file

from core.judges.generative import GenerativeJudge
from core.judges.heads import HeadJudge
from core.judges.opening import open_judge
from core.judges.options import Options
from core.model.loading import CheckpointError

pytest.importorskip("peft")
CPU = Options(device="cpu")


def comparison():
    from PIL import Image

    from core.records import Comparison

    return Comparison(
        "c",
        Image.new("RGB", (90, 60), (200, 30, 30)),
        "Which colour?",
        ("It is red.", "It is blue, I think."),
    )


def by_hand(base, lora, folder):
    """The base with lora_alpha / r * B A added to each weight."""
    shutil.copytree(base, folder)
    held, change = load_file(base / "model.safetensors"), load_file(lora / "adapter_model.safetensors")
    for name in [n for n in held if ".q_proj.weight" in n and "visual" not in n]:
        stem = next(s for s in (f"base_model.model.{name.removesuffix('.weight')}",
                                f"base_model.model.{name.removesuffix('.weight').replace('language_model.', '')}")
                    if f"{s}.lora_A.weight" in change)  # fmt: skip
        held[name] = held[name] + 8 / 4 * change[f"{stem}.lora_B.weight"] @ change[f"{stem}.lora_A.weight"]
    save_file(held, folder / "model.safetensors", {"format": "pt"})
    return folder


@pytest.mark.parametrize("old", [False, True])
@pytest.mark.parametrize("scalar", [False, True])
def test_an_adapter_judges_as_the_changed_model(old, scalar, tmp_path):
    base = qwen(tmp_path / "base")
    lora = adapter(tmp_path / "lora", base, old=old, head=scalar)
    judge, plain = open_judge(str(lora), CPU), open_judge(str(base), CPU)
    assert isinstance(judge, HeadJudge if scalar else GenerativeJudge) and judge.card.name == "lora"
    assert "A LoRA adapter on base." in judge.card.about
    expected = by_hand(base, lora, tmp_path / "hand")
    if scalar:
        value_head(expected)
    found, right = judge.judge(comparison()), open_judge(str(expected), CPU).judge(comparison())
    assert found.rewards == pytest.approx(right.rewards, abs=1e-5)
    if not scalar:
        assert abs(found.margin(0, 1) - plain.judge(comparison()).margin(0, 1)) > 1e-3
    model = judge.model.backbone if scalar else judge.model
    assert not any("lora" in name for name, _ in model.named_modules())


def test_adapters_that_fit_nothing_are_refused(tmp_path):
    base = qwen(tmp_path / "base")
    lora = adapter(tmp_path / "lora", base)
    file = lora / "adapter_model.safetensors"
    strange = {n.replace("language_model", "another_model"): t for n, t in load_file(file).items()}
    save_file(strange, file, {"format": "pt"})
    with pytest.raises(
        CheckpointError,
        match="6 of the 6 weights of the adapter 'lora' fit nothing in its base model, the first is",
    ):
        open_judge(str(lora), CPU)
    kept = {
        n: t
        for n, t in load_file(adapter(tmp_path / "half", base) / "adapter_model.safetensors").items()
        if not n.endswith("0.self_attn.q_proj.lora_B.weight")
    }
    save_file(kept, tmp_path / "half" / "adapter_model.safetensors", {"format": "pt"})
    with pytest.raises(CheckpointError, match="incomplete"):
        open_judge(str(tmp_path / "half"), CPU)


def test_bases_that_are_missing_or_of_another_kind(tmp_path):
    base = qwen(tmp_path / "base")
    lora = adapter(tmp_path / "lora", base)
    config = lora / "adapter_config.json"
    said = json.loads(config.read_text())
    config.write_text(json.dumps({**said, "base_model_name_or_path": str(tmp_path / "gone")}))
    with pytest.raises(CheckpointError, match="base model of the adapter 'lora' cannot be opened"):
        open_judge(str(lora), CPU)
    assert open_judge(str(lora), Options(device="cpu", base=str(base))).card.name == "lora"
    config.write_text(json.dumps({**said, "base_model_name_or_path": None}))
    with pytest.raises(CheckpointError, match="does not say what its base model is: name it with --base"):
        open_judge(str(lora), CPU)
    config.write_text(json.dumps({**said, "peft_type": "IA3"}))
    with pytest.raises(CheckpointError, match="adapter of kind 'IA3'"):
        open_judge(str(lora), CPU)
    assert torch.is_tensor(next(iter(load_file(lora / "adapter_model.safetensors").values())))

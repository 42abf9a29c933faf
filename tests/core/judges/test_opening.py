"""What a checkpoint is, is known before it is loaded; what is not supported is told so in one sentence."""

from __future__ import annotations

import json

import pytest
import torch
from checkpoints import HIDDEN, edit_config, qwen, score_head, value_head
from safetensors.torch import save_file

from core.judges import opening
from core.judges.contents import look_at
from core.judges.opening import kind_of, open_judge
from core.judges.options import Options
from core.judges.scalar import ScalarJudge
from core.judges.vlmdr import VLMDRJudge
from core.model.loading import CheckpointError

CPU = Options(device="cpu")


def folder_of(tmp_path, config, weights=("x",), files=()):
    """A folder that would take a while to load, and never is."""
    if config is not None:
        (tmp_path / "config.json").write_text(config if isinstance(config, str) else json.dumps(config))
    if weights:
        save_file(
            {name: torch.zeros(1) for name in weights}, tmp_path / "model.safetensors", {"format": "pt"}
        )
    for name in files:
        (tmp_path / name).write_bytes(b"")
    return tmp_path


IXC = {
    "architectures": ["InternLMXComposer2ForCausalLM"],
    "model_type": "internlmxcomposer2",
    "auto_map": {"AutoModel": "modeling_internlm_xcomposer2.X"},
}
ARMO = {
    "architectures": ["LlamaForRewardModelWithGating"],
    "model_type": "llama",
    "auto_map": {"AutoModelForSequenceClassification": "modeling_custom.X"},
}
UNSUPPORTED = {
    "IXC-2.5-Reward": (IXC, ("x",), (), "InternLM-XComposer model .* runs code of its own, which Rewardscope never does"),
    "InternVL's own": ({"model_type": "internvl_chat", "architectures": ["InternVLChatModel"], "auto_map": {}}, ("x",), (), "InternVL model in its authors' format"),
    "Omni-Reward": ({"model_type": "minicpmo", "auto_map": {"AutoModel": "m.X"}}, ("x",), (), "MiniCPM model .as Omni-Reward"),
    "ArmoRM": (ARMO, ("score.weight",), (), "text-only reward model"),
    "MM-RLHF-Reward": ({"model_type": "llava_qwen", "architectures": ["LlavaQwenForCausalLM"], "is_rm": True}, ("x",), (), "MM-RLHF-Reward's kind"),
    "LLaVA-Critic": ({"model_type": "llava", "architectures": ["LlavaQwenForCausalLM"]}, ("x",), (), "LLaVA-NeXT's own format .* whatever its model_type says"),
    "UnifiedReward-7b": ({"model_type": "llava_qwen", "architectures": ["LlavaQwenForCausalLM"]}, ("x",), (), "LLaVA-NeXT's own format"),
    "SmolVLM": ({"model_type": "smolvlm", "vision_config": {}}, ("x",), (), "not read here: SmolVLM cuts pictures"),
    "LLaVA-NeXT": ({"model_type": "llava_next", "vision_config": {}}, ("x",), (), "not read here: LLaVA-NeXT cuts pictures"),
    "LLaVA 1.5": ({"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"], "vision_config": {}}, ("x",), (), "not read here: LLaVA has an image processor"),
    "Gemma 3": ({"model_type": "gemma3", "vision_config": {}}, ("x",), (), "both directions"),
    "another VLM": ({"model_type": "mystery_vl", "vision_config": {}}, ("x",), (), "kind 'mystery_vl', which Rewardscope has not been shown to read"),
    "a text model": ({"model_type": "qwen2", "architectures": ["Qwen2ForSequenceClassification"]}, ("score.weight",), (), "text model .qwen2.: it reads no pictures"),
    "remote code": ({"model_type": "mystery", "auto_map": {"AutoModel": "m.X"}, "vision_config": {}}, ("x",), (), "runs code of its own"),
    "a pickle": ({"model_type": "qwen2_5_vl", "vision_config": {}}, (), ("pytorch_model.bin",), "pickles .pytorch_model.bin."),
    "a pickled head": ({"model_type": "qwen2_5_vl", "vision_config": {}}, ("x",), ("value_head.bin",), "value head .* is a pickle"),
    "AWQ": ({"model_type": "qwen2_5_vl", "vision_config": {}, "quantization_config": {"quant_method": "awq"}}, ("x",), (), "quantised"),
    "no weights": ({"model_type": "qwen2_5_vl", "vision_config": {}}, (), (), "no .safetensors weights"),
    "a classifier without its head": ({"model_type": "qwen2_5_vl", "vision_config": {}, "num_labels": 1}, ("x",), (), "says that it gives one reward, but it holds no reward head"),
    "half a head": ({"model_type": "qwen2_5_vl", "vision_config": {}}, ("v_head.summary.bias",), (), "holds v_head.summary.bias, but no weight that goes with it"),
    "only weights": (None, ("v_head.summary.weight",), (), "weights but no config.json"),
    "only a pickle": (None, (), ("adapter_model.bin",), "pickles"),
    "nothing": (None, (), (), "no config.json, so it is not a checkpoint"),
    "no type": ({"a": 1}, ("x",), (), "does not say what model it is"),
    "not JSON": ("{", ("x",), (), "config.json of .* is damaged"),
}  # fmt: skip


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_every_unsupported_kind_is_told_what_it_is(name, tmp_path, monkeypatch):
    config, weights, files, words = UNSUPPORTED[name]
    folder = folder_of(tmp_path, config, weights, files)
    for loader in ("_vlmdr", "_scalar", "_head", "_generative", "_adapter"):
        monkeypatch.setattr(opening, loader, lambda *_: pytest.fail("it was loaded"))
    with pytest.raises(CheckpointError, match=words) as raised:
        open_judge(str(folder), CPU)
    said = str(raised.value)
    assert said[0].isupper() or said[0] == "'", said
    assert said.endswith("."), said
    assert "{title}" not in said and folder.name in said and "\n" not in said


def test_each_supported_layout_is_known_without_loading(tmp_path):
    plain = qwen(tmp_path / "plain")
    assert kind_of(look_at(str(plain))).name == "judge that writes"
    assert kind_of(look_at(str(value_head(plain)))).name == "scalar head"
    assert kind_of(look_at(str(score_head(qwen(tmp_path / "swift"))))).name == "scalar head"
    from core.model.loading import EMBEDDED, EMBEDDED_SCALAR

    assert kind_of(look_at(str(EMBEDDED))).name == "VL-MDR"
    assert kind_of(look_at(str(EMBEDDED_SCALAR))).name == "scalar model of Rewardscope"
    inside = edit_config(qwen(tmp_path / "trl"), note="as TRL itself saves it: the head among the weights")
    save_file(
        {"v_head.summary.weight": torch.zeros(1, HIDDEN), "v_head.summary.bias": torch.zeros(1)},
        inside / "model-2.safetensors",
    )
    assert kind_of(look_at(str(inside))).name == "scalar head"


def test_embedded_names_and_nothing_at_all():
    assert isinstance(open_judge(None, CPU), VLMDRJudge) and isinstance(open_judge("vl-mdr", CPU), VLMDRJudge)
    assert isinstance(open_judge("scalar", CPU), ScalarJudge)
    assert open_judge("longer").card.id == "longer"


def test_what_is_neither_a_folder_nor_an_id_nor_an_address(tmp_path):
    file = tmp_path / "model.safetensors"
    file.write_bytes(b"")
    for source, words in (
        ("no such thing", "no such folder"),
        (str(tmp_path / "nowhere"), "no such folder"),
        (str(file), "is a file: give the folder"),
        ("../up/here", "no such folder"),
    ):
        with pytest.raises(CheckpointError, match=words):
            open_judge(source, CPU)


def test_a_hub_id_is_looked_at_before_it_is_downloaded(tmp_path, monkeypatch):
    """The hub's answers are made here: config and list of files first, and weights only of what will be opened."""
    import huggingface_hub
    from huggingface_hub.errors import LocalEntryNotFoundError

    asked = []
    folder = value_head(qwen(tmp_path / "m"))
    (tmp_path / "small").mkdir()
    for file in folder.glob("*.json"):
        (tmp_path / "small" / file.name).write_bytes(file.read_bytes())

    def download(source, revision=None, allow_patterns=()):
        asked.append(list(allow_patterns))
        return str(folder if "*.safetensors" in allow_patterns else tmp_path / "small")

    class Metadata:
        weight_map = {
            "v_head.summary.weight": "value_head.safetensors",
            "v_head.summary.bias": "value_head.safetensors",
        }
        parameter_count = {"F32": HIDDEN + 1}

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub, "get_safetensors_metadata", lambda *a, **k: Metadata)
    monkeypatch.setattr(
        huggingface_hub, "list_repo_files", lambda *a, **k: [f.name for f in folder.iterdir()]
    )
    judge = open_judge("somebody/reward", Options(device="cpu", revision="abc"))
    assert (
        judge.card.name == "somebody/reward" and judge.card.revision == "abc" and judge.card.kind == "scalar"
    )
    assert "*.safetensors" not in asked[0] and "*.safetensors" in asked[1]

    def fails(*_, **__):
        raise LocalEntryNotFoundError("secret-token at an address")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fails)
    with pytest.raises(CheckpointError, match="hub cannot be reached") as raised:
        open_judge("somebody/reward", CPU)
    assert "secret" not in str(raised.value)

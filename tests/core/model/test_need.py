"""Memory is known before anything is loaded: counts against a model without memory, and against what loading takes."""

from __future__ import annotations

import pytest
import torch
from checkpoints import qwen, value_head
from transformers import AutoModelForImageTextToText, Qwen2_5_VLConfig

from core.judges import opening
from core.judges.opening import open_judge
from core.judges.options import Options
from core.model import need
from core.model.loading import CheckpointError
from core.model.need import count, memory_there, need_of

# Qwen2.5-VL-7B-Instruct's config.json, as published.
SEVEN = Qwen2_5_VLConfig(
    text_config={"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28, "num_attention_heads": 28,
                 "num_key_value_heads": 4, "vocab_size": 152064, "max_position_embeddings": 128000,
                 "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]}},
    vision_config={"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "num_heads": 16, "out_hidden_size": 3584,
                   "patch_size": 14, "window_size": 112, "fullatt_block_indexes": [7, 15, 23, 31]},
    tie_word_embeddings=False,
)  # fmt: skip


def on_paper(config):
    """Parameters of a model whose weights take no memory."""
    with torch.device("meta"):
        model = AutoModelForImageTextToText.from_config(config)
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("shards", [False, True])
def test_the_files_headers_hold_as_many_numbers_as_the_model(shards, tmp_path):
    folder = qwen(tmp_path / "m", shards=shards)
    from transformers import AutoConfig

    assert count(folder) == on_paper(AutoConfig.from_pretrained(folder))


def test_a_seven_billion_model_on_paper(tmp_path, monkeypatch):
    parameters = on_paper(SEVEN)
    assert parameters == 8_292_166_656  # what the hub shows for Qwen2.5-VL-7B-Instruct
    SEVEN.save_pretrained(tmp_path)
    monkeypatch.setattr(need, "memory_there", lambda place: 20 << 30)
    found = need_of("Qwen2.5-VL-7B", tmp_path, "cpu", "bfloat16", parameters)
    assert found.weights == 2 * parameters
    assert found.sentence().startswith(
        "Qwen2.5-VL-7B: 8.29 billion parameters, 15.4 GiB of weights in bfloat16 on cpu, where 20.0 GiB are free. An input of 2,000 tokens"
    )
    # Keys and values alone: 28 layers, 4 heads of 128, 2 bytes, for 2,000 tokens; a map keeps every layer's states.
    assert found.judging > 2 * 28 * 4 * 128 * 2 * 2000 and found.map > 10 * found.judging
    found.check()
    with pytest.raises(CheckpointError, match=r"15.4 GiB.*float32|30.9 GiB in float32, and 20.0 GiB are free on cpu. Half of it is enough with --dtype bfloat16"):  # fmt: skip
        need_of("Qwen2.5-VL-7B", tmp_path, "cpu", "float32", parameters).check()


def test_it_is_said_before_loading_and_refused_where_it_cannot_fit(tmp_path, monkeypatch):
    folder, told = value_head(qwen(tmp_path / "m")), []

    def loads(contents, options):
        assert len(told) == 1
        raise CheckpointError("loaded")

    monkeypatch.setattr(opening, "KINDS", (opening.Kind("any", lambda c: True, loads),))
    with pytest.raises(CheckpointError, match="^loaded$"):
        open_judge(str(folder), Options(device="cpu"), told.append)
    assert told[0].startswith("m: 0.") and "are free" in told[0]
    monkeypatch.setattr(need, "memory_there", lambda place: 1000)
    with pytest.raises(CheckpointError, match="'m' does not fit: its weights take .* MiB in float32, and 0.0 MiB are free on cpu"):  # fmt: skip
        open_judge(str(folder), Options(device="cpu"))


def test_a_hub_model_that_cannot_fit_is_not_downloaded(tmp_path, monkeypatch):
    import huggingface_hub

    folder = value_head(qwen(tmp_path / "m"))
    (tmp_path / "small").mkdir()
    for file in folder.glob("*.json"):
        (tmp_path / "small" / file.name).write_bytes(file.read_bytes())
    asked = []

    def download(source, revision=None, allow_patterns=()):
        asked.extend(allow_patterns)
        return str(tmp_path / "small")

    class Metadata:
        weight_map = {"v_head.summary.weight": "value_head.safetensors"}
        parameter_count = {"BF16": 8_292_166_656, "F32": 3585}

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    monkeypatch.setattr(huggingface_hub, "get_safetensors_metadata", lambda *a, **k: Metadata)
    monkeypatch.setattr(huggingface_hub, "list_repo_files", lambda *a, **k: ["config.json", "model.safetensors"])  # fmt: skip
    monkeypatch.setattr(need, "memory_there", lambda place: 8 << 30)
    with pytest.raises(CheckpointError, match="'somebody/reward' does not fit: its weights take 15.4 GiB in bfloat16"):  # fmt: skip
        open_judge("somebody/reward", Options(device="cpu", dtype="bfloat16"))
    assert "*.safetensors" not in asked


def test_memory_within_a_container(tmp_path):
    assert need._container(tmp_path) is None
    (tmp_path / "memory.current").write_text("6000\n")
    (tmp_path / "memory.stat").write_text("anon 4500\nfile 1500\n")
    (tmp_path / "memory.max").write_text("max\n")
    assert need._container(tmp_path) is None
    (tmp_path / "memory.max").write_text("10000\n")
    assert need._container(tmp_path) == 5500
    there = memory_there(torch.device("cpu"))
    assert there is None or there > 100 << 20
    assert memory_there(torch.device("mps")) is None


def test_a_damaged_file_is_left_to_the_loader(tmp_path):
    folder = qwen(tmp_path / "m")
    (folder / "model.safetensors").write_bytes(b"x" * 50)
    assert count(folder) == 0 and need_of("m", folder, "cpu", None) is None
    with pytest.raises(CheckpointError, match="cannot be read"):
        open_judge(str(folder), Options(device="cpu"))

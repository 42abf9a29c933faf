"""Checkpoints of every kind: good, foreign, halved, pickled, absent."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.judges.vlmdr import VLMDRJudge
from core.model.loading import CheckpointError, choose_dtype, load_checkpoint


@pytest.fixture
def checkpoint(random_model, processor, tmp_path):
    folder = tmp_path / "checkpoint"
    random_model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def test_a_folder_loads_and_judges_as_before(checkpoint, random_model):
    model, _ = load_checkpoint(checkpoint, device="cpu")
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), random_model.parameters(), strict=True))
    assert VLMDRJudge.load(checkpoint, device="cpu").card.embedded is False


def test_half_a_checkpoint(checkpoint):
    path = checkpoint / "model.safetensors"
    tensors = load_file(path)
    save_file(
        {k: v for i, (k, v) in enumerate(sorted(tensors.items())) if i % 2}, path, metadata={"format": "pt"}
    )
    with pytest.raises(CheckpointError, match="incomplete checkpoint"):
        load_checkpoint(checkpoint)


def test_a_truncated_file(checkpoint):
    path = checkpoint / "model.safetensors"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(CheckpointError, match="cannot be read"):
        load_checkpoint(checkpoint)


def test_a_pickle_is_not_opened(checkpoint):
    (checkpoint / "model.safetensors").unlink()

    class Evil:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    torch.save({"x": Evil()}, checkpoint / "pytorch_model.bin")
    with pytest.raises(CheckpointError, match="pickles"):
        load_checkpoint(checkpoint)


def test_another_kind_of_model(checkpoint):
    config = checkpoint / "config.json"
    config.write_text(json.dumps({"model_type": "bert", "vocab_size": 10}))
    with pytest.raises(CheckpointError, match="kind 'bert', not a VL-MDR"):
        load_checkpoint(checkpoint)
    config.write_text(json.dumps({"model_type": "never_heard_of"}))
    with pytest.raises(CheckpointError, match="kind 'never_heard_of'"):
        load_checkpoint(checkpoint)


def test_dimensions_that_do_not_fit_the_weights_are_named(checkpoint):
    config = checkpoint / "config.json"
    values = json.loads(config.read_text())
    for listed, words in (
        (["taste"] * 21, "'taste' stands there more than once"),
        ([], "names no dimensions"),
        (["taste", "smell"], "names 2 dimensions but says that there are 21"),
        (["taste", " "], "has no key"),
        ([7], "cannot be used"),
    ):
        config.write_text(json.dumps({**values, "dimensions": listed}))
        with pytest.raises(CheckpointError, match=words):
            load_checkpoint(checkpoint)
    for k in (0, -3, 22):
        config.write_text(json.dumps({**values, "top_k": k}))
        with pytest.raises(CheckpointError, match="top_k"):
            load_checkpoint(checkpoint)


def test_no_processor(checkpoint):
    (checkpoint / "tokenizer.json").unlink()
    (checkpoint / "tokenizer_config.json").unlink()
    with pytest.raises(CheckpointError, match="no usable tokenizer"):
        load_checkpoint(checkpoint)


def test_an_empty_folder_and_a_name_that_is_none(tmp_path):
    with pytest.raises(CheckpointError, match="no config.json"):
        load_checkpoint(tmp_path)
    with pytest.raises(CheckpointError, match="No checkpoint can be loaded"):
        load_checkpoint("/no/such/folder")


def test_types():
    assert choose_dtype(torch.device("cpu")) is torch.float32
    assert choose_dtype(torch.device("cuda")) is torch.bfloat16
    assert choose_dtype(torch.device("cpu"), "bfloat16") is torch.bfloat16
    with pytest.raises(CheckpointError, match="not a floating point type"):
        choose_dtype(torch.device("cpu"), "int8")

"""A checkpoint of somebody else's: none of its code is run, nothing is asked, and what cannot judge is refused when it is loaded."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from core.model.loading import CheckpointError, load_checkpoint
from core.model.ood import OODModel
from core.model.trial import TrialError, within

ROOT = Path(__file__).parents[3]


@pytest.fixture
def checkpoint(random_model, processor, tmp_path):
    folder = tmp_path / "checkpoint"
    random_model.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def edit(folder, name, **changes):
    file = folder / name
    row = json.loads(file.read_text())
    for key, value in changes.items():
        at, *rest = key.split("__")[::-1]
        here = row
        for step in rest[::-1]:
            here = here[step]
        here[at] = value
    file.write_text(json.dumps(row))


EVIL = "import pathlib\npathlib.Path({mark!r}).write_text('ran')\nclass Evil:\n    pass\n"
AUTO = {
    "tokenizer_config.json": {"AutoTokenizer": ["evil.Evil", "evil.Evil"]},
    "config.json": {"AutoConfig": "evil.Evil", "AutoModel": "evil.Evil"},
    "preprocessor_config.json": {"AutoImageProcessor": "evil.Evil"},
}


@pytest.mark.parametrize("name", AUTO)
def test_no_code_of_a_checkpoint_is_run_whatever_is_answered(checkpoint, tmp_path, name):
    if not (checkpoint / name).exists():
        pytest.skip(f"this version of transformers writes no {name}")
    mark = tmp_path / "mark"
    (checkpoint / "evil.py").write_text(EVIL.format(mark=str(mark)))
    edit(checkpoint, name, auto_map=AUTO[name])
    if name == "tokenizer_config.json":
        edit(checkpoint, name, tokenizer_class="Evil")
    code = f"from core.model.loading import *\ntry:\n    load_checkpoint({str(checkpoint)!r}, device='cpu'); print('LOADED')\nexcept CheckpointError as e: print('REFUSED', e)"
    said = subprocess.run([sys.executable, "-c", code], input="y\ny\ny\n", capture_output=True, text=True, cwd=ROOT, timeout=120)  # fmt: skip
    assert not mark.exists() and "[y/N]" not in said.stdout + said.stderr
    assert "REFUSED" in said.stdout or "LOADED" in said.stdout
    if name == "tokenizer_config.json":
        assert "REFUSED" in said.stdout


def test_code_of_a_backbone_is_not_run_either(checkpoint, tmp_path):
    mark = tmp_path / "mark"
    (checkpoint / "evil.py").write_text(EVIL.format(mark=str(mark)))
    edit(checkpoint, "config.json", vlm_config__auto_map={"AutoModel": "evil.Evil", "AutoConfig": "evil.Evil"})  # fmt: skip
    load_checkpoint(checkpoint, device="cpu")
    assert not mark.exists()


@pytest.mark.parametrize("wrong", [float("nan"), float("inf"), float("-inf")])
def test_weights_that_are_not_numbers_are_refused(checkpoint, wrong):
    path = checkpoint / "model.safetensors"
    tensors = load_file(path)
    name = sorted(tensors)[-1]
    tensors[name].view(-1)[-1] = wrong
    save_file(tensors, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="not numbers, the first in"):
        load_checkpoint(checkpoint, device="cpu")


@pytest.mark.parametrize("top_k", [0, -3, 22, 10**9, "3", None, 2.5, True, [1]])
def test_a_top_k_that_cannot_be_is_refused(checkpoint, top_k):
    edit(checkpoint, "config.json", top_k=top_k)
    with pytest.raises(CheckpointError):
        load_checkpoint(checkpoint, device="cpu")


@pytest.mark.parametrize("about", [[], [1], "text", 5])
def test_about_must_be_a_table(checkpoint, about):
    edit(checkpoint, "config.json", about=about)
    with pytest.raises(CheckpointError):
        load_checkpoint(checkpoint, device="cpu")


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "tokenizer.json"])
@pytest.mark.parametrize("text", ["", "[]", "null", "[" * 100_000, '{"a":' * 50_000, "\x00\xff", '{"model_type": '])  # fmt: skip
def test_a_config_that_is_no_table_is_a_sentence(checkpoint, name, text):
    (checkpoint / name).write_text(text, errors="surrogateescape")
    with pytest.raises(CheckpointError) as told:
        load_checkpoint(checkpoint, device="cpu")
    assert str(told.value).endswith((".", "")) and name in str(told.value)


TEMPLATES = {
    "empty": "", "no picture": "{{ messages[0]['content'][1]['text'] }}", "broken": "{% for %}", "escaping": "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "reading": "{% include '/etc/passwd' %}", "looping": "{% for a in range(10**9) %}x{% endfor %}", "raising": "{{ raise_exception('no') }}",
}  # fmt: skip


@pytest.mark.parametrize("name", TEMPLATES)
def test_a_chat_template_is_tried_out(checkpoint, name):
    for file in checkpoint.glob("chat_template*"):
        file.unlink()
    edit(checkpoint, "tokenizer_config.json", chat_template=TEMPLATES[name])
    with pytest.raises(CheckpointError):
        load_checkpoint(checkpoint, device="cpu")


def test_what_takes_for_ever_is_left_behind():
    with pytest.raises(TrialError, match="takes longer"):
        within(0.1, lambda: __import__("time").sleep(30))
    with pytest.raises(ZeroDivisionError):
        within(5, lambda: 1 / 0)


@pytest.mark.parametrize("changes", [
    {"patch_size": 0}, {"patch_size": "14"}, {"merge_size": -2}, {"temporal_patch_size": 10**9}, {"image_mean": "grey"},
    {"image_mean": [None, 1, 2]}, {"image_std": ["a", "b", "c"]}, {"size": {"shortest_edge": 10**12, "longest_edge": 10**12}}, {"rescale_factor": "x"},
    {"image_std": [0, 0, 0]},
])  # fmt: skip
def test_an_image_processor_that_cannot_be_is_refused(checkpoint, changes):
    name = next(n for n in ("preprocessor_config.json", "processor_config.json") if (checkpoint / n).exists())
    row = json.loads((checkpoint / name).read_text())
    row.get("image_processor", row).update(changes)
    (checkpoint / name).write_text(json.dumps(row))
    with pytest.raises(CheckpointError):
        load_checkpoint(checkpoint, device="cpu")


def test_a_missing_tokenizer_is_refused(checkpoint):
    (checkpoint / "tokenizer.json").unlink()
    with pytest.raises(CheckpointError):
        load_checkpoint(checkpoint, device="cpu")


def test_damaged_statistics_of_pictures_are_refused(tmp_path):
    known = {"mean": torch.zeros(4), "whiten": torch.eye(4), "centre": torch.zeros(14), "spread": torch.ones(14), "known": torch.zeros(5, 14)}  # fmt: skip
    OODModel(dict(known), 1.0).save(tmp_path)
    assert OODModel.load_for(tmp_path)
    for name, wrong in {"mean": torch.zeros(3), "known": torch.zeros(1, 14), "centre": torch.zeros(2), "spread": torch.full((14,), float("nan"))}.items():  # fmt: skip
        OODModel({**known, name: wrong}, 1.0).save(tmp_path)
        with pytest.raises(CheckpointError, match="damaged"):
            OODModel.load_for(tmp_path)
    for data in (b"", b"x" * 100, (tmp_path / "ood.safetensors").read_bytes()[:60]):
        (tmp_path / "ood.safetensors").write_bytes(data)
        with pytest.raises(CheckpointError, match="damaged"):
            OODModel.load_for(tmp_path)
    save_file(known, tmp_path / "ood.safetensors")  # without metadata
    with pytest.raises(CheckpointError, match="damaged"):
        OODModel.load_for(tmp_path)

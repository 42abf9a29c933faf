"""Models that cannot be used, through the command that anyone would type: one sentence each, and no secret in it."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
from checkpoints import HIDDEN, QWEN_TEMPLATE, add_weights, edit_config, qwen, value_head
from PIL import Image
from safetensors.torch import save_file
from server import serving
from typer.testing import CliRunner

from core.commands.app import app

SECRET = "sk-very-secret-0123456789"
HUB_SECRET = "hf_very_secret_0123456789"


def bare(folder: Path, config, *weights: str, files: tuple[str, ...] = ()) -> Path:
    """A folder that nobody loads."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config))
    if weights:
        save_file({w: torch.zeros(1) for w in weights}, folder / "model.safetensors", {"format": "pt"})
    for file in files:
        (folder / file).write_bytes(b"x")
    return folder


def nan(folder: Path) -> Path:
    add_weights(
        value_head(folder), **{"model.language_model.norm.weight": torch.full((HIDDEN,), float("nan"))}
    )
    return folder


def prompt_file(folder: Path) -> list[str]:
    (folder / "prompt.toml").write_text("text = 'Which of {first} and {second} answers {prompt}?'")
    return ["--prompt", str(folder / "prompt.toml")]


THINKS = QWEN_TEMPLATE.replace(
    "<|im_start|>assistant\n{% endif %}", "<|im_start|>assistant\n<think>\n{% endif %}"
)
QWEN = {"model_type": "qwen2_5_vl", "vision_config": {}}
# What is given after the question and the answers, made in a folder; and what the sentence says.
BAD = {
    "LLaVA-OneVision that calls itself llava": (lambda f: ["--model", bare(f / "m", {"model_type": "llava", "architectures": ["LlavaQwenForCausalLM"]}, "x")], "LLaVA-NeXT's own format"),
    "code of its own": (lambda f: ["--model", bare(f / "m", {"model_type": "internlmxcomposer2", "auto_map": {"AutoModel": "m.X"}}, "x")], "runs code of its own, which Rewardscope never does"),
    "no value head": (lambda f: ["--model", bare(f / "m", {**QWEN, "num_labels": 1}, "x")], "holds no reward head"),
    "half a value head": (lambda f: ["--model", bare(f / "m", QWEN, "v_head.summary.bias")], "its reward head is missing a part"),
    "a value head of another width": (lambda f: ["--model", value_head(qwen(f / "m"), width=99)], "takes states of width 99, and it is given 64"),
    "a pickled value head": (lambda f: ["--model", bare(f / "m", QWEN, "x", files=("value_head.bin",))], "is a pickle"),
    "pickled weights": (lambda f: ["--model", bare(f / "m", QWEN, files=("pytorch_model.bin",))], "are pickles"),
    "weights that are not numbers": (lambda f: ["--model", nan(qwen(f / "m"))], "not numbers (NaN)"),
    "a turn that begins with <think>": (lambda f: ["--model", value_head(qwen(f / "m", text=THINKS))], "made for a model that thinks first"),
    "a model type that lies": (lambda f: ["--model", edit_config(value_head(qwen(f / "m")), model_type="llava_next")], "LLaVA-NeXT cuts pictures into tiles"),
    "a prompt file without its fields": (lambda f: ["--model", qwen(f / "m"), *prompt_file(f)], "The prompt file 'prompt.toml' has no field 'lead'"),
    "a prompt that is not there": (lambda f: ["--model", qwen(f / "m"), "--prompt", "nowhere"], "There is no prompt 'nowhere'"),
    "a folder that is not there": (lambda f: ["--model", f / "nowhere"], "there is no such folder"),
    "an address where nothing is": (lambda f: ["--model", "http://127.0.0.1:9/v1"], "cannot be reached"),
    "an address with a key in it": (lambda f: ["--model", f"http://name:{SECRET}@127.0.0.1:9/v1"], "holds a name, a password or a key"),
}  # fmt: skip


def told(image: Path, *more: object, command: str = "judge") -> str:
    """What the command says, which must be one sentence or two, and an end with 2."""
    given = [command, str(image), "What is it?", "A dog.", "A cat."] if command == "judge" else [command]
    done = CliRunner().invoke(app, [*given, *map(str, more)], prog_name="python -m core")
    assert done.exit_code == 2, done.output
    said = done.stderr.strip().splitlines()[-1]
    assert re.fullmatch(r"Cannot (judge|run): ['A-Z].*\.", said), said
    assert "Traceback" not in done.output and SECRET not in done.output and HUB_SECRET not in done.output
    return said


@pytest.fixture
def image(tmp_path, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    monkeypatch.setenv("HF_TOKEN", HUB_SECRET)
    path = tmp_path / "i.png"
    Image.new("RGB", (64, 64), "red").save(path)
    return path


@pytest.mark.parametrize("name", BAD)
def test_what_cannot_be_used_is_told_in_a_sentence(name, tmp_path, image):
    make, words = BAD[name]
    said = told(image, *make(tmp_path), "--device", "cpu")
    assert words in said and str(tmp_path) not in said.replace(str(tmp_path / "nowhere"), "")


def test_a_server_that_is_none_and_a_wrong_key(image):
    def never(handler, body, number):
        raise AssertionError("it was asked to judge")

    with serving(never, models=b"<html>hello</html>") as server:
        assert "not one of the OpenAI protocol" in told(image, "--model", server.address)
    with serving(never, models=None) as server:
        assert "no list of models" in told(image, "--model", server.address)
    with serving(never, key="another key") as server:
        assert "refuses the key in OPENAI_API_KEY" in told(image, "--model", server.address)


def test_a_run_with_a_wrong_key_leaves_nothing_behind(tmp_path, image):
    with serving(lambda *_: None, key="another key") as server:
        said = told(image, "--benchmark", "scene", "--output", tmp_path / "run", "--limit", 3, "--model", server.address, command="run")  # fmt: skip
    assert "refuses the key" in said and not (tmp_path / "run").exists()

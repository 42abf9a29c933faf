"""A tiny policy and settings with which the whole command runs in seconds."""

import pytest
import torch
from checkpoints import qwen

SETTINGS = """
[run]
prompt = "brief-think"
tries = 2
hard_from = 1
[sft]
max_steps = {sft}
per_device_train_batch_size = 4
learning_rate = 2e-3
save_steps = {sft_save}
[rl]
max_steps = 4
per_device_train_batch_size = 4
steps_per_generation = 2
num_generations = 4
max_completion_length = 8
learning_rate = 1e-4
loss_type = "grpo"
scale_rewards = "none"
save_steps = 2
"""
PLAIN = (
    "use_cpu = true\nbf16 = false\ngradient_checkpointing = false\nlogging_steps = 1\ndisable_tqdm = true\n"
)


@pytest.fixture(autouse=True)
def one_thread():
    """On a busy machine several threads of tiny tensors only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def policy(tmp_path_factory):
    return qwen(tmp_path_factory.mktemp("policy"), old=True)  # with the names that published checkpoints have


@pytest.fixture
def settings(tmp_path):
    """A function: steps of the cold start -> the path of a settings file."""

    def write(sft=4, **replaced):
        text = SETTINGS.format(sft=sft, sft_save=max(sft // 2, 1)).replace("[rl]", f"{PLAIN}[rl]") + PLAIN
        for name, value in replaced.items():
            text = text.replace(f"{name} = ", f"{name} = {value} # ")
        path = tmp_path / "settings.toml"
        path.write_text(text)
        return path

    return write

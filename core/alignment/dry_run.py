"""Everything of a training but its weights: built and said before a cluster is asked for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from trl import SFTConfig

from core.alignment.config import Settings, TrainingError
from core.alignment.first_texts import make_data
from core.alignment.job import Job, claim
from core.alignment.policy import dataset, open_policy, shape_of
from core.alignment.reasoning_data import read_questions
from core.alignment.reasoning_judge import rl_config
from core.alignment.rewards import reasoning_rewards
from core.alignment.stable_reinforce import RECIPES, check_ratio_can_move
from core.judges.contents import look_at
from core.judges.prompts import find_prompt
from core.model.backbones import open_processor


def dry_run(job: Job, launch: Path | None = None) -> list[str]:
    """Builds everything but the weights, and says in lines what would be trained. launch: accelerate's own settings.
    Raises what `train` would raise before its first step."""
    lines, settings = [], job.settings
    processes = 1
    if launch is not None:
        from accelerate.commands.config.config_args import load_config_from_file

        processes = load_config_from_file(str(launch)).num_processes
        lines.append(f"launch: {processes} processes by {launch.name}")
    prompt = find_prompt(settings.prompt)
    functions, weights = reasoning_rewards(prompt)
    sft = SFTConfig(**{"output_dir": "dry-run", **settings.sft, "use_cpu": True, "bf16": False})
    rl = rl_config(
        Settings(**{**asdict(settings), "rl": {**settings.rl, "use_cpu": True, "bf16": False}}),
        Path("dry-run"),
        job.seed,
        weights,
    )
    check_ratio_can_move(rl)
    lines.append(f"recipe: {RECIPES[settings.recipe]}")
    lines.append(
        "rewards: " + " + ".join(f"{w:g} {f.__name__}" for w, f in zip(weights, functions, strict=True))
    )
    if settings.model is None:
        model, processor = open_policy(None, "cpu")
    else:
        _, model = shape_of(settings.model)
        contents = look_at(settings.model)
        processor = open_processor(contents.folder, contents.title)
    parameters = sum(p.numel() for p in model.parameters())
    lines.append(f"model: {type(model).__name__}, {parameters:,} parameters; weights, gradients and Adam take about "
                 f"{16 * parameters / processes / 2**30:,.1f} GiB on each of {processes}, before activations")  # fmt: skip
    claim(job)
    make_data(job)
    questions = read_questions(job.output / "data.jsonl")
    rows = dataset(questions[:64], prompt, processor, job.pictures)
    lengths = [prompt_tokens(processor, row) for row in rows]
    lines.append(
        f"data: {len(questions):,} questions; the first {len(rows)} are {min(lengths):,} to {max(lengths):,} tokens long, picture included"
    )
    group = rl.num_generations or 1
    batch = rl.per_device_train_batch_size * processes * rl.gradient_accumulation_steps
    rollout = rl.per_device_train_batch_size * processes * (rl.steps_per_generation or 1)
    lines.append(
        f"cold start: {sft.per_device_train_batch_size * processes * sft.gradient_accumulation_steps} thoughts a step"
    )
    lines.append(
        f"rl: {rollout} answers a rollout ({rollout // group} questions), {batch} a step: {rollout // batch} steps on each rollout"
    )
    if rollout % group:
        raise TrainingError(f"{rollout} answers a rollout cannot be parted into groups of {group}.")
    return lines


def prompt_tokens(processor: Any, row: dict[str, Any]) -> int:
    """Of one question, its picture's tokens included. Raises TrainingError where the processor would mislead the model."""
    text = processor.apply_chat_template(row["prompt"], add_generation_prompt=True, tokenize=False)
    inputs = processor(images=[row["images"]], text=[text], return_tensors="pt", padding=True)
    at_image = inputs["input_ids"] == processor.image_token_id
    if not torch.equal(inputs["mm_token_type_ids"].bool(), at_image) or not at_image.any():
        raise TrainingError(
            "The processor does not mark the picture's tokens, so their positions would be wrong."
        )
    return int(inputs["input_ids"].shape[1])

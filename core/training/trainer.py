"""Trains the embedded model: `python -m core train scene --output checkpoints/scene --export assets/model`.

Kill it and start it again: finished stages are skipped, a started one continues from its last checkpoint.
Works the same under `accelerate launch` on several devices.
"""

from __future__ import annotations

import json
import platform
import time
from pathlib import Path
from typing import Any

import torch
from transformers import Trainer, TrainerCallback, TrainingArguments, set_seed
from transformers.trainer_utils import get_last_checkpoint

from core.model import VLMDR
from core.model.loading import load_checkpoint
from core.model.processor import RewardProcessor
from core.model.scalar import ScalarReward, ScalarRewardConfig
from core.training.data import Collator, LessonDataset
from core.training.objective import Objective, ScalarObjective
from core.training.stages import STAGES, Stage, tiny_config
from core.training.tokenizer import build_processor

NAMES = {"vl-mdr": "Rewardscope scene model", "scalar": "Rewardscope scene model, scalar head"}
LESSONS_PER_STAGE = 10_000_000  # lesson numbers of different stages never meet


class ObjectiveTrainer(Trainer):
    """Trainer that also logs the terms of the objective."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._terms: dict[str, list[float]] = {}

    def compute_loss(
        self, model: Any, inputs: dict, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        del num_items_in_batch
        out = model(**inputs)
        for name, value in out.items():
            if name != "loss":
                self._terms.setdefault(name, []).append(float(value))
        return (out["loss"], out) if return_outputs else out["loss"]

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        means = {k: round(sum(v) / len(v), 4) for k, v in self._terms.items()}
        self._terms.clear()
        super().log({**logs, **means}, *args, **kwargs)


class Until(TrainerCallback):
    """Ends a stage at a measured criterion rather than by the clock."""

    def __init__(self, term: str, value: float) -> None:
        self.term, self.value = term, value

    def on_log(self, args: Any, state: Any, control: Any, logs: dict | None = None, **_: Any) -> None:
        if logs and logs.get(self.term, float("inf")) < self.value:
            control.should_training_stop = True


def run_stage(
    objective: Objective, processor: RewardProcessor, number: int, stage: Stage, folder: Path, seed: int
) -> None:
    done = folder / "objective.pt"
    if done.exists():
        print(f"stage {stage.name}: already finished, loading {done}")
        objective.load_state_dict(torch.load(done, weights_only=True))
        return
    started = time.time()
    objective.weights = stage.weights
    objective.requires_grad_(not stage.head_only)
    objective.model.head.requires_grad_(True)
    arguments = TrainingArguments(
        output_dir=str(folder),
        max_steps=stage.steps,
        per_device_train_batch_size=stage.lessons,
        learning_rate=stage.learning_rate,
        lr_scheduler_type="cosine_with_min_lr",
        lr_scheduler_kwargs={"min_lr_rate": stage.final_rate},
        warmup_steps=stage.warmup,
        weight_decay=0.01,
        adam_beta2=0.98,
        max_grad_norm=1.0,
        logging_steps=50,
        save_steps=500,
        save_total_limit=1,
        train_sampling_strategy="sequential",  # lessons are random already; twins stay side by side
        dataloader_num_workers=1,
        dataloader_prefetch_factor=4,
        remove_unused_columns=False,
        report_to="none",
        disable_tqdm=True,
        seed=seed,
    )
    data = LessonDataset(
        processor, seed, number * LESSONS_PER_STAGE, stage.steps * stage.lessons * max(1, arguments.world_size),
        stage.questions, stage.answers, stage.opening, stage.erase,
    )  # fmt: skip
    trainer = ObjectiveTrainer(
        model=objective, args=arguments, train_dataset=data, data_collator=Collator(processor)
    )
    if stage.until:
        trainer.add_callback(Until(*stage.until))
    checkpoint = get_last_checkpoint(str(folder)) if folder.exists() else None
    trainer.train(resume_from_checkpoint=checkpoint)
    if trainer.is_world_process_zero():
        torch.save(objective.state_dict(), done)
        minutes = (time.time() - started) / 60
        record = {"stage": stage.name, "minutes": round(minutes, 1), "device": str(arguments.device),
                  "threads": torch.get_num_threads(), "machine": platform.machine()}  # fmt: skip
        (folder / "finished.json").write_text(json.dumps(record))
        print(f"stage {stage.name}: {minutes:.1f} minutes")


def train(
    output: Path, seed: int, head: str, start: str | None = None, first: str = "ground"
) -> tuple[VLMDR | ScalarReward, RewardProcessor]:
    """The stages from `first` on; returns the trained model (fp32) and its processor. Both heads share the stages
    before judging.

    start: a VL-MDR checkpoint whose weights to begin with. Its auxiliary heads were dropped at export, so later
    stages that use them would learn them anew.
    """
    set_seed(seed)
    if start:
        model, processor = load_checkpoint(start, device="cpu", dtype="float32")
    else:
        processor = build_processor(seed)
        model = VLMDR(tiny_config(processor))
    objective = Objective(model, {}, processor)
    skipped = [s.name for s in STAGES].index(first)
    for number, stage in enumerate(STAGES):
        if number < skipped:
            continue
        folder = output / f"{number}-{stage.name}"
        if head == "scalar" and stage.judges:
            if not isinstance(objective, ScalarObjective):
                objective = with_scalar_head(objective, processor)
            folder = folder.with_name(f"{folder.name}-scalar")
        run_stage(objective, processor, number, stage, folder, seed)
    return objective.model, processor


def with_scalar_head(objective: Objective, processor: RewardProcessor) -> ScalarObjective:
    """The same backbone and auxiliary heads under a new scalar head."""
    model = ScalarReward(ScalarRewardConfig(vlm_config=objective.model.config.vlm_config))
    out = ScalarObjective(model, {}, processor)
    learnt = {k: v for k, v in objective.state_dict().items() if not k.startswith("model.head.")}
    out.load_state_dict({**out.state_dict(), **learnt})
    return out


def export(
    model: VLMDR | ScalarReward, processor: RewardProcessor, folder: Path, head: str, seed: int
) -> None:
    """The trained model in half precision, with what it is and how it was made in its config."""
    model.config.about = {
        "name": NAMES[head],
        "trained_on": "the scene world's training split (drawn shapes, charts, tables, signs, bottles, arrow diagrams)",
        "command": f"python -m core train scene --head {head} --seed {seed}",
    }
    model.half().save_pretrained(folder)
    processor.save_pretrained(folder)

"""`python -m core train reasoning-judge`: from preference data to a judge that thinks before it decides (R1-Reward).

data       both orders of each pair, in data.jsonl, with pictures in images/
texts      thoughts to begin with: by the answer key (the scene world), or by a judge that writes; texts.jsonl
cold start supervised training on them; sft/
difficulty how many attempts each question takes; attempts.jsonl
rl         StableReinforce, or another recipe, on the hard ones; rl/
model/     what comes out, opened like any judge that writes

Kill it at any moment and start it again: finished stages are skipped, begun ones continue. A folder belongs to one training:
another one in it is refused. Works the same under `accelerate launch`.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from accelerate import PartialState
from transformers import set_seed
from transformers.trainer_utils import get_last_checkpoint
from trl import GRPOConfig, SFTConfig

from core.alignment.cold_start import ColdStartTrainer, FactCollator
from core.alignment.config import Settings, TrainingError
from core.alignment.first_texts import make_data, make_texts
from core.alignment.job import Job, claim
from core.alignment.policy import dataset, open_policy
from core.alignment.reasoning_data import Question, read_questions, read_rows, write_rows
from core.alignment.rewards import Consistency, by_conclusion, by_judge, reasoning_rewards
from core.alignment.sampling import sample
from core.alignment.stable_reinforce import RECIPES, StableReinforceTrainer
from core.images import open_image
from core.judges.generative import GenerativeJudge
from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.prompts import find_prompt
from core.judges.verdicts import read
from core.model.processor import RewardProcessor
from core.runs.manifest import write_whole

SIDE_BY_SIDE = 64  # questions whose difficulty is tried at once


def train(job: Job) -> Path:
    """All stages; the folder of the trained judge. Raises TrainingError, BenchmarkError and CheckpointError with sentences."""
    state = PartialState()
    if state.is_main_process:
        claim(job)
        make_data(job)
        make_texts(job)
    state.wait_for_everyone()
    questions = read_questions(job.output / "data.jsonl")
    written = {r["id"]: r for r in read_rows(job.output / "texts.jsonl") if r["text"]}
    _cold_start(job, [q for q in questions if q.id in written], written)
    tried = questions[-job.settings.rl_questions :]  # the last, which the cold start has seen least of
    if state.is_main_process:
        _difficulty(job, tried)
    state.wait_for_everyone()
    return _rl(job, hard(job, tried))


def _cold_start(job: Job, questions: list[Question], written: dict[str, dict[str, Any]]) -> None:
    folder = job.output / "sft"
    if (folder / "model" / "config.json").exists():
        return
    if not questions:
        raise TrainingError(
            "No question has a right thought to begin with: choose another --writer, or more tries."
        )
    set_seed(job.seed)
    model, processor = _policy(job, job.settings.model)
    args = SFTConfig(**{
        "output_dir": str(folder), "seed": job.seed, "data_seed": job.seed, "report_to": "none", "save_total_limit": 1,
        "remove_unused_columns": False, "completion_only_loss": True, "max_length": None,  # TRL cuts long thoughts off otherwise
        **job.settings.sft,
    })  # fmt: skip
    texts = {k: str(r["text"]) for k, r in written.items()}
    facts = {k: r.get("facts") for k, r in written.items()}
    rows = dataset(questions, find_prompt(job.settings.prompt), processor, job.pictures, texts, facts)
    trainer = ColdStartTrainer(
        model=model,
        args=args,
        train_dataset=rows.remove_columns(["answer", "id", "first", "second"]),
        processing_class=processor,
        data_collator=FactCollator(processor),
    )
    trainer.fact_weight = job.settings.fact_weight
    trainer.train(resume_from_checkpoint=_begun(folder))
    _save(trainer, processor, folder / "model")
    job.say(f"cold start: {trainer.state.global_step:,} steps on {len(questions):,} thoughts")


def _difficulty(job: Job, questions: list[Question]) -> None:
    """By the writer's attempts where a judge wrote, else by those of the model after its cold start."""
    file = job.output / "attempts.jsonl"
    done = read_rows(file)
    if len(done) >= len(questions):
        return
    told = {r["id"]: r["attempts"] for r in read_rows(job.output / "texts.jsonl")}
    if all(v is not None for v in told.values()):
        write_rows(file, ({"id": q.id, "attempts": told[q.id]} for q in questions))
        return
    write_rows(file, done)
    judge = open_judge(
        str(job.output / "sft" / "model"), Options(prompt=job.settings.prompt, device=_device(job))
    )
    assert isinstance(judge, GenerativeJudge)
    longest = job.settings.rl.get("max_completion_length", judge.prompt.max_new_tokens)
    judge.prompt = replace(judge.prompt, max_new_tokens=min(longest, judge.prompt.max_new_tokens))
    known = {r["id"] for r in done}
    left = [q for q in questions if q.id not in known]
    with file.open("a", encoding="utf-8") as out:
        for start in range(0, len(left), SIDE_BY_SIDE):
            some = left[start : start + SIDE_BY_SIDE]
            seed = (
                job.seed + len(done) + start
            )  # another one for each batch, the same after a kill between two
            for q, took in zip(
                some, attempts(judge, some, job.pictures, job.settings.tries, seed), strict=True
            ):
                out.write(json.dumps({"id": q.id, "attempts": took}) + "\n")
            out.flush()


def attempts(
    judge: GenerativeJudge, questions: Sequence[Question], images: Path, tries: int, seed: int = 0
) -> list[int]:
    """Per question, how many sampled answers it takes until one is right; tries + 1 where none is."""
    asked = [
        (open_image((images / q.image).read_bytes()), judge.prompt.fill(q.question, q.first, q.second))
        for q in questions
    ]
    out = []
    for q, answers in zip(
        questions, sample(judge, asked, tries, judge.prompt.voting_temperature, seed), strict=True
    ):
        right = [
            finished and read(judge.prompt.parsing, text, (q.first, q.second)).choice == q.answer - 1
            for text, finished in answers
        ]
        out.append(right.index(True) + 1 if any(right) else tries + 1)
    return out


def hard(job: Job, questions: list[Question]) -> list[Question]:
    """Those that RL sees. Raises TrainingError where nothing is hard."""
    found = {r["id"]: r["attempts"] for r in read_rows(job.output / "attempts.jsonl")}
    kept = [q for q in questions if found[q.id] >= job.settings.hard_from]
    counts = Counter(found[q.id] for q in questions)
    job.say(
        "difficulty: "
        + ", ".join(f"{n:,} took {k}" for k, n in sorted(counts.items()))
        + f"; {len(kept):,} are hard"
    )
    if not kept:
        raise TrainingError("No question is hard enough for RL: lower hard_from, or bring harder data.")
    return kept


def _rl(job: Job, questions: list[Question]) -> Path:
    folder, final = job.output / "rl", job.output / "model"
    if (final / "config.json").exists():
        return final
    set_seed(job.seed)
    model, processor = _policy(job, str(job.output / "sft" / "model"))
    prompt = find_prompt(job.settings.prompt)
    functions, weights = reasoning_rewards(prompt, _consistency(job.settings.consistency))
    trainer = StableReinforceTrainer(
        model=model, reward_funcs=functions, args=rl_config(job.settings, folder, job.seed, weights),
        train_dataset=dataset(questions, prompt, processor, job.pictures), processing_class=processor,
        recipe=RECIPES[job.settings.recipe],
    )  # fmt: skip
    trainer.train(resume_from_checkpoint=_begun(folder))
    _save(trainer, processor, final)
    if trainer.is_world_process_zero():
        write_whole(folder / "log.json", json.dumps(trainer.state.log_history, indent=1).encode())
    job.say(
        f"rl: {trainer.state.global_step:,} steps of {job.settings.recipe}; the judge is in {final} (--prompt {job.settings.prompt})"
    )
    return final


def rl_config(settings: Settings, folder: Path, seed: int, weights: list[float]) -> GRPOConfig:
    return GRPOConfig(**{
        "output_dir": str(folder), "seed": seed, "data_seed": seed, "report_to": "none", "save_total_limit": 2,
        "remove_unused_columns": False, "reward_weights": weights, **settings.rl,
    })  # fmt: skip


def _consistency(asked: str) -> Consistency:
    if asked == "none":
        return lambda thought, choice, picture: 0
    return by_conclusion if asked == "conclusion" else by_judge(open_judge(asked))


def export(folder: Path, to: Path, about: dict[str, str]) -> None:
    """The judge in half precision, with what it is and how it was made in its config."""
    model, processor = open_policy(str(folder), "cpu")
    model.config.about = about
    model.half().save_pretrained(to)
    processor.image_processor.save_pretrained(to)
    processor.tokenizer.save_pretrained(to)


def _save(trainer: Any, processor: Any, folder: Path) -> None:
    """Under a name that is not the final one first: a kill in the middle leaves no model that looks whole."""
    trainer.accelerator.wait_for_everyone()
    half = folder.with_name(folder.name + ".tmp")
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        trainer.save_model(str(half))  # gathers what the processes hold
    if trainer.is_world_process_zero():
        if not (trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled):
            trainer.accelerator.unwrap_model(trainer.model).save_pretrained(half)
        processor.image_processor.save_pretrained(half)
        processor.tokenizer.save_pretrained(half)
        half.rename(folder)
    trainer.accelerator.wait_for_everyone()


def _policy(job: Job, source: str | None) -> tuple[Any, RewardProcessor]:
    model, processor = open_policy(source, _device(job))
    if job.settings.freeze_vision:
        model.model.visual.requires_grad_(False)
    if _device(job) == "cpu":
        model.set_attn_implementation(
            "eager"
        )  # for short texts in bfloat16 the plain form takes a third less time there
    return model, processor


def _begun(folder: Path) -> str | None:
    return get_last_checkpoint(str(folder)) if folder.is_dir() else None


def _device(job: Job) -> str | None:
    return "cpu" if job.settings.rl.get("use_cpu") else None

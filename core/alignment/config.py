"""Settings of a training run, from TOML: a table `run` of this project's own, and `sft` and `rl` as TRL's configs name them.

configs/embedded.toml       the embedded model on two CPU cores
configs/qwen2_5_vl_7b.toml  Qwen2.5-VL-7B on 8 GPUs, started under configs/qwen2_5_vl_7b.accelerate.yaml
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

CONFIGS = Path(__file__).parent / "configs"
LARGEST = 1 << 20  # bytes of a file
KINDS = {
    "tries": int,
    "hard_from": int,
    "rl_questions": int,
    "fact_weight": int,
    "freeze_vision": bool,
}  # of own settings; else str


class TrainingError(ValueError):
    """Settings, data or a folder that cannot be used; the message is a sentence."""


@dataclass(frozen=True)
class Settings:
    """model: a folder or hub id, None for the embedded one. prompt: how the judge is asked (core.judges.prompts). recipe: of
    core.alignment.stable_reinforce. consistency: "conclusion", "none", or a judge (a name, folder, hub id or address). tries:
    attempts by which difficulty is measured. hard_from: RL sees what took so many attempts, or failed. rl_questions: so many are
    tried, the last of the data; 0 for all. fact_weight: in the cold
    start, of words that the writer marks as facts; others weigh 1. freeze_vision: the vision tower keeps what it has learnt to see. sft, rl: fields of trl.SFTConfig and trl.GRPOConfig."""

    model: str | None = None
    prompt: str = "brief-think"
    recipe: str = "stable-reinforce"
    consistency: str = "conclusion"
    tries: int = 3
    hard_from: int = 2
    rl_questions: int = 0
    fact_weight: int = 1
    freeze_vision: bool = False
    sft: Mapping[str, Any] = field(default_factory=dict)
    rl: Mapping[str, Any] = field(default_factory=dict)


def read_settings(source: str | Path) -> Settings:
    """source: the name of a file in configs/, or a path. Raises TrainingError."""
    path = Path(source) if Path(source).suffix == ".toml" else CONFIGS / f"{source}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in CONFIGS.glob("*.toml")))
        raise TrainingError(
            f"There are no settings '{source}': use one of {known}, or the path of a TOML file."
        )
    try:
        if path.stat().st_size > LARGEST:
            raise TrainingError(f"'{path.name}' is larger than 1 MiB, so it does not hold settings.")
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise TrainingError(f"'{path.name}' cannot be read as TOML: {str(error)[:120]}.") from error
    return checked(raw, path.name)


def checked(raw: Mapping[str, Any], file: str) -> Settings:
    """Raises TrainingError that names what is wrong."""
    from trl import GRPOConfig, SFTConfig

    if strange := sorted(set(raw) - {"run", "sft", "rl"}):
        raise TrainingError(f"'{file}' has a table '{strange[0]}': use run, sft and rl.")
    own = {f.name: f for f in fields(Settings) if f.name not in ("sft", "rl")}
    tables: dict[str, Mapping[str, Any]] = {}
    for table, known in (("run", own), ("sft", _fields(SFTConfig)), ("rl", _fields(GRPOConfig))):
        found = raw.get(table, {})
        if not isinstance(found, Mapping):
            raise TrainingError(f"'{file}' has '{table}' that is not a table.")
        if strange := sorted(set(found) - set(known)):
            raise TrainingError(f"'{file}' has [{table}] {strange[0]}, which is not a setting.")
        tables[table] = found
    for name, value in tables["run"].items():
        wanted = KINDS.get(name, str)
        if not isinstance(value, wanted) or isinstance(value, bool) != (wanted is bool):
            raise TrainingError(f"'{file}' says {name} = {str(value)[:60]!r}, which cannot be read.")
    found_settings = Settings(**tables["run"], sft=tables["sft"], rl=tables["rl"])
    _check_values(found_settings, file)
    return found_settings


def _check_values(settings: Settings, file: str) -> None:
    from core.alignment.stable_reinforce import RECIPES

    if settings.recipe not in RECIPES:
        raise TrainingError(
            f"'{file}' names the recipe '{settings.recipe}': use one of {', '.join(RECIPES)}."
        )
    if not 1 <= settings.tries <= 64 or not 1 <= settings.hard_from <= settings.tries + 1:
        raise TrainingError(f"'{file}': tries must be from 1 to 64, and hard_from from 1 to tries + 1.")
    if settings.rl_questions < 0:
        raise TrainingError(f"'{file}': rl_questions must be 0 or more.")
    if not 1 <= settings.fact_weight <= 100:
        raise TrainingError(f"'{file}': fact_weight must be from 1 to 100.")


def _fields(config: type) -> set[str]:
    return {f.name for f in fields(config) if f.init}

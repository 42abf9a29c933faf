"""manifest.json of a run: what decides its numbers, and how it went. Format 2; those of release 0.1 (without one) are read."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from core.records import CardError, Condition, JudgeCard, plain
from core.records.checked import FormError
from core.runs.stats import checked_provenance, checked_stats
from core.taxonomy import KEYS

FORMAT = 2
LARGEST = 16 << 20  # bytes of a manifest that is read
LONGEST = 4000  # characters of a field
NAMES_0_1 = {
    "always first": "always-first",
    "longer wins": "longer",
    "shorter wins": "shorter",
    "no judge": "none",
}


class RunError(ValueError):
    """A run that cannot be opened or continued; the message says why and what to do."""


@dataclass
class Manifest:
    """judge: its card. condition: what it was shown for a picture; blank: what a blank image was
    (core.judges.conditions.BLANK), "" under other conditions. batch, window: rows. stats: counts, seconds, findings; not
    compared when a run is continued, nor is code, the version of Rewardscope that began it. provenance: what was understood
    of the data (core.benchmarks)."""

    benchmark: str
    title: str
    source: str
    data_revision: str
    judge: JudgeCard
    condition: Condition
    limit: int | None
    batch: int
    window: int
    code: str
    seed: int
    blank: str = ""
    stats: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)

    def identity_fields(self) -> dict[str, Any]:
        """What must be the same for a run to be continued."""
        return {k: v for k, v in self.to_row().items() if k not in ("stats", "code", "provenance")}

    def to_row(self) -> dict[str, Any]:
        return {
            "format": FORMAT,
            **asdict(self),
            "judge": self.judge.to_row(),
            "condition": str(self.condition),
        }

    def save(self, folder: Path) -> None:
        write_whole(
            folder / "manifest.json", json.dumps(self.to_row(), indent=1, ensure_ascii=False).encode()
        )

    @classmethod
    def load(cls, folder: Path) -> Manifest:
        """Raises RunError."""
        name = f"{folder.name}: its manifest.json"
        try:
            path = folder / "manifest.json"
            if path.stat().st_size > LARGEST:
                raise RunError(
                    f"{name} is larger than {LARGEST >> 20} MiB, so it was not made by Rewardscope."
                )
            row = plain(json.loads(path.read_bytes()))
        except FileNotFoundError as error:
            raise RunError(f"{folder.name} is not a run: it has no manifest.json.") from error
        except (OSError, ValueError, RecursionError) as error:
            raise RunError(
                f"{name} is damaged ({type(error).__name__}). Make the run again, or remove the folder."
            ) from error
        try:
            return _read(row, name)
        except (CardError, FormError) as error:
            raise RunError(
                f"{name} is damaged: {error}. Make the run again, or remove the folder."
            ) from error


def _read(row: object, name: str) -> Manifest:
    if not isinstance(row, dict):
        raise RunError(f"{name} was not made by Rewardscope.")
    version = row.get("format", 1)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise RunError(f"{name} says format {str(version)[:40]!r}, which is not a version number.")
    if version > FORMAT:
        raise RunError(
            f"{name} has format {version}; this Rewardscope reads up to {FORMAT}. Open it with a newer Rewardscope."
        )
    if version == 1:
        if not isinstance(row.get("judge"), str) or not isinstance(row.get("how", {}), dict):
            raise RunError(
                f"{name} is damaged: it has no readable judge, or 'how' is not a table. Make the run again, or remove the folder."
            )
        row = _of_0_1(row)
    out: dict[str, Any] = {"judge": JudgeCard.from_row(row.get("judge")), "condition": _condition(row, name)}
    kinds = {"limit": int, "batch": int, "window": int, "seed": int, "stats": dict, "provenance": dict}
    for f in fields(Manifest):
        if f.name in out or (f.name in ("blank", "stats", "provenance") and f.name not in row):
            continue
        value = row.get(f.name)
        if f.name == "limit" and value is None:
            out["limit"] = None
            continue
        wanted = kinds.get(f.name, str)
        if not isinstance(value, wanted) or isinstance(value, bool) or not _fits(value):
            raise RunError(
                f"{name} is damaged: it has no readable '{f.name}'. Make the run again, or remove the folder."
            )
        out[f.name] = value
    out["stats"] = checked_stats(out.get("stats", {}))
    out["provenance"] = checked_provenance(out.get("provenance", {}))
    return Manifest(**out)


def _fits(value: object) -> bool:
    """Texts that a page can show, numbers that count something."""
    if isinstance(value, str):
        return len(value) <= LONGEST
    return not isinstance(value, int) or 0 <= value < 1 << 50


def _condition(row: Mapping[str, Any], name: str) -> Condition:
    try:
        return Condition(str(row.get("condition")))
    except ValueError as error:
        raise RunError(
            f"{name} names a condition that is not known here: {str(row.get('condition'))[:60]!r}. Known: "
            f"{', '.join(Condition)}."
        ) from error


def _of_0_1(row: Mapping[str, Any]) -> dict[str, Any]:
    """Release 0.1 wrote the judge's condition into its name, and had no ids, kinds or dimensions."""
    said = row.get("judge_about") if isinstance(row.get("judge_about"), dict) else {}
    assert isinstance(said, dict)
    name, condition = str(row.get("judge", "")), Condition.AS_GIVEN
    if row.get("images") == "swapped":
        name, condition = name.removesuffix(", images swapped"), Condition.SHUFFLED
    if name.endswith(", blind"):
        name, condition = name.removesuffix(", blind"), Condition.BLANK
    rule = "parameters" not in said
    scalar = name.endswith("scalar head")
    kind = "none" if said.get("judges") is False else "rule" if rule else "scalar" if scalar else "gated"
    known = {
        k: said[k]
        for k in ("backbone", "parameters", "dtype", "device", "trained_on", "about", "embedded")
        if k in said
    }
    card = {
        **known, "id": NAMES_0_1.get(name, name) if rule or not said.get("embedded", scalar) else "scalar" if scalar else "vl-mdr",
        "name": name, "kind": kind, "fingerprint": row.get("weights") or "", "reads_images": not rule,
    }  # fmt: skip
    if kind == "gated":
        card |= {"top_k": 3, "dimensions": list(KEYS)}
    return {**row, "judge": card, "condition": condition, "stats": row.get("how") or {},
            "blank": "plain white, same size" if condition is Condition.BLANK else ""}  # fmt: skip


def write_whole(path: Path, data: bytes) -> None:
    """All or nothing, also when the process is killed in the middle."""
    temporary = path.with_name(path.name + ".tmp")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)

"""The columns of judgements.parquet, and a judgement as a row of it and back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import pyarrow as pa
from scipy.special import expit

from core.benchmarks.rows import Row
from core.records import Judgement, OODScore, Vote, frozen
from core.records.orders import depends_on_order
from core.runs.manifest import Manifest, RunError
from core.runs.metrics import outcome

_floats, _texts, _numbers = pa.list_(pa.float32()), pa.list_(pa.string()), pa.list_(pa.int32())
_votes = pa.list_(pa.struct([
    ("order", _numbers), ("text", pa.string()), ("choice", pa.int32()), ("log_odds", pa.float32()), ("problem", pa.string()),
]))  # fmt: skip
SCHEMA = pa.schema([
    ("row", pa.int64()), ("key", pa.string()), ("id", pa.string()), ("subgroup", pa.string()),
    ("cluster", pa.string()), ("prompt", pa.string()), ("responses", _texts), ("stored", _numbers),
    ("preferred", pa.int32()), ("relevant", _texts), ("decisive", pa.string()), ("image", pa.binary()),
    ("outcome", pa.string()), ("margin", pa.float32()), ("rewards", _floats), ("gate_logits", _floats),
    ("selected", _numbers), ("weights", _floats), ("weight_logits", _floats), ("scores", _floats),
    ("problem", pa.string()),
    ("critique", pa.string()), ("choice", pa.int32()), ("votes", _votes),
    ("ood", pa.bool_()), ("ood_score", pa.float32()), ("ood_threshold", pa.float32()), ("pictures", pa.int32()),
    ("order_consistent", pa.bool_()),
])  # fmt: skip
# Format 2. Runs of format 1 (release 0.1) lack these, and hold small numbers in a byte.
ADDED = frozenset(
    {"critique", "choice", "votes", "ood", "ood_score", "ood_threshold", "pictures", "order_consistent"}
)


def accepts(column: pa.Field, found: pa.DataType) -> bool:
    """Whether a file's column can be read as this one."""
    if found == column.type:
        return True
    if pa.types.is_list(found) and pa.types.is_list(column.type):
        return accepts(column.with_type(column.type.value_type), found.value_type)
    if pa.types.is_struct(found) and pa.types.is_struct(column.type):  # fields that came later may be missing
        wanted = {f.name: f for f in column.type}
        return all(f.name in wanted and accepts(wanted[f.name], f.type) for f in found)
    return bool(pa.types.is_int32(column.type) and pa.types.is_int8(found))


def reads(found: pa.Schema) -> bool:
    """Whether a table of this schema is one of ours, of this release or an earlier one."""
    return set(found.names) <= set(SCHEMA.names) and all(
        accepts(column, found.field(column.name).type) if column.name in found.names else column.name in ADDED
        for column in SCHEMA
    )


def completed(table: pa.Table, wanted: Sequence[str]) -> pa.Table:
    """The wanted columns in their types; empty where the file has them not."""
    for name in wanted:
        if name not in table.column_names:
            table = table.append_column(name, pa.nulls(len(table), SCHEMA.field(name).type))
    return table.select(list(wanted)).cast(pa.schema([SCHEMA.field(n) for n in wanted]))


def row_of(row: Row, judgement: Judgement | None, problem: str, image: bytes | None) -> dict[str, Any]:
    """One Parquet row. Rewards are rounded to fp32 first: outcome and margin are those of the stored numbers."""
    c, ood = row.comparison, judgement.ood if judgement else None
    rewards = [float(np.float32(r)) for r in judgement.rewards] if judgement else []
    preferred = c.preferred if c else None
    margin = None
    if rewards and preferred is not None:
        margin = rewards[preferred] - max(r for i, r in enumerate(rewards) if i != preferred)
    return {
        "row": row.index, "key": row.key, "id": row.id, "subgroup": row.subgroup, "cluster": row.cluster,
        "prompt": c.whole_prompt if c else "", "responses": list(c.responses) if c else [], "stored": list(row.stored),
        "preferred": preferred, "relevant": list(c.truth.relevant) if c and c.truth else None,
        "decisive": c.truth.decisive if c and c.truth else None, "image": image,
        "outcome": outcome(rewards, preferred) if c else "missing", "margin": margin, "rewards": rewards,
        "gate_logits": list(judgement.gate_logits) if judgement else [],
        "selected": list(judgement.selected) if judgement else [],
        "weights": list(judgement.weights) if judgement else [],
        "weight_logits": list(judgement.weight_logits) if judgement else [],
        "scores": [s for scores in judgement.scores for s in scores] if judgement else [],
        "problem": problem or row.problem or (judgement.why_undecided if judgement else ""),
        "critique": (judgement.critique or None) if judgement else None, "choice": judgement.choice if judgement else None,
        "votes": [{**asdict(v), "order": list(v.order)} for v in judgement.votes] if judgement and judgement.votes else None,
        "ood": ood.outside if ood else None, "ood_score": ood.score if ood else None,
        "ood_threshold": ood.threshold if ood else None, "pictures": row.pictures,
        "order_consistent": _consistent(judgement),
    }  # fmt: skip


def _consistent(judgement: Judgement | None) -> bool | None:
    """Whether the same response wins in both orders; None where that was not asked or not decided."""
    depends = depends_on_order(judgement.votes) if judgement else None
    return None if depends is None else not depends


def damage_of(stored: Mapping[str, Any]) -> str:
    """What of a Parquet row cannot be, as the end of a sentence; "" where all can."""
    for name in ("key", "id", "subgroup", "cluster", "prompt", "outcome", "problem"):
        if not isinstance(stored[name], str):
            return f"its {name} is missing"
    for name in (
        "responses",
        "stored",
        "rewards",
        "gate_logits",
        "selected",
        "weights",
        "weight_logits",
        "scores",
    ):
        if stored[name] is None or any(v is None for v in stored[name]):
            return f"a value of its {name} is missing"
    n, rewards = len(stored["responses"]), stored["rewards"]
    if n == 1 or (rewards and len(rewards) != n):
        return f"it has {n} responses and {len(rewards)} rewards"
    if not np.isfinite(rewards).all() or not np.isfinite(stored["scores"]).all():
        return "its rewards or scores are not numbers"
    for name in ("preferred", "choice"):
        if stored.get(name) is not None and not 0 <= stored[name] < n:
            return f"its {name} is none of its responses"
    if stored["selected"] and not (stored["scores"] and stored["gate_logits"]):
        return "it selects dimensions without scores"
    d = len(stored["weights"])
    if any(not 0 <= s < d for s in stored["selected"]) or len(stored["scores"]) not in (0, n * d):
        return "its dimensions do not fit its weights"
    if stored["gate_logits"] and len(stored["gate_logits"]) != len(stored["weights"]):
        return "its gate has another length than its weights"
    for vote in stored.get("votes") or ():
        if vote is None or vote["order"] is None or not isinstance(vote["text"], str):
            return "one of its votes is incomplete"
        if any(i is None or not 0 <= i < n for i in (*vote["order"], vote["choice"] or 0)):
            return "one of its votes is for none of its responses"
    return ""


def judgement_of(stored: Mapping[str, Any], manifest: Manifest) -> Judgement:
    """The Judgement of a Parquet row: replayed, not computed. Raises RunError where the row does not fit its judge."""
    logits = np.asarray(stored["gate_logits"], dtype=float)
    n, ood = len(stored["rewards"]), stored.get("ood_score")
    dimensions = manifest.judge.dimensions if len(stored["weights"]) else ()
    try:
        scores = (
            np.asarray(stored["scores"], dtype=float).reshape(n, -1)
            if len(stored["scores"])
            else np.zeros((0, 0))
        )
        return Judgement(
            comparison_id=f"{stored['row']}-{stored['key']}",
            judge=manifest.judge.id,
            rewards=tuple(float(r) for r in stored["rewards"]),
            gate_logits=tuple(logits.tolist()),
            relevance=tuple(expit(logits).tolist()),
            selected=tuple(int(d) for d in stored["selected"]),
            weights=tuple(float(w) for w in stored["weights"]),
            weight_logits=tuple(float(w) for w in stored["weight_logits"]),
            scores=tuple(tuple(s) for s in scores.tolist()),
            dimensions=dimensions,
            condition=manifest.condition,
            critique=stored.get("critique") or "",
            choice=stored.get("choice"),
            votes=tuple(
                Vote(**{k: frozen(v) for k, v in vote.items() if v is not None})
                for vote in stored.get("votes") or ()
            ),
            ood=OODScore(ood, stored["ood_threshold"], bool(stored["ood"])) if ood is not None else None,
        )
    except ValueError as error:
        raise RunError(f"Row {stored['row']} of this run is damaged: {error}.") from error

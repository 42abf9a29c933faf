"""The columns of judgements.parquet, and a judgement as a row of it and back."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from core.benchmarks.rows import Row
from core.records import Judgement
from core.runs.metrics import outcome

_floats, _texts = pa.list_(pa.float32()), pa.list_(pa.string())
SCHEMA = pa.schema([
    ("row", pa.int64()), ("key", pa.string()), ("id", pa.string()), ("subgroup", pa.string()),
    ("cluster", pa.string()), ("prompt", pa.string()), ("responses", _texts), ("stored", pa.list_(pa.int8())),
    ("preferred", pa.int8()), ("relevant", _texts), ("decisive", pa.string()), ("image", pa.binary()),
    ("outcome", pa.string()), ("margin", pa.float32()), ("rewards", _floats), ("gate_logits", _floats),
    ("selected", pa.list_(pa.int8())), ("weights", _floats), ("weight_logits", _floats), ("scores", _floats),
    ("problem", pa.string()),
])  # fmt: skip


def row_of(row: Row, judgement: Judgement | None, problem: str, image: bytes | None) -> dict[str, Any]:
    """One Parquet row. Rewards are rounded to fp32 first: outcome and margin are those of the stored numbers."""
    c = row.comparison
    rewards = [float(np.float32(r)) for r in judgement.rewards] if judgement else []
    preferred = c.preferred if c else None
    margin = None
    if rewards and preferred is not None:
        margin = rewards[preferred] - max(r for i, r in enumerate(rewards) if i != preferred)
    return {
        "row": row.index, "key": row.key, "id": row.id, "subgroup": row.subgroup, "cluster": row.cluster,
        "prompt": c.prompt if c else "", "responses": list(c.responses) if c else [], "stored": list(row.stored),
        "preferred": preferred, "relevant": list(c.truth.relevant) if c and c.truth else None,
        "decisive": c.truth.decisive if c and c.truth else None, "image": image,
        "outcome": outcome(rewards, preferred) if c else "missing", "margin": margin, "rewards": rewards,
        "gate_logits": list(judgement.gate_logits) if judgement else [],
        "selected": list(judgement.selected) if judgement else [],
        "weights": list(judgement.weights) if judgement else [],
        "weight_logits": list(judgement.weight_logits) if judgement else [],
        "scores": [s for scores in judgement.scores for s in scores] if judgement else [],
        "problem": problem or row.problem,
    }  # fmt: skip


def judgement_of(stored: dict[str, Any], judge: str) -> Judgement:
    """The Judgement of a Parquet row: replayed, not computed."""
    logits = np.asarray(stored["gate_logits"], dtype=float)
    n = len(stored["rewards"])
    scores = (
        np.asarray(stored["scores"], dtype=float).reshape(n, -1)
        if len(stored["scores"])
        else np.zeros((0, 0))
    )
    return Judgement(
        comparison_id=f"{stored['row']}-{stored['key']}",
        judge=judge,
        rewards=tuple(float(r) for r in stored["rewards"]),
        gate_logits=tuple(logits.tolist()),
        relevance=tuple((1 / (1 + np.exp(-logits))).tolist()),
        selected=tuple(int(d) for d in stored["selected"]),
        weights=tuple(float(w) for w in stored["weights"]),
        weight_logits=tuple(float(w) for w in stored["weight_logits"]),
        scores=tuple(tuple(s) for s in scores.tolist()),
    )

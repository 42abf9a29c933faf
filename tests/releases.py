"""Files in the formats of released benchmarks, with invented texts and known answers: for where the real ones are absent."""

import json
import random
from pathlib import Path
from typing import Any

# How often each kind of id occurs in VL-RewardBench; summed by the official rule: 183, 749 and 318.
PREFIXES = {
    "hallucination_pair-": 448, "RLAIF-": 233, "RLHF-V-": 68, "wildvision-": 173, "jailbreak_": 7, "svit-": 3,
    "mathverse_": 167, "mmmu_pro_validation_": 151,
}  # fmt: skip
GENERAL, REASONING = ("wildvision-", "jailbreak_", "svit-"), ("mathverse_", "mmmu_pro_validation_")
TWICE, BOTH_WAYS = 6, 4  # ids that occur twice, and those among them whose labels contradict each other


def group_of(prefix: str) -> str:
    return "general" if prefix in GENERAL else "reasoning" if prefix in REASONING else "hallucination"


def vl_rewardbench(path: Path) -> list[dict[str, Any]]:
    """Writes UnifiedReward's data.json and gives its rows, each with what is known of it beside: `group`, and
    `outcome` of the rule that the longer response wins. Of each prefix the first few ids occur twice."""
    rng, rows = random.Random(0), []
    for prefix, count in PREFIXES.items():
        for i in range(count):
            outcome = rng.choices(("right", "wrong", "tie"), (6, 3, 1))[0]
            chosen, rejected = {"right": (9, 4), "wrong": (3, 8), "tie": (5, 5)}[outcome]
            texts = [f"{prefix}{i} " + letter * n for letter, n in (("y", chosen), ("n", rejected))]
            turned = rng.random() < 0.5
            rows.append({"id": f"{prefix}{i}", "query": f"<image>\nWhat about {prefix}{i}?",
                         "response": texts[::-1] if turned else texts, "image": f"images/{prefix}{i}.png",
                         "human_ranking": [1, 0] if turned else [0, 1], "models": ["a", "b"], "judge": "human",
                         "rationale": "", "query_source": "", "ground_truth": "",
                         "group": group_of(prefix), "outcome": outcome})  # fmt: skip
    for n in range(TWICE):  # the row of n repeats the id and the question of another row
        first, second = rows[2 * n], rows[2 * n + 1]
        second["id"], second["query"], second["image"] = first["id"], first["query"], first["image"]
        if n < BOTH_WAYS:  # what was preferred there is rejected here
            best = first["response"][first["human_ranking"].index(0)]
            second["response"] = ["z" * (len(best) + 5), best]
            second["human_ranking"], second["outcome"] = [0, 1], "right"
    hidden = ("group", "outcome")
    path.write_text(json.dumps([{k: v for k, v in r.items() if k not in hidden} for r in rows]))
    return rows


def mm_rlhf(path: Path) -> tuple[int, int, int]:
    """Writes the pairs of 46 questions as MM-RLHF-RewardBench has them: rankings, so texts win here and lose there.
    Gives rows, rows that the longer response wins, and questions all of whose rows it wins."""
    sizes = {"mcq": 42, "long": 37, "short": 34, "safety": 32, "video": 25}
    rng, lines, won, whole, question = random.Random(1), [], 0, 0, 0
    for group, count in sizes.items():
        left = count
        while left:
            pairs = min(left, rng.randint(2, 5))
            lengths = [rng.randint(1, 40) for _ in range(pairs + 1)]
            texts = [f"{question}-{i} " + "t" * n for i, n in enumerate(lengths)]
            longer = [len(texts[i]) > len(texts[i + 1]) for i in range(pairs)]
            for i in range(pairs):
                lines.append({"id": f"q{question}", "prompt": f"What of {question}?", "chosen": texts[i],
                              "rejected": texts[i + 1], "image": f"{group}/{question}.png"})  # fmt: skip
            won, whole, left, question = won + sum(longer), whole + all(longer), left - pairs, question + 1
    path.write_text("".join(json.dumps(r) + "\n" for r in lines))
    return len(lines), won, whole

"""StableReinforce, Reinforce++ and GRPO side by side, and StableReinforce with one part left out in turn:

`python tests/benchmarks/measure_stability.py TRAINING OUT --updates 30 --seeds 3`

TRAINING is a folder of `python -m core train reasoning-judge` whose cold start is finished: its model, questions and pictures are
used. Each run is a file in OUT/runs and is not done again; OUT/stability.json has the table, OUT/stability.svg the curves (mean
over seeds, with the range of the seeds as band). `--only-report` makes both from what there is.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

from core.alignment.config import read_settings  # noqa: E402
from core.alignment.reasoning_data import read_questions, read_rows  # noqa: E402

MAIN = ("stable-reinforce", "reinforce++", "grpo")
LEFT_OUT = ("no-pre-clip", "no-filter", "no-consistency")
CURVES = {
    "reward": ("reward", "reward"), "kl": ("stable/kl_to_rollout", "KL to the rollout's policy"),
    "ratio": ("stable/log_ratio_max", "largest log-ratio"), "grad": ("grad_norm", "gradient norm"),
    "length": ("completions/mean_length", "tokens of an answer"), "entropy": ("entropy", "entropy of a token, nats"),
}  # fmt: skip
COLOURS = {"stable-reinforce": "#0072b2", "reinforce++": "#d55e00", "grpo": "#009e73", "no-pre-clip": "#cc79a7",
           "no-filter": "#e69f00", "no-consistency": "#56b4e9"}  # fmt: skip
LAST = 5  # updates that the end of a run is the mean of
T95 = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776}  # Student's t, by number of seeds


def run(training: Path, name: str, rate: float, seed: int, updates: int, scratch: Path) -> dict[str, Any]:
    from transformers import set_seed

    from core.alignment.job import Job
    from core.alignment.policy import dataset
    from core.alignment.reasoning_judge import _consistency, _policy, rl_config
    from core.alignment.rewards import reasoning_rewards
    from core.alignment.stable_reinforce import RECIPES, StableReinforceTrainer
    from core.judges.prompts import find_prompt

    settings = read_settings("embedded")
    overrides = {
        "max_steps": updates,
        "learning_rate": rate,
        "logging_steps": 1,
        "save_strategy": "no",
        "warmup_steps": 0,
        "disable_tqdm": True,
    }
    settings = replace(settings, rl={**settings.rl, **overrides})
    recipe = "stable-reinforce" if name == "no-consistency" else name
    consistency = "none" if name == "no-consistency" else settings.consistency
    tried = {r["id"]: r["attempts"] for r in read_rows(training / "attempts.jsonl")}
    questions = [
        q for q in read_questions(training / "data.jsonl") if tried.get(q.id, 0) >= settings.hard_from
    ]
    set_seed(seed)
    model, processor = _policy(Job("scene", training, settings), str(training / "sft" / "model"))
    prompt = find_prompt(settings.prompt)
    functions, weights = reasoning_rewards(prompt, _consistency(consistency))
    started = time.process_time()
    trainer = StableReinforceTrainer(
        model=model, reward_funcs=functions, args=rl_config(settings, scratch, seed, weights),
        train_dataset=dataset(questions, prompt, processor, training / "images"), processing_class=processor,
        recipe=RECIPES[recipe],
    )  # fmt: skip
    trainer.train()
    log = [
        entry for entry in trainer.state.log_history if "loss" in entry
    ]  # rewards stand in those of rollouts
    kept = ("step", "loss", "grad_norm", "reward", "entropy", "rewards/accuracy/mean", "completions/mean_length",
            "completions/clipped_ratio", "clip_ratio/region_mean")  # fmt: skip
    return {
        "recipe": name, "learning_rate": rate, "seed": seed, "updates": updates, "cpu_seconds": round(time.process_time() - started, 1),
        "log": [{k: _plain(v) for k, v in e.items() if k in kept or k.startswith("stable/")} for e in log],
    }  # fmt: skip


def _plain(value: Any) -> float | None:
    number = float(value)
    return round(number, 6) if math.isfinite(number) else None


def table(runs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a recipe and learning rate: means over seeds with 95 % intervals (Student's t); extremes over all seeds."""
    groups: dict[tuple[str, float], list[dict[str, Any]]] = defaultdict(list)
    for r in runs:
        groups[r["recipe"], r["learning_rate"]].append(r)
    out = []
    for (recipe, rate), members in sorted(
        groups.items(), key=lambda g: (g[0][1], (*MAIN, *LEFT_OUT).index(g[0][0]))
    ):
        logs = [m["log"] for m in members]
        out.append({
            "recipe": recipe, "learning rate": rate, "seeds": len(members),
            "reward, first updates": interval([end(log[:LAST], "reward") for log in logs]),
            "reward, last updates": interval([end(log[-LAST:], "reward") for log in logs]),
            "accuracy, last updates": interval([end(log[-LAST:], "rewards/accuracy/mean") for log in logs]),
            "tokens, last updates": interval([end(log[-LAST:], "completions/mean_length") for log in logs]),
            "largest log-ratio": extreme(logs, "stable/log_ratio_max"), "smallest log-ratio": extreme(logs, "stable/log_ratio_min", min),
            "largest gradient norm": extreme(logs, "grad_norm"), "largest KL": extreme(logs, "stable/kl_to_rollout"),
            "not finite": sum(e.get("grad_norm") is None for log in logs for e in log),
            "pre-clip engaged": fmean([e.get("stable/pre_clip") or 0.0 for log in logs for e in log]),
            "clip engaged": fmean([e.get("clip_ratio/region_mean") or 0.0 for log in logs for e in log]),
            "filter engaged": fmean([e.get("stable/filter") or 0.0 for log in logs for e in log]),
        })  # fmt: skip
    return out


def end(log: list[dict[str, Any]], key: str) -> float:
    return fmean([e[key] for e in log if e.get(key) is not None] or [math.nan])


def extreme(logs: list[list[dict[str, Any]]], key: str, of: Any = max) -> float | None:
    found = [e[key] for log in logs for e in log if e.get(key) is not None]
    return round(of(found), 4) if found else None


def interval(values: list[float]) -> dict[str, float]:
    mean, n = fmean(values), len(values)
    half = T95.get(n, 2.0) * stdev(values) / math.sqrt(n) if n > 1 else math.nan
    return {"value": round(mean, 4), "low": round(mean - half, 4), "high": round(mean + half, 4)}


# -- curves ----------------------------------------------------------------------------------------------------

WIDE, HIGH, EDGE, COLUMNS = 330, 190, 46, 3


def curves(runs: list[dict[str, Any]]) -> str:
    """One block of panels a learning rate and group of recipes; SVG without scripts, text as text."""
    blocks = [(rate, names) for rate in sorted({r["learning_rate"] for r in runs}) for names in (MAIN, ("stable-reinforce", *LEFT_OUT))
              if sum(any(r["recipe"] == n and r["learning_rate"] == rate for r in runs) for n in names) > 1]  # fmt: skip
    parts, y = [], 0
    rows = math.ceil(len(CURVES) / COLUMNS)
    for rate, names in blocks:
        parts.append(
            f'<text x="8" y="{y + 20}" font-size="14" font-weight="600">learning rate {rate:g}</text>'
        )
        x = 170
        for name in names:
            parts.append(
                f'<rect x="{x}" y="{y + 10}" width="14" height="4" fill="{COLOURS[name]}"/><text x="{x + 18}" y="{y + 19}">{name}</text>'
            )
            x += 30 + 7 * len(name)
        for i, (key, title) in enumerate(CURVES.values()):
            left, top = (i % COLUMNS) * WIDE, y + 34 + (i // COLUMNS) * HIGH
            parts.append(
                panel(
                    [r for r in runs if r["learning_rate"] == rate and r["recipe"] in names],
                    key,
                    title,
                    left,
                    top,
                )
            )
        y += 44 + rows * HIGH
    width = COLUMNS * WIDE + 10
    return (f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}" role="img" '
            'aria-label="Training curves of each recipe" font-family="system-ui, sans-serif" font-size="11" fill="#1f2937">'
            f'<rect width="100%" height="100%" fill="#fff"/>{"".join(parts)}</svg>\n')  # fmt: skip


def panel(runs: list[dict[str, Any]], key: str, title: str, left: int, top: int) -> str:
    series: dict[str, list[tuple[int, float, float, float]]] = {}
    for name in dict.fromkeys(r["recipe"] for r in runs):
        by_step: dict[int, list[float]] = defaultdict(list)
        for r in runs:
            if r["recipe"] == name:
                for e in r["log"]:
                    if e.get(key) is not None:
                        by_step[int(e["step"])].append(e[key])
        series[name] = [(s, fmean(v), min(v), max(v)) for s, v in sorted(by_step.items())]
    values = [v for points in series.values() for p in points for v in p[1:]]
    if not values:
        return ""
    low, high = min(values), max(values)
    log_scale = low > 0 and high / low > 100
    scale = (lambda v: math.log10(max(v, 1e-12))) if log_scale else (lambda v: v)
    a, b = scale(low), scale(high) if scale(high) > scale(low) else scale(low) + 1
    last = max(p[0] for points in series.values() for p in points)

    def at(step: float, value: float) -> str:
        x = left + EDGE + (step - 1) / max(1, last - 1) * (WIDE - EDGE - 14)
        return f"{x:.1f},{top + HIGH - 34 - (scale(value) - a) / (b - a) * (HIGH - 62):.1f}"

    parts = [
        f'<text x="{left + EDGE}" y="{top + 14}" font-weight="600">{title}{" (log)" if log_scale else ""}</text>'
    ]
    for value, y in ((low, top + HIGH - 34), (high, top + 28)):
        parts.append(f'<line x1="{left + EDGE}" x2="{left + WIDE - 14}" y1="{y}" y2="{y}" stroke="#d1d5db"/>'
                     f'<text x="{left + EDGE - 5}" y="{y + 4}" text-anchor="end">{value:.3g}</text>')  # fmt: skip
    parts.append(
        f'<text x="{left + EDGE}" y="{top + HIGH - 18}">1</text><text x="{left + WIDE - 14}" y="{top + HIGH - 18}" text-anchor="end">update {last}</text>'
    )
    for name, points in series.items():
        band = " ".join(
            [at(s, hi) for s, _, _, hi in points] + [at(s, lo) for s, _, lo, _ in reversed(points)]
        )
        line = " ".join(at(s, m) for s, m, _, _ in points)
        parts.append(
            f'<polygon points="{band}" fill="{COLOURS[name]}" opacity="0.15"/><polyline points="{line}" fill="none" stroke="{COLOURS[name]}" stroke-width="1.6"/>'
        )
    return "".join(parts)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("training", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--updates", type=int, default=30)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument(
        "--rates",
        type=float,
        nargs="+",
        default=[2e-5, 1e-3],
        help="the normal one, and one where plain training breaks",
    )
    parser.add_argument("--recipes", nargs="+", default=[*MAIN, *LEFT_OUT])
    parser.add_argument("--only-report", action="store_true")
    args = parser.parse_args()
    folder = args.output / "runs"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = [
        (recipe, rate, seed)
        for seed in range(args.seeds)
        for rate in reversed(args.rates)
        for recipe in args.recipes
    ]
    for recipe, rate, seed in () if args.only_report else wanted:
        file = folder / f"{recipe}_{rate:g}_{seed}.json"
        if not file.exists():
            done = run(args.training, recipe, rate, seed, args.updates, args.output / "scratch")
            file.with_suffix(".tmp").write_text(json.dumps(done))
            file.with_suffix(".tmp").rename(file)
            print(file.name, f"{done['cpu_seconds']} s", table([done])[0], flush=True)
    runs = [json.loads(f.read_text()) for f in sorted(folder.glob("*.json"))]
    found = {"command": "python tests/benchmarks/measure_stability.py " + " ".join(["TRAINING", "OUT", f"--updates {args.updates}", f"--seeds {args.seeds}"]),
             "runs": len(runs), "table": table(runs)}  # fmt: skip
    (args.output / "stability.json").write_text(json.dumps(found, indent=1))
    (args.output / "stability.svg").write_text(curves(runs))
    for row in found["table"]:
        print(json.dumps(row))


if __name__ == "__main__":
    main()

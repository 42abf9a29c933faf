"""What is done with the model: functions from a judge and records to records, so that `lane` can carry them anywhere."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from PIL import Image

from app.common.privately import fit
from core.benchmarks import BENCHMARKS
from core.benchmarks.reasons import Reasons
from core.explain import (
    Plan,
    Request,
    default_method,
    has_gate,
    has_gradients,
    is_costly,
    targets_for,
)
from core.judges.named import NAMED
from core.judges.options import Options
from core.judges.protocols import Explainable, Judge, KnowsItsWorld
from core.records import Comparison, Condition, Explanation, ImageAblation, Judgement, OODScore, RecordError
from core.records.bundle import Bundle
from core.records.parts import Parts

if TYPE_CHECKING:  # torch: pages are built, and most are shown, without it
    from core.explain.counterfactual import Effect, Suggestion
    from core.explain.flip import Found
    from core.explain.verify import Verdict

ASKED = Request(method="ablation", level="word")  # what "Explain" offers
SUGGESTED = 5
LOADED = "loaded"  # the app's own judge, where it is none of core.judges.registry
CONDITIONS = {
    Condition.AS_GIVEN: "",
    Condition.BLANK: "-blank",
    Condition.SHUFFLED: "-shuffled",
}  # in folder names


@dataclass(frozen=True)
class FirstLook:
    """All that a page shows of a comparison before anything more is asked. explanation, image_ablation: None where they wait
    until they are asked for, or there was no verdict. plan: the cost of ASKED, where known. parts: what each word and region
    adds to each dimension, of a gated judge whose map is an ablation."""

    judgement: Judgement
    explanation: Explanation | None
    image_ablation: ImageAblation | None
    plan: Plan | None
    parts: Parts | None = None


def default_pair(judgement: Judgement) -> tuple[int, int]:
    """Winner against runner-up, in alphabetical order."""
    first, second = sorted(judgement.ranking[:2])
    return first, second


def first_target(judge: Explainable, judgement: Judgement, pair: tuple[int, int]) -> str:
    """What is explained unless something else is asked for: the margin; of a judge that writes its verdict given the critique that
    is shown, or at once where there is none."""
    keys = [key for key, _ in targets_for(judge, judgement)]
    if "verdict" not in keys:
        return "margin"
    shown = [
        f"critique:{k}"
        for k, v in enumerate(judgement.votes)
        if v.text == judgement.critique and set(v.order) == set(pair)
    ]
    return next((key for key in shown if key in keys), "verdict")


def first_explained(
    judge: Explainable, comparison: Comparison, judgement: Judgement, pair: tuple[int, int], check: bool | None = None,
    **watch: Any,
) -> Explanation | None:  # fmt: skip
    """What is explained before anybody asks: only where it costs no more answers. check, watch: see core.explain."""
    from core.explain import explain

    if not has_gradients(judge):
        return None
    target, how = first_target(judge, judgement, pair), default_method(judge, comparison)
    return explain(judge, comparison, judgement, Request(pair, target, how, check=check), **watch)


def judged(judge: Judge, comparison: Comparison) -> Judgement:
    """Raises what judging raises."""
    judgement = judge.judge(comparison)
    if not judgement.rewards:  # a server without an answer: as undecided as one without a verdict
        judgement = replace(judgement, rewards=(math.nan,) * len(comparison.responses))
    return judgement


def first_look(judge: Explainable, comparison: Comparison, other: Image.Image) -> FirstLook:
    """other: some other record's picture, to see how far the margin rests on this one."""
    judgement = judged(judge, comparison)
    found = first_explained(judge, comparison, judgement, default_pair(judgement), check=False)
    return checked_look(judge, comparison, judgement, found, other)


def checked_look(
    judge: Explainable, comparison: Comparison, judgement: Judgement, explanation: Explanation | None, other: Image.Image
) -> FirstLook:  # fmt: skip
    """All that follows the map: whether it is true, what links its words and regions, and whether the picture matters."""
    from core.explain import plan
    from core.explain.counterfactual import image_ablation
    from core.explain.explanation import with_check

    pair = default_pair(judgement)
    asked = replace(ASKED, pair=pair, target=first_target(judge, judgement, pair))
    decided = not math.isnan(judgement.margin(*pair))
    return FirstLook(
        judgement,
        with_check(judge, comparison, judgement, explanation) if explanation else None,
        image_ablation(judge, comparison, judgement, *pair, other)
        if decided and not is_costly(judge)
        else None,
        plan(judge, comparison, judgement, asked) if has_gradients(judge) else None,
        parts_of(judge, comparison, judgement, explanation),
    )


def parts_of(
    judge: Explainable, comparison: Comparison, judgement: Judgement, explanation: Explanation | None
) -> Parts | None:
    """None where there are no dimensions to tell apart, or no ablation whose words and regions they would be."""
    from core.explain.parts import parts

    if explanation is None or explanation.method_key != "ablation" or not has_gate(judge):
        return None
    return parts(judge, comparison, judgement, explanation)


def checked_pair(
    judge: Explainable, comparison: Comparison, judgement: Judgement, pair: tuple[int, int]
) -> tuple[Explanation | None, Parts | None]:
    """The first map of another pair, and what links its words and regions."""
    found = first_explained(judge, comparison, judgement, pair)
    return found, parts_of(judge, comparison, judgement, found)


def flipped(
    judge: Explainable, comparison: Comparison, judgement: Judgement, explanation: Explanation | None, pair: tuple[int, int]
) -> Found | None:  # fmt: skip
    """core.explain.flip.flip, by an ablation of the pair's margin where there is none yet. Of a judge that is asked again only
    by what is known already."""
    from core.explain import explain
    from core.explain.flip import FEW, flip

    costly = is_costly(judge)
    if explanation is None or explanation.pair != pair:
        if costly:
            raise RecordError(
                "Press Explain first: the words and regions that decided are where the search begins."
            )
        how = default_method(judge, comparison)
        explanation = explain(judge, comparison, judgement, Request(pair, method=how, check=False))
    return flip(judge, comparison, judgement, explanation, FEW if costly else None)


def judge_and_explain(
    judge: Explainable, comparison: Comparison, request: Request
) -> tuple[tuple[int, int], Explanation]:
    """The best pair and its explanation; the request's own pair is not asked. Raises RecordError for a target that this
    judgement does not have."""
    from core.explain import explain

    judgement = judge.judge(comparison)
    keys = [key for key, _ in targets_for(judge, judgement)]
    if isinstance(request.target, str) and request.target not in keys:
        raise RecordError(f"There is no target '{request.target}' here: use one of {', '.join(keys)}.")
    if not judgement.rewards:
        raise RecordError(f"The judge gave no verdict: {judgement.why_undecided}.")
    pair = default_pair(judgement)
    return pair, explain(judge, comparison, judgement, replace(request, pair=pair))


def explained(
    judge: Explainable, comparison: Comparison, judgement: Judgement, request: Request, **watch: Any
) -> Explanation:
    """core.explain.explain, by a name that can be had without torch."""
    from core.explain import explain

    return explain(judge, comparison, judgement, request, **watch)


def planned(judge: Explainable, comparison: Comparison, judgement: Judgement, request: Request) -> Plan:
    """core.explain.plan, as above."""
    from core.explain import plan

    return plan(judge, comparison, judgement, request)


def check_bundle(
    judge: Explainable, bundle: Bundle, other: Image.Image
) -> tuple[Verdict, OODScore | None, ImageAblation]:
    """The bundle computed anew, and what it may lack."""
    from core.explain.counterfactual import image_ablation
    from core.explain.verify import verify

    c, e = bundle.comparison, bundle.explanation
    ablated = bundle.image_ablation or image_ablation(judge, c, bundle.judgement, *e.pair, other)
    ood = judge.out_of_distribution(c.load_image()) if isinstance(judge, KnowsItsWorld) else None
    return verify(bundle, judge), ood, ablated


def try_edits(
    judge: Explainable,
    comparison: Comparison,
    judgement: Judgement,
    explanation: Explanation | None,
    other: Image.Image,
    pair: tuple[int, int],
) -> tuple[list[Effect], list[Suggestion], tuple[tuple[int, int], dict[int, list[float]]]]:
    """Effects of the standard edits, words that would have helped the loser, and each region's part by dimension."""
    from core.explain.counterfactual import effects, region_by_dimension, standard_edits, suggest

    a, b = pair
    edits = standard_edits(comparison, judgement, a, b, explanation, other)
    return (
        effects(judge, judgement, a, b, edits),
        suggest(judge, comparison, judgement, a, b, explanation)[:SUGGESTED] if explanation else [],
        region_by_dimension(judge, comparison, judgement, a, b) if has_gate(judge) else ((0, 0), {}),
    )


@dataclass(frozen=True)
class RunWanted:
    """judge: a name of core.judges.named.NAMED, or LOADED. format: of core.benchmarks.formats, None where the columns tell. source: a file, or None for what the benchmark brings itself. output: the
    folder of all runs."""

    judge: str
    benchmark: str
    source: Path | None
    output: Path
    limit: int | None
    condition: Condition = Condition.AS_GIVEN
    format: str | None = None


def _content(source: Path | None) -> str:
    """So that another file of the same name is another run."""
    if source is None or not source.is_file():
        return ""
    with source.open("rb") as file:
        return f"-{hashlib.file_digest(file, 'sha256').hexdigest()[:8]}"


def make_run(
    judge: Judge,
    wanted: RunWanted,
    progress: Callable[[int, int | None, float], None] = lambda done, total, each: None,
) -> tuple[int, int, list[str]]:
    """Makes or continues a run: (rows, rows judged, why the others were not). Raises BenchmarkError, CheckpointError,
    RunError."""
    from core.runs.runner import Job, run

    loaded = BENCHMARKS[wanted.benchmark].open(wanted.source, format=wanted.format)
    loaded_one = judge.card.id if judge.card.embedded else LOADED
    chosen: Judge = judge if wanted.judge == loaded_one else NAMED[wanted.judge](Options())
    name = fit(judge.card.id) if wanted.judge == LOADED else wanted.judge
    stem = re.sub(r"[^A-Za-z0-9]+", "-", Path(loaded.source).stem)[:40].strip("-") or "data"
    folder = (
        wanted.output
        / f"{wanted.benchmark}-{stem}{_content(wanted.source)}{'-' + wanted.format if wanted.format else ''}"
        / f"{name}{CONDITIONS[wanted.condition]}-{wanted.limit or 'all'}"
    )
    job = Job(
        loaded,
        chosen,
        folder,
        limit=wanted.limit,
        condition=wanted.condition,
        keep_images=loaded.benchmark.built_in is None,
    )
    done = run(job, progress)
    if done is None:
        return 0, 0, []
    table = done.table(["outcome", "problem"])
    outcomes, problems = table["outcome"].to_pylist(), table["problem"].to_pylist()
    missing = [p for o, p in zip(outcomes, problems, strict=True) if o == "missing"]
    return len(table), len(table) - outcomes.count("missing"), Reasons(missing).lines()

"""From what a person typed to everything the page shows. The only place where limits on input are checked."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

import gradio as gr
import pandas as pd
from markupsafe import Markup
from PIL import Image

from app.common import figures, heat, item_view, lane, words
from app.common.html import NOTHING, html, notice
from app.common.tasks import FirstLook, check_bundle, default_pair, judged
from app.inspect import answer
from app.inspect.first_looks import Looks
from app.inspect.gallery import gallery
from app.inspect.step_words import words_of_step
from app.inspect.units import is_ablation, units_of
from core.explain import Plan, methods_for, targets_for
from core.explain.edits import applied
from core.images import ImageError, open_image, to_png_bytes
from core.judges.protocols import Estimates, Explainable, Judge, Writes
from core.model.vocabulary import unknown_words
from core.records import (
    Comparison,
    Explanation,
    ImageAblation,
    Judgement,
    RecordError,
    content_hash,
    letter,
)
from core.records.bundle import Bundle
from core.records.edit_path import MOST_STEPS, EditPath, Step
from core.records.headline import TIE
from core.records.parts import Parts

if TYPE_CHECKING:
    from core.explain.verify import Verdict

MAX_PROMPT = 4_000
MAX_RESPONSE = 12_000
LONG = 600  # words of prompt and responses, from which a map is made only where somebody asks for it


class Invalid(RecordError):
    """What a person gave cannot be judged. field: the id of the field that it is said at."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


PICTURE, PROMPT = "picture", "prompt"


def response_field(i: int) -> str:
    return f"response-{letter(i).lower()}"


@dataclass(frozen=True)
class View:
    """One judged comparison with the explanation on show. Plain records: safe to keep in a session.

    explanation, image_ablation: None where they were not asked for yet. other: the picture of another record, for comparison
    with what the model says of this one. plan: the cost of what "Explain" offers first, where known. fresh: computed for this
    view, not stored or shared. ablation: of the pair's margin, whatever map is on show, and parts: of the same words and
    regions; None where not known. start, path: what was edited, and how.
    """

    comparison: Comparison
    judgement: Judgement
    explanation: Explanation | None
    pair: tuple[int, int]
    image_ablation: ImageAblation | None
    other: Image.Image
    plan: Plan | None = None
    fresh: bool = True
    awaited: bool = False  # the map is asked for, and comes next
    ablation: Explanation | None = None
    parts: Parts | None = None
    start: Comparison | None = None
    path: EditPath | None = None
    unknown: tuple[str, ...] = ()

    def explained_by(self, explanation: Explanation | None, parts: Parts | None = None) -> View:
        """With another map. An ablation of the margin stays known under whatever map comes after it."""
        if not is_ablation(explanation):
            return replace(self, explanation=explanation)
        kept = parts or (self.parts if self.ablation and self.ablation.tokens == explanation.tokens else None)  # type: ignore[union-attr]
        return replace(self, explanation=explanation, ablation=explanation, parts=kept)

    def coming_from(self, before: View | None, step: Step | None) -> View:
        """On the path of edits of `before`: one step further, or where it was if both judge the same."""
        if before is None:
            return self
        start, path = before.start, before.path
        if step is None:
            same = before.comparison.id == self.comparison.id
            return replace(self, start=start, path=path) if same else self
        if start is None or path is None or not path.steps or len(path.steps) >= MOST_STEPS:
            start, path = before.comparison, EditPath(before.pair, before.judgement.margin(*before.pair))
        path = path.after(step)
        margin = self.judgement.margin(*path.pair)
        return replace(self, start=start, path=path if math.isnan(margin) else path.judged(margin))


def comparison_of(picture: str | bytes | None, prompt: str, responses: list[str]) -> Comparison:
    """Checks everything a person may give. Raises Invalid with the field and a sentence."""
    if not picture:
        raise Invalid(PICTURE, "There is no picture: upload, paste or take one, or choose an example.")
    if not (prompt or "").strip():
        raise Invalid(PROMPT, "The prompt is empty: write the question that the responses answer.")
    given = [r or "" for r in responses]
    while given and not given[-1].strip():  # unused boxes at the end
        given.pop()
    if not given:
        raise Invalid(response_field(0), "There are no responses: write at least two.")
    for i, text in enumerate(given):
        if not text.strip():
            raise Invalid(response_field(i), f"Response {letter(i)} is empty.")
    if len(given) < 2:
        raise Invalid(response_field(1), "There is only one response: a comparison needs at least two.")
    _check_lengths(prompt, given)
    # Decoded once and kept as PNG: whatever becomes of the uploaded file, this view keeps its picture.
    try:
        png = to_png_bytes(open_image(picture), effort=1)
    except ImageError as error:
        raise Invalid(PICTURE, str(error)) from error
    key = content_hash(png, prompt, *given)
    return Comparison(id=key, image=png, prompt=prompt, responses=tuple(given))


def _check_lengths(prompt: str, responses: Sequence[str]) -> None:
    if len(prompt) > MAX_PROMPT:
        raise Invalid(PROMPT, f"The prompt has {len(prompt):,} characters: at most {MAX_PROMPT:,} are read.")
    for i, response in enumerate(responses):
        if len(response) > MAX_RESPONSE:
            raise Invalid(
                response_field(i),
                f"Response {letter(i)} has {len(response):,} characters: at most {MAX_RESPONSE:,} are read.",
            )


def is_long(comparison: Comparison) -> bool:
    return sum(len(t.split()) for t in (comparison.prompt, *comparison.responses)) > LONG


def edited(comparison: Comparison, step: Step) -> Comparison:
    """The comparison after the step, under the id of its content, like any other that is judged here."""
    made = applied(comparison, step)
    assert isinstance(made.image, bytes)
    return replace(made, id=content_hash(made.image, made.prompt, *made.responses))


def known_view(looks: Looks, comparison: Comparison) -> View | None:
    """The view where nothing has to be computed for it."""
    look = looks.known(comparison)
    return _view(looks.judge, comparison, look, fresh=False) if look else None


def verdict_view(looks: Looks, comparison: Comparison) -> View:
    """What one forward pass says, before any map. Raises what judging raises."""
    judgement = lane.run_on_model(judged, looks.judge, comparison)
    return View(
        comparison, judgement, None, default_pair(judgement), None, another_picture(comparison), awaited=True,
        unknown=_unknown(looks.judge, comparison),
    )  # fmt: skip


def mapped_view(looks: Looks, view: View, cancelled: Callable[[], bool]) -> View:
    """With its first map, not checked yet. Raises Cancelled, and what explaining raises."""
    found = looks.map_of(view.comparison, view.judgement, view.pair, cancelled)
    return replace(view.explained_by(found), awaited=False)


def full_view(looks: Looks, view: View) -> View:
    """With all that follows the map. Raises what computing it raises."""
    look = looks.checked(view.comparison, view.judgement, view.explanation, view.other)
    found = _view(looks.judge, view.comparison, look, fresh=True)
    return replace(found, start=view.start, path=view.path)


def judge_view(looks: Looks, comparison: Comparison) -> View:
    """Raises what judging and explaining raise."""
    known = known_view(looks, comparison)
    return known or _view(
        looks.judge, comparison, looks.of(comparison, another_picture(comparison)), fresh=True
    )


def _unknown(judge: Judge, comparison: Comparison) -> tuple[str, ...]:
    if not judge.card.embedded:
        return ()
    return unknown_words(comparison.prompt, *comparison.responses)


def _view(judge: Judge, comparison: Comparison, look: FirstLook, fresh: bool) -> View:
    view = View(
        comparison, look.judgement, None, default_pair(look.judgement), look.image_ablation,
        another_picture(comparison), look.plan, fresh, unknown=_unknown(judge, comparison),
    )  # fmt: skip
    return view.explained_by(look.explanation, look.parts)


def checked_view(judge: Explainable, bundle: Bundle) -> tuple[View, Verdict]:
    """A bundle's own numbers as a view, and how they fare when computed fresh. Only the picture's ood and a
    missing image_ablation are this model's."""
    c, e = bundle.comparison, bundle.explanation
    _check_lengths(c.prompt, c.responses)
    other = another_picture(c)
    found, ood, ablated = lane.run_on_model(check_bundle, judge, bundle, other)
    view = View(
        c, replace(bundle.judgement, ood=ood), None, e.pair, ablated, other, unknown=_unknown(judge, c)
    )
    return view.explained_by(e), found


def another_picture(comparison: Comparison) -> Image.Image:
    """The first gallery picture that is not this one."""
    own = comparison.load_image()
    pictures = (e.comparison.load_image() for e in gallery())
    return next(p for p in pictures if p.size != own.size or p.tobytes() != own.tobytes())


def pairs_of(judgement: Judgement) -> list[tuple[str, str]]:
    n = len(judgement.rewards)
    return [(f"{letter(a)} against {letter(b)}", f"{a}{b}") for a in range(n) for b in range(a + 1, n)]


def targets_of(view: View, judge: Judge) -> list[tuple[str, str]]:
    """What the page offers: all that contrasts the pair, so not the reward of one response alone. Of a judge that writes: what a
    text of its decided by, of this pair, and not the mean over several texts."""
    offered = targets_for(judge, view.judgement)
    keys = [key for key, _ in offered]
    left_out = {"reward", "margin"} if "verdict" in keys else {"reward"}
    of_others = {
        f"critique:{k}" for k, v in enumerate(view.judgement.votes) if set(v.order) != set(view.pair)
    }
    return [(name, key) for key, name in offered if key not in left_out | of_others]


def gallery_html() -> Markup:
    """The examples as buttons: a picture of a few hundred bytes each, in the page itself."""
    return html(
        """
        <h2>Examples</h2><div class="examples" id="example-buttons">
        {%- for e in examples %}
        <button type="button" data-index="{{ loop.index0 }}"><img src="{{ e.small }}" alt="" width="104" height="104">{{ e.caption }}</button>
        {%- endfor %}</div>
        """,
        examples=gallery(),
    )


def verdict_html(view: View) -> Markup:
    if undecided(view.judgement):
        return html(
            '<p class="verdict" role="status">{{ verdict }}</p>',
            verdict=words.verdict(view.comparison, view.judgement, *view.pair),
        )
    j, best = view.judgement, view.judgement.ranking[0]
    pairs = [(best, i) if best < i else (i, best) for i in j.ranking[1:] if i not in view.pair]
    ablated = view.image_ablation if _matters(view.image_ablation) else None
    return html(
        """
        {%- if warning %}<div class="warning" role="alert">{{ warning }}</div>{% endif %}
        {%- if unknown %}<div class="warning" role="alert">{{ unknown }}</div>{% endif %}
        <div class="verdict-row"><div class="verdict-said"><p class="verdict" role="status">{{ verdict }}</p>
        {%- if others %}<ul class="others">{% for other in others %}<li>{{ other }}</li>{% endfor %}</ul>{% endif %}
        <p class="rewards">reward {{ rewards }} · judged in {{ j.seconds|f(".2f") }} s{{ ", live" if fresh else ", cached" }}
        {%- if use %} · <span class="badge">{{ use }}</span>{% endif %}</p></div>{{ needle }}</div>
        {{- decided }}
        """,
        decided=item_view.critique_html(j) if j.critique and not j.votes else "",  # which part of a hybrid judge said what
        warning=words.warning(j.ood), unknown=words.unknown_words(view.unknown), verdict=words.verdict(view.comparison, j, *view.pair),
        others=[words.verdict(view.comparison, j, *pair) for pair in pairs], rewards=words.reward_line(j), j=j,
        needle=answer.needle_html(j, *view.pair), fresh=view.fresh, use=item_view.IMAGE_USE[ablated.use] if ablated else "",
    )  # fmt: skip


def image_use_html(view: View) -> Markup:
    """How far the margin rests on the picture."""
    if view.image_ablation is None:
        return html('<p class="small">Not measured yet.</p>')
    if not _matters(view.image_ablation):
        return html('<p class="small">There is no margin here that could rest on the picture.</p>')
    return item_view.image_ablation_html(view.image_ablation)


def shown_of(view: View) -> answer.Shown:
    """What cards, picture and strip are made of."""
    units = units_of(view.judgement, view.pair, view.ablation, view.parts)
    return answer.Shown(view.comparison, view.judgement, view.pair, view.explanation, view.ablation, units)


def path_html(view: View) -> Markup:
    """The edits that led here, in words."""
    if view.path is None or view.start is None:
        return NOTHING
    lines, before = [], view.start
    for step in view.path.steps:
        lines.append((words_of_step(before, step), step.margin))
        before = applied(before, replace(step, mask="", how=""))
    return answer.path_html(view.path.margin, lines, view.path.pair)


def before_judging(judge: Judge, comparison: Comparison) -> str:
    """What asking a judge takes that costs something to ask."""
    if isinstance(judge, Estimates):
        return f"Press Judge to ask {judge.card.name}: {judge.estimate([comparison], 1).sentence()}"
    n = len(comparison.responses)
    texts = n * (n - 1) * (judge.votes if isinstance(judge, Writes) else 1)
    return f"Press Judge: {judge.card.name} then writes {texts} critiques, half of them with the responses in the other order."


def undecided(judgement: Judgement) -> bool:
    return any(map(math.isnan, judgement.rewards))


def _matters(ablated: ImageAblation | None) -> bool:
    return ablated is not None and abs(ablated.given) >= TIE


def heat_html(view: View) -> Markup:
    """The picture with its map and its regions."""
    return answer.stage_html(shown_of(view), view.awaited)


def map_html(view: View) -> Markup:
    """How far the map on show can be trusted, the critique that it holds fixed, and how it was made."""
    if view.explanation is None:
        return html(
            '<p class="small">No map yet{{ "." if awaited else ": press Explain." }}</p>',
            awaited=view.awaited,
        )
    e = view.explanation
    scale = heat.scale_of(e, tuple(view.comparison.responses[i] for i in view.pair))
    held = heat.critique_html(e, heat.held_text(view.judgement, e), scale)
    return html(
        '<div class="explanation">{{ held }}{{ details }}</div>', held=held, details=heat.details_html(e)
    )


def figures_of(view: View) -> tuple[Markup, Markup, Markup]:
    if not view.judgement.scores:  # a judge without dimensions
        return NOTHING, NOTHING, NOTHING
    j = view.judgement
    return figures.waterfall(j, *view.pair).html(), figures.scores(j).html(), figures.gates(j).html()


def table(view: View) -> pd.DataFrame:
    """All dimensions in numbers; of a judge without any, its rewards."""
    j, (a, b) = view.judgement, view.pair
    if not j.scores:
        rewards = [
            {"response": letter(i), "reward": "no verdict" if math.isnan(r) else round(r, 3)}
            for i, r in enumerate(j.rewards)
        ]
        return pd.DataFrame(rewards)
    parts = j.contributions(a, b)
    rows = [
        {
            "dimension": j.dimensions[d].name,
            "capability": j.dimensions[d].capability,
            "relevance": round(j.relevance[d], 3),
            "selected": "yes" if d in parts else "",
            "weight": round(j.weights[d], 3),
            **{f"score {letter(i)}": round(j.scores[i][d], 3) for i in range(len(j.rewards))},
            f"contribution {letter(a)} − {letter(b)}": round(parts.get(d, 0.0), 3),
        }
        for d in range(len(j.dimensions))
    ]
    return pd.DataFrame(rows).sort_values("relevance", ascending=False)


def as_dict(view: View, judge: Judge) -> dict[str, Any]:
    """The whole result, without the picture's pixels (its hash is in the id). What is not a number is None."""
    ablated = view.image_ablation
    found: dict[str, Any] = finite({
        "model": judge.card.to_row(),
        "verdict": words.verdict(view.comparison, view.judgement, *view.pair),
        "warning": words.warning(view.judgement.ood),
        "unknown_words": list(view.unknown),
        "prompt": view.comparison.prompt,
        "responses": list(view.comparison.responses),
        "dimensions": [d.key for d in view.judgement.dimensions],
        "pair": [letter(i) for i in view.pair],
        "judgement": asdict(view.judgement),
        "explanation": asdict(view.explanation) if view.explanation else None,
        "image_ablation": {**asdict(ablated), "use": str(ablated.use)} if ablated else None,
        "edits": view.path.to_dict() if view.path else None,
    })  # fmt: skip
    return found


def finite(value: Any) -> Any:
    """For JSON, which has no NaN: None in its place, at any depth."""
    if isinstance(value, dict):
        return {k: finite(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(finite(v) for v in value)
    return None if isinstance(value, float) and math.isnan(value) else value


def download_html(view: View, judge: Judge) -> Markup:
    """A link that holds the result itself: nothing is written to the server's disk."""
    text = json.dumps(as_dict(view, judge), ensure_ascii=False, indent=1)
    data = base64.b64encode(text.encode("utf-8", "replace")).decode()
    return html(
        """
        <a class="download" download="rewardscope-{{ id }}.json" href="data:application/json;base64,{{ data }}">Download this result as JSON</a>
        """,
        id=view.comparison.id,
        data=data,
    )


def method_help(judge: Judge) -> str:
    return "\n\n".join(f"**{m.name}.** {m.help}" for m in methods_for(judge).values())


def needed(view: View | None) -> View:
    if view is None:
        raise RecordError("Judge something first.")
    return view


class told:  # noqa: N801 (reads as a clause: with told(): ...)
    """Errors that were written for people reach them as such."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ImageError | RecordError):
            raise gr.Error(notice(error), title="This cannot be judged", duration=12) from error

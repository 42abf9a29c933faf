"""The published endpoints `score` and `explain`: Gradio's API and MCP tools. Everything else is private."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import gradio as gr

from app.common import lane, words
from app.common.lane import LANE
from app.common.tasks import ASKED, judge_and_explain
from app.inspect import views
from app.inspect.first_looks import Looks
from app.inspect.gallery import by_id
from core.explain import LEVELS, SCOPES, Request, methods_for
from core.explain.methods import ALIASES
from core.images import ImageError, picture_bytes
from core.records import RecordError

MAX_STEPS = 256


def publish(looks: Looks) -> None:
    """Adds both endpoints to the Blocks that are being built."""
    judge = looks.judge

    def score(image: str, prompt: str, responses: list[str]) -> dict[str, Any]:
        """Judges two or more responses to one image and prompt, and says how much each dimension contributed.

        Args:
            image: The picture as base64 (PNG, JPEG, WebP or GIF, or a data: URL), or "example:" and a gallery example's id.
            prompt: The question that the responses answer.
            responses: Two or more answers.

        Returns:
            The verdict in words, rewards (None without a verdict), contributions that add up to the margin, relevance, weights and
            scores by dimension; of a judge that writes also which response wins in each order, and its votes.
        """
        with _clear_errors():
            view = views.judge_view(looks, views.comparison_of(_picture(image), prompt, responses))
            j, (a, b) = view.judgement, view.pair
            keys = [d.key for d in j.dimensions]
            found: dict[str, Any] = views.finite({
                "verdict": words.verdict(view.comparison, j, a, b),
                "warning": words.warning(j.ood),
                "rewards": list(j.rewards),
                "ranking": list(j.ranking),
                "pair": [a, b],
                "margin": j.margin(a, b),
                "contributions": {keys[d]: v for d, v in j.contributions(a, b).items()},
                "relevance": dict(zip(keys, j.relevance, strict=True)),
                "selected": [keys[d] for d in j.selected],
                "weights": {keys[d]: j.weights[d] for d in j.selected},
                "scores": [dict(zip(keys, row, strict=True)) for row in j.scores],
                "model": judge.card.to_row(),
                **({"orders": words.orders(j, a, b), "votes": [asdict(v) for v in j.votes]} if j.votes else {}),
            })  # fmt: skip
            return found

    def explain(
        image: str, prompt: str, responses: list[str], target: str = "margin", method: str = ASKED.method,
        steps: int = 32, level: str = "word", scope: str = "joint",
    ) -> dict[str, Any]:  # fmt: skip
        """Attributes the winner's margin over the runner-up to the words of both and to the regions of the picture.

        Args:
            image: The picture as base64 (PNG, JPEG, WebP or GIF, or a data: URL), or "example:" and a gallery example's id.
            prompt: The question that the responses answer.
            responses: Two or more answers; the winner and the runner-up are explained.
            target: "margin", "reward" (the winner's alone), or "score:" or "gate:" and a selected dimension's key; of a judge that
                writes also "verdict" (without a critique) or "critique:" and the number of one of its votes.
            method: "ablation", "gradient", "integrated_gradients", "occlusion", "shapley", "refine" or "decomposition".
            steps: Steps of integrated gradients, orders of Shapley sampling, or evaluations of "refine": 2 to 256.
            level: "word" or "sentence".
            scope: "joint", or "responses": image and prompt stay as they are, which is much faster.

        Returns:
            Values per word and region, convergence delta, and the deletion check. Positive values speak for `pair`'s first.
        """
        method = ALIASES.get(method, method)
        with _clear_errors():
            for name, value, known in (
                ("method", method, methods_for(judge)),
                ("level", level, LEVELS),
                ("scope", scope, SCOPES),
            ):
                if value not in known:
                    raise RecordError(f"There is no {name} '{value}': use one of {', '.join(known)}.")
            if not 2 <= steps <= MAX_STEPS:
                raise RecordError(f"steps is {steps}: it must lie between 2 and {MAX_STEPS}.")
            comparison = views.comparison_of(_picture(image), prompt, responses)
            (a, b), found = lane.run_on_model(
                judge_and_explain,
                judge,
                comparison,
                Request(target=target, method=method, steps=steps, level=level, scope=scope),
            )
            return {"pair": [a, b], **asdict(found)}

    gr.api(score, api_name="score", **LANE)
    gr.api(explain, api_name="explain", **LANE)


def _picture(image: str) -> bytes:
    if image.startswith("example:"):
        known = by_id(image.removeprefix("example:"))
        if known is None:
            raise RecordError(f"There is no example '{image.removeprefix('example:')[:40]}'.")
        assert isinstance(known.comparison.image, bytes)
        return known.comparison.image
    try:
        data = picture_bytes(image if image.startswith("data:") else f"data:,{image}")
    except ImageError as error:
        raise ImageError(
            "The image is not base64: send the file's bytes encoded, or 'example:' and an id."
        ) from error
    return data or b""


class _clear_errors:  # noqa: N801
    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, ImageError | RecordError):
            raise gr.Error(str(error)) from error

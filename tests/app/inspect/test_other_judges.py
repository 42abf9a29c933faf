"""Inspect with judges that have no dimensions: a public scalar head, and one that writes."""

import pytest
from checkpoints import qwen, value_head

from app.common import words
from app.common.tasks import check_bundle, try_edits
from app.inspect import views
from app.inspect.first_looks import Looks
from app.inspect.gallery import gallery
from core.judges.opening import open_judge
from core.judges.options import Options
from core.records.bundle import Bundle, read, write


@pytest.mark.parametrize("kind", ["scalar", "generative"])
def test_everything_that_the_page_shows_is_there(kind, tmp_path):
    folder = qwen(tmp_path / "m")
    if kind == "scalar":
        value_head(folder)
    judge = open_judge(str(folder), Options(device="cpu"))
    e = gallery()[0]
    c = views.comparison_of(e.path, e.comparison.prompt, list(e.comparison.responses))
    view = views.judge_view(Looks(judge, {}), c)
    assert "The model prefers" in views.verdict_html(view) or "A tie" in views.verdict_html(view)
    assert len(views.figures_of(view)) == 3 and list(views.table(view)["response"]) == ["A", "B"]
    assert views.heat_html(view) and words.about(judge.card)
    target = "verdict" if kind == "generative" else "margin"
    assert [key for _, key in views.targets_of(view, judge)] == [target] == [view.explanation.target_key]
    assert views.as_dict(view, judge)["dimensions"] == []
    effects, _, _ = try_edits(judge, view.comparison, view.judgement, view.explanation, view.other, view.pair)
    assert effects
    bundle = read(write(Bundle(c, view.judgement, view.explanation, view.image_ablation, judge.card)))
    verdict, _, _ = check_bundle(judge, bundle, view.other)
    assert verdict.holds

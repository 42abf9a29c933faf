"""Explaining a judge that can only be asked again, against a real server whose verdict is known in closed form."""

import base64
import io
import math

import numpy as np
import pytest
from PIL import Image
from server import serving, text_of, token

from core.explain import METHODS, Cancelled, Request, default_method, explain, methods_for, plan, targets_for
from core.judges import remote
from core.judges.asked import greyed, grid_of, without
from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.pieces import pieces
from core.judges.protocols import Differentiable, Explainable
from core.records import Comparison, RecordError

pytest.importorskip("openai")
SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote, "_wait", lambda error, attempt: 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def picture():
    """Black but for one white region of 4 x 2."""
    image = Image.new("RGB", (80, 40))
    image.paste((255, 255, 255), (20, 0, 40, 20))
    return image


def comparison(responses=("a good dog and a good cat", "some good dog")):
    return Comparison("c", picture(), "What is it?", tuple(responses))


def sent(body):
    url = next(p["image_url"]["url"] for p in body["messages"][-1]["content"] if p["type"] == "image_url")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))), dtype=float)


def odds_of(body):
    """Each "good" counts 1, and twice as much where the second region is white."""
    first, second = (text_of(body).split(f"Response {n}:\n")[1].split("\n")[0] for n in (1, 2))
    white = sent(body)[0:20, 20:40].mean() / 255
    return (first.count("good") - second.count("good")) * (1 + white)


def countable(handler, body, number):
    odds = odds_of(body)
    mine, other = ("1", "2") if odds >= 0 else ("2", "1")
    handler.say(f"<answer>{mine}</answer>", tokens=[
        token("<answer>", -0.1), token(mine, -0.1, **{other: -0.1 - abs(odds)}), token("</answer>", -0.1),
    ])  # fmt: skip


def opened(server, **options):
    return open_judge(server.address, Options(**options))


def posts(server):
    return [body for method, _, _, body in server.seen if method == "POST"]


def test_it_can_be_explained_but_has_no_gradients():
    with serving(countable) as server:
        judge = opened(server)
        judged = judge.judge(comparison())
    assert isinstance(judge, Explainable) and not isinstance(judge, Differentiable)
    assert set(methods_for(judge)) == {"ablation", "occlusion", "shapley"}
    assert [k for k, _ in targets_for(judge, judged)] == ["margin", "reward"]
    assert default_method(judge, comparison()) == "ablation"
    for method in ("gradient", "integrated_gradients"):
        with pytest.raises(RecordError, match=f"'{method}' needs gradients"):
            explain(judge, comparison(), judged, method=method)


def test_ablation_finds_the_words_and_the_region_that_the_server_counts():
    with serving(countable) as server:
        judge = opened(server)
        judged = judge.judge(comparison())
        before = len(posts(server))
        said = plan(judge, comparison(), judged, method="ablation", level="word", check=False)
        assert len(posts(server)) == before  # saying what it costs asks for nothing
        found = explain(judge, comparison(), judged, method="ablation", level="word", check=False)
        asked = len(posts(server)) - before
    assert judged.margin(0, 1) == pytest.approx(2) == found.target_value  # (2 - 1) goods, white: twice
    words = {
        n: {t: v for (t, _, _), v in zip(found.tokens[n], found.token_values[n], strict=True)} for n in (0, 1)
    }
    assert words[0]["good"] == pytest.approx(2) and words[0]["dog"] == 0
    assert words[1]["good"] == pytest.approx(-2) and words[1]["some"] == 0
    grey = 128 / 255
    assert np.array(found.patch_values) == pytest.approx(
        np.array([[0, 1 - grey, 0, 0], [0, 0, 0, 0]]), abs=1e-6
    )
    assert found.prompt_value == 0 and found.baseline_value == 0 and found.unanswered == 0
    assert said.asked.startswith(f"{2 * said.points:,} requests, about ") and asked <= 2 * said.points
    assert asked == 2 * (
        7 + 3 + 1 + 8 + 1
    )  # every word, the question, every region and the baseline, in both orders


def test_all_methods_run_and_shapley_adds_up():
    with serving(countable) as server:
        judge = opened(server, workers=32)
        judged = judge.judge(comparison())
        for method in methods_for(judge):
            asked = {"steps": 3} if METHODS[method].steps else {}
            found = explain(
                judge,
                comparison(),
                judged,
                method=method,
                level="sentence",
                check=method == "ablation",
                **asked,
            )
            if METHODS[method].complete:
                assert found.convergence_delta == pytest.approx(0, abs=1e-5)
        assert (
            explain(judge, comparison(), judged, method="ablation", scope="responses").patch_values[0][1] == 0
        )


def test_swapping_the_responses_turns_every_value_round():
    with serving(countable) as server:
        judge, c = opened(server, workers=32), comparison()
        turned = Comparison("c", c.image, c.prompt, c.responses[::-1])
        one, other = (
            explain(judge, x, judge.judge(x), method="ablation", level="word", check=False)
            for x in (c, turned)
        )
    assert other.token_values == tuple(tuple(-v for v in values) for values in one.token_values[::-1])
    assert other.patch_values == tuple(tuple(-v for v in row) for row in one.patch_values)


def test_answers_that_cannot_be_had_count_as_unmoved_and_are_counted():
    def behave(handler, body, number):
        text = text_of(body)
        if "dog" not in text.split("Response 1:\n")[1].split("\n\nWrite")[0].split("Response 2:\n")[0]:
            handler.send(500, "text/html", b"<html>")
        elif "some" not in text:
            handler.say("I'm sorry, I cannot help with that.")
        else:
            countable(handler, body, number)

    with serving(behave) as server:
        judge = opened(server)
        judged = judge.judge(comparison())
        found = explain(judge, comparison(), judged, method="ablation", level="word", check=False)
    words = dict(zip([t for t, _, _ in found.tokens[1]], found.token_values[1], strict=True))
    assert words["some"] == 0  # refused in both orders
    assert found.unanswered == 1 + 1  # and the baseline, which has no words at all
    assert words["good"] == pytest.approx(-2)


def test_what_was_never_judged_cannot_be_explained():
    with serving(lambda handler, body, number: handler.send(503, "text/html", b"busy")) as server:
        judge = opened(server)
        judge.attempts = 1
        judged = judge.judge(comparison())
        with pytest.raises(
            RecordError,
            match=r"gave no verdict on these two responses \(the server answered with an error \(503\)",
        ):
            explain(judge, comparison(), judged, method="ablation")


def test_cancelling_stops_asking():
    with serving(countable) as server:
        judge = opened(server, workers=2)
        judged = judge.judge(comparison())
        with pytest.raises(Cancelled):
            explain(
                judge,
                comparison(),
                judged,
                method="ablation",
                check=False,
                cancelled=lambda: len(posts(server)) > 12,
            )
        assert len(posts(server)) <= 12 + 2 * 2 * 2
        assert judge.lock.acquire(timeout=1)


def test_no_secret_stands_in_an_explanation(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)

    def behave(handler, body, number):
        if number > 10:
            handler.json(401, {"error": {"message": f"wrong key {SECRET}"}})
        else:
            countable(handler, body, number)

    with serving(behave, key=SECRET) as server:
        judge = opened(server, workers=2)
        judged = judge.judge(comparison())
        found = explain(judge, comparison(), judged, method="ablation", check=False)
    assert found.unanswered and SECRET not in repr((found, judged, judge.card))


def test_the_estimate_knows_votes_and_the_deletion_check():
    with serving(countable) as server:
        judge = opened(server, votes=3)
        judged = judge.judge(comparison())
        bare, checked = (
            plan(judge, comparison(), judged, Request(method="ablation", level="word", check=check))
            for check in (False, True)
        )
    assert bare.points == checked.points == 20
    assert bare.asked.startswith(f"{20 * 6:,} requests") and checked.asked.startswith(
        f"{(20 + 26) * 6:,} requests"
    )


def test_long_texts_are_cut_by_sentences():
    long = " ".join(["A good dog."] * 20)
    with serving(countable) as server:
        judge = opened(server, workers=32)
        c = comparison((long, "No."))
        found = explain(judge, c, judge.judge(c), method="ablation", check=False)
    assert found.level == "sentence" and len(found.token_values[0]) == 20


def test_cutting_words_and_greying_regions():
    text = "One two,  three."
    words = pieces(text, "word")
    assert (
        without(text, []) == text and without(text, words[1:2]) == "One three." and without(text, words) == ""
    )
    image = Image.new("RGB", (30, 20), (1, 2, 3))
    out = np.asarray(greyed(image, (2, 3), [4]))
    assert (
        (out[10:, 10:20] == 128).all()
        and (out[:10] == (1, 2, 3)).all()
        and image.getpixel((15, 15)) == (1, 2, 3)
    )
    assert grid_of(Image.new("RGB", (400, 100)), 4) == (1, 4) and grid_of(Image.new("RGB", (10, 10)), 4) == (
        4,
        4,
    )
    assert math.prod(grid_of(Image.new("RGB", (1, 1000)), 4)) == 4

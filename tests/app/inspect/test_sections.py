"""Inspect builds the sections that its judge can fill, and no others; what costs something is said before it is asked."""

import json
import math

import gradio as gr
import pytest
from checkpoints import qwen, value_head
from server import serving, text_of

from app.api import publish
from app.common import words
from app.inspect import views
from app.inspect.first_looks import Looks
from app.inspect.gallery import gallery
from app.inspect.links import View
from app.inspect.page import InspectPage, Wanted
from core.judges import remote
from core.judges.generative import GenerativeJudge
from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.prompts import PROMPTS
from core.records import RecordError
from core.runs.library import Library

SECRET = "sk-very-secret-0123456789"
TEXT = "<think>The first names the number. It is right.</think><answer>1</answer>"


class Written(GenerativeJudge):
    def write(self, image, asked, votes):
        return [(TEXT, True)] * votes


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return qwen(tmp_path_factory.mktemp("judge"))


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(remote, "_wait", lambda error, attempt: 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def page_of(judge):
    """The built page and the ids of what stands on it."""
    with gr.Blocks() as demo:
        page = InspectPage(Looks(judge, {}), Library([]))
        page.build(demo)
        publish(page.looks)
    return page, {b.elem_id for b in demo.blocks.values() if getattr(b, "elem_id", None)}


def example():
    e = gallery()[0]
    return views.comparison_of(e.path, e.comparison.prompt, list(e.comparison.responses))


def asked_of(page, c):
    """What the page shows once Judge is pressed."""
    *shown, wanted = page.on_asked(None, None, None, c.image, c.prompt, *c.responses)
    while isinstance(wanted, Wanted):
        *shown, wanted = page.on_wanted(None, wanted)
    assert len(shown) == page.shown
    return dict(zip(page.names, shown, strict=False))


def opened(page, c):
    """What it shows of a comparison that a link brings."""
    shown = page._opened(View(c.image, None, c.prompt, c.responses))
    return dict(zip(page.names, shown[-page.shown - 1 :], strict=False))


GATED = {"waterfall", "scores", "gates", "what-if", "region-dimension"}


def test_a_gated_judge_has_every_section_but_orders(embedded_judge):
    _, ids = page_of(embedded_judge)
    assert (
        ids >= GATED | {"target", "suggestions", "heat"} and "both-orders" not in ids and "check" not in ids
    )


def test_a_scalar_judge_has_no_dimensions_to_show(folder, tmp_path):
    import shutil

    shutil.copytree(folder, tmp_path / "scalar")
    page, ids = page_of(open_judge(str(value_head(tmp_path / "scalar")), Options(device="cpu")))
    assert not ids & (GATED | {"both-orders", "target", "check"}) and ids >= {
        "suggestions",
        "strip",
        "heat",
        "method",
    }
    shown = asked_of(page, example())
    assert not set(shown) & {"contributions", "waterfall", "scores", "gates", "orders"}
    assert 'data-unit="w0-0"' in shown["said-a"] and 'data-unit="r0"' in shown["heat"]
    assert "margin A − B" in shown["verdict"] and "image" in shown["verdict"] and shown["target"] == "margin"
    assert "read at the last token" in words.about(page.judge.card)


def test_a_judge_that_writes_shows_both_orders_and_explains_each_text(folder):
    loaded = open_judge(str(folder), Options(device="cpu"))
    judge = Written(loaded.model, loaded.processor, loaded.card, PROMPTS["think"], 2)
    page, ids = page_of(judge)
    assert not ids & (GATED | {"suggestions"}) and ids >= {"both-orders", "target", "strip"}
    c = example()
    filled = opened(page, c)
    assert "then writes 4 critiques" in filled["verdict"] and filled["view"] is None
    shown = asked_of(page, c)
    view, orders = shown["view"], shown["orders"]
    keys = [key for _, key in shown["target"]["choices"]]
    assert keys == ["verdict", "critique:0", "critique:1", "critique:2", "critique:3"]
    assert (
        shown["target"]["value"] in keys and view.explanation.critique_values and view.image_ablation is None
    )
    assert "A shown first" in orders and "B shown first" in orders and "Critique 4" in orders
    assert words.orders(view.judgement, 0, 1) in orders
    for vote in view.judgement.votes:
        value = vote.log_odds if vote.order == (0, 1) else -vote.log_odds
        assert f"log-odds of A over B {value:+.2f}" in orders
    assert "Neither the first impression nor a critique" in shown["heat"] and "It is right." in shown["map"]
    known = opened(page, c)
    assert known["view"].judgement == view.judgement  # now that it is known


def honest(handler, body, number):
    first, second = (text_of(body).split(f"Response {n}:\n")[1].split("\n\n")[0] for n in (1, 2))
    handler.say(f"Because. <answer>{1 if len(first) >= len(second) else 2}</answer>")


def test_a_remote_judge_is_asked_only_when_a_person_says_so(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving(honest, key=SECRET) as server:
        page, ids = page_of(open_judge(server.address, Options()))
        assert not ids & (GATED | {"suggestions", "target"}) and ids >= {
            "both-orders",
            "check",
            "strip",
            "method",
        }
        c = example()
        filled = opened(page, c)
        assert "Press Judge to ask judge-7b: 2 requests, about" in filled["verdict"]
        assert not server.asked
        shown = asked_of(page, c)
        assert server.asked == 2 and shown["view"].explanation is None and "No map yet" in shown["heat"]
        cost = page.on_choice(shown["view"], "margin", "ablation", "word", True)
        assert server.asked == 2 and "requests, about" in cost and "At most" in cost
        with pytest.raises(gr.Error, match="press Explain first"):
            page.on_bundle(shown["view"])
        assert SECRET not in repr(shown) and SECRET not in cost


@pytest.mark.parametrize(
    ("behave", "why"),
    [
        (lambda handler, body, number: handler.send(500, "text/html", f"<html>{SECRET}".encode()), "the server answered with an error (500)"),
        (lambda handler, body, number: handler.say(f"I'm sorry, {SECRET} I cannot"), "refused"),
        (lambda handler, body, number: handler.send(200, "application/json", b'{"choices": [{"mess'), "not one of the OpenAI protocol"),
        (lambda handler, body, number: handler.json(429, {}), "busy or a limit of requests"),
        (lambda handler, body, number: handler.json(401, {"error": {"message": SECRET}}), "refuses the key"),
    ],
)  # fmt: skip
def test_a_server_in_trouble_is_a_sentence_on_the_page_and_is_asked_again_the_next_time(
    behave, why, monkeypatch
):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving(behave) as server:
        page, _ = page_of(open_judge(server.address, Options()))
        shown = asked_of(page, example())
        asked = server.asked
        assert "The model gave no verdict" in shown["verdict"] and why in shown["verdict"]
        assert views.undecided(shown["view"].judgement) and SECRET not in repr(shown)
        found = views.as_dict(shown["view"], page.judge)
        assert json.loads(json.dumps(found, allow_nan=False))["judgement"]["rewards"] == [None, None]
        with pytest.raises(RecordError, match="gave no verdict"):
            page.judge.masked(
                example(), shown["view"].judgement, 0, 1, lambda o: o.rewards[:, 0], "word", "joint"
            )
        asked_of(page, example())
        assert server.asked > asked


def test_what_is_known_of_a_judge_is_said_and_nothing_is_read_as_markdown(folder):
    card = open_judge(str(folder), Options(device="cpu", max_pixels=4096)).card
    assert "at most 4,096 pixels" in words.about(card)
    assert "at most 12,544 pixels" in words.about(open_judge(str(folder), Options(device="cpu")).card)
    evil = type(card)("x", "[a](javascript:1) <b>", "remote")
    assert "\\[a\\]\\(javascript:1\\) \\<b\\>" in words.about(evil) and "0.0 million" not in words.about(evil)


def test_words_for_orders():
    from core.records import Judgement, Vote

    def said(*votes):
        return words.orders(Judgement("c", "j", (math.nan, math.nan), votes=votes), 0, 1)

    a, b, none = Vote((0, 1), "", 0), Vote((1, 0), "", 1), Vote((1, 0), "", None)
    assert (
        said(a, Vote((1, 0), "", 0)) == "A wins in both orders"
        and said(a, b) == "the answer depends on the order"
    )
    assert said(a, none) == "A wins in one order, no verdict in the other"
    assert said(Vote((0, 1), ""), none) == "no verdict in either order" and said(a) == said() == ""


def test_verdict_map_and_check_come_one_after_another(embedded_judge):
    page, _ = page_of(embedded_judge)
    c = example()
    c = views.comparison_of(c.image, c.prompt, [f"{c.responses[0]} Never judged before.", c.responses[1]])
    *shown, wanted = page.on_asked(None, None, None, c.image, c.prompt, *c.responses)
    first = dict(zip(page.names, shown, strict=False))
    assert (
        first["view"].explanation is None
        and first["view"].judgement.rewards == embedded_judge.judge(c).rewards
    )
    assert "preferred" in first["said-a"] + first["said-b"] and "2 of 3" in shown[-1]
    assert "on its way" in first["heat"] and "press Explain" not in first["heat"]
    *shown, wanted = page.on_wanted(None, wanted)
    then = dict(zip(page.names, shown, strict=False))
    assert then["view"].explanation is not None and then["view"].explanation.faithfulness is None
    assert then["view"].judgement is first["view"].judgement and "3 of 3" in shown[-1]
    *shown, wanted = page.on_wanted(None, wanted)
    last = dict(zip(page.names, shown, strict=False))["view"]
    assert last.explanation.faithfulness and last.parts and last.image_ablation and shown[-1] == ""
    whole = views.judge_view(Looks(embedded_judge, {}), c)
    assert last.explanation.token_values == whole.explanation.token_values
    assert last.explanation.faithfulness == whole.explanation.faithfulness and last.parts == whole.parts


def test_what_was_asked_for_before_is_never_shown_after_what_was_asked_for_since(embedded_judge):
    page, _ = page_of(embedded_judge)
    c = example()
    texts = [f"{c.responses[0]} One.", f"{c.responses[0]} Two."]
    *_, old = page.on_asked(None, None, None, c.image, c.prompt, texts[0], c.responses[1])
    *_, new = page.on_asked(None, None, None, c.image, c.prompt, texts[1], c.responses[1])
    assert all(v == gr.skip() for v in page.on_wanted(None, old))
    *shown, _ = page.on_wanted(None, new)
    assert shown[0].comparison.responses[0] == texts[1]


def test_a_map_that_nobody_asked_for_stops_in_time_and_says_so(embedded_judge, monkeypatch):
    from app.inspect import page as inspect_page

    monkeypatch.setattr(inspect_page, "UNASKED", -1)
    page, _ = page_of(embedded_judge)
    c = example()
    *_, wanted = page.on_asked(None, None, None, c.image, c.prompt, c.responses[0] + " Late.", c.responses[1])
    *shown, wanted = page.on_wanted(None, wanted)
    found = dict(zip(page.names, shown, strict=False))
    assert not isinstance(wanted, Wanted) and found["view"].explanation is None
    assert "others need not wait" in shown[-1] and "press Explain" in found["heat"]


def test_a_long_text_is_judged_and_its_map_waits_until_it_is_asked_for(embedded_judge):
    page, _ = page_of(embedded_judge)
    c = example()
    text = "There are two purple shapes. " * 130
    *shown, wanted = page.on_asked(None, None, None, c.image, c.prompt, text, c.responses[1])
    assert wanted == gr.skip() and "unless you ask" in shown[-1] and shown[0].judgement.rewards
    assert shown[0].explanation is None and not shown[0].awaited
    *kept, said, wanted = page.on_flip(shown[0], None)
    assert "too long" in said and wanted == gr.skip() and all(v == gr.skip() for v in kept[:10])


def test_cancelling_drops_what_is_still_to_come(embedded_judge):
    page, _ = page_of(embedded_judge)
    c = example()
    *shown, wanted = page.on_asked(
        None, None, None, c.image, c.prompt, c.responses[0] + " Stop.", c.responses[1]
    )
    view, heat, details, said = page.on_cancel(shown[0], None)
    assert not view.awaited and "press Explain" in heat and "No map yet" in details and "Cancelled" in said
    assert all(v == gr.skip() for v in page.on_wanted(None, wanted))


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ((None, "Q", "a", "b", "", ""), "picture"),
        (("x.png", "Q", "a", "b", "", ""), "picture"),
        (("picture", " ", "a", "b", "", ""), "prompt"),
        (("picture", "Q", "", "b", "", ""), "response-a"),
        (("picture", "Q", "a", "", "", ""), "response-b"),
        (("picture", "Q", "", "", "", ""), "response-a"),
        (("picture", "Q", "a", "b", " ", "d"), "response-c"),
        (("picture", "Q", "a", "b" * 12_001, "", ""), "response-b"),
        (("picture", "Q" * 4_001, "a", "b", "", ""), "prompt"),
    ],
)
def test_one_fault_is_one_message_at_its_field_and_nothing_else_changes(embedded_judge, given, field):
    page, _ = page_of(embedded_judge)
    given = tuple(gallery()[0].path if x == "picture" else x for x in given)
    *shown, wanted = page.on_asked(None, None, None, *given)
    at = len(shown) - 1 - len(page.problems)
    assert wanted == gr.skip() and all(v == gr.skip() for v in shown[:at])
    told = dict(zip(page.problems, shown[at:-1], strict=True))
    assert [f for f, text in told.items() if text] == [field] and f'data-field="{field}"' in told[field]

"""The published endpoints through gradio_client, good input and bad."""

import base64
import io
from concurrent.futures import ThreadPoolExecutor

import pytest
from gradio_client import Client
from PIL import Image

from app.inspect.gallery import by_id, gallery
from core.taxonomy import KEYS


@pytest.fixture(scope="module")
def client(server):
    return Client(server, verbose=False)


def encoded(data):
    return base64.b64encode(data).decode()


def test_only_score_and_explain_are_published(client):
    assert set(client.view_api(return_format="dict")["named_endpoints"]) == {"/score", "/explain"}


def test_score_adds_up_and_says_what_the_judge_says(client, embedded_judge):
    for example in gallery():
        c = example.comparison
        out = client.predict(encoded(c.image), c.prompt, list(c.responses), api_name="/score")
        assert sum(out["contributions"].values()) == pytest.approx(out["margin"], abs=1e-5)
        assert out["margin"] == pytest.approx(
            out["rewards"][out["pair"][0]] - out["rewards"][out["pair"][1]], abs=1e-6
        )
        assert set(out["relevance"]) == set(KEYS) and len(out["selected"]) == 3
        assert out["rewards"] == pytest.approx(embedded_judge.judge(c).rewards, abs=1e-4)
        assert out["warning"] is None


def test_a_foreign_picture_is_warned_of(client):
    noise = io.BytesIO()
    Image.effect_noise((400, 300), 90).convert("RGB").save(noise, "PNG")
    out = client.predict(
        encoded(noise.getvalue()), "How many stars are there?", ["2", "3"], api_name="/score"
    )
    assert "outside the world" in out["warning"]


def test_explain_by_example_id(client):
    c = by_id("count").comparison
    out = client.predict(
        "example:count",
        c.prompt,
        list(c.responses),
        "margin",
        "integrated_gradients",
        16,
        api_name="/explain",
    )
    total = (
        sum(map(sum, out["token_values"]))
        + sum(map(sum, out["patch_values"]))
        + out["prompt_value"]
        + out["other_value"]
    )
    assert total == pytest.approx(
        out["target_value"] - out["baseline_value"] + out["convergence_delta"], abs=1e-4
    )


SVG = encoded(b"<svg xmlns='http://www.w3.org/2000/svg'/>")


@pytest.mark.parametrize(
    ("image", "prompt", "responses", "says"),
    [
        ("", "p", ["a", "b"], "no picture"),
        ("***", "p", ["a", "b"], "not base64"),
        ("example:nothing", "p", ["a", "b"], "no example"),
        (SVG, "p", ["a", "b"], "SVG"),
        (encoded(b"not an image"), "p", ["a", "b"], "not a picture"),
        ("example:count", " ", ["a", "b"], "prompt is empty"),
        ("example:count", "p", ["a"], "only one response"),
        ("example:count", "p", [], "no responses"),
        ("example:count", "p", ["a", "", "c"], "Response B is empty"),
        ("example:count", "p", ["a", "word " * 10_000], "50,000 characters"),
        ("example:count", "p" * 5000, ["a", "b"], "prompt has 5,000 characters"),
    ],
)
def test_bad_input_gets_a_sentence(client, image, prompt, responses, says):
    with pytest.raises(Exception, match=says):
        client.predict(image, prompt, responses, api_name="/score")


def test_odd_text_is_judged(client):
    for text in ("مرحبا بالعالم", "🎉" * 50, "<script>alert(1)</script>", "a\n\n\tb", "ünïcödé"):
        out = client.predict("example:count", "Is it " + text + "?", [text, "b"], api_name="/score")
        assert len(out["rewards"]) == 2


def test_identical_responses_are_a_tie(client):
    out = client.predict("example:count", "How many?", ["same", "same"], api_name="/score")
    assert out["margin"] == pytest.approx(0, abs=1e-5) and "same text" in out["verdict"]


def test_explain_refuses_what_it_does_not_know(client):
    for target, method, steps, says in (("x", "gradient", 8, "no target"), ("margin", "x", 8, "no method"),
                                        ("margin", "gradient", 100_000, "between 2 and 256")):  # fmt: skip
        with pytest.raises(Exception, match=says):
            client.predict("example:count", "p", ["a", "b"], target, method, steps, api_name="/explain")


def test_two_people_at_once_get_their_own_answers(client, server):
    """Explained together, in different sessions, each sees what it would have seen alone."""
    asked = [by_id(i) for i in ("count", "colour", "text", "path")]

    def explained(who, example):
        c = example.comparison
        out = who.predict(
            f"example:{example.id}",
            c.prompt,
            list(c.responses),
            "margin",
            "decomposition",
            16,
            api_name="/explain",
        )
        return out["token_values"], out["patch_values"]

    alone = [explained(client, e) for e in asked]
    people = [Client(server, verbose=False) for _ in asked]
    with ThreadPoolExecutor(len(asked)) as pool:
        together = list(pool.map(explained, people, asked))
    assert together == alone
    assert len({str(a) for a in alone}) == len(asked)

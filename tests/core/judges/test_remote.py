"""A judge behind a server: against a real one on this machine, in all its moods."""

from __future__ import annotations

import asyncio
import base64
import io
import json
import logging
import math
import re
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image
from server import drip, serving, text_of, token

from core.benchmarks import BENCHMARKS
from core.judges import remote
from core.judges.opening import open_judge
from core.judges.options import Options
from core.judges.prompts import PROMPTS
from core.judges.protocols import Judge, Writes
from core.judges.remote import RemoteJudge
from core.model.loading import CheckpointError
from core.records import Comparison
from core.runs.runner import Job, run

openai = pytest.importorskip("openai")
SECRET = "sk-very-secret-0123456789"


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No test waits for a second attempt longer than it must."""
    monkeypatch.setattr(remote, "_wait", lambda error, attempt: 0.01)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)


def photograph(seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 255, (40, 60, 3), dtype="uint8"))


def comparison(responses=("good answer", "bad answer"), seed=0):
    return Comparison(str(seed), photograph(seed), "How many?", tuple(responses))


def honest(handler, body, number):
    """Prefers whatever says good."""
    first = text_of(body).split("Response 1:\n")[1].split("\n")[0]
    handler.say(f"<answer>{1 if 'good' in first else 2}</answer>")


def judge_at(server, **options):
    seconds = options.pop("seconds", 20.0)
    judge = open_judge(server.address, Options(**options))
    judge.seconds = seconds
    return judge


def test_both_orders_are_asked_with_the_very_pixels():
    with serving(honest) as server:
        judge = judge_at(server)
        assert isinstance(judge, Judge) and isinstance(judge, Writes)
        assert judge.card.kind == "remote" and judge.card.id == "judge-7b"
        found = judge.judge(comparison())
        posts = [body for method, _, _, body in server.seen if method == "POST"]
    assert len(posts) == 2 and found.choice == 0 and found.margin(0, 1) == pytest.approx(math.log(3))
    assert [v.order for v in found.votes] == [(0, 1), (1, 0)] and [v.choice for v in found.votes] == [0, 0]
    assert posts[0]["temperature"] == 0 and posts[0]["logprobs"] is True and "do_sample" not in posts[0]
    url = posts[0]["messages"][0]["content"][0]["image_url"]["url"]
    sent = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1])))
    assert sent.tobytes() == photograph().tobytes()


def test_rows_of_several_pictures_and_turns_are_judged_by_a_run(tmp_path):
    """Each picture goes out in its order, and the chat with its roles; a judge of one picture leaves the row out."""
    for n in range(3):
        photograph(n).save(tmp_path / f"{n}.png")
    chat = [
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": "Which?"},
    ]
    row = {"prompt": chat, "images": ["0.png", "1.png", "2.png"], "chosen": "good one", "rejected": "bad one"}
    (tmp_path / "mine.jsonl").write_text(json.dumps(row))
    with serving(honest) as server:
        done = run(Job(BENCHMARKS["own"].open(tmp_path / "mine.jsonl"), judge_at(server), tmp_path / "run"))
        posts = [body for method, _, _, body in server.seen if method == "POST"]
    assert done.table(["outcome", "problem", "pictures"]).to_pylist() == [
        {"outcome": "right", "problem": "", "pictures": 3}
    ]
    *parts, text = posts[0]["messages"][0]["content"]
    sent = [Image.open(io.BytesIO(base64.b64decode(p["image_url"]["url"].split(",")[1]))) for p in parts]
    assert [s.tobytes() for s in sent] == [photograph(n).tobytes() for n in range(3)]
    assert "user: Hello.\nassistant: Yes?\nuser: Which?" in text["text"]


def test_log_odds_are_read_where_the_server_gives_them():
    def behave(handler, body, number):
        first = "good" in text_of(body).split("Response 1:\n")[1].split("\n")[0]
        said, other = ("1", "2") if first else ("2", "1")
        handler.say(f"<answer>{said}</answer>", tokens=[
            token("<answer>", -0.1), token(said, -0.2, **{other: -2.2}), token("</answer>", -0.1),
        ])  # fmt: skip

    with serving(behave) as server:
        found = judge_at(server).judge(comparison())
        back = judge_at(server).judge(comparison(("bad answer", "good answer")))
    assert [v.log_odds for v in found.votes] == pytest.approx([2.0, -2.0])
    assert found.margin(0, 1) == pytest.approx(2.0) and found.margin(0, 1) == -back.margin(0, 1)


def test_without_the_other_verdict_among_the_alternatives_votes_count():
    def behave(handler, body, number):
        handler.say("<answer>1</answer>", tokens=[token("<answer>", 0), token("1", 0), token("</answer>", 0)])

    with serving(behave) as server:
        found = judge_at(server).judge(comparison())
    assert [v.log_odds for v in found.votes] == [None, None]
    assert found.margin(0, 1) == 0 and found.choice is None  # it always prefers the first one shown


def test_several_votes_and_three_responses():
    with serving(honest) as server:
        judge = judge_at(server, votes=3)
        found = judge.judge(comparison(("bad", "good", "bad too")))
        posts = [body for method, _, _, body in server.seen if method == "POST"]
    assert len(posts) == 6 * 3 and found.choice == 1
    assert {p["seed"] for p in posts} == {0, 1, 2} and posts[0]["temperature"] == 1.0


def test_requests_go_out_together_but_no_more_than_allowed():
    def slow(handler, body, number):
        time.sleep(0.15)
        honest(handler, body, number)

    with serving(slow) as server:
        started = time.monotonic()
        judge_at(server, workers=4).judge_batch([comparison(seed=i) for i in range(6)])
        assert 2 <= server.most <= 4 and time.monotonic() - started < 12 * 0.15


def once(trouble):
    """Trouble at first, then honest."""
    tried = set()

    def behave(handler, body, number):
        key = text_of(body)
        if key not in tried:
            tried.add(key)
            return trouble(handler, body, number)
        return honest(handler, body, number)

    return behave


def close(handler, body, number):
    handler.close_connection = True
    handler.connection.close()


def half(handler, body, number):
    handler.send(200, "application/json", b'{"choices": [{"mess')


def cut(handler, body, number):
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "5000")
    handler.end_headers()
    handler.wfile.write(b'{"choices"')
    handler.wfile.flush()
    close(handler, body, number)


TROUBLES = {
    "429": (lambda h, b, n: h.json(429, {"error": {"message": SECRET}}, Retry_After="0"), "limit of requests is reached"),
    "500": (lambda h, b, n: h.json(500, {"error": SECRET}), r"answered with an error \(500\)"),
    "503 as HTML": (lambda h, b, n: h.send(503, "text/html", b"<html>" + SECRET.encode()), r"error \(503\)"),
    "HTML": (lambda h, b, n: h.send(200, "text/html", b"<html>hello</html>"), "not one of the OpenAI protocol"),
    "half a JSON": (half, "not one of the OpenAI protocol"),
    "another JSON": (lambda h, b, n: h.json(200, {"hello": 1}), "not one of the OpenAI protocol"),
    "a list": (lambda h, b, n: h.json(200, [1]), "not one of the OpenAI protocol"),
    "no choices": (lambda h, b, n: h.json(200, {"choices": []}), "not one of the OpenAI protocol"),
    "closes": (close, "closed the connection"),
    "cut in the middle": (cut, "closed the connection"),
    "slow": (lambda h, b, n: time.sleep(1.5), "did not finish an answer within"),
    "drips": (lambda h, b, n: drip(h, 3), "did not finish an answer within"),
}  # fmt: skip


@pytest.mark.parametrize("name", TROUBLES)
def test_a_passing_trouble_is_outlived_and_a_lasting_one_is_told(name, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    trouble, words = TROUBLES[name]
    seconds = 0.6 if name in ("slow", "drips") else 20.0
    with serving(once(trouble)) as server:
        assert judge_at(server, seconds=seconds).judge(comparison()).choice == 0
    with serving(trouble) as server:
        judge = judge_at(server, seconds=seconds)
        judge.attempts = 2
        found = judge.judge(comparison())
    assert found.rewards == () and found.choice is None and found.critique == ""
    assert all(v.problem and "(2 attempts)" in v.problem for v in found.votes)
    assert len(found.votes) == 2
    assert re.search(words, found.votes[0].problem), found.votes[0].problem
    assert SECRET not in str(found)


def test_an_endless_answer_is_left(monkeypatch):
    monkeypatch.setattr(remote, "LARGEST", 1 << 20)

    def endless(handler, body, number):
        handler.send_response(200)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for _ in range(10**6):
            handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")

    with serving(endless) as server:
        found = judge_at(server).judge(comparison())
    assert (
        found.rewards == ()
        and "does not end" in found.votes[0].problem
        and "(1 attempt)" in found.votes[0].problem
    )


def test_answers_without_a_verdict_are_kept_with_their_reason():
    said = iter(
        [
            ("<think>and so on", "length", None),
            (None, "stop", "I will not."),
            ("", "content_filter", None),
            ("Both.", "stop", None),
        ]
    )

    def behave(handler, body, number):
        text, reason, refusal = next(said)
        handler.say(text, reason, refusal=refusal)

    with serving(behave) as server:
        found = judge_at(server, votes=2, workers=1).judge(comparison())
    assert [v.problem for v in found.votes] == ["cut off", "refused", "refused", "no verdict"]
    assert [v.text for v in found.votes] == ["<think>and so on", "I will not.", "", "Both."]
    assert all(map(math.isnan, found.rewards))


def test_a_server_that_knows_fewer_fields_is_asked_with_fewer():
    def picky(handler, body, number):
        if "logprobs" in body or "max_tokens" in body:
            return handler.json(400, {"error": {"message": "unsupported"}})
        return honest(handler, body, number)

    with serving(picky) as server:
        judge = judge_at(server, workers=1)
        assert judge.judge(comparison()).choice == 0
        before = server.asked
        judge.judge(comparison())
        assert server.asked - before == 2  # it remembers


def test_the_run_goes_on_and_each_row_says_why(tmp_path, monkeypatch, caplog, capfd):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    caplog.set_level(logging.DEBUG)

    def moody(handler, body, number):
        """Fails for every third question, and sends the key back in one answer."""
        turn = sum(map(ord, text_of(body).split("Question:\n")[1].split("\n")[0])) % 3
        if turn == 0:
            return handler.json(500, {"error": {"message": handler.headers["Authorization"]}})
        return handler.say(f"You sent {handler.headers['Authorization']} <answer>1</answer>")

    with serving(moody, key=SECRET) as server:
        judge = judge_at(server)
        judge.attempts = 1
        done = run(
            Job(BENCHMARKS["scene"].open().first(24), judge, tmp_path / "r", batch=4, keep_images=False)
        )
        assert any(SECRET in str(headers) for _, _, headers, _ in server.seen)
    rows = done.table().to_pylist()
    assert len(rows) == 24
    failed = [r for r in rows if r["outcome"] == "missing"]
    assert 0 < len(failed) < 24 and all("error (500)" in r["problem"] for r in failed)
    assert all(
        r["votes"][0]["text"] == "You sent Bearer [key] <answer>1</answer>"
        for r in rows
        if r["outcome"] != "missing"
    )
    everything = json.dumps(rows, default=str) + caplog.text + "".join(capfd.readouterr())
    for file in (tmp_path / "r").rglob("*"):
        if file.is_file():
            everything += file.read_bytes().decode("latin-1")
    assert SECRET not in everything


def test_addresses_that_are_not_servers(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", SECRET)
    with serving(honest, models=None) as server, pytest.raises(CheckpointError, match="no list of models"):
        open_judge(server.address)
    with (
        serving(honest, models=b"<html>hi</html>") as server,
        pytest.raises(CheckpointError, match="not one of the OpenAI protocol"),
    ):
        open_judge(server.address)
    with pytest.raises(CheckpointError, match="cannot be reached"):
        open_judge(server.address)
    with (
        serving(honest, key="another") as server,
        pytest.raises(CheckpointError, match="refuses the key in OPENAI_API_KEY") as raised,
    ):
        open_judge(server.address)
    assert SECRET not in str(raised.value) and raised.value.__cause__ is None
    with serving(honest, models=("a", "b")) as server:
        with pytest.raises(CheckpointError, match="serves 2 models: choose one with --served"):
            open_judge(server.address)
        assert open_judge(server.address, Options(served="b")).card.id == "b"
    with serving(honest, models=()) as server, pytest.raises(CheckpointError, match="serves no model"):
        open_judge(server.address)
    for address in (f"http://me:{SECRET}@localhost/v1", f"http://localhost/v1?key={SECRET}"):
        with pytest.raises(CheckpointError, match="holds a name, a password or a key") as raised:
            open_judge(address)
        assert SECRET not in str(raised.value)
    with pytest.raises(CheckpointError, match="is not an address"):
        open_judge("http:///v1")


def test_a_wrong_key_at_judging_is_not_tried_again():
    def locked(handler, body, number):
        handler.json(401, {"error": {"message": "no"}})

    with serving(locked) as server:
        found = judge_at(server).judge(comparison())
        assert server.asked == 2 and "wants a key: set OPENAI_API_KEY" in found.votes[0].problem


def test_what_a_run_will_cost_is_known_before():
    judge = RemoteJudge("http://localhost/v1", "m", PROMPTS["think"], votes=2)
    found = judge.estimate([comparison(), comparison(("a", "b", "c"))], 100)
    assert found.requests == (2 + 6) * 2 * 50 and found.tokens_out == found.requests * 2048
    assert "800 requests" in found.sentence()


def test_pictures_are_made_smaller_on_request():
    with serving(honest) as server:
        judge_at(server, max_pixels=600).judge(comparison())
        url = server.seen[-1][3]["messages"][0]["content"][0]["image_url"]["url"]
    size = Image.open(io.BytesIO(base64.b64decode(url.split(",")[1]))).size
    assert size[0] * size[1] <= 600 and size[0] > size[1]


def test_it_works_where_a_loop_is_running():
    with serving(honest) as server:
        judge = judge_at(server)

        async def inside():
            return judge.judge(comparison())

        with ThreadPoolExecutor(1) as other:  # a browser of another test may hold a loop in this thread
            assert other.submit(asyncio.run, inside()).result().choice == 0


def test_without_the_client_a_sentence_says_what_to_install(monkeypatch):
    import builtins

    real = builtins.__import__

    def without(name, *args, **kwargs):
        if name == "openai":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(CheckpointError, match="requirements-remote.txt"):
        open_judge("http://localhost:1/v1")


def test_the_run_command_says_the_cost_first_and_runs(tmp_path):
    from typer.testing import CliRunner

    from core.commands.app import app

    def first(handler, body, number):
        handler.say("<answer>1</answer>")

    with serving(first) as server:
        found = CliRunner().invoke(
            app,
            [
                "run",
                "--benchmark",
                "scene",
                "--limit",
                "5",
                "--model",
                server.address,
                "--output",
                str(tmp_path / "r"),
            ],
        )
    assert found.exit_code == 0, found.output
    assert "judge-7b: 10 requests" in found.output and "5 tie" in found.output

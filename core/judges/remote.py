"""A judge behind a server that speaks the OpenAI protocol (vLLM, SGLang, LMDeploy, llama.cpp, hosted ones).

Whatever the server does, a comparison gets its judgement: answers that could not be had are votes with a problem, and a
comparison without any answer has no rewards (it counts as missing). The key comes from the environment variable
OPENAI_API_KEY, is sent to the server and stands nowhere else: every text that leaves this module is cleared of it, and
of an error only its kind and status are told, never its own words.
"""

from __future__ import annotations

import asyncio
import base64
import math
import os
import random
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import httpx
from PIL import Image

from core.images import to_png_bytes
from core.judges.asked import AskedForward, Question
from core.judges.features import TargetFunction
from core.judges.options import Options
from core.judges.pairs import chosen, rewards_of, shown_critique
from core.judges.prompts import Prompt, find_prompt
from core.judges.verdicts import OWN_ANSWER, REFUSED, RULES, TRUNCATED, problem_of
from core.model.files import CheckpointError
from core.records import Comparison, JudgeCard, Judgement, Vote

KEY = "OPENAI_API_KEY"
SECONDS = 180.0  # that one attempt may take, however slowly bytes come in
ATTEMPTS = 5
LONGEST_WAIT = 60.0  # between attempts, whatever the server asks for
LARGEST = 16 << 20  # bytes of one answer
PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})  # statuses that are tried again
TOP = 20  # alternatives of a token that are asked for
# Servers differ in what they take. On a 400 the next of these is tried, and kept.
DIALECTS = ("all", "no logprobs", "max_completion_tokens", "nothing optional")


class TooLong(Exception):
    """An answer that does not end."""


@dataclass(frozen=True)
class Answer:
    """text: what the server's model wrote, "" where there is none. problem: why there is nothing, or not all of it.
    tokens: (text, log-probability, alternatives) of each token, where the server gives them."""

    text: str = ""
    problem: str = ""
    tokens: tuple[tuple[str, float, dict[str, float]], ...] = ()


@dataclass(frozen=True)
class Estimate:
    """What a run will ask for. tokens_in: about; tokens_out: at most."""

    requests: int
    tokens_in: int
    tokens_out: int

    def sentence(self) -> str:
        return (
            f"{self.requests:,} requests, about {self.tokens_in:,} tokens to read (pictures counted as 28 x 28 pixels a token) and "
            f"at most {self.tokens_out:,} to write."
        )


class RemoteJudge:
    """address: of the protocol, such as http://host:8000/v1. served: the server's name for the model."""

    decomposes_head = rewords = False

    def __init__(
        self, address: str, served: str, prompt: Prompt, votes: int = 1, workers: int = 8, max_pixels: int | None = None,
        seconds: float = SECONDS, attempts: int = ATTEMPTS,
    ) -> None:  # fmt: skip
        self.address, self.served, self.prompt, self.votes = address, served, prompt, max(1, votes)
        self.workers, self.max_pixels, self.seconds, self.attempts = workers, max_pixels, seconds, attempts
        self.dialect = 0
        self.lock = Lock()
        self.card = JudgeCard(
            served, served, "remote",
            about=f"Served at {urlsplit(address).netloc}. Prompt '{prompt.name}' ({prompt.fingerprint[:8]}), "
            f"{self.votes} answer{'s' if self.votes > 1 else ''} in each order.",
            max_images=None, reads_turns=True,
        )  # fmt: skip

    # -- judging ---------------------------------------------------------------------------------------------

    def judge(self, comparison: Comparison) -> Judgement:
        """Raises ImageError; a server's troubles are in the judgement."""
        return self.judge_batch([comparison])[0]

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        return self._judge(comparisons, self.votes)

    def critique(self, comparison: Comparison, votes: int = 1) -> Judgement:
        return self._judge([comparison], votes)[0]

    def _judge(self, comparisons: list[Comparison], votes: int) -> list[Judgement]:
        started = time.perf_counter()
        questions: list[Question] = [(c.load_images(), c.whole_prompt, c.responses) for c in comparisons]
        with self.lock:
            cast = self.ask(questions, votes)
        seconds = (time.perf_counter() - started) / len(comparisons)
        return [self._judgement(c, v, seconds) for c, v in zip(comparisons, cast, strict=True)]

    def ask(self, questions: list[Question], votes: int | None = None) -> list[list[Vote]]:
        """The votes on each question. Call under the lock."""
        votes = votes or self.votes
        asked = [
            (n, order, self.prompt.fill(prompt, *(responses[i] for i in order)), vote)
            for n, (_, prompt, responses) in enumerate(questions)
            for order in _orders(len(responses))
            for vote in range(votes)
        ]
        pictures = [[_address_of(_at_most(i, self.max_pixels)) for i in images] for images, _, _ in questions]
        answers = _to_the_end(self._ask_all([(pictures[n], text, vote, votes) for n, _, text, vote in asked]))
        cast: list[list[Vote]] = [[] for _ in questions]
        for (n, order, _, _), answer in zip(asked, answers, strict=True):
            cast[n].append(self.read(answer, order))
        return cast

    def masked(
        self, comparison: Comparison, judgement: Judgement, a: int, b: int, target: TargetFunction, level: str, scope: str,
        most_regions: int = 16,
    ) -> AskedForward:  # fmt: skip
        return AskedForward(self, comparison, judgement, a, b, target, level, scope, most_regions)

    def _judgement(self, comparison: Comparison, votes: list[Vote], seconds: float) -> Judgement:
        heard = any(v.text or v.problem == REFUSED for v in votes)
        rewards = rewards_of(len(comparison.responses), votes) if heard else ()
        choice = chosen(rewards)
        return Judgement(
            comparison.id, self.card.id, rewards, seconds=seconds, critique=shown_critique(votes, choice), choice=choice,
            votes=tuple(votes),
        )  # fmt: skip

    def read(self, answer: Answer, order: tuple[int, int]) -> Vote:
        """An answer as a vote of this order."""
        verdict = RULES[self.prompt.parsing](answer.text) if answer.text else None
        if verdict is None or verdict.choice is None:
            problem = answer.problem or (
                problem_of(answer.text, verdict, True) if verdict else "the server gave an empty answer"
            )
            return Vote(order, answer.text, problem=problem)
        odds = None
        if verdict.at is not None:
            odds = log_odds(answer, verdict.at, verdict.choice, self.prompt.verdicts)
        return Vote(order, answer.text, order[verdict.choice], odds)

    def estimate(self, comparisons: Sequence[Comparison], rows: int) -> Estimate:
        """For `rows` comparisons like these."""
        some: list[Question] = [
            (c.load_images(), c.whole_prompt, c.responses) for c in comparisons if c.image is not None
        ]
        found, share = self.estimate_of(some), rows / max(1, len(some))
        total = round(found.requests * share)
        return Estimate(total, round(found.tokens_in * share), total * self.prompt.max_new_tokens)

    def estimate_of(self, questions: list[Question]) -> Estimate:
        requests, read = 0, 0.0
        for images, prompt, responses in questions:
            asked = len(_orders(len(responses))) * self.votes
            requests += asked
            pixels = sum(min(i.width * i.height, self.max_pixels or math.inf) for i in images)
            letters = len(self.prompt.text) + len(prompt) + max(map(len, responses)) * 2
            read += asked * (letters / 4 + pixels / 784)
        return Estimate(requests, round(read), requests * self.prompt.max_new_tokens)

    # -- asking ----------------------------------------------------------------------------------------------

    async def _ask_all(self, asked: list[tuple[list[str], str, int, int]]) -> list[Answer]:
        gate = asyncio.Semaphore(self.workers)
        async with _client(self.address, self.seconds) as client:

            async def one(pictures: list[str], text: str, vote: int, votes: int) -> Answer:
                async with gate:
                    return await self._ask(client, pictures, text, vote, votes)

            return list(await asyncio.gather(*(one(*a) for a in asked)))

    async def _ask(self, client: Any, pictures: list[str], text: str, vote: int, votes: int) -> Answer:
        """Tries until there is an answer, or there will be none."""
        problem = ""
        attempt = 0
        while attempt < self.attempts:
            dialect = self.dialect
            try:
                request = client.chat.completions.create(
                    **self._request(pictures, text, vote, votes, dialect)
                )
                return _answer(await asyncio.wait_for(request, self.seconds))
            except Exception as error:
                status = getattr(error, "status_code", None)
                if status == 400 and dialect + 1 < len(DIALECTS):
                    self.dialect = max(self.dialect, dialect + 1)
                    continue
                problem, passing = sentence(error, self.seconds)
                attempt += 1
                if not passing or attempt == self.attempts:
                    break
                await asyncio.sleep(_wait(error, attempt))
        return Answer(problem=f"{problem} ({attempt} attempt{'s' if attempt > 1 else ''})")

    def _request(self, pictures: list[str], text: str, vote: int, votes: int, dialect: int) -> dict[str, Any]:
        p = self.prompt
        messages: list[dict[str, Any]] = [{"role": "user", "content": [
            *({"type": "image_url", "image_url": {"url": data}} for data in pictures), {"type": "text", "text": text},
        ]}]  # fmt: skip
        if p.system:
            messages.insert(0, {"role": "system", "content": p.system})
        out: dict[str, Any] = {"model": self.served, "messages": messages}
        if DIALECTS[dialect] in ("all", "no logprobs"):
            out["max_tokens"] = p.max_new_tokens
        else:
            out["max_completion_tokens"] = p.max_new_tokens
        if DIALECTS[dialect] != "nothing optional":
            out["temperature"] = p.voting_temperature if votes > 1 else p.temperature
            if out["temperature"] and p.top_p < 1:
                out["top_p"] = p.top_p
            if votes > 1:
                out["seed"] = vote
        if DIALECTS[dialect] == "all":
            out |= {"logprobs": True, "top_logprobs": TOP}
        return out


# -- what comes back -----------------------------------------------------------------------------------------


def _answer(reply: Any) -> Answer:
    """Raises ValueError where it is not an answer of the protocol."""
    try:
        choice = reply.choices[0]
        message, reason = choice.message, choice.finish_reason
        text = message.content or ""
        if not isinstance(text, str):
            raise ValueError("not a text")
    except (AttributeError, IndexError, TypeError, KeyError) as error:
        raise ValueError("not an answer of the protocol") from error
    refusal = getattr(message, "refusal", None)
    if refusal or reason == "content_filter":
        return Answer(_cleared(text or str(refusal or "")), REFUSED)
    return Answer(_cleared(text), TRUNCATED if reason == "length" else "", _tokens(choice))


def _tokens(choice: Any) -> tuple[tuple[str, float, dict[str, float]], ...]:
    try:
        listed = choice.logprobs.content or []
        return tuple(
            (str(t.token), float(t.logprob), {str(o.token): float(o.logprob) for o in t.top_logprobs or []})
            for t in listed
        )
    except (AttributeError, TypeError, ValueError):
        return ()


def log_odds(answer: Answer, at: int, choice: int, verdicts: tuple[str, str]) -> float | None:
    """Of the first verdict against the second, at the token that holds the verdict. None where the server gave no
    log-probabilities, or the other verdict is not among the alternatives."""
    if "".join(t for t, _, _ in answer.tokens) != answer.text:
        return None
    end = 0
    for token, value, others in answer.tokens:
        start, end = end, end + len(token)
        if not start <= at < end:
            continue
        for forms in (verdicts, ("1", "2"), ("A", "B")):
            mine, other = forms[choice], forms[1 - choice]
            if token.startswith(mine, at - start):
                changed = token[: at - start] + other + token[at - start + len(mine) :]
                if changed not in others:
                    return None
                return value - others[changed] if choice == 0 else others[changed] - value
    return None


def sentence(error: BaseException, seconds: float) -> tuple[str, bool]:
    """What went wrong, in our words, and whether trying again may help."""
    import openai

    if any(isinstance(e, TooLong) for e in _causes(error)):
        return f"the server's answer does not end: more than {LARGEST >> 20} MiB came", False
    if isinstance(error, asyncio.TimeoutError | openai.APITimeoutError):
        return f"the server did not finish an answer within {seconds:,.0f} seconds", True
    if isinstance(error, openai.APIConnectionError):
        return "the server cannot be reached or closed the connection", True
    if isinstance(error, openai.APIStatusError):
        status = error.status_code
        told = {
            400: "the server does not take this request (400); a picture may be too large for its model, or a text too long",
            401: f"the server refuses the key in {KEY} (401)" if os.environ.get(KEY) else f"the server wants a key: set {KEY} (401)",
            403: f"the server does not allow this with the key in {KEY} (403)",
            404: "the server has no such model or no such address (404)",
            413: "the picture is too large for the server (413): use a smaller --max-pixels",
            429: "the server is busy or a limit of requests is reached (429)",
        }  # fmt: skip
        return told.get(status, f"the server answered with an error ({status})"), status in PASSING
    return "the server's answer is not one of the OpenAI protocol", True


def _causes(error: BaseException | None) -> list[BaseException]:
    out: list[BaseException] = []
    while error is not None and len(out) < 20:
        out.append(error)
        error = error.__cause__ or error.__context__
    return out


def _wait(error: BaseException, attempt: int) -> float:
    """Seconds before the next attempt: what the server asks for, else doubling, with some chance in it."""
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    try:
        asked = float(headers.get("retry-after", ""))
    except ValueError:
        asked = 0.0
    doubled = 0.5 * 2.0 ** (attempt - 1) * (0.75 + random.random() / 2)
    return min(LONGEST_WAIT, max(asked, doubled) if asked == asked else doubled)


# -- the client ----------------------------------------------------------------------------------------------


class Bounded(httpx.AsyncByteStream):
    """A body of at most LARGEST bytes."""

    def __init__(self, inner: Any) -> None:
        self.inner = inner

    async def __aiter__(self) -> AsyncIterator[bytes]:
        seen = 0
        async for part in self.inner:
            seen += len(part)
            if seen > LARGEST:
                raise TooLong
            yield part

    async def aclose(self) -> None:
        await self.inner.aclose()


class Transport(httpx.AsyncHTTPTransport):
    async def handle_async_request(self, request: Any) -> Any:
        response = await super().handle_async_request(request)
        response.stream = Bounded(response.stream)
        return response


def _client(address: str, seconds: float) -> Any:
    openai = _library()
    return openai.AsyncOpenAI(
        base_url=address, api_key=os.environ.get(KEY) or "none", max_retries=0, timeout=seconds,
        http_client=httpx.AsyncClient(transport=Transport(), timeout=seconds, follow_redirects=False),
    )  # fmt: skip


def _library() -> Any:
    try:
        import openai
    except ImportError:
        raise CheckpointError(
            "Asking a server needs the openai package: pip install -r requirements-remote.txt."
        ) from None
    return openai


def _to_the_end(work: Any) -> Any:
    """asyncio.run, also where a loop is running already in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    found: list[Any] = []
    failed: list[BaseException] = []

    def target() -> None:
        try:
            found.append(asyncio.run(work))
        except BaseException as error:
            failed.append(error)

    thread = Thread(target=target)
    thread.start()
    thread.join()
    if failed:
        raise failed[0]
    return found[0]


def _cleared(text: str) -> str:
    """Without the key, should a server send it back."""
    key = os.environ.get(KEY)
    return text.replace(key, "[key]") if key and len(key) > 3 else text


def _orders(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(n) if i != j]


def _at_most(image: Image.Image, pixels: int | None) -> Image.Image:
    if pixels is None or image.width * image.height <= pixels:
        return image
    share = (pixels / (image.width * image.height)) ** 0.5
    return image.resize(
        (max(1, int(image.width * share)), max(1, int(image.height * share))), Image.Resampling.BICUBIC
    )


def _address_of(image: Image.Image) -> str:
    """PNG: a server gets the very pixels."""
    return "data:image/png;base64," + base64.b64encode(to_png_bytes(image, effort=1)).decode()


# -- opening -------------------------------------------------------------------------------------------------


def open_remote(address: str, options: Options) -> RemoteJudge:
    """Asks the server which models it has. Raises CheckpointError with a sentence."""
    parts = urlsplit(address)
    if parts.username or parts.password or parts.query or parts.fragment:
        raise CheckpointError(
            f"The address given for --model holds a name, a password or a key. Give the address alone, and the key in the environment variable {KEY}."
        )
    if not parts.hostname:
        raise CheckpointError(f"'{address}' is not an address: it should look like http://localhost:8000/v1.")
    base = address.rstrip("/") if parts.path.strip("/") else f"{address.rstrip('/')}/v1"
    prompt = find_prompt(options.prompt)
    if prompt.parsing == OWN_ANSWER:
        raise CheckpointError(
            f"The prompt '{prompt.name}' is read beside the responses, which a judge behind an address does not do: choose another --prompt."
        )
    _library()
    served = options.served or _only_model(base, _to_the_end(_models(base, base)))
    votes = prompt.votes if options.votes is None else options.votes
    return RemoteJudge(base, served, prompt, votes, options.workers, options.max_pixels)


async def _models(base: str, shown: str) -> list[str]:
    seconds = 20.0
    try:
        async with _client(base, seconds) as client:
            listed = await asyncio.wait_for(client.models.list(), seconds)
            return [str(m.id) for m in listed.data]
    except Exception as error:
        if getattr(error, "status_code", None) == 404:
            raise CheckpointError(
                f"The server at {shown} has no list of models there, so it is not an address of the OpenAI protocol (it usually ends with /v1); "
                "or name its model with --served."
            ) from None
        said, _ = sentence(error, seconds)
        raise CheckpointError(f"Nothing can be judged by {shown}: {said}.") from None


def _only_model(base: str, listed: list[str]) -> str:
    if len(listed) == 1:
        return listed[0]
    if not listed:
        raise CheckpointError(f"The server at {base} serves no model.")
    raise CheckpointError(
        f"The server at {base} serves {len(listed):,} models: choose one with --served, such as {', '.join(listed[:5])}."
    )

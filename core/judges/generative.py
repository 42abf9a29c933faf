"""A vision-language model asked in words which of two responses is better (R1-Reward, UnifiedReward, any Qwen-VL).

Every pair is asked in both orders. Without a critique the verdict is read at once: the model is made to have written the
prompt's lead, and the log-odds of the two verdicts are taken there (the first impression). With a critique it writes K
answers in each order, each is read by the prompt's rule, and the log-odds are taken at the verdict that it wrote.
Each number depends on picture, question and the two texts in the order shown, and on nothing else: swapping the
responses turns the sign of the margin exactly.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import torch
from PIL import Image
from torch import Tensor
from transformers import BatchFeature

from core.images import image_hash
from core.judges.contents import Contents
from core.judges.features import TargetFunction
from core.judges.options import Options
from core.judges.pairs import chosen, rewards_of, shown_critique
from core.judges.pictures import Pictures
from core.judges.prompts import Prompt, find_prompt
from core.judges.side_by_side import log_odds_all, parting, together, written
from core.judges.verdict_forward import VerdictForward, build_sides
from core.judges.verdicts import OWN_ANSWER, forms_of, problem_of, read
from core.model.backbones import load_vlm, open_processor
from core.model.files import CheckpointError, fingerprint
from core.model.processor import RewardProcessor, _plain
from core.model.readers import reader_of
from core.records import Comparison, JudgeCard, Judgement, RecordError, Vote, content_hash

MOST_VOTES = 64
ROWS = 128  # answers of a small model that are written side by side


@dataclass(frozen=True)
class Asking:
    """One order of one pair of comparison number `of`. text: the prompt filled in."""

    of: int
    order: tuple[int, int]
    images: Sequence[Image.Image]
    text: str
    shown: tuple[str, str]


class GenerativeJudge:
    """model: with its language head. reader: its backbone, for attribution. prompt: how it is asked. votes: answers in each
    order; 0 reads the verdict at once."""

    decomposes_head = rewords = False

    def __init__(
        self, model: Any, processor: RewardProcessor, card: JudgeCard, prompt: Prompt, votes: int = 0
    ) -> None:
        self.model, self.processor, self.card = model, processor, card
        self.prompt, self.votes = prompt, votes
        self.reader = reader_of(model, torch.nn.Identity())
        self.pictures = Pictures(self.reader)
        self.lock = Lock()

    # -- judging ---------------------------------------------------------------------------------------------

    def judge(self, comparison: Comparison) -> Judgement:
        """Raises ImageError or RecordError with a readable sentence."""
        return self.critique(comparison, self.votes)

    def judge_batch(self, comparisons: list[Comparison]) -> list[Judgement]:
        if len(comparisons) == 1 or not together(self):
            return [self.judge(c) for c in comparisons]
        return self._critiques(comparisons, self.votes, max(1, ROWS // max(1, self.votes)))

    def critique(self, comparison: Comparison, votes: int = 1) -> Judgement:
        """Writes `votes` answers in each order of each pair, and then judges."""
        return self._critiques([comparison], votes, 1)[0]

    def _critiques(self, comparisons: Sequence[Comparison], votes: int, size: int) -> list[Judgement]:
        """size: questions that are asked at once. One alone gives the same numbers whatever else is asked, to the last digit."""
        started, asked = time.perf_counter(), []
        for at, c in enumerate(comparisons):
            images, n = c.load_images(), len(c.responses)
            for order in ((i, j) for i in range(n) for j in range(n) if i != j):
                shown = (c.responses[order[0]], c.responses[order[1]])
                asked.append(Asking(at, order, images, self.prompt.fill(c.whole_prompt, *shown), shown))
        cast: list[list[Vote]] = [[] for _ in comparisons]
        with self.lock, torch.inference_mode():
            for start in range(0, len(asked), size):
                some = asked[start : start + size]
                for one, answers in zip(some, self._votes(some, votes), strict=True):
                    cast[one.of] += answers
        seconds = (time.perf_counter() - started) / len(comparisons)
        return [self._judgement(c, found, seconds) for c, found in zip(comparisons, cast, strict=True)]

    def _judgement(self, comparison: Comparison, cast: list[Vote], seconds: float) -> Judgement:
        cast.sort(key=lambda v: (min(v.order), max(v.order), v.order))
        rewards = rewards_of(len(comparison.responses), cast)
        choice = chosen(rewards)
        return Judgement(
            comparison.id, self.card.id, rewards, seconds=seconds, critique=shown_critique(cast, choice), choice=choice,
            votes=tuple(cast),
        )  # fmt: skip

    def _votes(self, asked: list[Asking], votes: int) -> list[list[Vote]]:
        if not votes:
            odds = self._log_odds([(a.images, a.text, self.lead, self.verdicts(a.shown)) for a in asked])
            return [
                [Vote(a.order, "", a.order[0] if o > 0 else a.order[1] if o < 0 else None, o)]
                for a, o in zip(asked, odds, strict=True)
            ]
        answers = (
            [self.write(asked[0].images, asked[0].text, votes)] if len(asked) == 1
            else self._write_all([(a.images, a.text) for a in asked], votes)
        )  # fmt: skip
        drafts = [
            (n, *self._vote(a, *answer)) for n, a in enumerate(asked) for answer in answers[n]
        ]  # (question, vote, where its verdict stands)
        read = [(n, v, at) for n, v, at in drafts if v.choice is not None and at is not None]
        held = [
            (asked[n].images, asked[n].text, v.text[:at], self.forms(v.text, at, v.order.index(v.choice), asked[n].shown))
            for n, v, at in read
        ]  # fmt: skip
        most = ROWS if len(asked) > 1 else 1
        odds = [o for i in range(0, len(held), most) for o in self._log_odds(held[i : i + most])]
        known = {id(v): o for (_, v, _), o in zip(read, odds, strict=True)}
        out: list[list[Vote]] = [[] for _ in asked]
        for n, vote, _ in drafts:
            out[n].append(replace(vote, log_odds=known.get(id(vote))))
        return out

    def _vote(self, asked: Asking, text: str, finished: bool) -> tuple[Vote, int | None]:
        verdict = read(self.prompt.parsing, text, asked.shown)
        problem = problem_of(text, verdict, finished)
        choice = None if problem or verdict.choice is None else asked.order[verdict.choice]
        return Vote(asked.order, text, choice, None, problem), verdict.at

    def verdicts(self, shown: tuple[str, str]) -> tuple[str, str]:
        """The two that it may write. shown: the responses in their order."""
        return forms_of(shown) if self.prompt.parsing == OWN_ANSWER else self.prompt.verdicts

    def forms(self, text: str, at: int, choice: int | None, shown: tuple[str, str]) -> tuple[str, str]:
        """The two verdicts as they would stand at this place: the prompt's where the text has one of them, else the digits or
        letters that the judge used."""
        if self.prompt.parsing == OWN_ANSWER:
            return forms_of(shown)
        for forms in (self.prompt.verdicts, ("1", "2"), ("A", "B"), ("a", "b"), ("one", "two"), ("first", "second"), ("First", "Second")):  # fmt: skip
            if choice is not None and text.startswith(forms[choice], at):
                return forms
        return self.prompt.verdicts

    # -- explaining ------------------------------------------------------------------------------------------

    def masked(
        self, comparison: Comparison, judgement: Judgement, a: int, b: int, target: TargetFunction, level: str, scope: str,
        most_regions: int = 16,
    ) -> VerdictForward:  # fmt: skip
        """judgement.votes: the answers that are held fixed; without any the lead is forced in both orders."""
        sides, features = build_sides(self, comparison, judgement.votes, a, b, level, most_regions)
        return VerdictForward(self.reader, self.model.get_output_embeddings(), sides, features, target, scope)

    def offsets(
        self, images: Sequence[Image.Image], asked: str, written: str, verdicts: tuple[str, str]
    ) -> tuple[list[tuple[int, int]], int, int]:
        """The characters of each token of the conversation, and those at which what is asked and what is written begin."""
        pixels = self.processor.pictures(list(images))
        text = self.conversation(asked, len(images)) + _plain(self.processor, written) + verdicts[0]
        whole = self._with_images(text, pixels, len(images))
        said = _plain(self.processor, asked)
        if whole.count(said) != 1:
            raise RecordError(
                "This model's chat template does not show the question once and as it is, so its words cannot be told from the "
                "template's own and nothing can be explained."
            )
        found = self.processor.tokenizer(whole, add_special_tokens=False, return_offsets_mapping=True)
        offsets = [(int(s), int(e)) for s, e in found["offset_mapping"]]
        return offsets, whole.index(said), len(whole) - len(verdicts[0]) - len(written)

    # -- the model -------------------------------------------------------------------------------------------

    @property
    def lead(self) -> str:
        """What stands before a verdict without a critique. A template that opens every reply with <think> has it closed first."""
        opened = self.conversation("x").rstrip().endswith("<think>")
        return ("\n</think>\n\n" if opened else "") + self.prompt.lead

    def conversation(self, asked: str, pictures: int = 1) -> str:
        """The chat up to where the judge begins to write, with one image token a picture."""
        messages: list[dict[str, Any]] = [
            {
                "role": "user",
                "content": [
                    *({"type": "image"} for _ in range(pictures)),
                    {"type": "text", "text": _plain(self.processor, asked)},
                ],
            }
        ]
        if self.prompt.system:
            messages.insert(0, {"role": "system", "content": [{"type": "text", "text": self.prompt.system}]})
        return str(self.processor.tokenizer.apply_chat_template(
            messages, chat_template=self.processor.chat_template, tokenize=False, add_generation_prompt=True,
        ))  # fmt: skip

    def _with_images(self, text: str, pixels: Any, pictures: int) -> str:
        """Each image token as often as its picture has visual tokens."""
        before, *rest = text.split(self.processor.image_token, pictures)
        return before + "".join(self.processor.replace_image_token(pixels, i) + r for i, r in enumerate(rest))

    def inputs(self, images: Sequence[Image.Image], text: str) -> BatchFeature:
        """One conversation as the model takes it. Raises RecordError where it is longer than the model's context."""
        pixels = self.processor.pictures(list(images))
        whole = self._with_images(text, pixels, len(images))
        ids = self.processor.tokenizer([whole], return_tensors="pt", add_special_tokens=False)["input_ids"]
        self.check_length(ids.shape[1])
        at_image = (ids == self.model.config.image_token_id).int()
        return BatchFeature({
            **pixels, "input_ids": ids, "attention_mask": torch.ones_like(ids), "mm_token_type_ids": at_image,
        }).to(self.model.device)  # fmt: skip

    def check_length(self, tokens: int) -> None:
        """Raises RecordError where a conversation is longer than the model's context."""
        limit = self.model.config.get_text_config().max_position_embeddings
        if tokens >= limit:
            raise RecordError(
                f"Question, picture and responses are {tokens:,} tokens long; this model reads at most {limit:,}. "
                "Shorten the text, or use a smaller --max-pixels."
            )

    def _own(self, inputs: BatchFeature) -> dict[str, Tensor]:
        """What the model's own forward takes of them."""
        keys = ("input_ids", "attention_mask", *self.processor.model_keys)
        return {k: inputs[k] for k in keys if k in inputs}

    def log_odds(
        self, images: Sequence[Image.Image], asked: str, written: str, verdicts: tuple[str, str] | None = None
    ) -> float:
        """Of the first verdict against the second after what the judge has written."""
        return self._log_odds([(images, asked, written, verdicts or self.prompt.verdicts)])[0]

    def _log_odds(
        self, asked: Sequence[tuple[Sequence[Image.Image], str, str, tuple[str, str]]]
    ) -> list[float]:
        """(pictures, question, what is written, verdicts) each."""
        talks = [
            (images, self.conversation(text, len(images)) + _plain(self.processor, said))
            for images, text, said, _ in asked
        ]
        return log_odds_all(self, talks, [forms for *_, forms in asked])

    def before_verdict(
        self, images: Sequence[Image.Image], asked: str, written: str, verdicts: tuple[str, str]
    ) -> tuple[BatchFeature, tuple[int, int]]:
        """The conversation up to the first token in which the two verdicts differ, and that token of each."""
        start = self.conversation(asked, len(images)) + _plain(self.processor, written)
        inputs, other = (self.inputs(images, start + v) for v in verdicts)
        place = parting(inputs["input_ids"][0].tolist(), other["input_ids"][0].tolist())
        first, second = (int(i["input_ids"][0, place]) for i in (inputs, other))
        for name in ("input_ids", "attention_mask", "mm_token_type_ids"):
            inputs[name] = inputs[name][:, :place]
        return inputs, (first, second)

    def write(self, images: Sequence[Image.Image], asked: str, votes: int) -> list[tuple[str, bool]]:
        """(text, finished) of each answer. Never runs past the prompt's limit, the model's context or SECONDS."""
        return self._write_all([(images, asked)], votes)[0]

    def _write_all(
        self, asked: Sequence[tuple[Sequence[Image.Image], str]], votes: int
    ) -> list[list[tuple[str, bool]]]:
        seeds = [int(content_hash(*map(image_hash, images), text), 16) % 2**31 for images, text in asked]
        talks = [(images, self.conversation(text, len(images))) for images, text in asked]
        temperature = self.prompt.voting_temperature if votes > 1 else self.prompt.temperature
        return written(self, talks, seeds, votes, temperature)


def open_generative(contents: Contents, options: Options) -> GenerativeJudge:
    """Raises CheckpointError."""
    prompt = find_prompt(options.prompt)
    votes = prompt.votes if options.votes is None else options.votes
    if not 0 <= votes <= MOST_VOTES:
        raise CheckpointError(f"--votes is {votes}: it must be from 0 (the verdict at once) to {MOST_VOTES}.")
    processor = open_processor(contents.local, contents.title, options.max_pixels)
    model = load_vlm(contents.local, contents.title, options.device, options.dtype)
    return GenerativeJudge(model, processor, _card(contents, model, processor, prompt, votes), prompt, votes)


def _card(
    contents: Contents, model: Any, processor: RewardProcessor, prompt: Prompt, votes: int
) -> JudgeCard:
    how = f"{votes} answers in each order" if votes else "the verdict at once, in both orders"
    return JudgeCard(
        contents.title, contents.title, "generative", revision=contents.revision or "",
        fingerprint=fingerprint(contents.source), backbone=contents.model_type,
        parameters=sum(p.numel() for p in model.parameters()), dtype=str(model.dtype).removeprefix("torch."),
        device=str(model.device), max_images=None if processor.several else 1, reads_turns=True,
        about=f"Prompt '{prompt.name}' ({prompt.fingerprint[:8]}), {how}; {processor.limit}.",
    )  # fmt: skip


def with_prompt(judge: GenerativeJudge, prompt: Prompt, votes: int) -> GenerativeJudge:
    """The same model asked in another way."""
    card = replace(judge.card, about=f"Prompt '{prompt.name}' ({prompt.fingerprint[:8]}).")
    return type(judge)(judge.model, judge.processor, card, prompt, votes)

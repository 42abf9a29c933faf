"""What a judge is asked."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from core.images import ImageError, open_image
from core.records.text import letter

ImageSource = str | Path | bytes | Image.Image


class RecordError(ValueError):
    """A record that cannot be judged; the message is a sentence for the person who made it."""


@dataclass(frozen=True)
class Truth:
    """What the scene world knows about a Comparison and no human benchmark does.

    relevant: keys of the dimensions that matter for image and prompt.
    spoilt: per response, the key of the dimension on which it is worse, or None.
    wrong_spans: per response, (start, end) character spans of the wrong words.
    evidence: boxes (left, top, right, bottom) that prove it, as fractions of width and height.
    """

    relevant: tuple[str, ...]
    spoilt: tuple[str | None, ...]
    wrong_spans: tuple[tuple[tuple[int, int], ...], ...]
    evidence: tuple[tuple[float, float, float, float], ...]

    @property
    def decisive(self) -> str | None:
        """The dimension that decides between the first spoilt response and the right one."""
        return next((d for d in self.spoilt if d), None)


@dataclass(frozen=True)
class Turn:
    """What was said before the prompt. role: system, user or assistant."""

    role: str
    text: str


@dataclass(frozen=True)
class Known:
    """What the data says is true: for rules that check answers (core.judges.verifiers), and shown to no model.

    references: answers that are right, any of them. objects: what the picture shows, all of it. texts: the words that can
    be read in it.
    """

    references: tuple[str, ...] = ()
    objects: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()


@dataclass(frozen=True)
class Comparison:
    """One question to a judge: an image, a prompt, two or more responses, and which is preferred.

    image is None where a benchmark's row lacks it: such a record can be read, but not judged.
    more_images: the second picture and those after it. turns: the chat before the prompt, the oldest first. known: None
    where the data says nothing of what is true.
    """

    id: str
    image: ImageSource | None
    prompt: str
    responses: tuple[str, ...]
    preferred: int | None = None
    benchmark: str = "user"
    category: str = ""
    truth: Truth | None = None
    turns: tuple[Turn, ...] = ()
    more_images: tuple[ImageSource, ...] = ()
    known: Known | None = None

    def __post_init__(self) -> None:
        if len(self.responses) < 2:
            raise RecordError("There is only one response: a comparison needs at least two.")
        if not self.prompt.strip():
            raise RecordError("The prompt is empty: write the question that the responses answer.")
        for i, response in enumerate(self.responses):
            if not response.strip():
                raise RecordError(f"Response {letter(i)} is empty.")
        if self.preferred is not None and not 0 <= self.preferred < len(self.responses):
            raise RecordError(
                f"The preferred response is number {self.preferred}, but there is no such response."
            )

    @property
    def whole_prompt(self) -> str:
        """The prompt for people: the turns before it too, each with who spoke."""
        if not self.turns:
            return self.prompt
        return "\n".join(f"{t.role}: {t.text}" for t in (*self.turns, Turn("user", self.prompt)))

    def load_image(self) -> Image.Image:
        """The one decoded RGB image. Raises core.images.ImageError with a readable sentence, also where there are
        several: a judge that asks for one picture must not be given a part of the question."""
        if self.more_images:
            raise ImageError(
                f"This record has {1 + len(self.more_images)} pictures; maps, edits and judges of one picture cannot take several."
            )
        return self.load_images()[0]

    def load_images(self) -> list[Image.Image]:
        """All decoded RGB images, in order. Raises core.images.ImageError."""
        if self.image is None:
            raise ImageError("This record has no picture.")
        return [open_image(image) for image in (self.image, *self.more_images)]

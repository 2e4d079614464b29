"""What travels between the four steps: each row is the one before it plus what a step found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from infinity_mm.errors import StageError
from infinity_mm.record import Image
from infinity_mm.synth.taxonomy import Leaf

if TYPE_CHECKING:
    from infinity_mm.synth.tagging.scores import TaggerInfo

#: The form an answer takes. Three are the paper's; the fourth its file names hint at.
Format = Literal["word_or_phrase", "brief", "detailed", "multiple_choice"]
FORMATS: tuple[Format, ...] = ("word_or_phrase", "brief", "detailed", "multiple_choice")
LETTERS = ("A", "B", "C", "D")


@dataclass(frozen=True)
class Drop:
    """The data is at fault: the attempt is dropped."""

    #: Snake case, one of the step's `REASONS`.
    reason: str
    #: The value that decided.
    detail: str


@dataclass(frozen=True)
class Failed:
    """The call is at fault, so nothing is known of the data: the attempt is quarantined, never scored."""

    reason: str
    detail: str


@dataclass(frozen=True)
class Parent:
    """The record, with exactly one picture, that questions are made for."""

    id: str
    source: str
    license: str
    image: Image
    #: Original file bytes.
    data: bytes = field(repr=False)

    @staticmethod
    def of(row: Mapping[str, Any], data: bytes) -> Parent:
        """Return the parent for a row of `records` and the bytes of its only picture.

        Raises `StageError` for a row that has no picture or several.
        """
        if len(row["images"]) != 1:
            raise StageError(f"record {row['id']} has {len(row['images'])} images; a synthetic row needs exactly one")
        return Parent(row["id"], row["source"], row["license"], Image.model_validate(row["images"][0]), data)

    @property
    def image_uri(self) -> str:
        """Where a child row finds the picture: the record that holds its bytes."""
        return self.image.uri if self.image.uri.startswith("record:") else f"record:{self.id}#0"


@dataclass(frozen=True)
class Tag:
    """One thing seen in a picture."""

    name: str
    #: 1 (a guess) to 5 (certain and prominent), as the model says.
    confidence: int
    #: (tagger, score from 0 to 1) of all that saw it, highest first; () where the writing model is the only tagger.
    scores: tuple[tuple[str, float], ...] = ()

    @property
    def score(self) -> float:
        """The highest score, from 0 to 1; the confidence out of 5 where there is none."""
        return self.scores[0][1] if self.scores else self.confidence / 5


@dataclass(frozen=True)
class Tagged:
    """A picture with its tags; most confident first, then alphabetical."""

    parent: Parent
    tags: tuple[Tag, ...]
    #: Taggers with a model of their own that looked at it.
    taggers: tuple[TaggerInfo, ...] = ()


@dataclass(frozen=True)
class Attempt:
    """One try to make one question for a picture; the n-th of its parent."""

    tagged: Tagged
    n: int
    #: Names of the types offered to it, best first; None leaves that to step 2.
    offered: tuple[str, ...] | None = None

    @property
    def parent(self) -> Parent:
        """The record the picture belongs to."""
        return self.tagged.parent

    @property
    def key(self) -> str:
        """Identifies the attempt in every draw and every request."""
        return f"{self.parent.id}/{self.n}"


@dataclass(frozen=True)
class Typed:
    """An attempt with its instruction type and the form its answer shall have."""

    attempt: Attempt
    leaf: Leaf
    format: Format


@dataclass(frozen=True)
class Comparison:
    """How an independent answer compares with the written one."""

    #: Whether they agree; None where that is open, or the call that should have told failed.
    same: bool | None
    #: What decided: the text or the option, the numbers, or the meaning; None where nothing did.
    by: Literal["exact", "numeric", "semantic"] | None = None
    #: Cosine of the two embeddings, -1 to 1; None where no embedding was asked.
    similarity: float | None = None


@dataclass(frozen=True)
class Checks:
    """What answering the question again showed; None where it was not looked at, or the call failed."""

    #: Whether the model says that the picture can answer the question.
    relevant: bool | None = None
    #: Whether the question was answered rightly without the picture.
    blind_correct: bool | None = None
    #: Share of the independent answers that agree with the written one, 0 to 1.
    agreement: float | None = None
    #: What was answered: without the picture, then with it.
    blind_answers: tuple[str, ...] = ()
    answers: tuple[str, ...] = ()
    #: How each of them compares with the written answer, in the same order.
    blind_comparisons: tuple[Comparison, ...] = ()
    comparisons: tuple[Comparison, ...] = ()


@dataclass(frozen=True)
class Generated:
    """A question and its answer, not yet judged."""

    typed: Typed
    question: str
    #: In plain words; for multiple choice the text of the right option.
    answer: str
    #: The four options in the order shown, () for other formats.
    options: tuple[str, ...] = ()
    #: None before they are made, or where the recipe asks for none.
    checks: Checks | None = None
    #: Ids of the seed rows that the writer was shown.
    examples: tuple[str, ...] = ()

    @property
    def letter(self) -> str | None:
        """Letter of the right option, None where there are no options."""
        return LETTERS[self.options.index(self.answer)] if self.options else None


@dataclass(frozen=True)
class Judged:
    """A question and answer with the judge's score."""

    generated: Generated
    #: 1 to 10.
    score: int
    #: The judge's own words.
    reason: str


def tag_line(tags: tuple[Tag, ...]) -> str:
    """Return the tags as one line of a prompt."""
    return ", ".join(tag.name for tag in tags)

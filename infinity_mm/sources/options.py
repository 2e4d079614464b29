"""What a recipe may choose about a source: the frozen parameters of its `parse`, and how its rows are grouped.

A source with options has a `WithOptions` as its `parse`, holding the publisher's defaults; `with_options` returns the
same source with others. Nothing is changed in place, so that two entries of a recipe may differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from pydantic import ConfigDict, ValidationError

from infinity_mm.errors import SourceError
from infinity_mm.frozen import Frozen
from infinity_mm.nearest import nearest
from infinity_mm.sources.answers import AnswerPolicy, ask
from infinity_mm.sources.base import Quarantine, Reader, Sample, Source
from infinity_mm.sources.families.grouped import GROUPED, GroupedByImage, QuestionsApart
from infinity_mm.sources.families.lines import KEY
from infinity_mm.sources.grouping import merge_samples


class Options(Frozen):
    """Base of all options: strict about types too, so that ``"no"`` is no way to write false."""

    model_config = ConfigDict(strict=True)


class QuestionOptions(Options):
    """How questions become turns."""

    #: One conversation per picture, instead of one per question.
    group_by_image: bool = False
    #: "infimm": the sentences of InfiMM's multi-task training follow the (first) question; "none": they do not.
    prompt: Literal["infimm", "none"] = "infimm"
    #: What stands between question and sentences: LLaVA-1.5's newline, or a blank. InfiMM names no rule.
    joiner: Literal["newline", "space"] = "newline"

    def ask(self, question: str, *sentences: str) -> str:
        """Return a question in its prompt."""
        joiner = "\n" if self.joiner == "newline" else " "
        return ask(question, *sentences, joiner=joiner) if self.prompt == "infimm" else question


class VqaOptions(QuestionOptions):
    """How a set with several answers per question is trained on."""

    #: Which answer is trained on; see `infinity_mm.sources.answers.choose`. The others stay in `extra`.
    answers: AnswerPolicy = "vote"


@dataclass(frozen=True)
class WithOptions:
    """A `Parse` made of a pure function and its options; equal and picklable as its parts are."""

    function: Callable[[Mapping[str, Any], Any], Sample | Quarantine]
    options: Options
    #: Fields of a raw row that name its picture, for `group_by_image`.
    image_keys: tuple[str, ...] = ()
    #: Parallel lists, where a raw row holds all questions of its picture already.
    lists: tuple[str, ...] = ()

    def __call__(self, row: Mapping[str, Any]) -> Sample | Quarantine:
        """Parse one row, or the rows of one picture that a grouping reader put together."""
        if GROUPED not in row or not isinstance(self.options, QuestionOptions):
            return self.function(row, self.options)
        members = row[GROUPED]
        if not isinstance(members, list) or not all(isinstance(member, Mapping) for member in members):
            return Quarantine("unexpected_row", f"{GROUPED}: expected a list of objects, got {members!r:.80}")
        # As in LLaVA-1.5, the format is asked for once; it holds for the whole conversation.
        again = self.options.model_copy(update={"prompt": "none"})
        outcomes: list[Sample | Quarantine] = []
        for member in members:
            begun = any(isinstance(outcome, Sample) for outcome in outcomes)
            outcomes.append(self.function(member, again if begun else self.options))
        return merge_samples(outcomes, str(row.get(KEY, "")))


def with_options(source: Source, options: Mapping[str, object]) -> Source:
    """Return the source with the given options in place of its defaults; pure.

    Raises `SourceError` for a source without options, for an unknown option (naming the nearest known one) and for
    a value that the option cannot have.
    """
    if not options:
        return source
    name, parse = source.card.name, source.parse
    if not isinstance(parse, WithOptions):
        raise SourceError(f"source {name} has no options; remove {', '.join(map(repr, sorted(options)))}")
    known = type(parse.options).model_fields
    for key in options:
        if key not in known:
            raise SourceError(f"source {name} has no option {key!r}; {nearest(key, known)}")
    try:
        chosen = type(parse.options).model_validate({**parse.options.model_dump(), **options})
    except ValidationError as error:
        faults = "; ".join(f"{fault['loc'][0]}: {fault['msg']}, got {fault['input']!r}" for fault in error.errors())
        raise SourceError(f"options of source {name}: {faults}") from error
    parse = replace(parse, options=chosen)
    base = source.reader.base if isinstance(source.reader, GroupedByImage | QuestionsApart) else source.reader
    card, reader = source.card, _regrouped(base, parse)
    if isinstance(reader, QuestionsApart):
        card = replace(card, unique_ids=False)
    return replace(source, card=card, reader=reader, parse=parse)


def _regrouped(base: Reader, parse: WithOptions) -> Reader:
    if not isinstance(parse.options, QuestionOptions):
        return base
    if parse.lists:
        return base if parse.options.group_by_image else QuestionsApart(base, parse.lists)
    return GroupedByImage(base, parse.image_keys) if parse.options.group_by_image else base


def options_of(source: Source) -> dict[str, Any]:
    """Return the options that a source is used with, as JSON values: part of the fingerprint of its parts."""
    return source.parse.options.model_dump() if isinstance(source.parse, WithOptions) else {}

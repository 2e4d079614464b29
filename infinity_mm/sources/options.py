"""What a user may choose about a source: the frozen parameters of its `parse`, and how its rows are grouped.

A source with options has a `WithOptions` as its `parse`, holding the publisher's defaults; `with_options` returns the
same source with others. Nothing is changed in place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, get_args, get_origin

import yaml
from annotated_types import Ge, Le
from pydantic import ConfigDict, Field, ValidationError
from pydantic.fields import FieldInfo

from infinity_mm.errors import SourceError
from infinity_mm.frozen import Frozen
from infinity_mm.nearest import nearest
from infinity_mm.sources.answers import AnswerPolicy, ask
from infinity_mm.sources.base import Quarantine, Reader, Sample, Source
from infinity_mm.sources.families.grouped import GroupedByImage, QuestionsApart
from infinity_mm.sources.grouping import Conversation, converse


class Options(Frozen):
    """Base of all options: strict about types too, so that ``"no"`` is no way to write false."""

    model_config = ConfigDict(strict=True)


class QuestionOptions(Options):
    """How questions become turns."""

    group_by_image: bool = Field(
        default=False, description="one conversation per picture of a file, instead of one per question"
    )
    prompt: Literal["infimm", "none"] = Field(
        default="infimm",
        description="whether the sentences of InfiMM's multi-task training follow the (first) question",
    )
    joiner: Literal["newline", "space"] = Field(
        default="newline",
        description="what stands between question and sentences: LLaVA-1.5's newline, or a blank; InfiMM names no rule",
    )

    def ask(self, question: str, *sentences: str) -> str:
        """Return a question in its prompt."""
        joiner = "\n" if self.joiner == "newline" else " "
        return ask(question, *sentences, joiner=joiner) if self.prompt == "infimm" else question


class VqaOptions(QuestionOptions):
    """How a set with several answers per question is trained on."""

    answers: AnswerPolicy = Field(
        default="vote",
        description="which answer is trained on: what most annotators gave, what most of the confident ones gave, what "
        "was given first, or one drawn by a hash of the question's id; the others stay in extra",
    )


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
        """Parse one row."""
        return self.function(row, self.options)


def parse_members(source: Source, rows: Sequence[Mapping[str, Any]]) -> Conversation:
    """Return the rows of one picture as one conversation.

    As in LLaVA-1.5, the format is asked for once; it holds for the whole conversation.
    """
    parse = source.parse
    if not isinstance(parse, WithOptions) or not isinstance(parse.options, QuestionOptions):
        return converse(rows, source.parse, source.parse)
    return converse(rows, parse, replace(parse, options=parse.options.model_copy(update={"prompt": "none"})))


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


def parse_options(texts: Sequence[str]) -> dict[str, object]:
    """Return the options of ``NAME=VALUE`` texts, values in YAML. Raises `SourceError`."""
    options: dict[str, object] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals or not name:
            raise SourceError(f"--option {text!r}: expected NAME=VALUE, for example --option group_by_image=true")
        try:
            options[name] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise SourceError(f"--option {text!r}: the value is not YAML: {error}") from error
    return options


def options_of(source: Source) -> dict[str, Any]:
    """Return the options that a source is used with, as JSON values: part of the fingerprint of its parts."""
    return source.parse.options.model_dump() if isinstance(source.parse, WithOptions) else {}


@dataclass(frozen=True)
class Described:
    """One option of a source, for people."""

    name: str
    #: The values it can have, as they are written in a recipe; of a number, the smallest and the largest.
    values: tuple[object, ...]
    default: object
    meaning: str
    #: True where all numbers from the first to the second value are meant.
    between: bool = False


def describe_options(source: Source) -> tuple[Described, ...]:
    """Return the options of a source with the defaults that it has."""
    if not isinstance(source.parse, WithOptions):
        return ()
    defaults = options_of(source)
    return tuple(
        _describe(name, field, defaults[name]) for name, field in type(source.parse.options).model_fields.items()
    )


def _describe(name: str, field: FieldInfo, default: object) -> Described:
    meaning = field.description or ""
    if get_origin(field.annotation) is Literal:
        return Described(name, get_args(field.annotation), default, meaning)
    if field.annotation is bool:
        return Described(name, (True, False), default, meaning)
    low = next(limit.ge for limit in field.metadata if isinstance(limit, Ge))
    high = next(limit.le for limit in field.metadata if isinstance(limit, Le))
    return Described(name, (low, high), default, meaning, between=True)

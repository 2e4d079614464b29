"""Annotated seed rows: what questions of each instruction type look like, and which tags their pictures have.

One JSON object a line::

    {"image": "kitchen-1", "tags": ["stove", "kettle"], "type": "Count objects",
     "question": "How many pots stand on the stove?", "answer": "two", "format": "word_or_phrase"}

``image`` is any name of the picture: rows with the same one are never shown together. ``tags`` are names, or objects
with a name and a confidence from 1 to 5. ``type`` is a leaf of the taxonomy or any published name of one. A row with
``question``, ``answer`` and ``format`` (for multiple choice also four ``options``) can be an example for the generator;
a row with tags counts for the mapping from tags to types; most have both.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationError, model_validator

from infinity_mm.errors import RecipeError
from infinity_mm.frozen import Frozen, TextFile
from infinity_mm.synth.rows import FORMATS, LETTERS, Format
from infinity_mm.synth.taxonomy import Leaf, Taxonomy


class SeedTag(Frozen):
    """One thing seen in a seed's picture."""

    tag: str = Field(min_length=1)
    confidence: int = Field(default=5, ge=1, le=5)


def _tag(value: Any) -> Any:
    return {"tag": value} if isinstance(value, str) else value


class SeedRow(Frozen):
    """One line of a seed file."""

    image: str = Field(min_length=1)
    tags: tuple[Annotated[SeedTag, BeforeValidator(_tag)], ...] = ()
    type: str
    question: str = ""
    answer: str = ""
    format: Format | None = None
    options: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _whole(self) -> SeedRow:
        if self.format == "multiple_choice" and (len(self.options) != len(LETTERS) or self.answer not in self.options):
            raise ValueError(f"multiple choice needs {len(LETTERS)} options, the answer among them")
        return self


@dataclass(frozen=True)
class Seed:
    """A seed row under a canonical type."""

    #: 16 hex digits of the line's content.
    id: str
    row: SeedRow
    leaf: Leaf

    @property
    def is_example(self) -> bool:
        """True where a generator can be shown it."""
        return bool(self.row.question and self.row.answer and self.row.format in FORMATS)


class SeedFile(TextFile):
    """A file of seed rows; written in a recipe as its path alone."""

    @property
    def sha256(self) -> str:
        """Of the content, 64 hex digits."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def parse(self) -> tuple[Seed, ...]:
        """Return the seeds; raises `RecipeError` for a line that is none."""
        return _parse(self.text, self.file)


@cache
def _parse(text: str, file: str) -> tuple[Seed, ...]:
    return parse_seeds(text, file)


def parse_seeds(text: str, file: str) -> tuple[Seed, ...]:
    """Return the seeds of a file's content, the same line once; raises `RecipeError` that names file and line."""
    found: dict[str, Seed] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            row = SeedRow.model_validate(json.loads(line))
        except (ValueError, ValidationError) as error:
            raise RecipeError(f"{file} line {number} is no seed row: {error}") from error
        leaf = Taxonomy.load().canonical(row.type)
        if leaf is None:
            try:
                Taxonomy.load().select([row.type])
            except RecipeError as error:
                raise RecipeError(f"{file} line {number}: {error}") from error
            raise RecipeError(f"{file} line {number}: {row.type!r} is a group of types; name one leaf")
        name = hashlib.sha256(row.model_dump_json().encode()).hexdigest()[:16]
        found.setdefault(name, Seed(name, row, leaf))
    return tuple(found.values())


def seed_line(row: SeedRow) -> str:
    """Return a row as a line of a seed file."""
    return json.dumps(row.model_dump(mode="json", exclude_defaults=True), ensure_ascii=False, sort_keys=True)


def by_type(seeds: Sequence[Seed]) -> dict[str, list[Seed]]:
    """Return the seeds that can be examples, by name of their leaf."""
    found: dict[str, list[Seed]] = {}
    for seed in seeds:
        if seed.is_example:
            found.setdefault(seed.leaf.name, []).append(seed)
    return found

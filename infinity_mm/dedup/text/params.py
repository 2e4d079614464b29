"""What counts as a duplicate text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

from pydantic import Field, ValidationError, model_validator

from infinity_mm.dedup.kernels.keys import SKETCHED
from infinity_mm.dedup.text.bands import Banding, choose
from infinity_mm.errors import UsageError
from infinity_mm.frozen import Frozen

#: Tokens, or characters, of one shingle by default.
NGRAMS = {"word": 5, "char": 13}


class TextParams(Frozen):
    """Two texts are duplicates where their tokens are equal, or the Jaccard similarity of their shingle sets suffices.

    Texts are compared in normal form (`infinity_mm.text.normalise`). One shorter than a shingle has none, and
    only equal texts are its duplicates.
    """

    #: Jaccard similarity from which two texts are duplicates.
    threshold: float = Field(default=0.7, ge=0.3, le=1.0)
    #: Words, or characters without the spaces between words.
    shingle: Literal["word", "char"] = "word"
    ngram: int = Field(default=5, ge=1, le=1000)
    #: MinHash permutations at most; as many are computed as recall needs.
    permutations: int = Field(default=128, ge=SKETCHED, le=1024)
    #: Chance, at least, that a pair exactly at the threshold is found by the bands of its signatures.
    recall: float = Field(default=0.999, ge=0.5, lt=1.0)
    #: Seed of the permutations, as datasketch's.
    seed: int = Field(default=1, ge=0, lt=1 << 32)
    #: Hash of a shingle: the project's own, or datasketch's default, ten times slower.
    hash: Literal["poly", "sha1"] = "poly"

    @model_validator(mode="after")
    def _recall_in_reach(self) -> Self:
        self.banding()
        return self

    def banding(self) -> Banding:
        """Return the bands; raises ValueError where the permutations do not reach the recall."""
        return choose(self.threshold, self.recall, self.permutations)


def parse_params(values: Mapping[str, object]) -> TextParams:
    """Return parameters; raises `UsageError` naming each that is wrong, and why."""
    try:
        return TextParams.model_validate(dict(values))
    except ValidationError as error:
        faults = [
            f"{'.'.join(str(part) for part in fault['loc']) + ': ' if fault['loc'] else ''}"
            f"{fault['msg'].removeprefix('Value error, ')}" + (f", not {fault['input']!r}" if fault["loc"] else "")
            for fault in error.errors()
        ]
        raise UsageError("; ".join(faults)) from error

"""When two rows say the same.

A template filled in twice is no duplicate, although most of its words are the same. So prompts and
answers must each agree, and agree by themselves: equal in normal form, or both long and similar. A short
answer ("yes") that happens to be equal is no evidence for prompts that are only similar: there, the answers
must be long as well. What is left and accepted: long prompts that differ in a word *and* long answers that are equal or
similar, which teach the same; a source made of such rows is what the rails of `check_rails` are for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.jaccard import similarities, unions
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.ragged import Ints, Ragged, labels_of, unpacked
from infinity_mm.dedup.signature import MINHASH, SHINGLES

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]
Digests = NDArray[np.uint64]


@dataclass(frozen=True)
class Texts:
    """What deduplication knows of the texts of rows; all arrays have one entry per row."""

    #: Equal for texts equal in normal form: int64. Of the whole with its roles, the prompts, the answers.
    whole: Ints
    prompt: Ints
    answer: Ints
    #: The first 8 bytes of the digests of prompts and answers: uint64, the same in every run and part.
    prompt_digest: Digests
    answer_digest: Digests
    #: Tokens: int64.
    prompt_words: Ints
    answer_words: Ints
    #: Sorted distinct uint64.
    prompt_shingles: Ragged
    answer_shingles: Ragged
    #: uint32; empty where there are no shingles.
    minhash: Ragged

    def take(self, rows: Ints) -> Texts:
        """Return the texts of `rows`."""
        return Texts(
            self.whole[rows],
            self.prompt[rows],
            self.answer[rows],
            self.prompt_digest[rows],
            self.answer_digest[rows],
            self.prompt_words[rows],
            self.answer_words[rows],
            self.prompt_shingles.take(rows),
            self.answer_shingles.take(rows),
            self.minhash.take(rows),
        )

    def tags(self, min_near_words: int) -> tuple[Digests, Digests]:
        """Return `tags` of the rows."""
        return tags(self.prompt_digest, self.answer_digest, self.prompt_words, self.answer_words, min_near_words)


def tags(
    prompt: Digests, answer: Digests, prompt_words: Ints, answer_words: Ints, min_near_words: int
) -> tuple[Digests, Digests]:
    """Return what must be equal in the prompts, and in the answers, of rows that `same_conversation` accepts.

    A digest where only equal texts can agree, 0 where similar ones can. All of shape (rows,).
    """
    short_answer = answer_words < min_near_words
    exact_prompt = (prompt_words < min_near_words) | (short_answer & (answer_words > 0))
    return np.where(exact_prompt, prompt, np.uint64(0)), np.where(short_answer, answer, np.uint64(0))


def texts_of(table: pa.Table) -> Texts:
    """Read the columns of `infinity_mm.dedup.signature.ATTRIBUTES`."""
    prompt, answer = (table.column(name) for name in ("prompt_key", "answer_key"))
    return Texts(
        labels_of(table.column("text_key")),
        labels_of(prompt),
        labels_of(answer),
        digests_of(prompt),
        digests_of(answer),
        table.column("prompt_words").to_numpy().astype(np.int64),
        table.column("answer_words").to_numpy().astype(np.int64),
        unpacked(table.column("prompt_shingles"), SHINGLES),
        unpacked(table.column("answer_shingles"), SHINGLES),
        unpacked(table.column("minhash"), MINHASH),
    )


def digests_of(column: pa.ChunkedArray) -> Digests:
    """Return the first 8 of the 16 bytes of each digest."""
    parts = [np.empty(0, np.uint64)]
    for chunk in column.chunks:
        words = np.frombuffer(chunk.buffers()[1] or b"", "<u8")
        parts.append(words[2 * chunk.offset : 2 * (chunk.offset + len(chunk)) : 2])
    return np.concatenate(parts)


def same_conversation(texts: Texts, left: Ints, right: Ints, params: DedupParams) -> tuple[Bools, Floats]:
    """Compare pairs of rows as whole conversations: (the same?, Jaccard similarity), both of shape (pairs,).

    Beside prompts and answers, the union of their shingles must reach the threshold. The similarity is that of the
    unions, and 0 where cheaper tests already said no.
    """
    equal_prompt = texts.prompt[left] == texts.prompt[right]
    equal_answer = texts.answer[left] == texts.answer[right]
    long_prompt = _both(texts.prompt_words, left, right) >= params.min_near_words
    answer_words = _both(texts.answer_words, left, right)
    long_answer = answer_words >= params.min_near_words
    evidence = equal_prompt | long_answer | (answer_words == 0)
    same = (equal_prompt | long_prompt) & (equal_answer | long_answer) & evidence
    # Answers first: where a template repeats, it is they that differ.
    _require(same, ~equal_answer, texts.answer_shingles, left, right, params.threshold)
    _require(same, ~equal_prompt, texts.prompt_shingles, left, right, params.threshold)
    similarity = np.zeros(len(left))
    asked = np.flatnonzero(same)
    rows, places = np.unique(np.concatenate([left[asked], right[asked]]), return_inverse=True)
    both = unions(texts.prompt_shingles, texts.answer_shingles, rows)
    similarity[asked] = similarities(both, places[: len(asked)], places[len(asked) :])
    return same & (similarity >= params.threshold), similarity


def same_answer(texts: Texts, left: Ints, right: Ints, params: DedupParams) -> tuple[Bools, Floats]:
    """Compare the answers of pairs of rows: (the same?, Jaccard similarity, 1 for equal normal forms)."""
    same = texts.answer[left] == texts.answer[right]
    similarity = same.astype(np.float64)
    asked = np.flatnonzero(~same & (_both(texts.answer_words, left, right) >= params.min_near_words))
    similarity[asked] = similarities(texts.answer_shingles, left[asked], right[asked])
    same[asked] = similarity[asked] >= params.threshold
    return same, similarity


def _both(words: Ints, left: Ints, right: Ints) -> Ints:
    return np.minimum(words[left], words[right])


def _require(same: Bools, where: Bools, sets: Ragged, left: Ints, right: Ints, threshold: float) -> None:
    """Clear `same` for pairs whose sets are not similar, looking only at those still the same and asked for."""
    one, other = sets.size[left], sets.size[right]
    possible = np.minimum(one, other) >= threshold * np.maximum(one, other) * (
        1 - 1e-9
    )  # the intersection at its largest
    same &= ~where | possible
    asked = np.flatnonzero(same & where)
    same[asked] = similarities(sets, left[asked], right[asked]) >= threshold

"""An index in memory, laid out for looking rows up in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.decontam.index import (
    NGRAM,
    PHOTO,
    PIXELS,
    QUESTION,
    RENDERED,
    IndexManifest,
    read_hashes,
    read_manifest,
)  # fmt: skip
from infinity_mm.decontam.params import IndexParams
from infinity_mm.dedup.kernels.hashing import Hashes
from infinity_mm.dedup.ragged import Ints
from infinity_mm.fs import Location

#: An n-gram of more different questions than this is part of a benchmark's instructions and tells none of them.
BOILERPLATE = 20

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Postings:
    """What stands under each hash: under ``keys[i]`` the values ``values[starts[i] : starts[i + 1]]``."""

    #: uint64, ascending, distinct, shape (keys,).
    keys: Hashes
    #: int64, shape (keys + 1,).
    starts: Ints
    #: int64.
    values: Ints

    def find(self, hashes: Hashes) -> tuple[Ints, Ints]:
        """Return (place in `hashes`, place in `keys`) of those that are there."""
        if not len(self.keys):
            return np.empty(0, np.int64), np.empty(0, np.int64)
        at = np.minimum(np.searchsorted(self.keys, hashes), len(self.keys) - 1)
        hits = np.flatnonzero(self.keys[at] == hashes)
        return hits, at[hits]


def postings(hashes: Hashes, values: Ints) -> Postings:
    """Return the distinct values of each hash, ascending."""
    order = np.lexsort((values, hashes))
    hashes, values = hashes[order], values[order]
    fresh = np.ones(len(hashes), bool)
    fresh[1:] = (hashes[1:] != hashes[:-1]) | (values[1:] != values[:-1])
    hashes, values = hashes[fresh], values[fresh]
    keys, first = np.unique(hashes, return_index=True)
    return Postings(keys, np.append(first, len(hashes)).astype(np.int64), values)


@dataclass(frozen=True)
class Questions:
    """The different questions of an index; arrays have one entry per question."""

    #: Of the whole: uint64, ascending.
    hash: Hashes
    #: int64.
    tokens: Ints
    #: How many of its n-grams are no boilerplate: int64; 0 also for a question shorter than an n-gram.
    telling: Ints
    #: Asked about so many different pictures; each item without a picture counts as one: int64.
    pictures: Ints
    #: Telling n-gram -> questions.
    ngrams: Postings
    #: Items that ask it, in order: question `i` those of ``items[item_starts[i] : item_starts[i + 1]]``.
    item_starts: Ints
    items: Ints


@dataclass(frozen=True)
class Lookup:
    """An index in memory. Items are numbered by benchmark, then in the order of the benchmark's copy."""

    digest: str
    params: IndexParams
    benchmarks: tuple[str, ...]
    #: Name and number of the benchmark of each item: string; int64.
    items: pa.Array
    benchmark: Ints
    #: Perceptual hash -> items; of photographs, and of rendered pictures. Those of blank ones say nothing.
    photos: Postings
    rendered: Postings
    #: Pixel digest -> items.
    pixels: Postings
    questions: Questions
    #: The question of each item, -1 without one: int64.
    question: Ints

    @property
    def needs_pictures(self) -> bool:
        """False for an index of questions alone."""
        return bool(len(self.photos.keys) or len(self.rendered.keys) or len(self.pixels.keys))


@lru_cache(maxsize=2)
def open_lookup(uri: str, digest: str, names: tuple[str, ...]) -> Lookup:
    """Read an index, once per process; `digest` is that of its manifest for `names`."""
    folder = Location(uri)
    manifest = read_manifest(folder)
    return make_lookup(read_hashes(folder, manifest, names), manifest, names, digest)


def make_lookup(table: pa.Table, manifest: IndexManifest, names: Sequence[str], digest: str) -> Lookup:
    """Lay `infinity_mm.decontam.index.HASHES` out; `names` are its benchmarks in order."""
    benchmark = _numbers(table.column("benchmark"), names)
    kinds, kind = _codes(table.column("kind"))
    words, word = _codes(table.column("item"))
    # An item's number: benchmarks in the order of the names, items in the order in which they come.
    pairs = benchmark * max(len(words), 1) + word
    distinct, first, inverse = np.unique(pairs, return_index=True, return_inverse=True)
    order = np.lexsort((first, distinct // max(len(words), 1)))
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    item = rank[inverse.reshape(-1)]
    starts = first[order]
    hashes = table.column("hash").to_numpy().astype(np.uint64)
    tokens = table.column("tokens").to_numpy().astype(np.int64)

    def chosen(*wanted: str) -> Bools:
        return np.isin(kind, [kinds.index(name) for name in wanted if name in kinds])

    def under(name: str) -> Postings:
        rows = chosen(name)
        return postings(hashes[rows], item[rows])

    asked, pixel = chosen(QUESTION), chosen(PIXELS)
    picture_of = np.full(len(order), np.uint64(0))
    picture_of[item[pixel][::-1]] = hashes[pixel][::-1]
    ngram = chosen(NGRAM)
    questions, question = _questions(
        (item[asked], hashes[asked], tokens[asked]), (item[ngram], hashes[ngram]), picture_of
    )
    return Lookup(
        digest=digest,
        params=manifest.params,
        benchmarks=tuple(names),
        items=pa.array(words, pa.string()).take(pa.array(word[starts])),
        benchmark=benchmark[starts],
        photos=under(PHOTO),
        rendered=under(RENDERED),
        pixels=under(PIXELS),
        questions=questions,
        question=question,
    )


def _questions(
    asked: tuple[Ints, Hashes, Ints], ngrams: tuple[Ints, Hashes], picture_of: Hashes
) -> tuple[Questions, Ints]:
    """Return the different questions, and which of them each item asks."""
    items, hashes, tokens = asked
    distinct, first, number = np.unique(hashes, return_index=True, return_inverse=True)
    number = number.reshape(-1).astype(np.int64)
    question = np.full(len(picture_of), -1, np.int64)
    question[items] = number
    # Copies of a question have the same n-grams, so those of any of its items will do.
    owner = question[ngrams[0]]
    every = postings(ngrams[1], owner)
    spread = np.diff(every.starts)
    telling = np.repeat(spread <= BOILERPLATE, spread)
    kept = postings(np.repeat(every.keys, spread)[telling], every.values[telling])
    # An item without a picture stands for one of its own.
    picture = picture_of[items].copy()
    bare = picture == 0
    picture[bare] = items[bare].astype(np.uint64)
    shown = postings(picture, number)
    order = np.lexsort((items, number))
    found = Questions(
        hash=distinct,
        tokens=tokens[first],
        telling=np.bincount(kept.values, minlength=len(distinct)).astype(np.int64),
        pictures=np.bincount(shown.values, minlength=len(distinct)).astype(np.int64),
        ngrams=kept,
        item_starts=np.searchsorted(number[order], np.arange(len(distinct) + 1)).astype(np.int64),
        items=items[order],
    )
    return found, question


def _codes(column: pa.ChunkedArray) -> tuple[list[str], Ints]:
    """Return the different texts of a dictionary column, and the number of each row's."""
    whole = column.combine_chunks()
    whole = whole.chunk(0) if isinstance(whole, pa.ChunkedArray) else whole
    return whole.dictionary.to_pylist(), whole.indices.to_numpy(zero_copy_only=False).astype(np.int64)


def _numbers(column: pa.ChunkedArray, names: Sequence[str]) -> Ints:
    words, codes = _codes(column)
    table = np.array([list(names).index(word) for word in words] or [0], np.int64)
    return table[codes]

"""Documents with planted near-duplicates whose true similarities are known, the same on any machine.

Words follow Zipf's law; documents have 50 to 400 of them. One document in five is an edited copy of another one, with
a rate of edits (another word, a word more, a word less) of 0 to 40 % per word, most of them low, so that similarities
lie on both sides of 0.7. Everything is a hash of (seed, row, place).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Words = NDArray[np.uint64]

VOCABULARY = 50_000
FILE_ROWS = 100_000
GROUP_ROWS = 20_000
CHUNK_ROWS = 10_000
COPIES = 0.2
LETTERS = "etaoinshrdlucmfwypvbgkjqxz"


def mixed(*keys: Words | Ints | int) -> Words:
    """Return 64 uniform bits for each combination of keys (the finaliser of SplitMix64, once a key)."""
    state = np.uint64(0x243F6A8885A308D3)
    with np.errstate(over="ignore"):
        for key in keys:
            state = (state ^ np.asarray(key).astype(np.uint64)) + np.uint64(0x9E3779B97F4A7C15)
            state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            state = state ^ (state >> np.uint64(31))
    return state


def unit(bits: Words) -> NDArray[np.float64]:
    """Return 64-bit words as numbers in [0, 1)."""
    return (bits >> np.uint64(11)).astype(np.float64) / float(1 << 53)


@dataclass(frozen=True)
class Corpus:
    """`count` documents made from `seed`."""

    count: int
    seed: int = 1

    def originals(self, rows: Ints) -> Ints:
        """Return the row that each row is a copy of, or the row itself."""
        copy = self._is_copy(rows)
        base = (mixed(self.seed, 2, rows) % np.uint64(max(1, self.count // 10))).astype(np.int64)
        for _ in range(64):
            moved = self._is_copy(base)
            base = np.where(moved, (base + 1) % self.count, base)
        return np.where(copy, base, rows)

    def _is_copy(self, rows: Ints) -> NDArray[np.bool_]:
        return unit(mixed(self.seed, 1, rows)) < COPIES

    def ids(self, rows: Ints) -> list[str]:
        """Return ids in no order."""
        return [f"{value:016x}" for value in mixed(self.seed, 3, rows).tolist()]

    def words(self, rows: Ints) -> tuple[Ints, Ints]:
        """Return the words of documents, as numbers, one after the other, and where each document begins."""
        base = self.originals(rows)
        size = 50 + (mixed(self.seed, 4, base) % np.uint64(351)).astype(np.int64)
        document = np.repeat(np.arange(len(rows)), size)
        place = np.arange(len(document)) - np.repeat(np.cumsum(size) - size, size)
        word = self._word(mixed(self.seed, 5, base[document], place))
        rate = np.where(base == rows, 0.0, 0.4 * unit(mixed(self.seed, 6, rows)) ** 3)
        bits = mixed(self.seed, 7, rows[document], place)
        edited = unit(bits) < rate[document]
        how = (bits & np.uint64(3)).astype(np.int64)
        word[edited & (how < 2)] = self._word(mixed(bits[edited & (how < 2)], 8))
        repeats = np.where(edited & (how == 2), 2, np.where(edited & (how == 3), 0, 1))
        size = np.bincount(document, weights=repeats, minlength=len(rows)).astype(np.int64)
        return np.repeat(word, repeats), np.concatenate([np.zeros(1, np.int64), np.cumsum(size)])

    def _word(self, bits: Words) -> Ints:
        """Zipf's law with exponent 1, by inversion: the logarithm of the rank is uniform."""
        return (VOCABULARY ** unit(bits)).astype(np.int64) - 1

    def vocabulary(self) -> pa.Array:
        """Return different words, the frequent ones short."""
        words: dict[str, None] = {}
        number = 0
        while len(words) < VOCABULARY:
            length = 2 + int(np.log2(len(words) + 1) * 0.38) + number % 2
            bits = int(mixed(9, number))
            words["".join(LETTERS[(bits >> (5 * place)) % 26] for place in range(length))] = None
            number += 1
        return pa.array(list(words))

    def write(self, folder: Path) -> None:
        """Write the documents (columns id and text) as Parquet files of 100,000 rows."""
        folder.mkdir(parents=True, exist_ok=True)
        vocabulary = self.vocabulary()
        schema = pa.schema([("id", pa.string()), ("text", pa.string())])
        for begin in range(0, self.count, FILE_ROWS):
            path = folder / f"part-{begin // FILE_ROWS:05d}.parquet"
            with pq.ParquetWriter(path, schema, use_dictionary=False) as writer:
                for start in range(begin, min(self.count, begin + FILE_ROWS), GROUP_ROWS):
                    tables = [
                        self._table(
                            np.arange(first, min(self.count, start + GROUP_ROWS, first + CHUNK_ROWS)), vocabulary
                        )
                        for first in range(start, min(self.count, start + GROUP_ROWS), CHUNK_ROWS)
                    ]
                    writer.write_table(pa.concat_tables(tables), GROUP_ROWS)

    def _table(self, rows: Ints, vocabulary: pa.Array) -> pa.Table:
        words, starts = self.words(rows)
        lists = pa.ListArray.from_arrays(pa.array(starts, pa.int32()), vocabulary.take(pa.array(words)))
        return pa.table({"id": self.ids(rows), "text": pc.binary_join(lists, " ")})

    def shingles(self, rows: Ints) -> list[Words]:
        """Return the set of word 5-grams of each document, as sorted 64-bit numbers."""
        words, starts = self.words(rows)
        if len(words) < 5:
            return [np.empty(0, np.uint64)] * len(rows)
        grams = mixed(*(words[place : len(words) - 4 + place] for place in range(5)))
        return [np.unique(grams[begin : max(begin, end - 4)]) for begin, end in pairwise(starts.tolist())]


def jaccard(one: Words, other: Words) -> float:
    """Return the similarity of two sets."""
    shared = len(np.intersect1d(one, other, assume_unique=True))
    union = len(one) + len(other) - shared
    return shared / union if union else 0.0


@dataclass(frozen=True)
class Truth:
    """Pairs of a corpus at or above a threshold, and the similarity of any pair."""

    #: int64, shape (pairs, 2).
    pairs: Ints
    #: Row -> shingle set of every row that has a planted relative.
    sets: dict[int, Words]


def truth_of(corpus: Corpus, threshold: float) -> Truth:
    """Compare all pairs within the planted families, exactly."""
    rows = np.arange(corpus.count)
    base = corpus.originals(rows)
    size = np.bincount(base, minlength=corpus.count)
    related = rows[size[base] > 1]
    sets: dict[int, Words] = {}
    for begin in range(0, len(related), CHUNK_ROWS):
        some = related[begin : begin + CHUNK_ROWS]
        sets.update(zip(some.tolist(), corpus.shingles(some), strict=True))
    order = np.argsort(base[related], kind="stable")
    edges = np.flatnonzero(np.diff(base[related][order])) + 1
    pairs = [
        (int(one), int(other))
        for family in np.split(related[order], edges)
        for place, one in enumerate(family)
        for other in family[place + 1 :]
        if jaccard(sets[int(one)], sets[int(other)]) >= threshold
    ]
    return Truth(np.array(pairs, np.int64).reshape(-1, 2), sets)


def strangers(corpus: Corpus, sample: int, threshold: float) -> int:
    """Count, by comparing a sample with itself, the pairs at or above the threshold outside of families."""
    rows = np.sort(np.argsort(mixed(corpus.seed, 10, np.arange(corpus.count)))[:sample])
    base = corpus.originals(rows)
    sets = corpus.shingles(rows)
    owner = np.repeat(np.arange(len(rows)), [len(one) for one in sets])
    grams = np.concatenate(sets)
    order = np.argsort(grams, kind="stable")
    same = grams[order][1:] == grams[order][:-1]
    meeting = {
        (min(one, other), max(one, other))
        for one, other in zip(owner[order][:-1][same].tolist(), owner[order][1:][same].tolist(), strict=True)
    }
    return sum(base[one] != base[other] and jaccard(sets[one], sets[other]) >= threshold for one, other in meeting)

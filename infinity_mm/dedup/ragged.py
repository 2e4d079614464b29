"""Lists of different lengths in flat arrays, and the index arithmetic on them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Ragged:
    """List `i` is ``values[first[i] : first[i] + size[i]]``; lists may lie in any order, so taking rows is free."""

    #: int64, shape (lists,).
    first: Ints
    #: int64, shape (lists,).
    size: Ints
    #: Any dtype, shape (items, ...).
    values: NDArray[Any]

    def __len__(self) -> int:
        return len(self.first)

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.values[self.first[index] : self.first[index] + self.size[index]]

    def take(self, rows: Ints) -> Ragged:
        """Return the lists of `rows`, int64, over the same values."""
        return Ragged(self.first[rows], self.size[rows], self.values)

    def flat(self) -> tuple[Ints, NDArray[Any]]:
        """Return (list number, value) of every item, list by list."""
        owner, places = expand(self.first, self.size)
        return owner, self.values[places]


def ragged(column: pa.ChunkedArray) -> Ragged:
    """Return a list column of numbers without nulls; the offsets are 64-bit whatever the column's are."""
    sizes, values = [np.empty(0, np.int64)], []
    for chunk in column.chunks:
        sizes.append(chunk.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64))
        values.append(chunk.flatten().to_numpy(zero_copy_only=False))
    kind = column.type.value_type.to_pandas_dtype()
    size = np.concatenate(sizes)
    return Ragged(starts(size)[:-1], size, np.concatenate([np.empty(0, kind), *values]))


def unpacked(column: pa.ChunkedArray, kind: np.dtype[Any]) -> Ragged:
    """Return the lists of a large_binary column without nulls, each the bytes of numbers of one kind."""
    sizes, values = [np.empty(0, np.int64)], [np.empty(0, kind)]
    for chunk in column.chunks:
        _, places, data = chunk.buffers()
        if len(chunk) and data is not None:
            edges = np.frombuffer(places, np.int64)[chunk.offset : chunk.offset + len(chunk) + 1]
            sizes.append(np.diff(edges) // kind.itemsize)
            values.append(np.frombuffer(data, np.uint8)[edges[0] : edges[-1]].view(kind))
        else:
            sizes.append(np.zeros(len(chunk), np.int64))
    size = np.concatenate(sizes)
    return Ragged(starts(size)[:-1], size, np.concatenate(values))


def starts(size: Ints) -> Ints:
    """Return where lists of the given sizes begin, and where the last ends: int64, shape (lists + 1,)."""
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(size, dtype=np.int64)])


def expand(first: Ints, size: Ints) -> tuple[Ints, Ints]:
    """Return (list number, place) of every item of the ranges ``first[i] .. first[i] + size[i]``, in order."""
    owner = np.repeat(np.arange(len(size), dtype=np.int64), size)
    shift = first - starts(size)[:-1]
    return owner, np.arange(len(owner), dtype=np.int64) + shift[owner]


def blocks(size: Ints, budget: int) -> Iterator[slice]:
    """Cut lists into consecutive runs of at most `budget` items (a longer list is a run of its own)."""
    ends = np.cumsum(size, dtype=np.int64)
    begin, done = 0, 0
    while begin < len(size):
        stop = max(begin + 1, int(np.searchsorted(ends, done + budget, side="right")))
        yield slice(begin, stop)
        begin, done = stop, int(ends[stop - 1])


def labels_of(column: pa.ChunkedArray) -> Ints:
    """Return an int64 per row, equal where the values are equal; the numbers themselves mean nothing."""
    encoded = column.dictionary_encode()  # one dictionary for all chunks
    return np.concatenate([np.empty(0, np.int64), *(chunk.indices.to_numpy() for chunk in encoded.chunks)])


def join_labels(*columns: NDArray[Any]) -> Ints:
    """Return an int64 per row, equal where all the given labels (int64 or bool, below 2^31) are equal."""
    joined = np.unique(columns[0], return_inverse=True)[1].astype(np.int64)
    for column in columns[1:]:
        other = np.unique(column, return_inverse=True)[1].astype(np.int64)
        size = int(other.max(initial=0)) + 1
        joined = np.unique(joined * size + other, return_inverse=True)[1].astype(np.int64)
    return joined

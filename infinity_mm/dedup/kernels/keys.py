"""Signatures to the keys under which rows may meet, and to sketches that tell most strangers apart; compiled.

A row with shingles has one key for each band of its signature, any other row one key of its whole text. Sketch: the
lowest four bits of the first 64 minima of the signature (P. Li and A. C. König, "b-Bit Minwise Hashing", WWW 2010).
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.hashing import Hashes, Ints, mix64
from infinity_mm.dedup.kernels.jit import compiled, load64
from infinity_mm.dedup.kernels.normal import Tokens

#: Minima of a signature that a sketch keeps four bits of.
SKETCHED = 64
#: 64-bit words of a sketch.
SKETCH_WORDS = 4

_ONE = np.uint64(0x9E3779B97F4A7C15)
_OTHER = np.uint64(0xC2B2AE3D27D4EB4F)
_WORD = np.uint64(0xFFFFFFFFFFFFFFFF)
_29 = np.uint64(29)
_32 = np.uint64(32)


def digests(tokens: Tokens) -> Hashes:
    """Return a 128-bit hash of each text's tokens with the spaces between them, uint64 of shape (texts, 2)."""
    found = np.empty((len(tokens), 2), np.uint64)
    _digests(tokens.data, tokens.starts, found)
    return found


def bytes_digests(texts: pa.Array) -> Hashes:
    """Return the same hash of the bytes of each text: large_string without nulls, uint64 of shape (texts, 2)."""
    starts = np.frombuffer(texts.buffers()[1], np.int64)[texts.offset : texts.offset + len(texts) + 1]
    # Copied, for the spare bytes that loading eight at a time needs.
    data = np.zeros(int(starts[-1] - starts[0]) + 8, np.uint8)
    data[:-8] = np.frombuffer(texts.buffers()[2] or b"", np.uint8)[starts[0] : starts[-1]]
    found = np.empty((len(texts), 2), np.uint64)
    _digests(data, starts - starts[0], found)
    return found


def sketches(signatures: NDArray[np.uint32]) -> Hashes:
    """Return uint64 of shape (texts, 4) for signatures of at least 64 minima."""
    found = np.zeros((len(signatures), SKETCH_WORDS), np.uint64)
    _sketches(signatures, found)
    return found


def entries(
    signatures: NDArray[np.uint32], starts: Ints, whole: Hashes, live: NDArray[np.bool_], bands: int, rows: int
) -> tuple[Hashes, NDArray[np.uint32]]:
    """Return (key, row) of every key of the live rows; `whole` is the key of a row without shingles.

    `starts`, shape (texts + 1,), says where each row's shingles begin. The first `rows` minima are band 0, and so on.
    Equal bands have equal keys, unequal ones collide with a chance of 2^-64, whatever part or run they come from.
    """
    counts = np.where(np.diff(starts) > 0, bands, 1) * live
    keys = np.empty(int(counts.sum()), np.uint64)
    owners = np.empty(len(keys), np.uint32)
    _entries(signatures, starts, whole, live, bands, rows, keys, owners)
    return keys, owners


def by_partition(keys: Hashes, owners: NDArray[np.uint32], partitions: int) -> tuple[Hashes, NDArray[np.uint32], Ints]:
    """Return the entries ordered by partition, and where each partition begins: int64, shape (partitions + 1,)."""
    out_keys, out_owners = np.empty_like(keys), np.empty_like(owners)
    starts = np.zeros(partitions + 1, np.int64)
    _scatter(keys, owners, np.uint64(partitions), starts, out_keys, out_owners)
    return out_keys, out_owners, starts


@compiled
def _digests(data: NDArray[np.uint8], starts: Ints, found: Hashes) -> None:
    for index in range(len(starts) - 1):
        place, end = starts[index], starts[index + 1]
        one = np.uint64(end - place)
        other = one ^ _OTHER
        while place < end:
            word = load64(data, place)
            if end - place < 8:
                word &= _WORD >> np.uint64(8 * (8 - (end - place)))
            one = (one ^ word) * _ONE
            one ^= one >> _29
            other = (other + word) * _OTHER
            other ^= other >> _32
            place += 8
        found[index, 0] = mix64(one)
        found[index, 1] = mix64(other)


@compiled
def _sketches(signatures: NDArray[np.uint32], found: Hashes) -> None:
    for index in range(len(signatures)):
        for place in range(SKETCHED):
            nibble = np.uint64(signatures[index, place]) & np.uint64(15)
            found[index, place >> 4] |= nibble << np.uint64(4 * (place & 15))


@compiled
def _entries(
    signatures: NDArray[np.uint32],
    starts: Ints,
    whole: Hashes,
    live: NDArray[np.bool_],
    bands: int,
    rows: int,
    keys: Hashes,
    owners: NDArray[np.uint32],
) -> None:
    count = 0
    for index in range(len(starts) - 1):
        if not live[index]:
            continue
        if starts[index + 1] == starts[index]:
            keys[count] = mix64(whole[index])
            owners[count] = index
            count += 1
            continue
        place = 0
        for band in range(bands):
            key = np.uint64(band + 1) * _OTHER
            for _ in range(rows):
                key = (key ^ np.uint64(signatures[index, place])) * _ONE
                key ^= key >> _32
                place += 1
            keys[count] = mix64(key)
            owners[count] = index
            count += 1


@compiled
def _partition(key: np.uint64, partitions: np.uint64) -> np.int64:
    return np.int64(((key >> _32) * partitions) >> _32)


@compiled
def _scatter(
    keys: Hashes,
    owners: NDArray[np.uint32],
    partitions: np.uint64,
    starts: Ints,
    out_keys: Hashes,
    out_owners: NDArray[np.uint32],
) -> None:
    for key in keys:
        starts[_partition(key, partitions) + 1] += 1
    starts[:] = np.cumsum(starts)
    following = starts[:-1].copy()
    for number in range(len(keys)):
        part = _partition(keys[number], partitions)
        place = following[part]
        out_keys[place] = keys[number]
        out_owners[place] = owners[number]
        following[part] = place + 1

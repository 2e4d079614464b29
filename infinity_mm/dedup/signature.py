"""What deduplication needs to know of a record's text, computed once per record.

Signatures equal those of datasketch 2 under its default scheme (`affine32`: 32-bit SHA-1 prefix, the
MurmurHash3 finaliser, then odd affine maps modulo 2^32) for the same shingles, permutations and seed,
so an index made with one can be probed with the other.
MinHash: A. Broder, "On the resemblance and containment of documents", SEQUENCES 1997.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np
import pyarrow as pa
from datasketch import MinHash
from numpy.typing import NDArray

from infinity_mm.dedup.params import SignatureParams
from infinity_mm.text import normalise, repair, tokens
from infinity_mm.turns import flat_turns

NAME = "signature"
VERSION = 1
READS = ("id", "messages")

#: One row per record. Prompts are the system and user turns, answers the assistant turns.
ATTRIBUTES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # 16-byte digests of texts in normal form; of the whole with its roles.
        pa.field("text_key", pa.binary(16), nullable=False),
        pa.field("prompt_key", pa.binary(16), nullable=False),
        pa.field("answer_key", pa.binary(16), nullable=False),
        pa.field("prompt_words", pa.int32(), nullable=False),
        pa.field("answer_words", pa.int32(), nullable=False),
        # Characters of the answers as written; the keep policy prefers longer ones.
        pa.field("answer_chars", pa.int32(), nullable=False),
        # Sorted distinct 64-bit hashes of word n-grams; empty for a text with fewer words.
        pa.field("prompt_shingles", pa.list_(pa.uint64()), nullable=False),
        pa.field("answer_shingles", pa.list_(pa.uint64()), nullable=False),
        # MinHash of the union of both shingle sets, num_perm values; empty where the union is.
        pa.field("minhash", pa.list_(pa.uint32()), nullable=False),
    ]
)

_ANSWER = "assistant"


def measure(records: pa.Table, params: SignatureParams) -> pa.Table:
    """Return `ATTRIBUTES` for records with the columns `READS`, in order."""
    rows = [_measure_row(roles, contents, params) for roles, contents in flat_turns(records)]
    table = pa.Table.from_pylist(rows, schema=ATTRIBUTES.remove(0))
    return table.add_column(0, ATTRIBUTES.field("id"), records.column("id"))


def _measure_row(roles: Sequence[str], contents: Sequence[str], params: SignatureParams) -> dict[str, object]:
    texts = [normalise(repair(content)) for content in contents]
    sides: dict[bool, list[str]] = {False: [], True: []}
    for role, text in zip(roles, texts, strict=True):
        sides[role == _ANSWER].append(text)
    words = {side: [token for text in sides[side] for token in tokens(text)] for side in sides}
    shingles = {side: shingle_hashes(words[side], params.ngram) for side in sides}
    both = np.union1d(shingles[False], shingles[True])
    return {
        "text_key": _key(f"{role}\x1f{text}" for role, text in zip(roles, texts, strict=True)),
        "prompt_key": _key(sides[False]),
        "answer_key": _key(sides[True]),
        "prompt_words": len(words[False]),
        "answer_words": len(words[True]),
        "answer_chars": sum(len(c) for role, c in zip(roles, contents, strict=True) if role == _ANSWER),
        "prompt_shingles": shingles[False],
        "answer_shingles": shingles[True],
        "minhash": minhash(both, params),
    }


def _key(texts: Iterable[str]) -> bytes:
    joined = "\x1e".join(texts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def shingle_hashes(words: Sequence[str], ngram: int) -> NDArray[np.uint64]:
    """Return the sorted distinct hashes, uint64, of the n-grams of `words`; none for fewer words.

    A hash is the first 8 bytes of the SHA-1 of the words joined by spaces, little-endian, so its low 32 bits are
    datasketch's default hash of the same shingle.
    """
    count = len(words) - ngram + 1
    if count <= 0:
        return np.empty(0, np.uint64)
    grams = {" ".join(words[start : start + ngram]) for start in range(count)}
    digests = b"".join(hashlib.sha1(gram.encode("utf-8", "surrogatepass")).digest()[:8] for gram in grams)
    return np.sort(np.frombuffer(digests, dtype="<u8"))


def minhash(shingles: NDArray[np.uint64], params: SignatureParams) -> NDArray[np.uint32]:
    """Return the MinHash signature, uint32 of length `num_perm`, or an empty array for no shingles."""
    if not len(shingles):
        return np.empty(0, np.uint32)
    factors, offsets = _permutations(params.num_perm, params.seed)
    hashes = _mix((shingles & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    lowest = np.full(params.num_perm, 0xFFFFFFFF, np.uint32)
    for start in range(0, len(hashes), 1024):  # 1,024 x 128 products stay in the cache
        block = hashes[start : start + 1024, None] * factors + offsets
        np.minimum(lowest, block.min(axis=0), out=lowest)
    return lowest


@lru_cache(maxsize=4)
def _permutations(num_perm: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return datasketch's own factors and offsets, so that equal seeds mean equal signatures."""
    factors, offsets = MinHash(num_perm=num_perm, seed=seed).permutations
    return factors.astype(np.uint32), offsets.astype(np.uint32)


def _mix(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the 32-bit finaliser of MurmurHash3 (A. Appleby), which datasketch applies before permuting."""
    values = values ^ (values >> np.uint32(16))
    values = values * np.uint32(0x85EBCA6B)
    values = values ^ (values >> np.uint32(13))
    values = values * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))

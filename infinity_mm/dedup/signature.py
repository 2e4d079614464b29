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
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.params import SignatureParams
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.text import normalise, repair, tokens
from infinity_mm.turns import flat_turns

NAME = "signature"
VERSION = 2
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

Hashes = NDArray[np.uint64]


def measure(records: pa.Table, params: SignatureParams) -> pa.Table:
    """Return `ATTRIBUTES` for records with the columns `READS`, in order."""
    digests: dict[str, list[bytes]] = {name: [] for name in ("text_key", "prompt_key", "answer_key")}
    counts: dict[str, list[int]] = {name: [] for name in ("prompt_words", "answer_words", "answer_chars")}
    shingles: tuple[list[Hashes], list[Hashes]] = ([], [])
    for roles, contents in flat_turns(records):
        texts = [_normal_form(content) for content in contents]
        whole = (f"{role}\x1f{text}" for role, text in zip(roles, texts, strict=True))
        digests["text_key"].append(_key(whole))
        answers = [role == _ANSWER for role in roles]
        counts["answer_chars"].append(sum(len(content) for content, own in zip(contents, answers, strict=True) if own))
        for side, name in enumerate(("prompt", "answer")):
            said = [text for text, own in zip(texts, answers, strict=True) if own == bool(side)]
            words = [token for text in said for token in tokens(text)]
            digests[f"{name}_key"].append(_key(said))
            counts[f"{name}_words"].append(len(words))
            shingles[side].append(shingle_hashes(words, params.ngram))
    return pa.Table.from_arrays(
        [
            records.column("id"),
            *(pa.array(values, pa.binary(16)) for values in digests.values()),
            *(pa.array(values, pa.int32()) for values in counts.values()),
            _lists(shingles[0]),
            _lists(shingles[1]),
            _lists(minhashes([np.concatenate(both) for both in zip(*shingles, strict=True)], params)),
        ],
        schema=ATTRIBUTES,
    )


def _normal_form(content: str) -> str:
    """Return the text as it is compared; one of punctuation alone, which has no normal form, as it is written."""
    return normalise(repair(content)) or " ".join(content.replace(IMAGE_TOKEN, " ").split())


def _key(texts: Iterable[str]) -> bytes:
    joined = "\x1e".join(texts)
    return hashlib.blake2b(joined.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _lists(rows: Sequence[NDArray[Any]]) -> pa.Array:
    offsets = np.cumsum([0] + [len(row) for row in rows])
    values = np.concatenate(rows) if rows else np.empty(0, np.uint32)
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), pa.array(values))


def shingle_hashes(words: Sequence[str], ngram: int) -> Hashes:
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


def minhash(shingles: Hashes, params: SignatureParams) -> NDArray[np.uint32]:
    """Return the MinHash signature, uint32 of length `num_perm`, or an empty array for no shingles."""
    return minhashes([shingles], params)[0]


def minhashes(sets: Sequence[Hashes], params: SignatureParams) -> list[NDArray[np.uint32]]:
    """Return `minhash` of each set; repeated hashes change nothing."""
    factors, offsets = _permutations(params.num_perm, params.seed)
    filled = np.flatnonzero([len(hashes) for hashes in sets])
    found = [np.empty(0, np.uint32)] * len(sets)
    if not len(filled):
        return found
    hashes = _mix((np.concatenate(sets) & np.uint64(0xFFFFFFFF)).astype(np.uint32))
    begins = np.cumsum([0] + [len(sets[index]) for index in filled])[:-1]
    lowest = np.empty((len(filled), params.num_perm), np.uint32)
    for column, (factor, offset) in enumerate(zip(factors, offsets, strict=True)):
        lowest[:, column] = np.minimum.reduceat(hashes * factor + offset, begins)
    for row, index in enumerate(filled.tolist()):
        found[index] = lowest[row]
    return found


@lru_cache(maxsize=4)
def _permutations(num_perm: int, seed: int) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
    """Return the odd factors and the offsets of the maps, uint32, in the order in which datasketch draws them."""
    draw = np.random.RandomState(seed)
    factors = draw.randint(0, 1 << 31, num_perm, dtype=np.uint32) * np.uint32(2) + np.uint32(1)
    return factors, draw.randint(0, 1 << 32, num_perm, dtype=np.uint32)


def _mix(values: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Return the 32-bit finaliser of MurmurHash3 (A. Appleby), which datasketch applies before permuting."""
    values = values ^ (values >> np.uint32(16))
    values = values * np.uint32(0x85EBCA6B)
    values = values ^ (values >> np.uint32(13))
    values = values * np.uint32(0xC2B2AE35)
    return values ^ (values >> np.uint32(16))

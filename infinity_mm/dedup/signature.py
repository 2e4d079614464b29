"""What deduplication needs to know of a record's text, computed once per record.

Signatures equal those of datasketch 2 under its default scheme (`affine32`: the MurmurHash3 finaliser, then odd affine
maps modulo 2^32) for the same shingles, permutations and seed; with ``hash="sha1"`` under its default hash as well, so
that an index made with one can be probed with the other.
MinHash: A. Broder, "On the resemblance and containment of documents", SEQUENCES 1997.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.hashing import permutations, sha1_shingles, shingles, signatures
from infinity_mm.dedup.kernels.normal import from_token_texts, tokenise
from infinity_mm.dedup.kernels.sets import sorted_sets
from infinity_mm.dedup.params import SignatureParams
from infinity_mm.record import IMAGE_TOKEN
from infinity_mm.text import tokens
from infinity_mm.turns import Turns, flat_turns

NAME = "signature"
VERSION = 4
READS = ("id", "messages")

#: One row per record. Prompts are the system and user turns, answers the assistant turns.
ATTRIBUTES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # 16-byte digests of the tokens of normal forms; of the whole with its roles.
        pa.field("text_key", pa.binary(16), nullable=False),
        pa.field("prompt_key", pa.binary(16), nullable=False),
        pa.field("answer_key", pa.binary(16), nullable=False),
        pa.field("prompt_words", pa.int32(), nullable=False),
        pa.field("answer_words", pa.int32(), nullable=False),
        # Characters of the answers as written; the keep policy prefers longer ones.
        pa.field("answer_chars", pa.int32(), nullable=False),
        # Sorted distinct hashes of word n-grams, as `SHINGLES`; empty for a text with fewer words.
        pa.field("prompt_shingles", pa.large_binary(), nullable=False),
        pa.field("answer_shingles", pa.large_binary(), nullable=False),
        # MinHash of the union of both shingle sets, num_perm values as `MINHASH`; empty where the union is.
        pa.field("minhash", pa.large_binary(), nullable=False),
    ]
)

#: Numbers, one after the other. Not lists: Parquet notes of every item that it is there, and checks it when it reads,
#: which takes twice the time of the numbers.
SHINGLES, MINHASH = np.dtype("<u8"), np.dtype("<u4")

#: Columns of random bits, which take as much compressed.
HASHES = ("text_key", "prompt_key", "answer_key", "prompt_shingles", "answer_shingles", "minhash")

_ANSWER = "assistant"


def measure(records: pa.Table, params: SignatureParams) -> pa.Table:
    """Return `ATTRIBUTES` for records with the columns `READS`, in order."""
    turns = flat_turns(records)
    texts = token_texts(turns)
    keys: list[list[bytes]] = [[], [], []]
    sides: tuple[list[bytes], list[bytes]] = ([], [])
    answer_chars: list[int] = []
    for begin, end in pairwise(turns.starts):
        roles, own = turns.roles[begin:end], texts[begin:end]
        keys[0].append(_key(role.encode() + b"\x1f" + text for role, text in zip(roles, own, strict=True)))
        for side in (0, 1):
            said = [text for role, text in zip(roles, own, strict=True) if (role == _ANSWER) == bool(side)]
            keys[1 + side].append(_key(said))
            sides[side].append(b" ".join(filter(None, said)))
        answers = (turns.contents[turn] for turn in range(begin, end) if turns.roles[turn] == _ANSWER)
        answer_chars.append(sum(map(len, answers)))
    words, sets, minhashes = _signed([*sides[0], *sides[1]], params)
    columns = [
        records.column("id"),
        *(pa.array(digests, pa.binary(16)) for digests in keys),
        *(pa.array(counts) for counts in words),
        pa.array(answer_chars, pa.int32()),
        *sets,
        minhashes,
    ]
    return pa.Table.from_arrays(columns, schema=ATTRIBUTES)


def token_texts(turns: Turns) -> list[bytes]:
    """Return each turn's tokens; of punctuation alone, which has no normal form, those it is written with."""
    found = tokenise(pa.array(turns.contents, pa.large_string()))
    data, edges = bytes(found.data), found.starts.tolist()
    texts = [data[begin:end] for begin, end in pairwise(edges)]
    for turn in np.flatnonzero(np.diff(found.starts) == 0).tolist():
        written = tokens(turns.contents[turn].replace(IMAGE_TOKEN, " "))
        texts[turn] = " ".join(written).encode("utf-8", "surrogatepass")
    return texts


def _key(texts: Iterable[bytes]) -> bytes:
    return hashlib.blake2b(b"\x1e".join(texts), digest_size=16).digest()


def _signed(
    sides: Sequence[bytes], params: SignatureParams
) -> tuple[list[NDArray[np.int32]], list[pa.Array], pa.Array]:
    """Return words and shingle sets of prompts and of answers, and the signatures of both together.

    `sides` are the token texts of all prompts, then of all answers.
    """
    said = from_token_texts(sides)
    hashes, starts = (shingles if params.hash == "poly" else sha1_shingles)(said, params.ngram)
    count = len(sides) // 2
    halves = (slice(0, count), slice(count, 2 * count))
    found = signatures(hashes, starts, *permutations(params.num_perm, params.seed))
    whole = np.minimum(*(found[half] for half in halves))
    sizes = np.diff(starts)
    live = (sizes[halves[0]] + sizes[halves[1]]) > 0
    values, begins = sorted_sets(hashes, starts)
    edges = [begins[half.start : half.stop + 1] for half in halves]
    words = [np.diff(said.first)[half].astype(np.int32) for half in halves]
    sets = [_packed(values[own[0] : own[-1]], own - own[0], SHINGLES) for own in edges]
    minima = np.concatenate([np.zeros(1, np.int64), np.cumsum(live * params.num_perm)])
    return words, sets, _packed(whole[live].ravel(), minima, MINHASH)


def _packed(values: NDArray[Any], starts: NDArray[np.int64], kind: np.dtype[Any]) -> pa.Array:
    """Return lists of numbers as `infinity_mm.dedup.ragged.unpacked` reads them."""
    places, numbers = (
        pa.py_buffer(np.ascontiguousarray(array, of)) for array, of in ((starts * kind.itemsize, "<i8"), (values, kind))
    )
    return pa.LargeBinaryArray.from_buffers(pa.large_binary(), len(starts) - 1, [None, places, numbers])

"""Blocking keys: 64-bit numbers of rows, such that rows which `find_duplicates` may compare have one in common.

A key says what a rule requires to be equal: a band of the signature with the tags of prompt and answer, equal pictures
with the texts that go with them, equal hashes in equal frames. Keys are digests of what a row holds and of nothing
else, so those of different parts, runs and machines can be compared. Two rows without anything in common have equal
keys with a chance of 2^-64, and then are merely decided on in one go.

Near hashes have no key in common. What they must have in common otherwise is the *side* of a cell: only cells of one
side are compared (`infinity_mm.dedup.blocking.near`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.keys import SKETCH_WORDS, bytes_digests
from infinity_mm.dedup.lsh import mix64
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.pictures import exact_only, first_clear, frames, rendered
from infinity_mm.dedup.proposals import kinds, silent_rows, text_keys
from infinity_mm.dedup.ragged import Ints, Ragged, ragged, unpacked
from infinity_mm.dedup.signature import MINHASH
from infinity_mm.dedup.sketch import Sketches, sketches_of
from infinity_mm.dedup.texts import Digests, digests_of, tags

#: Columns of `find_duplicates` that keys are made from.
READS = (
    "id", "category", "width", "pixel_sha256", "phash", "luma_std", "flat",
    "text_key", "prompt_key", "answer_key", "prompt_words", "answer_words", "minhash",
)  # fmt: skip

_ODD = np.uint64(1)
# Relations that must not be confused: what is equal in one means nothing in another.
_ID, _TWIN, _TEXT, _SAME, _SAME_CAPTION, _NEAR, _NEAR_CAPTION = (np.uint64(n) for n in range(1, 8))


@dataclass(frozen=True)
class Cells:
    """Pictures' hashes that are to be compared; one row stands for all of one side and hash. Sorted by both."""

    #: uint64, shape (cells,).
    side: Digests
    phash: Digests
    #: Row number: int64, shape (cells,).
    row: Ints

    def __len__(self) -> int:
        return len(self.row)


@dataclass(frozen=True)
class Blocks:
    """Keys of rows, shapes (entries,): uint64 keys and int64 row numbers; the cells; and sketches.

    Keys of bands are odd, all others even: of rows that share a band, only those with similar sketches meet.
    """

    keys: Digests
    rows: Ints
    cells: Cells
    #: Rows that have keys of bands, ascending: int64, shape (n,).
    sketched: Ints
    #: uint64, shape (n, 4).
    sketches: Sketches


def blocks_of(table: pa.Table, params: DedupParams, salt: int) -> Blocks:
    """Return the keys and cells of the live rows of one part, numbered as in `table`, which holds `READS`.

    Rows that no rule can tell apart are twins: one of them has the keys, the others have one that is shared with it
    only (`salt`, 64 bits, is the part's own), so a million copies of a row make one entry each instead of thirty.
    Every row has a key of its id as well, for an id that occurs twice to be found.
    """
    found = [(joined(_ID, _texts(table.column("id"))), np.arange(len(table), dtype=np.int64))]
    cells = []
    sketched, sketches = np.empty(0, np.int64), np.empty((0, SKETCH_WORDS), np.uint64)
    pictured = ragged(table.column("width")).size > 0
    # Not among what is taken below: signatures are most of the bytes, and rows of them are chosen without a copy.
    minhash, table = unpacked(table.column("minhash"), MINHASH), table.drop_columns(["minhash"])
    for kind, rows in kinds(pictured, silent_rows(table), params):
        some = table.take(pa.array(rows))
        twin = joined(_twins(some, kind, params), np.uint64(salt))
        _, first, group, size = np.unique(twin, return_index=True, return_inverse=True, return_counts=True)
        copies = np.flatnonzero(size[group] > 1)
        found.append((twin[copies], rows[copies]))
        heads = np.sort(first)
        some, rows = some.take(pa.array(heads)), rows[heads]
        if kind == "text":
            long = np.flatnonzero(minhash.size[rows])
            sketched, sketches = rows[long], sketches_of(minhash.take(rows[long]))
            keys, places = _text_entries(some, minhash.take(rows), params)
            found.append((keys, rows[places]))
        else:
            keys, places = _picture_entries(some, kind, params)
            found.append((keys, rows[places]))
            side, phash, places, drawn = _cell_entries(some, kind, params)
            found.append((joined(_NEAR, side, phash), rows[places]))
            cells.append((side[~drawn], phash[~drawn], rows[places[~drawn]]))
    keys, owners = _stacked(found, (np.uint64, np.int64))
    side, phash, row = _stacked(cells, (np.uint64, np.uint64, np.int64))
    return Blocks(keys, owners, distinct(side, phash, row), sketched, sketches)


def distinct(side: Digests, phash: Digests, row: Ints) -> Cells:
    """Return the cells, of each side and hash that with the smallest row, sorted by side and hash."""
    order = np.lexsort((row, phash, side))
    side, phash, row = side[order], phash[order], row[order]
    new = np.append(True, (side[1:] != side[:-1]) | (phash[1:] != phash[:-1]))[: len(row)]
    return Cells(side[new], phash[new], row[new])


def joined(*words: Any) -> Digests:
    """Return an even key for all of the words together, in this order; arrays of one shape, or numbers."""
    state: Digests = np.zeros(1, np.uint64)
    for word in words:
        state = mix64(state ^ word)
    return state & ~_ODD


def _stacked(parts: list[tuple[Any, ...]], kinds: tuple[type, ...]) -> list[NDArray[Any]]:
    return [np.concatenate([np.empty(0, kind), *(part[n] for part in parts)]) for n, kind in enumerate(kinds)]


def _texts(column: pa.ChunkedArray) -> Digests:
    """Return 64 bits for each text."""
    if not len(column):
        return np.empty(0, np.uint64)
    first: Digests = bytes_digests(pc.cast(column, pa.large_string()).combine_chunks())[:, 0]
    return first


def _pixels(table: pa.Table) -> Digests:
    return _texts(pc.binary_join(table.column("pixel_sha256"), ","))


def _captions(table: pa.Table) -> NDArray[np.bool_]:
    marks: NDArray[np.bool_] = (
        pc.equal(table.column("category"), "caption").combine_chunks().to_numpy(zero_copy_only=False)
    )
    return marks


def _tags(table: pa.Table, params: DedupParams) -> tuple[Digests, Digests]:
    prompt, answer = (digests_of(table.column(name)) for name in ("prompt_key", "answer_key"))
    asked, said = (table.column(name).to_numpy().astype(np.int64) for name in ("prompt_words", "answer_words"))
    return tags(prompt, answer, asked, said, params.min_near_words)


def _twins(table: pa.Table, kind: str, params: DedupParams) -> Digests:
    """Return 64 bits per row for all that rules of this kind look at."""
    if kind == "text":
        return joined(_TWIN, digests_of(table.column("text_key")))
    exact = exact_only(table.column("category"), params).astype(np.uint64)
    if kind == "image":
        return joined(_TWIN, _pixels(table), exact)
    texts = (digests_of(table.column(name)) for name in ("prompt_key", "answer_key"))
    return joined(_TWIN, _pixels(table), *texts, _captions(table).astype(np.uint64), exact)


def _text_entries(table: pa.Table, minhash: Ragged, params: DedupParams) -> tuple[Digests, Ints]:
    """Return the bands of rows that have a signature, and the whole text of the others."""
    long, short = np.flatnonzero(minhash.size), np.flatnonzero(minhash.size == 0)
    prompt, answer = _tags(table, params)
    keys = text_keys(minhash.take(long), prompt[long], answer[long], params) | _ODD
    whole = joined(_TEXT, digests_of(table.column("text_key"))[short])
    return np.concatenate([keys.ravel(), whole]), np.concatenate([np.repeat(long, keys.shape[1]), short])


def _picture_entries(table: pa.Table, kind: str, params: DedupParams) -> tuple[Digests, Ints]:
    """Return keys of equal pictures with what must be equal beside them; captions may differ in their prompts."""
    pixels = _pixels(table)
    everything = np.arange(len(table), dtype=np.int64)
    if kind == "image":
        return joined(_SAME, pixels), everything
    answer = _tags(table, params)[1]
    captions = np.flatnonzero(_captions(table))
    keys = joined(_SAME, pixels, digests_of(table.column("prompt_key")), answer)
    captioned = joined(_SAME_CAPTION, pixels[captions], answer[captions])
    return np.concatenate([keys, captioned]), np.concatenate([everything, captions])


def _cell_entries(table: pa.Table, kind: str, params: DedupParams) -> tuple[Digests, Digests, Ints, NDArray[np.bool_]]:
    """Return (side, hash, row) of rows that may be the same as others without equal pixels, by their telling picture.

    The last says of which that picture is rendered: it must be equal, so its hash is, and only others may differ.
    """
    of = ragged(table.column("width"))
    blank = ragged(table.column("luma_std")).values < params.min_luma_std
    telling = first_clear(of, blank)
    able = np.flatnonzero((telling >= 0) & ~exact_only(table.column("category"), params))
    phash = ragged(table.column("phash")).values[telling[able]].astype(np.uint64)
    drawn = rendered(table, params)[telling[able]]
    frame = _texts(frames(table.column("pixel_sha256"), blank))[able]
    if kind == "image":
        return joined(_NEAR, frame), phash, able, drawn
    answer = _tags(table, params)[1][able]
    side = joined(_NEAR, frame, digests_of(table.column("prompt_key"))[able], answer)
    captions = np.flatnonzero(_captions(table)[able])
    captioned = joined(_NEAR_CAPTION, frame[captions], answer[captions])
    return (
        np.concatenate([side, captioned]),
        np.concatenate([phash, phash[captions]]),
        np.concatenate([able, able[captions]]),
        np.concatenate([drawn, drawn[captions]]),
    )

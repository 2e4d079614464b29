"""Which rows are worth comparing: buckets that hold every pair a rule can accept (by LSH: nearly every pair).

Whatever a rule requires to be equal is part of the bucket, so the rows of a templated source, which share a prompt
or a page layout but not the answers, do not even meet.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infinity_mm.dedup.banding import choose_bands
from infinity_mm.dedup.buckets import Buckets, bucket_by, entries, merge
from infinity_mm.dedup.hamming import NearHashes, near_hashes
from infinity_mm.dedup.lsh import band_keys, mix64
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.pictures import Pictures
from infinity_mm.dedup.ragged import Ints, Ragged, expand, join_labels, starts
from infinity_mm.dedup.texts import Digests, Texts
from infinity_mm.record import IMAGE_ONLY

#: By which rule a row is compared. Rows of different kinds are never duplicates of each other.
Kind = Literal["pair", "text", "image"]


def kinds(pictured: NDArray[np.bool_], silent: NDArray[np.bool_], params: DedupParams) -> list[tuple[Kind, Ints]]:
    """Return the rows, by number, that are compared by each rule.

    `pictured` marks rows with pictures, `silent` those that are nothing but pictures: all their texts are equal, and
    no text is compared.
    """
    everything = np.arange(len(pictured), dtype=np.int64)
    if params.mode == "text":
        return [("text", everything[~silent])]
    if params.mode == "image":
        return [("image", everything[pictured])]
    if params.mode == "pair":
        return [("pair", everything[pictured]), ("text", everything[~pictured & ~silent])]
    return []


def silent_rows(table: pa.Table) -> NDArray[np.bool_]:
    """Mark rows that are nothing but pictures, by their `category`: bool, shape (rows,)."""
    marks: NDArray[np.bool_] = (
        pc.equal(table.column("category"), IMAGE_ONLY).combine_chunks().to_numpy(zero_copy_only=False)
    )
    return marks


def text_buckets(texts: Texts, params: DedupParams) -> Buckets:
    """Return LSH buckets of whole conversations; pairs at the threshold meet with a chance of `params.recall`."""
    long = np.flatnonzero(texts.minhash.size)
    prompt, answer = texts.tags(params.min_near_words)
    keys = text_keys(texts.minhash.take(long), prompt[long], answer[long], params)
    return bucket_by(list(keys.T), long)


def text_keys(minhash: Ragged, prompt: Digests, answer: Digests, params: DedupParams) -> Digests:
    """Return a key per row and band, uint64 of shape (rows, bands): rows may only meet where one of them is equal.

    Every row has a signature; `prompt` and `answer` are its tags. Keys are the same in every part and run.
    """
    places = minhash.first[:, None] + np.arange(params.signature.num_perm)
    keys = band_keys(minhash.values[places], *choose_bands(params.signature.num_perm, params.threshold, params.recall))
    keys ^= mix64(mix64(prompt) ^ answer)[:, None]
    return keys


def pair_buckets(texts: Texts, pictures: Pictures, caption: NDArray[np.bool_], params: DedupParams) -> Buckets:
    """Return buckets of rows whose prompts agree and whose pictures may; prompts of rows in `caption` are ignored."""
    _, answer = texts.tags(params.min_near_words)
    everything = np.arange(len(caption), dtype=np.int64)
    captions = np.flatnonzero(caption)
    asked = picture_buckets(pictures, join_labels(texts.prompt, answer), everything, params)
    captioned = picture_buckets(pictures.take(captions), answer[captions], captions, params)
    return merge(asked, captioned)


def picture_buckets(
    pictures: Pictures, side: NDArray[np.int64 | np.uint64], rows: Ints, params: DedupParams
) -> Buckets:
    """Return buckets of rows whose pictures are all equal, or whose first telling pictures have near hashes.

    Rows meet only if their `side`, any label of shape (rows,), is equal too; `rows` numbers them, ascending.
    """
    equal = bucket_by([join_labels(pictures.all_pixels, side)], rows)
    telling = pictures.telling()
    able = np.flatnonzero((telling >= 0) & ~pictures.exact_only)
    near = near_hashes(pictures.phash[telling[able]], params.radius)
    return merge(equal, near_buckets(near, join_labels(pictures.frame[able], side[able]), rows[able]))


def near_buckets(near: NearHashes, side: Ints, rows: Ints) -> Buckets:
    """Return one bucket per hash and side; rows ask their own and those of near hashes on the same side.

    `side`, labels of shape (n,), and `rows`, ascending numbers of shape (n,), go with the hashes of `near`.
    """
    count = max(len(near.values), 1)
    cells, cell = np.unique(side * count + near.group, return_inverse=True)
    order = np.argsort(cell, kind="stable")
    size = np.bincount(cell, minlength=len(cells)).astype(np.int64)
    one, other = _cells_that_meet(cells, near.pairs, count)
    own = np.flatnonzero(size > 1)
    asking, asked = np.concatenate([own, one, other]), np.concatenate([own, other, one])
    owner, places = expand(starts(size)[asking], size[asking])
    return Buckets(entries(rows, cell), entries(rows[order[places]], asked[owner]))


def _cells_that_meet(cells: Ints, pairs: NDArray[np.int32], count: int) -> tuple[Ints, Ints]:
    """Return pairs of cells, by number, on the same side with near hashes. A cell is side * count + hash, ascending."""
    by_hash = np.argsort(cells % count, kind="stable")
    size = np.bincount(cells % count, minlength=count).astype(np.int64)
    first = starts(size)[:-1]
    # Sides are listed for the hash that has fewer of them and looked up for the other one.
    swap = size[pairs[:, 0]] > size[pairs[:, 1]]
    fewer, more = np.where(swap, pairs[:, 1], pairs[:, 0]), np.where(swap, pairs[:, 0], pairs[:, 1])
    owner, places = expand(first[fewer], size[fewer])
    one = by_hash[places]
    wanted = cells[one] // count * count + more[owner]
    other = np.searchsorted(cells, wanted)
    there = other < len(cells)
    there[there] = cells[other[there]] == wanted[there]
    return one[there], other[there]

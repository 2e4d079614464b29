"""Which rows are duplicates, of whom, and why: the entry point of deduplication.

Three steps: propose pairs cheaply (bands and sketches of MinHash, perceptual hashes, equal digests), verify each pair
exactly (true Jaccard similarity, Hamming distance and thumbnails), and let rows lose only to rows that stay
(`infinity_mm.dedup.settle`). The result is a function of the set of rows and the parameters, not of their order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infinity_mm.dedup.buckets import Buckets
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.pictures import Pictures, pictures_of, same_pictures
from infinity_mm.dedup.proposals import Kind, kinds, pair_buckets, picture_buckets, silent_rows, text_buckets
from infinity_mm.dedup.ragged import Ints, join_labels, ragged, starts
from infinity_mm.dedup.rails import check_rails
from infinity_mm.dedup.settle import Agreement, Compare, Losses, settle
from infinity_mm.dedup.sketch import alike, least_of, sketches_of
from infinity_mm.dedup.texts import Texts, same_answer, same_conversation, texts_of
from infinity_mm.errors import StageError

__all__ = ["DUPLICATES", "READS", "REASONS", "check_rails", "find_duplicates"]

REASONS = ("exact_pair", "near_pair", "exact_text", "near_text", "same_image")

#: Columns that `find_duplicates` reads, beside `source` and `priority`.
READS = (
    "id", "category", "width", "height", "pixel_sha256", "phash", "luma_std", "flat", "thumb",
    "text_key", "prompt_key", "answer_key", "prompt_words", "answer_words", "answer_chars",
    "prompt_shingles", "answer_shingles", "minhash",
)  # fmt: skip

#: One row per removed row, sorted by id.
DUPLICATES = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.string(), nullable=False),
        pa.field("winner", pa.string(), nullable=False),
        # Jaccard similarity to the winner, 0 to 1; null where text was not compared.
        pa.field("similarity", pa.float32()),
        # Largest Hamming distance to the winner's pictures, bits of 64, 0 for equal pixels; null without pictures.
        pa.field("hamming", pa.int32()),
    ]
)


@dataclass(frozen=True)
class Rows:
    """Live rows in keep order, as deduplication sees them."""

    texts: Texts
    pictures: Pictures
    #: A caption's prompt says nothing: bool, shape (rows,).
    caption: NDArray[np.bool_]

    def take(self, rows: Ints) -> Rows:
        """Return some of the rows."""
        return Rows(self.texts.take(rows), self.pictures.take(rows), self.caption[rows])

    def __len__(self) -> int:
        return len(self.caption)


def find_duplicates(table: pa.Table, params: DedupParams) -> pa.Table:
    """Return `DUPLICATES` for all live rows of all sources, in any order.

    `table` holds the columns of `infinity_mm.schema.INGEST_ATTRIBUTES` and of
    `infinity_mm.dedup.signature.ATTRIBUTES`, `source` (string) and `priority` (int, the lower wins).
    Raises `StageError` where an id occurs twice or a thumbnail has the wrong size.
    """
    if pc.count_distinct(table.column("id")).as_py() != table.num_rows:
        raise StageError("an id occurs twice among the rows to deduplicate: ids must be unique over all sources")
    order = keep_order(table)
    ids = table.column("id").take(pa.array(order)).combine_chunks()
    category = pc.equal(table.column("category"), "caption").combine_chunks().to_numpy(zero_copy_only=False)
    rows = Rows(texts_of(table), pictures_of(table, params), category).take(order)
    found = [
        _decide(rows.take(some), kind, ids.take(pa.array(some)), params)
        for kind, some in kinds(rows.pictures.of.size > 0, silent_rows(table)[order], params)
    ]
    return pa.concat_tables([DUPLICATES.empty_table(), *found]).sort_by("id").combine_chunks()


def keep_order(table: pa.Table) -> Ints:
    """Return the row numbers, those to prefer first: lower priority, more pixels, longer answers, smaller id.

    Pictures alone come last, whatever their priority: they are not exported, so a row with texts must not lose to one.
    """
    width, height = ragged(table.column("width")), ragged(table.column("height"))
    areas = starts(width.values.astype(np.int64) * height.values)
    ends = starts(width.size)
    keys = pa.table(
        {
            "silent": silent_rows(table).astype(np.int8),
            "priority": table.column("priority"),
            "pixels": areas[ends[1:]] - areas[ends[:-1]],
            "answer": table.column("answer_chars"),
            "id": table.column("id"),
        }
    )
    by = [
        ("silent", "ascending"),
        ("priority", "ascending"),
        ("pixels", "descending"),
        ("answer", "descending"),
        ("id", "ascending"),
    ]
    return pc.sort_indices(keys, sort_keys=by).to_numpy().astype(np.int64)  # type: ignore[no-any-return]


def _decide(rows: Rows, kind: Kind, ids: pa.Array, params: DedupParams) -> pa.Table:
    """Return `DUPLICATES`, not yet sorted, for the rows of one kind and their ids.

    Rows that are equal in all that is compared stand or fall together, so only the first of them, in keep order,
    is looked at: ten thousand copies cost one comparison. If it loses, they lose to its winner, else to it.
    """
    _, first, group = np.unique(_identity(rows, kind), return_index=True, return_inverse=True)
    head = first.astype(np.int64)[group]
    heads = np.sort(first).astype(np.int64)
    chosen = rows.take(heads)
    losses = settle(len(heads), _propose(chosen, kind, params), _comparison(chosen, kind, params))
    # Per row, the loss of its head: -1 where the head stays.
    loss = np.full(len(rows), -1, np.int64)
    loss[heads[losses.loser]] = np.arange(len(losses.loser))
    loss = loss[head]
    everything = np.arange(len(rows), dtype=np.int64)
    loser = np.flatnonzero((loss >= 0) | (head != everything))
    by_link = loss[loser] >= 0
    winner = head[loser]
    winner[by_link] = heads[losses.winner[loss[loser][by_link]]]
    similarity = np.full(len(loser), np.nan if kind == "image" else 1.0)
    similarity[by_link] = losses.how.similarity[loss[loser][by_link]]
    hamming = np.full(len(loser), -1 if kind == "text" else 0, np.int32)
    hamming[by_link] = losses.how.hamming[loss[loser][by_link]]
    how = Agreement(np.ones(len(loser), bool), similarity, hamming)
    return _describe(_reasons(rows, kind, loser, winner), ids, Losses(loser, winner, how))


def _identity(rows: Rows, kind: Kind) -> Ints:
    """Return a label per row, equal for rows that no rule of this kind can tell apart.

    Hash, contrast, thumbnail and size are functions of the pixels, as ingestion measures them.
    """
    if kind == "text":
        return rows.texts.whole
    exact = rows.pictures.exact_only
    if kind == "image":
        return join_labels(rows.pictures.all_pixels, exact)
    return join_labels(rows.pictures.all_pixels, rows.texts.prompt, rows.texts.answer, rows.caption, exact)


def _propose(rows: Rows, kind: Kind, params: DedupParams) -> Buckets:
    everything = np.arange(len(rows), dtype=np.int64)
    if kind == "text":
        return text_buckets(rows.texts, params)
    if kind == "image":
        return picture_buckets(rows.pictures, np.zeros_like(everything), everything, params)
    return pair_buckets(rows.texts, rows.pictures, rows.caption, params)


def _comparison(rows: Rows, kind: Kind, params: DedupParams) -> Compare:
    sketches = sketches_of(rows.texts.minhash) if kind == "text" else np.empty((0, 0), np.uint64)

    def texts_agree(left: Ints, right: Ints) -> Agreement:
        same, similarity = alike(sketches, left, right, least_of(params)), np.zeros(len(left))
        asked = np.flatnonzero(same)
        same[asked], similarity[asked] = same_conversation(rows.texts, left[asked], right[asked], params)
        return Agreement(same, similarity, np.full(len(left), -1, np.int32))

    def pictures_agree(left: Ints, right: Ints) -> Agreement:
        same, hamming = same_pictures(rows.pictures, left, right, params)
        return Agreement(same, np.full(len(left), np.nan), hamming)

    def both_agree(left: Ints, right: Ints) -> Agreement:
        same, hamming = same_pictures(rows.pictures, left, right, params)
        captions = rows.caption[left] & rows.caption[right]
        same &= captions | (rows.texts.prompt[left] == rows.texts.prompt[right])
        similarity = np.zeros(len(left))
        asked = np.flatnonzero(same)
        same[asked], similarity[asked] = same_answer(rows.texts, left[asked], right[asked], params)
        return Agreement(same, similarity, hamming)

    return {"text": texts_agree, "image": pictures_agree, "pair": both_agree}[kind]


def _reasons(rows: Rows, kind: Kind, loser: Ints, winner: Ints) -> list[str]:
    """Return a reason per removed row; exact means that nothing but equality decided."""
    if kind == "image":
        return ["same_image"] * len(loser)
    if kind == "text":
        exact = rows.texts.whole[loser] == rows.texts.whole[winner]
    else:
        exact = rows.texts.answer[loser] == rows.texts.answer[winner]
        exact &= rows.pictures.all_pixels[loser] == rows.pictures.all_pixels[winner]
    return [f"{'exact' if each else 'near'}_{kind}" for each in exact.tolist()]


def _describe(reasons: list[str], ids: pa.Array, losses: Losses) -> pa.Table:
    details = []
    for similarity, hamming in zip(losses.how.similarity.tolist(), losses.how.hamming.tolist(), strict=True):
        values = [f"jaccard={similarity:.3f}"] if similarity == similarity else []
        details.append("; ".join(values + ([f"hamming={hamming}"] if hamming >= 0 else [])))
    columns = [
        ids.take(pa.array(losses.loser)),
        pa.array(reasons, pa.string()),
        pa.array(details, pa.string()),
        ids.take(pa.array(losses.winner)),
        pa.array(losses.how.similarity.astype(np.float32), mask=np.isnan(losses.how.similarity)),
        pa.array(losses.how.hamming, mask=losses.how.hamming < 0),
    ]
    return pa.Table.from_arrays(columns, schema=DUPLICATES)

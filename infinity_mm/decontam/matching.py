"""Rows against an index: which pictures are those of an item, which questions are contained. Pure, batch by batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infinity_mm.decontam.lookup import Lookup, Postings
from infinity_mm.decontam.params import MatchParams
from infinity_mm.decontam.texts import tokens_of
from infinity_mm.dedup.hamming import near_between
from infinity_mm.dedup.kernels.hashing import Hashes, shingles
from infinity_mm.dedup.ragged import Ints, Ragged, expand

Bools = NDArray[np.bool_]
Floats = NDArray[np.float64]

#: What speaks for a leak: picture and question of the same item, the picture alone, the question alone.
BOTH, IMAGE, TEXT = "image_and_question", "image", "question"
#: Odd, so that no two rows of a batch are mixed with hashes alike.
_ODD = np.uint64(0x9E3779B97F4A7C15)

#: One line per row, benchmark and evidence (and question, where that is all the evidence); the item is the nearest.
MATCHES = pa.schema(
    [
        # Number of the row in its part.
        pa.field("row", pa.int64(), nullable=False),
        pa.field("evidence", pa.string(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        # Bits of 64 in which the perceptual hashes differ; 0 also for equal pixels. Null without a picture.
        pa.field("distance", pa.int32()),
        # Share of the question's n-grams that the row holds. Null without a question.
        pa.field("overlap", pa.float32()),
        pa.field("tokens", pa.int32()),
        pa.field("question", pa.uint64()),
        # The question is asked about more than `max_pictures` pictures of the evaluation sets.
        pa.field("template", pa.bool_(), nullable=False),
        # Perceptual hash of the row's first picture; 0 without one.
        pa.field("picture", pa.uint64(), nullable=False),
    ]
)


@dataclass(frozen=True)
class Rows:
    """A batch of rows: texts and pictures, each with the number of its row, ascending."""

    #: string; int64 of the same length.
    texts: pa.Array
    text_row: Ints
    #: uint64, int64, shape (pictures,).
    phash: Hashes
    picture_row: Ints
    #: First 64 bits of the pixels' digest, 0 where unknown: uint64, shape (pictures,).
    pixels: Hashes
    #: bool, shape (pictures,).
    rendered: Bools
    blank: Bools


@dataclass(frozen=True)
class Pictures:
    """What is known of the pictures of rows, one list per row."""

    phash: Ragged
    #: First 64 bits of the pixels' digest, 0 where unknown: uint64, shape (pictures,), in the order of the lists.
    pixels: Hashes
    #: Standard deviation of the luma, 0 to 127.5: shape (pictures,).
    luma_std: NDArray[Any]
    #: bool, shape (pictures,).
    rendered: Bools


def batch_of(texts: pa.Array, text_row: Ints, pictures: Pictures, alive: Bools, params: MatchParams) -> Rows:
    """Return a batch of the rows that are `alive`, bool of shape (rows,).

    `texts` is string, `text_row` int64, ascending, the row of each text.
    """
    said = alive[text_row]
    owner = np.repeat(np.arange(len(alive), dtype=np.int64), pictures.phash.size)
    chosen = alive[owner]
    return Rows(
        texts=texts.filter(pa.array(said)),
        text_row=text_row[said],
        phash=pictures.phash.values[chosen].astype(np.uint64),
        picture_row=owner[chosen],
        pixels=pictures.pixels[chosen],
        rendered=pictures.rendered[chosen],
        blank=(pictures.luma_std < params.min_luma_std)[chosen],
    )


def pixel_word(digest: str) -> int:
    """Return the first 64 bits of a SHA-256 of pixels, 64 hex digits; 0 for any other name of a content."""
    return int(digest[:16], 16) if len(digest) == 64 else 0


@dataclass(frozen=True)
class _Seen:
    """Items of which a row has a picture: arrays of one entry per row and item."""

    row: Ints
    item: Ints
    #: Bits.
    distance: Ints
    #: The picture is evidence by itself.
    alone: Bools


@dataclass(frozen=True)
class _Said:
    """Questions that rows contain, sorted by row and question."""

    row: Ints
    question: Ints
    overlap: Floats


def match(rows: Rows, lookup: Lookup, params: MatchParams) -> pa.Table:
    """Return `MATCHES` of a batch, sorted. Every leak as `MatchParams` defines it is found, exactly."""
    seen = _look(rows, lookup, params)
    said = _read(rows, lookup, params)
    tables = [_both(rows, lookup, seen, said), _images(lookup, seen), _texts(lookup, said, params)]
    table = pa.concat_tables([MATCHES.empty_table(), *(one.cast(MATCHES) for one in tables)])
    first = np.zeros(int(rows.picture_row.max(initial=-1)) + 1, np.uint64)
    first[rows.picture_row[::-1]] = rows.phash[::-1]
    row = table.column("row").to_numpy()
    shown = np.where(row < len(first), first[np.minimum(row, len(first) - 1)] if len(first) else 0, 0)
    table = table.set_column(MATCHES.get_field_index("picture"), MATCHES.field("picture"), pa.array(shown, pa.uint64()))
    many = pc.greater(pc.fill_null(pa.array(_pictures_asked(lookup, table)), 0), params.max_pictures)
    table = table.set_column(MATCHES.get_field_index("template"), MATCHES.field("template"), many)
    keys = ("row", "evidence", "benchmark", "question")
    return table.sort_by([(key, "ascending") for key in keys])


def _pictures_asked(lookup: Lookup, table: pa.Table) -> Ints:
    asked = table.column("question").fill_null(0).to_numpy()
    if not len(lookup.questions.hash):
        return np.zeros(len(asked), np.int64)
    at = np.minimum(np.searchsorted(lookup.questions.hash, asked), len(lookup.questions.hash) - 1)
    return np.where(lookup.questions.hash[at] == asked, lookup.questions.pictures[at], 0)


# Pictures.


def _look(rows: Rows, lookup: Lookup, params: MatchParams) -> _Seen:
    known = np.flatnonzero(rows.pixels != 0)
    place, key = lookup.pixels.find(rows.pixels[known])
    parts = [_under(lookup.pixels, known[place], key, np.zeros(len(key), np.int64), ~rows.blank[known[place]])]
    clear = np.flatnonzero(~rows.blank)
    hashes, group = np.unique(rows.phash[clear], return_inverse=True)
    order = np.argsort(group.reshape(-1), kind="stable")
    edges = np.searchsorted(group.reshape(-1)[order], np.arange(len(hashes) + 1)).astype(np.int64)
    for postings, telling in ((lookup.photos, True), (lookup.rendered, False)):
        pairs = near_between(hashes, postings.keys, params.radius)
        apart = np.bitwise_count(hashes[pairs[:, 0]] ^ postings.keys[pairs[:, 1]]).astype(np.int64)
        owner, places = expand(edges[pairs[:, 0]], np.diff(edges)[pairs[:, 0]])
        picture = clear[order[places]]
        alone = ~rows.rendered[picture] if telling else np.zeros(len(picture), bool)
        parts.append(_under(postings, picture, pairs[owner, 1], apart[owner], alone))
    picture, item, distance = (np.concatenate([part[column] for part in parts]) for column in range(3))
    return _nearest(rows.picture_row[picture], item, distance, np.concatenate([part[3] for part in parts]))


def _under(
    postings: Postings, picture: Ints, key: Ints, distance: Ints, alone: Bools
) -> tuple[Ints, Ints, Ints, Bools]:
    """Return (picture, item, distance, alone) for every item under the keys."""
    owner, places = expand(postings.starts[key], postings.starts[key + 1] - postings.starts[key])
    return picture[owner], postings.values[places], distance[owner], alone[owner]


def _nearest(row: Ints, item: Ints, distance: Ints, alone: Bools) -> _Seen:
    """Return each row and item once, with the least distance, and whether any of its pictures is evidence alone."""
    order = np.lexsort((distance, item, row))
    row, item, distance, alone = row[order], item[order], distance[order], alone[order]
    fresh = _changes(row, item)
    group = np.cumsum(fresh) - 1
    any_alone = np.bincount(group[alone], minlength=int(fresh.sum())) > 0
    return _Seen(row[fresh], item[fresh], distance[fresh], any_alone)


def _changes(*columns: NDArray[np.int64]) -> Bools:
    """Return where sorted columns change: True at the first of each run of equal ones."""
    fresh = np.zeros(len(columns[0]), bool)
    fresh[:1] = True
    for column in columns:
        fresh[1:] |= column[1:] != column[:-1]
    return fresh


# Questions.


def _read(rows: Rows, lookup: Lookup, params: MatchParams) -> _Said:
    """Return the questions of which a row holds at least the share `min_overlap` of the telling n-grams."""
    questions = lookup.questions
    hashes, starts = shingles(tokens_of(rows.texts), lookup.params.ngram)
    place, key = questions.ngrams.find(hashes)
    row = rows.text_row[np.searchsorted(starts, place, side="right") - 1]
    order = np.lexsort((key, row))
    row, key = row[order], key[order]
    fresh = _changes(row, key)
    row, key = row[fresh], key[fresh]
    begin, end = questions.ngrams.starts[key], questions.ngrams.starts[key + 1]
    owner, places = expand(begin, end - begin)
    row, question = row[owner], questions.ngrams.values[places]
    order = np.lexsort((question, row))
    row, question = row[order], question[order]
    fresh = _changes(row, question)
    count = np.bincount(np.cumsum(fresh) - 1, minlength=int(fresh.sum()))
    row, question = row[fresh], question[fresh]
    overlap = count / np.maximum(questions.telling[question], 1)
    kept = overlap >= params.min_overlap
    return _Said(row[kept], question[kept], overlap[kept])


def _contained(rows: Rows, lookup: Lookup, row: Ints, question: Ints) -> Bools:
    """Say of pairs of row and question whether the row holds the whole question, token for token, in one text."""
    found = np.zeros(len(row), bool)
    if not len(row):
        return found
    chosen = np.flatnonzero(np.isin(rows.text_row, row))
    tokens = tokens_of(rows.texts.take(pa.array(chosen)))
    owners = rows.text_row[chosen]
    sizes = lookup.questions.tokens[question]
    for size in np.unique(sizes).tolist():
        hashes, starts = shingles(tokens, size)
        held = hashes ^ np.repeat(owners, np.diff(starts)).astype(np.uint64) * _ODD
        asked = np.flatnonzero(sizes == size)
        wanted = lookup.questions.hash[question[asked]] ^ row[asked].astype(np.uint64) * _ODD
        found[asked] = np.isin(wanted, held)
    return found


# Lines.


def _both(rows: Rows, lookup: Lookup, seen: _Seen, said: _Said) -> pa.Table:
    """Return the lines of rows that hold a picture and the question of one item."""
    asked = np.flatnonzero(lookup.question[seen.item] >= 0)
    row, question = seen.row[asked], lookup.question[seen.item[asked]]
    overlap = np.zeros(len(asked))
    span = len(lookup.questions.hash) + 1
    known = said.row * span + said.question
    if len(known):
        at = np.minimum(np.searchsorted(known, row * span + question), len(known) - 1)
        overlap = np.where(known[at] == row * span + question, said.overlap[at], 0.0)
    short = np.flatnonzero(lookup.questions.telling[question] == 0)
    overlap[short] = _contained(rows, lookup, row[short], question[short])
    kept = np.flatnonzero(overlap > 0)
    items, distance = seen.item[asked][kept], seen.distance[asked][kept]
    best = _best(row[kept], lookup.benchmark[items], distance, -overlap[kept], items)
    return _lines(lookup, BOTH, row[kept][best], items[best], distance[best], overlap[kept][best], question[kept][best])


def _images(lookup: Lookup, seen: _Seen) -> pa.Table:
    kept = np.flatnonzero(seen.alone)
    row, item, distance = seen.row[kept], seen.item[kept], seen.distance[kept]
    best = _best(row, lookup.benchmark[item], distance, item)
    return _lines(lookup, IMAGE, row[best], item[best], distance[best], None, None)


def _texts(lookup: Lookup, said: _Said, params: MatchParams) -> pa.Table:
    """Return the lines of rows that hold a question which is long enough; one for each benchmark that asks it."""
    questions = lookup.questions
    kept = np.flatnonzero(questions.tokens[said.question] >= params.min_question_tokens)
    asked, back = np.unique(said.question[kept], return_inverse=True)
    begin, end = questions.item_starts[asked], questions.item_starts[asked + 1]
    owner, places = expand(begin, end - begin)
    items = questions.items[places]
    first = _changes(owner, lookup.benchmark[items])
    owner, items = owner[first], items[first]
    edges = np.searchsorted(owner, np.arange(len(asked) + 1)).astype(np.int64)
    back = back.reshape(-1)
    line, places = expand(edges[back], np.diff(edges)[back])
    lines = kept[line]
    return _lines(lookup, TEXT, said.row[lines], items[places], None, said.overlap[lines], said.question[lines])


def _best(row: Ints, benchmark: Ints, *order: NDArray[np.int64] | Floats) -> Ints:
    """Return the places of the first of each row and benchmark, in the given order."""
    places: Ints = np.lexsort((*reversed(order), benchmark, row))
    return places[_changes(row[places], benchmark[places])]


def _lines(
    lookup: Lookup,
    evidence: str,
    row: Ints,
    item: Ints,
    distance: Ints | None,
    overlap: Floats | None,
    question: Ints | None,
) -> pa.Table:
    size = len(row)
    questions = lookup.questions
    columns = {
        "row": pa.array(row),
        "evidence": pa.array([evidence] * size, pa.string()),
        "benchmark": pa.array(lookup.benchmarks, pa.string()).take(pa.array(lookup.benchmark[item])),
        "item": lookup.items.take(pa.array(item)),
        "distance": pa.nulls(size, pa.int32()) if distance is None else pa.array(distance),
        "overlap": pa.nulls(size, pa.float32()) if overlap is None else pa.array(overlap),
        "tokens": pa.nulls(size, pa.int32()) if question is None else pa.array(questions.tokens[question]),
        "question": pa.nulls(size, pa.uint64()) if question is None else pa.array(questions.hash[question]),
        "template": pa.array(np.zeros(size, bool)),
        "picture": pa.array(np.zeros(size, np.uint64)),
    }
    return pa.table(columns)

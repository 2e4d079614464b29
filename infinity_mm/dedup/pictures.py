"""When two rows show the same pictures.

A perceptual hash alone must not remove anything: blank pictures, charts, tables and scanned pages share hashes.
So two pictures are the same if their pixels are equal, or if *all* of this holds: the hashes are within the radius,
neither picture is near-uniform, the 16 x 16 thumbnails agree, the aspect ratios agree, and neither row is of a
category of rendered or scanned pages. Rows are the same if they have as many pictures and each is the same as its
counterpart.

The default limits were set on 171 scenes (19 photographs of the scikit-image, scikit-learn and matplotlib packages and
crops of them), radius 8: of 2,736 copies encoded again as JPEG (quality 30 to 95) or also resized (0.4 to 0.85,
Lanczos, bilinear, nearest) 99.85 % are the same; of 14,535 pairs of scenes, overlapping crops among them, none.
Pictures that lost 2 % of their width or height still are the same in 4 of 5 cases, 5 % in 6 of 100, 15 % never. An
object too small for a thumbnail goes unseen: in pair mode the text must agree as well, in image mode nothing guards.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.ragged import Ints, Ragged, blocks, expand, labels_of, ragged, starts
from infinity_mm.errors import StageError

#: Bytes of a thumbnail: 16 x 16 luma.
THUMB = 256
#: Pictures compared at a time.
BUDGET = 1 << 16

Bools = NDArray[np.bool_]


@dataclass(frozen=True)
class Pictures:
    """The pictures of rows; those of row `i` are the values of ``of[i]``, numbers into the other arrays."""

    of: Ragged
    #: Equal for equal pixels: int64, shape (pictures,).
    pixels: Ints
    #: uint64, shape (pictures,).
    phash: NDArray[np.uint64]
    #: Too uniform for its hash to mean anything: bool, shape (pictures,).
    blank: Bools
    #: Mostly one tone, as pages and charts are, which are the same by equal pixels only: bool, shape (pictures,).
    rendered: Bools
    #: Width / height: float64, shape (pictures,).
    aspect: NDArray[np.float64]
    #: uint8, shape (pictures, 256).
    thumb: NDArray[np.uint8]
    #: Equal for rows whose pictures are all equal in pixels: int64, shape (rows,).
    all_pixels: Ints
    #: Equal for rows with as many pictures, blank ones at the same places and equal in pixels: int64, shape (rows,).
    #: Rows that are the same agree in it, for blank pictures match by pixels only.
    frame: Ints
    #: The row is of a category where only equal pixels count: bool, shape (rows,).
    exact_only: Bools

    def take(self, rows: Ints) -> Pictures:
        """Return the pictures of `rows`."""
        return Pictures(
            self.of.take(rows),
            self.pixels,
            self.phash,
            self.blank,
            self.rendered,
            self.aspect,
            self.thumb,
            self.all_pixels[rows],
            self.frame[rows],
            self.exact_only[rows],
        )

    def telling(self) -> Ints:
        """Return each row's first picture that is not blank, as a number into the arrays; -1 where there is none.

        Rows of equal `frame` have it at the same position.
        """
        return first_clear(self.of, self.blank)


def first_clear(of: Ragged, blank: Bools) -> Ints:
    """Return the first picture of each row that is not blank, as `Pictures.telling` does."""
    owner, places = expand(of.first, of.size)
    clear = np.flatnonzero(~blank[places])[::-1]
    first = np.full(len(of), -1, np.int64)
    first[owner[clear]] = places[clear]  # in reverse, so that the first one stays
    return first


def pictures_of(table: pa.Table, params: DedupParams) -> Pictures:
    """Read the columns of `infinity_mm.schema.INGEST_ATTRIBUTES`; without `flat`, categories say what is rendered.

    Raises `StageError` where a thumbnail has not 256 bytes.
    """
    width, height, std = (ragged(table.column(name)) for name in ("width", "height", "luma_std"))
    blank = std.values < params.min_luma_std
    return Pictures(
        of=width,
        pixels=labels_of(_flat(table.column("pixel_sha256"))),
        phash=ragged(table.column("phash")).values,
        blank=blank,
        rendered=rendered(table, params),
        aspect=width.values / np.maximum(height.values, 1),
        thumb=_thumbs(table.column("thumb")),
        all_pixels=labels_of(pc.binary_join(table.column("pixel_sha256"), ",")),
        frame=labels_of(frames(table.column("pixel_sha256"), blank)),
        exact_only=exact_only(table.column("category"), params),
    )


def rendered(table: pa.Table, params: DedupParams) -> Bools:
    """Mark pictures that are mostly one tone: bool, shape (pictures,); none without the column `flat`."""
    if "flat" not in table.column_names:
        return np.zeros(len(ragged(table.column("luma_std")).values), bool)
    shares: Bools = ragged(table.column("flat")).values >= params.max_flat
    return shares


def exact_only(category: pa.ChunkedArray, params: DedupParams) -> Bools:
    """Mark rows of a category where only equal pixels count."""
    wanted = pa.array(params.pixel_exact_categories, pa.string())
    marks: Bools = pc.is_in(category, value_set=wanted).combine_chunks().to_numpy(zero_copy_only=False)
    return marks


def _flat(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return pa.chunked_array([chunk.flatten() for chunk in column.chunks], column.type.value_type)


def _thumbs(column: pa.ChunkedArray) -> NDArray[np.uint8]:
    parts = [np.empty((0, THUMB), np.uint8)]
    for chunk in column.chunks:
        flat = chunk.flatten()
        length = pc.binary_length(flat)
        if not pc.all(pc.equal(length, THUMB), min_count=0).as_py():
            raise StageError(
                f"a thumbnail is {THUMB} bytes, 16 x 16 luma, but one has {pc.min_max(length).as_py()}: "
                "the ingest attributes were written by another version; ingest the source again"
            )
        packed = pc.cast(flat, pa.binary(THUMB))
        data = np.frombuffer(packed.buffers()[1] or b"", np.uint8)
        begin = packed.offset * THUMB
        parts.append(data[begin : begin + len(packed) * THUMB].reshape(-1, THUMB))
    return np.concatenate(parts)


def frames(column: pa.ChunkedArray, blank: Bools) -> pa.ChunkedArray:
    """Return a text per row, of lists of pixel digests: what is equal in rows that are the same without equal pixels.

    `blank`, bool, has one entry per picture.
    """
    texts, seen = [], 0
    for chunk in column.chunks:
        flat = chunk.flatten()
        marked = pc.if_else(pa.array(blank[seen : seen + len(flat)]), flat, "")
        seen += len(flat)
        edges = starts(chunk.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64))
        texts.append(pc.binary_join(pa.LargeListArray.from_arrays(pa.array(edges), marked), ","))
    return pa.chunked_array(texts, pa.string())


def same_pictures(pictures: Pictures, left: Ints, right: Ints, params: DedupParams) -> tuple[Bools, NDArray[np.int32]]:
    """Compare pairs of rows with as many pictures: (the same?, largest Hamming distance), both of shape (pairs,).

    The distance, in bits of 64, counts equal pixels as 0 and means nothing where the rows are not the same.
    """
    same = np.zeros(len(left), bool)
    hamming = np.zeros(len(left), np.int32)
    for part in blocks(pictures.of.size[left], BUDGET):
        rows, others = left[part], right[part]
        owner, ours = expand(pictures.of.first[rows], pictures.of.size[rows])
        theirs = expand(pictures.of.first[others], pictures.of.size[rows])[1]
        equal = pictures.pixels[ours] == pictures.pixels[theirs]
        distance = np.where(equal, 0, np.bitwise_count(pictures.phash[ours] ^ pictures.phash[theirs]))
        strict = pictures.exact_only[rows] | pictures.exact_only[others]
        hopeful = np.flatnonzero(~equal & ~strict[owner] & (distance <= params.radius))
        alike = equal.copy()
        alike[hopeful] = _look_alike(pictures, ours[hopeful], theirs[hopeful], params)
        same[part] = np.bincount(owner[~alike], minlength=len(rows)) == 0
        np.maximum.at(hamming[part], owner, distance.astype(np.int32))
    return same, hamming


def _look_alike(pictures: Pictures, ours: Ints, theirs: Ints, params: DedupParams) -> Bools:
    gap = np.abs(pictures.thumb[ours].astype(np.int16) - pictures.thumb[theirs])
    ratio = pictures.aspect[ours] / pictures.aspect[theirs]
    alike: Bools = (
        ~(pictures.blank[ours] | pictures.blank[theirs])
        & ~(pictures.rendered[ours] | pictures.rendered[theirs])
        & (np.maximum(ratio, 1 / ratio) - 1 <= params.max_aspect_drift)
        & (gap.mean(axis=1) <= params.max_thumb_mean)
        & (gap.max(axis=1, initial=0) <= params.max_thumb_peak)
    )
    return alike

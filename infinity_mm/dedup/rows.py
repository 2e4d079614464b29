"""The rows that deduplication compares, in keep order, and when two of them agree."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.jaccard import jaccard
from infinity_mm.dedup.params import DedupParams


@dataclass(frozen=True)
class Picture:
    """What ingestion measured of one picture."""

    pixels: str
    phash: int
    luma_std: float
    aspect: float
    thumb: bytes


@dataclass(frozen=True)
class Row:
    """One live row."""

    id: str
    source: str
    category: str
    pictures: tuple[Picture, ...]
    text_key: bytes
    prompt_key: bytes
    answer_key: bytes
    prompt_words: int
    answer_words: int
    prompt_shingles: NDArray[np.uint64]
    answer_shingles: NDArray[np.uint64]
    minhash: NDArray[np.uint32]

    @property
    def pixels(self) -> tuple[str, ...]:
        """Pixel digests of all pictures, in order."""
        return tuple(picture.pixels for picture in self.pictures)


def rows_in_keep_order(table: pa.Table) -> list[Row]:
    """Return the rows, those to prefer first: source priority, more pixels, longer answer, smaller id."""
    areas = [
        sum(w * h for w, h in zip(widths, heights, strict=True))
        for widths, heights in zip(table["width"].to_pylist(), table["height"].to_pylist(), strict=True)
    ]
    keys = zip(
        table["priority"].to_pylist(),
        (-area for area in areas),
        (-size for size in table["answer_chars"].to_pylist()),
        table["id"].to_pylist(),
        strict=True,
    )
    order = [index for index, _ in sorted(enumerate(keys), key=lambda item: item[1])]
    return [_row(line) for line in table.take(pa.array(order, pa.int64())).to_pylist()]


def _row(line: dict[str, Any]) -> Row:
    pictures = tuple(
        Picture(pixels, phash, std, width / height, thumb)
        for pixels, phash, std, width, height, thumb in zip(
            line["pixel_sha256"],
            line["phash"],
            line["luma_std"],
            line["width"],
            line["height"],
            line["thumb"],
            strict=True,
        )
    )
    names = ("id", "source", "category", "text_key", "prompt_key", "answer_key", "prompt_words", "answer_words")
    return Row(
        **{name: line[name] for name in names},
        pictures=pictures,
        prompt_shingles=np.asarray(line["prompt_shingles"], np.uint64),
        answer_shingles=np.asarray(line["answer_shingles"], np.uint64),
        minhash=np.asarray(line["minhash"], np.uint32),
    )


@dataclass(frozen=True)
class Agreement:
    """How two rows agree; `similarity` and `hamming` are None where they were not what decided."""

    #: Jaccard similarity of what was compared; 1.0 for equal normal forms.
    similarity: float | None = None
    #: Largest Hamming distance among the pictures, bits of 64; 0 for equal pixels.
    hamming: int | None = None


def same_pictures(a: Row, b: Row, params: DedupParams) -> Agreement | None:
    """Return how the pictures agree, position by position, or None if they do not.

    Equal pixels agree. Else the perceptual hashes must be within the radius and, because charts, scans
    and flat pictures share hashes, thumbnails and aspect ratios must agree too, neither picture may be
    near-uniform, and neither row may be of a category where only equal pixels count.
    """
    if len(a.pictures) != len(b.pictures) or not a.pictures:
        return None
    exact_only = a.category in params.pixel_exact_categories or b.category in params.pixel_exact_categories
    worst = 0
    for left, right in zip(a.pictures, b.pictures, strict=True):
        if left.pixels == right.pixels:
            continue
        distance = (left.phash ^ right.phash).bit_count()
        if exact_only or distance > params.radius or not _look_alike(left, right, params):
            return None
        worst = max(worst, distance)
    return Agreement(hamming=worst)


def _look_alike(left: Picture, right: Picture, params: DedupParams) -> bool:
    if min(left.luma_std, right.luma_std) < params.min_luma_std:
        return False
    if abs(left.aspect / right.aspect - 1) > params.max_aspect_drift:
        return False
    ours, theirs = (np.frombuffer(p.thumb, np.uint8).astype(np.int16) for p in (left, right))
    gap = np.abs(ours - theirs)
    return bool(gap.mean() <= params.max_thumb_mean and gap.max() <= params.max_thumb_peak)


def same_text(a: Row, b: Row, params: DedupParams) -> Agreement | None:
    """Return how two conversations agree, or None.

    Near-duplicates must agree as a whole and in prompts and answers each: templated prompts that differ
    in one word are similar as a whole, but their answers are not.
    """
    if a.text_key == b.text_key:
        return Agreement(similarity=1.0)
    whole = jaccard(np.union1d(a.prompt_shingles, a.answer_shingles), np.union1d(b.prompt_shingles, b.answer_shingles))
    if whole < params.threshold:
        return None
    prompts = _side(a.prompt_key, b.prompt_key, a.prompt_words, b.prompt_words, params)
    if not prompts and jaccard(a.prompt_shingles, b.prompt_shingles) < params.threshold:
        return None
    if prompts is None or same_answer(a, b, params) is None:
        return None
    return Agreement(similarity=whole)


def same_prompt(a: Row, b: Row) -> bool:
    """True if the prompts are equal in normal form; a caption's prompt says nothing and always agrees."""
    return a.prompt_key == b.prompt_key or a.category == b.category == "caption"


def same_answer(a: Row, b: Row, params: DedupParams) -> Agreement | None:
    """Return how the answers agree: equal in normal form, or long and similar; else None."""
    if a.answer_key == b.answer_key:
        return Agreement(similarity=1.0)
    if min(a.answer_words, b.answer_words) < params.min_near_words:
        return None
    similarity = jaccard(a.answer_shingles, b.answer_shingles)
    return Agreement(similarity=similarity) if similarity >= params.threshold else None


def _side(left: bytes, right: bytes, words: int, others: int, params: DedupParams) -> bool | None:
    """Return True for equal texts, False where similarity may decide, None where it may not (too short)."""
    if left == right:
        return True
    return None if min(words, others) < params.min_near_words else False

"""Parameters of deduplication, part of every recipe."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infinity_mm.frozen import Frozen
from infinity_mm.record import Category


class SignatureParams(Frozen):
    """What is computed of each record's text; a change computes it anew."""

    #: MinHash permutations.
    num_perm: int = Field(default=128, ge=16, le=1024)
    #: Tokens of one shingle.
    ngram: int = Field(default=5, ge=1)
    #: Seed of the permutations, as datasketch's.
    seed: int = 1


class DedupParams(Frozen):
    """What counts as a duplicate, and when to stop instead of removing.

    Modes: ``pair`` removes a row only if its pictures and its text match another row's (rows without
    pictures: the text alone); ``text`` looks at texts alone; ``image`` at pictures alone; ``off``.
    """

    mode: Literal["pair", "text", "image", "off"] = "pair"
    signature: SignatureParams = SignatureParams()
    #: Jaccard similarity of shingle sets from which texts are near-duplicates.
    threshold: float = Field(default=0.7, gt=0.0, le=1.0)
    #: Chance, at least, that LSH proposes a pair which is exactly at the threshold.
    recall: float = Field(default=0.999, gt=0.5, lt=1.0)
    #: Words a text must have before near-duplicates of it are looked for; shorter ones must be equal.
    min_near_words: int = Field(default=20, ge=1)
    #: Hamming distance, in bits of 64, up to which perceptual hashes propose a pair of pictures.
    radius: int = Field(default=8, ge=0, le=16)
    #: Pictures whose luma deviates less (0 to 127.5) carry no hash worth comparing: they must be pixel-equal.
    min_luma_std: float = Field(default=4.0, ge=0.0)
    #: Mean and largest difference (0 to 255) of the 16 x 16 thumbnails of near-duplicate pictures.
    max_thumb_mean: float = Field(default=4.0, ge=0.0)
    max_thumb_peak: float = Field(default=40.0, ge=0.0)
    #: Relative difference of the aspect ratios of near-duplicate pictures.
    max_aspect_drift: float = Field(default=0.04, ge=0.0)
    #: Rendered pages and charts share layouts: there, only pixel-equal pictures are the same picture.
    pixel_exact_categories: tuple[Category, ...] = ("doc_chart_screen", "general_ocr", "math_reasoning")
    #: The run stops when one kept row would stand for more removed rows than this.
    max_cluster: int = Field(default=1_000, ge=1)
    #: The run stops when a source would lose a larger share of its rows.
    max_drop: float = Field(default=0.9, ge=0.0, le=1.0)

"""Parameters of deduplication, part of every recipe."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from infinity_mm.dedup.banding import choose_bands, recall_at
from infinity_mm.frozen import Frozen
from infinity_mm.record import Category

#: Keys that say what becomes of removed rows.
_AFTERWARDS = ("merge", "max_merged_turns", "max_merged_chars")


class SignatureParams(Frozen):
    """What is computed of each record's text; a change computes it anew."""

    #: MinHash permutations.
    num_perm: int = Field(default=128, ge=16, le=1024)
    #: Tokens of one shingle.
    ngram: int = Field(default=5, ge=1)
    #: Seed of the permutations, as datasketch's.
    seed: int = Field(default=1, ge=0, lt=1 << 32)
    #: Hash of a shingle: the project's own, or datasketch's default, ten times slower.
    hash: Literal["poly", "sha1"] = "poly"


class DedupParams(Frozen):
    """What counts as a duplicate, and when to stop instead of removing.

    Modes: ``pair`` removes a row only if its pictures and its text match another row's (rows without
    pictures: the text alone); ``text`` looks at texts alone; ``image`` at pictures alone; ``off``.
    """

    mode: Literal["pair", "text", "image", "off"] = "pair"
    #: Image mode: what removed rows say about a picture is appended to the kept row's conversation.
    merge: bool = False
    #: A row is not merged but removed where the conversation would have more user and assistant turns than this.
    max_merged_turns: int = Field(default=128, ge=2)
    #: The same for characters of all turns.
    max_merged_chars: int = Field(default=16_384, ge=1)
    signature: SignatureParams = SignatureParams()
    #: Jaccard similarity of shingle sets from which texts are near-duplicates.
    threshold: float = Field(default=0.7, gt=0.0, le=1.0)
    #: Chance, at least, that LSH proposes a pair which is exactly at the threshold.
    recall: float = Field(default=0.999, gt=0.5, lt=1.0)
    #: Words a side (all prompts, all answers) must have to be a near-duplicate of another; shorter ones must be equal.
    min_near_words: int = Field(default=20, ge=1)
    #: Hamming distance, in bits of 64, up to which perceptual hashes propose a pair of pictures.
    radius: int = Field(default=8, ge=0, le=16)
    #: Pictures whose luma deviates less (0 to 127.5) carry no hash worth comparing: they must be pixel-equal.
    min_luma_std: float = Field(default=4.0, ge=0.0)
    #: Share of pixels within two levels of the most frequent luma from which a picture counts as rendered: a page, a
    #: chart or a drawing, whatever its category. Those share hashes and layouts, so they must be pixel-equal as well.
    max_flat: float = Field(default=0.5, ge=0.0, le=1.0)
    #: Mean and largest difference (0 to 255) of the 16 x 16 thumbnails of near-duplicate pictures.
    max_thumb_mean: float = Field(default=4.0, ge=0.0)
    max_thumb_peak: float = Field(default=40.0, ge=0.0)
    #: Relative difference (0.04 = 4 %) of the aspect ratios of near-duplicate pictures.
    max_aspect_drift: float = Field(default=0.04, ge=0.0)
    #: Rendered pages and charts share layouts: there, only pixel-equal pictures are the same picture.
    pixel_exact_categories: tuple[Category, ...] = ("doc_chart_screen", "general_ocr", "math_reasoning")
    #: The run stops when one kept row would stand for more removed rows than this.
    max_cluster: int = Field(default=1_000, ge=1)
    #: The run stops when a source would lose a larger share of its rows; merged ones are not lost.
    max_drop: float = Field(default=0.9, ge=0.0, le=1.0)

    def comparing(self) -> Self:
        """Return what decides which rows are removed: all but what becomes of them afterwards.

        Where they are merged, `max_drop` is for those that cannot be, and held when that is known.
        """
        untouched = {name: type(self).model_fields[name].default for name in _AFTERWARDS}
        return self.model_copy(update=untouched | ({"max_drop": 1.0} if self.merge else {}))

    @model_validator(mode="after")
    def _merge_needs_pictures(self) -> Self:
        if self.merge and self.mode != "image":
            raise ValueError(
                f"merge=true appends what other rows say about the same picture, which only mode=image looks for; "
                f"got mode={self.mode}: set mode: image, or leave merge out"
            )
        return self

    @model_validator(mode="after")
    def _recall_in_reach(self) -> Self:
        reached = recall_at(self.threshold, *choose_bands(self.signature.num_perm, self.threshold, self.recall))
        if reached < self.recall:
            raise ValueError(
                f"{self.signature.num_perm} permutations find a pair at threshold={self.threshold} with a chance of "
                f"{reached:.4f} at most, less than recall={self.recall}: raise threshold or signature.num_perm, "
                "or lower recall"
            )
        return self

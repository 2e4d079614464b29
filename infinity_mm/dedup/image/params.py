"""What counts as the same picture."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from infinity_mm.dedup.params import DedupParams
from infinity_mm.frozen import Frozen


class ImageParams(Frozen):
    """Two pictures are the same if their pixels are equal, or if they pass `infinity_mm.dedup.pictures` in full.

    That is: hashes within the radius, neither blank, thumbnails and aspect ratios that agree. Pages, charts and
    drawings share hashes by the thousand, so pictures that are mostly one flat tone need equal pixels.
    """

    #: Hamming distance, in bits of 64, up to which perceptual hashes propose a pair.
    radius: int = Field(default=8, ge=0, le=16)
    #: "scaled": JPEGs of at least twice the size that the hash needs are decoded at 1/2, 1/4 or 1/8; hashes then
    #: differ from imagehash's by 2 bits at most, 9 of 10 in none. "full": never; hashes are equal to imagehash's.
    decode: Literal["scaled", "full"] = "scaled"
    #: Share of pixels within two levels of the most frequent luma from which a picture counts as rendered.
    max_flat: float = Field(default=0.5, ge=0.0, le=1.0)
    #: Standard deviation of the luma (0 to 127.5) below which a picture is blank.
    min_luma_std: float = Field(default=4.0, ge=0.0)
    #: Mean and largest difference (0 to 255) of the 16 x 16 thumbnails.
    max_thumb_mean: float = Field(default=4.0, ge=0.0)
    max_thumb_peak: float = Field(default=40.0, ge=0.0)
    #: Relative difference of the aspect ratios.
    max_aspect_drift: float = Field(default=0.04, ge=0.0)
    #: Which of several stays: the one of most pixels (then most bytes, then the first id), or the first id.
    keep: Literal["largest", "first"] = "largest"
    #: The job stops, and says which, where one picture would stand for more others than this.
    max_cluster: int = Field(default=100_000, ge=1)

    def as_dedup(self) -> DedupParams:
        """Return the same as parameters of the pipeline's pass."""
        shared = set(DedupParams.model_fields) & set(ImageParams.model_fields)
        return DedupParams(
            mode="image", pixel_exact_categories=("doc_chart_screen",), **self.model_dump(include=shared)
        )

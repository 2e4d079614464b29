"""Pictures that cannot be trained on: too small, too large, too thin, blank, animated, or of an odd mode.

Judged from what ingestion measured while it decoded each picture; nothing is read again. One picture at fault drops
its record. Rows without pictures pass.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import Field, model_validator

from infinity_mm.filters.base import FilterParams, Verdict

NAME = "image"
VERSION = 1
READS = ()
FROM = ("ingest",)
#: This filter measures nothing of its own.
ATTRIBUTES = pa.schema([pa.field("id", pa.string(), nullable=False)])
REASONS = (
    "side_too_small",
    "side_too_large",
    "aspect_too_extreme",
    "file_too_large",
    "mode_not_allowed",
    "animated",
    "near_uniform",
)


class Params(FilterParams):
    """Limits per picture; all are inclusive."""

    #: Pixels. 28 is one merged patch of Qwen2-VL (2 x 2 patches of 14): below it there is nothing to look at.
    min_side: int = Field(default=28, ge=1)
    #: Pixels. The largest trained input of Infinity-MM has sides of 6 x 384; seven times that is unreadable there.
    max_side: int = Field(default=16_384, ge=1)
    #: Longer through shorter side. At 2 x 2 tiles of 384 pixels (stage 2 of Infinity-MM) a picture of
    #: 768 / 14 = 54 is scaled to one row of patches.
    max_aspect: float = Field(default=54.0, ge=1.0)
    #: Bytes: what one picture may weigh in a shard. Tighter than ingestion's own limit, which guards memory.
    max_file_bytes: int = Field(default=32 * 1024 * 1024, ge=1)
    #: Standard deviation of the luma, 0 to 127.5. A page with one pixel in 10,000 black has 2.5, a thin drawing 5
    #: and more. Pictures that differ in hue alone look blank too.
    min_luma_std: float = Field(default=1.0, ge=0.0)
    #: Frames or pages. The pixels that are measured and trained on are those of the first one only.
    max_frames: int = Field(default=1, ge=1)
    #: Pillow's modes that image loaders turn into RGB without loss of meaning.
    modes: tuple[str, ...] = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I", "I;16", "I;16B")

    @model_validator(mode="after")
    def _some_pass(self) -> Self:
        if self.min_side > self.max_side:
            raise ValueError(f"no picture passes min_side={self.min_side} and max_side={self.max_side}")
        return self


#: One test: the reason, which pictures fail (flat arrays by column name), and how to say so.
_Test = tuple[str, NDArray[np.bool_], Callable[[int], str]]


def measure(records: pa.Table, params: Params) -> pa.Table:
    """Return the ids: what is judged comes from ingestion."""
    return records.select(["id"]).cast(ATTRIBUTES)


def judge(attributes: pa.Table, params: Params) -> Sequence[Verdict | None]:
    """Return, per row of `INGEST_ATTRIBUTES`, the first fault of its first picture at fault."""
    verdicts: list[Verdict | None] = [None] * attributes.num_rows
    owner = pc.list_parent_indices(attributes.column("width").combine_chunks()).to_numpy(zero_copy_only=False)
    if not len(owner):
        return verdicts
    first = np.searchsorted(owner, owner)  # flat index of the first picture of the same row
    found: dict[int, tuple[int, Verdict]] = {}
    for reason, failing, detail in _tests(attributes, params):
        for k in np.flatnonzero(failing).tolist():
            row = int(owner[k])
            if row not in found or k < found[row][0]:
                found[row] = (k, Verdict(reason, f"image={k - int(first[k])} {detail(k)}"))
    for row, (_, verdict) in found.items():
        verdicts[row] = verdict
    return verdicts


def _tests(attributes: pa.Table, params: Params) -> list[_Test]:
    """Return the tests in the order of `REASONS`."""
    p = params
    width, height = _flat(attributes, "width"), _flat(attributes, "height")
    short, long = np.minimum(width, height), np.maximum(width, height)
    aspect = long / short
    size, frames, spread = (_flat(attributes, name) for name in ("file_bytes", "frames", "luma_std"))
    mode = attributes.column("mode").combine_chunks().flatten()
    odd = pc.invert(pc.is_in(mode, value_set=pa.array(p.modes, pa.string()))).to_numpy(zero_copy_only=False)
    return [
        ("side_too_small", short < p.min_side, lambda k: f"side={short[k]} < min_side={p.min_side}"),
        ("side_too_large", long > p.max_side, lambda k: f"side={long[k]} > max_side={p.max_side}"),
        ("aspect_too_extreme", aspect > p.max_aspect, lambda k: f"aspect={aspect[k]:.1f} > max_aspect={p.max_aspect}"),
        ("file_too_large", size > p.max_file_bytes, lambda k: f"bytes={size[k]} > max_file_bytes={p.max_file_bytes}"),
        ("mode_not_allowed", odd, lambda k: f"mode={mode[k]}"),
        ("animated", frames > p.max_frames, lambda k: f"frames={frames[k]} > max_frames={p.max_frames}"),
        (
            "near_uniform",
            spread < p.min_luma_std,
            lambda k: f"luma_std={spread[k]:.2f} < min_luma_std={p.min_luma_std}",
        ),
    ]


def _flat(attributes: pa.Table, name: str) -> NDArray[Any]:
    array: NDArray[Any] = attributes.column(name).combine_chunks().flatten().to_numpy(zero_copy_only=False)
    return array

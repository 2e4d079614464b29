"""Qwen2-VL, Qwen2.5-VL and Qwen3-VL: pictures at their own resolution (arXiv 2409.12191, 2502.13923, 2511.21631).

Both sides are rounded to multiples of a cell (28 pixels, 32 in Qwen3-VL), the area is kept within bounds, and a cell is
a token; <|vision_start|> and <|vision_end|> stand around them. The templates take a system turn (Qwen2 and Qwen2.5 put
"You are a helpful assistant." where there is none) and want the picture inside the user's turn. The instruct models do
not think aloud; those named Thinking always do, which leaves a constrained answer without its thoughts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from infinity_mm.synth.models.rules import LARGEST_ASPECT, Family, PictureRule, most_cells

_MARKS = 2


@dataclass(frozen=True)
class QwenRule:
    """Cells of `factor` x `factor` pixels, one token each, between `min_pixels` and `max_pixels` of area."""

    factor: int
    min_pixels: int
    max_pixels: int

    @property
    def smallest_side(self) -> int:
        """One cell; older processors refuse less."""
        return self.factor

    @property
    def largest_aspect(self) -> float:
        """The processor's own limit."""
        return LARGEST_ASPECT

    def tokens(self, width: int, height: int) -> int:
        """Return the cells of the resized picture, and two marks."""
        rows, columns = (round(side / self.factor) for side in (height, width))
        area = self.factor * self.factor
        if rows * columns * area > self.max_pixels:
            shrink = math.sqrt(height * width / self.max_pixels)
            rows, columns = (max(1, math.floor(side / shrink / self.factor)) for side in (height, width))
        elif rows * columns * area < self.min_pixels:
            grow = math.sqrt(self.min_pixels / (height * width))
            rows, columns = (math.ceil(side * grow / self.factor) for side in (height, width))
        return rows * columns + _MARKS

    def most(self, side: int | None = None) -> int:
        """Return the largest of what pictures scaled down, scaled up, or left alone can take."""
        area = self.factor * self.factor
        scaled = self.max_pixels // area
        scaled = max(scaled, math.isqrt(math.floor(LARGEST_ASPECT * scaled)))  # strips keep one row
        if side is not None:
            scaled = min(scaled, max(1, round(side / self.factor)) ** 2)
        return max(scaled, most_cells(self.min_pixels / area, 1.0)) + _MARKS

    def within(self, budget: int) -> PictureRule | None:
        """Return the rule with its areas lowered; None below some twenty tokens."""
        room, area = budget - _MARKS, self.factor * self.factor
        cells = room if room >= LARGEST_ASPECT else math.floor(room * room / LARGEST_ASPECT)
        least = min(self.min_pixels // area, cells)
        while least > 0 and most_cells(least, 1.0) > room:
            least -= 1
        if least < 1:
            return None
        return replace(
            self, min_pixels=min(self.min_pixels, least * area), max_pixels=min(self.max_pixels, cells * area)
        )

    def arguments(self) -> dict[str, Any]:
        """Return the bounds of the area, in pixels, as current processors call them."""
        return {"size": {"shortest_edge": self.min_pixels, "longest_edge": self.max_pixels}}


def _rule(default: QwenRule, processor: Mapping[str, Any]) -> QwenRule:
    size = processor.get("size") or {}
    low = processor.get("min_pixels") or size.get("shortest_edge") or size.get("min_pixels") or default.min_pixels
    high = processor.get("max_pixels") or size.get("longest_edge") or size.get("max_pixels") or default.max_pixels
    patch, merge = processor.get("patch_size"), processor.get("merge_size")
    factor = int(patch) * int(merge) if patch and merge else default.factor
    return QwenRule(factor=factor, min_pixels=int(low), max_pixels=int(high))


def _qwen2(name: str, config: Mapping[str, Any], processor: Mapping[str, Any]) -> PictureRule:
    return _rule(QwenRule(factor=28, min_pixels=56 * 56, max_pixels=12_845_056), processor)


def _qwen3(name: str, config: Mapping[str, Any], processor: Mapping[str, Any]) -> PictureRule:
    return _rule(QwenRule(factor=32, min_pixels=65_536, max_pixels=16_777_216), processor)


QWEN2_VL = Family(
    name="Qwen2-VL", names=r"qwen2[-_]?vl", model_types=("qwen2_vl",), rule=_qwen2, videos=True, picture_first=True
)
QWEN2_5_VL = Family(
    name="Qwen2.5-VL",
    names=r"qwen2[._]5[-_]?vl",
    model_types=("qwen2_5_vl",),
    rule=_qwen2,
    videos=True,
    picture_first=True,
)
QWEN3_VL = Family(
    name="Qwen3-VL",
    names=r"qwen3[-_]?vl",
    model_types=("qwen3_vl", "qwen3_vl_moe"),
    rule=_qwen3,
    videos=True,
    picture_first=True,
)

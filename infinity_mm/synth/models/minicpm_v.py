"""MiniCPM-V 2.6, 4, 4.5, 4.6 and 4.7: slices near 448 x 448 pixels, after LLaVA-UHD (arXiv 2403.11703, 2408.01800).

The whole picture comes first, then a grid of at most 9 slices where it has more pixels than one slice; <image>,
</image> or <slice>, </slice> stand around each, a line break between rows, and <image_id>0</image_id> before all. Up to
4.5 a resampler makes 64 tokens of any slice, and code comes with the checkpoint; from 4.6 on a slice keeps its own
number of tokens, one for 56 x 56 pixels, and transformers has the model. The templates are ChatML and take a system
turn; from 4.5 on `enable_thinking` says whether the model thinks aloud.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Final

from infinity_mm.synth.models.rules import LARGEST_ASPECT, Family, PictureRule, most_cells

#: Tokens of <image_id>0</image_id>, and of the marks around one slice.
_ID, _MARKS = 3, 2
#: Pixels of a token's side from 4.6 on: patches of 14, merged by two twice.
_CELL: Final = 56


@dataclass(frozen=True)
class SliceRule:
    """At most `max_slices` slices of about `side` x `side` pixels beside the whole picture.

    `slice_tokens` is what the resampler makes of each; None where a slice takes one token for each cell of 56 pixels.
    """

    max_slices: int
    side: int
    slice_tokens: int | None

    @property
    def smallest_side(self) -> int:
        """One patch of 14 pixels."""
        return 14

    @property
    def largest_aspect(self) -> float:
        """Ours: the processor has no limit, and a strip beyond this would take ever more tokens."""
        return LARGEST_ASPECT

    def tokens(self, width: int, height: int) -> int:
        """Return the tokens of the whole picture, of its slices, and of all marks."""
        grid = _grid(width, height, self.side, self.max_slices)
        if grid is None:
            return _ID + _MARKS + (self.slice_tokens or self._cells(width, height, upscale=True))
        columns, rows = grid
        whole = self.slice_tokens or self._cells(width, height, upscale=False)
        each = self.slice_tokens or self._cells(max(round(width / columns), 1), max(round(height / rows), 1), True)
        return _ID + _MARKS + whole + columns * rows * (each + _MARKS) + rows - 1

    def most(self, side: int | None = None) -> int:
        """Return the tokens of the most slices in one column."""
        if side is None:
            return self._of(self.max_slices)
        wanted = math.ceil(side * side / (self.side * self.side))
        return self._of(1 if wanted <= 1 else min(wanted + 1, self.max_slices))

    def within(self, budget: int) -> PictureRule | None:
        """Return the rule with as many slices as fit."""
        fitting = [slices for slices in range(1, self.max_slices + 1) if self._of(slices) <= budget]
        return replace(self, max_slices=fitting[-1]) if fitting else None

    def arguments(self) -> dict[str, Any]:
        """Return the most slices."""
        return {"max_slice_nums": self.max_slices}

    def _of(self, slices: int) -> int:
        each = self.slice_tokens or most_cells((self.side / _CELL) ** 2, 0.5)
        whole = _ID + _MARKS + each
        return whole if slices == 1 else whole + slices * (each + _MARKS + 1)

    def _cells(self, width: float, height: float, upscale: bool) -> int:
        """Return the tokens of one slice, scaled to the area of a full one if it is larger or `upscale`."""
        if width * height > self.side * self.side or upscale:
            aspect = width / height
            height = int(self.side / math.sqrt(aspect))
            width = int(height * aspect)
        return max(round(width / _CELL), 1) * max(round(height / _CELL), 1)


@lru_cache(maxsize=4096)
def _grid(width: int, height: int, side: int, most: int) -> tuple[int, int] | None:
    """Return (columns, rows) of the slices, or None where the picture is left whole.

    About as many slices as the picture has areas of one, their aspect ratio nearest to a square on a logarithmic scale.
    """
    wanted = min(math.ceil(width * height / (side * side)), most)
    if wanted <= 1:
        return None
    aspect = math.log(width / height)
    best, nearest = (1, 1), float("inf")
    for count in (wanted - 1, wanted, wanted + 1):
        if count == 1 or count > most:
            continue
        for columns in (columns for columns in range(1, count + 1) if count % columns == 0):
            rows = count // columns
            distance = abs(aspect - math.log(columns / rows))
            if distance < nearest:
                best, nearest = (columns, rows), distance
    return best


def _rule(processor: Mapping[str, Any], slice_tokens: int | None) -> SliceRule:
    most = int(processor.get("max_slice_nums") or 9) if processor.get("slice_mode", True) else 1
    return SliceRule(max_slices=most, side=int(processor.get("scale_resolution") or 448), slice_tokens=slice_tokens)


def _resampled(name: str, config: Mapping[str, Any], processor: Mapping[str, Any]) -> PictureRule:
    return _rule(processor, int(processor.get("image_feature_size") or config.get("query_num") or 64))


def _merged(name: str, config: Mapping[str, Any], processor: Mapping[str, Any]) -> PictureRule:
    return _rule(processor, None)


MINICPM_V = Family(
    name="MiniCPM-V 2.6 to 4.5",
    names=r"minicpm-[vo]-(2[._]6|4)(?![._]?[6-9])",
    model_types=("minicpmv", "minicpmo"),
    rule=_resampled,
    remote_code=True,
    in_transformers=False,
    videos=True,
    picture_first=True,
    template={"enable_thinking": False},
)
MINICPM_V_4_6 = Family(
    name="MiniCPM-V 4.6",
    names=r"minicpm-v-4[._][67]",
    model_types=("minicpmv4_6", "minicpmv4_7"),
    rule=_merged,
    videos=True,
    picture_first=True,
    template={"enable_thinking": False},
)

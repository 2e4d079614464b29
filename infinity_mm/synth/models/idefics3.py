"""Idefics3, SmolVLM and SmolVLM2: square tiles and the whole picture once more (arXiv 2408.12637, 2504.05299).

Every picture, small ones too, is scaled until its longer side has `size` pixels, cut into tiles of `tile` x `tile`, and
followed by the whole of it squeezed into one tile; each is led in by two marks. Tiles of 384 pixels take 81 tokens in
SmolVLM 2.2B, of 512 pixels 64 in the 256M and 500M ones, of 364 pixels 169 in Idefics3. The templates begin every turn
with the role's name, so a system turn is one like any other; none thinks aloud. The embedded model is of this family,
without tiles.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from infinity_mm.synth.models.rules import Family, PictureRule

#: Pixels of the longer side, after scaling, that the processor never exceeds.
_LARGEST: Final = 4096


@dataclass(frozen=True)
class Idefics3Rule:
    """Tiles of `tile` x `tile` pixels, of `tile_tokens` tokens each, over a picture whose longer side is `size`."""

    size: int
    tile: int
    tile_tokens: int
    #: False squeezes every picture into one tile.
    splits: bool = True

    @property
    def smallest_side(self) -> int:
        """Every picture is scaled up, so any side will do."""
        return 1

    @property
    def largest_aspect(self) -> float:
        """No limit."""
        return float("inf")

    def tokens(self, width: int, height: int) -> int:
        """Return the tokens of all tiles and of the marks around them."""
        rows, columns = self._grid(width, height) if self.splits else (1, 1)
        return self._of(rows, columns)

    def most(self, side: int | None = None) -> int:
        """Return the tokens of a square picture, whatever its size in pixels."""
        side = math.ceil(min(self.size, _LARGEST) / self.tile) if self.splits else 1
        return self._of(side, side)

    def within(self, budget: int) -> PictureRule | None:
        """Return the rule with fewer tiles to a side."""
        if self.most() <= budget:
            return self
        sides = [side for side in range(1, self.size // self.tile + 1) if self._of(side, side) <= budget]
        return replace(self, size=sides[-1] * self.tile) if sides else None

    def arguments(self) -> dict[str, Any]:
        """Return the longer side, in pixels."""
        return {"size": {"longest_edge": self.size}}

    def _grid(self, width: int, height: int) -> tuple[int, int]:
        """Return (rows, columns) of tiles; the shorter side is rounded to an even number, upwards."""
        aspect = width / height
        if width >= height:
            width, height = self.size, int(self.size / aspect)
            height += height % 2
        else:
            width, height = int(self.size * aspect), self.size
            width += width % 2
        width, height = _below(max(width, 1), max(height, 1))
        return math.ceil(height / self.tile), math.ceil(width / self.tile)

    def _of(self, rows: int, columns: int) -> int:
        whole = self.tile_tokens + 3  # the marks: around, global, around
        if rows * columns == 1:
            return whole
        return rows * (columns * (self.tile_tokens + 2) + 1) + 1 + whole  # a line break after each row, and one more


def _below(width: int, height: int) -> tuple[int, int]:
    aspect = width / height
    if width >= height and width > _LARGEST:
        width, height = _LARGEST, int(_LARGEST / aspect)
    elif height > width and height > _LARGEST:
        width, height = int(_LARGEST * aspect), _LARGEST
    return max(width, 1), max(height, 1)


def _rule(default: Idefics3Rule, config: Mapping[str, Any], processor: Mapping[str, Any]) -> Idefics3Rule:
    tile = int((processor.get("max_image_size") or {}).get("longest_edge") or default.tile)
    vision, scale = config.get("vision_config") or {}, config.get("scale_factor")
    tokens = processor.get("image_seq_len")
    if not tokens and vision.get("image_size") and vision.get("patch_size") and scale:
        tokens = (int(vision["image_size"]) // int(vision["patch_size"]) // int(scale)) ** 2
    return Idefics3Rule(
        size=int((processor.get("size") or {}).get("longest_edge") or default.size),
        tile=tile,
        tile_tokens=int(tokens or default.tile_tokens),
        splits=bool(processor.get("do_image_splitting", True)),
    )


def _smolvlm(name: str, config: Mapping[str, Any], processor: Mapping[str, Any]) -> PictureRule:
    small = re.search(r"-(256|500)m\b", name) is not None
    default = Idefics3Rule(2048, 512, 64) if small else Idefics3Rule(1536, 384, 81)
    return _rule(default, config, processor)


def _idefics3(name: str, config: Mapping[str, Any], processor: Mapping[str, Any]) -> PictureRule:
    return _rule(Idefics3Rule(1456, 364, 169), config, processor)


SMOLVLM = Family(
    name="SmolVLM", names=r"smolvlm", model_types=("smolvlm",), rule=_smolvlm, packages=("num2words",), videos=True
)
IDEFICS3 = Family(name="Idefics3", names=r"idefics3", model_types=("idefics3",), rule=_idefics3)

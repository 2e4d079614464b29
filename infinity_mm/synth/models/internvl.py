"""InternVL 2.5, 3 and 3.5: a grid of tiles chosen by the aspect ratio (arXiv 2404.16821, 2504.10479, 2508.18265).

The picture is stretched onto the grid of at most 12 tiles whose aspect ratio is nearest, and a thumbnail follows where
the grid has more than one tile; a tile of 448 x 448 pixels is 256 tokens after pixel shuffle, and <img>, </img> stand
around all of them. So a small square picture takes one tile and a small panorama many. The checkpoints in the ``-hf``
form run from transformers' code; the original ones bring configuration files in Python. The templates are ChatML and
take a system turn; InternVL 3.5 thinks aloud only where the system turn asks for it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, Literal

from infinity_mm.synth.models.rules import Family, PictureRule

_MARKS = 2


@dataclass(frozen=True)
class InternVLRule:
    """At most `max_tiles` tiles of `tile` x `tile` pixels and a thumbnail, of `tile_tokens` tokens each."""

    tile: int
    tile_tokens: int
    max_tiles: int
    #: What the processor calls the most tiles.
    argument: Literal["max_patches", "max_dynamic_patch"]

    @property
    def smallest_side(self) -> int:
        """Every picture is stretched to whole tiles, so any side will do."""
        return 1

    @property
    def largest_aspect(self) -> float:
        """No limit: beyond the longest grid, the picture is squeezed."""
        return float("inf")

    def tokens(self, width: int, height: int) -> int:
        """Return the tokens of tiles, thumbnail and marks."""
        return self._of(_tiles(width, height, self.tile, self.max_tiles))

    def most(self, side: int | None = None) -> int:
        """Return the tokens of the largest grid, which a small picture can take as well as a large one."""
        return self._of(self.max_tiles)

    def within(self, budget: int) -> PictureRule | None:
        """Return the rule with as many tiles as fit."""
        fitting = [tiles for tiles in range(1, self.max_tiles + 1) if self._of(tiles) <= budget]
        return replace(self, max_tiles=fitting[-1]) if fitting else None

    def arguments(self) -> dict[str, Any]:
        """Return the most tiles, under the processor's name for it."""
        return {self.argument: self.max_tiles}

    def _of(self, tiles: int) -> int:
        return (tiles + (tiles > 1)) * self.tile_tokens + _MARKS


@lru_cache(maxsize=4096)
def _tiles(width: int, height: int, tile: int, most: int) -> int:
    """Return the tiles of the grid nearest in aspect ratio; of equally near ones the larger, unless half is empty."""
    aspect, area = width / height, width * height
    nearest, chosen = float("inf"), 1
    for columns, rows in _grids(most):
        distance = abs(aspect - columns / rows)
        if distance < nearest or (distance == nearest and area > 0.5 * tile * tile * columns * rows):
            nearest, chosen = distance, columns * rows
    return chosen


@lru_cache(maxsize=64)
def _grids(most: int) -> tuple[tuple[int, int], ...]:
    grids = [(columns, rows) for columns in range(1, most + 1) for rows in range(1, most // columns + 1)]
    return tuple(sorted(grids, key=lambda grid: grid[0] * grid[1]))


def _hf(name: str, config: Mapping[str, Any], processor: Mapping[str, Any]) -> PictureRule:
    """Read a checkpoint in transformers' form; its processor cuts tiles whatever ``crop_to_patches`` is stored."""
    size, tokens = processor.get("size") or {}, processor.get("image_seq_length") or config.get("image_seq_length")
    return InternVLRule(
        tile=int(size.get("height") or 448),
        tile_tokens=int(tokens or 256),
        max_tiles=int(processor.get("max_patches") or 12),
        argument="max_patches",
    )


def _original(name: str, config: Mapping[str, Any], processor: Mapping[str, Any]) -> PictureRule:
    vision = config.get("vision_config") or {}
    tile = int(config.get("force_image_size") or vision.get("image_size") or 448)
    cells = tile // int(vision.get("patch_size") or 14)
    ratio = float(config.get("downsample_ratio") or 0.5)
    most = int(config.get("max_dynamic_patch") or 12) if config.get("dynamic_image_size", True) else 1
    return InternVLRule(
        tile=tile, tile_tokens=int(cells * cells * ratio * ratio), max_tiles=most, argument="max_dynamic_patch"
    )


INTERNVL_HF = Family(
    name="InternVL (-hf)",
    names=r"internvl\d.*-hf",
    model_types=("internvl",),
    rule=_hf,
    videos=True,
    picture_first=True,
)
INTERNVL = Family(
    name="InternVL",
    names=r"internvl\d(?!.*-hf)",
    model_types=("internvl_chat",),
    rule=_original,
    remote_code=True,
    in_transformers=False,
    picture_first=True,
)

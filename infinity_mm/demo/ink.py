"""Fonts, colours and small drawing helpers shared by the renderers; no system fonts are used."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from PIL import ImageDraw, ImageFont

from infinity_mm.demo.photos import package_folder

Colour = tuple[int, int, int]
Family = Literal["sans", "serif", "mono"]

_FILES = {
    ("sans", False): "DejaVuSans.ttf",
    ("sans", True): "DejaVuSans-Bold.ttf",
    ("serif", False): "DejaVuSerif.ttf",
    ("serif", True): "DejaVuSerif-Bold.ttf",
    ("mono", False): "DejaVuSansMono.ttf",
    ("mono", True): "DejaVuSansMono-Bold.ttf",
}

INK: Colour = (32, 34, 40)
FAINT: Colour = (205, 208, 214)
PAPERS: tuple[Colour, ...] = ((255, 255, 255), (250, 248, 242), (246, 248, 251), (253, 250, 236))
PALETTES: tuple[tuple[Colour, ...], ...] = (
    ((31, 119, 180), (255, 127, 14), (44, 160, 44), (214, 39, 40), (148, 103, 189), (140, 86, 75), (127, 127, 127)),
    ((27, 94, 32), (129, 199, 132), (249, 168, 37), (230, 81, 0), (93, 64, 55), (0, 131, 143), (106, 27, 154)),
    ((38, 70, 83), (42, 157, 143), (233, 196, 106), (244, 162, 97), (231, 111, 81), (94, 84, 142), (188, 71, 73)),
    ((0, 63, 92), (88, 80, 141), (188, 80, 144), (255, 99, 97), (255, 166, 0), (87, 117, 144), (67, 170, 139)),
)


@lru_cache(maxsize=64)
def font(size: int, bold: bool = False, family: Family = "sans") -> ImageFont.FreeTypeFont:
    """Return a DejaVu face of `size` pixels, from the fonts that matplotlib ships."""
    folder = package_folder("matplotlib") / "mpl-data" / "fonts" / "ttf"
    # Basic layout gives the same pixels with and without libraqm.
    return ImageFont.truetype(folder / _FILES[family, bold], size, layout_engine=ImageFont.Layout.BASIC)


@dataclass(frozen=True)
class Pen:
    """Writes text onto one canvas."""

    draw: ImageDraw.ImageDraw
    family: Family = "sans"
    colour: Colour = INK

    def text(self, at: tuple[float, float], text: str, size: int, anchor: str = "la", bold: bool = False) -> None:
        """Write one line; `anchor` as in Pillow: "l", "m", "r" then "a", "m", "s", "d"."""
        self.draw.text(at, text, font=font(size, bold, self.family), fill=self.colour, anchor=anchor)

    def width(self, text: str, size: int, bold: bool = False) -> float:
        """Return the length of one line in pixels."""
        return float(font(size, bold, self.family).getlength(text))

    def wrapped(self, text: str, size: int, width: float) -> list[str]:
        """Break at blanks into lines no longer than `width` pixels."""
        lines: list[str] = []
        line = ""
        for word in text.split():
            longer = f"{line} {word}".strip()
            if line and self.width(longer, size) > width:
                lines.append(line)
                line = word
            else:
                line = longer
        return [*lines, line] if line else lines

    def fitting(self, text: str, size: int, width: float, bold: bool = False) -> int:
        """Return the largest size up to `size` at which the line is no longer than `width` pixels."""
        while size > 9 and self.width(text, size, bold) > width:
            size -= 1
        return size

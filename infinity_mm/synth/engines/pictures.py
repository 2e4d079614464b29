"""Pictures of recent requests, decoded once: a picture is asked about many times, step after step."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from typing import Final

from PIL import Image

from infinity_mm.synth.chat import Request
from infinity_mm.synth.engines import common
from infinity_mm.synth.models.rules import PictureRule

#: Decoded pictures that are kept: those of two partitions. 448 x 448 pixels take 0.6 MB.
MOST: Final = 128


class RecentPictures:
    """The pictures that requests brought last, under names that stand for their content."""

    def __init__(self, max_side: int, rule: PictureRule | None = None, most: int = MOST) -> None:
        """`max_side` and `rule` are as for `common.open_pictures`; `most` pictures are kept."""
        self._max_side = max_side
        self._rule = rule
        self._most = most
        self._kept: OrderedDict[str, Image.Image] = OrderedDict()

    def open(self, request: Request) -> list[tuple[str, Image.Image]]:
        """Return (SHA-256 of the file, picture) of each picture of `request`; the pictures must not be changed.

        Raises `common.PictureError` as `common.open_pictures` does.
        """
        names = [hashlib.sha256(data).hexdigest() for data in request.images]
        if all(name in self._kept for name in names):
            pictures = [self._kept[name] for name in names]
        else:
            pictures = common.open_pictures(request, self._max_side, self._rule)
        for name, picture in zip(names, pictures, strict=True):
            self._kept[name] = picture
            self._kept.move_to_end(name)
        while len(self._kept) > self._most:
            self._kept.popitem(last=False)
        return list(zip(names, pictures, strict=True))

"""The form of a catalogue entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

#: Question, short answer, answer as a sentence.
Known = tuple[str, str, str]


@dataclass(frozen=True)
class Region:
    """A named part of a photograph."""

    name: str
    #: Left, top, right, bottom in percent of width and height.
    box: tuple[int, int, int, int]
    captions: tuple[str, ...]
    asks: tuple[Known, ...]


@dataclass(frozen=True)
class Photo:
    """A photograph, what it shows, and its named parts."""

    name: str
    package: Literal["skimage", "sklearn", "matplotlib"]
    #: Path inside the package's folder.
    file: str
    colour: bool
    #: Noun phrase that is true of any part of it, e.g. "grey gravel".
    subject: str
    captions: tuple[str, ...]
    asks: tuple[Known, ...]
    regions: tuple[Region, ...]
    #: Boxes of `details`-sized parts may be cut anywhere; 0 for none.
    details: int = 0

"""The readers of annotations in one JSON object: dialogs that point into lists of texts, pictures with instances.

Each file is read twice, streaming: what others point to is kept in memory as compact values, what points is
written as one prepared line per row.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson

from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Raw, Split
from infinity_mm.sources.families.cut import BrokenOff, Piece, parse_row, pieces
from infinity_mm.sources.families.joined import plan_joined
from infinity_mm.sources.families.lines import KEY, Fault, malformed, packed, prepared_line, read_lines

#: Under which a picture finds the instances marked in it, and how many of them the file lists for it.
INSTANCES, LISTED = "__instances__", "__listed__"


@dataclass(frozen=True)
class IndexedDialogs:
    """Visual Dialog: ``{split, data: {dialogs, questions, answers}}``, dialogs pointing into the two lists.

    A row is a dialog with the file's "split" added, its rounds reduced to the texts of `question` and `answer`
    (the 100 answer options stay in the file). An index without a text becomes ``{"index": i, "of": n}``.
    The lists stand behind the dialogs, hence the first of two passes; those of the train file (about 700,000
    short texts) take about 60 MB.
    """

    suffixes: tuple[str, ...] = (".json",)
    version: int = 2

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Resolve the indices of every file and cut the result."""
        return plan_joined(self, root, files, prepare_to, rows)

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield dialogs with their texts."""
        return read_lines(root, split)

    def pairs(self, files: tuple[str, ...]) -> list[tuple[str, str | None]]:
        """Return every file by itself."""
        return [(name, None) for name in files]

    def join(self, root: Location, file: str, partner: str | None) -> Iterator[bytes]:
        """Yield prepared lines in the order of the dialogs."""
        split, texts = _texts(root / file)
        count, opened = 0, False
        for piece in _whole(root / file, ("dialogs", "questions", "answers"), ("data",)):
            if isinstance(piece, BrokenOff):
                yield prepared_line(f"item={count}", None, ("malformed_json", f"after {count} dialogs: {piece}"))
                return
            if piece.inside != "dialogs":
                continue
            opened = True
            if piece.text is not None:
                row, fault = _parsed(piece.text)
                yield prepared_line(f"item={count}", _with_texts(row, split, texts), fault)
                count += 1
        if not opened:
            yield prepared_line("item=0", None, ("unexpected_row", "expected an array under data.dialogs"))


def _texts(location: Location) -> tuple[str, dict[str, list[str | None]]]:
    """Return the file's split and its two lists, with None for what is no text."""
    split = ""
    texts: dict[str, list[str | None]] = {"question": [], "answer": []}
    for piece in _whole(location, ("dialogs", "questions", "answers"), ("data",)):
        if isinstance(piece, BrokenOff) or piece.text is None:
            continue
        if piece.key == "split" and not piece.inside:
            value = parse_row(piece.text)[0]
            split = value if isinstance(value, str) else ""
        elif piece.inside in ("questions", "answers"):
            value = parse_row(piece.text)[0]
            texts[piece.inside.removesuffix("s")].append(value if isinstance(value, str) else None)
    return split, texts


def _with_texts(row: Any, split: str, texts: dict[str, list[str | None]]) -> Any:
    if not isinstance(row, dict):
        return row
    rounds = row.get("dialog")
    if isinstance(rounds, list):
        rounds = [_round(turn, texts) if isinstance(turn, dict) else turn for turn in rounds]
    return {**row, "dialog": rounds, "split": split}


def _round(turn: dict[str, Any], texts: dict[str, list[str | None]]) -> dict[str, Any]:
    """Return a round's question and answer as texts; a key that the round lacks is left out."""
    found: dict[str, Any] = {}
    for key, known in texts.items():
        if turn.get(key) is None:
            continue
        place = turn[key]
        inside = isinstance(place, int) and not isinstance(place, bool) and 0 <= place < len(known)
        text = known[place] if inside else None
        found[key] = {"index": place, "of": len(known)} if text is None else text
    return found


@dataclass(frozen=True)
class ImagesAndInstances:
    """COCO-Text: ``{imgs, anns, imgToAnns}``, objects keyed by id; a row is a picture with its instances.

    Instances are joined by their own `image_id`; those of a picture that `imgs` lacks become a row without
    `file_name`. `__listed__` is how many instances `imgToAnns` names for the picture, null where it names none.
    The instances stay in memory as JSON (about 80 MB for the 239,506 of version 2).
    """

    suffixes: tuple[str, ...] = (".json",)
    version: int = 2

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Join every file and cut the result."""
        return plan_joined(self, root, files, prepare_to, rows)

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield pictures with their instances."""
        return read_lines(root, split)

    def pairs(self, files: tuple[str, ...]) -> list[tuple[str, str | None]]:
        """Return every file by itself."""
        return [(name, None) for name in files]

    def join(self, root: Location, file: str, partner: str | None) -> Iterator[bytes]:
        """Yield prepared lines: faulty instances, pictures in the order of the file, instances without a picture."""
        instances: dict[str, list[bytes]] = {}
        listed: dict[str, int] = {}
        for piece in _whole(root / file, (), ("anns", "imgs", "imgToAnns")):
            if isinstance(piece, BrokenOff) or piece.text is None or piece.key is None:
                continue  # a file that breaks off is reported once, in the second pass
            if piece.inside == "anns":
                row, fault = _parsed(piece.text)
                if fault is not None or not isinstance(row, dict):
                    yield prepared_line(f"anns={piece.key}", row, fault)
                else:
                    instances.setdefault(str(row.get("image_id")), []).append(packed(row))
            elif piece.inside == "imgToAnns":
                value = parse_row(piece.text)[0]
                listed[piece.key] = len(value) if isinstance(value, list) else 0
        yield from self._images(root / file, instances, listed)
        for image, found in instances.items():
            yield prepared_line(f"imgs={image}", {KEY: image, INSTANCES: [orjson.Fragment(text) for text in found]})

    def _images(self, location: Location, instances: dict[str, list[bytes]], listed: dict[str, int]) -> Iterator[bytes]:
        """Yield the pictures; what they use is taken out of `instances`."""
        count = 0
        for piece in _whole(location, (), ("anns", "imgs", "imgToAnns")):
            if isinstance(piece, BrokenOff):
                yield prepared_line(f"item={count}", None, ("malformed_json", f"after {count} pictures: {piece}"))
                return
            if piece.inside == "imgs" and piece.text is not None and piece.key is not None:
                row, fault = _parsed(piece.text)
                if isinstance(row, dict):
                    found = [orjson.Fragment(text) for text in instances.pop(piece.key, [])]
                    row = {**row, KEY: piece.key, INSTANCES: found, LISTED: listed.get(piece.key)}
                yield prepared_line(f"imgs={piece.key}", row, fault)
                count += 1
        if not count:
            yield prepared_line("item=0", None, ("unexpected_row", "expected an object of pictures under 'imgs'"))


def _whole(location: Location, arrays: tuple[str, ...], objects: tuple[str, ...]) -> Iterator[Piece | BrokenOff]:
    """Yield the pieces of a file, and last what broke it off."""
    try:
        yield from pieces(location, arrays, objects)
    except BrokenOff as error:
        yield error


def _parsed(text: bytes) -> tuple[Any, Fault | None]:
    row, problem = parse_row(text)
    return row, None if problem is None else malformed(text, problem)

"""Rows of files to hashes: what is kept of a picture and of a question."""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa

from infinity_mm.decontam.benchmarks import Columns, belongs, picture_names
from infinity_mm.decontam.index import ANSWER, BLANK, NGRAM, PHOTO, PIXELS, QUESTION, RENDERED
from infinity_mm.decontam.inputs import Inputs, PictureReader, Unit, read_unit, texts_in
from infinity_mm.decontam.matching import pixel_word
from infinity_mm.decontam.params import IndexParams
from infinity_mm.decontam.texts import hash_texts
from infinity_mm.dedup.image.facts import PictureFacts, picture_facts
from infinity_mm.dedup.image.params import ImageParams
from infinity_mm.images import ImageFault, ImageLimits
from infinity_mm.sources.families.lines import KEY

#: Kind of a line that says: the pictures are those of the row named in `text`. VLMEvalKit writes a picture that several
#: rows share once, and its row's index for the others.
SAME_AS = "same_as"
#: Kind of a line that says why something could not be read.
FAULT = "fault"
_LONGEST_REFERENCE = 64

#: Lines of one unit; a row has one of each hash, or at least one of any kind.
LINES = pa.schema(
    [
        # Number of the row in its unit.
        pa.field("row", pa.int32(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        pa.field("kind", pa.string(), nullable=False),
        pa.field("hash", pa.uint64(), nullable=False),
        pa.field("tokens", pa.int32(), nullable=False),
        # Of faults and references.
        pa.field("text", pa.string()),
    ]
)


class Measurer:
    """Measures pictures, one that several rows share once."""

    def __init__(self, inputs: Inputs, params: ImageParams) -> None:
        self._reader = PictureReader(inputs)
        self._params = params
        self._seen: dict[bytes, PictureFacts | str] = {}

    def measure(self, cell: object, names: Sequence[str] = ()) -> list[PictureFacts | str]:
        """Return what is known of the pictures of a cell, a text in place of one that cannot be read.

        `names` are those of the picture where the cell does not hold it.
        """
        return [data if isinstance(data, str) else self._facts(data) for data in self._reader.read(cell, names)]

    def _facts(self, data: bytes) -> PictureFacts | str:
        key = hashlib.sha256(data).digest()
        if key not in self._seen:
            facts = picture_facts(data, self._params, ImageLimits())
            self._seen[key] = f"{facts.reason}: {facts.detail}" if isinstance(facts, ImageFault) else facts
        return self._seen[key]


def measure_unit(inputs: Inputs, unit: Unit, columns: Columns, params: IndexParams, name: str) -> pa.Table:
    """Return `LINES` of a unit of the evaluation set `name`."""
    decode = ImageParams(decode="full", max_flat=params.max_flat, min_luma_std=params.min_luma_std)
    measurer = Measurer(inputs, decode)
    lines: list[dict[str, Any]] = []
    texts: list[tuple[int, str, str, str]] = []
    for number, found in enumerate(read_unit(inputs, unit)):
        if not belongs(name, found.row):
            continue
        item = item_of(found.row, columns, found.place)

        def add(kind: str, value: int = 0, text: str | None = None, row: int = number, item: str = item) -> None:
            lines.append({"row": row, "item": item, "kind": kind, "hash": value, "tokens": 0, "text": text})

        if found.fault is not None:
            add(FAULT, text=found.fault)
            continue
        for cell in _cells(found.row, columns):
            if _is_reference(cell) and unit.table is not None:
                add(SAME_AS, text=str(cell).strip())
                continue
            for facts in measurer.measure(cell, picture_names(name, found.row)):
                if isinstance(facts, str):
                    add(FAULT, text=facts)
                else:
                    add(_worth(facts, params), facts.phash)
                    add(PIXELS, pixel_word(facts.content))
        asked = "\n".join(texts_in(found.row.get(columns.question or "")))
        texts.append((number, item, QUESTION, asked))
        if params.answers:
            texts += [(number, item, ANSWER, text) for text in texts_in(found.row.get(columns.answer or ""))]
    lines += _text_lines(texts, params.ngram)
    empty = {number: item for number, item, kind, _ in texts if kind == QUESTION}
    for number in set(empty) - {line["row"] for line in lines}:
        fault = {"kind": FAULT, "hash": 0, "tokens": 0, "text": "nothing_to_hash: neither a picture nor a question"}
        lines.append({"row": number, "item": empty[number], **fault})
    return pa.Table.from_pylist(lines, schema=LINES).sort_by("row")


def item_of(row: Mapping[str, Any], columns: Columns, place: str) -> str:
    """Return the id of a row: that of its columns, the key it stands under, or else its place."""
    for named in (columns.id, (KEY,)):
        values = [row.get(column) for column in named]
        if values and all(value is not None and value != "" for value in values):
            return "/".join(map(str, values))
    return place


def _cells(row: Mapping[str, Any], columns: Columns) -> list[object]:
    """Return the cells of pictures; a single empty one where the file has no such column."""
    return [_unpacked(row.get(column)) for column in columns.images] or [None]


def _worth(facts: PictureFacts, params: IndexParams) -> str:
    if facts.luma_std < params.min_luma_std:
        return BLANK
    return RENDERED if facts.rendered else PHOTO


def _unpacked(cell: object) -> object:
    """Return the list that a cell holds as Python writes it, which VLMEvalKit does for several pictures."""
    if isinstance(cell, str) and cell[:2] in ("['", '["'):
        try:
            return ast.literal_eval(cell)
        except (ValueError, SyntaxError):
            return cell
    return cell


def _is_reference(cell: object) -> bool:
    return isinstance(cell, str) and len(cell) <= _LONGEST_REFERENCE and cell.strip().isdecimal()


def _text_lines(texts: list[tuple[int, str, str, str]], ngram: int) -> list[dict[str, Any]]:
    hashed = hash_texts(pa.array([text for _, _, _, text in texts], pa.string()), ngram)
    lines = []
    for place, (row, item, kind, _) in enumerate(texts):
        size = int(hashed.tokens[place])
        if not size:
            continue
        shared = {"row": row, "item": item, "tokens": size}
        lines.append(shared | {"kind": kind, "hash": int(hashed.whole[place])})
        if kind == QUESTION:
            ngrams = hashed.ngrams[hashed.starts[place] : hashed.starts[place + 1]].tolist()
            lines += [shared | {"kind": NGRAM, "hash": value} for value in ngrams]
    return lines

"""Rows of tables as text: comma and tab separated values, with or without a line of column names.

CC3M and CC12M are published as tab separated values without names, users' own lists as whatever their tool writes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Quarantine, Raw, Split
from infinity_mm.sources.families.lines import SNIPPET, cut_rows, iterate_lines

SUFFIXES = (".csv", ".tsv")
#: Physical lines that one quoted field may span; an opening quote without an end must not swallow the file.
_MOST_LINES = 1_000
_BOM = b"\xef\xbb\xbf"

_Place = TypeVar("_Place")


@dataclass(frozen=True)
class Dialect:
    """How a file's rows are written."""

    delimiter: str
    #: Names in order, as written; where the file has none, "url" for the column that holds one and "text" for another.
    columns: tuple[str, ...]
    #: True where the first row holds the names.
    named: bool


def is_delimited(file: str) -> bool:
    """True for the name of a table as text."""
    return file.lower().endswith(SUFFIXES)


def scan_table(location: Location, file: str, rows: int) -> tuple[Split, ...]:
    """Cut a table into splits of `rows` rows; the row of names is none."""
    found = ((offset, number, text) for (offset, number), text in _table_rows(location, file, 0, None, 0))
    dialect = _dialect_of(location, file)
    if dialect is not None and dialect.named:
        next(found)
    return cut_rows(found, file, rows)


def read_table(location: Location, split: Split) -> Iterator[Raw]:
    """Yield the rows of a split of a table."""
    dialect = _dialect_of(location, split.file)
    repeats = dict(split.repeats)
    found = _table_rows(location, split.file, split.start, split.stop, split.first)
    for place, ((_, number), text) in enumerate(found):
        yield read_fields(text, f"line={number + 1}", repeats.get(place, 0), dialect)


def read_fields(text: bytes, locator: str, repeat: int, dialect: Dialect | None) -> Raw:
    """Return one row of a table."""
    digest = xxhash.xxh3_128_hexdigest(text.strip())
    snippet = text[:SNIPPET].decode("utf-8", "replace")
    row, problem = parse_fields(text, dialect) if dialect is not None else (None, "the table has no rows")
    fault = None if row is not None else Quarantine("unexpected_row", problem)
    return Raw(locator, row, digest, repeat, fault, snippet)


def _table_rows(
    location: Location, file: str, start: int, stop: int | None, first: int
) -> Iterator[tuple[tuple[int, int], bytes]]:
    """Yield ((offset, physical line), row) of the rows that are not blank."""
    lines = enumerate(iterate_lines(location, start, stop), first)
    placed = (((offset, number), line) for number, (offset, line) in lines)
    return ((place, row) for place, row in whole_rows(placed, file) if row.strip())


def _dialect_of(location: Location, file: str) -> Dialect | None:
    _, row = next(_table_rows(location, file, 0, None, 0), (None, None))
    return None if row is None else find_dialect(row, file)


def whole_rows(lines: Iterable[tuple[_Place, bytes]], file: str) -> Iterator[tuple[_Place, bytes]]:
    """Join the lines of quoted fields that span several; `file` says by its name whether fields can.

    A row is whole when its quotes are even (RFC 4180). Tab separated values have no such fields: a quote
    there is mostly a quote.
    """
    if file.lower().endswith(".tsv"):
        yield from lines
        return
    held: list[tuple[_Place, bytes]] = []
    odd = False
    for place, line in lines:
        held.append((place, line))
        odd ^= line.count(b'"') % 2 == 1
        if not odd:
            yield held[0][0], b"\n".join(text for _, text in held)
            held = []
        elif len(held) > _MOST_LINES:
            yield from held
            held, odd = [], False
    yield from held


def find_dialect(first: bytes, file: str) -> Dialect:
    """Return the dialect of a file by its first row: a row that holds a URL is no row of names."""
    text = first.removeprefix(_BOM).decode("utf-8", "replace")
    counts = {mark: text.count(mark) for mark in (",", ";", "|", "\t")}
    delimiter = "\t" if file.lower().endswith(".tsv") and "\t" in text else max(counts, key=lambda mark: counts[mark])
    fields = _fields(text, delimiter)
    urls = [place for place, field in enumerate(fields) if "://" in field]
    if not urls:
        return Dialect(delimiter, tuple(field.strip() for field in fields), True)
    names = [f"column_{place}" for place in range(len(fields))]
    names[urls[0]] = "url"
    others = [place for place in range(len(fields)) if place not in urls]
    if others:
        names[others[0]] = "text"
    return Dialect(delimiter, tuple(names), False)


def parse_fields(text: bytes, dialect: Dialect) -> tuple[dict[str, str] | None, str]:
    """Return (row, "") or (None, what is wrong); every value is text."""
    try:
        fields = _fields(text.removeprefix(_BOM).decode("utf-8"), dialect.delimiter)
    except UnicodeDecodeError as error:
        return None, f"expected UTF-8, {error}"
    except csv.Error as error:
        return None, str(error)
    if len(fields) != len(dialect.columns):
        return None, f"expected {len(dialect.columns)} fields ({', '.join(dialect.columns)}), got {len(fields)}"
    return dict(zip(dialect.columns, fields, strict=True)), ""


def _fields(text: str, delimiter: str) -> list[str]:
    text = text.rstrip("\r\n")
    if delimiter != "\t":
        return next(csv.reader([text], delimiter=delimiter), [])
    return [_unquoted(field) for field in text.split("\t")]


def _unquoted(field: str) -> str:
    """Undo the quotes that a spreadsheet or pandas puts around a field; any other quote is text."""
    inner = field[1:-1].replace('""', "")
    if len(field) > 1 and field[0] == field[-1] == '"' and '"' not in inner:
        return field[1:-1].replace('""', '"')
    return field

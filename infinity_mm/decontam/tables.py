"""Tables as text with pictures inside: VLMEvalKit's ``.tsv`` files, whose quoted fields may span lines."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa
import pyarrow.csv as pc

from infinity_mm.fs import Location

SUFFIXES = (".tsv", ".csv")
#: Bytes read at a time; a row, with its picture in base64, must fit in one.
BLOCK = 64 << 20


def is_table(name: str) -> bool:
    """True for the name of such a file."""
    return name.lower().endswith(SUFFIXES)


def count_rows(location: Location) -> int:
    """Return the number of rows; raises OSError or `pyarrow.ArrowInvalid` for a file that is no such table."""
    return sum(batch.num_rows for batch in _batches(location))


def read_rows(location: Location, start: int, stop: int) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield (number, row) of the rows from `start` to before `stop`; every value is text. Raises as `count_rows`."""
    number = 0
    for batch in _batches(location):
        if number >= stop:
            return
        first = max(start - number, 0)
        chosen = batch.slice(first, max(min(stop - number, batch.num_rows) - first, 0))
        for place in range(chosen.num_rows):  # one by one: pictures are large
            yield number + first + place, chosen.slice(place, 1).to_pylist()[0]
        number += batch.num_rows


def _batches(location: Location) -> Iterator[pa.RecordBatch]:
    delimiter = "\t" if location.name.lower().endswith(".tsv") else ","
    parse = pc.ParseOptions(delimiter=delimiter, newlines_in_values=True)
    with location.open_input() as stream:
        names = _names(stream, parse)
        stream.seek(0)
        convert = pc.ConvertOptions(
            column_types={name: pa.string() for name in names}, strings_can_be_null=False, check_utf8=False
        )
        read = pc.ReadOptions(block_size=BLOCK, use_threads=False)
        with pc.open_csv(stream, read, parse, convert) as reader:
            yield from reader


def _names(stream: pa.NativeFile, parse: pc.ParseOptions) -> list[str]:
    with pc.open_csv(stream, pc.ReadOptions(block_size=BLOCK, use_threads=False), parse) as reader:
        return list(reader.schema.names)

"""One generation as it is kept, and tables of them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import astuple, dataclass, fields

import pyarrow as pa
import pyarrow.compute as pc

ENTRIES = pa.schema(
    [
        pa.field("key", pa.string(), nullable=False),
        pa.field("text", pa.string(), nullable=False),
        pa.field("finish_reason", pa.string(), nullable=False),
        pa.field("attempts", pa.int32(), nullable=False),
        pa.field("prompt_tokens", pa.int64(), nullable=False),
        pa.field("completion_tokens", pa.int64(), nullable=False),
        pa.field("prompt_file", pa.string(), nullable=False),
        pa.field("engine", pa.string(), nullable=False),
    ]
)


@dataclass(frozen=True, order=True)
class Entry:
    """A usable answer; failures are never kept."""

    #: See `infinity_mm.synth.cache.key`.
    key: str
    #: As the model wrote it.
    text: str
    #: "stop" or "length".
    finish_reason: str
    #: Tries until it came; the last one's seed is the request's plus the tries before it.
    attempts: int
    #: Of all tries.
    prompt_tokens: int
    completion_tokens: int
    #: Name and version of the prompt file, for people who look into a cache.
    prompt_file: str
    #: `EngineInfo` as JSON: who wrote it.
    engine: str


def to_table(entries: Iterable[Entry]) -> pa.Table:
    """Return the entries by key, each key once."""
    rows = [astuple(entry) for entry in sorted(set(entries))]
    columns = [pa.array([row[k] for row in rows], field.type) for k, field in enumerate(ENTRIES)]
    return unique(pa.Table.from_arrays(columns, schema=ENTRIES))


def from_table(table: pa.Table) -> list[Entry]:
    """Return the rows of a table of `ENTRIES`."""
    columns = [table.column(field.name).to_pylist() for field in fields(Entry)]
    return [Entry(*row) for row in zip(*columns, strict=True)]


def merge(tables: Iterable[pa.Table]) -> pa.Table:
    """Return the union by key. Of two answers to the same question the smaller text stays, whatever the order."""
    whole = pa.concat_tables([ENTRIES.empty_table(), *tables])
    return unique(whole.sort_by([(name, "ascending") for name in ENTRIES.names]))


def unique(table: pa.Table) -> pa.Table:
    """Return a sorted table with the first row of every key."""
    if table.num_rows < 2:
        return table
    keys = table.column("key").combine_chunks()
    later = pc.not_equal(keys[1:], keys[:-1])
    first = pa.concat_arrays([pa.array([True]), later])
    return table.filter(first)


def digest(table: pa.Table) -> str:
    """Return 16 hex digits over every value, whatever library wrote the table."""
    content = hashlib.sha256()
    for column in table.columns:
        texts = [str(value) for value in column.to_pylist()]
        content.update(repr([len(text) for text in texts]).encode())
        content.update("".join(texts).encode("utf-8", "surrogatepass"))
    return content.hexdigest()[:16]

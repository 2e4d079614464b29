"""What the records of a part say: their own messages, or what was repaired of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.schema import MESSAGE
from infinity_mm.store import Store

MESSAGES = pa.list_(pa.field("element", MESSAGE, nullable=False))
#: Column of the text filter's attributes: the contents of a record's turns where encoding was mended, else null.
REPAIRED = "messages_repaired"

Message = dict[str, str]


def repaired(messages: Sequence[Mapping[str, str]], contents: Sequence[str]) -> list[Message]:
    """Return the turns with other contents, as many as there are turns."""
    return [{"role": turn["role"], "content": text} for turn, text in zip(messages, contents, strict=True)]


def spoken_column(store: Store, records: pa.Table, text: str | None) -> pa.ChunkedArray:
    """Return the `messages` of a whole part, repaired; `text` is the path of the text filter's attributes."""
    own = records.column("messages")
    if text is None:
        return own
    mended = store.read(text, [REPAIRED]).column(REPAIRED)
    if mended.null_count == len(mended):
        return own
    turns = [
        said if contents is None else repaired(said, contents)
        for said, contents in zip(own.to_pylist(), mended.to_pylist(), strict=True)
    ]
    return pa.chunked_array([pa.array(turns, MESSAGES)])


def spoken_rows(store: Store, records: str, text: str | None, rows: Sequence[int]) -> dict[int, list[Message]]:
    """Return the messages of some rows of a part, by row; decodes only the row groups that hold them."""
    found: dict[int, list[Message]] = {}
    wanted = sorted(set(rows))
    if not wanted:
        return found
    with store.at(records).reading(), store.at(records).open_input() as stream:
        parquet = pq.ParquetFile(stream, page_checksum_verification=True)
        start = 0
        for group in range(parquet.metadata.num_row_groups):
            stop = start + parquet.metadata.row_group(group).num_rows
            inside = [row for row in wanted if start <= row < stop]
            if inside:
                column = parquet.read_row_group(group, columns=["messages"], use_threads=False).column("messages")
                places = pa.array([row - start for row in inside])
                found |= dict(zip(inside, column.take(places).to_pylist(), strict=True))
            start = stop
    if text is not None:
        mended: list[Any] = store.read(text, [REPAIRED]).column(REPAIRED).take(pa.array(wanted)).to_pylist()
        found |= {row: repaired(found[row], said) for row, said in zip(wanted, mended, strict=True) if said is not None}
    return found

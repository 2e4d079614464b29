"""The `messages` column as flat lists, so that filters loop over strings instead of nested rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import pyarrow as pa


@dataclass(frozen=True)
class Turns:
    """All turns of a batch of records: record `k` owns the turns ``starts[k]`` to ``starts[k + 1]``."""

    starts: list[int]
    roles: list[str]
    contents: list[str]

    def __iter__(self) -> Iterator[tuple[list[str], list[str]]]:
        """Yield (roles, contents) per record, in order."""
        for start, stop in zip(self.starts, self.starts[1:], strict=False):
            yield self.roles[start:stop], self.contents[start:stop]


def flat_turns(records: pa.Table) -> Turns:
    """Return the turns of a table with a `messages` column (schema `infinity_mm.schema.MESSAGE`)."""
    roles: list[str] = []
    contents: list[str] = []
    starts = [0]
    for chunk in records.column("messages").chunks:
        turns = chunk.flatten()
        roles += turns.field("role").to_pylist()
        contents += turns.field("content").to_pylist()
        for length in chunk.value_lengths().to_pylist():
            starts.append(starts[-1] + length)
    return Turns(starts, roles, contents)

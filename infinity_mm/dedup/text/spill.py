"""What a job keeps on disk between its steps: Arrow files of many small batches, each read in place.

A file holds batches of partition 0, 1, ... P - 1, and again from 0 for every flush, so batch `i` belongs to
partition `i % P`. Files are written aside and renamed: one that is there is whole.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.errors import StoreError
from infinity_mm.fs import ASIDE, Location


@dataclass(frozen=True)
class Spill:
    """A local folder for intermediate files."""

    folder: Location

    def at(self, kind: str, number: int) -> Location:
        """Return the place of a file."""
        return self.folder / f"{kind}/{number:05d}.arrow"

    def missing(self, kind: str, count: int) -> list[int]:
        """Return the numbers below `count` of which there is no file yet."""
        there = set((self.folder / kind).files())
        return [number for number in range(count) if self.at(kind, number).name not in there]

    def discard(self) -> None:
        """Delete everything; a run that is killed meanwhile leaves nothing that the next one would take for whole."""
        if self.folder.is_dir():
            path = self.folder.path
            aside = os.path.join(os.path.dirname(path), ASIDE + os.path.basename(path))
            Location.of(aside).delete_dir()
            os.rename(path, aside)
            Location.of(aside).delete_dir()


@contextmanager
def writing(place: Location, schema: pa.Schema) -> Iterator[pa.RecordBatchFileWriter]:
    """Write a file of batches, whole or not at all."""
    with place.write_whole() as stream, pa.ipc.new_file(stream, schema) as writer:
        yield writer


def write_table(place: Location, table: pa.Table, notes: Mapping[str, int]) -> None:
    """Write a table, as one batch, with whole numbers as its metadata."""
    table = table.combine_chunks().replace_schema_metadata({name: str(value) for name, value in notes.items()})
    schema = table.schema
    empty = pa.RecordBatch.from_arrays([pa.nulls(0, field.type) for field in schema], schema=schema)
    with writing(place, schema) as writer:
        # A table without rows has no batch of its own.
        writer.write_batch(next(iter(table.to_batches()), empty))


def reading(place: Location) -> pa.RecordBatchFileReader:
    """Open a file in place (mapped, not loaded); raises `StoreError` where it is gone or damaged."""
    try:
        return pa.ipc.open_file(pa.memory_map(place.path))
    except (OSError, pa.ArrowInvalid) as error:
        raise StoreError(f"cannot read {place}: {error}; remove that file and run again") from error


def notes_of(place: Location) -> dict[str, int]:
    """Return the numbers that `write_table` was given."""
    metadata = reading(place).schema.metadata or {}
    return {name.decode(): int(value) for name, value in metadata.items()}


def batches_of(reader: pa.RecordBatchFileReader, partition: int, partitions: int) -> Iterator[pa.RecordBatch]:
    """Yield the batches of one partition that are not empty."""
    for number in range(partition, reader.num_record_batches, partitions):
        batch = reader.get_batch(number)
        if len(batch):
            yield batch


# pyarrow's own conversions from and to NumPy import pandas where it is installed, which takes half a second.


def column(values: NDArray[Any]) -> pa.Array:
    """Return numbers as a column, in place."""
    values = np.ascontiguousarray(values)
    return pa.Array.from_buffers(pa.from_numpy_dtype(values.dtype), len(values), [None, pa.py_buffer(values)])


def flat(values: pa.Array) -> NDArray[Any]:
    """Return a column of numbers without nulls as an array, in place."""
    kind = np.dtype(str(values.type))
    return np.frombuffer(values.buffers()[1] or b"", kind, len(values), values.offset * kind.itemsize)


def valid(values: pa.Array) -> NDArray[np.bool_]:
    """Return which values are not null."""
    if not values.null_count:
        return np.ones(len(values), bool)
    bits = np.unpackbits(np.frombuffer(values.buffers()[0], np.uint8), bitorder="little")
    return bits[values.offset : values.offset + len(values)].astype(bool)


def numbers(batch: pa.RecordBatch | pa.Table, name: str) -> NDArray[Any]:
    """Return a column of numbers without nulls as an array."""
    found = batch.column(name)
    if isinstance(found, pa.Array):
        return flat(found)
    if found.num_chunks == 1:
        return flat(found.chunk(0))
    empty = np.empty(0, np.dtype(str(found.type)))
    return np.concatenate([empty, *(flat(chunk) for chunk in found.chunks)])


def words(batch: pa.RecordBatch | pa.Table, names: Sequence[str]) -> NDArray[np.uint64]:
    """Return several uint64 columns as one array of shape (rows, columns)."""
    return np.stack([numbers(batch, name) for name in names], axis=1)

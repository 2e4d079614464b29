"""What a job will do: its input, its parameters, and how much of it is in memory at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass

from infinity_mm.dedup.text.inputs import Columns, Unit, cut, find_files
from infinity_mm.dedup.text.params import TextParams
from infinity_mm.dedup.text.spill import Spill
from infinity_mm.errors import UsageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location

#: Changes where spilled files of an older version would be misread.
VERSION = 2
#: Least memory that can be asked for, in bytes.
LEAST_MEMORY = 64 << 20
#: Keys of one partition, so that its table of slots, four or more a key and a power of two of bytes, stays in the
#: processor's cache; and bytes that a key takes in memory.
_PARTITION_KEYS = 1_000_000
_KEY_BYTES = 32
_MOST_PARTITIONS = 1024
#: Partitions whose keys are in memory together.
_GROUPED = 4


@dataclass(frozen=True)
class Plan:
    """Everything that the steps of a job need to know."""

    params: TextParams
    columns: Columns
    units: tuple[Unit, ...]
    spill: Spill
    #: Into how many parts the keys are sorted.
    partitions: int
    #: Bytes, about, that shingle sets may take at a time.
    set_bytes: int
    #: Names input and parameters.
    fingerprint: str

    @property
    def id_partitions(self) -> int:
        """Into how many parts the hashes of ids are sorted."""
        return -(-self.rows // _PARTITION_KEYS)

    def runs(self) -> list[range]:
        """Return the partitions of keys that are grouped together."""
        return [range(first, min(first + _GROUPED, self.partitions)) for first in range(0, self.partitions, _GROUPED)]

    @property
    def rows(self) -> int:
        """Rows of the whole input."""
        return sum(unit.rows for unit in self.units)


def make_plan(pattern: str, columns: Columns, params: TextParams, spill: Location, memory: int) -> Plan:
    """Look at the input's footers and plan; raises `UsageError` where the input is not as asked for.

    `memory`, in bytes, bounds what grows with the input, roughly; `spill` is a local folder, in which each input and
    set of parameters gets a folder of its own.
    """
    if memory < LEAST_MEMORY:
        raise UsageError(f"--memory {memory} bytes is too little: give at least {LEAST_MEMORY >> 20}MiB")
    files = find_files(pattern)
    units = cut(files, columns)
    if not units:
        raise UsageError(f"the {len(files)} Parquet files of --input {pattern!r} have no rows")
    keys = sum(unit.rows for unit in units) * params.banding().bands
    at_a_time = max(1, min(_PARTITION_KEYS, memory // (16 * _KEY_BYTES)))
    partitions = max(1, min(_MOST_PARTITIONS, math.ceil(keys / at_a_time)))
    set_bytes = min(64 << 20, memory // 16)
    name = fingerprint(
        ["dedup text", VERSION, [unit.rows for unit in units], partitions, set_bytes],
        params,
        columns.all(),
        [[str(file), file.size(), file.modified_ns()] for file in files],
    )
    return Plan(params, columns, tuple(units), Spill(spill / name), partitions, set_bytes, name)

"""Ids must be unique: a removed row and its winner are named by nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.keys import bytes_digests
from infinity_mm.dedup.lsh import mix64
from infinity_mm.dedup.text.plan import Plan
from infinity_mm.dedup.text.spill import batches_of, flat, numbers, reading
from infinity_mm.errors import StageError
from infinity_mm.fs import Location


def identity_hashes(ids: pa.Array) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each id: large_string or integers."""
    if pa.types.is_integer(ids.type):
        return mix64(flat(ids).astype(np.uint64))
    return bytes_digests(ids)[:, 0]


def check_ids(plan: Plan) -> None:
    """Raise `StageError` where an id occurs twice, naming it and the files."""
    for partition in range(plan.id_partitions):
        parts = [
            numbers(batch, "identity")
            for unit in plan.units
            for batch in batches_of(reading(plan.spill.at("identities", unit.number)), partition, plan.id_partitions)
        ]
        hashes = np.sort(np.concatenate(parts)) if parts else np.empty(0, np.uint64)
        for twice in hashes[1:][hashes[1:] == hashes[:-1]]:
            _explain(plan, twice)


def _explain(plan: Plan, wanted: np.uint64) -> None:
    """Raise `StageError` where two ids of this hash are equal; different ids may share a hash."""
    seen: dict[object, Location] = {}
    for unit in plan.units:
        texts = reading(plan.spill.at("texts", unit.number))
        first = 0
        for number in range(texts.num_record_batches):
            ids = texts.get_batch(number).column("id")
            for place in np.flatnonzero(identity_hashes(ids) == wanted).tolist():
                value, file = ids[place].as_py(), unit.file_of(first + place)
                if value in seen:
                    raise StageError(
                        f"the id {value!r} occurs twice, in {seen[value]} and {file}: ids in column "
                        f"{plan.columns.id!r} must be unique over the whole input"
                    )
                seen[value] = file
            first += len(ids)

"""Ids must be unique: a removed row and its winner are named by nothing else."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from infinity_mm.dedup.kernels.keys import bytes_digests
from infinity_mm.dedup.lsh import mix64
from infinity_mm.dedup.text.inputs import read
from infinity_mm.dedup.text.plan import Plan
from infinity_mm.dedup.text.spill import numbers, reading
from infinity_mm.errors import StageError

#: Hashes looked at together.
_AT_A_TIME = 1 << 23


def identity_hashes(ids: pa.Array) -> NDArray[np.uint64]:
    """Return a 64-bit hash of each id: large_string or integers."""
    if pa.types.is_integer(ids.type):
        return mix64(ids.to_numpy(zero_copy_only=False).astype(np.uint64))
    return bytes_digests(ids)[:, 0]


def check_ids(plan: Plan) -> None:
    """Raise `StageError` where an id occurs twice, naming it and the files."""
    rounds = max(1, -(-plan.rows // _AT_A_TIME))
    for number in range(rounds):
        parts = [np.empty(0, np.uint64)]
        for unit in plan.units:
            hashes = numbers(reading(plan.spill.at("texts", unit.number)).read_all(), "identity")
            parts.append(hashes if rounds == 1 else hashes[hashes % np.uint64(rounds) == number])
        hashes = np.sort(np.concatenate(parts))
        for twice in hashes[1:][hashes[1:] == hashes[:-1]]:
            _explain(plan, twice)


def _explain(plan: Plan, wanted: np.uint64) -> None:
    """Raise `StageError` where two ids of this hash are equal; different ids may share a hash."""
    seen: dict[object, str] = {}
    for unit in plan.units:
        hashes = numbers(reading(plan.spill.at("texts", unit.number)).read_all(), "identity")
        if not (hashes == wanted).any():
            continue
        for batch in read(unit, [plan.columns.id]):
            ids = batch.column(0)
            for place in np.flatnonzero(identity_hashes(ids) == wanted).tolist():
                value = ids[place].as_py()
                if value in seen:
                    raise StageError(
                        f"the id {value!r} occurs twice, in {seen[value]} and {unit.file}: ids in column "
                        f"{plan.columns.id!r} must be unique over the whole input"
                    )
                seen[value] = str(unit.file)

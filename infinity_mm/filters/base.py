"""The contract of a filter: measure once, judge as often as thresholds change.

A filter is one module with these names::

    NAME        "text": also the attribute folder and the stage named in the ledger
    VERSION     raised whenever `measure` would give other values
    READS       record columns that `measure` needs, () for a filter without own measurements; one that reads
                "messages" judges texts, and is not asked about pictures without any (category `image_only`)
    FROM        attribute stages whose columns `judge` sees, usually (NAME,) or ("ingest",)
    ATTRIBUTES  Arrow schema of what `measure` returns: "id" first, then the values
    REASONS     every reason `judge` may give: snake_case, no numbers, says what is wrong
    Params      frozen model of thresholds; `MEASURED` names the fields that `measure` depends on
    measure     pure: records in, one row of values per record out, same order
    judge       pure: values in, a reason or None per row out

Measurements are written beside the records; verdicts are derived from them. So a threshold can
change without reading a record again. Both functions must be split invariant,
f(a + b) = f(a) + f(b): the engine chooses the batches.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, Protocol

import pyarrow as pa
from pydantic import Field

from infinity_mm.frozen import Frozen


@dataclass(frozen=True)
class Verdict:
    """Why one row leaves."""

    #: One of the module's `REASONS`.
    reason: str
    #: The value that decided, for people: ``"side=19 < min_side=28"``.
    detail: str
    outcome: Literal["dropped", "quarantined"] = "dropped"


class FilterParams(Frozen):
    """Base of every filter's thresholds."""

    #: Fields that change what `measure` returns; all others only change `judge`.
    MEASURED: ClassVar[frozenset[str]] = frozenset()

    #: The run stops when this filter drops more than this share of a source's rows (0 to 1).
    max_drop: float = Field(default=0.5, ge=0.0, le=1.0)


class Filter(Protocol):
    """What a filter module offers; modules satisfy it structurally."""

    NAME: str
    VERSION: int
    READS: tuple[str, ...]
    FROM: tuple[str, ...]
    ATTRIBUTES: pa.Schema
    REASONS: tuple[str, ...]
    Params: type[FilterParams]

    def measure(self, records: pa.Table, params: Any) -> pa.Table:
        """Return one row of `ATTRIBUTES` per record, in order."""
        ...

    def judge(self, attributes: pa.Table, params: Any) -> Sequence[Verdict | None]:
        """Return a verdict, or None to keep, per row of attributes."""
        ...

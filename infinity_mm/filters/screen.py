"""From measurements to outcomes: the filters of a recipe, in order, over one partition."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.errors import StageError
from infinity_mm.filters.base import Filter, FilterParams, Verdict
from infinity_mm.record import IMAGE_ONLY

#: One row per record, in order; all but the id are null for a row that no filter objects to.
SCREEN = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("outcome", pa.string()),  # "dropped" or "quarantined"
        pa.field("stage", pa.string()),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
    ]
)


def screen(attributes: Mapping[str, pa.Table], filters: Sequence[tuple[Filter, FilterParams]]) -> pa.Table:
    """Return `SCREEN`: for each row the verdict of the first filter, in the order given, that has one.

    Of a row that is a picture alone (category `image_only`, told by the attributes of ingestion) no filter that reads
    messages is asked: there are none, by intent.

    `attributes` maps stages to their tables for one partition: same rows, same order. At least one is needed, as the
    ids come from there. Raises `StageError` where a table is missing or misaligned, or where a filter
    breaks its contract: an undeclared reason, not one verdict per row.
    """
    if not attributes:
        raise StageError("screen: expected the attributes of at least one stage to take the ids from, got none")
    ids = next(iter(attributes.values())).column("id")
    found: list[tuple[str, Verdict] | None] = [None] * len(ids)
    silent = _silent(attributes, len(ids))
    for chosen, params in filters:
        verdicts = chosen.judge(_visible(attributes, chosen, ids), params)
        _check(chosen, verdicts, len(ids))
        about_texts = "messages" in chosen.READS
        for row, verdict in enumerate(verdicts):
            if verdict is not None and found[row] is None and not (about_texts and silent[row]):
                found[row] = (chosen.NAME, verdict)
    columns = [
        ids,
        [None if f is None else f[1].outcome for f in found],
        [None if f is None else f[0] for f in found],
        [None if f is None else f[1].reason for f in found],
        [None if f is None else f[1].detail for f in found],
    ]
    return pa.table(columns, schema=SCREEN)


def _silent(attributes: Mapping[str, pa.Table], rows: int) -> Sequence[bool]:
    """Tell for each row whether it is a picture that nothing was written about."""
    if "ingest" not in attributes:
        return [False] * rows
    found: list[bool] = pc.equal(attributes["ingest"].column("category"), IMAGE_ONLY).to_pylist()
    return found


def _visible(attributes: Mapping[str, pa.Table], chosen: Filter, ids: pa.ChunkedArray) -> pa.Table:
    """Return the tables of the filter's `FROM` side by side, the id once."""
    missing = [stage for stage in chosen.FROM if stage not in attributes]
    if missing:
        raise StageError(f"filter {chosen.NAME!r} judges attributes of {missing}, got only {sorted(attributes)}")
    visible: pa.Table | None = None
    for stage in chosen.FROM:
        table = attributes[stage]
        if not table.column("id").equals(ids):
            raise StageError(f"filter {chosen.NAME!r}: the rows of {stage!r} are not those of the partition")
        if visible is None:
            visible = table
            continue
        for name in table.column_names[1:]:
            if name in visible.column_names:
                raise StageError(f"filter {chosen.NAME!r}: column {name!r} is in several stages of {chosen.FROM}")
            visible = visible.append_column(table.field(name), table.column(name))
    if visible is None:
        raise StageError(f"filter {chosen.NAME!r}: FROM names no stage, so there is nothing to judge")
    return visible


def _check(chosen: Filter, verdicts: Sequence[Verdict | None], rows: int) -> None:
    if len(verdicts) != rows:
        raise StageError(f"filter {chosen.NAME!r} gave {len(verdicts)} verdicts for {rows} rows")
    undeclared = {verdict.reason for verdict in verdicts if verdict is not None} - set(chosen.REASONS)
    if undeclared:
        raise StageError(f"filter {chosen.NAME!r} gave reasons {sorted(undeclared)}, declared are {chosen.REASONS}")

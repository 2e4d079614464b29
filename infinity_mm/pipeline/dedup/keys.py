"""Step 1: the keys of a batch of parts, which depend on those parts and on nothing else: the saved index."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from infinity_mm.dedup import signature
from infinity_mm.dedup.blocking.keys import READS, blocks_of
from infinity_mm.dedup.kernels.keys import SKETCH_WORDS, by_partition
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.ragged import ragged
from infinity_mm.fingerprint import fingerprint
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.pipeline.dedup.runs import write_runs
from infinity_mm.pipeline.parts import Part
from infinity_mm.store import Store, part_name

VERSION = 1
#: Columns of sketches.
SKETCHES = tuple(f"sketch{word}" for word in range(SKETCH_WORDS))
#: Parameters that keys depend on.
_MATTERS = {
    "mode", "signature", "threshold", "recall", "min_near_words", "min_luma_std", "max_flat",
    "pixel_exact_categories",
}  # fmt: skip
#: Entries of one row group, about, and the most bits of a key that choose one.
_RUN_ENTRIES = 1 << 13
_MOST_BITS = 10


@dataclass(frozen=True)
class Batch:
    """Consecutive parts of one source, and what is known of them; rows are numbered through the batch."""

    number: int
    parts: tuple[Part, ...]
    screens: tuple[str, ...]
    #: Verdicts of the decontamination; empty without one.
    leaks: tuple[str, ...]
    signatures: tuple[str, ...]
    #: Names the inputs and parameters of its keys.
    name: str

    @property
    def source(self) -> str:
        """The source of all its parts."""
        return self.parts[0].source

    def path(self, step: str, name: str | None = None) -> str:
        """Return where a step's file of this batch lies; `name` names what it is made from, by default the keys'."""
        return f"state/dedup-{step}/{self.source}/{part_name(self.number, name or self.name)}"


class Notes(Frozen):
    """What the driver needs to know of a batch's keys."""

    #: All rows, and those that are alive.
    rows: int
    live: int
    entries: int
    cells: int
    #: Bytes that a live row takes where rows are compared, about.
    row_bytes: int


@dataclass(frozen=True)
class KeysTask:
    """The keys of one batch."""

    work: str
    batch: Batch
    params_json: str
    keys: str
    cells: str
    sketches: str
    notes: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """Keys, cells, sketches and their counts."""
        return (self.keys, self.cells, self.sketches, self.notes)


def batches_of(
    params: DedupParams,
    measured: Mapping[Part, Mapping[str, str]],
    screens: Mapping[Part, str],
    leaks: Mapping[Part, str],
    width: int,
) -> list[Batch]:
    """Group parts, `width` of one source at most, so that another source or later parts regroup nothing."""
    grouped: dict[tuple[str, int], list[Part]] = {}
    for part in sorted(screens):
        grouped.setdefault((part.source, part.number // width), []).append(part)
    matters = params.model_dump(mode="json", include=_MATTERS)
    batches = []
    for (_, number), parts in sorted(grouped.items()):
        made_from = [
            [part.ingest, screens[part], measured[part][signature.NAME], leaks.get(part, "")] for part in parts
        ]
        batches.append(
            Batch(
                number=number,
                parts=tuple(parts),
                screens=tuple(screens[part] for part in parts),
                leaks=tuple(leaks[part] for part in parts if part in leaks),
                signatures=tuple(measured[part][signature.NAME] for part in parts),
                name=fingerprint(["dedup-keys", VERSION], matters, made_from),
            )
        )
    return batches


def keys_task(work: str, batch: Batch, params: DedupParams) -> KeysTask:
    """Return the task of one batch."""
    notes = batch.path("notes").removesuffix(".parquet") + ".json"
    keys, cells, sketches = (batch.path(step) for step in ("keys", "cells", "sketches"))
    return KeysTask(work, batch, params.model_dump_json(), keys, cells, sketches, notes)


def make_keys(task: KeysTask) -> None:
    """Write the keys of live rows, sorted into row groups by their first bits, and the cells likewise by side.

    Memory is that of the batch: about 0.5 KB a text row for its signature, and as much for its keys.
    """
    store = Store(Location(task.work))
    params = DedupParams.model_validate_json(task.params_json)
    table, place, rows = live_rows(store, task.batch, READS)
    blocks = blocks_of(table, params, int(task.batch.name, 16))
    cells = blocks.cells
    _write(store, task.keys, blocks.keys, {"row": place[blocks.rows]})
    _write(store, task.cells, cells.side, {"row": place[cells.row], "phash": cells.phash})
    columns = {"row": place[blocks.sketched], **dict(zip(SKETCHES, blocks.sketches.T, strict=True))}
    write_runs(store, task.sketches, pa.table(columns), [""], [len(blocks.sketched)])
    notes = Notes(
        rows=rows, live=len(table), entries=len(blocks.keys), cells=len(cells), row_bytes=_row_bytes(table, params)
    )
    store.at(task.notes).write_bytes(notes.model_dump_json().encode())


def live_rows(
    store: Store, batch: Batch, columns: tuple[str, ...], chosen: NDArray[np.uint32] | None = None
) -> tuple[pa.Table, NDArray[np.uint32], int]:
    """Return some columns of the batch's rows, their numbers in it, and how many rows it has in all.

    The rows are those that neither filters nor decontamination dropped, or of those the `chosen` ones, ascending.
    """
    tables, places = [], []
    first = 0
    for index, part in enumerate(batch.parts):
        ingested = store.read(part.ingest, [name for name in columns if name not in signature.ATTRIBUTES.names[1:]])
        size = len(ingested)
        if chosen is None:
            alive = store.read(batch.screens[index], ["outcome"]).column("outcome").is_null()
            if batch.leaks:
                alive = pc.and_not(alive, store.read(batch.leaks[index], ["dropped"]).column("dropped"))
            own = np.flatnonzero(alive.to_numpy()).astype(np.uint32)
        else:
            begin, end = np.searchsorted(chosen, [first, first + size])
            own = chosen[begin:end] - np.uint32(first)
        signed = store.read(batch.signatures[index], [name for name in columns if name not in ingested.column_names])
        whole = pa.table({**_columns(ingested), **_columns(signed)}).select(columns)
        tables.append(whole if len(own) == size else whole.take(pa.array(own)))
        places.append(own + np.uint32(first))
        first += size
    return pa.concat_tables(tables), np.concatenate(places), first


def _columns(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    return dict(zip(table.column_names, table.columns, strict=True))


def _row_bytes(table: pa.Table, params: DedupParams) -> int:
    """Estimate what a row takes: the columns of `find_duplicates`, most of which the keys are not made from."""
    words = sum(int(pc.sum(table.column(name)).as_py() or 0) for name in ("prompt_words", "answer_words"))
    pictures = int(ragged(table.column("width")).size.sum())
    return 100 + 4 * params.signature.num_perm + (8 * words + 400 * pictures) // max(1, len(table))


def _write(store: Store, path: str, keys: NDArray[np.uint64], beside: Mapping[str, NDArray[np.generic]]) -> None:
    """Write entries sorted by the first bits of their keys, of which more are used the more entries there are."""
    bits = min(_MOST_BITS, (len(keys) // _RUN_ENTRIES).bit_length())
    ordered, order, starts = by_partition(keys, np.arange(len(keys), dtype=np.uint32), 1 << bits)
    columns = {"key": ordered, **{name: values[order] for name, values in beside.items()}}
    labels = [f"{number:0{bits}b}" if bits else "" for number in range(1 << bits)]
    write_runs(store, path, pa.table(columns), labels, starts[1:].tolist())

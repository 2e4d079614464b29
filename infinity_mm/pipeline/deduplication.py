"""The deduplication pass: gathers what is known of all surviving rows, decides, writes verdicts beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.dedup import resolve, signature
from infinity_mm.dedup.params import DedupParams
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.store import Store

VERSION = 1
STAGE = "dedup"

#: Per record of a part, in order; all null where the row was no duplicate.
VERDICTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        pa.field("detail", pa.string()),
        pa.field("winner", pa.string()),
        pa.field("similarity", pa.float32()),
        pa.field("hamming", pa.int32()),
    ]
)


@dataclass(frozen=True)
class DedupTask:
    """All parts at once: duplicates are compared across sources."""

    work: str
    parts: tuple[Part, ...]
    screens: tuple[str, ...]
    #: Verdicts of the decontamination, if there was one.
    leaks: tuple[str, ...]
    signatures: tuple[str, ...]
    #: Source -> priority, lower wins.
    priorities: tuple[tuple[str, int], ...]
    params_json: str
    outputs: tuple[str, ...]


def run_dedup(
    context: Context,
    measured: Mapping[Part, Mapping[str, str]],
    screens: Mapping[Part, str],
    leaks: Mapping[Part, str],
) -> dict[Part, str]:
    """Find duplicates among the rows that neither filters nor decontamination dropped.

    Returns each part's verdicts (none when off).
    """
    params = context.recipe.dedup
    if params.mode == "off":
        return {}
    parts = tuple(sorted(screens))
    priorities = tuple(sorted((use.name, use.priority) for use in context.recipe.sources))
    name = fingerprint(
        [STAGE, VERSION],
        params,
        [list(item) for item in priorities],
        [[screens[part], measured[part][signature.NAME], part.ingest] for part in parts],
        *([[leaks[part] for part in parts]] if leaks else []),
    )
    paths = {part: part.attributes(STAGE, name) for part in parts}
    task = DedupTask(
        work=context.store.work.uri,
        parts=parts,
        screens=tuple(screens[part] for part in parts),
        leaks=tuple(leaks[part] for part in parts if part in leaks),
        signatures=tuple(measured[part][signature.NAME] for part in parts),
        priorities=priorities,
        params_json=params.model_dump_json(),
        outputs=tuple(paths[part] for part in parts),
    )
    run_pass(context, STAGE, deduplicate, [task])
    return paths


def deduplicate(task: DedupTask) -> None:
    """Decide over all live rows and write one verdict per record of every part."""
    store = Store(Location(task.work))
    params = DedupParams.model_validate_json(task.params_json)
    rows = pa.concat_tables([_live_rows(store, task, index) for index in range(len(task.parts))])
    removed = resolve.find_duplicates(rows, params)
    resolve.check_rails(rows, removed, params)
    verdicts = {row["id"]: row for row in removed.to_pylist()}
    for part, path in zip(task.parts, task.outputs, strict=True):
        ids = store.read(part.ingest, ["id"]).column("id").to_pylist()
        marks = [verdicts.get(identity, {"id": identity}) for identity in ids]
        store.write(path, pa.Table.from_pylist(marks, schema=VERDICTS))


def _live_rows(store: Store, task: DedupTask, index: int) -> pa.Table:
    """Return the surviving rows of one part with everything that the decision looks at."""
    part = task.parts[index]
    alive = store.read(task.screens[index], ["outcome"]).column("outcome").is_null()
    if task.leaks:
        alive = pc.and_not(alive, store.read(task.leaks[index], ["dropped"]).column("dropped"))
    measured = store.read(part.ingest)
    signatures = store.read(task.signatures[index]).drop_columns(["id"])
    table = measured
    for name in signatures.column_names:
        table = table.append_column(signatures.schema.field(name), signatures.column(name))
    size = table.num_rows
    table = table.append_column("source", pa.array([part.source] * size, pa.string()))
    table = table.append_column("priority", pa.array([dict(task.priorities)[part.source]] * size, pa.int32()))
    return table.filter(alive)

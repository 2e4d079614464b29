"""Rows as the passes before deduplication leave them in a run folder, and an engine that runs tasks where it is."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from infinity_mm.dedup import signature
from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.resolve import check_rails, find_duplicates
from infinity_mm.engine import Engine
from infinity_mm.filters.screen import SCREEN
from infinity_mm.fingerprint import fingerprint
from infinity_mm.pipeline.dedup.decide import VERDICTS
from infinity_mm.pipeline.deduplication import Sizes, run_dedup
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context
from infinity_mm.progress import Reporter
from infinity_mm.recipe import Recipe
from infinity_mm.schema import INGEST_ATTRIBUTES
from infinity_mm.store import Store

_LEAKS = pa.schema([pa.field("dropped", pa.bool_())])


@dataclass
class Here:
    """Runs every task at once, in this process, and notes which."""

    cpus: int = 1
    made: list[tuple[str, Any]] = field(default_factory=list)

    def map(
        self,
        stage: str,
        function: Callable[[Any], Any],
        tasks: Sequence[Any],
        resources: object = None,
        together: int = 1,
    ) -> Iterator[tuple[int, Any]]:
        for number, task in enumerate(tasks):
            self.made.append((stage, task))
            yield number, function(task)

    def count(self, stage: str) -> int:
        return sum(name == stage for name, _ in self.made)


@dataclass(frozen=True)
class Asked:
    """All that the pass is called with, but the engine: small, and the same in another process."""

    store: Store
    parts: tuple[Part, ...]
    priorities: dict[str, int]
    leaks: bool
    params: DedupParams
    sizes: Sizes


def deduplicate(asked: Asked, engine: Any) -> dict[Part, str]:
    """Run the pass; returns the paths of verdicts."""
    names = asked.priorities or {"none": 0}
    sources = [{"name": name, "root": "/nowhere", "priority": value} for name, value in sorted(names.items())]
    recipe = Recipe(name="stored", sources=sources, dedup=asked.params, partition_rows=1)
    context = Context(asked.store, engine, Reporter(quiet=True), recipe)
    measured = {part: {signature.NAME: _path("signature", part)} for part in asked.parts}
    screens = {part: _path("screen", part) for part in asked.parts}
    leaks = {part: _path("decontaminate", part) for part in asked.parts} if asked.leaks else {}
    return run_dedup(context, measured, screens, leaks, asked.sizes)


def under_ray(asked: Asked) -> None:
    """Run the pass on the node that ``RAY_ADDRESS`` names, as the main function of a process."""
    with Engine() as engine:
        deduplicate(asked, engine)


def _path(stage: str, part: Part) -> str:
    return part.attributes(stage, part.fingerprint)


@dataclass(frozen=True)
class Stored:
    """Parts in a run folder; `table` has the columns of `find_duplicates` and `alive`, bool."""

    store: Store
    tables: dict[Part, pa.Table]
    leaks: bool = False

    @staticmethod
    def of(store: Store, tables: dict[tuple[str, int], pa.Table], leaks: bool = False) -> "Stored":
        """Store tables by (source, number); parts are named by what their rows are."""
        named = {}
        for (source, number), table in tables.items():
            part = Part(source, number, fingerprint([repr(table.select(["id", "alive"]).to_pylist())]))
            named[part] = table
        found = Stored(store, named, leaks)
        for part, table in named.items():
            found._write(part, table)
        return found

    def _write(self, part: Part, table: pa.Table) -> None:
        empty = pa.nulls(len(table), pa.string())
        self.store.write(part.ingest, table.select(INGEST_ATTRIBUTES.names))
        self.store.write(_path("signature", part), table.select(signature.ATTRIBUTES.names))
        # Every other dead row is dead by the decontamination, where there is one.
        dead = pc.invert(table.column("alive")).to_pylist()
        leaked = [self.leaks and gone and number % 2 == 0 for number, gone in enumerate(dead)]
        outcome = ["dropped" if gone and not leak else None for gone, leak in zip(dead, leaked, strict=True)]
        screen = dict.fromkeys(SCREEN.names, empty) | {
            "id": table.column("id"),
            "outcome": pa.array(outcome, pa.string()),
        }
        self.store.write(_path("screen", part), pa.table(screen))
        self.store.write(_path("decontaminate", part), pa.table({"dropped": leaked}, schema=_LEAKS))

    def priorities(self) -> dict[str, int]:
        found = dict.fromkeys([part.source for part in self.tables], 0)
        return found | {
            part.source: table.column("priority")[0].as_py() for part, table in self.tables.items() if len(table)
        }

    def run(self, params: DedupParams, sizes: Sizes, engine: Any) -> dict[Part, str]:
        """Run the pass; returns the paths of verdicts."""
        return deduplicate(Asked(self.store, tuple(self.tables), self.priorities(), self.leaks, params, sizes), engine)

    def bytes_of(self, paths: dict[Part, str]) -> dict[Part, bytes]:
        return {part: self.store.at(path).read_bytes() for part, path in paths.items()}

    def expected(self, params: DedupParams) -> dict[Part, bytes]:
        """Return the verdict files that one look at all live rows together gives."""
        live = pa.concat_tables([table.filter(table.column("alive")) for table in self.tables.values()])
        removed = find_duplicates(live, params)
        check_rails(live, removed, params)
        verdicts = {row["id"]: row for row in removed.to_pylist()}
        found = {}
        for part, table in self.tables.items():
            marks = [verdicts.get(identity, {"id": identity}) for identity in table.column("id").to_pylist()]
            sink = pa.BufferOutputStream()
            rows = pa.Table.from_pylist(marks, schema=VERDICTS)
            pq.write_table(rows, sink, compression="zstd", row_group_size=64 * 1024, write_page_checksum=True)
            found[part] = sink.getvalue().to_pybytes()
        return found

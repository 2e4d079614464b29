"""An evaluation set to its part of an index: unit by unit, so that a stopped job goes on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

import pyarrow as pa

from infinity_mm.decontam.benchmarks import Columns, Role, choose_columns, known
from infinity_mm.decontam.index import (
    HASHES,
    KINDS,
    MANIFEST,
    NAME,
    PIXELS,
    BenchmarkEntry,
    check_params,
    read_manifest,
    write_benchmark,
)
from infinity_mm.decontam.inputs import PICTURE, Inputs, columns_of, find_inputs
from infinity_mm.decontam.measure import FAULT, LINES, SAME_AS, measure_unit
from infinity_mm.decontam.params import IndexParams
from infinity_mm.dedup.image.job import each_unit
from infinity_mm.errors import StageError, UsageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits
from infinity_mm.progress import Reporter
from infinity_mm.store import Store, part_name
from infinity_mm.versions import computing

VERSION = 2
_LIBRARIES = ("pillow", "ftfy")


@dataclass(frozen=True)
class BuildJob:
    """Which evaluation set, where its copy is, and where the index is."""

    name: str
    input: str
    out: Location
    params: IndexParams
    #: Columns that the user names.
    columns: Mapping[Role, str | None]
    image_roots: tuple[str, ...]
    workers: int


def build(job: BuildJob, reporter: Reporter) -> BenchmarkEntry:
    """Put an evaluation set into the index and return its entry; does nothing where it is there already.

    The copy is only read. Working files, which hold words of the copy, lie in ``state/`` of the index's folder and are
    removed at the end. Raises `UsageError` for a wrong name, input or column, and `StageError` where nothing could be
    hashed.
    """
    if NAME.fullmatch(job.name) is None:
        raise UsageError(f"--name {job.name!r}: expected small letters, digits and _")
    present = read_manifest(job.out) if (job.out / MANIFEST).exists() else None
    if present is not None:
        check_params(job.out, present, job.params)
    state = job.out / f"state/{job.name}"
    inputs = _inputs(job, state, reporter)
    columns = _columns(job, inputs)
    versions = computing(*_LIBRARIES)
    paths = [
        f"state/{job.name}/{part_name(unit.number, fingerprint(_about(job, columns), list(unit.digest), versions))}"
        for unit in inputs.units
    ]
    made_from = fingerprint(_about(job, columns), [list(unit.digest) for unit in inputs.units], versions)
    entry = None if present is None else present.benchmarks.get(job.name)
    if entry is None or entry.made_from != made_from:
        store = Store(job.out)
        each_unit(
            job.workers,
            store,
            inputs.units,
            paths,
            lambda unit, path: store.write(path, measure_unit(inputs, unit, columns, job.params, job.name)),
            reporter,
        )
        table, faults, rows = gather([store.read(path) for path in paths], job.name)
        if not len(table):
            most = "; ".join(f"{reason} {count}" for reason, count in faults.items()) or "no pictures, no questions"
            raise StageError(f"nothing of {job.input!r} could be hashed ({most}); name the columns, or --image-root")
        about = {
            "rows": rows,
            "unreadable": faults,
            "columns": _named(columns),
            "made_from": made_from,
            "sources": dict(inputs.files),
            "versions": tuple(versions),
        }
        write_benchmark(job.out, job.name, table, job.params, about)
        entry = read_manifest(job.out).benchmarks[job.name]
    state.delete_dir()
    if not (job.out / "state").folders():
        (job.out / "state").delete_dir()
    return entry


def _inputs(job: BuildJob, state: Location, reporter: Reporter) -> Inputs:
    inputs = find_inputs(job.input, job.image_roots, state / "prepared", known(job.name))
    if inputs.left_out:
        reporter.line(f"left out     training data: {', '.join(inputs.left_out)}")
    return inputs


def _columns(job: BuildJob, inputs: Inputs) -> Columns:
    if any(unit.files is not None for unit in inputs.units):
        return Columns(images=(PICTURE,))
    return choose_columns(job.name, columns_of(inputs), job.columns)


def _named(columns: Columns) -> dict[str, str]:
    question, answer = ([] if column is None else [column] for column in (columns.question, columns.answer))
    roles = {"image": columns.images, "question": question, "id": columns.id, "answer": answer}
    return {column: role for role, found in roles.items() for column in found}


def _about(job: BuildJob, columns: Columns) -> list[object]:
    limits = ImageLimits().model_dump(mode="json")
    return ["benchmark", VERSION, job.name, job.params.model_dump(), _named(columns), list(job.image_roots), limits]


def gather(parts: list[pa.Table], name: str) -> tuple[pa.Table, dict[str, int], int]:
    """Return `HASHES`, the faults by reason, and the number of rows, of the `LINES` of all units in order.

    Repeated ids get a number; pictures by reference are those of the first row of that id.
    """
    seen: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    pictures: dict[str, list[tuple[str, int]]] = {}
    found: list[tuple[str, str, int, int]] = []
    pending: list[tuple[str, str]] = []
    for part in [LINES.empty_table(), *parts]:
        last, item = -1, ""
        for line in part.to_pylist():
            if line["row"] != last:
                seen[line["item"]] += 1
                count = seen[line["item"]]
                last, item = line["row"], line["item"] if count == 1 else f"{line['item']}#{count}"
            if line["kind"] == FAULT:
                faults[str(line["text"]).partition(":")[0]] += 1
            elif line["kind"] == SAME_AS:
                pending.append((item, str(line["text"])))
            else:
                found.append((item, line["kind"], line["hash"], line["tokens"]))
                if line["kind"] in (*KINDS[: KINDS.index(PIXELS) + 1],):
                    pictures.setdefault(item, []).append((line["kind"], line["hash"]))
    for item, other in pending:
        if other not in pictures:
            faults["missing_image"] += 1
        found += [(item, kind, value, 0) for kind, value in pictures.get(other, ())]
    items, kinds, values, tokens = zip(*found, strict=True) if found else ((), (), (), ())
    table = pa.table(
        [
            pa.array([name] * len(items), pa.string()).dictionary_encode(),
            pa.array(items, pa.string()).dictionary_encode(),
            pa.array(kinds, pa.string()).dictionary_encode(),
            pa.array(values, pa.uint64()),
            pa.array(tokens, pa.int32()),
        ],
        names=HASHES.names,
    )
    return table.cast(HASHES), dict(sorted(faults.items())), sum(seen.values())

"""Own data against an index: pictures are hashed once, unit by unit, and matched as often as the index grows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from infinity_mm.decontam import judge
from infinity_mm.decontam.benchmarks import ANY, Columns
from infinity_mm.decontam.index import read_manifest
from infinity_mm.decontam.inputs import PICTURE, Inputs, Unit, columns_of, find_inputs, read_unit, texts_in
from infinity_mm.decontam.leakage import add_leakage
from infinity_mm.decontam.lookup import Lookup, open_lookup
from infinity_mm.decontam.matching import MATCHES, Pictures, batch_of, match, pixel_word
from infinity_mm.decontam.measure import Measurer, item_of
from infinity_mm.decontam.params import MatchParams
from infinity_mm.dedup.image.job import each_unit
from infinity_mm.dedup.image.params import ImageParams
from infinity_mm.dedup.ragged import ragged
from infinity_mm.errors import UsageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.images import ImageLimits
from infinity_mm.nearest import nearest
from infinity_mm.progress import Reporter
from infinity_mm.store import Store, part_name
from infinity_mm.versions import computing

VERSION = 1
#: Rows matched at a time.
BATCH_ROWS = 1_024
#: Columns in which texts are looked for; all that a file has of the first group that fits.
_TEXTS = (
    ("messages",), ("conversations",), ("conversation",), ("texts",), ("question", "query", "instruction", "input"),
    ("prompt",), ("text",), ("caption",),
)  # fmt: skip

#: What is known of the pictures of a row.
FACTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # Why a picture, or the row, could not be read; its other pictures and its texts are checked all the same.
        pa.field("faults", pa.list_(pa.string()), nullable=False),
        pa.field("phash", pa.list_(pa.uint64()), nullable=False),
        pa.field("pixels", pa.list_(pa.uint64()), nullable=False),
        pa.field("luma_std", pa.list_(pa.float64()), nullable=False),
        pa.field("rendered", pa.list_(pa.bool_()), nullable=False),
    ]
)
_FOUND = pa.schema([pa.field("id", pa.string(), nullable=False), *MATCHES])
LEAKS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("benchmark", pa.string(), nullable=False),
        pa.field("item", pa.string(), nullable=False),
        # image_and_question, image, or question.
        pa.field("kind", pa.string(), nullable=False),
        # Bits of 64 between the perceptual hashes; null without a picture.
        pa.field("distance", pa.int32()),
        # Share of the question's n-grams, 0 to 1, and its length in tokens; null without a question.
        pa.field("overlap", pa.float32()),
        pa.field("tokens", pa.int32()),
    ]
)


@dataclass(frozen=True)
class CheckJob:
    """What to check against which index, and how."""

    index: Location
    input: str
    out: Location
    params: MatchParams
    #: Benchmarks that count; () for all.
    benchmarks: tuple[str, ...]
    image_column: str | None
    text_columns: tuple[str, ...]
    id_column: str | None
    image_roots: tuple[str, ...]
    #: "full", or "scaled" for large JPEGs: see `infinity_mm.dedup.image.params`.
    decode: str
    workers: int


@dataclass(frozen=True)
class _Plan:
    job: CheckJob
    inputs: Inputs
    columns: Columns
    texts: tuple[str, ...]
    images: ImageParams
    lookup: Lookup


def check(job: CheckJob, reporter: Reporter) -> dict[str, Any]:
    """Write ``leaks.parquet`` (`LEAKS`) and ``summary.json`` into `job.out`; returns the summary.

    The result does not depend on the number of workers, nor on how often the job was stopped. Raises `UsageError` for
    an index that is none, and for input without the named columns.
    """
    manifest = read_manifest(job.index)
    names = manifest.choose(job.benchmarks)
    lookup = open_lookup(job.index.uri, manifest.digest(names), names)
    store = Store(job.out)
    inputs = find_inputs(job.input, job.image_roots, store.at("state/prepared"))
    columns, texts = _columns(job, inputs)
    images = ImageParams.model_validate(
        {"decode": job.decode, "max_flat": manifest.params.max_flat, "min_luma_std": job.params.min_luma_std}
    )
    plan = _Plan(job, inputs, columns, texts, images, lookup)
    facts = [_facts_path(plan, unit) for unit in inputs.units]
    each_unit(job.workers, store, inputs.units, facts, lambda unit, path: _hash_unit(plan, store, unit, path), reporter)
    found = [_match_path(plan, path) for path in facts]
    by_unit = dict(zip(inputs.units, facts, strict=True))

    def match_unit(unit: Unit, path: str) -> None:
        store.write(path, _match_unit(plan, unit, store.read(by_unit[unit])))

    each_unit(job.workers, store, inputs.units, found, match_unit, reporter, stage="match")
    for folder, paths in (("state/facts", facts), ("state/matches", found)):
        store.sweep(folder, [path.rpartition("/")[2] for path in paths])
    return _write(plan, store, facts, found)


def _columns(job: CheckJob, inputs: Inputs) -> tuple[Columns, tuple[str, ...]]:
    if any(unit.files is not None for unit in inputs.units):
        return Columns(images=(PICTURE,)), ()
    there = columns_of(inputs)
    for option, names in (("image", (job.image_column,)), ("text", job.text_columns), ("id", (job.id_column,))):
        for name in names:
            if name is not None and name not in there:
                raise UsageError(f"--{option}-column: there is no column {name!r}; {nearest(name, there)}")
    image = job.image_column or next((name for name in ANY.image if name in there), None)
    usual = next((group for group in _TEXTS if any(name in there for name in group)), ())
    texts = job.text_columns or tuple(name for name in usual if name in there)
    if image is None and not texts:
        raise UsageError(
            f"neither pictures nor texts found in the columns {', '.join(sorted(there))}; name them by --image-column "
            "and --text-column"
        )
    key = job.id_column or next((name for name in ANY.id if name in there), None)
    return Columns(images=() if image is None else (image,), id=(key,) if isinstance(key, str) else ()), texts


def _facts_path(plan: _Plan, unit: Unit) -> str:
    images = plan.images.model_dump(mode="json", include={"decode", "max_flat", "min_luma_std"})
    columns = [list(plan.columns.images), list(plan.columns.id), list(plan.inputs.image_roots)]
    name = fingerprint(["facts", VERSION], images, columns, list(unit.digest), ImageLimits(), computing("pillow"))
    return f"state/facts/{part_name(unit.number, name)}"


def _match_path(plan: _Plan, facts: str) -> str:
    matters = plan.job.params.model_dump(mode="json", exclude={"require"})
    name = fingerprint(
        ["matches", VERSION], matters, plan.lookup.digest, [facts, list(plan.texts)], computing("pillow", "ftfy")
    )
    number = int(facts.rpartition("/")[2].split("-")[1])
    return f"state/matches/{part_name(number, name)}"


def _hash_unit(plan: _Plan, store: Store, unit: Unit, path: str) -> None:
    measurer = Measurer(plan.inputs, plan.images)
    rows = []
    for found in read_unit(plan.inputs, unit):
        seen = [] if found.fault is None else [found.fault]
        measured = [facts for column in plan.columns.images for facts in measurer.measure(found.row.get(column))]
        facts = [one for one in measured if not isinstance(one, str)]
        rows.append(
            {
                "id": item_of(found.row, plan.columns, found.place),
                "faults": [*seen, *(one for one in measured if isinstance(one, str))],
                "phash": [one.phash for one in facts],
                "pixels": [pixel_word(one.content) for one in facts],
                "luma_std": [one.luma_std for one in facts],
                "rendered": [one.rendered for one in facts],
            }
        )
    store.write(path, pa.Table.from_pylist(rows, schema=FACTS))


def _match_unit(plan: _Plan, unit: Unit, facts: pa.Table) -> pa.Table:
    texts = read_unit(plan.inputs, unit) if plan.texts else iter(())
    tables = [_FOUND.empty_table()]
    for start in range(0, len(facts), BATCH_ROWS):
        batch = facts.slice(start, BATCH_ROWS)
        said, owner = _texts(plan, texts, len(batch))
        phash = ragged(batch.column("phash"))
        pictures = Pictures(
            phash,
            ragged(batch.column("pixels")).values,
            ragged(batch.column("luma_std")).values,
            ragged(batch.column("rendered")).values.astype(bool),
        )
        everything = np.ones(len(batch), bool)
        table = match(batch_of(said, owner, pictures, everything, plan.job.params), plan.lookup, plan.job.params)
        row = table.column("row")
        ids = batch.column("id").take(row)
        places = pa.array(row.to_numpy() + start)
        table = table.set_column(0, MATCHES.field("row"), places)
        tables.append(table.add_column(0, _FOUND.field("id"), ids))
    return pa.concat_tables(tables)


def _texts(plan: _Plan, rows: Iterator[Any], count: int) -> tuple[pa.Array, np.ndarray[Any, np.dtype[np.int64]]]:
    """Return the texts of the next rows, and the row of each."""
    said: list[str] = []
    owner: list[int] = []
    for number, found in enumerate(islice(rows, count)):
        texts = [text for name in plan.texts for text in texts_in(found.row.get(name))]
        said += texts
        owner += [number] * len(texts)
    return pa.array(said, pa.string()), np.array(owner, np.int64)


def _write(plan: _Plan, store: Store, facts: Sequence[str], found: Sequence[str]) -> dict[str, Any]:
    params = plan.job.params
    asked = (judge.asked_about(store.read(path), params.max_pictures + 1) for path in found)
    generic = judge.templates(asked, params.max_pictures)
    leaks, sums = [LEAKS.empty_table()], []
    faults: Counter[str] = Counter()
    for facts_path, path in zip(facts, found, strict=True):
        lost = store.read(facts_path, ["faults"]).column("faults").to_pylist()
        faults.update(fault.partition(":")[0] for row in lost for fault in row)
        table = judge.leaks(store.read(path), generic, params)
        sums.append(judge.tally(table, len(lost)))
        leaks.append(table.rename_columns({"evidence": "kind"}).select(LEAKS.names).cast(LEAKS))
    leakage = add_leakage(sums)
    summary = {
        "rows": leakage.checked,
        "leaking": leakage.rows,
        "benchmarks": {name: leak.model_dump() for name, leak in leakage.benchmarks.items()},
        "template_questions": len(generic),
        "unreadable": dict(sorted(faults.items())),
        "columns": {"image": list(plan.columns.images), "text": list(plan.texts), "id": list(plan.columns.id)},
        "index": {"digest": plan.lookup.digest, "benchmarks": list(plan.lookup.benchmarks)},
        "parameters": {**params.model_dump(mode="json"), "decode": plan.images.decode},
        "input": plan.job.input,
    }
    store.write("leaks.parquet", pa.concat_tables(leaks))
    store.at("summary.json").write_bytes(orjson.dumps(summary, option=orjson.OPT_INDENT_2))
    return summary

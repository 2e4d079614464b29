"""The decontamination pass: surviving rows against an index of evaluation sets, before duplicates are looked for.

In three steps. Each part is matched by itself (``state/matches/``); all parts together say which questions are asked
about so many pictures that they are templates; then each part's verdicts are written beside its records. Adding a
source or changing what must match repeats only the cheap steps.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from infinity_mm.decontam import judge
from infinity_mm.decontam.index import VERSION as INDEX_VERSION
from infinity_mm.decontam.index import read_manifest
from infinity_mm.decontam.judge import ASKED
from infinity_mm.decontam.leakage import Leakage, LeakageReport, add_leakage
from infinity_mm.decontam.lookup import open_lookup
from infinity_mm.decontam.matching import MATCHES, Pictures, batch_of, match, pixel_word
from infinity_mm.decontam.params import DecontamParams, MatchParams
from infinity_mm.dedup.ragged import Ints, ragged
from infinity_mm.errors import StageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.store import Store, part_name
from infinity_mm.versions import computing

VERSION = 1
STAGE = "decontaminate"
#: Rows matched at a time.
BATCH_ROWS = 2_048
_MEASURED = ("category", "phash", "pixel_sha256", "luma_std")

#: Per record of a part, in order; all null, or empty, where nothing was found.
VERDICTS = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        pa.field("reason", pa.string()),
        # The benchmark, the item, and how near it is.
        pa.field("detail", pa.string()),
        pa.field("benchmarks", pa.list_(pa.string()), nullable=False),
        # False for a row that is only marked.
        pa.field("dropped", pa.bool_(), nullable=False),
    ]
)


class _Sums(Frozen):
    """The verdicts on one part, counted."""

    leakage: Leakage
    examples: tuple[str, ...]


@dataclass(frozen=True)
class MatchTask:
    """One part against the index."""

    work: str
    part: Part
    screen: str
    index: str
    digest: str
    benchmarks: tuple[str, ...]
    params_json: str
    output: str
    #: `infinity_mm.decontam.judge.ASKED` of the part.
    asked: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The matches, and the questions in them."""
        return (self.output, self.asked)


@dataclass(frozen=True)
class TemplateTask:
    """The questions in all parts."""

    work: str
    asked: tuple[str, ...]
    max_pictures: int
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The templates among them."""
        return (self.output,)


@dataclass(frozen=True)
class JudgeTask:
    """The verdicts on one part."""

    work: str
    part: Part
    screen: str
    matches: str
    templates: str
    params_json: str
    drop: bool
    output: str
    sums: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """The verdicts, and their sums."""
        return (self.output, self.sums)


def run_decontamination(context: Context, screens: Mapping[Part, str]) -> tuple[dict[Part, str], LeakageReport | None]:
    """Judge every row that no filter dropped; returns each part's verdicts, and the leakage table (none when off).

    Raises `StageError` where a source would lose more of its rows than `max_drop`.
    """
    params = context.recipe.decontaminate
    if params is None:
        return {}, None
    index = Location(params.index)
    manifest = read_manifest(index)
    names = manifest.choose(params.benchmarks)
    digest = manifest.digest(names)
    if params.digest not in ("", digest):
        raise StageError(f"the index at {index} is {digest} now, it was {params.digest} before the run: run again")
    matching = _match_tasks(context, params, screens, digest, names)
    run_pass(context, f"{STAGE}-match", match_part, matching)
    asked = tuple(task.asked for task in matching)
    output = f"state/templates/{part_name(0, fingerprint(['templates', VERSION, params.max_pictures], list(asked)))}"
    templates = TemplateTask(context.store.work.uri, asked, params.max_pictures, output)
    run_pass(context, f"{STAGE}-templates", find_templates, [templates])
    # By content: most parts that are added bring no template, and then no other part is judged again.
    said = hashlib.blake2b(context.store.at(output).read_bytes(), digest_size=8).hexdigest()
    judging = [_judge_task(context, params, task, output, said) for task in matching]
    run_pass(context, STAGE, judge_part, judging)
    report = LeakageReport(
        index=digest, benchmarks=names, mode=params.mode, sources=_sum(context.store, params, judging)
    )
    return {task.part: task.output for task in judging}, report


def _match_tasks(
    context: Context, params: DecontamParams, screens: Mapping[Part, str], digest: str, names: tuple[str, ...]
) -> list[MatchTask]:
    matters = params.matching().model_dump(mode="json", exclude={"require"})
    made_by = [STAGE, VERSION, INDEX_VERSION, digest, computing("ftfy")]
    tasks = []
    for part in sorted(screens):
        name = part_name(part.number, fingerprint(made_by, matters, [part.fingerprint, screens[part]]))
        tasks.append(
            MatchTask(
                work=context.store.work.uri,
                part=part,
                screen=screens[part],
                index=params.index,
                digest=digest,
                benchmarks=names,
                params_json=params.matching().model_dump_json(),
                output=f"state/matches/{part.source}/{name}",
                asked=f"state/asked/{part.source}/{name}",
            )
        )
    return tasks


def _judge_task(context: Context, params: DecontamParams, task: MatchTask, templates: str, digest: str) -> JudgeTask:
    name = fingerprint([STAGE, VERSION, params.mode, params.require], [task.output, digest])
    return JudgeTask(
        work=context.store.work.uri,
        part=task.part,
        screen=task.screen,
        matches=task.output,
        templates=templates,
        params_json=task.params_json,
        drop=params.mode == "drop",
        output=task.part.attributes(STAGE, name),
        sums=f"state/leakage/{task.part.source}/part-{task.part.number:05d}-{name}.json",
    )


def match_part(task: MatchTask) -> None:
    """Write the matches of the rows of one part that no filter dropped."""
    store = Store(Location(task.work))
    params = MatchParams.model_validate_json(task.params_json)
    lookup = open_lookup(task.index, task.digest, task.benchmarks)
    alive = _alive(store, task.screen)
    measured = store.read(task.part.ingest, _MEASURED)
    tables = [MATCHES.empty_table()]
    start = 0
    with store.at(task.part.records).open_input() as stream:
        parquet = pq.ParquetFile(stream, page_checksum_verification=True)
        for batch in parquet.iter_batches(BATCH_ROWS, columns=["messages"], use_threads=False):
            size = batch.num_rows
            live = alive[start : start + size]
            texts, owner = _texts(batch.column("messages"))
            pictures = _pictures(measured.slice(start, size), params)
            table = match(batch_of(texts, owner, pictures, live, params), lookup, params)
            places = pa.array(table.column("row").to_numpy() + start)
            tables.append(table.set_column(0, MATCHES.field("row"), places))
            start += size
    found = pa.concat_tables(tables)
    store.write(task.asked, judge.asked_about(found, params.max_pictures + 1))
    store.write(task.output, found)


def _alive(store: Store, screen: str) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    dead = store.read(screen, ["outcome"]).column("outcome").is_valid()
    return ~np.array(dead.to_pylist(), bool)


def _texts(messages: pa.ListArray) -> tuple[pa.Array, Ints]:
    """Return all turns of all roles, and the row of each."""
    sizes = messages.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    return messages.flatten().field("content"), np.repeat(np.arange(len(messages), dtype=np.int64), sizes)


def _pictures(measured: pa.Table, params: MatchParams) -> Pictures:
    phash = ragged(measured.column("phash"))
    digests = [word for row in measured.column("pixel_sha256").to_pylist() for word in row]
    exact = [category in params.pixel_exact_categories for category in measured.column("category").to_pylist()]
    return Pictures(
        phash=phash,
        pixels=np.array([pixel_word(digest) for digest in digests], np.uint64),
        luma_std=ragged(measured.column("luma_std")).values,
        rendered=np.repeat(np.array(exact, bool), phash.size),
    )


def find_templates(task: TemplateTask) -> None:
    """Write the questions that all parts together ask about too many pictures."""
    store = Store(Location(task.work))
    found = judge.templates((store.read(path) for path in task.asked), task.max_pictures)
    store.write(task.output, pa.table([found], schema=pa.schema([ASKED.field("question")])))


def judge_part(task: JudgeTask) -> None:
    """Write one verdict per record of a part, and their sums."""
    store = Store(Location(task.work))
    params = MatchParams.model_validate_json(task.params_json)
    generic = store.read(task.templates).column("question").combine_chunks()
    found = judge.leaks(store.read(task.matches), generic, params)
    told = judge.verdicts(found)
    ids = store.read(task.part.ingest, ["id"]).column("id").to_pylist()
    marks = []
    for row, identity in enumerate(ids):
        reason, detail, names = told.get(row, (None, None, []))
        dropped = task.drop and reason is not None
        marks.append({"id": identity, "reason": reason, "detail": detail, "benchmarks": names, "dropped": dropped})
    store.write(task.output, pa.Table.from_pylist(marks, schema=VERDICTS))
    checked = int(_alive(store, task.screen).sum())
    examples = tuple(f"{ids[row]}  {told[row][0]}  {told[row][1]}" for row in sorted(told)[: judge.SHOWN])
    sums = _Sums(leakage=judge.tally(found, checked), examples=examples)
    store.at(task.sums).write_bytes(orjson.dumps(sums.model_dump(mode="json")))


def _sum(store: Store, params: DecontamParams, tasks: list[JudgeTask]) -> dict[str, Leakage]:
    leakage: dict[str, Leakage] = {}
    examples: dict[str, list[str]] = {}
    for task in tasks:
        sums = _Sums.model_validate_json(store.at(task.sums).read_bytes())
        source = task.part.source
        leakage[source] = add_leakage([leakage.get(source, Leakage()), sums.leakage])
        examples.setdefault(source, []).extend(sums.examples)
    if params.mode == "drop":
        for source, found in leakage.items():
            judge.check_loss(source, found, params.max_drop, examples[source])
    return dict(sorted(leakage.items()))

"""The decontamination pass: surviving rows against an index of evaluation sets, before duplicates are looked for.

Generated rows are looked at as soon as there are any, with the pictures that they were made for: a model may know the
questions of an evaluation set by heart.

In three steps. Each part is matched by itself (``state/matches/``); all parts together say which questions are asked
about so many pictures that they are templates; then each part's verdicts are written beside its records. Adding a
source or changing what must match repeats only the cheap steps.

Generated rows are judged in the same way as soon as there are any, with the pictures that they were made for: a model
may know the questions of an evaluation set by heart.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.compute as pc
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
from infinity_mm.pipeline.books import Fate
from infinity_mm.pipeline.parts import SYNTHETIC, Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.schema import INGEST_ATTRIBUTES
from infinity_mm.store import Store, part_name
from infinity_mm.versions import computing

VERSION = 2
STAGE = "decontaminate"
#: Rows matched at a time.
BATCH_ROWS = 2_048
_MEASURED = ("category", "phash", "pixel_sha256", "luma_std", "flat")

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
    #: Share of the most frequent tone from which the index took a picture for rendered.
    max_flat: float
    params_json: str
    #: Of generated rows: (attributes of its part, row inside it) of each record that they were made for.
    parents: tuple[tuple[str, int], ...]
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
    #: Generated rows: of their attempts, the finished ones are records.
    generated: bool
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


@dataclass(frozen=True)
class _Index:
    """The index that the recipe names, as it is now."""

    params: DecontamParams
    digest: str
    benchmarks: tuple[str, ...]
    max_flat: float

    @staticmethod
    def of(params: DecontamParams) -> _Index:
        place = Location(params.index)
        manifest = read_manifest(place)
        names = manifest.choose(params.benchmarks)
        digest = manifest.digest(names)
        if params.digest not in ("", digest):
            raise StageError(f"the index at {place} is {digest} now, it was {params.digest} before the run: run again")
        return _Index(params, digest, names, manifest.params.max_flat)


def run_decontamination(context: Context, screens: Mapping[Part, str]) -> tuple[dict[Part, str], LeakageReport | None]:
    """Judge every row that no filter dropped; returns each part's verdicts, and the leakage table (none when off).

    Raises `StageError` where a source would lose more of its rows than `max_drop`.
    """
    params = context.recipe.decontaminate
    if params is None:
        return {}, None
    index = _Index.of(params)
    matching = [_match_task(context, index, part, screens[part]) for part in sorted(screens)]
    judging = _judge(context, index, STAGE, matching)
    leakage, examples = _sum(context.store, judging)
    if params.mode == "drop":
        for source, found in leakage.items():
            judge.check_loss(source, found, params.max_drop, examples[source])
    report = LeakageReport(index=index.digest, benchmarks=index.benchmarks, mode=params.mode, sources=leakage)
    return {task.part: task.output for task in judging}, report


def check_generated(
    context: Context, made: Sequence[Fate], fates: Sequence[Fate], leakage: LeakageReport | None
) -> tuple[list[Fate], LeakageReport | None]:
    """Judge generated rows, of which `made` are the fates, as ingested ones; returns their fates and the whole table.

    `fates` are those of the ingested rows. A question is a template where both together ask it about many pictures.
    No share of them stops the run: what a model repeats is dropped, and the table says how much that was.
    """
    params = context.recipe.decontaminate
    if params is None or leakage is None:
        return list(made), leakage
    index = _Index.of(params)
    beside = [_match_task(context, index, fate.part, fate.screen).asked for fate in fates]
    measured = {fate.part.records: fate.part.ingest for fate in fates}
    matching = []
    for fate in made:
        parents = tuple((measured[path], row) for path, row in fate.parents)
        matching.append(_match_task(context, index, fate.part, fate.screen, parents))
    judging = _judge(context, index, f"{STAGE}-generated", matching, beside)
    sums, _ = _sum(context.store, judging)
    told = [replace(fate, decontaminate=task.output) for fate, task in zip(made, judging, strict=True)]
    return told, leakage.model_copy(update={"sources": {**leakage.sources, SYNTHETIC: Leakage(), **sums}})


def _judge(
    context: Context, index: _Index, stage: str, matching: Sequence[MatchTask], beside: Sequence[str] = ()
) -> list[JudgeTask]:
    """Match parts, find the templates among their questions and those `beside` them, and judge the parts."""
    run_pass(context, f"{stage}-match", match_part, matching)
    asked = (*beside, *(task.asked for task in matching))
    many = index.params.max_pictures
    name = part_name(0, fingerprint(["templates", VERSION, many], list(asked)))
    finding = TemplateTask(context.store.work.uri, asked, many, f"state/{stage}-templates/{name}")
    run_pass(context, f"{stage}-templates", find_templates, [finding])
    # By content: most parts that are added bring no template, and then no other part is judged again.
    said = hashlib.blake2b(context.store.at(finding.output).read_bytes(), digest_size=8).hexdigest()
    judging = [_judge_task(context, index.params, task, finding.output, said) for task in matching]
    run_pass(context, stage, judge_part, judging)
    return judging


def _match_task(
    context: Context, index: _Index, part: Part, screen: str, parents: tuple[tuple[str, int], ...] = ()
) -> MatchTask:
    params = index.params.matching()
    matters = params.model_dump(mode="json", exclude={"require"})
    made_by = [STAGE, VERSION, INDEX_VERSION, index.digest, computing("ftfy")]
    made_of = [part.fingerprint, screen, *parents]
    name = part_name(part.number, fingerprint(made_by, matters, made_of))
    return MatchTask(
        work=context.store.work.uri,
        part=part,
        screen=screen,
        index=index.params.index,
        digest=index.digest,
        benchmarks=index.benchmarks,
        max_flat=index.max_flat,
        params_json=params.model_dump_json(),
        parents=parents,
        output=f"state/matches/{part.source}/{name}",
        asked=f"state/asked/{part.source}/{name}",
    )


def _judge_task(context: Context, params: DecontamParams, task: MatchTask, templates: str, digest: str) -> JudgeTask:
    name = fingerprint([STAGE, VERSION, params.mode, params.require], [task.output, digest])
    return JudgeTask(
        work=context.store.work.uri,
        part=task.part,
        screen=task.screen,
        generated=task.part.source == SYNTHETIC,
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
    if task.part.source == SYNTHETIC:
        measured = _of_parents(store, task)
        alive = np.ones(len(measured), bool)  # what was not finished is no record
    else:
        measured = store.read(task.part.ingest, _MEASURED)
        alive = _alive(store, task.screen)
    tables = [MATCHES.empty_table()]
    start = 0
    with store.at(task.part.records).open_input() as stream:
        parquet = pq.ParquetFile(stream, page_checksum_verification=True)
        for batch in parquet.iter_batches(BATCH_ROWS, columns=["messages"], use_threads=False):
            size = batch.num_rows
            live = alive[start : start + size]
            texts, owner = _texts(batch.column("messages"))
            pictures = _pictures(measured.slice(start, size), params, task.max_flat)
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


def _of_parents(store: Store, task: MatchTask) -> pa.Table:
    """Return what was measured of the picture of each generated row: it is that of the record it was made for."""
    tables = [store.read(path, ["id", *_MEASURED]).slice(row, 1) for path, row in task.parents] or [
        INGEST_ATTRIBUTES.empty_table().select(["id", *_MEASURED])
    ]
    table = pa.concat_tables(tables)
    parents = store.read(task.part.records, ["parent"]).column("parent")
    return table.take(pc.index_in(parents, value_set=table.column("id").combine_chunks())).combine_chunks()


def _texts(messages: pa.ListArray) -> tuple[pa.Array, Ints]:
    """Return all turns of all roles, and the row of each."""
    sizes = messages.value_lengths().to_numpy(zero_copy_only=False).astype(np.int64)
    return messages.flatten().field("content"), np.repeat(np.arange(len(messages), dtype=np.int64), sizes)


def _pictures(measured: pa.Table, params: MatchParams, max_flat: float) -> Pictures:
    phash = ragged(measured.column("phash"))
    digests = [word for row in measured.column("pixel_sha256").to_pylist() for word in row]
    exact = [category in params.pixel_exact_categories for category in measured.column("category").to_pylist()]
    return Pictures(
        phash=phash,
        pixels=np.array([pixel_word(digest) for digest in digests], np.uint64),
        luma_std=ragged(measured.column("luma_std")).values,
        rendered=np.repeat(np.array(exact, bool), phash.size) | (ragged(measured.column("flat")).values >= max_flat),
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
    screened = store.read(task.screen, ["id", "outcome"])
    ids = screened.column("id").to_pylist()
    living = screened.column("outcome").is_null().to_numpy()
    record_of = np.cumsum(living) - 1 if task.generated else np.arange(len(ids))
    marks, examples = [], []
    for identity, row, lives in zip(ids, record_of.tolist(), living.tolist(), strict=True):
        reason, detail, names = told.get(row, (None, None, [])) if lives else (None, None, [])
        dropped = task.drop and reason is not None
        marks.append({"id": identity, "reason": reason, "detail": detail, "benchmarks": names, "dropped": dropped})
        if reason is not None:
            examples.append(f"{identity}  {reason}  {detail}")
    store.write(task.output, pa.Table.from_pylist(marks, schema=VERDICTS))
    sums = _Sums(leakage=judge.tally(found, int(living.sum())), examples=tuple(examples[: judge.SHOWN]))
    store.at(task.sums).write_bytes(orjson.dumps(sums.model_dump(mode="json")))


def _sum(store: Store, tasks: Sequence[JudgeTask]) -> tuple[dict[str, Leakage], dict[str, list[str]]]:
    """Return what each source leaks, and some of its rows that do."""
    leakage: dict[str, Leakage] = {}
    examples: dict[str, list[str]] = {}
    for task in tasks:
        sums = _Sums.model_validate_json(store.at(task.sums).read_bytes())
        source = task.part.source
        leakage[source] = add_leakage([leakage.get(source, Leakage()), sums.leakage])
        examples.setdefault(source, []).extend(sums.examples)
    return dict(sorted(leakage.items())), examples

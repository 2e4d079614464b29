"""Identity, measurements and screens: attributes beside the records, verdicts from attributes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unicodedata import unidata_version

import pyarrow as pa

from infinity_mm.dedup import signature
from infinity_mm.dedup.params import SignatureParams
from infinity_mm.filters.base import Filter, FilterParams, Verdict
from infinity_mm.filters.catalogue import load as load_filter
from infinity_mm.filters.screen import SCREEN, screen
from infinity_mm.fingerprint import fingerprint
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.licenses import LicensePolicy
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.store import Store
from infinity_mm.takedown import Takedown, parse_takedown, read_takedowns
from infinity_mm.versions import computing

if TYPE_CHECKING:
    from infinity_mm.pipeline.ingest import IngestTask

IDENTITY = pa.schema(
    [
        pa.field("id", pa.string(), nullable=False),
        # The first row of the same file with the same native key; null for that row itself.
        pa.field("duplicate_of", pa.string()),
    ]
)
IDENTITY_VERSION = 1
#: Packages whose models and tables measurements of texts depend on, beside Python's own of Unicode.
_LIBRARIES = ("ftfy", "py3langid")
#: Raised whenever a policy judges another way.
LICENSE_VERSION = 1
SCREEN_VERSION = 1
TAKEDOWN_VERSION = 1
#: Parts that one task of Ray takes where there are many: each takes tenths of a second.
TOGETHER = 8


@dataclass(frozen=True)
class IdentityTask:
    """All parts of one file of a source: native ids are compared inside it."""

    work: str
    parts: tuple[Part, ...]
    #: Whether the source promises that native ids are unique.
    unique: bool
    outputs: tuple[str, ...]


def run_identity(context: Context, ingested: Sequence[IngestTask]) -> dict[Part, str]:
    """Find repeated native ids; returns the attribute path of every part."""
    promised = {use.name: use.load().card.unique_ids for use in context.recipe.sources}
    by_file: dict[tuple[str, str], list[Part]] = {}
    for task in ingested:
        by_file.setdefault((task.part.source, task.split.file), []).append(task.part)
    paths: dict[Part, str] = {}
    tasks = []
    for members in by_file.values():
        unique = promised[members[0].source]
        name = fingerprint(["identity", IDENTITY_VERSION, unique], [part.fingerprint for part in members])
        own = {part: part.attributes("identity", name) for part in members}
        paths |= own
        tasks.append(IdentityTask(context.store.work.uri, tuple(members), unique, tuple(own.values())))
    run_pass(context, "identity", find_repeats, tasks)
    return paths


def find_repeats(task: IdentityTask) -> None:
    """Mark each row whose native key was seen before in the same file of a source with unique keys."""
    store = Store(Location(task.work))
    first: dict[str, str] = {}
    for part, path in zip(task.parts, task.outputs, strict=True):
        rows = store.read(part.records, ["id", "source_id"]).to_pylist()
        marks: list[dict[str, Any]] = []
        for row in rows:
            seen = first.setdefault(row["source_id"], row["id"]) if task.unique and row["source_id"] else row["id"]
            marks.append({"id": row["id"], "duplicate_of": None if seen == row["id"] else seen})
        store.write(path, pa.Table.from_pylist(marks, schema=IDENTITY))


@dataclass(frozen=True)
class MeasureTask:
    """The measurements of one part: several stages in one reading of the records."""

    work: str
    part: Part
    #: (filter name or "signature", parameters as JSON-able dict items, output path).
    stages: tuple[tuple[str, str, str], ...]

    @property
    def outputs(self) -> tuple[str, ...]:
        """One attribute file per stage."""
        return tuple(path for _, _, path in self.stages)


@dataclass(frozen=True)
class Measured:
    """Where the attributes of each part are: stage -> path."""

    paths: dict[Part, dict[str, str]]


def run_measure(context: Context, parts: Sequence[Part]) -> dict[Part, dict[str, str]]:
    """Measure every part for every filter of the recipe and for deduplication."""
    measuring: list[tuple[str, int, FilterParams | SignatureParams, dict[str, Any]]] = []
    for use in context.recipe.filters:
        module, params = use.load()
        if module.READS:
            measuring.append((use.use, module.VERSION, params, params.model_dump(include=set(params.MEASURED))))
    if context.recipe.dedup.mode != "off":
        wanted = context.recipe.dedup.signature
        measuring.append((signature.NAME, signature.VERSION, wanted, wanted.model_dump()))
    libraries = [*computing(*_LIBRARIES), f"unicode {unidata_version}"]
    tasks, paths = [], {}
    for part in parts:
        stages = []
        for name, version, given, matters in measuring:
            path = part.attributes(name, fingerprint([name, version, libraries], matters, part.fingerprint))
            stages.append((name, given.model_dump_json(), path))
        paths[part] = {name: path for name, _, path in stages} | {"ingest": part.ingest}
        tasks.append(MeasureTask(context.store.work.uri, part, tuple(stages)))
    run_pass(context, "measure", measure_part, tasks, together=TOGETHER)
    return paths


def measure_part(task: MeasureTask) -> None:
    """Read the columns that the missing stages need, once, and write one file per stage."""
    store = Store(Location(task.work))
    missing = set(store.missing(task.outputs))
    stages = [stage for stage in task.stages if stage[2] in missing]
    modules: list[Any] = [signature if name == signature.NAME else load_filter(name) for name, _, _ in stages]
    columns = sorted({"id", "category"}.union(*(module.READS for module in modules)))
    records = store.read(task.part.records, columns)
    for module, (name, params_json, path) in zip(modules, stages, strict=True):
        kind = SignatureParams if name == signature.NAME else module.Params
        table = module.measure(records, kind.model_validate_json(params_json))
        store.write(path, table.cast(module.ATTRIBUTES), hashes=signature.HASHES if name == signature.NAME else ())


@dataclass(frozen=True)
class ScreenTask:
    """The verdicts of all filters on one part."""

    work: str
    identity: str
    #: Attribute stage -> path.
    attributes: tuple[tuple[str, str], ...]
    #: (filter name, parameters as JSON), in the recipe's order.
    filters: tuple[tuple[str, str], ...]
    output: str
    losses: str
    #: The records, for what is judged by them.
    records: str
    #: The policy, as `LicensePolicy.text` writes it; "" for "any".
    licenses: str = ""
    #: The entries of all lists; "" without any.
    takedown: str = ""

    @property
    def outputs(self) -> tuple[str, ...]:
        """The verdicts, and their sums."""
        return (self.output, self.losses)


class Loss(Frozen):
    """What one stage took from one part."""

    rows: int
    #: Up to five rows, as a person reads them.
    examples: tuple[str, ...]


class Losses(Frozen):
    """The verdicts on one part, counted."""

    rows: int
    stages: dict[str, Loss]


def run_screen(context: Context, identity: dict[Part, str], measured: dict[Part, dict[str, str]]) -> dict[Part, str]:
    """Judge every part; returns the path of its verdicts."""
    filters = tuple((use.use, use.load()[1].model_dump_json()) for use in context.recipe.filters)
    versions = [[use.use, use.load()[0].VERSION] for use in context.recipe.filters]
    policy = context.recipe.licenses
    licenses = "" if policy.refuses_nothing else policy.text()
    judged: list[object] = [licenses, LICENSE_VERSION] if licenses else []
    takedown = _keep_takedown(context)
    judged += [TAKEDOWN_VERSION, takedown] if takedown else []
    tasks, paths = [], {}
    for part, attributes in measured.items():
        inputs = {"identity": identity[part], **attributes}
        name = fingerprint(["screen", SCREEN_VERSION, *judged], [list(f) for f in filters], versions, inputs)
        paths[part] = part.attributes("screen", name)
        beside = tuple(sorted(attributes.items()))
        losses = _losses_path(part, paths[part])
        made_of = (context.store.work.uri, identity[part], beside, filters)
        tasks.append(ScreenTask(*made_of, paths[part], losses, part.records, licenses, takedown))
    run_pass(context, "screen", screen_part, tasks, together=TOGETHER)
    return paths


def _keep_takedown(context: Context) -> str:
    """Write the entries of the recipe's lists where every worker finds them; returns the path, "" without lists."""
    lists = context.recipe.takedown
    if not lists:
        return ""
    takedown = read_takedowns(lists)
    path = f"state/takedown/{takedown.digest}.txt"
    context.store.at(path).write_bytes(takedown.text())
    return path


def screen_part(task: ScreenTask) -> None:
    """Write outcome, stage, reason and detail per row; null where the row lives on."""
    store = Store(Location(task.work))
    loaded: list[tuple[Filter, FilterParams]] = []
    for name, params_json in task.filters:
        module = load_filter(name)
        loaded.append((module, module.Params.model_validate_json(params_json)))
    needed = {stage for module, _ in loaded for stage in module.FROM} | {"ingest"}
    tables = {stage: store.read(path) for stage, path in task.attributes if stage in needed}
    repeats = store.read(task.identity).column("duplicate_of").to_pylist()
    verdicts = screen(tables, loaded).to_pylist()
    for verdict, winner in zip(verdicts, repeats, strict=True):
        if winner is not None:
            mark = Verdict("duplicate_id", f"the native id belongs to {winner} already")
            verdict |= {"outcome": mark.outcome, "stage": "identity", "reason": mark.reason, "detail": mark.detail}
    if task.licenses:
        licenses = store.read(task.records, ["license"]).column("license").to_pylist()
        refuse_licenses(verdicts, licenses, LicensePolicy.model_validate(task.licenses))
    if task.takedown:
        pictures = store.read(task.records, ["images"]).column("images").to_pylist()
        pixels = tables["ingest"].column("pixel_sha256").to_pylist()
        take_down(
            verdicts, pictures, pixels, parse_takedown(store.at(task.takedown).read_bytes().decode(), task.takedown)
        )
    store.write(task.output, pa.Table.from_pylist(verdicts, schema=SCREEN))
    store.at(task.losses).write_bytes(_count_losses(verdicts).model_dump_json().encode())


def refuse_licenses(verdicts: Sequence[dict[str, Any]], licenses: Sequence[str], policy: LicensePolicy) -> None:
    """Mark the rows whose licence the policy refuses, before anything else that was said of them."""
    refusals = {license: policy.refusal(license) for license in set(licenses)}
    for verdict, license in zip(verdicts, licenses, strict=True):
        if (refusal := refusals[license]) is not None:
            detail = f"{refusal} (policy {policy.text()})"
            verdict |= {"outcome": "dropped", "stage": "license", "reason": "license_refused", "detail": detail}


def take_down(
    verdicts: Sequence[dict[str, Any]],
    pictures: Sequence[Sequence[Mapping[str, Any]]],
    pixels: Sequence[Sequence[str]],
    takedown: Takedown,
) -> None:
    """Mark the rows that a list names, before anything else that was said of them."""
    for verdict, images, digests in zip(verdicts, pictures, pixels, strict=True):
        hashes = [*(image["sha256"] for image in images), *digests]
        named = takedown.reason(verdict["id"], [image["uri"] for image in images], hashes)
        if named is not None:
            verdict |= {"outcome": "dropped", "stage": "takedown", "reason": "taken_down", "detail": named}


def _count_losses(verdicts: Sequence[Mapping[str, Any]]) -> Losses:
    lines: dict[str, list[str]] = {}
    for row in verdicts:
        if row["stage"] is not None:
            lines.setdefault(row["stage"], []).append(f"{row['id']}  {row['reason']}  {row['detail']}")
    stages = {stage: Loss(rows=len(found), examples=tuple(found[:5])) for stage, found in sorted(lines.items())}
    return Losses(rows=len(verdicts), stages=stages)


def _losses_path(part: Part, screen: str) -> str:
    return f"state/screens/{part.source}/{screen.rpartition('/')[2].removesuffix('.parquet')}.json"


def read_losses(store: Store, part: Part, screen: str) -> Losses:
    """Return the sums of a part's verdicts, of which `screen` is the path."""
    return Losses.model_validate_json(store.at(_losses_path(part, screen)).read_bytes())

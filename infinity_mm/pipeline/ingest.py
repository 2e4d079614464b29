"""Ingestion: raw files to records, one split at a time, with memory bounded by a row group."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from itertools import accumulate, islice
from pathlib import PurePosixPath
from typing import Any

import orjson
import pyarrow as pa

from infinity_mm.archives.reading import IndexedArchive
from infinity_mm.download.fetched import Fetched, shown
from infinity_mm.errors import StageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.hub import commit_of
from infinity_mm.images import ImageFacts, ImageFault, ImageLimits, measure_image
from infinity_mm.ledger import QUARANTINE
from infinity_mm.pipeline.losses import without_images
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.recipe import SourceUse
from infinity_mm.record import record_id
from infinity_mm.schema import INGEST_ATTRIBUTES, RECORDS, to_table, validate_records
from infinity_mm.sources.base import ImageRef, Plan, Quarantine, Raw, Sample, Source, Split
from infinity_mm.sources.grouping import Turn
from infinity_mm.sources.images import ImageStore
from infinity_mm.sources.options import options_of, parse_members
from infinity_mm.store import Store
from infinity_mm.versions import computing

#: Raised whenever ingestion itself would write other bytes for the same samples.
VERSION = 5
STAGE = "ingest"
#: Characters of a raw row that the quarantine keeps.
SNIPPET = 4_096

_MEASURED = ("width", "height", "mode", "frames", "file_bytes", "pixel_sha256", "phash", "luma_std", "flat", "thumb")
_SUFFIXES = {"jpeg": {"jpg", "jpeg", "jpe", "jfif"}, "tiff": {"tif", "tiff"}}


@dataclass(frozen=True)
class IngestTask:
    """One split of one source."""

    work: str
    use: SourceUse
    part: Part
    split: Split
    #: Rows to take from the split: fewer than it holds only where a limit cuts it.
    take: int
    #: Where the split's URLs are resolved; None for sources without.
    pictures: str | None = None
    #: The archives that pictures are looked up in, with their indexes.
    archives: tuple[IndexedArchive, ...] = ()

    @property
    def rows(self) -> int:
        """Raw rows that the ledger must account for: more than `take` where the questions of a picture are one row."""
        return self.split.inputs(self.take)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Records, what was measured with them, and what could not be read."""
        return (self.part.quarantine, self.part.ingest, self.part.records)


@dataclass(frozen=True)
class Cut:
    """One split and how many of its raw rows are taken."""

    number: int
    split: Split
    #: Digest of the split's file.
    digest: str
    take: int


def cut(use: SourceUse, plan: Plan) -> list[Cut]:
    """Return the splits of a plan that the source's limit leaves, in order.

    The limit counts raw rows. Where several are one row, the row that reaches the limit is taken whole.
    """
    digests = dict(plan.files)
    left = use.limit
    pieces = []
    for number, split in enumerate(plan.splits):
        take = split.rows if left is None else _within(split, left)
        if take == 0:
            break
        pieces.append(Cut(number, split, digests[split.file], take))
        left = None if left is None else max(0, left - split.inputs(take))
    return pieces


def _within(split: Split, limit: int) -> int:
    """Return how many rows of a split it takes to reach `limit` raw rows."""
    if not split.members or limit == 0:
        return min(limit, split.rows)
    reached = (take for take, rows in enumerate(accumulate(split.members), 1) if rows >= limit)
    return next(reached, split.rows)


def identity_of(source: Source, piece: Cut) -> tuple[list[object], list[object]]:
    """Return what the samples of a split are a function of, for fingerprints."""
    split = piece.split
    chosen = options_of(source)
    return (
        [
            source.card.name,
            source.version,
            source.reader.version,
            repr(source.reader),
            source.parameters,
            *([chosen] if chosen else []),
        ],
        [split.file, piece.digest, split.start, split.stop, split.first, piece.take],
    )


@dataclass(frozen=True)
class Pictures:
    """The URLs of one split, resolved."""

    path: str
    #: Of the outcome of every URL: which content, or why none. Where the content is stored is no part of it.
    digest: str


def make_tasks(
    work: Location,
    use: SourceUse,
    source: Source,
    plan: Plan,
    pictures: Mapping[int, Pictures] | None = None,
    archives: tuple[IndexedArchive, ...] = (),
) -> list[IngestTask]:
    """Cut a source's plan into tasks; pure. `pictures` are those of each split, by its number."""
    tasks = []
    keep_text = use.all_images_lost == "keep"
    for piece in cut(use, plan):
        resolved = (pictures or {}).get(piece.number)
        card = source.card
        name = fingerprint(
            [STAGE, VERSION],
            *identity_of(source, piece),
            [card.license, card.category, card.language, list(source.image_roots)],
            [] if resolved is None else [resolved.digest],
            *([] if keep_text else [["all_images_lost", use.all_images_lost]]),
            ImageLimits(),
            computing("pillow"),
            *filter(None, [commit_of(use.root)]),  # pictures of another commit may be others
        )
        path = None if resolved is None else resolved.path
        part = Part(card.name, piece.number, name)
        tasks.append(IngestTask(work.uri, use, part, piece.split, piece.take, path, archives))
    return tasks


def run_ingest(
    context: Context, tasks: list[IngestTask], watch: Callable[[IngestTask], None] = lambda task: None
) -> None:
    """Ingest every split that is not there yet; `watch` as in `run_pass`."""
    run_pass(context, STAGE, ingest_split, tasks, watch=watch)


def ingest_split(task: IngestTask) -> None:
    """Read one split and write its records, measurements and quarantine."""
    store = Store(Location(task.work))
    source = task.use.load()
    root = Location(task.use.root)
    fetched = None if task.pictures is None else Fetched(store, task.pictures)
    images = ImageStore(root, source.image_roots, fetched, task.archives, store.work)
    ingestor = Ingestor(source, images, ImageLimits(), task.use.all_images_lost == "keep")
    rejected: list[dict[str, Any]] = []
    read = 0
    with (
        store.writer(task.part.records, RECORDS) as records,
        store.writer(task.part.ingest, INGEST_ATTRIBUTES) as attributes,
    ):
        for raw in islice(source.reader.read(root, task.split), task.take):
            read += 1
            made, faults = ingestor.interpret_all(task.split.file, raw)
            if made is not None:
                size = sum(made.attributes["file_bytes"]) + 1_000
                records.add(made.record, size)
                attributes.add(made.attributes, 500)
            rejected += faults
        if read != task.take:
            raise StageError(
                f"{task.part.source}: {task.split.file} rows {task.split.first}.. were planned as {task.take}, "
                f"{read} were read; the file changed meanwhile: run again"
            )
        store.write(task.part.quarantine, to_table(rejected, QUARANTINE))


_Picture = tuple[ImageRef, bytes, ImageFacts]


@dataclass(frozen=True)
class Made:
    """A finished record and what was measured with it."""

    record: dict[str, Any]
    attributes: dict[str, Any]


@dataclass(frozen=True)
class Ingestor:
    """Turns raw rows of one source into records; the only state is the open archives of `images`."""

    source: Source
    images: ImageStore
    limits: ImageLimits
    keep_text: bool = True

    def interpret(self, file: str, raw: Raw) -> Made | dict[str, Any]:
        """Return a record with its measurements, or a quarantine row."""
        if raw.row is None:
            fault = raw.error or Quarantine("unexpected_row", "the reader gave neither a row nor a reason")
            return self._reject(file, raw, fault)
        sample = self.source.parse(raw.row)
        made = sample if isinstance(sample, Quarantine) else self._make(file, raw, sample)
        return self._reject(file, raw, made) if isinstance(made, Quarantine) else made

    def interpret_all(self, file: str, raw: Raw) -> tuple[Made | None, list[dict[str, Any]]]:
        """Return the record of a raw row, or of the rows that were put together as one, and quarantine rows.

        Each of several rows ends once: the first that can be used as the record, the others that are in it under
        "joined" in its measurements, all else in quarantine.
        """
        if not raw.members:
            made = self.interpret(file, raw)
            return (made, []) if isinstance(made, Made) else (None, [made])
        talk = parse_members(self.source, [member.row or {} for member in raw.members])
        fates = list(zip(raw.members, talk.fates, strict=True))
        rejected = [self._reject(file, member, fate) for member, fate in fates if isinstance(fate, Quarantine)]
        if talk.sample is None:
            return None, rejected
        (first, begin), *others = [(member, fate) for member, fate in fates if isinstance(fate, Turn)]
        result = self._make(file, first, talk.sample)
        if isinstance(result, Quarantine):
            lost = [(member, replace(result, source_id=fate.source_id)) for member, fate in [(first, begin), *others]]
            return None, rejected + [self._reject(file, member, fault) for member, fault in lost]
        joined = [
            {
                "id": _identify(self.source.card.name, file, member, turn.source_id),
                "source_ref": f"{file}#{member.locator}",
                "turn": turn.number,
            }
            for member, turn in others
        ]
        return replace(result, attributes=result.attributes | {"joined": joined}), rejected

    def _make(self, file: str, raw: Raw, sample: Sample) -> Made | Quarantine:
        """Resolve the sample's pictures and return the finished record."""
        pictures, lost = self._pictures(sample)
        if isinstance(lost, Quarantine):
            return replace(lost, source_id=sample.source_id)
        if lost:
            left = without_images(sample, lost, self.keep_text)
            if isinstance(left, Quarantine):
                return replace(left, source_id=sample.source_id)
            sample = left
        made = self._assemble(file, raw, sample, pictures, [fault for _, fault in sorted(lost.items())])
        fault_text = validate_records([made.record])[0]
        return made if fault_text is None else Quarantine("invalid_record", fault_text, sample.source_id)

    def _pictures(self, sample: Sample) -> tuple[list[_Picture], dict[int, Quarantine] | Quarantine]:
        """Return the pictures that are there, and why the optional ones (by position) are not.

        The first fault of a picture that the row cannot do without comes back in place of the latter.
        """
        found: list[_Picture] = []
        lost: dict[int, Quarantine] = {}
        for place, reference in enumerate(sample.images):
            picture = self._picture(reference)
            if not isinstance(picture, Quarantine):
                found.append(picture)
            elif reference.optional:
                lost[place] = picture
            else:
                return found, picture
        return found, lost

    def _picture(self, reference: ImageRef) -> _Picture | Quarantine:
        found = self.images.find(reference)
        if isinstance(found, Quarantine):
            return found
        reference, data = found
        facts = measure_image(data, self.limits)
        if isinstance(facts, ImageFault):
            where = reference.uri or reference.path or shown(reference.url or "embedded picture")
            return Quarantine(facts.reason, f"{where}: {facts.detail}")
        return reference, data, facts

    def _assemble(self, file: str, raw: Raw, sample: Sample, pictures: list[_Picture], lost: list[Quarantine]) -> Made:
        card = self.source.card
        facts = [fact for _, _, fact in pictures]
        uris = [reference.uri or reference.path or reference.url or "" for reference, _, _ in pictures]
        notes = [*sample.notes]
        if any(_suffix_lies(uri, fact.format) for uri, fact in zip(uris, facts, strict=True)):
            notes.append("suffix_mismatch")
        identity = _identify(card.name, file, raw, sample.source_id)
        category = sample.category or card.category
        record = {
            "id": identity,
            "source": card.name,
            "source_id": sample.source_id,
            "source_ref": f"{file}#{raw.locator}",
            "category": category,
            "license": sample.license or card.license,
            "language": sample.language or card.language,
            "images": [
                {"sha256": f.sha256, "width": f.width, "height": f.height, "format": f.format, "uri": uri}
                for uri, f in zip(uris, facts, strict=True)
            ],
            "image_bytes": [data for _, data, _ in pictures],
            "messages": [{"role": message.role, "content": message.content} for message in sample.messages],
            "parent": None,
            "extra": orjson.dumps(dict(sample.extra), option=orjson.OPT_SORT_KEYS, default=str).decode(),
        }
        losses = [f.detail if f.reason == "download_failed" else f"{f.reason}: {f.detail}" for f in lost]
        attributes = {"id": identity, "category": category, "notes": notes, "images_lost": losses, "joined": []}
        return Made(record, attributes | columns_of(facts))

    def _reject(self, file: str, raw: Raw, fault: Quarantine) -> dict[str, Any]:
        name = self.source.card.name
        return {
            "id": _identify(name, file, raw, fault.source_id),
            "source": name,
            "source_id": fault.source_id,
            "source_ref": f"{file}#{raw.locator}",
            "stage": STAGE,
            "reason": fault.reason,
            "detail": fault.detail,
            "raw": raw.snippet[:SNIPPET],
        }


def columns_of(facts: list[ImageFacts]) -> dict[str, list[Any]]:
    """Return the list columns of `INGEST_ATTRIBUTES` for one record's pictures."""
    if not facts:
        return {name: [] for name in _MEASURED}
    return {name: [getattr(fact, name) for fact in facts] for name in _MEASURED}


def _identify(source: str, file: str, raw: Raw, source_id: str) -> str:
    return record_id(source, file, f"{source_id}\x1e{raw.digest}", raw.repeat)


def _suffix_lies(uri: str, format_name: str) -> bool:
    suffix = PurePosixPath(uri.partition("?")[0]).suffix.lower().lstrip(".")
    return bool(suffix) and suffix.isalpha() and suffix not in _SUFFIXES.get(format_name, {format_name})


def count_quarantined(store: Store, part: Part) -> int:
    """Return how many raw rows of a part's split did not become records."""
    table: pa.Table = store.read(part.quarantine, ["id"])
    return int(table.num_rows)

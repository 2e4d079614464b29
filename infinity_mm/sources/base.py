"""The contract between a source, its reader family, and ingestion.

A source is one short module: a `Card` (what the catalogue says), a `Reader` (a family with its
parameters) and a pure `parse` from one raw row to a `Sample`. The family knows file formats; `parse`
knows the publisher's fields; ingestion resolves pictures, computes ids and writes Parquet.

How a raw row travels::

    files --plan--> Split --read--> Raw --parse--> Sample --resolve pictures--> Record
                                     |               |               |
                                     +---------------+---------------+--> Quarantine (with a reason)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from infinity_mm.fs import Location
from infinity_mm.record import Category, Message

#: Why a raw row could not become a record. Snake case, no numbers; numbers go to the detail.
QuarantineReason = Literal[
    "malformed_json",  # a line, an element or the rest of a file is not JSON
    "malformed_archive",  # a tar, zip or Parquet file is truncated or damaged
    "unopened_archive",  # an archive of a kind that is not opened, or one inside another
    "unexpected_row",  # the row is not of the documented shape
    "missing_field",  # a documented key is absent, null or of another type
    "missing_image",  # the file or member that the row names does not exist
    "ambiguous_image",  # several files match the name equally well
    "unsafe_path",  # absolute path, or one that climbs out with ".."
    "empty_image",  # zero bytes
    "undecodable_image",  # the content is no picture, or is cut
    "image_too_large",  # more pixels or bytes than the limits allow
    "download_failed",  # the picture's URL gave no picture; the detail names the class of the failure
    "unjoined_annotation",  # one half of a joined pair is missing
    "invalid_record",  # the finished record fails its own schema
]
QUARANTINE_REASONS: tuple[str, ...] = QuarantineReason.__args__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Card:
    """What the catalogue knows of a source."""

    name: str
    title: str
    family: str
    category: Category
    #: SPDX identifier where there is one, else the publisher's words, or "unknown".
    license: str
    #: Sizes as the papers state them, e.g. {"infinity-mm": "595K"}.
    paper_size: Mapping[str, str]
    #: Training stages per paper, e.g. {"infimm": ("MTT",)}.
    stages: Mapping[str, tuple[str, ...]]
    #: Hub data sets, first the one to use.
    hub_ids: tuple[str, ...] = ()
    urls: tuple[str, ...] = ()
    #: False where the first hub data set is no root by itself: its pictures lie elsewhere, or it is a loading script.
    hub_is_root: bool = True
    #: Glob patterns, relative to the root, of the annotation files as published.
    files: tuple[str, ...] = ()
    #: "open", "gated", "registration" or "withdrawn".
    access: Literal["open", "gated", "registration", "withdrawn"] = "open"
    #: True where rows can have licences of their own (`Sample.license`); then a policy judges rows, not the source.
    row_licenses: bool = False
    #: Default language of the texts, BCP 47, or "und".
    language: str = "und"
    #: False where the publisher repeats native ids on different rows; then a repeat is no defect.
    unique_ids: bool = True
    #: One line each: what surprises a reader of this source.
    traps: tuple[str, ...] = ()


@dataclass(frozen=True)
class ImageRef:
    """Where a picture's bytes are: exactly one of `data`, `path` and `url` is set."""

    #: Relative to the source's image root, as the publisher writes it.
    path: str | None = None
    #: Other paths of the same picture, for publishers that say which picture but not which file; tried in order, and
    #: the one that is there takes the place of `path`.
    alternatives: tuple[str, ...] = ()
    #: Embedded bytes.
    data: bytes | None = field(default=None, repr=False)
    #: Where to download it, as the publisher writes it; the download stage fetches it before ingestion.
    url: str | None = None
    #: ``md5:<hex>`` or ``sha256:<hex>`` of the content, where the publisher gives one.
    checksum: str = ""
    #: What to write as the record's uri; defaults to `path`, then `url`.
    uri: str = ""
    #: A row that can do without this picture loses it, with its placeholder, instead of being quarantined.
    optional: bool = False
    #: Of a picture that a reader listed itself: the zip whose member `path` is, "" for a file below the source's root.
    #: Then `path` is its name as it stands, and no other spelling, suffix or folder is tried. None for written names.
    listed_in: str | None = None


@dataclass(frozen=True)
class Sample:
    """One parsed row: everything of a record except what ingestion computes."""

    #: Native key as written, "" where the publisher gives none.
    source_id: str
    messages: tuple[Message, ...]
    images: tuple[ImageRef, ...] = ()
    #: Overrides the card's where a row has its own.
    category: Category | None = None
    license: str | None = None
    language: str | None = None
    #: JSON-serialisable fields without a column.
    extra: Mapping[str, Any] = field(default_factory=dict)
    #: What parsing had to mend, snake_case, e.g. "placeholder_inserted"; shown in the books.
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Quarantine:
    """A raw row that cannot become a record."""

    reason: QuarantineReason
    #: What was expected and what came; names the field, the path, the position.
    detail: str
    #: Native key if it could still be read.
    source_id: str = ""


@dataclass(frozen=True)
class Split:
    """One unit of ingestion: a contiguous range of raw rows of one file.

    Splits are a function of the files alone, so that their parts have the same names and bytes for
    any number of workers.
    """

    #: Raw file, relative to the root, with forward slashes.
    file: str
    #: Half-open range; bytes for text formats, rows for Parquet, members for tars.
    start: int
    stop: int
    #: Ordinal of the first raw row inside the file.
    first: int
    #: Raw rows inside; the books check that as many outcomes come out.
    rows: int
    #: (ordinal inside the split, n): this row is the n-th byte-identical repeat (n >= 1) in its file.
    repeats: tuple[tuple[int, int], ...] = ()
    #: File to read instead of `file`, absolute: rows in JSON Lines, written by `plan` for formats
    #: that cannot be cut (JSON arrays and objects, joined files). Each line is [locator, row].
    prepared: str | None = None
    #: Raw rows behind each row, where several were put together as one (`Raw.members`); () where each is its own.
    members: tuple[int, ...] = ()

    def inputs(self, take: int) -> int:
        """Return how many raw rows stand behind the first `take` rows: each has a row of its own in the ledger."""
        return sum(self.members[:take]) if self.members else min(take, self.rows)


@dataclass(frozen=True)
class Raw:
    """One raw row as read, not yet interpreted."""

    #: ``line=3``, ``item=2``, ``key=a``, ``row=7``, ``member=k.json``.
    locator: str
    #: The row, or None where it could not be read; then `error` says why.
    row: Mapping[str, Any] | None
    #: Digest that identifies the row's content, part of the record id.
    digest: str
    repeat: int = 0
    error: Quarantine | None = None
    #: The raw text or a description, for `retry` and for people; cut at 4,096 characters.
    snippet: str = ""
    #: The raw rows that were put together as this one; () where it is one itself.
    members: tuple[Raw, ...] = ()


class Reader(Protocol):
    """A reader family with its parameters: a frozen dataclass, picklable, without state."""

    @property
    def version(self) -> int:
        """Raised whenever the same files would give other rows; part of every fingerprint."""
        ...

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Lower-case file name endings of annotation files, for roots where the published names are absent."""
        ...

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Cut the files into splits of about `rows` raw rows, streaming.

        `files` are glob patterns. Formats that cannot be cut are rewritten once, as text, below
        `prepare_to`. Raises `SourceError` where no file matches.
        """
        ...

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the rows of one split in order; never raises for bad content."""
        ...


@dataclass(frozen=True)
class Plan:
    """The splits of one source and the digests of the files they came from."""

    splits: tuple[Split, ...]
    #: (relative path, digest) of each annotation file; part of the fingerprint of every part.
    files: tuple[tuple[str, str], ...]


#: Pure: one raw row in, one sample or one quarantine out. Never raises for bad content.
Parse = Callable[[Mapping[str, Any]], Sample | Quarantine]


@dataclass(frozen=True)
class Source:
    """A catalogue entry that can be ingested; each source module defines one as `SOURCE`."""

    card: Card
    reader: Reader
    parse: Parse
    #: Raised whenever `parse` would give other samples; part of every fingerprint.
    version: int = 1
    #: Text of the parameters of `parse` where it has any: own data's map of columns; part of every fingerprint.
    parameters: str = ""
    #: Folders or archives, relative to the root, in which `ImageRef.path` is looked up, in order.
    image_roots: tuple[str, ...] = ("",)
    #: True where pictures are given by URL (`ImageRef.url`): they are downloaded before ingestion.
    downloads: bool = False

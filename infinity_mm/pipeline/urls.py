"""Which URLs the rows of a run want: collected per split, then merged over many splits, ordered by host."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import pyarrow as pa

from infinity_mm.download.keys import HostRange, bucket_of, host_of, is_storable, url_hash
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.pipeline.ingest import Cut, cut, identity_of
from infinity_mm.pipeline.parts import Part
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.recipe import SourceUse
from infinity_mm.sources.base import Plan, Sample
from infinity_mm.store import Store

#: Raised whenever the same rows would give other URLs.
VERSION = 1
#: Splits whose URLs are merged into one file. Every partition of the download looks into every such file.
GROUP = 256

#: Distinct references of a split.
URLS = pa.schema(
    [
        pa.field("url_hash", pa.string(), nullable=False),
        pa.field("url", pa.string(), nullable=False),
        pa.field("checksum", pa.string(), nullable=False),
        pa.field("bucket", pa.int32(), nullable=False),  # of the host
        pa.field("references", pa.int32(), nullable=False),  # pictures of rows that want it
    ]
)


@dataclass(frozen=True)
class UrlsTask:
    """The URLs of one split of one source."""

    work: str
    use: SourceUse
    #: Named like the ingest part of the same split, by what the URLs depend on.
    part: Part
    cut: Cut

    @property
    def output(self) -> str:
        """Path of the split's `URLS`."""
        return f"state/urls/{self.part.source}/part-{self.part.number:05d}-{self.part.fingerprint}.parquet"

    @property
    def outputs(self) -> tuple[str, ...]:
        """One file."""
        return (self.output,)


@dataclass(frozen=True)
class Group:
    """Some splits whose URLs are merged; the unit in which answers come back to the splits."""

    number: int
    splits: tuple[UrlsTask, ...]
    fingerprint: str

    @property
    def wanted(self) -> str:
        """Path of the merged `URLS`, ordered by bucket and hash."""
        return f"state/wanted/part-{self.number:05d}-{self.fingerprint}.parquet"


@dataclass(frozen=True)
class WantedTask:
    """One group to be merged."""

    work: str
    group: Group

    @property
    def outputs(self) -> tuple[str, ...]:
        """One file."""
        return (self.group.wanted,)


def run_urls(context: Context, uses: Sequence[SourceUse], plans: Mapping[str, Plan]) -> tuple[Group, ...]:
    """Collect the URLs of the sources that have any; no picture is touched."""
    tasks = []
    for use in sorted(uses, key=lambda use: use.name):
        source = use.load()
        for piece in cut(use, plans[use.name]):
            name = fingerprint(["urls", VERSION], *identity_of(source, piece))
            part = Part(use.name, piece.number, name)
            tasks.append(UrlsTask(context.store.work.uri, use, part, piece))
    run_pass(context, "urls", collect_urls, tasks)
    groups = []
    for number, first in enumerate(range(0, len(tasks), GROUP)):
        members = tuple(tasks[first : first + GROUP])
        name = fingerprint(["wanted", VERSION], [task.output for task in members])
        groups.append(Group(number, members, name))
    run_pass(context, "wanted", merge_urls, [WantedTask(context.store.work.uri, group) for group in groups])
    return tuple(groups)


def collect_urls(task: UrlsTask) -> None:
    """Parse the rows of a split and write the distinct URLs of their pictures."""
    source = task.use.load()
    found: Counter[tuple[str, str]] = Counter()
    taken = islice(source.reader.read(Location(task.use.root), task.cut.split), task.cut.take)
    for raw in (row for one in taken for row in one.members or (one,)):
        sample = None if raw.row is None else source.parse(raw.row)
        if isinstance(sample, Sample):
            given = ((ref.url, ref.checksum) for ref in sample.images)
            found.update((url, checksum) for url, checksum in given if url is not None and is_storable(url))
    rows = [
        {
            "url_hash": url_hash(url),
            "url": url,
            "checksum": checksum,
            "bucket": bucket_of(host_of(url)),
            "references": references,
        }
        for (url, checksum), references in found.items()
    ]
    table = pa.Table.from_pylist(rows, schema=URLS).sort_by([("url_hash", "ascending"), ("checksum", "ascending")])
    Store(Location(task.work)).write(task.output, table)


def merge_urls(task: WantedTask) -> None:
    """Merge the URLs of a group; checksums are left to the splits that gave them."""
    store = Store(Location(task.work))
    tables = [store.read(split.output, ["url_hash", "url", "bucket", "references"]) for split in task.group.splits]
    store.write(task.group.wanted, distinct(pa.concat_tables(tables)), group_rows=2_048)


def distinct(urls: pa.Table) -> pa.Table:
    """Return one row per URL with its references summed, ordered by bucket and hash."""
    merged = urls.group_by(["bucket", "url_hash", "url"]).aggregate([("references", "sum")])
    merged = merged.rename_columns(["bucket", "url_hash", "url", "references"])
    return merged.sort_by([("bucket", "ascending"), ("url_hash", "ascending")])


def count_wanted(store: Store, groups: Sequence[Group]) -> int:
    """Return how many URLs the groups want, those of several groups counted for each."""
    return sum(store.rows(group.wanted) for group in groups)


def read_wanted(store: Store, paths: Sequence[str], hosts: HostRange) -> pa.Table:
    """Return the merged URLs of a range of hosts, with a column `group`: the position of their path."""
    first, stop = hosts.buckets
    tables = []
    for number, path in enumerate(paths):
        table = store.read(path, None, [("bucket", ">=", first), ("bucket", "<", stop)])
        tables.append(table.append_column("group", pa.repeat(pa.scalar(number, pa.int32()), table.num_rows)))
    return pa.concat_tables(tables)

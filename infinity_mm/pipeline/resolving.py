"""From stored outcomes to what each split needs: the way back of `infinity_mm.pipeline.urls`.

Outcomes lie by host, splits want them by row; with many files on both sides, one pass answers all splits of a group at
once, ordered so that a group's answers are read without the others'.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.download.content import is_checksum
from infinity_mm.download.fetched import RESOLVED
from infinity_mm.download.index import read_outcomes, shards_of
from infinity_mm.download.keys import HostRange, host_of
from infinity_mm.fingerprint import fingerprint
from infinity_mm.fs import Location
from infinity_mm.manifest import DownloadReport, HostFailures
from infinity_mm.pipeline.ingest import Pictures
from infinity_mm.pipeline.passes import Context, run_pass
from infinity_mm.pipeline.urls import Group, UrlsTask, distinct, read_wanted
from infinity_mm.store import Store

VERSION = 1
#: Hosts with most failures that are named in the manifest.
TOP = 10

_ANSWER = ("reason", "detail", "sha256", "md5", "tar", "offset", "size")


@dataclass(frozen=True)
class OutcomesTask:
    """How the wanted URLs of one range of hosts ended."""

    work: str
    hosts: HostRange
    wanted: tuple[str, ...]
    shards: tuple[str, ...]
    #: Path without an ending.
    base: str

    @property
    def answers(self) -> str:
        """Answers ordered by group; URLs that were never asked for have none."""
        return f"{self.base}.parquet"

    @property
    def outputs(self) -> tuple[str, ...]:
        """Answers, and their sums."""
        return (self.answers, f"{self.base}.json")


@dataclass(frozen=True)
class ResolveTask:
    """The splits of one group."""

    work: str
    number: int
    splits: tuple[UrlsTask, ...]
    answers: tuple[str, ...]
    fingerprint: str

    @property
    def digests(self) -> str:
        """Digest of each split's outcomes, as a JSON list."""
        return f"state/digests/part-{self.number:05d}-{self.fingerprint}.json"

    def resolved(self, split: UrlsTask) -> str:
        """Path of the `RESOLVED` of a split."""
        return f"state/resolved/{split.part.source}/part-{split.part.number:05d}-{self.fingerprint}.parquet"

    @property
    def outputs(self) -> tuple[str, ...]:
        """One file per split, then the digests."""
        return (*(self.resolved(split) for split in self.splits), self.digests)


def run_outcomes(
    context: Context, groups: Sequence[Group], ranges: Sequence[HostRange], shards: Sequence[str]
) -> list[OutcomesTask]:
    """Answer every wanted URL from the shards that are there."""
    wanted = tuple(group.wanted for group in groups)
    tasks = []
    for position, hosts in enumerate(ranges):
        near = shards_of(shards, hosts)
        name = fingerprint(["outcomes", VERSION], list(wanted), hosts.bits, list(near))
        base = f"state/outcomes/part-{position:05d}-{name}"
        tasks.append(OutcomesTask(context.store.work.uri, hosts, wanted, near, base))
    run_pass(context, "outcomes", answer_wanted, tasks)
    return tasks


def answer_wanted(task: OutcomesTask) -> None:
    """Join the wanted URLs of a range of hosts with what is stored about them."""
    store = Store(Location(task.work))
    wanted = read_wanted(store, task.wanted, task.hosts)
    known = read_outcomes(store, task.shards, task.hosts, ["url", *_ANSWER])
    place = pc.index_in(wanted.column("url_hash"), value_set=known.column("url_hash").combine_chunks())
    asked = pc.is_valid(place)
    found = known.select(_ANSWER).take(place.filter(asked))
    answers = wanted.filter(asked).select(["group", "url_hash"])
    for name in _ANSWER:
        answers = answers.append_column(name, found.column(name))
    answers = answers.sort_by([("group", "ascending"), ("url_hash", "ascending")])
    store.write(task.answers, answers, group_rows=4_096)
    store.at(f"{task.base}.json").write_bytes(orjson.dumps(_sum_up(distinct(wanted), known)))


def _sum_up(wanted: pa.Table, known: pa.Table) -> dict[str, Any]:
    mine = known.filter(pc.is_in(known.column("url_hash"), value_set=wanted.column("url_hash").combine_chunks()))
    lost = mine.filter(pc.is_valid(mine.column("reason"))).select(["url", "reason"]).to_pylist()
    hosts: dict[str, Counter[str]] = {}
    for row in lost:
        hosts.setdefault(host_of(row["url"]), Counter())[row["reason"]] += 1
    worst = sorted(hosts.items(), key=lambda item: (-item[1].total(), item[0]))[:TOP]
    return {
        "urls": wanted.num_rows,
        "references": pc.sum(wanted.column("references")).as_py() or 0,
        "downloaded": mine.num_rows - len(lost),
        "bytes": pc.sum(mine.column("size")).as_py() or 0,
        "failed": dict(Counter(row["reason"] for row in lost)),
        "hosts": [[host, dict(reasons)] for host, reasons in worst],
    }


def report_downloads(store: Store, tasks: Sequence[OutcomesTask]) -> DownloadReport:
    """Add up the sums of all ranges; a host is in one range only, so the ten worst of all are among the ten of each."""
    sums = [orjson.loads(store.at(task.outputs[1]).read_bytes()) for task in tasks]
    failed: Counter[str] = Counter()
    for line in sums:
        failed.update(line["failed"])
    hosts = sorted((pair for line in sums for pair in line["hosts"]), key=lambda p: (-sum(p[1].values()), p[0]))[:TOP]
    urls, references = (sum(line[key] for line in sums) for key in ("urls", "references"))
    downloaded = sum(line["downloaded"] for line in sums)
    return DownloadReport(
        references=references,
        urls=urls,
        repeats_saved=references - urls,
        downloaded=downloaded,
        bytes=sum(line["bytes"] for line in sums),
        failed=dict(sorted(failed.items())),
        not_downloaded=urls - downloaded - failed.total(),
        worst_hosts=tuple(
            HostFailures(host=host, urls=sum(reasons.values()), failed=dict(sorted(reasons.items())))
            for host, reasons in hosts
        ),
    )


def run_resolve(
    context: Context, groups: Sequence[Group], outcomes: Sequence[OutcomesTask]
) -> dict[str, dict[int, Pictures]]:
    """Resolve the URLs of every split; returns source -> number of the split -> where, and the digest of what."""
    answers = tuple(task.answers for task in outcomes)
    tasks = []
    for group in groups:
        name = fingerprint(["resolve", VERSION], group.wanted, list(answers))
        tasks.append(ResolveTask(context.store.work.uri, group.number, group.splits, answers, name))
    run_pass(context, "resolve", resolve_group, tasks)
    pictures: dict[str, dict[int, Pictures]] = {}
    for task in tasks:
        digests = orjson.loads(context.store.at(task.digests).read_bytes())
        for split, digest in zip(task.splits, digests, strict=True):
            found = pictures.setdefault(split.part.source, {})
            found[split.part.number] = Pictures(task.resolved(split), digest)
    return pictures


def resolve_group(task: ResolveTask) -> None:
    """Write where the content of each split's URLs is, or why there is none."""
    store = Store(Location(task.work))
    where = [("group", "==", task.number)]
    answers = pa.concat_tables([store.read(path, None, where) for path in task.answers])
    hashes = answers.column("url_hash").combine_chunks()
    digests = []
    for split in task.splits:
        urls = store.read(split.output)
        place = pc.index_in(urls.column("url_hash"), value_set=hashes)
        found = answers.select(_ANSWER).take(place)
        pairs = zip(urls.select(["url", "checksum"]).to_pylist(), found.to_pylist(), strict=True)
        table = pa.Table.from_pylist([resolve(want, answer) for want, answer in pairs], schema=RESOLVED)
        store.write(task.resolved(split), table)
        digests.append(digest_of(table))
    store.at(task.digests).write_bytes(orjson.dumps(digests))


def resolve(want: Mapping[str, str], answer: Mapping[str, Any]) -> dict[str, Any]:
    """Return one row of `RESOLVED`: the answer, unless the content is not what the publisher saw."""
    row = {name: answer[name] for name in ("reason", "detail", "sha256", "tar", "offset", "size")} | dict(want)
    expected = want["checksum"].lower()
    if not expected or answer["sha256"] is None:
        return row
    algorithm = expected.partition(":")[0]
    if is_checksum(expected) and answer[algorithm] == expected.partition(":")[2]:
        return row
    came = f"{algorithm}:{answer[algorithm]}" if is_checksum(expected) else "content, and no such checksum is known"
    lost = dict.fromkeys(("sha256", "tar", "offset", "size"))
    return row | lost | {"reason": "checksum_mismatch", "detail": f"expected {want['checksum'][:80]}, got {came}"}


def digest_of(resolved: pa.Table) -> str:
    """Return the digest of the outcomes of a split: of every URL which content, or why none."""
    columns = [resolved.column(name).to_pylist() for name in ("url", "checksum", "reason", "detail", "sha256")]
    return hashlib.sha256(orjson.dumps(columns)).hexdigest()

"""Fetching what is wanted and not there: one task per range of hosts, in rounds.

A round is one run's asking. A URL is asked for at most once a round; content, once there, is never fetched again;
failures are due again in a later round if `download.retry` says so. A round that was killed goes on as the same
round, so what failed before the kill is not asked again. All that a task knows is read from the shards below
``downloads/``.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from infinity_mm.download.client import fetch_all
from infinity_mm.download.index import FOLDER, clean_up, read_outcomes, shards_of
from infinity_mm.download.keys import HostRange
from infinity_mm.download.params import DownloadParams, judgement
from infinity_mm.download.policy import DownloadPolicy
from infinity_mm.download.request import Outcome, Request
from infinity_mm.download.retry import is_due
from infinity_mm.download.shard import Earlier, ShardWriter
from infinity_mm.errors import StageError
from infinity_mm.fingerprint import fingerprint
from infinity_mm.frozen import Frozen
from infinity_mm.fs import Location
from infinity_mm.pipeline.passes import Context, announce, finish_pass, unfinished
from infinity_mm.pipeline.urls import Group, read_wanted
from infinity_mm.pipeline.watching import FETCHING, Sums, Watch
from infinity_mm.resources import Resources
from infinity_mm.store import Store

VERSION = 1
STAGE = "fetch"
#: A fetching process waits most of the time, but unpacks, hashes and writes: two to a core.
RESOURCES = Resources(cpus=0.5)

#: What a round must know of earlier ones.
_KNOWN = ("url", "attempts", "detail", "policy")

Fetch = Callable[[Iterable[Request], DownloadPolicy], Iterator[Outcome]]


class Round(Frozen):
    """``downloads/round.json``: the last round, and whether it came to its end."""

    number: int
    open: bool


class Settled(Frozen):
    """What a finished task leaves behind: how the wanted URLs of its hosts stand."""

    round: int
    #: (reason, policy that judged, URLs) of those that failed.
    failed: tuple[tuple[str, str, int], ...]
    #: The shards that this rests on; where one is gone, the task is to be done again.
    shards: tuple[str, ...]


@dataclass(frozen=True)
class FetchTask:
    """The URLs of one range of hosts."""

    work: str
    hosts: HostRange
    #: Files of wanted URLs.
    wanted: tuple[str, ...]
    round: int
    params: DownloadParams
    #: Shards that can hold some of them, when the round began.
    shards: tuple[str, ...]
    output: str

    @property
    def outputs(self) -> tuple[str, ...]:
        """Its `Settled`, as JSON."""
        return (self.output,)

    @property
    def folder(self) -> str:
        """Where its shards go."""
        return f"{FOLDER}/{self.hosts.folder}"


def run_fetch(context: Context, groups: Sequence[Group], ranges: Sequence[HostRange]) -> tuple[str, ...]:
    """Fetch what is wanted and due; returns all shards that are there afterwards."""
    store, params = context.store, context.recipe.download
    shards = clean_up(store)
    if not params.enabled:
        return shards
    began = time.monotonic()
    last = read_round(store)
    number = last.number if last.open else last.number + 1
    wanted = tuple(group.wanted for group in groups)
    tasks = []
    for position, hosts in enumerate(ranges):
        name = fingerprint(["fetch", VERSION], list(wanted), hosts.bits)
        output = f"state/fetch/part-{position:05d}-{name}.json"
        near = shards_of(shards, hosts)
        tasks.append(FetchTask(store.work.uri, hosts, wanted, number, params, near, output))
    forget_unsettled(store, tasks, last)
    announce(store, STAGE, tasks)
    todo = unfinished(store, tasks)
    if todo:
        _write_round(store, Round(number=number, open=True))
        with Watch(context.reporter, store):
            done = context.engine.map(STAGE, fetch_partition, todo, RESOURCES)
            for _ in context.reporter.follow(STAGE, done, len(todo), len(tasks) - len(todo)):
                pass
    if todo or last.open:
        _write_round(store, Round(number=number, open=False))
    finish_pass(context, STAGE, tasks, len(todo), began)
    return clean_up(store) if todo else shards


def read_round(store: Store) -> Round:
    """Return the last round of a run folder, number 0 before the first."""
    location = store.at(f"{FOLDER}/round.json")
    return Round.model_validate_json(location.read_bytes()) if location.exists() else Round(number=0, open=False)


def _write_round(store: Store, state: Round) -> None:
    store.at(f"{FOLDER}/round.json").write_bytes(state.model_dump_json().encode())


def forget_unsettled(store: Store, tasks: Sequence[FetchTask], last: Round) -> None:
    """Delete the marks of tasks that are to be done again: failures are due, or shards are gone."""
    absent = set(store.missing(task.output for task in tasks))
    for task in tasks:
        if task.output in absent:
            continue
        settled = Settled.model_validate_json(store.at(task.output).read_bytes())
        policy, retry = judgement(task.params), task.params.retry
        this_round = last.open and settled.round == task.round
        due = not this_round and any(is_due(reason, judged, policy, retry) for reason, judged, _ in settled.failed)
        if due or not set(settled.shards) <= set(task.shards):
            store.at(task.output).delete()


def fetch_partition(task: FetchTask, fetch: Fetch = fetch_all) -> None:
    """Fetch the due URLs of one range of hosts, shard after shard."""
    store = Store(Location(task.work))
    # A task that is tried again after its worker died finds what it had written by then.
    own = {f"{task.folder}/{n.removesuffix('.parquet')}" for n in store.at(task.folder).files() if _is_index(n)}
    shards = tuple(sorted(own.union(task.shards)))
    wanted = read_wanted(store, task.wanted, task.hosts).select(["url_hash", "url"])
    wanted = wanted.group_by(["url_hash", "url"]).aggregate([]).sort_by("url_hash")
    due, earlier = select_due(wanted, read_outcomes(store, shards, task.hosts, _KNOWN), task)
    sums = Sums(todo=due.num_rows)
    writer = ShardWriter(store, task.folder, task.round, task.params, earlier)
    if due.num_rows:
        with closing(fetch(_requests(due), task.params)) as outcomes:  # type: ignore[type-var]
            for stats in writer.write(outcomes):
                sums = sums.plus(stats)
                store.at(f"{FETCHING}/{task.hosts.folder}.json").write_bytes(sums.model_dump_json().encode())
    if sums.urls != due.num_rows:
        raise StageError(f"{due.num_rows} URLs were handed to the client, {sums.urls} came back; this is a bug")
    own = {f"{task.folder}/{n.removesuffix('.parquet')}" for n in store.at(task.folder).files() if _is_index(n)}
    shards = tuple(sorted(own.union(task.shards)))
    failed = _failures(wanted, read_outcomes(store, shards, task.hosts, ["policy"]))
    state = Settled(round=task.round, failed=failed, shards=shards)
    store.at(task.output).write_bytes(state.model_dump_json().encode())


def _is_index(name: str) -> bool:
    return name.endswith(".parquet") and not name.startswith(".")


def _requests(due: pa.Table) -> Iterator[Request]:
    """Yield requests in the order of the hashes of their URLs: hosts are mixed."""
    for batch in due.to_batches(max_chunksize=4_096):
        for url in batch.column("url").to_pylist():
            yield Request(url)


def select_due(wanted: pa.Table, known: pa.Table, task: FetchTask) -> tuple[pa.Table, dict[str, Earlier]]:
    """Return the wanted URLs to be fetched in this round, and what is known of those that failed before."""
    policy, retry = judgement(task.params), task.params.retry
    columns = [known.column(name).to_pylist() for name in ("reason", "policy", "round")]
    again = [
        reason is not None and number != task.round and is_due(reason, judged, policy, retry)
        for reason, judged, number in zip(*columns, strict=True)
    ]
    place = pc.index_in(wanted.column("url_hash"), value_set=known.column("url_hash").combine_chunks())
    fresh = pc.is_null(place).to_numpy(zero_copy_only=False)
    known_place = pc.fill_null(place, 0).to_numpy(zero_copy_only=False)
    repeated = np.array(again, np.bool_)[known_place] & ~fresh if len(again) else np.zeros(len(fresh), np.bool_)
    failed = known.take(pa.array(known_place[repeated])).select(["url", "attempts", "reason", "detail"]).to_pylist()
    earlier = {row["url"]: Earlier(row["attempts"], row["reason"], row["detail"]) for row in failed}
    return wanted.filter(pa.array(fresh | repeated)), earlier


def _failures(wanted: pa.Table, known: pa.Table) -> tuple[tuple[str, str, int], ...]:
    mine = known.filter(pc.is_in(known.column("url_hash"), value_set=wanted.column("url_hash").combine_chunks()))
    mine = mine.filter(pc.is_valid(mine.column("reason")))
    pairs = zip(mine.column("reason").to_pylist(), mine.column("policy").to_pylist(), strict=True)
    return tuple((reason, judged, count) for (reason, judged), count in sorted(Counter(pairs).items()))

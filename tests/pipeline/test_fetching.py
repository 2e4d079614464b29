"""One range of hosts, with a client that answers from a dict: rounds, resume, retries, many partitions."""

import collections

import pyarrow as pa
import pytest

from infinity_mm.download.index import clean_up, read_outcomes, shards_of
from infinity_mm.download.keys import HostRange, bucket_of, host_of, url_hash
from infinity_mm.download.params import DownloadParams
from infinity_mm.download.request import Outcome
from infinity_mm.download.shard import INDEX
from infinity_mm.errors import StageError
from infinity_mm.fs import Location
from infinity_mm.pipeline.fetching import FetchTask, Round, Settled, fetch_partition, forget_unsettled
from infinity_mm.pipeline.resolving import OutcomesTask, answer_wanted, report_downloads, resolve
from infinity_mm.pipeline.urls import URLS, distinct
from infinity_mm.store import Store

ALL = HostRange("")
PNG = b"\x89PNG\r\n\x1a\n"


class Web:
    """A client: URL -> reason of a failure; all other URLs give their own name as content."""

    def __init__(self, failing=None, break_after=None):
        self.failing = failing or {}
        self.break_after = break_after
        self.asked = collections.Counter()

    def __call__(self, requests, policy):
        for request in requests:
            if self.break_after is not None and self.asked.total() == self.break_after:
                raise KeyboardInterrupt
            self.asked[request.url] += 1
            assert request.checksum == ""
            reason = self.failing.get(request.url)
            if reason:
                yield Outcome(request.url, reason=reason, detail=f"try {self.asked[request.url]}")
            else:
                yield Outcome(request.url, PNG + request.url.encode(), http_status=200)


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(Location.of(tmp_path))


def want(store, urls, path="state/wanted/part-0"):
    rows = [
        {"url_hash": url_hash(u), "url": u, "checksum": "", "bucket": bucket_of(host_of(u)), "references": n}
        for u, n in collections.Counter(urls).items()
    ]
    table = pa.Table.from_pylist(rows, schema=URLS).select(["url_hash", "url", "bucket", "references"])
    store.write(path, distinct(table), group_rows=7)
    return path


def fetch(store, wanted, web, number=1, hosts=ALL, **params):
    params = DownloadParams(**params)
    output = f"state/fetch/{hosts.folder}.json"
    near = shards_of(clean_up(store), hosts)
    task = FetchTask(store.work.uri, hosts, tuple(wanted), number, params, near, output)
    fetch_partition(task, web)
    return task, Settled.model_validate_json(store.at(output).read_bytes())


def answers(store, wanted, hosts=ALL):
    near = shards_of(clean_up(store), hosts)
    task = OutcomesTask(store.work.uri, hosts, tuple(wanted), near, f"state/outcomes/{hosts.folder}")
    answer_wanted(task)
    return task, store.read(task.answers).to_pylist()


def urls(count, hosts=9):
    return [f"http://h{n % hosts}.test/{n}" for n in range(count)]


def test_each_url_is_fetched_once_over_sources_partitions_and_rounds(store):
    first = want(store, urls(30) * 3)
    web = Web()
    fetch(store, [first], web, shard_urls=7)
    assert set(web.asked.values()) == {1}
    second = want(store, [*urls(50), *urls(50)[40:]], "state/wanted/part-1")
    ranges = HostRange.cut(50, 10)
    assert len(ranges) == 8
    for hosts in ranges:
        fetch(store, [first, second], web, number=2, hosts=hosts)
    assert web.asked == collections.Counter(urls(50))
    tasks = [answers(store, [first, second], hosts)[0] for hosts in ranges]
    report = report_downloads(store, tasks)
    assert (report.references, report.urls, report.repeats_saved) == (90 + 60, 50, 100)
    assert (report.downloaded, report.failed, report.not_downloaded) == (50, {}, 0)
    assert report.bytes == sum(len(PNG) + len(url) for url in urls(50))


def test_a_host_stays_in_one_partition(store):
    wanted = want(store, urls(200, hosts=23))
    for hosts in HostRange.cut(200, 20):
        fetch(store, [wanted], Web(), hosts=hosts)
    places = collections.defaultdict(set)
    for shard in clean_up(store):
        for url in store.read(f"{shard}.parquet").column("url").to_pylist():
            places[host_of(url)].add(shard.split("/")[1])
    assert len(places) == 23
    assert {len(folders) for folders in places.values()} == {1}
    assert len(set.union(*places.values())) > 4


def test_after_a_kill_only_the_rest_is_fetched_and_failures_are_not_asked_again_in_the_same_round(store):
    wanted = want(store, urls(20))
    failing = dict.fromkeys(urls(20)[:4], "timeout")
    first = Web(failing, break_after=13)
    with pytest.raises(KeyboardInterrupt):
        fetch(store, [wanted], first, shard_urls=5)
    assert not store.at("state/fetch/hosts-all.json").exists()
    second = Web(failing)
    _, settled = fetch(store, [wanted], second, shard_urls=5)
    both = first.asked + second.asked
    assert set(both) == set(urls(20))
    assert both.total() == 20 + 3, "the three of the shard in the making are lost with the kill"
    assert [(reason, count) for reason, _, count in settled.failed] == [("timeout", 4)]


def test_failures_alone_are_tried_again_in_the_next_round(store):
    failing = dict(zip(urls(9), ("timeout", "http_not_found", "robots_disallowed") * 3, strict=True))
    wanted = want(store, urls(12))
    fetch(store, [wanted], Web(failing))

    def asked(**params):
        web = Web(failing)
        number = Settled.model_validate_json(store.at("state/fetch/hosts-all.json").read_bytes()).round + 1
        fetch(store, [wanted], web, number=number, **params)
        return {failing[url] for url in web.asked}

    assert asked(retry="none") == set()
    assert asked() == {"timeout"}
    assert asked(respect_robots=False) == {"timeout", "robots_disallowed"}
    assert asked(retry="all") == {"timeout", "http_not_found", "robots_disallowed"}
    rows = read_outcomes(store, clean_up(store), ALL, INDEX.names).to_pylist()
    attempts = {failing[row["url"]]: row["attempts"] for row in rows if row["url"] in failing}
    assert attempts == {"timeout": 4, "http_not_found": 2, "robots_disallowed": 3}
    assert {row["detail"] for row in rows if row["reason"]} == {"try 1"}
    failing.clear()
    fetch(store, [wanted], web := Web(), number=9, retry="all")
    assert len(web.asked) == 9
    assert [row["reason"] for row in answers(store, [wanted])[1]] == [None] * 12


def test_a_task_is_settled_until_failures_are_due_or_shards_are_gone(store):
    failing = {urls(3)[0]: "http_not_found", urls(3)[1]: "timeout"}
    wanted = want(store, urls(3))
    task, settled = fetch(store, [wanted], Web(failing), retry="none")
    shards = settled.shards

    def kept(number=2, is_open=False, shards=shards, **params):
        store.at(task.output).write_bytes(settled.model_dump_json().encode())
        now = FetchTask(task.work, ALL, task.wanted, number, DownloadParams(**params), shards, task.output)
        forget_unsettled(store, [now], Round(number=number - (not is_open), open=is_open))
        return store.at(task.output).exists()

    assert kept(retry="none")
    assert not kept()
    assert kept(number=1, is_open=True), "a round that was killed asks nothing twice"
    assert not kept(number=2, is_open=True)
    assert not kept(retry="none", shards=())
    assert kept(retry="none", shards=(*shards, "downloads/hosts-0/more"))


def test_a_deleted_tar_is_fetched_anew(store):
    wanted = want(store, urls(6))
    fetch(store, [wanted], Web(), shard_urls=3)
    store.at(f"{clean_up(store)[0]}.tar").delete()
    fetch(store, [wanted], web := Web(), number=2)
    assert web.asked.total() == 3
    assert len(answers(store, [wanted])[1]) == 6


def test_a_client_that_loses_a_request_is_a_bug(store):
    wanted = want(store, urls(3))

    def forgetful(requests, policy):
        yield from [*Web()(requests, policy)][1:]

    with pytest.raises(StageError, match=r"3 URLs .* 2 came back"):
        fetch(store, [wanted], forgetful)


def test_answers_stand_by_group_and_the_worst_hosts_are_named(store):
    one, two = want(store, urls(6)), want(store, urls(9)[3:], "state/wanted/part-1")
    failing = {url: "dns_error" for url in urls(9) if host_of(url) in ("h3.test", "h8.test")}
    fetch(store, [one, two], Web(failing))
    task, rows = answers(store, [one, two])
    assert [row["group"] for row in rows] == [0] * 6 + [1] * 6
    assert [row["url_hash"] for row in rows[:6]] == sorted(map(url_hash, urls(6)))
    report = report_downloads(store, [task])
    assert (report.urls, report.failed) == (9, {"dns_error": 2})
    assert [(host.host, host.urls) for host in report.worst_hosts] == [("h3.test", 1), ("h8.test", 1)]


def test_checksums_are_judged_where_they_are_given_and_the_content_stays():
    answer = {"reason": None, "detail": "", "sha256": "ab" * 32, "md5": "cd" * 16, "tar": "t", "offset": 512, "size": 9}
    none = dict.fromkeys(answer)

    def end(checksum, answer=answer):
        return resolve({"url": "u", "checksum": checksum}, answer)["reason"]

    assert end("") is end("md5:" + "CD" * 16) is end("sha256:" + "ab" * 32) is None
    assert end("md5:" + "00" * 16) == end("sha256:" + "00" * 32) == "checksum_mismatch"
    assert end("crc:12") == end("md5:zz") == "checksum_mismatch"
    assert end("md5:" + "00" * 16, none | {"reason": "timeout"}) == "timeout"
    assert end("md5:" + "00" * 16, none) is None
    wrong = resolve({"url": "u", "checksum": "md5:" + "00" * 16}, answer)
    assert wrong["tar"] is wrong["sha256"] is None
    assert wrong["detail"] == f"expected md5:{'00' * 16}, got md5:{'cd' * 16}"

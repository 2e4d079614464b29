"""Shards: what is in them, how large they grow, and how each URL's end is read back."""

import hashlib
import os
import tarfile

import orjson
import pytest

from infinity_mm.download.index import clean_up, read_outcomes, shards_of
from infinity_mm.download.keys import HostRange, url_hash
from infinity_mm.download.params import DownloadParams
from infinity_mm.download.request import Outcome
from infinity_mm.download.shard import INDEX, Earlier, ShardWriter
from infinity_mm.errors import StoreError
from infinity_mm.fs import Location
from infinity_mm.store import Store

PNG = b"\x89PNG\r\n\x1a\n" + bytes(700)
ALL = HostRange("")


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(Location.of(tmp_path))


def got(name, content=PNG):
    return Outcome(f"http://{name}.test/x", content, http_status=200, final_url=f"http://{name}.test/x", requests=1)


def lost(name, reason="timeout", detail="10 s"):
    return Outcome(f"http://{name}.test/x", reason=reason, detail=detail, requests=2)


def write(store, outcomes, number=1, earlier=None, **params):
    writer = ShardWriter(store, "downloads/hosts-all", number, DownloadParams(**params), earlier or {})
    return list(writer.write(iter(outcomes)))


def outcomes_of(store):
    return {row["url"][7:-7]: row for row in read_outcomes(store, clean_up(store), ALL, INDEX.names).to_pylist()}


def test_bodies_lie_in_a_plain_tar_at_the_offset_that_the_index_names(store):
    bodies = {"a": PNG, "b": b"\xff\xd8\xff\xe0" + bytes(512 * 3 - 4), "c": b"", "d": b"?" * 513}
    (stats,) = write(store, [*(got(name, body) for name, body in bodies.items()), lost("e", "http_not_found")])
    assert (stats.urls, stats.downloaded, stats.failed) == (5, 4, {"http_not_found": 1})
    assert stats.bytes == sum(map(len, bodies.values()))
    (shard,) = clean_up(store)
    raw = store.at(f"{shard}.tar").read_bytes()
    found = outcomes_of(store)
    with tarfile.open(store.at(f"{shard}.tar").path) as tar:
        names = tar.getnames()
    assert names == [
        f"{url_hash(f'http://{n}.test/x')}.{e}" for n, e in zip("abcd", ("png", "jpg", "bin", "bin"), strict=True)
    ]
    for name, body in bodies.items():
        row = found[name]
        assert raw[row["offset"] : row["offset"] + row["size"]] == body
        assert row["sha256"] == hashlib.sha256(body).hexdigest()
        assert row["md5"] == hashlib.md5(body).hexdigest()
        assert row["tar"] == f"{shard}.tar"
        assert row["reason"] is None
    assert found["e"]["reason"] == "http_not_found"
    assert found["e"]["tar"] is found["e"]["sha256"] is None
    assert orjson.loads(store.at(f"{shard}_stats.json").read_bytes())["urls"] == 5


@pytest.mark.parametrize(
    ("limits", "sizes"), [({"shard_urls": 3}, [3, 3, 1]), ({"shard_bytes": 4_000}, [3, 3, 1]), ({}, [7])]
)
def test_shards_are_bounded_by_urls_and_bytes(store, limits, sizes):
    stats = write(store, [got(str(n)) for n in range(7)], **limits)
    assert [line.urls for line in stats] == sizes
    assert len(outcomes_of(store)) == 7


def test_a_shard_is_closed_after_its_time(store):
    assert [line.urls for line in write(store, [got("a"), got("b")], shard_seconds=1e-9)] == [1, 1]


def test_bodies_are_written_as_they_come_and_a_kill_loses_one_shard(store):
    def outcomes():
        for number in range(5):
            yield got(str(number))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(store, outcomes(), shard_urls=2)
    assert any(name.startswith("hosts-all/.tmp-") for name in store.at("downloads").files(recursive=True))
    assert len(clean_up(store)) == 2
    assert set(outcomes_of(store)) == {"0", "1", "2", "3"}
    assert not any(".tmp-" in name for name in store.at("downloads").files(recursive=True))


def test_an_index_without_its_tar_is_forgotten_and_so_is_a_tar_without_index(store):
    write(store, [got("a"), got("b")], shard_urls=1)
    one, two = clean_up(store)
    store.at(f"{one}.tar").delete()
    store.at(f"{two}.parquet").delete()
    assert clean_up(store) == ()
    assert store.at("downloads").files(recursive=True) == []


def test_content_wins_over_failures_and_the_last_failure_over_earlier_ones(store):
    write(store, [got("a"), lost("b"), lost("c")])
    write(store, [lost("a"), lost("b", "http_not_found", "404"), got("c")], number=2)
    found = outcomes_of(store)
    assert found["a"]["reason"] is None
    assert found["b"]["reason"] == "http_not_found"
    assert found["c"]["reason"] is None
    assert found["c"]["round"] == 2


def test_attempts_are_counted_and_the_same_failure_keeps_its_words(store):
    earlier = {f"http://{n}.test/x": Earlier(3, "timeout", "10.0 s") for n in "ab"}
    write(store, [lost("a", "timeout", "10.2 s"), lost("b", "dns_error", "no name"), lost("c")], 4, earlier)
    found = outcomes_of(store)
    assert [(found[n]["attempts"], found[n]["detail"]) for n in "abc"] == [(4, "10.0 s"), (4, "no name"), (1, "10 s")]


def test_what_a_server_says_can_be_stored_whatever_it_is(store):
    hostile = Outcome("http://a.test/x", PNG, detail="\udcff" * 9, final_url="http://\ud800/", content_type="x" * 10**6)
    write(store, [hostile, Outcome("http://b.test/x")])
    found = outcomes_of(store)
    assert len(found["a"]["content_type"]) == 2_000
    assert found["b"]["reason"] == "empty"


def test_a_range_reads_its_own_hosts_from_shards_of_other_ranges(store):
    write(store, [got(f"h{n}") for n in range(40)])
    shards = clean_up(store)
    halves = [HostRange("0"), HostRange("1")]
    found = [
        set(read_outcomes(store, shards_of(shards, half), half, ["url"]).column("url").to_pylist()) for half in halves
    ]
    assert not found[0] & found[1]
    assert len(found[0] | found[1]) == 40
    assert shards_of(["downloads/hosts-0/s", "downloads/hosts-10/s"], HostRange("1")) == ("downloads/hosts-10/s",)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written(store, tmp_path):
    (tmp_path / "downloads").mkdir(mode=0o500)
    with pytest.raises(StoreError, match="permissions"):
        write(store, [got("a")])


def test_a_file_where_the_folder_should_be(store):
    store.at("downloads/hosts-all").write_bytes(b"")
    with pytest.raises(StoreError, match="run again"):
        write(store, [got("a")])

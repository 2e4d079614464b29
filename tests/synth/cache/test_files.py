"""Laws of a cache's files: nothing is lost, whoever adds and merges at the same time."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.errors import StoreError
from infinity_mm.fs import Location
from infinity_mm.synth.cache import files as module
from infinity_mm.synth.cache.entries import digest, from_table, merge, to_table
from infinity_mm.synth.cache.files import CROWD, GenerationFiles
from infinity_mm.synth.cache.key import PLACE
from tests.synth.cache.conftest import entry


def known(files: GenerationFiles, entries: Any) -> list[Any]:
    return from_table(files.find({one.key[:PLACE] for one in entries}))


def test_an_empty_cache_knows_nothing(files: GenerationFiles) -> None:
    assert known(files, [entry(1)]) == []
    assert files.find(()).num_rows == 0
    assert files.compact() == (0, 0)
    files.add(to_table([]))
    assert files.root.files() == []


def test_what_was_added_is_found_by_its_pictures_and_nothing_else(files: GenerationFiles) -> None:
    files.add(to_table(entry(k) for k in range(50)))
    files.add(to_table(entry(k, place=7) for k in range(100, 103)))
    assert known(files, [entry(7)]) == sorted([entry(7), *(entry(k, place=7) for k in range(100, 103))])
    assert known(files, [entry(51)]) == []
    assert files.rows() == 53


def test_the_same_entries_are_the_same_file(files: GenerationFiles) -> None:
    for _ in range(3):
        files.add(to_table([entry(2), entry(1), entry(1)]))
    assert len(files.root.files()) == 1
    assert files.rows() == 2


@settings(max_examples=30)
@given(parts=st.lists(st.lists(st.tuples(st.integers(0, 30), st.sampled_from("ab"))), max_size=12), small=st.booleans())
def test_merging_keeps_every_key_and_one_answer(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[tuple[int, str]]], small: bool
) -> None:
    files = GenerationFiles(Location.of(tmp_path_factory.mktemp("cache")))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "MAX_ROWS", 4 if small else 1000)
        patch.setattr(module, "CROWD", 2)
        for part in parts:
            files.add(to_table(entry(number, text) for number, text in part))
        every = [entry(number) for number in range(31)]
        before = known(files, every)
        files.compact()
        assert known(files, every) == before
        assert {one.key for one in before} == {entry(number).key for part in parts for number, _ in part}
        groups = files._by_prefix()
        assert all(len(names) <= 2 for names in groups.values())
        for one in before:
            written = {text for part in parts for number, text in part if entry(number).key == one.key}
            assert one.text == min(written)


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from(["a", "b"]))), st.randoms())
@settings(max_examples=30)
def test_a_union_does_not_depend_on_the_order(rows: list[tuple[int, str]], random: Any) -> None:
    tables = [to_table([entry(*row)]) for row in rows]
    shuffled = random.sample(tables, len(tables))
    assert merge(tables).equals(merge(shuffled))
    assert digest(merge(tables)) == digest(merge(shuffled))


def test_a_large_cache_becomes_files_by_key_range(files: GenerationFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ROWS", 64)
    monkeypatch.setattr(module, "GROUP_ROWS", 8)
    for start in range(0, 2000, 100):
        files.add(to_table(entry(k) for k in range(start, start + 100)))
        files.compact()
    prefixes = {prefix for prefix, names in files._by_prefix().items() if prefix}
    assert {len(prefix) for prefix in prefixes} <= {1, 2}
    assert len(prefixes) >= 16
    assert known(files, [entry(k) for k in range(2000)]) == sorted(entry(k) for k in range(2000))
    read: list[str] = []
    original = GenerationFiles._read

    def watched(self: GenerationFiles, name: str, places: Any) -> Any:
        read.append(name)
        return original(self, name, places)

    monkeypatch.setattr(GenerationFiles, "_read", watched)
    assert known(files, [entry(77)]) == [entry(77)]
    assert len(read) <= 2 * CROWD + 2 < len(files.root.files())


def test_runs_that_add_and_merge_at_once_lose_nothing(files: GenerationFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CROWD", 2)
    monkeypatch.setattr(module, "MAX_ROWS", 40)

    def work(worker: int) -> None:
        mine = []
        for number in range(12):
            new = [entry(1000 * worker + 10 * number + k) for k in range(5)] + [entry(number, text=f"by {worker}")]
            files.add(to_table(new))
            files.compact()
            mine += new
            lost = {one.key for one in mine} - {one.key for one in known(files, mine)}
            assert not lost, f"worker {worker} in round {number}"

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(work, (1, 2, 3)))
    every = [entry(1000 * worker + 10 * number + k) for worker in (1, 2, 3) for number in range(12) for k in range(5)]
    assert set(known(files, every)) >= set(every)
    assert [one.text for one in known(files, [entry(number) for number in range(12)])] == ["by 1"] * 12


def test_files_that_are_merged_away_under_a_look_are_looked_for_again(
    files: GenerationFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    for k in range(CROWD + 1):
        files.add(to_table([entry(k)]))
    original = GenerationFiles._read
    done = threading.Event()

    def late(self: GenerationFiles, name: str, places: Any) -> Any:
        if places is not None and not done.is_set():
            done.set()
            self.compact()
        return original(self, name, places)

    monkeypatch.setattr(GenerationFiles, "_read", late)
    assert len(known(files, [entry(k) for k in range(CROWD + 1)])) == CROWD + 1
    assert len(files.root.files()) == 1


def test_a_damaged_file_is_named(files: GenerationFiles) -> None:
    files.add(to_table([entry(1)]))
    (name,) = files.root.files()
    path = Path(files.root.path) / name
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(StoreError, match=rf"{name}.*delete that file"):
        known(files, [entry(1)])


def test_strange_and_half_written_files_are_left_alone(files: GenerationFiles) -> None:
    files.add(to_table([entry(1)]))
    for name in (".tmp-abc-k-0.parquet", "readme.txt", "k-xyz.parquet"):
        (Path(files.root.path) / name).write_bytes(b"?")
    assert known(files, [entry(1)]) == [entry(1)]
    files.compact()
    assert len(files.root.files()) == 4

"""The laws of a cache's files on an object store, where listing, reading and deleting are separate requests."""

from __future__ import annotations

import multiprocessing
from typing import Any

import pyarrow.parquet as pq
import pytest

from infinity_mm.fs import Location
from infinity_mm.synth.cache import files as module
from infinity_mm.synth.cache.entries import from_table, to_table
from infinity_mm.synth.cache.files import CROWD, GenerationFiles
from infinity_mm.synth.cache.key import PLACE
from tests.synth.cache.conftest import entry

ROUNDS = 5


def at(bucket: str, path: str) -> GenerationFiles:
    return GenerationFiles(Location.of(bucket.format(path)))


def known(files: GenerationFiles, entries: Any) -> list[Any]:
    return from_table(files.find({one.key[:PLACE] for one in entries}))


@pytest.mark.parametrize("path", ["/caches/one", ""])
def test_entries_are_added_found_and_merged(bucket: str, path: str) -> None:
    files = at(bucket, path)
    assert known(files, [entry(1)]) == []
    every = [entry(k) for k in range(CROWD + 2)]
    for one in every:
        files.add(to_table([one]))
    assert known(files, every) == sorted(every)
    assert files.compact() == (CROWD + 2, 1)
    assert known(files, every) == sorted(every)
    assert len(files.root.files()) == 1
    assert files.rows() == CROWD + 2


def test_an_object_that_goes_while_it_is_read_is_looked_for_again(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    files = at(bucket, "/race")
    every = [entry(k) for k in range(CROWD + 1)]
    for one in every:
        files.add(to_table([one]))
    opened: list[str] = []
    original = pq.ParquetFile

    def late(stream: Any, **options: Any) -> Any:
        """Let another run merge the files away after this one was opened and before its first byte is read."""
        if not opened:
            opened.append("")
            files.compact()
        return original(stream, **options)

    monkeypatch.setattr(module.pq, "ParquetFile", late)
    assert known(files, every) == sorted(every)
    assert opened


def work(arguments: tuple[str, int]) -> list[str]:
    """Add, merge and look as one of several runs; returns the keys that were lost at any time."""
    bucket, worker = arguments
    module.CROWD, module.MAX_ROWS = 2, 40
    files, mine, lost = at(bucket, "/shared"), [], set()
    for number in range(ROUNDS):
        mine += [entry(1000 * worker + 10 * number + k) for k in range(5)] + [entry(number, text=f"by {worker}")]
        files.add(to_table(mine[-6:]))
        files.compact()
        lost |= {one.key for one in mine} - {one.key for one in known(files, mine)}
    return sorted(lost)


def test_processes_that_add_and_merge_at_once_lose_nothing(bucket: str) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(work, [(bucket, worker) for worker in (1, 2, 3)]) == [[], [], []]
    files = at(bucket, "/shared")
    every = [entry(1000 * worker + 10 * n + k) for worker in (1, 2, 3) for n in range(ROUNDS) for k in range(5)]
    assert set(known(files, every)) >= set(every)
    shared = known(files, [entry(number) for number in range(ROUNDS)])
    assert [one.text for one in shared] == ["by 1"] * ROUNDS

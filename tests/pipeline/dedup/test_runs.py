"""Files of several readers: each gets its own rows, and damage is an error."""

import pyarrow as pa
import pytest

from infinity_mm.errors import StoreError
from infinity_mm.fs import Location
from infinity_mm.pipeline.dedup.runs import read_runs, write_runs
from infinity_mm.store import Store

TABLE = pa.table({"key": pa.array(range(10), pa.uint64()), "text": [f"t{n}" for n in range(10)]})


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(Location.of(tmp_path))


def test_readers_get_their_rows_and_no_others(store):
    write_runs(store, "runs/a.parquet", TABLE, ["x", "none", "y", "z"], [3, 3, 9, 10])
    for label, expected in {"x": range(3), "none": [], "y": range(3, 9), "z": [9], "other": []}.items():
        found = read_runs(store, "runs/a.parquet", lambda name, wanted=label: name == wanted)
        assert found.schema == TABLE.schema
        assert found.column("key").to_pylist() == list(expected)
    assert read_runs(store, "runs/a.parquet", lambda name: True) == TABLE


def test_a_file_without_rows(store):
    write_runs(store, "a.parquet", TABLE.slice(0, 0), ["x"], [0])
    assert read_runs(store, "a.parquet", lambda name: True) == TABLE.slice(0, 0)


def test_an_absent_and_a_damaged_file_are_named(store, tmp_path):
    with pytest.raises(StoreError, match=r"absent\.parquet.*delete that file and run again"):
        read_runs(store, "absent.parquet", lambda name: True)
    write_runs(store, "a.parquet", TABLE, ["x"], [10])
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[60] ^= 1  # in the first page
    (tmp_path / "a.parquet").write_bytes(data)
    with pytest.raises(StoreError, match=r"a\.parquet"):
        read_runs(store, "a.parquet", lambda name: True)

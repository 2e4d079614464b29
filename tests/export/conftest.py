import pytest

from infinity_mm.fs import Location
from infinity_mm.schema import RECORDS
from infinity_mm.store import Store
from tests.export.shards import FORMATS, encoded, record


@pytest.fixture
def work(tmp_path):
    """A run folder with 23 records: one picture in four formats, text only, three pictures, and a borrowed one."""
    store = Store(Location.of(tmp_path / "work"))
    rows = [record(n, [encoded(FORMATS[n % 4], n)]) for n in range(16)]
    rows += [record(n, []) for n in range(16, 20)]
    rows += [record(n, [encoded(kind, n + k) for k, kind in enumerate(FORMATS[:3])]) for n in range(20, 22)]
    child = record(22, [rows[3]["image_bytes"][0]], parent=rows[3]["id"])
    for path, members in (
        ("records/a/part-0.parquet", rows[:9]),
        ("records/a/part-1.parquet", rows[9:]),
        ("records/synthetic/p.parquet", [child]),
    ):
        with store.writer(path, RECORDS) as writer:
            for row in members:
                writer.add(row, 10)
    return store, [*rows, child]

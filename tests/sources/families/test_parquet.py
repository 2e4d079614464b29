"""Parquet by named columns and by rows inside a group: the same rows for any cut, damage where it is."""

import datetime

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.fs import Location
from infinity_mm.sources.families.parquet import plan_parquet, read_parquet
from infinity_mm.sources.families.rowfiles import RowFiles
from tests.sources.reading import rows_of, same_for_all_sizes

READER = RowFiles(columns=("url", "text", "seen"))


def write(path, rows, **options):
    pq.write_table(pa.Table.from_pylist(rows), path, **options)


def test_only_named_columns_are_read_whatever_their_case(tmp_path):
    seen = datetime.datetime(2020, 1, 2)
    rows = [{"URL": f"http://a/{n % 3}", "TEXT": None if n == 4 else "x", "hash": n, "Seen": seen} for n in range(7)]
    write(tmp_path / "a.parquet", rows, row_group_size=4)
    found = same_for_all_sizes(READER, tmp_path)
    assert found[4][4] == {"URL": "http://a/1", "TEXT": None, "Seen": seen}
    assert [f[1] for f in found] == [f"row={n}" for n in range(7)]
    assert [f[3] for f in found] == [0, 0, 0, 1, 0, 1, 2], "a row is what its named columns hold"


def test_a_file_without_any_named_column_is_read_as_it_is(tmp_path):
    write(tmp_path / "a.parquet", [{"other": 1}])
    assert [f[4] for f in same_for_all_sizes(READER, tmp_path)] == [{"other": 1}]


def test_nested_columns_tell_rows_apart(tmp_path):
    rows = [{"images": ["http://a/1", None], "texts": [None, t]} for t in ("x", "x", "y")]
    write(tmp_path / "a.parquet", rows)
    found = same_for_all_sizes(RowFiles(columns=("images", "texts")), tmp_path)
    assert [(f[3], f[4]["texts"]) for f in found] == [(0, [None, "x"]), (1, [None, "x"]), (0, [None, "y"])]


def test_a_group_is_cut_anywhere_unless_it_holds_pictures(tmp_path):
    root = Location.of(tmp_path)
    write(tmp_path / "a.parquet", [{"url": str(n)} for n in range(10)])
    write(tmp_path / "b.parquet", [{"url": str(n), "image": {"bytes": b"\x89"}} for n in range(10)], row_group_size=4)
    cuts = {
        file: [(s.start, s.stop) for s in plan_parquet(root / file, file, 3)] for file in ("a.parquet", "b.parquet")
    }
    assert cuts["a.parquet"] == [(0, 3), (3, 6), (6, 9), (9, 10)]
    assert cuts["b.parquet"] == [(0, 4), (4, 8), (8, 10)]
    named = plan_parquet(root / "b.parquet", "b.parquet", 3, ("url",))
    assert [(s.start, s.stop) for s in named] == [(0, 3), (3, 6), (6, 9), (9, 10)], "pictures that are not read"


def test_a_damaged_page_costs_the_rest_of_its_group_for_any_cut(tmp_path):
    rows = [{"url": f"http://a/{n:05d}" + "x" * 50} for n in range(3_000)]
    write(tmp_path / "a.parquet", rows, row_group_size=1_500, compression="none", use_dictionary=False)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    place = pq.ParquetFile(tmp_path / "a.parquet").metadata.row_group(0).column(0).data_page_offset
    data[place : place + 40] = b"\xff" * 40
    (tmp_path / "a.parquet").write_bytes(data)
    found = rows_of(RowFiles(columns=("url",)), tmp_path, 700)
    assert [f[5] for f in found] == ["malformed_archive"] * 1_500 + [None] * 1_500
    assert [f[2] for f in found] == [f[2] for f in rows_of(RowFiles(columns=("url",)), tmp_path, 5_000)]
    assert found[1_500][4] == rows[1_500]


def test_columns_of_any_kind_can_be_told_apart(tmp_path):
    table = pa.table(
        {
            "url": pa.array([b"x", b"\xff", b"x"]).dictionary_encode(),
            "text": pa.array([True, None, True]),
            "seen": pa.array([1.5, 2.5, 1.5]),
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    assert [f[3] for f in same_for_all_sizes(READER, tmp_path)] == [0, 0, 1]


def test_a_row_group_of_pictures_is_read_page_by_page(tmp_path):
    picture = bytes(1 << 20)
    cells = pa.array([{"bytes": picture, "path": "a.jpg"}] * 8)
    pq.write_table(
        pa.table({"image": pa.chunked_array([cells] * 12)}),
        tmp_path / "a.parquet",
        row_group_size=96,
        use_dictionary=False,
        compression="none",
    )
    root = Location.of(tmp_path)
    before, most, count = pa.total_allocated_bytes(), 0, 0
    (split,) = plan_parquet(root / "a.parquet", "a.parquet", 10)
    for raw in read_parquet(root / "a.parquet", split):
        most = max(most, pa.total_allocated_bytes() - before)
        count += len(raw.row["image"]["bytes"]) == len(picture)
    assert count == 96
    assert most < 48 << 20, "half of the row group"


def test_parquet_is_planned_without_its_pictures(tmp_path):
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    lines = [
        {"id": str(n // 2), "image": {"bytes": bytes([n]) * 50, "path": "x"} if n % 3 else None} for n in range(11)
    ]
    schema = pa.schema([("id", pa.string()), ("image", image)])
    pq.write_table(pa.Table.from_pylist(lines, schema=schema), tmp_path / "a.parquet", row_group_size=4)
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [f[1] for f in found] == [f"row={n}" for n in range(11)]
    assert [f[4] for f in found] == lines


def test_damaged_parquet_is_one_quarantined_row(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing that follows")
    assert [f[5] for f in same_for_all_sizes(RowFiles(), tmp_path)] == ["malformed_archive"]


def in_groups(path, table):
    """Write a Parquet file with one row per row group, and return its content."""
    with pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as writer:
        for number in range(table.num_rows):
            writer.write_table(table.slice(number, 1))
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("column", ["text", "image"])
def test_a_damaged_page_costs_its_row_group_alone(tmp_path, column):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"row {n}" for n in range(5)], "image": [bytes([n]) * 99 for n in range(5)]})
    content = in_groups(path, table)
    meta = pq.read_metadata(path).row_group(2).column(table.column_names.index(column))
    content[meta.data_page_offset : meta.data_page_offset + meta.total_compressed_size] = (
        b"\xff" * meta.total_compressed_size
    )
    path.write_bytes(content)
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[1], f[5]) for f in found] == [(f"row={n}", "malformed_archive" if n == 2 else None) for n in range(5)]


def test_a_value_that_python_cannot_hold_costs_its_row(tmp_path):
    raw = pa.array([b"good", b"\xff", b"good"])
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    dates = pa.array([1, 2, 2**62], pa.timestamp("us"))
    pq.write_table(pa.table({"text": text, "date": dates, "n": [1, 2, 3]}), tmp_path / "a.parquet")
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[4] and f[4]["n"], f[5]) for f in found] == [
        (1, None),
        (None, "malformed_archive"),
        (None, "malformed_archive"),
    ]

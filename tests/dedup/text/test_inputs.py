"""Which files are read, how they are cut, and what is refused before any work."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.dedup.text import inputs
from infinity_mm.dedup.text.inputs import Columns, cut, find_files, read
from infinity_mm.errors import JobError, StoreError, UsageError
from infinity_mm.fs import Location

COLUMNS = Columns("text", "id")


def table(rows: int) -> pa.Table:
    return pa.table({"id": list(range(rows)), "text": [f"text {n}" for n in range(rows)], "other": [0.5] * rows})


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "deep").mkdir()
    for name, rows in (("b.parquet", 10), ("a.parquet", 3), ("deep/c.parquet", 5), ("none.parquet", 0)):
        pq.write_table(table(rows), tmp_path / name, row_group_size=4)
    (tmp_path / "notes.txt").write_text("no Parquet")
    return tmp_path


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("", ["a.parquet", "b.parquet", "c.parquet", "none.parquet"]),
        ("*.parquet", ["a.parquet", "b.parquet", "none.parquet"]),
        ("**/[bc].parquet", ["b.parquet", "c.parquet"]),
        ("b.parquet", ["b.parquet"]),
    ],
)
def test_files_are_found_and_sorted(folder, pattern, names):
    assert [file.name for file in find_files(str(folder / pattern))] == names


def test_uris_may_hold_globs(folder):
    assert [file.name for file in find_files(f"file://{folder}/*a.parquet")] == ["a.parquet"]


@pytest.mark.parametrize("pattern", ["absent", "absent*", "deep/*.json"])
def test_no_file_is_told(folder, pattern):
    with pytest.raises(UsageError, match="names no Parquet file; quote a glob"):
        find_files(str(folder / pattern))


def test_units_are_whole_row_groups_and_number_the_rows(folder, monkeypatch):
    monkeypatch.setattr(inputs, "UNIT_ROWS", 6)
    units = cut(find_files(str(folder)), COLUMNS)
    cut_as = [[(piece.file.name, piece.row_groups) for piece in unit.pieces] for unit in units]
    assert cut_as == [
        [("a.parquet", (0,)), ("b.parquet", (0,))],
        [("b.parquet", (1, 2))],
        [("c.parquet", (0, 1))],
    ]
    assert [(unit.number, unit.first, unit.rows) for unit in units] == [(0, 0, 7), (1, 7, 6), (2, 13, 5)]
    assert [units[0].file_of(row).name for row in (0, 2, 3, 6)] == ["a.parquet"] * 2 + ["b.parquet"] * 2
    found = [value for unit in units for batch in read(unit, ["id"]) for value in batch.column(0).to_pylist()]
    assert found == [*range(3), *range(10), *range(5)]


def test_many_rows_make_larger_units_rather_than_more(folder, monkeypatch):
    monkeypatch.setattr(inputs, "UNIT_ROWS", 1)
    assert len(cut(find_files(str(folder)), COLUMNS)) == 6
    monkeypatch.setattr(inputs, "MOST_UNITS", 2)
    assert [unit.rows for unit in cut(find_files(str(folder)), COLUMNS)] == [11, 7]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.string())])
def test_texts_come_as_large_strings(tmp_path, kind):
    texts = pa.array(["a", None, "b"]).cast(kind)
    pq.write_table(pa.table({"id": [1, 2, 3], "text": texts}), tmp_path / "a.parquet")
    (unit,) = cut(find_files(str(tmp_path)), COLUMNS)
    (batch,) = read(unit, ["text", "id"])
    assert batch.column(0).type == pa.large_string()
    assert batch.column(0).to_pylist() == ["a", None, "b"]


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (Columns("txt", "id"), "no column 'txt'; did you mean 'text'"),
        (Columns("id", "id"), "column 'id' of .* is int64, not a string"),
        (Columns("text", "other"), "column 'other' of .* is double: ids must be strings or integers"),
        (Columns("text", "id", "text"), "column 'text' of .* is string: priorities must be integers"),
    ],
)
def test_columns_of_no_use_are_refused(folder, columns, message):
    with pytest.raises(UsageError, match=message):
        cut(find_files(str(folder)), columns)


def test_ids_of_two_kinds_are_refused(tmp_path):
    pq.write_table(table(2), tmp_path / "a.parquet")
    pq.write_table(table(2).set_column(0, "id", pa.array(["x", "y"])), tmp_path / "b.parquet")
    with pytest.raises(UsageError, match=r"column 'id' is string in .*b.parquet, but int64 in .*a.parquet"):
        cut(find_files(str(tmp_path)), COLUMNS)


def test_what_is_no_parquet_is_refused(folder):
    with pytest.raises(UsageError, match=r"cannot read .*notes.txt as Parquet"):
        cut([Location.of(folder / "notes.txt")], COLUMNS)


def test_files_that_change_are_told(folder):
    (unit,) = cut([Location.of(folder / "b.parquet")], COLUMNS)
    pq.write_table(table(9), folder / "b.parquet", row_group_size=4)
    with pytest.raises(JobError, match="changed while it was read"):
        list(read(unit, ["id"]))
    (folder / "b.parquet").unlink()
    with pytest.raises(StoreError, match=r"cannot read .*b.parquet"):
        list(read(unit, ["id"]))

"""What a file of own data is, is decided by its content."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infinity_mm.fs import Location
from infinity_mm.sources.own.rows import OwnRows
from tests.sources.own.making import ingest, png, talk, tar

ROWS = [{"question": f"Q{n}?", "answer": f"a{n}"} for n in range(4)]
SAID = [[("u", f"Q{n}?"), ("a", f"a{n}")] for n in range(4)]


def write_lines(path):
    path.write_text("\n".join(map(json.dumps, ROWS)))


def write_array(path):
    path.write_text(json.dumps(ROWS))


def write_pretty_array(path):
    path.write_text(json.dumps(ROWS, indent=2))


def write_wrapped(path):
    path.write_text(json.dumps({"version": 1, "data": ROWS}))


def write_keyed(path):
    path.write_text(json.dumps({f"k{n}": row for n, row in enumerate(ROWS)}))


def write_pretty_keyed(path):
    path.write_text(json.dumps({f"k{n}": row for n, row in enumerate(ROWS)}, indent=1))


def write_parquet(path):
    pq.write_table(pa.Table.from_pylist(ROWS), path)


def write_tar(path):
    tar(path, **{f"s{n}__json": json.dumps(row).encode() for n, row in enumerate(ROWS)})


WRITERS = (
    write_lines, write_array, write_pretty_array, write_wrapped, write_keyed, write_pretty_keyed, write_parquet,
    write_tar,
)  # fmt: skip


@pytest.mark.parametrize("name", ["a.json", "a.jsonl", "a.parquet", "a.txt", "rows"])
@pytest.mark.parametrize("write", WRITERS)
def test_any_content_under_any_name(tmp_path, write, name):
    write(tmp_path / name)
    found = ingest(tmp_path, "one_file_qa", files=(name,))
    assert [talk(row) for row in found] == SAID


@pytest.mark.parametrize("write", WRITERS[:6])
@pytest.mark.parametrize("codec", ["gz", "zst", "bz2"])
def test_compressed_text(tmp_path, write, codec):
    write(tmp_path / "plain")
    names = {"gz": "gzip", "zst": "zstd", "bz2": "bz2"}
    with pa.CompressedOutputStream(tmp_path / f"a.json.{codec}", names[codec]) as stream:
        stream.write((tmp_path / "plain").read_bytes())
    (tmp_path / "plain").unlink()
    assert [talk(row) for row in ingest(tmp_path, "one_file_qa")] == SAID


def test_tables_as_text(tmp_path):
    (tmp_path / "a.csv").write_text("question,answer\nQ0?,a0\nQ1?,a1\n")
    assert [talk(row) for row in ingest(tmp_path, "one_file_qa")] == SAID[:2]


def test_a_single_row_is_no_file_of_rows(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"question": "Q0?", "answer": "a0", "items": [{"question": "x"}]}\n')
    assert [talk(row) for row in ingest(tmp_path, "one_file_qa")] == SAID[:1]


def test_a_row_in_a_file_of_its_own(tmp_path):
    for number, row in enumerate(ROWS):
        (tmp_path / f"{number}.json").write_text(json.dumps(row, indent=2))
    assert [talk(row) for row in ingest(tmp_path, "one_file_qa")] == SAID


def test_rows_under_a_key_beside_an_id(tmp_path):
    for indent in (None, 1):
        (tmp_path / "a.json").write_text(json.dumps({"id": "mine", "license": "x", "data": ROWS}, indent=indent))
        assert [talk(row) for row in ingest(tmp_path, "one_file_qa")] == SAID


def test_names_with_signs_of_globs_and_descriptions_beside(tmp_path):
    write_lines(tmp_path / "a[1]*.jsonl")
    (tmp_path / "dataset_info.json").write_text('{"features": {}}')
    assert len(ingest(tmp_path, "one_file_qa")) == 4


def test_damage_costs_its_own_rows(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(ROWS[0]) + '\n{"question": "Q1?", "ans\n' + json.dumps(ROWS[2]))
    assert [row.get("reason") for row in ingest(tmp_path, "one_file_qa")] == [None, "malformed_json", None]
    tar(path, a__json=json.dumps(ROWS[0]).encode(), b__png=png(1))
    path.write_bytes(path.read_bytes()[:1600])
    path.rename(tmp_path / "a.tar")
    found = ingest(tmp_path, "webdataset_tar", map={"question": "question"})
    assert [row.get("reason") for row in found][-1] == "malformed_archive"


texts = st.text(st.characters(codec="utf-8", exclude_characters="\x00"), min_size=1, max_size=8).filter(str.strip)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    rows=st.lists(st.fixed_dictionaries({"question": texts, "answer": texts}), min_size=1, max_size=5),
    write=st.sampled_from(["lines", "array", "wrapped", "keyed", "pretty"]),
    size=st.integers(1, 6),
)
def test_the_container_and_the_cuts_change_no_row(tmp_path_factory, rows, write, size):
    """Same rows in, same rows out, whatever holds them and however it is cut."""
    root = tmp_path_factory.mktemp("rows")
    content = {
        "lines": "\n".join(map(json.dumps, rows)),
        "array": json.dumps(rows),
        "wrapped": json.dumps({"data": rows}),
        "keyed": json.dumps({str(n): row for n, row in enumerate(rows)}),
        "pretty": json.dumps(rows, indent=1),
    }[write]
    (root / "a.json").write_text(content)
    reader = OwnRows((".json",), ("question", "answer"))
    where = Location.of(root)
    plan = reader.plan(where, ("a.json",), where / ".prepared", size)
    raws = [raw for split in plan.splits for raw in reader.read(where, split)]
    assert [{key: raw.row[key] for key in ("question", "answer")} for raw in raws] == rows
    assert sum(split.rows for split in plan.splits) == len(rows)
    assert len({(raw.digest, raw.repeat) for raw in raws}) == len(rows), "digest and repeat identify a row"
    first = list(reader.first(where, "a.json", len(rows)))
    assert [{key: row[key] for key in ("question", "answer")} for row in first] == rows

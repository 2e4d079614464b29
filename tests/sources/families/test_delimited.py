"""Tables as text: dialects, quoted fields, and cuts that do not change what is read."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.fs import Location
from infinity_mm.sources.families.delimited import find_dialect, parse_fields, whole_rows
from infinity_mm.sources.families.rowfiles import RowFiles
from tests.sources.reading import rows_of, same_for_all_sizes

READER = RowFiles(suffixes=(".csv", ".tsv"))


def test_a_table_with_names(tmp_path):
    text = '\ufeffURL,TEXT\r\nhttp://a/1,"one, two"\r\n\r\nhttp://a/2,"three\r\nfour ""five"""\r\nhttp://a/1,"one, two"\r\n'
    (tmp_path / "a.csv").write_bytes(text.encode())
    found = same_for_all_sizes(READER, tmp_path)
    assert [(f[1], f[3], f[4]) for f in found] == [
        ("line=2", 0, {"URL": "http://a/1", "TEXT": "one, two"}),
        ("line=4", 0, {"URL": "http://a/2", "TEXT": 'three\r\nfour "five"'}),
        ("line=6", 1, {"URL": "http://a/1", "TEXT": "one, two"}),
    ]


def test_a_table_without_names_is_known_by_its_url(tmp_path):
    """CC3M is text and URL, CC12M URL and text, both separated by tabs and without names."""
    (tmp_path / "cc3m.tsv").write_text('a 5" pipe\thttp://a/1\n"quoted ""so"""\thttp://a/2\n')
    (tmp_path / "cc12m.tsv").write_text("http://a/3\tthree\n")
    found = same_for_all_sizes(READER, tmp_path)
    assert [f[4] for f in found] == [
        {"url": "http://a/3", "text": "three"},
        {"text": 'a 5" pipe', "url": "http://a/1"},
        {"text": 'quoted "so"', "url": "http://a/2"},
    ]


def test_a_row_with_another_number_of_fields_is_told(tmp_path):
    (tmp_path / "a.tsv").write_bytes(b"url\ttext\nhttp://a/1\tone\nhttp://a/2\nhttp://a/3\t\xff\nhttp://a/4\tx\ty\n")
    where = Location.of(tmp_path)
    [split] = READER.plan(where, ("*",), where, 10).splits
    details = [raw.error and (raw.error.reason, raw.error.detail) for raw in READER.read(where, split)]
    assert details[0] is None
    assert details[1] == ("unexpected_row", "expected 2 fields (url, text), got 1")
    assert details[2][1].startswith("expected UTF-8")
    assert details[3][1].endswith("got 3")


def test_an_open_quote_does_not_swallow_the_file(tmp_path):
    lines = ["url,text", *(f"http://a/{n},t{n}" for n in range(3_000))]
    lines[10] = 'http://a/x,"never closed'
    (tmp_path / "a.csv").write_text("\n".join(lines))
    found = rows_of(READER, tmp_path, 7)
    assert found == rows_of(READER, tmp_path, 100_000)
    assert len(found) == 3_000
    assert [f[1] for f in found if f[5]] == []
    assert found[9][4] == {"url": "http://a/x", "text": "never closed"}


def test_an_empty_table_has_no_rows(tmp_path):
    (tmp_path / "a.csv").write_text("url,text\n")
    (tmp_path / "b.tsv").write_text("")
    assert same_for_all_sizes(READER, tmp_path) == []


@given(st.lists(st.tuples(st.text(max_size=9), st.text(max_size=9)), min_size=1, max_size=5))
def test_what_a_writer_of_tables_wrote_comes_back(rows):
    rows = [[f"http://a/{n}", *row] for n, row in enumerate(rows)]
    rows = [[field.replace("\r", "").replace("\0", "") for field in row] for row in rows]
    rows = [[field.encode("utf-8", "replace").decode() for field in row] for row in rows]
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows([["url", "a", "b"], *rows])
    lines = enumerate(stream.getvalue().encode()[:-1].split(b"\n"))
    names, *whole = (row for _, row in whole_rows(lines, "x.csv"))
    dialect = find_dialect(names, "x.csv")
    assert [list(parse_fields(row, dialect)[0].values()) for row in whole] == rows

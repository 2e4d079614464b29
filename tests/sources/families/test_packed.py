"""Compressed files of lines: streams, damage, and archives of several members."""

import bz2
import gzip
import io
import zipfile

import pyarrow as pa
import pytest

from infinity_mm.fs import Location
from infinity_mm.sources.families import packed
from infinity_mm.sources.families.rowfiles import RowFiles
from tests.sources.reading import rows_of, same_for_all_sizes

READER = RowFiles(suffixes=(".gz", ".bz2", ".zst", ".zip"))
LINES = [*(b'{"id": %d}' % n for n in range(40)), b"", b"{broken", b'{"id": 3}']
TEXT = b"\n".join(LINES) + b"\n"


def zipped(*members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members:
            archive.writestr(name, data)
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.jsonl.gz", gzip.compress(TEXT)),
        ("a.jsonl.gz", gzip.compress(TEXT[:50]) + gzip.compress(TEXT[50:])),
        ("a.jsonl.bz2", bz2.compress(TEXT)),
        ("a.jsonl.zst", pa.compress(TEXT, "zstd", asbytes=True)),
        ("a.jsonl.zip", zipped(("a.jsonl", TEXT))),
    ],
)
def test_lines_are_those_of_the_plain_file(tmp_path, name, data):
    (tmp_path / name).write_bytes(data)
    found = same_for_all_sizes(READER, tmp_path)
    assert len(found) == 42
    assert found[39][1:] == ("line=40", found[39][2], 0, {"id": 39}, None)
    assert (found[40][1], found[40][5]) == ("line=42", "malformed_json")
    assert (found[41][3], found[41][4]) == (1, {"id": 3})


def test_members_of_an_archive_follow_each_other_and_hidden_ones_are_none(tmp_path):
    data = zipped(("x/", b""), ("x/a.tsv", b"url\ttext\nhttp://a/1\tone\n"), ("__MACOSX/x/._a.tsv", b"\0\1"),
                  (".git/b", b"x"), ("../x/b.tsv", b"url\ttext\nhttp://a/2\ttwo\n"))  # fmt: skip
    (tmp_path / "a.tsv.zip").write_bytes(data)
    found = same_for_all_sizes(READER, tmp_path)
    assert [(f[1], f[4]) for f in found] == [
        ("member=x/a.tsv:line=2", {"url": "http://a/1", "text": "one"}),
        ("member=../x/b.tsv:line=2", {"url": "http://a/2", "text": "two"}),
    ]


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.bz2", "a.jsonl.zst"])
def test_where_the_stream_breaks_off_one_row_says_so(tmp_path, name):
    text = b"".join(b'{"id": %d, "t": "%s"}\n' % (n, gzip.compress(b"%d" % n).hex().encode()) for n in range(30_000))
    whole = {
        "a.jsonl.gz": gzip.compress, "a.jsonl.bz2": bz2.compress, "a.jsonl.zst": lambda b: pa.compress(b, "zstd", asbytes=True),
    }[name](text)  # fmt: skip
    (tmp_path / name).write_bytes(whole[: len(whole) * 2 // 3])
    found = rows_of(READER, tmp_path, 7_000)
    assert found == rows_of(READER, tmp_path, 100_000)
    assert [f[5] for f in found if f[5]] == ["malformed_archive"]
    assert found[-1][5] == "malformed_archive"
    assert found[100][4]["id"] == 100


@pytest.mark.parametrize("data", [b"", b"PK\3\4 no archive", b"junk"])
def test_no_archive_at_all_is_one_row_or_none(tmp_path, data):
    (tmp_path / "a.jsonl.zip").write_bytes(data)
    assert [f[5] for f in same_for_all_sizes(READER, tmp_path)] == (["malformed_archive"] if data else [])


def test_an_encrypted_member_is_told(tmp_path):
    data = bytearray(zipped(("a.jsonl", TEXT)))
    for header in (b"PK\3\4", b"PK\1\2"):
        data[data.index(header) + (6 if header == b"PK\3\4" else 8)] |= 1
    (tmp_path / "a.jsonl.zip").write_bytes(bytes(data))
    assert [f[5] for f in same_for_all_sizes(READER, tmp_path)] == ["malformed_archive"]


def test_a_line_without_an_end_is_no_line(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "LONGEST_LINE", 3 << 20)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(b'{"id": 1}\n' + b"x" * (8 << 20)))
    assert [f[5] for f in same_for_all_sizes(READER, tmp_path)] == [None, "malformed_archive"]


def test_a_large_file_is_cut_into_few_splits(tmp_path, monkeypatch):
    monkeypatch.setattr(packed, "MOST_SPLITS", 3)
    (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(TEXT))
    assert len({f[2] for f in rows_of(READER, tmp_path, 1)}) == 41
    assert len(packed.scan_packed(Location.of(tmp_path) / "a.jsonl.gz", "a.jsonl.gz", 1)) == 3

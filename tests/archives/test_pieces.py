"""Pieces of archives: which belong together, in which order, and what their numbers skip."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.archives.pieces import ArchiveFiles, Pieces, find_archives, is_archive_root
from infinity_mm.fs import Location


@pytest.mark.parametrize(
    ("files", "image_root", "expected"),
    [
        (["imgs.tar.gz"], "imgs.tar.gz", [ArchiveFiles("imgs.tar.gz", ("imgs.tar.gz",))]),
        (
            ["partial-imgs.00", "partial-imgs.01", "partial-imgs.json"],
            "partial-imgs.*",
            [ArchiveFiles("partial-imgs", ("partial-imgs.00", "partial-imgs.01"))],
        ),
        (
            [f"allava.tar.gz_part{n}" for n in range(1, 13)],
            "*.tar.gz",
            [ArchiveFiles("allava.tar.gz", tuple(f"allava.tar.gz_part{n}" for n in range(1, 13)))],
        ),
        (
            ["x.tar.gz.partab", "x.tar.gz.partaa"],
            "x.tar.gz",
            [ArchiveFiles("x.tar.gz", ("x.tar.gz.partaa", "x.tar.gz.partab"))],
        ),
        (["x.zip.001", "x.zip.002"], "x.zip", [ArchiveFiles("x.zip", ("x.zip.001", "x.zip.002"))]),
        (["a.tar.gz", "b.tar", "c.zip", ".git.tar.gz"], "*.tar.gz", [ArchiveFiles("a.tar.gz", ("a.tar.gz",))]),
        (["x.tar", "x.tar.00"], "x.tar", [ArchiveFiles("x.tar", ("x.tar",))]),
        (["p.00", "p.02"], "p.*", [ArchiveFiles("p", ("p.00",), "piece 1 of p is missing")]),
        (["p.02", "p.03"], "p.*", [ArchiveFiles("p", (), "piece 0 of p is missing")]),
        (["train.jsonl"], "imgs.tar.gz", []),
    ],
)
def test_which_files_are_an_archive(tmp_path, files, image_root, expected):
    for file in files:
        (tmp_path / file).write_bytes(b"x")
    assert list(find_archives(Location.of(tmp_path), image_root)) == expected


def test_archives_in_a_folder_keep_its_name(tmp_path):
    (tmp_path / "chunks").mkdir()
    for number in range(2):
        (tmp_path / f"chunks/images_{number}.zip").write_bytes(b"x")
    found = find_archives(Location.of(tmp_path), "chunks/*.zip")
    assert [archive.pieces for archive in found] == [("chunks/images_0.zip",), ("chunks/images_1.zip",)]


def test_folders_are_no_archives():
    assert not is_archive_root("train2014")
    assert not is_archive_root("")
    assert all(map(is_archive_root, ("a.zip", "x/a.tar", "a.tar.gz", "a.tgz", "partial-imgs.*")))


@given(
    parts=st.lists(st.binary(max_size=6), max_size=5), moves=st.lists(st.tuples(st.integers(0, 40), st.integers(-1, 9)))
)
def test_pieces_read_as_their_concatenation(tmp_path_factory, parts, moves):
    folder = tmp_path_factory.mktemp("pieces")
    for number, part in enumerate(parts):
        (folder / str(number)).write_bytes(part)
    pieces = Pieces([Location.of(folder / str(number)) for number in range(len(parts))])
    whole = io.BytesIO(b"".join(parts))
    assert pieces.size == len(whole.getvalue())
    for place, count in moves:
        assert pieces.seek(place) == whole.seek(place)
        assert pieces.read(count) == whole.read(count)
    assert pieces.seek(-1, io.SEEK_END) == max(0, pieces.size - 1)
    pieces.close()

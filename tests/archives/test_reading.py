"""Members of archives by name: whole, in pieces, cut, damaged, hostile; and what an index must not cost."""

import gzip
import io
import random
import tarfile
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.archives import index, reading
from infinity_mm.archives.index import build_index, name_index, read_facts
from infinity_mm.archives.pieces import ArchiveFiles, find_archives
from infinity_mm.archives.reading import Archive, open_archive
from infinity_mm.fs import Location
from infinity_mm.sources.base import Quarantine

PICTURES = {f"imgs/{n}.png": random.Random(n).randbytes(2_000 + 997 * n) for n in range(80)}


def tar_of(members: dict[str, bytes], **keys: object) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", **keys) as tar:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return out.getvalue()


def write(folder: Path, data: bytes, *names: str) -> tuple[Location, ArchiveFiles]:
    """Write the data in as many pieces as there are names; returns root and files."""
    step = -(-len(data) // len(names))
    for place, name in enumerate(names):
        (folder / name).write_bytes(data[place * step : (place + 1) * step])
    return Location.of(folder), ArchiveFiles(names[0], tuple(names))


def indexed(root: Location, files: ArchiveFiles) -> Archive:
    base = root / "index/a"
    build_index(root, files, base)
    return open_archive(root, files, base)


@pytest.fixture(autouse=True)
def _close_points(monkeypatch):
    monkeypatch.setattr(index, "SPACING", 30_000)


@pytest.mark.parametrize("names", [("a.tar.gz",), ("p.00", "p.01", "p.02")])
@pytest.mark.parametrize("pack", [gzip.compress, bytes], ids=["gzip", "plain"])
def test_every_member_is_found_in_any_order(tmp_path, names, pack):
    root, files = write(tmp_path, pack(tar_of(PICTURES)), *names)
    archive = indexed(root, files)
    order = sorted(PICTURES)
    random.Random(3).shuffle(order)
    for name in (*PICTURES, *order):
        assert archive.read(name) == PICTURES[name]
    assert archive.read("imgs/none.png") is None
    assert archive.problem == ""
    facts = read_facts(root / "index/a")
    assert facts.members == len(PICTURES)
    assert (facts.points > 20) == (pack is gzip.compress)


def test_names_begin_anyhow_and_the_last_of_equal_names_counts(tmp_path):
    members = {"./a.png": b"first", "long/" * 40 + "b.png": b"long", "ü/日本.png": b"unicode"}
    data = tar_of(members)[:-1024].rstrip(b"\0")
    data += bytes(-len(data) % 512) + tar_of({"a.png": b"second"})
    archive = indexed(*write(tmp_path, gzip.compress(data), "a.tgz"))
    assert archive.read("a.png") == b"second"
    assert archive.read("long/" * 40 + "b.png") == b"long"
    assert archive.read("ü/日本.png") == b"unicode"


def test_a_missing_last_piece_costs_what_was_in_it(tmp_path):
    root, _ = write(tmp_path, gzip.compress(tar_of(PICTURES)), "p.00", "p.01", "p.02")
    (tmp_path / "p.02").unlink()
    (files,) = find_archives(root, "p.*")
    archive = indexed(root, files)
    got = {name for name in PICTURES if archive.read(name) == PICTURES[name]}
    assert 0.5 < len(got) / len(PICTURES) < 0.95
    assert got == set(list(PICTURES)[: len(got)]), "all that stand before the cut"
    assert "the stream ends early" in archive.problem
    cut = [name for name in PICTURES if isinstance(archive.read(name), Quarantine)]
    assert len(cut) == 1
    assert archive.read(cut[0]).reason == "malformed_archive"


def test_a_missing_piece_in_the_middle_is_named(tmp_path):
    root, _ = write(tmp_path, tar_of(PICTURES), "p.00", "p.01", "p.02")
    (tmp_path / "p.01").unlink()
    (files,) = find_archives(root, "p.*")
    archive = indexed(root, files)
    assert "piece 1 of p is missing" in archive.problem
    assert archive.read("imgs/0.png") == PICTURES["imgs/0.png"]


def test_links_are_not_followed_and_devices_are_none(tmp_path):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, kind in (("soft", tarfile.SYMTYPE), ("hard", tarfile.LNKTYPE), ("pipe", tarfile.FIFOTYPE)):
            entry = tarfile.TarInfo(name)
            entry.type, entry.linkname = kind, "/etc/passwd"
            tar.addfile(entry)
    archive = indexed(*write(tmp_path, gzip.compress(out.getvalue()), "a.tar.gz"))
    for name in ("soft", "hard"):
        found = archive.read(name)
        assert isinstance(found, Quarantine)
        assert (found.reason, "links in archives are not followed" in found.detail) == ("unsafe_path", True)
    assert archive.read("pipe") is None


def test_a_bomb_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(reading, "MEMBER_BYTES", 1_000_000)
    members = {"bomb.png": bytes(60_000_000), "a.png": b"after"}
    archive = indexed(*write(tmp_path, gzip.compress(tar_of(members)), "a.tar.gz"))
    found = archive.read("bomb.png")
    assert isinstance(found, Quarantine)
    assert found.reason == "image_too_large"
    assert archive.read("a.png") == b"after"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<html>404</html>", "it is no tar"),
        (b"", "it is no tar"),
        (gzip.compress(b"<html>404</html>" * 100), "it is no tar"),
        (gzip.compress(tar_of(PICTURES))[:390], "the stream ends early"),
        (b"\x1f\x8b\x08junk", "no gzip header"),
        (tar_of(PICTURES)[:20_000] + b"\1" * 30_000, "it is no tar, or damaged, from byte"),
        (tar_of(PICTURES)[:5_000], "in the middle of a member"),
    ],
    ids=["html", "empty", "packed html", "cut", "no gzip", "damaged", "cut in a member"],
)
def test_what_is_no_archive_or_not_whole_says_so(tmp_path, data, words):
    archive = indexed(*write(tmp_path, data, "a.tar.gz"))
    assert words in archive.problem
    found = archive.read("imgs/79.png")
    assert found is None or isinstance(found, Quarantine)


def test_an_archive_that_nobody_indexed(tmp_path):
    packed = open_archive(*write(tmp_path, gzip.compress(tar_of(PICTURES)), "a.tar.gz"))
    assert packed.read("imgs/0.png") is None
    assert "after a run has indexed it" in packed.problem
    plain = open_archive(*write(tmp_path, tar_of(PICTURES), "a.tar"))
    assert plain.read("imgs/7.png") == PICTURES["imgs/7.png"]


def test_zips_whole_in_pieces_and_damaged(tmp_path):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in PICTURES.items():
            archive.writestr(name, data)
    for names in (("a.zip",), ("b.zip.001", "b.zip.002")):
        whole = open_archive(*write(tmp_path, out.getvalue(), *names))
        assert whole.read("imgs/5.png") == PICTURES["imgs/5.png"]
        assert whole.read("imgs/none.png") is None
    cut = open_archive(*write(tmp_path, out.getvalue()[:5_000], "c.zip"))
    assert cut.read("imgs/5.png").reason == "malformed_archive"


def test_the_name_of_an_index_follows_the_files(tmp_path):
    root, files = write(tmp_path, tar_of(PICTURES), "p.00", "p.01")
    name = name_index(root, files)
    assert name_index(root, files) == name
    (tmp_path / "p.01").write_bytes(b"changed")
    assert name_index(root, files) != name


@settings(max_examples=25, deadline=None)
@given(
    sizes=st.lists(st.integers(0, 60_000), min_size=1, max_size=8),
    cuts=st.lists(st.integers(0, 200_000), max_size=3),
    level=st.integers(0, 9),
    members=st.booleans(),
)
def test_any_tar_in_any_pieces_reads_as_tarfile_reads_it(tmp_path_factory, sizes, cuts, level, members):
    folder = tmp_path_factory.mktemp("any")
    content = {f"{n}.bin": random.Random(n).randbytes(size) for n, size in enumerate(sizes)}
    tar = tar_of(content)
    packed = gzip.compress(tar[:700], level) + gzip.compress(tar[700:], level) if members else gzip.compress(tar, level)
    places = sorted({0, len(packed), *(cut % len(packed) for cut in cuts)})
    names = [f"p.{n:02d}" for n in range(len(places) - 1)]
    for name, start, stop in zip(names, places, places[1:], strict=False):
        (folder / name).write_bytes(packed[start:stop])
    (files,) = find_archives(Location.of(folder), "p.*")
    archive = indexed(Location.of(folder), files)
    assert {name: archive.read(name) for name in reversed(content)} == content
    assert archive.problem == ""

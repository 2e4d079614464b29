"""Tars of pictures: what of a damaged, sparse or continued tar is read, and that the rest is told of."""

import tarfile

import pytest

from infinity_mm.fs import Location
from infinity_mm.sources.own.spec import OwnSpec, build
from tests.sources.own.making import ingest, png
from tests.sources.own.test_pictures import FAMILY, tar_of, told


def test_a_sparse_member_costs_nothing_else(tmp_path):
    # As GNU tar writes one of 3,000 bytes of which 512 are stored; its header claims more than the tar has.
    info = tarfile.TarInfo("a.png")
    info.size = 512
    header = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    header[156:157] = tarfile.GNUTYPE_SPARSE
    header[386:410] = b"%011o\0%011o\0" % (0, 512)
    header[483:495] = b"%011o\0" % 200_000
    header[148:156] = b"        "
    header[148:156] = b"%06o\0 " % sum(header)
    rest = tar_of(tmp_path / "rest.tar", [("b.png", png(2))]).read_bytes()
    root = tmp_path / "photos"
    root.mkdir()
    (root / "t.tar").write_bytes(bytes(header) + png(1).ljust(512, b"\0") + rest)
    rows = ingest(root, FAMILY)
    assert told(rows) == {"t.tar#member=a.png": [(32, "a.png")], "t.tar#member=b.png": [(32, "b.png")]}
    assert [len(row["image_bytes"][0]) for row in rows] == [200_000, len(png(2))]


def test_a_tar_that_goes_on_behind_its_end_is_told(tmp_path):
    parts = [tar_of(tmp_path / f"{n}.tar", [(f"{n}.png", png(n))]).read_bytes() for n in (1, 2)]
    root = tmp_path / "photos"
    root.mkdir()
    (root / "both.tar").write_bytes(b"".join(parts))
    rows = ingest(root, FAMILY)
    assert told(rows) == {"both.tar#member=1.png": [(32, "1.png")], "both.tar#member=1": "malformed_archive"}
    assert "is not read" in rows[1]["detail"]


@pytest.mark.parametrize("rows_a_split", [1, 2, 3, 100])
def test_a_damaged_tar_costs_what_is_lost_of_it(tmp_path, rows_a_split):
    source = build(OwnSpec("my_set", FAMILY))
    whole = tar_of(tmp_path / "whole/a.tar", [(f"{n}.png", png(n)) for n in range(3)]).read_bytes()
    block = whole.index(b"2.png")

    def reasons(name, data):
        root = tmp_path / name
        root.mkdir()
        (root / "a.tar").write_bytes(data)
        where = Location.of(root)
        plan = source.reader.plan(where, (), Location.of(tmp_path / "prepared"), rows_a_split)
        found = [list(source.reader.read(where, split)) for split in plan.splits]
        assert [len(raws) for raws in found] == [split.rows for split in plan.splits]
        return [raw.error.reason if raw.error else raw.row["id"] for raws in found for raw in raws]

    assert reasons("same", whole) == ["0.png", "1.png", "2.png"]
    # Cut in a picture, between pictures, in a header, and garbage for a header.
    assert reasons("in", whole[: block + 520]) == ["0.png", "1.png", "malformed_archive"]
    assert reasons("head", whole[: block + 100]) == ["0.png", "1.png", "malformed_archive"]
    assert reasons("noise", whole[:block] + b"\7" * 700) == ["0.png", "1.png", "malformed_archive"]
    assert reasons("none", b"\7" * 700) == ["malformed_archive"]

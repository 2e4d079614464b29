"""Files on an object store: what `tests.test_fs` says of a disk, and names, which are encoded there."""

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import StoreError
from infinity_mm.fs import ASIDE, Location, split_options
from infinity_mm.sources.families.tars import TarRows, plan_tar
from tests.objectstore import serve

ODD = [
    "a b",
    "a%20b",
    "a+b",
    "100%",
    "a#b",
    "a?b=c",
    "日本/ä",
    "[1]",
    "a\\b",
    "<&\"'>",
    "t\tb",
    "é" * 400,
    "$&+,;=:@!~*()",
]


def test_any_name_is_written_found_listed_and_deleted(bucket):
    root = Location.of(bucket.format("/my data/ä"))
    for name in ODD:
        (root / name).write_bytes(name.encode())
    assert root.files(recursive=True) == sorted(ODD)
    assert root.folders() == ["日本"]
    for name in ODD:
        assert (root / name).read_bytes() == name.encode()
        assert (root / name).path == f"bucket/my data/ä/{name}"
        assert (root / name).name == name.rpartition("/")[2]
        (root / name).delete()
        assert not (root / name).exists()
    root.delete_dir()
    assert not root.exists()


def test_a_place_is_the_same_however_it_is_written(bucket):
    root = Location.of(bucket.format("/same"))
    (root / "a/b c").write_bytes(b"x")
    for place in (
        root / "a//b c",
        root / "./a/./b c",
        Location.of(bucket.format("/same/a/b%20c/")),
        root / "a" / "b c",
    ):
        assert place.read_bytes() == b"x"
    assert Location.of("s3://bucket/a b#c/").uri == "s3://bucket/a%20b%23c"
    assert Location.of("s3://key:secret@bucket/a%2Bb?region=x").path == "bucket/a+b"
    assert Location.of("s3://bucket?region=x").path == "bucket"


@given(st.text(min_size=1).filter(lambda name: not {"", ".", ".."} & set(name.split("/"))))
def test_encoding_takes_nothing_from_a_name(name):
    place = Location.of("s3://bucket/data?region=x") / name
    assert place.path == f"bucket/data/{name}"
    assert place.appended(".json?") == Location.of("s3://bucket/data?region=x") / f"{name}.json?"
    assert place.uri.isascii()


@pytest.mark.parametrize("name", ["file/below", "x" * 1100, "a\0b", "a\ud800b"])
def test_names_that_no_object_can_have_are_absent_and_not_an_error(bucket, name):
    root = Location.of(bucket.format("/impossible"))
    (root / "file").write_bytes(b"x")
    place = root / name
    assert not place.exists()
    assert not place.is_dir()
    assert place.files() == place.folders() == []
    with pytest.raises(FileNotFoundError):
        place.read_bytes()


def test_a_file_appears_whole_or_not_at_all(bucket):
    target = Location.of(bucket.format("/whole/b.bin"))
    with pytest.raises(RuntimeError), target.write_whole() as stream:
        stream.write(b"half")
        raise RuntimeError("killed")
    assert not target.exists()
    assert all(name.startswith(ASIDE) for name in Location.of(bucket.format("/whole")).files())
    target.write_bytes(b"whole")
    target.write_bytes(b"again")
    assert (target.read_bytes(), target.size()) == (b"again", 5)
    assert target.modified_ns() > 0


def test_more_files_than_a_page_of_the_listing_holds(bucket):
    root = Location.of(bucket.format("/pages"))
    names = [f"{number:03}/x" for number in range(120)]
    for name in names:
        (root / name).write_bytes(b"")
    assert root.files(recursive=True) == names
    assert root.folders() == [name[:3] for name in names]
    root.delete_dir()
    assert root.files(recursive=True) == []


def test_small_reads_come_from_a_buffer_and_are_those_of_the_file(bucket):
    place, data = Location.of(bucket.format("/buffered")), bytes(range(256)) * 4096
    place.write_bytes(data)
    with place.open_buffered() as stream:
        assert [stream.read(7), stream.read(5)] == [data[:7], data[7:12]]
        stream.seek(700_001)
        assert (stream.read(300_000), stream.tell()) == (data[700_001:1_000_001], 1_000_001)
        assert stream.read() == data[1_000_001:]


def test_a_tar_of_many_members_takes_few_requests(bucket, tmp_path):
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for number in range(500):
            for name, size in ((f"{number}.jpg", 1000), (f"{number}.json", 2)):
                member = tarfile.TarInfo(name)
                member.size = size
                tar.addfile(member, io.BytesIO(b"{}" * (size // 2)))
    with serve(tmp_path) as place:
        tar = Location.of(place.format("/many.tar"))
        tar.write_bytes(packed.getvalue())
        (split,) = plan_tar(tar, "many.tar", 1000)[1]
        read = list(TarRows().read(Location.of(place.format("")), split))
    assert (len(read), len(read[7].row["images"][0][1])) == (500, 1000)
    requests = [line for line in (tmp_path / "log").read_text().splitlines() if " GetObject " in line]
    assert len(requests) <= 2 * (len(packed.getvalue()) // (256 << 10) + 3)


def test_a_bucket_that_is_not_there_is_a_store_error_that_names_it(bucket):
    place = Location.of(bucket.format("").replace("bucket", "no-bucket", 1)) / "x"
    with pytest.raises(StoreError, match=r"cannot write s3://no-bucket/x"):
        place.write_bytes(b"")
    assert not place.exists()
    assert place.files() == []


@pytest.mark.parametrize(
    ("text", "place", "options"),
    [
        ("s3://b/x?region=y&scheme=z", "s3://b/x", "?region=y&scheme=z"),
        ("s3://b/part-?.parquet?region=y", "s3://b/part-?.parquet", "?region=y"),
        ("gs://b/part-?.parquet", "gs://b/part-?.parquet", ""),
        ("/local/what?a=b", "/local/what?a=b", ""),
    ],
)
def test_options_are_told_from_signs_of_a_glob(text, place, options):
    assert split_options(text) == (place, options)

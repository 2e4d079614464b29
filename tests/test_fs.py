import errno
import resource

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.errors import StoreError
from infinity_mm.fs import ASIDE, Location


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    target = Location.of(tmp_path) / "a/b.bin"
    with pytest.raises(RuntimeError), target.write_whole() as stream:
        stream.write(b"half")
        raise RuntimeError("killed")
    assert not target.exists()
    assert all(name.startswith(ASIDE) for name in (Location.of(tmp_path) / "a").files())
    target.write_bytes(b"whole")
    assert target.read_bytes() == b"whole"


def test_overwriting_replaces(tmp_path):
    target = Location.of(tmp_path) / "x"
    target.write_bytes(b"1")
    target.write_bytes(b"22")
    assert (target.read_bytes(), target.size()) == (b"22", 2)


def test_listing_is_sorted_relative_and_empty_for_a_missing_folder(tmp_path):
    root = Location.of(tmp_path)
    for name in ("b", "a", "sub/c"):
        (root / name).write_bytes(b"")
    assert root.files() == ["a", "b"]
    assert root.files(recursive=True) == ["a", "b", "sub/c"]
    assert root.folders() == ["sub"]
    assert (root / "nothing").files() == []


def test_relative_paths_are_made_absolute_and_uris_are_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert Location.of("x").path == str(tmp_path / "x")
    assert Location.of("s3://bucket/key/").uri == "s3://bucket/key"
    assert Location.of("../y", base=tmp_path / "sub").path == str(tmp_path / "y")


def test_an_unwritable_folder_is_a_store_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(StoreError, match="file/below"):
        (Location.of(tmp_path) / "file/below/x").write_bytes(b"")


def test_size_of_nothing_is_a_store_error(tmp_path):
    with pytest.raises(StoreError, match="no such file"):
        (Location.of(tmp_path) / "x").size()


@pytest.mark.parametrize("name", ["file/below", "x" * 5000, "a\0b", "circle/x"])
def test_names_that_no_file_can_have_are_absent_and_not_an_error(tmp_path, name):
    (tmp_path / "file").write_bytes(b"x")
    (tmp_path / "circle").symlink_to("circle")
    place = Location.of(tmp_path) / name
    assert not place.exists()
    assert not place.is_dir()
    assert place.files() == place.folders() == []
    with pytest.raises(OSError, match=r"open|no file has such a name"):
        place.read_bytes()


@pytest.fixture
def small_files():
    """Let no file of this process grow beyond 64 KiB, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (64 << 10, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.usefixtures("small_files")
def test_a_disk_that_takes_no_more_is_the_fault_of_the_file_written(tmp_path):
    target = Location.of(tmp_path) / "big.bin"
    with pytest.raises(StoreError, match=r"cannot write .*big\.bin: .*free space"):
        target.write_bytes(bytes(1 << 20))
    table = pa.table({"data": [bytes(1 << 20)]})
    with pytest.raises(StoreError, match=r"cannot write .*big\.bin"), target.write_whole() as stream:
        pq.write_table(table, stream, compression="none", use_dictionary=False)
    assert not target.exists()


def test_what_a_producer_cannot_read_is_not_the_fault_of_the_file_written(tmp_path):
    target = Location.of(tmp_path) / "target.bin"
    with pytest.raises(FileNotFoundError, match="absent"), target.write_whole() as stream:
        stream.write((Location.of(tmp_path) / "absent").read_bytes())
    assert not target.exists()


def test_a_file_that_breaks_while_it_is_read_is_named(tmp_path):
    location = Location.of(tmp_path) / "worn.bin"
    with pytest.raises(StoreError, match=r"cannot read .*worn\.bin: .*Input/output"), location.reading():
        raise OSError(errno.EIO, "Input/output error")


def test_options_of_an_object_store_stay_at_the_end():
    root = Location.of("s3://bucket/data?endpoint_override=127.0.0.1:9000&scheme=http")
    file = root / "train" / "a.json"
    assert file.uri == "s3://bucket/data/train/a.json?endpoint_override=127.0.0.1:9000&scheme=http"
    assert (file.name, root.name, (root / "").uri) == ("a.json", "data", root.uri)
    assert (Location.of("/tmp/what?") / "b").path == "/tmp/what?/b"

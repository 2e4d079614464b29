"""Pictures looked up in folders and archives: names, hostile paths, damage."""

import io
import tarfile
import zipfile

import pytest

from infinity_mm.fs import Location
from infinity_mm.sources.base import ImageRef, Quarantine
from infinity_mm.sources.images import ImageStore
from tests.sources.archives import make_tar


def test_pictures_in_folders_and_archives_whatever_the_case(tmp_path):
    (tmp_path / "images").mkdir()
    (tmp_path / "images/A b.JPG").write_bytes(b"folder")
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("z/1.png", b"zip")
    make_tar(tmp_path / "images.tar", [("./t/2.png", b"tar")])
    store = ImageStore(Location.of(tmp_path), ("images", "images.zip", "images.tar", "absent.zip"))
    assert store.resolve(ImageRef(path="./A%20b.JPG")) == b"folder"
    assert store.resolve(ImageRef(path="a B.jpg")) == b"folder"
    assert store.resolve(ImageRef(path="z\\1.png")) == b"zip"
    assert store.resolve(ImageRef(path="t/2.png")) == b"tar"
    assert store.resolve(ImageRef(data=b"here")) == b"here"


def test_a_path_may_lead_through_an_archive(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        info = tarfile.TarInfo("in/1.jpg")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"one"))
    with zipfile.ZipFile(tmp_path / "b.zip", "w") as archive:
        archive.writestr("2.jpg", b"two")
    (tmp_path / "c.tar").mkdir()
    (tmp_path / "c.tar" / "3.jpg").write_bytes(b"three")
    store = ImageStore(Location.of(tmp_path), ("",))
    for path, data in (("a.tar/in/1.jpg", b"one"), ("b.zip/2.jpg", b"two"), ("c.tar/3.jpg", b"three")):
        assert store.resolve(ImageRef(path=path)) == data
    for path in ("a.tar/2.jpg", "gone.tar/1.jpg", "c.tar/x.jpg", "a.tar/in/1.jpg/x"):
        assert store.resolve(ImageRef(path=path)).reason == "missing_image"
    assert store.resolve(ImageRef(path="a.tar/../../x.jpg")).reason == "unsafe_path"


@pytest.mark.parametrize("path", ["../x.jpg", "a/../../x.jpg", "/etc/passwd", "C:\\x.jpg", "..%2Fx.jpg", "a\0b", ""])
def test_hostile_paths_are_refused(tmp_path, path):
    result = ImageStore(Location.of(tmp_path), ("",)).resolve(ImageRef(path=path))
    assert isinstance(result, Quarantine)
    assert result.reason == "unsafe_path"


def test_a_missing_picture_says_where_it_was_looked_for(tmp_path):
    result = ImageStore(Location.of(tmp_path), ("images", "")).resolve(ImageRef(path="no.jpg"))
    assert isinstance(result, Quarantine)
    assert (result.reason, "'images'" in result.detail) == ("missing_image", True)


def reason_of(store, name):
    found = store.resolve(ImageRef(path=name))
    assert isinstance(found, Quarantine), found
    return found.reason


def test_zip_members_that_cannot_be_unpacked_cost_their_own_row(tmp_path):
    path = tmp_path / "images.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("good.png", b"good" * 100)
        for name in ("deflate.png", "crc.png", "method.png", "secret.png"):
            archive.writestr(name, name.encode() * 400)
        with archive.open("bomb.png", "w") as member:
            for _ in range(65):
                member.write(bytes(1 << 20))
        infos = {info.filename: info.header_offset for info in archive.infolist()}
    data = bytearray(path.read_bytes())
    start = {name: offset + 30 + len(name) for name, offset in infos.items()}
    data[start["deflate.png"] : start["deflate.png"] + 4] = b"\xff" * 4
    for name, field, value in (("method.png", 10, 99), ("secret.png", 8, 1), ("crc.png", 16, 0xAB)):
        entry = data.rindex(name.encode()) - 46  # in the central directory
        data[entry + field] = value
    path.write_bytes(bytes(data))
    store = ImageStore(Location.of(tmp_path), ("images.zip",))
    assert store.resolve(ImageRef(path="good.png")) == b"good" * 100
    for name in ("deflate.png", "crc.png", "method.png", "secret.png"):
        assert reason_of(store, name) == "malformed_archive", name
    assert reason_of(store, "bomb.png") == "image_too_large"
    assert reason_of(store, "absent.png") == "missing_image"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 cut"])
def test_a_zip_without_its_directory_costs_the_rows_that_need_it(tmp_path, content):
    (tmp_path / "images.zip").write_bytes(content)
    store = ImageStore(Location.of(tmp_path), ("images.zip",))
    assert reason_of(store, "a.png") == "malformed_archive"

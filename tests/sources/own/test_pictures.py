"""Pictures without texts: folders, zips, tars and tables of them, one row each, nothing overlooked and nothing read twice."""

import glob
import io
import os
import tarfile
import zipfile
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.pipeline.ingest import make_tasks
from infinity_mm.pipeline.preflight import unmatched
from infinity_mm.recipe import SourceUse
from infinity_mm.sources.families.listing import list_files
from infinity_mm.sources.images import ImageStore
from infinity_mm.sources.own.pictures import _matches
from infinity_mm.sources.own.spec import OwnSpec, build
from tests.sources.own.making import ingest, lines, pictures, png

FAMILY = "image_only"


def tar_of(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return path


def zip_of(path, members):
    path.parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in members:
            archive.writestr(name, data)
    return path


def told(rows):
    """Return the place of each row, and the size of its picture or why it has none."""
    return {
        row["source_ref"]: row["reason"] if "reason" in row else [(one["width"], one["uri"]) for one in row["images"]]
        for row in rows
    }


def test_a_folder_of_pictures_is_a_row_each_wherever_they_lie(tmp_path):
    root = tmp_path / "photos"
    pictures(root, "b.png", "a.PNG", "cats/1.png", "cats/old/1.png", "dogs/1 %20ä#.png")
    for other in (".hidden/1.png", "cats/._1.png", "__MACOSX/1.png", "readme.txt", "labels.csv", "cats/1.json"):
        (root / other).parent.mkdir(exist_ok=True)
        (root / other).write_bytes(png(9))
    rows = ingest(root, FAMILY, license="CC0-1.0", language="en")
    assert told(rows) == {
        ".#member=a.PNG": [(32, "a.PNG")],
        ".#member=b.png": [(32, "b.png")],
        "cats#member=1.png": [(32, "cats/1.png")],
        "cats/old#member=1.png": [(32, "cats/old/1.png")],
        "dogs#member=1 %20ä#.png": [(32, "dogs/1 %20ä#.png")],
    }
    assert [row["source_id"] for row in rows] == [row["images"][0]["uri"] for row in rows]
    assert {(row["category"], row["license"], tuple(row["messages"])) for row in rows} == {
        ("image_only", "CC0-1.0", ())
    }


def test_what_is_no_picture_goes_to_quarantine_with_its_reason(tmp_path):
    root = tmp_path / "photos"
    pictures(root, "good.png")
    for name, data in (("empty.jpg", b""), ("cut.png", png(1)[:40]), ("text.jpg", b"hello"), ("new.heic", b"\0\0ftyp")):
        (root / name).write_bytes(data)
    assert told(ingest(root, FAMILY)) == {
        ".#member=cut.png": "undecodable_image",
        ".#member=empty.jpg": "empty_image",
        ".#member=good.png": [(32, "good.png")],
        ".#member=new.heic": "undecodable_image",
        ".#member=text.jpg": "undecodable_image",
    }


def test_a_file_is_read_under_its_own_name_and_no_other(tmp_path):
    names = (
        " a.png",
        "a.png",
        "A.png",
        "b\\c.png",
        "b/c.png",
        "C:x.png",
        "%2e%2e/x.png",
        "d%20e.png",
        "d e.png",
        "[a].png",
    )
    odd = (
        "train2017/000000000001.jpg",
        " dir/1.png",
        "x.zip/1.png",
        "y.tar/z.tar/1.png",
        "data:image/png;base64,/a.png",
    )
    root = tmp_path / "photos"
    pictures(root, *names, *odd)
    rows = ingest(root, FAMILY)
    assert [row["images"][0]["uri"] for row in rows] == [row["source_id"] for row in rows]
    assert {row["source_id"]: row["image_bytes"][0] for row in rows} == {
        name: png(number) for number, name in enumerate((*names, *odd))
    }


def test_a_file_that_went_is_missing_whatever_is_named_like_it(tmp_path):
    root = tmp_path / "photos"
    pictures(root, "1.png", "2.png", "images/1.png")
    source, where = build(OwnSpec("my_set", FAMILY)), Location.of(root)
    plan = source.reader.plan(where, (), Location.of(tmp_path / "prepared"), 10)
    (root / "1.png").rename(root / "1.jpg")
    store = ImageStore(where, source.image_roots)
    found = [
        store.find(source.parse(raw.row).images[0]) for split in plan.splits for raw in source.reader.read(where, split)
    ]
    assert [getattr(one, "reason", None) for one in found] == ["missing_image", None, None]
    assert "1.png was listed in" in found[0].detail


def test_links_to_nothing_and_names_that_are_no_text_are_rows(tmp_path):
    root = tmp_path / "photos"
    pictures(root, "1.png")
    for name in ("gone.png", "gone.zip"):
        (root / name).symlink_to("nowhere")
    (root / "up").symlink_to(".")
    expected = {".#member=1.png": [(32, "1.png")], ".#member=gone.png": "missing_image"}
    expected["gone.zip#member=gone.zip"] = "missing_image"
    try:
        (root / os.fsdecode(b"caf\xe9")).mkdir()
        (root / os.fsdecode(b"caf\xe9/2.png")).write_bytes(png(2))
        expected["caf\\xe9#member=2.png"] = "missing_image"
    except OSError:
        pass  # a file system that takes no such names
    assert told(ingest(root, FAMILY)) == expected


def test_archives_that_are_not_opened_are_rows_and_no_picture_hides(tmp_path):
    root = tmp_path / "photos"
    inner = zip_of(tmp_path / "inner.zip", [("1.png", png(1))]).read_bytes()
    zip_of(root / "a.zip", [("in/inner.zip", inner), ("b.tar.gz", b""), ("./1.png", png(1)), ("../2.png", png(2))])
    tar_of(root / "b.tar", [("./inner.zip", inner), ("./1.png", png(1)), ("./._1.png", b"x"), (".hidden/2.png", b"x")])
    for name in ("c.tar.gz", "d.tgz", "e.7z", "f.zip.001", "g.tar.xz", "h.tar.gz.partaa"):
        (root / name).write_bytes(b"x")
    (root / "notes.zip.md5").write_bytes(b"x")
    unopened = {f"{name}#member={name}": "unopened_archive" for name in os.listdir(root) if name[0] in "cdefgh"}
    assert told(ingest(root, FAMILY)) == unopened | {
        "a.zip#member=in/inner.zip": "unopened_archive",
        "a.zip#member=b.tar.gz": "unopened_archive",
        "a.zip#member=./1.png": [(32, "a.zip/./1.png")],
        "a.zip#member=../2.png": [(32, "a.zip/../2.png")],
        "b.tar#member=./inner.zip": "unopened_archive",
        "b.tar#member=./1.png": [(32, "./1.png")],
    }
    # Beside a table they are where its pictures are.
    lines(tmp_path / "table/rows.jsonl", {"image": "1.png"})
    (tmp_path / "table/images.tar.gz").write_bytes(b"x")
    found = list_files(build(OwnSpec("my_set", FAMILY)), Location.of(tmp_path / "table"), ())
    assert [one.path for one in found] == ["rows.jsonl"]
    # Alone, they are what the root has.
    (tmp_path / "table/rows.jsonl").unlink()
    assert told(ingest(tmp_path / "table", FAMILY)) == {"images.tar.gz#member=images.tar.gz": "unopened_archive"}


def test_members_that_are_links_sparse_or_named_twice(tmp_path):
    root = tmp_path / "photos"
    tar_of(root / "a.tar", [("1.png", png(1)), ("1.png", png(2))])
    with tarfile.open(root / "a.tar", "a") as archive:
        for name, kind in (("soft.png", tarfile.SYMTYPE), ("hard.png", tarfile.LNKTYPE)):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, "1.png"
            archive.addfile(info)
    with pytest.warns(UserWarning, match="Duplicate name"):
        zip_of(root / "b.zip", [("1.png", png(1)), ("2.png", png(3)), ("1.png", png(2))])
    rows = ingest(root, FAMILY)
    assert [row.get("reason", row.get("image_bytes")) for row in rows] == [
        *([png(1)], [png(2)], "unsafe_path", "unsafe_path"),
        *("malformed_archive", [png(3)], [png(2)]),
    ]
    assert len({row["id"] for row in rows}) == len(rows)


def test_a_zip_with_a_name_that_is_no_text_is_damaged_and_no_accident(tmp_path):
    root = tmp_path / "photos"
    path = zip_of(root / "a.zip", [("é.png", png(1))])
    path.write_bytes(path.read_bytes().replace("é".encode(), b"\xff\xfe"))
    assert told(ingest(root, FAMILY)) == {"a.zip#member=a.zip": "malformed_archive"}


def test_archives_are_read_where_they_are_beside_loose_pictures(tmp_path):
    root = tmp_path / "photos"
    pictures(root, "1.png")
    zip_of(root / "more/z.ZIP", [("in/1.png", png(2)), ("in/", b""), ("notes.txt", b"x"), ("__MACOSX/in/._1.png", b"")])
    # Names with several dots, and other members of the same key, are pictures of their own.
    tar_of(root / "t.tar", [("shot.2020.01.png", png(3)), ("shot.2020.02.png", png(4)), ("shot.json", b"{}")])
    rows = ingest(root, FAMILY)
    assert told(rows) == {
        ".#member=1.png": [(32, "1.png")],
        "more/z.ZIP#member=in/1.png": [(32, "more/z.ZIP/in/1.png")],
        "t.tar#member=shot.2020.01.png": [(32, "shot.2020.01.png")],
        "t.tar#member=shot.2020.02.png": [(32, "shot.2020.02.png")],
    }
    assert len({row["images"][0]["sha256"] for row in rows}) == 4


def test_a_zip_that_is_none_and_members_that_cannot_be_unpacked(tmp_path):
    root = tmp_path / "photos"
    good = zip_of(root / "good.zip", [("1.png", png(1)), ("2.png", png(2))])
    data = bytearray(good.read_bytes())
    data[data.rindex(b"IDAT") + 6] ^= 0xFF
    good.write_bytes(bytes(data))
    (root / "bad.zip").write_bytes(b"PK\3\4 and nothing")
    assert told(ingest(root, FAMILY)) == {
        "bad.zip#member=bad.zip": "malformed_archive",
        "good.zip#member=1.png": [(32, "good.zip/1.png")],
        "good.zip#member=2.png": "malformed_archive",
    }


def test_tables_are_read_where_there_is_nothing_else(tmp_path):
    rows = [{"image": "p/1.png", "label": "cat", "id": "x"}, {"image": None}, {"image": ["p/1.png", "p/1.png"]}]
    lines(tmp_path / "a/rows.jsonl", *rows)
    pictures(tmp_path / "p", "1.png")
    found = ingest(tmp_path / "a", FAMILY, image_roots=("..",))
    assert [row.get("reason", len(row.get("images", ()))) for row in found] == [1, "missing_field", 2]
    assert (found[0]["source_id"], found[0]["extra"]) == ("x", '{"label":"cat"}')

    table = {"image": [{"bytes": png(1), "path": "1.png"}, {"bytes": png(2), "path": None}], "caption": ["a cat", "b"]}
    (tmp_path / "b").mkdir()
    pq.write_table(pa.table(table), tmp_path / "b/train.parquet")
    found = ingest(tmp_path / "b", FAMILY)
    assert [(len(row["images"]), row["messages"]) for row in found] == [(1, []), (1, [])]
    assert '"caption":"a cat"' in found[0]["extra"], "nothing of a row is lost"

    lines(tmp_path / "c/urls.jsonl", {"url": "https://example.org/1.png"})
    assert SourceUse(name="c", root=Location.of(tmp_path / "c").uri, family=FAMILY).checked().urls


def test_files_choose_pictures_archives_folders_or_tables(tmp_path):
    pictures(tmp_path, "1.png", "cats/1.png", "cats/old/2.png", "dogs/1.jpg", "a[1]/1.png")
    zip_of(tmp_path / "z.zip", [("9.png", png(9))])
    lines(tmp_path / "rows.jsonl", {"image": "1.png"})
    where = Location.of(tmp_path)

    def listed(*files):
        source = build(OwnSpec("my_set", FAMILY, files=files))
        found = list_files(source, where, source.card.files)
        plan = source.reader.plan(where, files, Location.of(tmp_path.parent / "prepared"), 10)
        assert {split.file for split in plan.splits} == {one.path for one in found}
        assert all(
            one.members == sum(s.rows for s in plan.splits if s.file == one.path) for one in found if one.members
        )
        # What a listing names can be asked for by that name, and nothing else comes.
        for one in found:
            again = source.reader.plan(where, (glob.escape(one.path),), Location.of(tmp_path.parent / "again"), 10)
            assert {split.file for split in again.splits} == {one.path}
        return [(one.path, one.members) for one in found]

    folders = [(".", 1), ("a[1]", 1), ("cats", 1), ("cats/old", 1), ("dogs", 1)]
    assert listed() == [*folders, ("z.zip", None)]
    assert listed("**/*.png") == folders[:-1]
    assert listed("cats/*.png", "*.zip") == [("cats", 1), ("z.zip", None)]
    assert listed("cats/**/*.png") == [("cats", 1), ("cats/old", 1)]
    assert listed("dogs") == [("dogs", 1)]
    assert listed("rows.jsonl") == [("rows.jsonl", None)]
    with pytest.raises(SourceError, match=r"expected what matches cat/\*\.png"):
        listed("cat/*.png")
    use = SourceUse(name="c", root=where.uri, family=FAMILY, files=("dogs", "cat/*.png", "*.zip"))
    assert unmatched(use) == ("cat/*.png",)


@given(
    folders=st.lists(st.sampled_from(["a", "b", "ab"]), max_size=3),
    steps=st.lists(st.sampled_from(["a", "b", "*", "**"]), max_size=3),
)
def test_globs_match_as_those_of_files_do(folders, steps, tmp_path_factory):
    path = PurePosixPath(*folders, "x.png")
    pattern = "/".join([*steps, "*.png"])
    if hasattr(path, "full_match"):  # Python 3.13
        assert _matches(str(path), pattern.split("/")) == path.full_match(pattern)
    if "**" not in steps:
        assert _matches(str(path), pattern.split("/")) == (len(folders) == len(steps) and path.match(pattern))
    else:
        assert not _matches(str(path), pattern.split("/")) or len(folders) >= sum(step != "**" for step in steps)


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 5),
    names=st.sets(st.sampled_from([f"{f}{n}.png" for f in ("", "a/", "b/c/") for n in range(4)]), min_size=1),
)
def test_ids_do_not_depend_on_the_cut_or_on_what_else_there_is(rows, names, tmp_path_factory):
    root = tmp_path_factory.mktemp("photos")
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(png(1))
    source, where = build(OwnSpec("my_set", FAMILY)), Location.of(root)

    def digests(rows):
        plan = source.reader.plan(where, (), Location.of(tmp_path_factory.mktemp("prepared")), rows)
        return {
            (split.file, raw.locator): (raw.digest, raw.repeat)
            for split in plan.splits
            for raw in source.reader.read(where, split)
        }

    before = digests(rows)
    assert len(before) == len(names) == len(set(before.values()))
    assert digests(100) == before
    (root / "a").mkdir(exist_ok=True)
    (root / "a/00.png").write_bytes(png(2))
    after = digests(rows)
    assert before.items() <= after.items()
    assert len(after) == len(before) + 1


def test_another_picture_under_an_old_name_makes_its_folder_anew_and_no_other(tmp_path):
    root = tmp_path / "photos"
    pictures(root, "a/1.png", "b/1.png", "b/2.png")
    zip_of(root / "z.zip", [("1.png", png(1))])

    def parts():
        use = SourceUse(name="my_set", root=Location.of(root).uri, family=FAMILY).checked()
        source = use.load()
        prepared = Location.of(tmp_path / "prepared")
        plan = source.reader.plan(Location.of(root), source.card.files, prepared, 10)
        return {task.split.file: task.part.fingerprint for task in make_tasks(prepared, use, source, plan)}

    before = parts()
    assert parts() == before
    (root / "b/2.png").write_bytes(png(700))
    changed = parts()
    assert [file for file in before if before[file] != changed[file]] == ["b"]
    zip_of(root / "z.zip", [("1.png", png(2))])
    assert [file for file in before if changed[file] != parts()[file]] == ["z.zip"]


def test_nothing_to_read_and_a_wrong_category_are_told(tmp_path):
    (tmp_path / "notes.txt").write_text("x")
    use = SourceUse(name="my_set", root=Location.of(tmp_path).uri, family=FAMILY)
    with pytest.raises(SourceError, match=r"no picture, archive or table below .*expected pictures \(\*\.jpg"):
        use.checked()
    for family, category in ((FAMILY, "caption"), ("text_only", "image_only")):
        with pytest.raises(SourceError, match="leave the category out"):
            build(OwnSpec("my_set", family, category=category))

"""Reader families on small made files: cuts, repeats, damage."""

import io
import json
import tarfile
import zipfile

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.sources.base import ImageRef, Quarantine
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.joined import CaptionsAndImages, QuestionsAndAnnotations
from infinity_mm.sources.families.rowfiles import RowFiles
from infinity_mm.sources.families.tars import TarRows
from infinity_mm.sources.images import ImageStore
from infinity_mm.sources.vqav2 import SOURCE as VQAV2
from tests.sources.reading import rows_of, same_for_all_sizes


def test_json_lines(tmp_path):
    lines = ['{"id": 1}', '{"id": 1}', "", '{"id": 2, "t": "ä"}', '{"id": 3, "cut', "[1]", '{"id": 1}']
    (tmp_path / "a.jsonl").write_text("\n".join(lines), encoding="utf-8")
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(locator, repeat, reason) for _, locator, _, repeat, _, reason in found] == [
        ("line=1", 0, None),
        ("line=2", 1, None),
        ("line=4", 0, None),
        ("line=5", 0, "malformed_json"),
        ("line=6", 0, "unexpected_row"),
        ("line=7", 2, None),
    ]


@pytest.mark.parametrize("indent", [None, 1])
def test_json_array(tmp_path, indent):
    (tmp_path / "a.json").write_text(json.dumps([{"id": 1, "x": 1.5}, {"id": 1, "x": 1.5}, {"id": 2}], indent=indent))
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[1], f[3], f[4]) for f in found] == [
        ("item=0", 0, {"id": 1, "x": 1.5}),
        ("item=1", 1, {"id": 1, "x": 1.5}),
        ("item=2", 0, {"id": 2}),
    ]


def test_an_array_that_breaks_off_keeps_what_stands_before(tmp_path):
    (tmp_path / "a.json").write_text('[{"id": 1}, {"id": 2}, {"id": 3, "te')
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[1], f[5]) for f in found] == [("item=0", None), ("item=1", None), ("item=2", "malformed_json")]


def test_one_broken_element_of_an_array_costs_its_own_row(tmp_path):
    rows = [
        "null",
        '{"id": 1}',
        '{"id": nul}',
        '{"id": nul}',
        '{"id": ' + "[" * 300 + "]" * 300 + "}",
        '{"id": 2}',
        "{bad",
    ]
    (tmp_path / "a.json").write_text("[" + ", ".join(rows))
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[1], f[3], f[5]) for f in found] == [
        ("item=0", 0, "unexpected_row"),
        ("item=1", 0, None),
        ("item=2", 0, "malformed_json"),
        ("item=3", 1, "malformed_json"),
        ("item=4", 0, "malformed_json"),
        ("item=5", 0, None),
        ("item=6", 0, "malformed_json"),
    ]


@pytest.mark.parametrize("name", ["a.json", "a.jsonl"])
@pytest.mark.parametrize(
    "first",
    [
        '{"id": 1, "pad": "' + "x" * 1_500_000 + '"}',
        '{"id": ',
        '{"id": \ngarbage',
        "\ufeff" + '{"id": 1}',
        "[1]",
        "junk",
    ],
)
def test_lines_are_told_from_containers_whatever_the_first_line_is(tmp_path, name, first):
    (tmp_path / name).write_text(first + '\n{"id": 2}\n{"id": 3}\n', encoding="utf-8")
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [f[4]["id"] for f in found if f[4] and f[4]["id"] != 1] == [2, 3]
    assert len(found) == first.count("\n") + 3


def test_a_long_line_is_read_in_linear_time_and_memory(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"t": "' + "x" * 40_000_000 + '"}\n{"id": 2}')
    found = rows_of(RowFiles(), tmp_path, 10)
    assert [f[1] for f in found] == ["line=1", "line=2"]
    assert len(found[0][4]["t"]) == 40_000_000


@pytest.mark.parametrize("indent", [None, 2])
def test_rows_inside_an_object_and_an_object_keyed_by_id(tmp_path, indent):
    (tmp_path / "a.json").write_text(json.dumps({"info": {}, "data": [{"q": 1}, {"q": 2}]}, indent=indent))
    reader = RowFiles(inside=("data",), lines=False)
    assert [f[1] for f in same_for_all_sizes(reader, tmp_path)] == ["item=0", "item=1"]
    (tmp_path / "a.json").write_text(json.dumps({"007": {"q": 1}, "8": {"q": 1}}, indent=indent))
    found = same_for_all_sizes(RowFiles(lines=False), tmp_path)
    assert [(f[1], f[4]["__key__"]) for f in found] == [("key=007", "007"), ("key=8", "8")]


def test_parquet_is_planned_without_its_pictures(tmp_path):
    image = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    lines = [
        {"id": str(n // 2), "image": {"bytes": bytes([n]) * 50, "path": "x"} if n % 3 else None} for n in range(11)
    ]
    schema = pa.schema([("id", pa.string()), ("image", image)])
    pq.write_table(pa.Table.from_pylist(lines, schema=schema), tmp_path / "a.parquet", row_group_size=4)
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [f[1] for f in found] == [f"row={n}" for n in range(11)]
    assert [f[4] for f in found] == lines


def test_damaged_parquet_is_one_quarantined_row(tmp_path):
    (tmp_path / "a.parquet").write_bytes(b"PAR1 and nothing that follows")
    assert [f[5] for f in same_for_all_sizes(RowFiles(), tmp_path)] == ["malformed_archive"]


def in_groups(path, table):
    """Write a Parquet file with one row per row group, and return its content."""
    with pq.ParquetWriter(path, table.schema, compression="none", use_dictionary=False) as writer:
        for number in range(table.num_rows):
            writer.write_table(table.slice(number, 1))
    return bytearray(path.read_bytes())


@pytest.mark.parametrize("column", ["text", "image"])
def test_a_damaged_page_costs_its_row_group_alone(tmp_path, column):
    path = tmp_path / "a.parquet"
    table = pa.table({"text": [f"row {n}" for n in range(5)], "image": [bytes([n]) * 99 for n in range(5)]})
    content = in_groups(path, table)
    meta = pq.read_metadata(path).row_group(2).column(table.column_names.index(column))
    content[meta.data_page_offset : meta.data_page_offset + meta.total_compressed_size] = (
        b"\xff" * meta.total_compressed_size
    )
    path.write_bytes(content)
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[1], f[5]) for f in found] == [(f"row={n}", "malformed_archive" if n == 2 else None) for n in range(5)]


def test_a_value_that_python_cannot_hold_costs_its_row(tmp_path):
    raw = pa.array([b"good", b"\xff", b"good"])
    text = pa.Array.from_buffers(pa.string(), 3, raw.buffers())
    dates = pa.array([1, 2, 2**62], pa.timestamp("us"))
    pq.write_table(pa.table({"text": text, "date": dates, "n": [1, 2, 3]}), tmp_path / "a.parquet")
    found = same_for_all_sizes(RowFiles(), tmp_path)
    assert [(f[4] and f[4]["n"], f[5]) for f in found] == [
        (1, None),
        (None, "malformed_archive"),
        (None, "malformed_archive"),
    ]


def make_tar(path, members):
    with tarfile.open(path, "w", format=tarfile.USTAR_FORMAT) as tar:
        for name, data in members:
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


def test_tar_samples(tmp_path):
    label = b'{"id": "1", "phash": [18068869667165728448]}'
    members = [
        ("./0.json", label),
        ("./0.jpg", b"jpg"),
        ("1.json", label),
        ("1.jpg", b""),
        ("2.json", b"{"),
        ("3.png", b"x"),
    ]
    make_tar(tmp_path / "a.tar", members)
    found = same_for_all_sizes(TarRows(), tmp_path)
    assert [(f[1], f[5]) for f in found] == [
        ("member=0.json", None),
        ("member=1.json", None),
        ("member=2.json", "malformed_json"),
        ("member=3.json", "unexpected_row"),
    ]
    assert found[0][4]["images"] == [("./0.jpg", b"jpg")]
    assert found[1][4]["images"] == []  # an empty picture means that there is none
    assert found[0][4]["json"]["phash"] == [18068869667165728448]


@pytest.mark.parametrize("keep", [700, 1100, 1600, 2500])
def test_a_cut_tar_keeps_the_samples_before_the_cut(tmp_path, keep):
    make_tar(tmp_path / "a.tar", [(f"{n}.{kind}", b"{}" * 300) for n in range(3) for kind in ("json", "jpg")])
    whole = (tmp_path / "a.tar").read_bytes()
    (tmp_path / "a.tar").write_bytes(whole[:keep])
    reasons = [f[5] for f in same_for_all_sizes(TarRows(), tmp_path)]
    assert reasons[-1] == "malformed_archive"
    assert "malformed_archive" not in reasons[:-1]


def test_a_sample_that_is_packed_twice_is_two_rows(tmp_path):
    names = ["a.json", "a.png", "a.json", "a.png", "b.json", "a.json"]
    make_tar(tmp_path / "a.tar", [(name, b'{"n": %d}' % n) for n, name in enumerate(names)])
    found = same_for_all_sizes(TarRows(), tmp_path)
    assert [(f[3], f[4]["json"]["n"], len(f[4]["images"])) for f in found] == [
        (0, 0, 1),
        (1, 2, 1),
        (0, 4, 0),
        (2, 5, 0),
    ]


def test_a_name_that_is_no_text_is_escaped(tmp_path):
    make_tar(tmp_path / "a.tar", [("b.json", b"{}"), ("caf\udce9.json", b"{}"), ("caf\udce8.json", b"{}")])
    found = same_for_all_sizes(TarRows(), tmp_path)
    assert [f[1] for f in found] == ["member=b.json", "member=caf\\xe9.json", "member=caf\\xe8.json"]


@pytest.mark.parametrize(
    "size", [b"\xff" * 8 + (-1024).to_bytes(4, "big", signed=True), b"\x80" + (1 << 45).to_bytes(11, "big")]
)
def test_a_header_that_lies_about_its_size_damages_the_archive_and_nothing_else(tmp_path, size):
    make_tar(tmp_path / "a.tar", [(f"{n}.json", b"{}") for n in range(3)])
    content = bytearray((tmp_path / "a.tar").read_bytes())
    header = content[1024:1536]
    header[124:136] = size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    content[1024:1536] = header
    (tmp_path / "a.tar").write_bytes(content)
    assert [(f[1], f[5]) for f in same_for_all_sizes(TarRows(), tmp_path)] == [
        ("member=0.json", None),
        ("member=1.json", "malformed_archive"),
    ]


def test_a_corrected_label_of_the_same_length_changes_the_digest(tmp_path):
    digests = []
    for label in (b'{"n": 1}', b'{"n": 2}'):
        make_tar(tmp_path / "a.tar", [("a.json", label), ("a.png", b"x")])
        digests.append(TarRows().plan(Location.of(tmp_path), ("*.tar",), Location.of(tmp_path) / ".p", 9).files)
    assert digests[0] != digests[1]


def test_questions_are_joined_by_id_not_by_position(tmp_path):
    questions = [{"question_id": n, "image_id": n, "question": f"q{n}"} for n in range(4)]
    answers = [{"question_id": n, "answers": [f"a{n}"]} for n in (3, 1, 0)]
    head = {"data_subtype": "val2014"}
    (tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(json.dumps({"questions": questions, **head}))
    (tmp_path / "v2_mscoco_val2014_annotations.json").write_text(json.dumps({"annotations": answers, **head}))
    found = same_for_all_sizes(QuestionsAndAnnotations(), tmp_path, ("*.json",))
    joined = [f[4]["annotation"] and f[4]["annotation"]["answers"] for f in found]
    assert joined == [["a0"], ["a1"], None, ["a3"]]


def test_captions_are_joined_with_images(tmp_path):
    tree = {
        "images": [{"id": 7, "file_name": "7.jpg"}],
        "annotations": [{"image_id": 7, "caption": "x"}, {"image_id": 8, "caption": "y"}],
    }
    (tmp_path / "captions.json").write_text(json.dumps(tree))
    found = same_for_all_sizes(CaptionsAndImages(), tmp_path, ("*.json",))
    assert [f[4]["image"] and f[4]["image"]["file_name"] for f in found] == ["7.jpg", None]


def test_captions_before_a_cut_are_kept_and_a_broken_one_costs_itself(tmp_path):
    tree = {
        "images": [{"id": 7, "file_name": "7.jpg"}],
        "annotations": [{"image_id": 7, "caption": c} for c in ("a", "b", "c")],
    }
    whole = json.dumps(tree)
    (tmp_path / "captions.json").write_text(whole.replace('"a"', "nul")[:-10])
    found = same_for_all_sizes(CaptionsAndImages(), tmp_path, ("*.json",))
    assert [f[5] for f in found] == ["malformed_json", None, "malformed_json"]
    assert found[1][4]["image"]["file_name"] == "7.jpg"
    (tmp_path / "captions.json").write_text('{"images": []}')
    assert [f[5] for f in same_for_all_sizes(CaptionsAndImages(), tmp_path, ("*.json",))] == ["unexpected_row"]


def test_answers_without_questions_are_an_error_and_the_subtype_may_stand_anywhere(tmp_path):
    (tmp_path / "v2_mscoco_val2014_annotations.json").write_text(
        '{"annotations": [{"question_id": 1}, {"question_id": nul}]}'
    )
    with pytest.raises(SourceError, match="no file of questions"):
        rows_of(QuestionsAndAnnotations(), tmp_path, 10, ("*.json",))
    (tmp_path / "v2_OpenEnded_mscoco_val2014_questions.json").write_text(
        '{"questions": [{"question_id": 1}, {"question_id": 2}], "data_subtype": "val2014"}'
    )
    found = same_for_all_sizes(QuestionsAndAnnotations(), tmp_path, ("*.json",))
    assert [f[4]["data_subtype"] for f in found[:2]] == ["val2014", "val2014"]
    assert [f[4]["annotation"] for f in found[:2]] == [{"question_id": 1}, None]
    assert [(f[1], f[5]) for f in found[2:]] == [("annotations.item=1", "malformed_json")]


def test_annotations_without_a_question_are_told_whichever_half_is_short(tmp_path):
    questions = [{"question_id": n, "image_id": n, "question": "q"} for n in (1, 2, 1)]
    answers = [{"question_id": n, "answers": [{"answer": f"a{place}"}]} for place, n in enumerate((1, 7, 1, 7))]
    for split in ("train", "val"):
        (tmp_path / f"{split}_annotations.json").write_text(json.dumps({"annotations": answers}))
    (tmp_path / "train_questions.json").write_text(json.dumps({"questions": questions}))
    found = same_for_all_sizes(QuestionsAndAnnotations(), tmp_path, ("*.json",))
    outcomes = [(file, locator, VQAV2.parse(row)) for file, locator, _, _, row, _ in found]
    told = [(file, locator, made.source_id) for file, locator, made in outcomes if isinstance(made, Quarantine)]
    assert {made.reason for _, _, made in outcomes if isinstance(made, Quarantine)} == {"unjoined_annotation"}
    assert told == [
        ("train_questions.json", "item=1", "2"),
        ("train_questions.json", "annotations.item=0", "1"),
        ("train_questions.json", "annotations.item=1", "7"),
        ("train_questions.json", "annotations.item=3", "7"),
        *(
            ("val_annotations.json", f"annotations.item={n}", key)
            for n, key in ((0, "1"), (1, "7"), (2, "1"), (3, "7"))
        ),
    ]
    joined = [made.messages[1].content for _, _, made in outcomes if not isinstance(made, Quarantine)]
    assert joined == ["a2", "a2"], "of two annotations the last counts, for each question that asks for it"


def test_files_by_published_name_then_by_suffix(tmp_path):
    (tmp_path / "sub").mkdir()
    for name in ("renamed.json", "sub/deep.json", ".hidden.json", "notes.txt"):
        (tmp_path / name).write_text("{}")
    root = Location.of(tmp_path)
    assert find_files(root, ("chat.json",), (".json",)) == ("renamed.json",)
    assert find_files(root, ("*/deep.json",), (".json",)) == ("sub/deep.json",)
    with pytest.raises(SourceError, match=r"expected one of: chat\.json, \*\.csv"):
        find_files(root, ("chat.json",), (".csv",))


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

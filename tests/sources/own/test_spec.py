"""What is said about own data, what it makes, and what is found wrong before any work."""

import json
import pickle
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.pipeline.ingest import make_tasks
from infinity_mm.recipe import SourceUse
from infinity_mm.sources.base import QUARANTINE_REASONS, Quarantine, Sample
from infinity_mm.sources.own.check import check
from infinity_mm.sources.own.families import FAMILIES, NAMES
from infinity_mm.sources.own.spec import OwnSpec, build
from tests.laws.test_sources import JSON, TURNS
from tests.sources.own.making import ingest, lines, pictures

CHAT = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
COLUMNS = sorted({column for family in FAMILIES for field in family.fields for column in field.usual})


def looked(root, family="chat_messages", **columns):
    return check(OwnSpec("my_set", family, tuple(sorted(columns.items()))), Location.of(root))


@pytest.mark.parametrize("family", FAMILIES, ids=NAMES)
def test_a_family_explains_itself_and_its_source_travels(family):
    source = build(OwnSpec("my_set", family.name))
    assert family.says
    assert family.command.startswith(f"infinity-mm ingest --family {family.name} --name my_set")
    assert {name for needed in family.needs for name in needed} <= {field.name for field in family.fields}
    assert len({field.kind for field in family.fields}) == len(family.fields)
    assert pickle.loads(pickle.dumps(source)) == source
    assert " at 0x" not in repr(source.reader) + source.parameters


@pytest.mark.parametrize("family", NAMES)
@settings(max_examples=60, deadline=None)
@given(row=st.dictionaries(st.sampled_from([*COLUMNS, "__key__", "json", "texts"]), JSON | TURNS, max_size=8))
def test_no_row_raises(family, row):
    parse = build(OwnSpec("my_set", family)).parse
    result = parse(row)
    if isinstance(result, Quarantine):
        assert result.reason in QUARANTINE_REASONS
        assert result.detail
    else:
        assert isinstance(result, Sample)
        assert parse(row) == result


@pytest.mark.parametrize(
    ("family", "columns", "words"),
    [
        ("chat_mesages", {}, ("no family 'chat_mesages'", "'chat_messages'")),
        ("chat_messages", {"mesages": "talk"}, ("no field 'mesages'", "'messages'")),
        ("chat_messages", {"messages": "tlak"}, ("no column 'tlak'", "a.jsonl", "images, talk", "'talk'")),
        ("chat_messages", {"messages": "talk", "id": "nr"}, ("id=nr", "images, talk")),
        ("chat_messages", {}, ("needs messages or completion", "images, talk", "--map messages=COLUMN")),
        ("one_file_qa", {"question": "talk"}, ("needs question and answer", "images, talk")),
    ],
)
def test_a_wrong_map_is_told_with_what_the_files_have(tmp_path, family, columns, words):
    lines(tmp_path / "a.jsonl", {"talk": CHAT, "images": []})
    with pytest.raises(SourceError) as error:
        looked(tmp_path, family, **columns)
    for word in words:
        assert word in str(error.value)


def test_columns_of_tables_are_known_from_their_schema(tmp_path):
    pq.write_table(pa.table({"talk": [json.dumps(CHAT)], "pic": pa.nulls(1)}), tmp_path / "a.parquet")
    assert looked(tmp_path, messages="talk", images="pic").urls is False
    with pytest.raises(SourceError, match="pic, talk"):
        looked(tmp_path, messages="talk", images="picture")


def test_a_column_of_late_rows_is_found(tmp_path):
    rows = [{"messages": CHAT}] * 300 + [{"messages": CHAT, "pic": "a.png"}]
    lines(tmp_path / "a.jsonl", *rows)
    looked(tmp_path, images="pic")


def test_no_files(tmp_path):
    with pytest.raises(SourceError, match=r"expected one of: \*\.json"):
        looked(tmp_path)


def test_urls_are_found_out_or_said(tmp_path):
    lines(tmp_path / "a.jsonl", {"messages": CHAT, "images": ["https://example.org/a.png"]})
    spec = OwnSpec("my_set", "chat_messages")
    assert [check(spec, Location.of(tmp_path), urls).urls for urls in (None, True, False)] == [True, True, False]


def test_ids_are_those_of_the_rows_wherever_the_folder_is(tmp_path):
    lines(tmp_path / "one/a.jsonl", {"messages": CHAT}, {"messages": CHAT}, {"messages": CHAT, "n": 1})
    found = [row["id"] for row in ingest(tmp_path / "one", "chat_messages")]
    assert len(set(found)) == 3
    shutil.move(tmp_path / "one", tmp_path / "elsewhere")
    assert [row["id"] for row in ingest(tmp_path / "elsewhere", "chat_messages")] == found


def test_pictures_elsewhere_and_by_absolute_path(tmp_path):
    pictures(tmp_path / "photos", "0.png")
    inside = str(tmp_path / "photos/0.png")
    lines(tmp_path / "rows/a.jsonl", {"messages": CHAT, "image": "0.png"}, {"messages": CHAT, "image": inside})
    assert [row["reason"] for row in ingest(tmp_path / "rows", "chat_messages")] == ["missing_image", "unsafe_path"]
    found = ingest(tmp_path / "rows", "chat_messages", image_roots=("../photos",))
    assert [len(row["images"]) for row in found] == [1, 1]
    use = SourceUse(
        name="x",
        root=Location.of(tmp_path / "rows").uri,
        family="chat_messages",
        image_root=(str(tmp_path / "photos"),),
    )
    assert use.load().image_roots == ("../photos",), "no path of the machine is part of a source"


def part_names(root, prepared, **keys):
    use = SourceUse(name="my_set", root=Location.of(root).uri, family="chat_messages", **keys).checked()
    source = use.load()
    plan = source.reader.plan(Location.of(root), source.card.files, Location.of(prepared), 10)
    return [task.part.fingerprint for task in make_tasks(Location.of(prepared), use, source, plan)]


def test_the_map_is_part_of_what_names_a_part(tmp_path):
    lines(tmp_path / "d/a.jsonl", {"messages": CHAT, "other": CHAT})
    plain = part_names(tmp_path / "d", tmp_path / "p")
    assert part_names(tmp_path / "d", tmp_path / "p") == plain
    for change in ({"map": {"messages": "other"}}, {"map": {"user": "Q"}}, {"license": "MIT"}, {"category": "caption"}):
        assert part_names(tmp_path / "d", tmp_path / "p", **change) != plain
    shutil.move(tmp_path / "d", tmp_path / "e")
    assert part_names(tmp_path / "e", tmp_path / "p") == plain


@pytest.mark.parametrize(
    ("keys", "word"),
    [
        ({"name": "gqa"}, "source of the catalogue"),
        ({"name": "My Set"}, "small letters"),
        ({"name": "synthetic"}, "synthetic"),
        ({"family": "nope"}, "no family"),
    ],
)
def test_names_that_cannot_be(tmp_path, keys, word):
    lines(tmp_path / "a.jsonl", {"messages": CHAT})
    use = SourceUse(**{"name": "my_set", "root": Location.of(tmp_path).uri, "family": "chat_messages", **keys})
    with pytest.raises(SourceError, match=word):
        use.checked()

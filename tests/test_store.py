import hashlib

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.errors import StoreError
from infinity_mm.fs import Location
from infinity_mm.schema import RECORDS
from infinity_mm.store import Store, leaves, part_name


def record(number: int, size: int) -> dict[str, object]:
    image = {"sha256": "0" * 64, "width": 1, "height": 1, "format": "png", "uri": "x"}
    return {
        "id": f"{number:032x}", "source": "s", "source_id": "", "source_ref": "f#item=0", "category": "general",
        "license": "mit", "language": "und", "images": [image], "image_bytes": [bytes(size)],
        "messages": [{"role": "user", "content": "q"}], "parent": None, "extra": "{}",
    }  # fmt: skip


@pytest.fixture
def store(tmp_path) -> Store:
    return Store(Location.of(tmp_path))


def test_row_groups_are_bounded_by_bytes(store):
    with store.writer("records/s/part.parquet", RECORDS) as writer:
        for number in range(10):
            writer.add(record(number, 8 << 20), 8 << 20)
    metadata = pq.ParquetFile(store.at("records/s/part.parquet").path).metadata
    assert [metadata.row_group(i).num_rows for i in range(metadata.num_row_groups)] == [4, 4, 2]
    assert store.read("records/s/part.parquet").schema.equals(RECORDS)


def test_pictures_are_not_compressed_again_and_texts_are(store):
    with store.writer("p", RECORDS) as writer:
        writer.add(record(1, 100), 100)
    group = pq.ParquetFile(store.at("p").path).metadata.row_group(0)
    codec = {group.column(i).path_in_schema: group.column(i).compression for i in range(group.num_columns)}
    assert codec["image_bytes.list.element"] == "UNCOMPRESSED"
    assert codec["messages.list.element.content"] == "ZSTD"
    assert set(codec) == set(leaves(RECORDS))


def test_an_empty_part_still_has_the_schema(store):
    with store.writer("p", RECORDS):
        pass
    assert store.read("p").schema.equals(RECORDS)
    assert store.read("p").num_rows == 0


def test_columns_come_as_asked_for_and_one_that_is_not_there_is_an_error(store):
    store.write("p", pa.table({"a": [1, 2], "b": [[3], [4]], "c": ["x", "y"]}))
    assert store.read("p", ["c", "b"]).to_pylist() == [{"c": "x", "b": [3]}, {"c": "y", "b": [4]}]
    assert store.read("p", ["c", "b"]).column_names == ["c", "b"]
    assert store.read("p", []).num_rows == 2
    assert store.read("p", ["c"], [("a", ">=", 2)]).to_pylist() == [{"c": "y"}]
    with pytest.raises(StoreError, match="there is no d"):
        store.read("p", ["a", "d"])


def test_missing_and_sweep(store):
    keep, old = part_name(0, "a" * 16), part_name(0, "b" * 16)
    for name in (keep, old, ".tmp-1234-part"):
        store.at(f"f/{name}").write_bytes(b"")
    assert store.missing([f"f/{keep}", "f/absent", "g/absent"]) == ["f/absent", "g/absent"]
    assert store.sweep("f", [keep], owns=lambda name: False) == 0
    assert store.at("f").files() == sorted([keep, old])
    assert store.sweep("f", [keep]) == 1
    assert store.at("f").files() == [keep]


def test_a_damaged_part_says_what_to_do(store):
    store.at("p").write_bytes(b"PAR1 not really")
    with pytest.raises(StoreError, match="delete that file and run again"):
        store.read("p")


def test_a_changed_byte_in_a_page_is_found_when_it_is_read(store):
    store.write("p", pa.table({"text": [hashlib.sha256(bytes([n])).hexdigest() for n in range(200)]}))
    content = store.at("p").read_bytes()
    for at in range(len(content) // 4, len(content) // 2, 97):
        store.at("p").write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        with pytest.raises(StoreError, match="CRC checksum verification failed"):
            store.read("p")


def test_same_rows_same_bytes(store):
    for name in ("a", "b"):
        store.write(name, pa.table({"id": ["x", "y"], "v": [1, None]}))
    assert store.at("a").read_bytes() == store.at("b").read_bytes()

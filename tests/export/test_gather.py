"""Rows of a shard: in order, overlaid, with exactly the bytes that were ingested, or a named error."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from infinity_mm.errors import StageError
from infinity_mm.export import gather as gathering
from infinity_mm.export.gather import gather
from infinity_mm.schema import RECORDS
from tests.export.shards import bytes_of, planned


def gathered(work, **keys):
    plan = planned(work, **keys)
    return [row for index in range(len(plan)) for row in gather(work[0].work, plan.shard(index))]


def expected(work):
    rows = {row["id"]: row | {"image_bytes": bytes_of(row, work[1])} for row in work[1]}
    plan = planned(work)
    return [rows[key] for index in range(len(plan)) for key in plan.shard(index).rows.column("id").to_pylist()]


def rewrite(work, path="records/a/part-0.parquet", change=lambda rows: rows, **options):
    """Write a part as another program would."""
    rows = change(work[0].read(path).to_pylist())
    pq.write_table(pa.Table.from_pylist(rows, schema=RECORDS), work[0].at(path).path, **options)


def test_rows_come_in_order_with_their_own_and_borrowed_pictures(work):
    assert gathered(work) == expected(work)


@pytest.mark.parametrize(
    "options",
    [{"compression": "zstd"}, {"use_dictionary": True, "compression": "none"}, {"data_page_version": "2.0"}],
    ids=["compressed", "dictionary", "second version of pages"],
)
def test_parts_of_another_layout_are_read_all_the_same(work, options):
    rewrite(work, **options)
    assert gathered(work) == expected(work)


def test_many_row_groups_and_pages(work):
    rewrite(work, row_group_size=4, data_page_size=1, write_batch_size=1, use_dictionary=False, compression="none")
    assert gathered(work) == expected(work)


def test_overlays_replace_messages_and_language(work):
    mended = [{"role": "user", "content": "neu"}, {"role": "assistant", "content": "gut"}]
    rows = gathered(work, overlay={"messages": mended, "language": "de"})
    assert [(row["messages"], row["language"]) for row in rows] == [(mended, "de")] * 23


def test_a_picture_that_is_not_the_ingested_one_is_named(work):
    victim = work[1][4]
    location = work[0].at("records/a/part-0.parquet")
    content = location.read_bytes()
    data = victim["image_bytes"][0]
    at = content.index(len(data).to_bytes(4, "little") + data) + 30  # the page; statistics hold a copy
    location.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
    with pytest.raises(StageError, match=rf"record {victim['id']}: picture 0, in records/a/part-0.* delete .*part-0"):
        gathered(work)


def test_other_rows_under_the_same_name_are_named(work):
    rewrite(work, change=lambda rows: rows[::-1])
    with pytest.raises(StageError, match=r"row \d of records/a/part-0.parquet is not 0"):
        gathered(work)
    rewrite(work, change=lambda rows: rows[:3])
    with pytest.raises(StageError, match=r"has 3 rows, a row beyond them was planned"):
        gathered(work)


def test_a_record_that_fails_its_schema_is_named(work):
    rewrite(work, change=lambda rows: [*rows[:-1], rows[-1] | {"category": "cats"}])
    with pytest.raises(StageError, match=rf"record {work[1][8]['id']} fails its schema before export: category"):
        gathered(work)


def test_an_absent_part_and_an_absent_donor_are_named(work):
    def orphaned(rows):
        return [row | {"images": [{**row["images"][0], "uri": f"record:{'f' * 32}#0"}]} for row in rows]

    rewrite(work, "records/synthetic/p.parquet", orphaned)
    with pytest.raises(StageError, match=r"shows a picture of f+, which is not at hand"):
        gathered(work)
    work[0].at("records/a/part-1.parquet").delete()
    with pytest.raises(StageError, match=r"cannot read .*records/a/part-1.parquet"):
        gathered(work)


def test_pictures_are_read_a_few_rows_ahead_and_no_more(work, monkeypatch):
    read = []
    original = gathering._read_span
    monkeypatch.setattr(gathering, "_read_span", lambda *place: read.append(place) or original(*place))
    monkeypatch.setattr(gathering, "AHEAD_BYTES", 1)
    rows = gather(work[0].work, planned(work, samples_per_shard=23).shard(0))
    next(rows)
    assert len(read) <= 6  # of two rows, with at most three pictures each
    assert len(list(rows)) == 22
    assert len(read) == 16 + 2 * 3 + 1

"""Places of pictures inside Parquet files, against what a Parquet reader decodes."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.export.pictures import Window, picture_chunk, walk

SCHEMA = pa.schema([pa.field("image_bytes", pa.list_(pa.field("element", pa.large_binary())))])
LAYOUT = {"compression": "none", "use_dictionary": False}


def written(rows, **options):
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"image_bytes": rows}, schema=SCHEMA), sink, **(LAYOUT | options))
    return sink.getvalue()


def walked(content, ahead):
    """Return the pictures of each row group, by their places; None where those cannot be told."""
    metadata = pq.ParquetFile(pa.BufferReader(content)).metadata
    found = []
    for group in range(metadata.num_row_groups):
        chunk = picture_chunk(metadata.row_group(group))
        spans = walk(Window(pa.BufferReader(content), ahead), chunk, chunk.statistics.num_values)
        if spans is None:
            return None
        found.append([content[span.offset : span.offset + span.length].to_pybytes() for span in spans])
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.lists(st.none() | st.binary(max_size=40), max_size=3), min_size=1, max_size=30),
    st.integers(1, 30),
    st.sampled_from([1, 64, 1 << 20]),
    st.sampled_from([16, 4096]),
)
def test_places_are_those_of_the_stored_pictures(rows, group, page, ahead):
    content = written(rows, row_group_size=group, data_page_size=page, write_batch_size=2)
    groups = [rows[start : start + group] for start in range(0, len(rows), group)]
    assert walked(content, ahead) == [[one for row in part for one in row if one is not None] for part in groups]


@pytest.mark.parametrize("options", [{"compression": "zstd"}, {"use_dictionary": True}])
def test_another_layout_is_left_to_a_decoder(options):
    assert walked(written([[b"abc" * 50]], **options), 64) is None


def test_a_length_beyond_the_page_ends_the_walk():
    content = bytearray(written([[b"abcdefgh"], [b"ijkl"]]).to_pybytes())
    at = content.index((8).to_bytes(4, "little") + b"abcdefgh")
    content[at : at + 4] = (1 << 31).to_bytes(4, "little")
    assert walked(pa.py_buffer(bytes(content)), 64) == [[]]


def test_parts_of_a_run_are_of_the_layout_that_is_walked(work):
    store, rows = work
    pictures = [one for row in rows[:9] for one in row["image_bytes"]]
    assert walked(pa.py_buffer(store.at("records/a/part-0.parquet").read_bytes()), 4096) == [pictures]

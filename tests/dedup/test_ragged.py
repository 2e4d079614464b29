"""Lists as flat arrays."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.dedup.ragged import unpacked

LISTS = st.lists(st.lists(st.integers(0, 2**32 - 1), max_size=5), max_size=8)


@given(LISTS, LISTS, st.integers(0, 8), st.sampled_from(["<u4", "<u8"]))
def test_packed_numbers_come_back_whatever_the_chunks(one, other, begin, kind):
    chunks = [pa.array([np.array(own, kind).tobytes() for own in lists], pa.large_binary()) for lists in (one, other)]
    found = unpacked(pa.chunked_array(chunks).slice(begin), np.dtype(kind))
    assert [found[index].tolist() for index in range(len(found))] == [*one, *other][begin:]
    assert found.values.dtype == kind


@pytest.mark.parametrize("chunks", [[], [pa.array([], pa.large_binary())], [pa.array([b"", b""], pa.large_binary())]])
def test_nothing_is_no_list_or_an_empty_one(chunks):
    found = unpacked(pa.chunked_array(chunks, pa.large_binary()), np.dtype("<u8"))
    assert found.size.tolist() == [0] * sum(map(len, chunks))
    assert found.values.dtype == np.uint64

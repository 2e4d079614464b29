"""Shards: balanced, bounded, complete, and a function of the ids and the seed alone."""

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.errors import StageError
from infinity_mm.export.plan import KEPT, ShardLimits, plan_shards


def lines_of(sizes):
    return [{"id": f"{n:032x}", "source": "s", "part": "p", "row": n, "bytes": size} for n, size in enumerate(sizes)]


def shards_of(lines, **limits):
    plan = plan_shards(pa.Table.from_pylist(lines, schema=KEPT), seed=5, limits=ShardLimits(**limits))
    return [plan.shard(index).rows for index in range(len(plan))]


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 60), st.integers(1, 9), st.randoms())
def test_shards_are_balanced_complete_and_independent_of_order(count, size, rng):
    lines = lines_of([1] * count)
    plans = []
    for _ in range(2):
        plans.append([rows.column("id").to_pylist() for rows in shards_of(lines, samples_per_shard=size)])
        rng.shuffle(lines)
    assert plans[0] == plans[1]
    sizes = [len(shard) for shard in plans[0]]
    assert sum(sizes) == count
    assert not sizes or max(sizes) - min(sizes) <= 1
    assert all(1 <= n <= size for n in sizes)
    assert len({key for shard in plans[0] for key in shard}) == count


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 50), max_size=60), st.integers(1, 120), st.integers(1, 30), st.integers(1, 5))
def test_no_shard_is_heavier_than_asked_for_or_than_one_row(sizes, most, samples, multiple):
    shards = shards_of(lines_of(sizes), samples_per_shard=samples, max_shard_bytes=most, shards_multiple_of=multiple)
    weights = [sum(rows.column("bytes").to_pylist()) for rows in shards]
    counts = [len(rows) for rows in shards]
    assert sum(counts) == len(sizes)
    assert all(weight <= max(most, *sizes) for weight in weights)
    assert not counts or (max(counts) <= samples and max(counts) - min(counts) <= 1)
    assert len(shards) % multiple == 0 or len(shards) == len(sizes)


def test_no_more_shards_than_the_limits_ask_for():
    assert len(shards_of(lines_of([10] * 100), samples_per_shard=50, max_shard_bytes=1_000)) == 2
    assert len(shards_of(lines_of([10] * 100), samples_per_shard=50, max_shard_bytes=100)) == 10
    assert len(shards_of(lines_of([10] * 100), samples_per_shard=50, shards_multiple_of=3)) == 3


def test_an_id_kept_twice_is_refused():
    with pytest.raises(StageError, match="kept twice"):
        shards_of(lines_of([1]) * 2, samples_per_shard=2)

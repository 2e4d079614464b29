from __future__ import annotations

from typing import Any

import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth.select_images import COLUMNS, select_images

SCHEMA = pa.schema(
    [("id", pa.string()), ("source", pa.string()), ("category", pa.string()), ("pixel_sha256", pa.list_(pa.string()))]
)
Row = tuple[str, str, str, tuple[str, ...]]


def table(rows: list[Row]) -> pa.Table:
    return pa.Table.from_pylist([dict(zip(COLUMNS, row, strict=True)) for row in rows], schema=SCHEMA)


rows = st.lists(
    st.tuples(
        st.uuids().map(lambda u: u.hex),
        st.sampled_from(["s", "t"]),
        st.sampled_from(["general", "caption", "synthetic"]),
        st.lists(st.sampled_from("abcdefgh"), max_size=2).map(tuple),
    ),
    max_size=30,
    unique_by=lambda row: row[0],
)


@given(rows=rows, shuffle=st.randoms(use_true_random=False), images=st.integers(1, 6))
def test_the_order_of_rows_does_not_matter(kit: Any, rows: list[Row], shuffle: Any, images: int) -> None:
    params = kit.with_params(images=images)
    other = list(rows)
    shuffle.shuffle(other)
    assert select_images(table(rows), params, 3) == select_images(table(other), params, 3)


@given(one=rows, two=rows, images=st.integers(1, 6))
def test_parts_can_be_drawn_one_by_one(kit: Any, one: list[Row], two: list[Row], images: int) -> None:
    params = kit.with_params(images=images)
    reduced = pa.concat_tables([select_images(table(one), params, 3), select_images(table(two), params, 3)])
    assert select_images(reduced, params, 3) == select_images(table(one + two), params, 3)


@given(rows=rows, images=st.integers(1, 6))
def test_each_picture_once_by_a_row_with_one_image(kit: Any, rows: list[Row], images: int) -> None:
    drawn = select_images(table(rows), kit.with_params(images=images), 3)
    assert drawn.schema == SCHEMA
    pictures = [digests[0] for digests in drawn["pixel_sha256"].to_pylist()]
    eligible = {row[3][0] for row in rows if len(row[3]) == 1 and row[2] != "synthetic"}
    assert len(set(pictures)) == len(pictures) == min(images, len(eligible))
    for row in drawn.to_pylist():
        same = [other[0] for other in rows if other[3] == (row["pixel_sha256"][0],) and other[2] != "synthetic"]
        assert row["id"] == min(same)


def test_a_smaller_sample_is_the_head_of_a_larger_one(kit: Any) -> None:
    source = table([(f"{k:032x}", "s", "general", (f"p{k}",)) for k in range(100)])
    large = select_images(source, kit.with_params(images=40), 3)
    assert select_images(source, kit.with_params(images=10), 3) == large.slice(0, 10)
    assert large["id"] != select_images(source, kit.with_params(images=40), 4)["id"]


def test_the_recipe_restricts_categories_and_sources(kit: Any) -> None:
    source = table(
        [
            ("1", "s", "general", ("a",)),
            ("2", "t", "general", ("b",)),
            ("3", "s", "caption", ("c",)),
            ("4", "s", "synthetic", ("d",)),
        ]
    )
    assert sorted(select_images(source, kit.params, 0)["id"].to_pylist()) == ["1", "2", "3"]
    only = kit.with_params(categories=("general",), sources=("s",))
    assert select_images(source, only, 0)["id"].to_pylist() == ["1"]
    assert select_images(source, kit.with_params(sources=("none",)), 0).num_rows == 0


def test_rows_may_come_in_several_chunks(kit: Any) -> None:
    parts = [table([(str(k), "s", "general", (str(k), str(k))[: 1 + k % 2])]) for k in range(6)]
    assert sorted(select_images(pa.concat_tables(parts), kit.params, 0)["id"].to_pylist()) == ["0", "2", "4"]

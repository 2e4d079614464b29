"""Rows of one picture put together, rows of many questions taken apart: nothing lost, nothing dependent on the cuts."""

import json
from collections import Counter
from dataclasses import replace

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.sources.families import grouped
from infinity_mm.sources.families.grouped import GroupedByImage, QuestionsApart
from infinity_mm.sources.families.rowfiles import RowFiles

BY_IMAGE = GroupedByImage(RowFiles(), ("image", "other"))
APART = QuestionsApart(RowFiles(), ("questions", "answers"))


def read(reader, folder, size=1000, patterns=("*.jsonl",)):
    """Return (plan, raw rows) of a folder, cut into splits of `size` rows."""
    root = Location.of(folder)
    plan = reader.plan(root, patterns, Location.of(folder / f".prepared-{size}"), size)
    found = []
    for split in plan.splits:
        raws = list(reader.read(root, split))
        assert len(raws) == split.rows
        assert split.inputs(split.rows) == sum(len(raw.members) or 1 for raw in raws)
        found += raws
    return plan, found


def write(folder, rows, name="a.jsonl"):
    lines = [row if isinstance(row, str) else json.dumps(row) for row in rows]
    (folder / name).write_text("\n".join(lines), encoding="utf-8")


def test_groups_stand_where_their_first_row_stands_and_keep_its_order(tmp_path):
    rows = [{"image": "b", "q": 1}, {"image": "a", "q": 2}, "{broken", {"q": 3}, {"image": "b", "q": 4}, {"other": 7}]
    write(tmp_path, rows)
    for size in (1, 2, 1000):
        _, found = read(BY_IMAGE, tmp_path, size)
        assert [(raw.locator, [member.locator for member in raw.members]) for raw in found] == [
            ("line=3", []),
            ("image=", ["line=4"]),
            ("image=b", ["line=1", "line=5"]),
            ("image=a", ["line=2"]),
            ("image=7", ["line=6"]),
        ]
        assert found[0].error.reason == "malformed_json"
        assert [member.row["q"] for member in found[2].members] == [1, 4]


def test_a_member_is_the_raw_row_that_the_base_reads(tmp_path):
    write(tmp_path, [*({"image": n % 2, "q": n // 4} for n in range(8)), "{broken", "{broken", "[1]"])
    _, alone = read(RowFiles(), tmp_path)
    _, together = read(BY_IMAGE, tmp_path, 3)
    known = {raw.locator: raw for raw in alone}
    members = [member for raw in together for member in raw.members or (raw,)]
    assert sorted(member.locator for member in members) == sorted(known)
    assert {member.locator: replace(member, snippet="") for member in members} == {
        locator: replace(raw, snippet="") for locator, raw in known.items()
    }
    assert [raw.snippet for raw in together if raw.row is None] == ["{broken", "{broken", "[1]"]


ROWS = st.lists(
    st.fixed_dictionaries(
        {"q": st.integers(0, 3)},
        optional={"image": st.sampled_from(["a", "b", 1, "1", "", None, True, {"bytes": "x"}]), "__rows__": st.none()},
    ),
    max_size=12,
)


@settings(max_examples=60, deadline=None)
@given(rows=ROWS, size=st.integers(1, 5), held=st.sampled_from([40, 1 << 20]))
def test_every_row_is_in_one_group_however_much_is_held_at_once(tmp_path_factory, rows, size, held):
    folder = tmp_path_factory.mktemp("grouped")
    write(folder, rows)
    before, grouped._HELD = grouped._HELD, held
    try:
        _, found = read(BY_IMAGE, folder, size)
    finally:
        grouped._HELD = before
    members = [member for raw in found for member in raw.members]
    assert Counter(member.locator for member in members) == Counter(f"line={n + 1}" for n in range(len(rows)))
    names = [raw.locator for raw in found if raw.locator != "image="]
    assert len(set(names)) == len(names), "a picture has one group"
    assert all(rows[int(member.locator[5:]) - 1] == member.row for member in members)


def test_groups_do_not_reach_over_files_and_what_the_base_prepared_is_gone(tmp_path):
    for name in ("a.json", "b.json"):
        (tmp_path / name).write_text(json.dumps([{"image": "x", "n": name}, {"image": "x", "n": 2}]))
    plan, found = read(BY_IMAGE, tmp_path, 1000, ("*.json",))
    assert [(raw.locator, len(raw.members)) for raw in found] == [("image=x", 2), ("image=x", 2)]
    assert [split.members for split in plan.splits] == [(2,), (2,)]
    left = [path.name for path in (tmp_path / ".prepared-1000").iterdir()]
    assert sorted(left) == sorted(Location(split.prepared).name for split in plan.splits)


@pytest.mark.parametrize("reader", [BY_IMAGE, APART])
def test_embedded_pictures_cannot_be_regrouped_and_the_message_says_what_to_do(tmp_path, reader):
    table = pa.table({"image": [{"bytes": b"\xff\xd8"}], "questions": [["q"]], "answers": [["a"]]})
    pq.write_table(table, tmp_path / "a.parquet")
    with pytest.raises(SourceError, match=r"a\.parquet row=0: .*leave the option group_by_image as it is"):
        read(reader, tmp_path, 1000, ("*.parquet",))


def test_a_file_without_rows_has_no_split(tmp_path):
    write(tmp_path, [])
    assert read(BY_IMAGE, tmp_path)[0].splits == ()


def test_parallel_lists_become_rows_of_one_question(tmp_path):
    rows = [
        {"id": 1, "questions": ["q0", "q1"], "answers": ["a0", "a1"]},
        {"id": 2, "questions": ["q"], "answers": []},
        {"id": 3, "questions": [], "answers": []},
        "{broken",
        {"id": 4},
    ]
    write(tmp_path, rows)
    plan, found = read(APART, tmp_path, 2)
    assert [(raw.locator, raw.row and (raw.row.get("questions"), raw.row.get("answers"))) for raw in found] == [
        ("line=1,question=0", (["q0"], ["a0"])),
        ("line=1,question=1", (["q1"], ["a1"])),
        ("line=2", (["q"], [])),
        ("line=3", ([], [])),
        ("line=4", None),
        ("line=5", (None, None)),
    ]
    assert [split.members for split in plan.splits] == [()] * 3

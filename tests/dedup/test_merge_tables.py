"""Decisions over tables: the same for any order of rows, and range by range."""

import hashlib

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.dedup.merge import MERGED, Limits
from infinity_mm.dedup.merge_tables import ADDITIONS, VERDICTS, decide_range, facts_of
from infinity_mm.errors import StageError
from infinity_mm.pipeline.spoken import MESSAGES

LIMITS = Limits(turns=8, chars=400)
QUESTIONS = st.lists(st.sampled_from(["What?", "Who?", "Where is it?", "When?"]), min_size=1, max_size=3)
#: Per cluster, the questions of its rows, the kept one first.
CLUSTERS = st.lists(st.lists(QUESTIONS, min_size=1, max_size=5), min_size=1, max_size=6)


def digest(*names: object) -> bytes:
    return hashlib.sha256(repr(names).encode()).digest()[:16]


def facts(clusters: list[list[list[str]]]) -> pa.Table:
    rows = [
        (number, place, questions) for number, members in enumerate(clusters) for place, questions in enumerate(members)
    ]
    talks = []
    for number, place, questions in rows:
        turns = [("user", f"<image>\n{questions[0]}"), ("assistant", f"{number}")]
        turns += [turn for text in questions[1:] for turn in (("user", text), ("assistant", f"{place % 2}"))]
        talks.append([{"role": role, "content": text} for role, text in turns])
    count = len(rows)
    beside = {
        "cluster": pa.array([digest(number, 0) for number, _, _ in rows], pa.binary(16)),
        "id": pa.array([digest(number, place) for number, place, _ in rows], pa.binary(16)),
        "part": pa.array([place % 3 for _, place, _ in rows], pa.int32()),
        "row": pa.array(range(count), pa.int32()),
        "records": ["records"] * count,
        "text": pa.nulls(count, pa.string()),
        "priority": pa.array([place % 2 for _, place, _ in rows], pa.int32()),
        "pixels": pa.array([100] * count, pa.int64()),
        "answer_chars": pa.array([len(questions) for _, _, questions in rows], pa.int32()),
        "license": ["MIT"] * count,
        "language": ["en"] * count,
        "detail": pa.array([f"hamming={place}" if place else None for _, place, _ in rows], pa.string()),
    }
    return facts_of(
        pa.table({"messages": pa.array(talks, MESSAGES), "category": ["general"] * count}), pa.table(beside)
    )


@given(CLUSTERS, st.randoms())
def test_any_order_of_rows_and_any_ranges_give_the_same(clusters, random):
    table = facts(clusters)
    verdicts, additions = decide_range(table, LIMITS)
    assert verdicts.schema == VERDICTS
    assert additions.schema == ADDITIONS
    assert len(verdicts) == sum(len(members) - 1 for members in clusters)
    assert pc.sum(pc.equal(verdicts.column("reason"), MERGED), min_count=0).as_py() == len(additions)
    order = list(range(len(table)))
    random.shuffle(order)
    assert decide_range(table.take(pa.array(order, pa.int64())), LIMITS) == (verdicts, additions)
    edge = random.randrange(1 << 16)
    low, high = (
        decide_range(table.filter(mask), LIMITS)
        for mask in (pc.less(table.column("prefix"), edge), pc.greater_equal(table.column("prefix"), edge))
    )
    for whole, halves in zip((verdicts, additions), zip(low, high, strict=True), strict=True):
        rows = [row for half in halves for row in half.to_pylist()]
        assert sorted(rows, key=lambda row: (row["part"], row["row"], row.get("place", 0))) == whole.to_pylist()


def test_rows_without_the_row_that_was_kept_for_them_are_a_fault():
    table = facts([[["What?"], ["Who?"]]])
    with pytest.raises(StageError, match=r"0 rows .* were kept, to which 1 rows lost"):
        decide_range(table.filter(pc.not_equal(table.column("cluster"), table.column("id"))), LIMITS)

"""The rails stop what looks like a mistake and say where to look."""

import pyarrow as pa
import pytest

from infinity_mm.dedup.params import DedupParams
from infinity_mm.dedup.resolve import check_rails, find_duplicates
from infinity_mm.errors import StageError

from .rows import Line, Pic, table_of


def equal_rows(count: int, priority: int = 1) -> pa.Table:
    table = table_of(Line("", pictures=[Pic("p")], priority=priority)).take([0] * count)
    return table.set_column(0, table.schema.field("id"), pa.array([f"{priority}-{n:05d}" for n in range(count)]))


def test_a_large_cluster_stops_the_run_and_shows_five_members():
    rows = equal_rows(1_002)
    found = find_duplicates(rows, DedupParams())
    expected = r"1001 rows would be removed for 1-00000, .*max_cluster=1000.*\n(  1-\d{5}  exact_pair.*\n){5}Look"
    with pytest.raises(StageError, match=expected):
        check_rails(rows, found, DedupParams())
    check_rails(rows, found, DedupParams(max_cluster=1_001, max_drop=1.0))


def test_a_source_that_would_vanish_stops_the_run():
    rows = pa.concat_tables([equal_rows(1), equal_rows(5, priority=2)])
    found = find_duplicates(rows, DedupParams())
    expected = r"source 's2' would lose 5 of 5 rows.*dedup\.max_drop=0\.9.*\n(  2-\d{5}  exact_pair.*\n){5}Mend"
    with pytest.raises(StageError, match=expected):
        check_rails(rows, found, DedupParams())
    check_rails(rows, found, DedupParams(max_drop=1.0))


def test_nothing_removed_passes():
    rows = table_of(Line("a"), Line("b", "Other?"))
    check_rails(rows, find_duplicates(rows, DedupParams()), DedupParams(max_drop=0.0))

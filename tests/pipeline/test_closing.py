from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import StageError
from infinity_mm.fs import Location
from infinity_mm.ledger import LedgerRow
from infinity_mm.pipeline import closing
from infinity_mm.pipeline.closing import AuditTask, Examples, audit_range, merge_examples
from infinity_mm.store import Store
from tests.test_ledger import dropped, table

ROWS = [LedgerRow(id=f"{n:032x}", source="s", source_ref=f"f#{n}", outcome="kept") for n in range(40)]


@given(st.permutations(ROWS), st.integers(0, 40))
def test_examples_do_not_depend_on_order_or_parts(rows, cut):
    whole = merge_examples(7, [Examples(kept=tuple(ROWS))])
    halves = [Examples(kept=tuple(rows[:cut])), Examples(kept=tuple(rows[cut:]))]
    first = [merge_examples(7, [half]) for half in halves]
    assert merge_examples(7, first) == merge_examples(7, first[::-1]) == whole
    assert len(whole.kept) == closing.KEPT_EXAMPLES


def audit(folder: Path, low: int, high: int, *tables) -> None:
    store = Store(Location.of(str(folder)))
    paths = []
    for number, ledger in enumerate(tables):
        paths.append(f"state/identities/s/part-{number}.parquet")
        store.write(paths[-1], closing.identities(ledger), group_rows=2)
    audit_range(AuditTask(store.work.uri, tuple(paths), low, high, f"state/audit/{low}.json"))


def test_an_id_in_two_parts_is_found_by_its_range_alone(tmp_path):
    twice = {"id": "80" + "0" * 30}
    parts = table({"id": "00" * 16}, twice), table({"id": "ff" * 16}, twice)
    audit(tmp_path, 0, 0x7FFF, *parts)
    with pytest.raises(StageError, match="80000000000000000000000000000000 twice"):
        audit(tmp_path, 0x8000, 0xFFFF, *parts)


def test_a_winner_of_another_part_must_have_lost_to_none(tmp_path):
    first, second = {"id": "00" * 16}, {"id": "80" * 16}
    audit(tmp_path, 0, 0xFFFF, table(first), table({**dropped("near_pair", winner="00" * 16), **second}))
    chain = (
        table({**dropped("near_pair", winner="80" * 16), **first}),
        table({**dropped("near_pair", winner="00" * 16), **second}),
    )
    with pytest.raises(StageError, match="lost to another row itself"):
        audit(tmp_path, 0, 0x7FFF, *chain)

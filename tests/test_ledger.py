import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.errors import StageError
from infinity_mm.ledger import (
    JOINED_ELSEWHERE,
    LEDGER,
    add_books,
    check_counts,
    check_identities,
    check_outcomes,
    draw_books,
    identities,
)

KEPT = {"outcome": "kept", "stage": None, "reason": None, "detail": None, "winner": None}


def table(*rows: dict[str, object]) -> pa.Table:
    full = [
        {"id": f"{n:032x}", "source": "s", "source_ref": f"f#item={n}", **KEPT, **row} for n, row in enumerate(rows)
    ]
    return pa.Table.from_pylist(full, schema=LEDGER)


def dropped(reason: str, **more: object) -> dict[str, object]:
    return {"outcome": "dropped", "stage": "x", "reason": reason, **more}


def test_books_count_every_row_once():
    lost = {"outcome": "quarantined", "stage": "ingest", "reason": "missing_image"}
    books = draw_books(table({}, dropped("too_small"), dropped("too_small"), lost, {"source": "t"}))
    assert (books["s"].rows, books["s"].kept, books["t"].rows) == (4, 1, 1)
    assert books["s"].dropped == {"x.too_small": 2}
    assert books["s"].quarantined == {"ingest.missing_image": 1}


def test_the_books_of_two_halves_are_the_books_of_the_whole():
    lost = {"outcome": "quarantined", "stage": "ingest", "reason": "missing_image"}
    rows = [{}, dropped("too_small"), lost, dropped("too_small"), dropped("too_large"), {}]
    halves = [draw_books(table(*rows[:3]))["s"], draw_books(table(*rows[3:]))["s"]]
    assert add_books(*halves) == add_books(*halves[::-1]) == draw_books(table(*rows))["s"]


def check(ledger: pa.Table) -> None:
    check_outcomes(ledger)
    check_identities(identities(ledger))


def test_a_ledger_in_order_passes():
    check(table({}, dropped("near_pair", winner=f"{0:032x}"), dropped("near_pair", winner=f"{0:032x}")))
    check(table())


@pytest.mark.parametrize("expected", [{"s": 3}, {"s": 1}, {"s": 2, "t": 1}, {}])
def test_a_vanished_or_invented_row_fails(expected):
    check_counts({"s": 2}, {"s": 2})
    with pytest.raises(StageError, match="do not balance"):
        check_counts({"s": 2}, expected)


def test_an_id_twice_fails():
    with pytest.raises(StageError, match="a" * 32 + " twice"):
        check(table({"id": "a" * 32}, {"id": "a" * 32}))


@pytest.mark.parametrize("row", [{"outcome": "lost"}, {"outcome": "dropped"}, {"reason": "x"}])
def test_an_impossible_outcome_fails(row):
    with pytest.raises(StageError, match="must be kept without a reason"):
        check(table(row))


def test_a_winner_that_lost_itself_fails():
    chain = table({}, dropped("near_pair", winner=f"{2:032x}"), dropped("near_pair", winner=f"{0:032x}"))
    with pytest.raises(StageError, match=f"{2:032x}"):
        check(chain)


def test_a_winner_that_is_not_there_fails():
    with pytest.raises(StageError, match="absent"):
        check(table(dropped("near_pair", winner="f" * 32)))


@given(st.lists(st.binary(min_size=16, max_size=16), unique=True, max_size=20))
def test_identities_are_sorted_and_complete(raw):
    rows = [{"id": one.hex()} for one in raw]
    made = identities(table(*rows))
    assert sorted(made.column("id").to_pylist()) == sorted(raw)
    prefixes = made.column("prefix").to_pylist()
    assert prefixes == sorted(int.from_bytes(one[:2], "big") for one in raw)


def joined(winner: int) -> dict[str, object]:
    return dropped(JOINED_ELSEWHERE, stage="ingest", winner=f"{winner:032x}")


def test_a_joined_row_stays_with_its_conversation_when_that_is_a_duplicate():
    check(table({}, dropped("exact_pair", winner=f"{0:032x}"), joined(1), joined(0)))


def test_a_joined_row_must_name_a_record_and_holds_none_itself():
    with pytest.raises(StageError, match="absent"):
        check(table(joined(7)))
    with pytest.raises(StageError, match=f"{1:032x}"):
        check(table({}, joined(0), joined(1)))
    with pytest.raises(StageError, match=f"{1:032x}"):
        check(table({}, joined(0), dropped("near_pair", winner=f"{1:032x}")))

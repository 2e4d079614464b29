import pyarrow as pa
import pytest

from infinity_mm.errors import StageError
from infinity_mm.ledger import JOINED_ELSEWHERE, LEDGER, balance, draw_books

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


def test_balanced_books_pass():
    balance(table({}, dropped("near_pair", winner=f"{0:032x}")), {"s": 2})


@pytest.mark.parametrize("expected", [{"s": 3}, {"s": 1}, {"s": 2, "t": 1}, {}])
def test_a_vanished_or_invented_row_fails(expected):
    with pytest.raises(StageError, match="do not balance"):
        balance(table({}, {}), expected)


def test_an_id_twice_fails():
    with pytest.raises(StageError, match="twice"):
        balance(table({"id": "a" * 32}, {"id": "a" * 32}), {"s": 2})


@pytest.mark.parametrize("row", [{"outcome": "lost"}, {"outcome": "dropped"}, {"reason": "x"}])
def test_an_impossible_outcome_fails(row):
    with pytest.raises(StageError, match="must be kept without a reason"):
        balance(table(row), {"s": 1})


def test_a_winner_that_lost_itself_fails():
    chain = table({}, dropped("near_pair", winner=f"{2:032x}"), dropped("near_pair", winner=f"{0:032x}"))
    with pytest.raises(StageError, match=f"{2:032x}"):
        balance(chain, {"s": 3})


def test_a_winner_that_is_not_there_fails():
    with pytest.raises(StageError, match="absent"):
        balance(table(dropped("near_pair", winner="f" * 32)), {"s": 1})


def joined(winner: int) -> dict[str, object]:
    return dropped(JOINED_ELSEWHERE, stage="ingest", winner=f"{winner:032x}")


def test_a_joined_row_stays_with_its_conversation_when_that_is_a_duplicate():
    balance(table({}, dropped("exact_pair", winner=f"{0:032x}"), joined(1), joined(0)), {"s": 4})


def test_a_joined_row_must_name_a_record_and_holds_none_itself():
    with pytest.raises(StageError, match="absent"):
        balance(table(joined(7)), {"s": 1})
    with pytest.raises(StageError, match=f"{1:032x}"):
        balance(table({}, joined(0), joined(1)), {"s": 3})
    with pytest.raises(StageError, match=f"{1:032x}"):
        balance(table({}, joined(0), dropped("near_pair", winner=f"{1:032x}")), {"s": 3})

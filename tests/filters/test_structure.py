"""Structure: what is no conversation, and where it breaks."""

from __future__ import annotations

import pytest

from infinity_mm.filters import structure
from tests.filters.rows import ASK, LOOK, SAY, reasons, record, table, verdicts


@pytest.mark.parametrize(
    ("turns", "detail"),
    [
        ((SAY, ASK), "turn=0"),
        ((ASK, SAY, SAY), "turn=2"),
        ((("system", "s"), SAY), "turn=1"),
        ((ASK, ("system", "s"), SAY), "turn=1"),
        ((("system", "s"), ("system", "s"), ASK, SAY), "turn=1"),
    ],
)
def test_the_first_misplaced_turn_is_named(turns: tuple[tuple[str, str], ...], detail: str) -> None:
    [verdict] = verdicts(structure, table(record(*turns)))  # type: ignore[arg-type]
    assert verdict is not None
    assert (verdict.reason, verdict.detail) == ("roles_not_alternating", detail)


def test_a_system_turn_alone_is_no_conversation() -> None:
    assert reasons(structure, table(record(("system", "Be brief.")))) == ["no_turns"]


def test_an_empty_system_turn_is_an_empty_turn() -> None:
    assert reasons(structure, table(record(("system", ""), ASK, SAY))) == ["empty_turn"]


def test_a_bare_placeholder_is_a_question() -> None:
    assert reasons(structure, table(record(("user", "<image>\n"), SAY, images=1))) == [None]


@pytest.mark.parametrize(("images", "reason"), [(0, "placeholder_mismatch"), (1, None), (2, "placeholder_mismatch")])
def test_placeholders_equal_images(images: int, reason: str | None) -> None:
    assert reasons(structure, table(record(LOOK, SAY, images=images))) == [reason]


def test_an_interleaved_document_is_judged_by_its_placeholders_alone() -> None:
    document = record(("user", "Text <image> more <image> text"), images=2, category="interleaved")
    assert reasons(structure, table(document)) == [None]
    assert reasons(structure, table(document), structure.Params(free_form=())) == ["ends_without_answer"]
    short = record(("user", "Text <image> text"), images=2, category="interleaved")
    assert reasons(structure, table(short)) == ["placeholder_mismatch"]


def test_measured_values() -> None:
    given = table(record(("system", "s"), LOOK, ("assistant", ""), images=1))
    [row] = structure.measure(given, structure.Params()).to_pylist()
    del row["id"]
    assert row == {
        "category": "general",
        "n_turns": 2,
        "n_images": 1,
        "n_placeholders": 1,
        "misplaced_turn": None,
        "empty_turn": 2,
        "last_role": "assistant",
    }

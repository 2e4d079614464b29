"""Screening: the first filter in order decides, and broken contracts stop the run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pytest

from infinity_mm.errors import StageError
from infinity_mm.filters import image, structure, text
from infinity_mm.filters.base import FilterParams, Verdict
from infinity_mm.filters.screen import SCREEN, screen
from tests.filters.rows import ASK, LOOK, SAY, ingested, picture, record, table

IDS = pa.table({"id": ["a", "b", "c"]})
INGESTED = IDS.append_column("category", [["general"] * 3])


@dataclass(frozen=True)
class Scripted:
    """A filter that gives the verdicts it was made with."""

    NAME: str
    answers: Sequence[Verdict | None]
    FROM: tuple[str, ...] = ("ingest",)
    REASONS: tuple[str, ...] = ("bad", "worse")
    VERSION: int = 1
    READS: tuple[str, ...] = ()
    ATTRIBUTES: pa.Schema = field(default_factory=lambda: pa.schema([]))
    Params: type[FilterParams] = FilterParams

    def measure(self, records: pa.Table, params: FilterParams) -> pa.Table:
        return records.select(["id"])

    def judge(self, attributes: pa.Table, params: FilterParams) -> Sequence[Verdict | None]:
        return self.answers


def test_the_first_filter_in_order_wins() -> None:
    one = Scripted("one", [None, Verdict("bad", "x=1"), None])
    two = Scripted("two", [None, Verdict("worse", "x=2"), Verdict("worse", "y=3", outcome="quarantined")])
    found = screen({"ingest": INGESTED}, [(one, FilterParams()), (two, FilterParams())])
    assert found.schema == SCREEN
    assert found.to_pylist() == [
        {"id": "a", "outcome": None, "stage": None, "reason": None, "detail": None},
        {"id": "b", "outcome": "dropped", "stage": "one", "reason": "bad", "detail": "x=1"},
        {"id": "c", "outcome": "quarantined", "stage": "two", "reason": "worse", "detail": "y=3"},
    ]


def test_real_filters_over_real_attributes() -> None:
    records = table(record(LOOK, SAY, images=1), record(LOOK, images=1), record(ASK, SAY))
    measured = structure.measure(records, structure.Params())
    pictures = ingested([picture(height=9)], [picture(height=9)], [])
    pictures = pictures.set_column(0, pictures.schema.field("id"), records.column("id"))
    attributes = {"ingest": pictures, "structure": measured}
    found = screen(attributes, [(structure, structure.Params()), (image, image.Params())])
    assert found.column("reason").to_pylist() == ["side_too_small", "ends_without_answer", None]
    assert found.column("stage").to_pylist() == ["image", "structure", None]


def test_no_filters_and_no_rows() -> None:
    assert screen({"ingest": INGESTED}, []).column("outcome").null_count == 3
    empty = screen({"ingest": ingested()}, [(image, image.Params())])
    assert (empty.schema, empty.num_rows) == (SCREEN, 0)


def test_a_filter_sees_the_columns_of_all_its_stages() -> None:
    seen: list[list[str]] = []

    class Looking(Scripted):
        def judge(self, attributes: pa.Table, params: FilterParams) -> Sequence[Verdict | None]:
            seen.append(attributes.column_names)
            return self.answers

    two = {"ingest": INGESTED.append_column("x", [[1, 2, 3]]), "text": IDS.append_column("y", [[1, 2, 3]])}
    screen(two, [(Looking("both", [None] * 3, FROM=("ingest", "text")), FilterParams())])
    assert seen == [["id", "category", "x", "y"]]


@pytest.mark.parametrize(
    ("attributes", "given", "message"),
    [
        ({}, Scripted("one", []), "at least one stage"),
        ({"ingest": INGESTED}, Scripted("one", [None] * 3, FROM=("text",)), "judges attributes of"),
        ({"ingest": INGESTED}, Scripted("one", [None] * 3, FROM=()), "names no stage"),
        ({"ingest": INGESTED}, Scripted("one", [None]), "1 verdicts for 3 rows"),
        ({"ingest": INGESTED}, Scripted("one", [Verdict("odd", "")] * 3), "declared are"),
        ({"ingest": INGESTED, "text": IDS.slice(1)}, Scripted("one", [None] * 3, FROM=("text",)), "are not those"),
        (
            {"ingest": INGESTED.append_column("x", [[1, 2, 3]]), "text": IDS.append_column("x", [[1, 2, 3]])},
            Scripted("one", [None] * 3, FROM=("ingest", "text")),
            "in several stages",
        ),
    ],
)
def test_broken_contracts_stop_the_run(attributes: dict[str, pa.Table], given: Scripted, message: str) -> None:
    with pytest.raises(StageError, match=message):
        screen(attributes, [(given, FilterParams())])


def test_of_a_picture_alone_only_filters_that_read_no_messages_are_asked() -> None:
    about_texts = Scripted("texts", [Verdict("bad", "no words")] * 3, READS=("id", "messages"))
    about_pictures = Scripted("pictures", [None, Verdict("worse", "too small"), Verdict("worse", "too small")])
    mixed = IDS.append_column("category", [["image_only", "image_only", "general"]])
    found = screen({"ingest": mixed}, [(about_texts, FilterParams()), (about_pictures, FilterParams())])
    assert found.column("stage").to_pylist() == [None, "pictures", "texts"]


def test_a_conversation_without_turns_is_no_picture_alone() -> None:
    records = table(record(images=1), record(images=1, category="image_only"))
    measured = {
        "structure": structure.measure(records, structure.Params()),
        "text": text.measure(records, text.Params()),
    }
    pictures = ingested([picture()], [picture()])
    for place, name in ((0, "id"), (1, "category")):
        pictures = pictures.set_column(place, pictures.schema.field(name), records.column(name))
    for module in (structure, text):
        found = screen({"ingest": pictures, **measured}, [(module, module.Params())])
        assert found.column("reason").to_pylist() == [{"structure": "no_turns", "text": "too_short"}[module.NAME], None]

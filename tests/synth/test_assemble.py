from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from infinity_mm.errors import StageError
from infinity_mm.record import record_id
from infinity_mm.synth.assemble import FORMAT_HINTS, attempt_id, source_ref, user_text
from infinity_mm.synth.rows import FORMATS, Parent

OPTIONS = ("blue", "red", "green", "white")


def test_ids_depend_on_parent_type_format_and_number_alone(kit: Any) -> None:
    row = kit.typed("brief", "Count people")
    assert attempt_id("p", 2, row) == record_id("synthetic", "p", "Count people/brief/2")
    ids = {attempt_id(p, n, t) for p in ("p", "q") for n in (0, 1) for t in (None, row, kit.typed("detailed"))}
    assert len(ids) == 12
    assert source_ref("p", 2) == "synthetic#p/2"


def test_the_user_sees_picture_question_options_and_hint(kit: Any) -> None:
    row = kit.generated("What colour is it?", "red", "multiple_choice", OPTIONS)
    shown = "<image>\nWhat colour is it?\nA. blue\nB. red\nC. green\nD. white"
    assert user_text(row, format_hint=False) == shown
    assert user_text(row, format_hint=True) == f"{shown}\n{FORMAT_HINTS['multiple_choice']}"
    assert set(FORMAT_HINTS) == set(FORMATS)
    assert user_text(kit.generated("What is it?", "a car"), format_hint=False) == "<image>\nWhat is it?"


def test_a_picture_stored_with_another_record_is_found_there(kit: Any) -> None:
    parent = kit.parent()
    assert parent.image_uri == f"record:{parent.id}#0"
    elsewhere = parent.image.model_copy(update={"uri": "record:0123#4"})
    assert replace(parent, image=elsewhere).image_uri == "record:0123#4"


def test_a_parent_has_exactly_one_picture(kit: Any) -> None:
    parent = kit.parent()
    row = {"id": parent.id, "source": "photos", "license": "CC0-1.0", "images": [parent.image.model_dump()]}
    assert Parent.of(row, parent.data) == parent
    with pytest.raises(StageError, match="has 2 images"):
        Parent.of(row | {"images": row["images"] * 2}, parent.data)

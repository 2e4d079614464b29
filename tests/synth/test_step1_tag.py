from __future__ import annotations

import json
from typing import Any

import pytest

from infinity_mm.synth.rows import Drop, Failed, Tag, Tagged
from infinity_mm.synth.step1_tag import REASONS, read, request
from infinity_mm.synth.structured import longest_bytes


def tags(*pairs: tuple[str, int]) -> str:
    return json.dumps({"tags": [{"tag": name, "confidence": confidence} for name, confidence in pairs]})


def test_the_request_shows_the_picture_and_bounds_the_answer(kit: Any) -> None:
    parent = kit.parent("a")
    made = request(parent, kit.params, 5)
    assert made.images == (parent.data,)
    assert made.json_schema is not None
    assert made.sampling.temperature == 0
    assert made.sampling.max_tokens > longest_bytes(made.json_schema)
    assert "$" not in made.system + made.prompt
    assert made == request(parent, kit.params, 5)
    assert made.seed != request(parent, kit.params, 6).seed
    assert made.system == request(kit.parent("b"), kit.params, 5).system


def test_tags_come_distinct_and_in_one_order(kit: Any) -> None:
    parent = kit.parent()
    one = read(parent, kit.reply(tags(("wall", 4), ("red  car", 3), ("door", 4), ("red car", 5))), kit.params, 0)
    assert one == Tagged(parent, (Tag("red car", 5), Tag("door", 4), Tag("wall", 4)))
    other = read(parent, kit.reply(tags(("red car", 5), ("door", 4), ("red car", 1), ("wall", 4))), kit.params, 0)
    assert one == other


def test_doubtful_tags_are_left_out(kit: Any) -> None:
    result = read(kit.parent(), kit.reply(tags(("cat", 2), ("dog", 3))), kit.params, 0)
    assert isinstance(result, Tagged)
    assert result.tags == (Tag("dog", 3),)


@pytest.mark.parametrize("answer", [tags(), tags(("cat", 2), ("dog", 1))])
def test_a_picture_without_tags_is_dropped(kit: Any, answer: str) -> None:
    result = read(kit.parent(), kit.reply(answer), kit.params, 0)
    assert isinstance(result, Drop)
    assert result.reason == "no_tags"
    assert result.reason in REASONS


@pytest.mark.parametrize(
    ("text", "error", "reason"),
    [
        (None, "undecodable_image", "undecodable_image"),
        (None, "truncated", "unparsable_reply"),
        ("no json", None, "unparsable_reply"),
        (tags(("Cat!", 5)), None, "unparsable_reply"),
        (tags(("cat", 6)), None, "unparsable_reply"),
    ],
)
def test_what_could_not_be_asked_is_no_drop(kit: Any, text: str | None, error: str | None, reason: str) -> None:
    result = read(kit.parent(), kit.reply(text, error), kit.params, 0)
    assert isinstance(result, Failed)
    assert result.reason == reason
    assert reason in REASONS

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from infinity_mm.synth.rows import FORMATS, Failed, Generated
from infinity_mm.synth.step3_generate import REASONS, read, request
from infinity_mm.synth.structured import longest_bytes

CHOICE = {"question": "What colour is the car?", "answer": "red", "distractors": ["blue", "green", "white"]}


@pytest.mark.parametrize("form", FORMATS)
def test_the_request_states_type_and_form(kit: Any, form: str) -> None:
    row = kit.typed(form, "Recognize color")
    made = request(row, kit.params, 1)
    assert "Recognize color (Fine-grained Perception (single-instance), Attribute Recognition)" in made.prompt
    assert "Ask what color one object is." in made.prompt
    assert "$" not in made.system + made.prompt
    assert made.json_schema is not None
    assert made.sampling.max_tokens > longest_bytes(made.json_schema)
    assert ("distractors" in made.json_schema["properties"]) == (form == "multiple_choice")
    assert made.sampling.temperature == kit.params.draws.generate.temperature
    assert made.system == request(kit.typed("brief", "Parse tables", "b"), kit.params, 1).system


def test_forms_ask_differently(kit: Any) -> None:
    assert len({request(kit.typed(form), kit.params, 1).prompt for form in FORMATS}) == len(FORMATS)


def test_question_and_answer_are_read(kit: Any) -> None:
    row = kit.typed("word_or_phrase")
    result = read(row, kit.reply('{"question": "What  is  red?", "answer": "the car"}'), kit.params, 1)
    assert result == Generated(row, "What is red?", "the car")
    assert result.letter is None


def test_the_right_option_falls_on_every_letter(kit: Any) -> None:
    letters: Counter[str | None] = Counter()
    for n in range(400):
        row = kit.typed("multiple_choice", n=n)
        result = read(row, kit.reply(json.dumps(CHOICE)), kit.params, 1)
        assert isinstance(result, Generated)
        assert sorted(result.options) == ["blue", "green", "red", "white"]
        assert result.options["ABCD".index(str(result.letter))] == "red"
        letters[result.letter] += 1
    assert set(letters) == set("ABCD")
    assert min(letters.values()) > 60


@pytest.mark.parametrize(
    ("form", "text", "error", "reason"),
    [
        ("brief", None, "engine_error", "model_call_failed"),
        ("brief", '{"question": "What is it?"}', None, "unparsable_reply"),
        ("word_or_phrase", json.dumps({"question": "What is it?", "answer": "x" * 61}), None, "unparsable_reply"),
        ("multiple_choice", json.dumps(CHOICE | {"distractors": ["blue", "green"]}), None, "unparsable_reply"),
        ("multiple_choice", json.dumps({"question": "What is it?", "answer": "a car"}), None, "unparsable_reply"),
    ],
)
def test_what_could_not_be_asked_is_no_drop(
    kit: Any, form: str, text: str | None, error: str | None, reason: str
) -> None:
    result = read(kit.typed(form), kit.reply(text, error), kit.params, 1)
    assert isinstance(result, Failed)
    assert result.reason == reason
    assert reason in REASONS


def test_unicode_is_a_choice_of_the_recipe(kit: Any) -> None:
    text = '{"question": "What does the sign say?", "answer": "Caf\\u00e9 \\"Zum B\\u00e4ren\\""}'
    assert isinstance(read(kit.typed(), kit.reply(text), kit.params, 1), Failed)
    result = read(kit.typed(), kit.reply(text), kit.with_params(charset="unicode"), 1)
    assert isinstance(result, Generated)
    assert result.answer == 'Café "Zum Bären"'

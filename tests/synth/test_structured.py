from __future__ import annotations

import json
import random
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infinity_mm.synth import step1_tag, step3_generate, step4_filter
from infinity_mm.synth.chat import Reply, Request
from infinity_mm.synth.params import SynthParams
from infinity_mm.synth.rows import FORMATS, Failed
from infinity_mm.synth.structured import (
    CALL_REASONS,
    array,
    fault,
    integer,
    longest_bytes,
    read_choice,
    read_json,
    read_reply,
    record,
    text,
    token_budget,
)

SCHEMA = record({"question": text(20, "unicode"), "tags": array(text(6, "tag"), 1, 3), "score": integer(1, 10)})
GOOD: dict[str, Any] = {"question": "Où?", "tags": ["car"], "score": 3}


def schemas(charset: str) -> list[dict[str, Any]]:
    params = SynthParams.model_validate({"images": 1, "charset": charset})
    generated = [step3_generate.schema(form, params) for form in FORMATS]
    return [step1_tag.schema(params), *generated, step4_filter.schema(params)]


def reply(value: str | None, error: str | None = None) -> Reply:
    return Reply(key="k", text=value, error=error)


def values(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    match schema["type"]:
        case "string":
            sizes = {"min_size": schema["minLength"], "max_size": schema["maxLength"]}
            any_text = st.text(st.characters(exclude_categories=("Cs", "Cc")), **sizes)
            printable = st.text(st.characters(min_codepoint=35, max_codepoint=91), **sizes)
            words = st.text("abcdefghij", **sizes)
            return st.one_of(any_text, printable, words).filter(lambda s: fault(s, schema) is None)
        case "integer":
            return st.integers(schema["minimum"], schema["maximum"])
        case "array":
            return st.lists(values(schema["items"]), min_size=schema["minItems"], max_size=schema["maxItems"])
        case _:
            return st.fixed_dictionaries({key: values(sub) for key, sub in schema["properties"].items()})


@given(values(SCHEMA))
def test_what_fits_is_read_back_and_stays_within_the_budget(value: Any) -> None:
    written = json.dumps(value, ensure_ascii=False)
    assert read_json(reply(written), SCHEMA) == value
    assert len(written.encode()) <= longest_bytes(SCHEMA) < token_budget(SCHEMA)


def test_longest_bytes_is_reached() -> None:
    widest = {"question": "\U0001f600" * 20, "tags": ["a" * 6] * 3, "score": 10}
    # Each item and each key is counted with a separator of two bytes; the last of each needs none.
    assert longest_bytes(SCHEMA) - len(json.dumps(widest, ensure_ascii=False).encode()) == 2 + 2


@given(st.text())
def test_no_reply_makes_the_reader_raise(written: str) -> None:
    result = read_json(reply(written), SCHEMA)
    assert isinstance(result, Failed)
    assert result.reason == "unparsable_reply"


@pytest.mark.parametrize(
    ("change", "part"),
    [
        ({"score": 11}, "reply.score is not within 1 to 10"),
        ({"score": 0}, "reply.score is not within 1 to 10"),
        ({"score": True}, "reply.score is no integer"),
        ({"score": 3.0}, "reply.score is no integer"),
        ({"score": None}, "reply.score is no integer"),
        ({"tags": []}, "reply.tags has 0 items, expected 1 to 3"),
        ({"tags": "car"}, "reply.tags is no array"),
        ({"tags": ["Car"]}, r"reply.tags\[0\] does not match"),
        ({"question": ""}, "reply.question has 0 characters"),
        ({"question": "x" * 21}, "reply.question has 21 characters"),
        ({"question": 5}, "reply.question is no string"),
        ({"question": "a\nb"}, "reply.question does not match"),
        ({"question": "a\n"}, "reply.question does not match"),
        ({"question": " a"}, "reply.question does not match"),
        ({"question": "a\x00b"}, "reply.question does not match"),
        ({"question": "a\ud800b"}, "reply.question holds a lone surrogate"),
        ({"more": 1}, "reply has the keys"),
    ],
)
def test_what_does_not_fit_is_named(change: dict[str, Any], part: str) -> None:
    result = read_json(reply(json.dumps(GOOD | change)), SCHEMA)
    assert isinstance(result, Failed)
    assert result.reason == "unparsable_reply"
    assert re.match(part, result.detail)


@pytest.mark.parametrize("written", ["", "{", "[" * 100_000, "null", "NaN", '{"question": "a\tb"}', "```json\n{}\n```"])
def test_text_that_is_no_such_json_is_unparsable(written: str) -> None:
    result = read_json(reply(written), SCHEMA)
    assert isinstance(result, Failed)
    assert result.reason == "unparsable_reply"
    assert len(result.detail) < 600


@pytest.mark.parametrize("error", ["engine_error", "timeout", None])
def test_a_failed_call_is_told_from_an_unusable_answer(error: str | None) -> None:
    for result in (read_json(reply(None, error), SCHEMA), read_choice(reply(None, error), ("a",))):
        assert isinstance(result, Failed)
        assert result.reason == "model_call_failed"
        assert result.detail == (error or "no reason given")


@pytest.mark.parametrize("error", ["undecodable_image", "image_too_large", "prompt_too_long", "engine_died"])
def test_a_request_at_fault_is_quarantined_under_its_own_reason(error: str) -> None:
    assert read_json(reply(None, error), SCHEMA) == Failed(error, error)
    assert read_json(reply(None, "refused"), SCHEMA) == Failed("request_refused", "refused")
    assert {error, "request_refused"} < set(CALL_REASONS)


@pytest.mark.parametrize("error", ["truncated", "invalid_output"])
def test_what_an_engine_found_unusable_is_unparsable(error: str) -> None:
    result = read_json(reply(None, error), SCHEMA)
    assert result == Failed("unparsable_reply", error)


def test_choices_are_exact_but_for_outer_blanks() -> None:
    choices = ("Identify time", "Identify time of day")
    assert read_choice(reply(" Identify time\n"), choices) == "Identify time"
    assert read_choice(reply("Identify time of day"), choices) == "Identify time of day"
    assert isinstance(read_choice(reply("identify time"), choices), Failed)
    assert token_budget(choices) > len("Identify time of day")


def test_read_reply_follows_the_constraint_of_the_request() -> None:
    free = Request(key="k", prompt="p")
    assert read_reply(free, reply("anything")) == "anything"
    assert isinstance(read_reply(free, reply(None, "timeout")), Failed)
    assert read_reply(Request(key="k", prompt="p", choices=("a",)), reply("a")) == "a"
    assert read_reply(Request(key="k", prompt="p", json_schema=integer(1, 3)), reply("2")) == 2


@pytest.mark.parametrize("charset", ["ascii", "unicode"])
def test_everything_a_model_may_write_is_bounded(charset: str) -> None:
    def bounded(schema: dict[str, Any]) -> bool:
        match schema["type"]:
            case "string":
                return {"minLength", "maxLength", "pattern"} <= set(schema)
            case "integer":
                return {"minimum", "maximum"} <= set(schema)
            case "array":
                return {"minItems", "maxItems"} <= set(schema) and bounded(schema["items"])
            case _:
                closed = schema["additionalProperties"] is False and schema["required"] == list(schema["properties"])
                return closed and all(bounded(sub) for sub in schema["properties"].values())

    assert all(bounded(schema) for schema in schemas(charset))


@pytest.mark.parametrize("charset", ["ascii", "unicode"])
def test_noise_under_a_real_grammar_is_read_within_the_budget(charset: str) -> None:
    """Random bytes under llguidance's grammar, with closing quotes made rare: the worst a weak model can write."""
    guidance = pytest.importorskip("llguidance")
    bitmask = pytest.importorskip("llguidance.numpy")
    tokenizer = guidance.LLTokenizer("byte")
    mask = bitmask.allocate_token_bitmask(1, tokenizer.vocab_size)
    rng = random.Random(7)
    for schema in schemas(charset):
        grammar = guidance.LLMatcher.grammar_from_json_schema(schema, defaults={"whitespace_flexible": False})
        matcher = guidance.LLMatcher(tokenizer, grammar)
        assert not matcher.get_error()
        written = bytearray()
        while not matcher.is_stopped():
            bitmask.fill_next_token_bitmask(matcher, mask)
            allowed = [t for t in range(tokenizer.vocab_size) if mask[0, t // 32] >> (t % 32) & 1]
            long = [t for t in allowed if t not in (tokenizer.eos_token, ord('"'), ord("]"))]
            token = rng.choice(long or allowed)
            matcher.consume_token(token)
            if token != tokenizer.eos_token:
                written.append(token)
        assert len(written) + 1 <= token_budget(schema)
        assert not isinstance(read_json(reply(written.decode()), schema), Failed)

"""Bounded JSON for model replies: schemas, their longest text, and a strict reading of what comes back.

A grammar with an unbounded string lets a weak model write until its tokens run out, and a string
without a pattern lets some grammar engines emit raw control characters, which is not JSON. So every
string here has a pattern and a length, every array a size, every integer its bounds; from these
follows the longest possible reply in bytes, which is also the most tokens that a byte-level tokenizer
can need for it. What comes back is parsed and checked all the same: an endpoint may ignore a schema.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, Literal

from infinity_mm.synth.chat import Reply, Request
from infinity_mm.synth.rows import Failed

#: "ascii": printable ASCII without the double quote and the backslash, one byte a character, the same
#: text in every grammar engine. "unicode": everything but control characters, up to four bytes.
Charset = Literal["ascii", "unicode"]

#: Error of a reply -> reason, where the request itself is at fault.
_AT_FAULT = {
    "undecodable_image": "undecodable_image",
    "image_too_large": "image_too_large",
    "image_too_narrow": "image_too_narrow",
    "prompt_too_long": "prompt_too_long",
    "refused": "request_refused",
    "engine_died": "engine_died",
}
#: Reasons of a call that gave no usable answer; the attempt is quarantined.
CALL_REASONS = ("model_call_failed", "unparsable_reply", *_AT_FAULT.values())
#: Engines check replies too; these errors of theirs mean that an answer came and was not usable.
_UNUSABLE = ("truncated", "invalid_output")

_PATTERNS: dict[str, str] = {
    "ascii": r"^[!#-\[\]-~]([ !#-\[\]-~]*[!#-\[\]-~])?$",
    "unicode": r"^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$",
    "tag": r"^[a-z0-9]([a-z0-9 '-]*[a-z0-9])?$",
}
#: Bytes of one character inside a JSON string, by pattern; six is one \uXXXX escape.
_CHARACTER_BYTES = {_PATTERNS["ascii"]: 1, _PATTERNS["unicode"]: 4, _PATTERNS["tag"]: 1}
_ESCAPE_BYTES = 6
#: Tokens beside the text: end of sequence, a leading space, a line end.
_SPARE_TOKENS = 16
#: Characters of a refused reply that a detail shows.
_SHOWN = 120


def text(max_chars: int, charset: Charset | Literal["tag"]) -> dict[str, Any]:
    """Return the schema of a string of 1 to `max_chars` characters without control characters or outer blanks."""
    return {"type": "string", "minLength": 1, "maxLength": max_chars, "pattern": _PATTERNS[charset]}


def integer(low: int, high: int) -> dict[str, Any]:
    """Return the schema of an integer in [low, high]."""
    return {"type": "integer", "minimum": low, "maximum": high}


def array(items: dict[str, Any], low: int, high: int) -> dict[str, Any]:
    """Return the schema of an array of low to high `items`."""
    return {"type": "array", "items": items, "minItems": low, "maxItems": high}


def record(properties: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Return the schema of an object with exactly these properties, in this order."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def longest_bytes(schema: dict[str, Any]) -> int:
    """Return the length in bytes of the longest text that fits, with ", " and ": " as separators."""
    match schema["type"]:
        case "string":
            return 2 + int(schema["maxLength"]) * _CHARACTER_BYTES.get(schema["pattern"], _ESCAPE_BYTES)
        case "integer":
            return max(len(str(schema["minimum"])), len(str(schema["maximum"])))
        case "array":
            return 2 + int(schema["maxItems"]) * (longest_bytes(schema["items"]) + 2)
        case "object":
            return 2 + sum(len(json.dumps(k)) + 4 + longest_bytes(v) for k, v in schema["properties"].items())
    raise ValueError(f"schema type {schema['type']!r} is not string, integer, array or object")


def token_budget(constraint: dict[str, Any] | Sequence[str]) -> int:
    """Return a `max_tokens` that no valid reply to a schema, or to a list of choices, can exceed.

    A token stands for at least one byte, so the longest reply in bytes bounds the tokens of any tokenizer.
    """
    if isinstance(constraint, dict):
        return longest_bytes(constraint) + _SPARE_TOKENS
    return max(len(choice.encode()) for choice in constraint) + _SPARE_TOKENS


def fault(value: object, schema: dict[str, Any], at: str = "reply") -> str | None:
    """Return None where the value fits the schema, else which part does not, and what it should be."""
    match schema["type"]:
        case "string":
            return _text_fault(value, schema, at)
        case "integer":
            if isinstance(value, bool) or not isinstance(value, int):
                return f"{at} is no integer"
            low, high = schema["minimum"], schema["maximum"]
            return None if low <= value <= high else f"{at} is not within {low} to {high}"
        case "array":
            if not isinstance(value, list):
                return f"{at} is no array"
            low, high = schema["minItems"], schema["maxItems"]
            if not low <= len(value) <= high:
                return f"{at} has {len(value)} items, expected {low} to {high}"
            parts = (fault(item, schema["items"], f"{at}[{k}]") for k, item in enumerate(value))
            return next((part for part in parts if part), None)
        case "object":
            if not isinstance(value, dict):
                return f"{at} is no object"
            if set(value) != set(schema["properties"]):
                return f"{at} has the keys {sorted(value)}, expected {sorted(schema['properties'])}"
            fields = schema["properties"].items()
            return next((part for key, sub in fields if (part := fault(value[key], sub, f"{at}.{key}"))), None)
    raise ValueError(f"schema type {schema['type']!r} is not string, integer, array or object")


def _text_fault(value: object, schema: dict[str, Any], at: str) -> str | None:
    if not isinstance(value, str):
        return f"{at} is no string"
    if not schema["minLength"] <= len(value) <= schema["maxLength"]:
        return f"{at} has {len(value)} characters, expected {schema['minLength']} to {schema['maxLength']}"
    # A lone surrogate is legal in a JSON escape but cannot be stored as UTF-8.
    if any("\ud800" <= c <= "\udfff" for c in value):
        return f"{at} holds a lone surrogate"
    # `$` would also match before a final line end.
    if re.fullmatch(schema["pattern"].removesuffix("$"), value) is None:
        return f"{at} does not match {schema['pattern']}"
    return None


def read_json(reply: Reply, schema: dict[str, Any]) -> Any | Failed:
    """Return the value of a reply that fits the schema, or `Failed`; never raises for what a model wrote."""
    if reply.text is None:
        return _call_failed(reply)
    try:
        value = json.loads(reply.text)
    except (ValueError, RecursionError) as error:
        return Failed("unparsable_reply", f"no JSON ({error}): {_shown(reply.text)}")
    wrong = fault(value, schema)
    return value if wrong is None else Failed("unparsable_reply", f"{wrong}: {_shown(reply.text)}")


def read_choice(reply: Reply, choices: Sequence[str]) -> str | Failed:
    """Return the choice that the reply is, outer white space aside, or `Failed`."""
    if reply.text is None:
        return _call_failed(reply)
    answer = reply.text.strip()
    if answer in choices:
        return answer
    return Failed("unparsable_reply", f"none of the {len(choices)} choices: {_shown(reply.text)}")


def read_reply(request: Request, reply: Reply) -> Any | Failed:
    """Return what the reply says under the request's own constraint, or `Failed`."""
    if request.json_schema is not None:
        return read_json(reply, request.json_schema)
    if request.choices is not None:
        return read_choice(reply, request.choices)
    return _call_failed(reply) if reply.text is None else reply.text


def _call_failed(reply: Reply) -> Failed:
    error = reply.error or ""
    reason = "unparsable_reply" if error in _UNUSABLE else _AT_FAULT.get(error, "model_call_failed")
    return Failed(reason, f"{reply.error or 'no reason given'}: {reply.detail}".rstrip(": "))


def _shown(reply: str) -> str:
    return repr(reply[:_SHOWN]) + ("..." if len(reply) > _SHOWN else "")

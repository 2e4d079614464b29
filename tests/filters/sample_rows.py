"""Conversations made from the real sample files: what the filters must let pass.

This reads only what the filters need, roles and texts, and is no substitute for the sources' own parsing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.filters.rows import record

SAMPLES = Path(__file__).parents[2].parent / "shared" / "samples"

_ROLES = {"human": "user", "gpt": "assistant", "user": "user", "assistant": "assistant", "system": "system"}
_CAPTION = "<image>\nPlease describe the image."
_SHORT = "Answer the question using a single word or phrase."


def sample_rows() -> dict[str, list[dict[str, Any]]]:
    """Return records per sample folder, those of 1,000 rows and more cut to 1,000."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path in sorted(SAMPLES.rglob("*")):
        rows = [record(*turns) for loaded in _load(path) for turns in _conversations(loaded)]
        if rows:
            found.setdefault(path.relative_to(SAMPLES).parts[0], []).extend(rows)
    return {name: rows[:1000] for name, rows in found.items()}


def _load(path: Path) -> list[Any]:
    if path.suffix == ".json":
        return [json.loads(path.read_text("utf-8"))]
    if path.suffix == ".jsonl":
        return [json.loads(line) for line in path.read_text("utf-8").splitlines() if line.strip()]
    if path.suffix == ".parquet":
        table = pq.read_table(path)
        return table.to_pylist() if "TEXT" in table.column_names else []
    return []


def _conversations(value: Any) -> Iterator[list[tuple[str, str]]]:
    """Yield the turns of every conversation, question and answer, or caption found at any depth."""
    if isinstance(value, list):
        for item in value:
            yield from _conversations(item)
    elif isinstance(value, dict):
        own = list(_of_mapping(value))
        yield from own
        for item in value.values() if not own else ():
            yield from _conversations(item)


def _of_mapping(value: dict[str, Any]) -> Iterator[list[tuple[str, str]]]:
    if "dialogs" in value:
        yield from _visdial(value)
        return
    for key in ("conversations", "messages", "chosen"):
        if isinstance(value.get(key), list):
            turns = [
                (t.get("from", t.get("role")), t.get("value", t.get("content", t.get("text")))) for t in value[key]
            ]
            yield [(_ROLES[role], text) for role, text in turns if isinstance(text, str)]
            return
    for key in ("caption", "captions", "caption_str", "TEXT"):
        texts = value.get(key)
        for text in texts if isinstance(texts, list) else [texts]:
            if isinstance(text, str):
                yield [("user", _CAPTION), ("assistant", text)]
    question = value.get("question", value.get("text"))
    if isinstance(question, str):
        for answer in _answers(value):
            yield [("user", f"<image>\n{question}\n{_SHORT}"), ("assistant", answer)]


def _answers(value: dict[str, Any]) -> list[str]:
    for key in ("answer", "gt_answers", "answers", "direct_answers"):
        given = value.get(key)
        given = given if isinstance(given, list) else [given]
        texts = [a["answer"] if isinstance(a, dict) and "answer" in a else a for a in given]
        if any(isinstance(text, str) for text in texts):
            return [text for text in texts if isinstance(text, str)]
    return ["yes"]


def _visdial(data: dict[str, Any]) -> Iterator[list[tuple[str, str]]]:
    questions, answers = data["questions"], data["answers"]
    for dialog in data["dialogs"]:
        turns: list[tuple[str, str]] = [("user", _CAPTION), ("assistant", dialog["caption"])]
        for turn in dialog["dialog"]:
            if "answer" in turn:
                turns += [("user", questions[turn["question"]]), ("assistant", answers[turn["answer"]])]
        yield turns
    for question, answer in zip(questions, answers, strict=False):
        yield [("user", question), ("assistant", answer)]

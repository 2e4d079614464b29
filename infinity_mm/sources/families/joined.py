"""The readers of annotations in two halves: questions with answers, captions with images.

Both halves are streamed; the smaller one is kept in memory as JSON bytes, and the joined rows are
written once as lines, so that splits can read their own range.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import ijson
import orjson
import xxhash

from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Raw, Split
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.lines import prepared_line, read_lines, scan_prepared
from infinity_mm.sources.families.rowfiles import content_digest

_BROKEN = (ijson.JSONError, UnicodeDecodeError, OverflowError)


class _Joins(Protocol):
    @property
    def suffixes(self) -> tuple[str, ...]: ...

    def pairs(self, files: tuple[str, ...]) -> list[tuple[str, str | None]]: ...

    def join(self, root: Location, file: str, partner: str | None) -> Iterator[bytes]: ...


def _plan(reader: _Joins, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
    splits: list[Split] = []
    digests: list[tuple[str, str]] = []
    for file, partner in reader.pairs(find_files(root, files, reader.suffixes)):
        prepared = prepare_to / f"{xxhash.xxh3_64_hexdigest(file.encode())}.jsonl"
        with prepared.write_whole() as stream:
            for line in reader.join(root, file, partner):
                stream.write(line)
        digest = content_digest(root / file)
        digests.append((file, digest if partner in (None, file) else f"{digest}+{content_digest(root / partner)}"))
        splits += scan_prepared(prepared, file, rows)
    return Plan(tuple(splits), tuple(digests))


@dataclass(frozen=True)
class QuestionsAndAnnotations:
    """VQA in two files, joined on `question_id`; a row is the question with "annotation" added."""

    suffixes: tuple[str, ...] = (".json",)
    version: int = 1

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Join every pair of files and cut the result."""
        return _plan(self, root, files, prepare_to, rows)

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield joined rows; the annotation is null where there is none."""
        return read_lines(root, split)

    def pairs(self, files: tuple[str, ...]) -> list[tuple[str, str | None]]:
        """Match question files to annotation files by name.

        The publisher's names differ in more than one word (v2_OpenEnded_mscoco_train2014_questions,
        v2_mscoco_train2014_annotations), so what distinguishes the task is left out on both sides.
        """

        def plain(name: str) -> str:
            for word in ("questions", "annotations", "OpenEnded_", "MultipleChoice_"):
                name = name.replace(word, "")
            return name

        answers = {plain(name): name for name in files if "annotations" in name.rpartition("/")[2]}
        questions = [name for name in files if "questions" in name.rpartition("/")[2]]
        return [(name, answers.get(plain(name))) for name in questions]

    def join(self, root: Location, file: str, partner: str | None) -> Iterator[bytes]:
        """Yield prepared lines in the order of the questions."""
        answers: dict[str, bytes] = {}
        if partner is not None:
            try:
                with (root / partner).open_input() as stream:
                    for item in ijson.items(stream, "annotations.item", use_float=True):
                        if isinstance(item, dict):
                            answers[str(item.get("question_id"))] = orjson.dumps(item)
            except _BROKEN:
                pass  # what is missing now is reported question by question, as unjoined
        count, subtype = 0, ""
        try:
            with (root / file).open_input() as stream:
                for event, item in _subtype_then_items(stream, "questions.item"):
                    if event == "subtype":
                        subtype = item
                        continue
                    row = item
                    if isinstance(item, dict):
                        found = answers.get(str(item.get("question_id")))
                        row = {**item, "data_subtype": subtype, "annotation": orjson.loads(found) if found else None}
                    yield prepared_line(f"item={count}", row)
                    count += 1
        except _BROKEN as error:
            yield prepared_line(f"item={count}", None, ("malformed_json", f"after {count} questions: {error}"[:400]))


def _subtype_then_items(stream: Any, prefix: str) -> Iterator[tuple[str, Any]]:
    """Yield ("subtype", text) when `data_subtype` is met and ("item", row) for every element under the prefix."""
    builder: Any = None
    for here, event, value in ijson.parse(stream, use_float=True):
        if here == "data_subtype" and event == "string":
            yield "subtype", value
        if builder is None and here == prefix and event in ("start_map", "start_array"):
            builder = ijson.ObjectBuilder()
        if builder is not None:
            builder.event(event, value)
            if here == prefix and event in ("end_map", "end_array"):
                yield "item", builder.value
                builder = None
        elif here == prefix and event not in ("start_map", "start_array"):
            yield "item", value


@dataclass(frozen=True)
class CaptionsAndImages:
    """COCO captions: `annotations[]` joined with `images[]` of the same file; a row is the annotation with "image"."""

    suffixes: tuple[str, ...] = (".json",)
    version: int = 1

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Join every file with itself and cut the result."""
        return _plan(self, root, files, prepare_to, rows)

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield joined rows; the image is null where there is none."""
        return read_lines(root, split)

    def pairs(self, files: tuple[str, ...]) -> list[tuple[str, str | None]]:
        """Return every file with itself."""
        return [(name, name) for name in files]

    def join(self, root: Location, file: str, partner: str | None) -> Iterator[bytes]:
        """Yield prepared lines in the order of the annotations; a bare list (Karpathy's form) passes as it is."""
        images: dict[str, bytes] = {}
        count = 0
        try:
            with (root / file).open_input() as stream:
                for item in ijson.items(stream, "images.item", use_float=True):
                    if isinstance(item, dict):
                        images[str(item.get("id"))] = orjson.dumps(item)
            for prefix in ("annotations.item", "item"):
                with (root / file).open_input() as stream:
                    for item in ijson.items(stream, prefix, use_float=True):
                        row = item
                        if isinstance(item, dict) and prefix == "annotations.item":
                            found = images.get(str(item.get("image_id")))
                            row = {**item, "image": orjson.loads(found) if found else None}
                        yield prepared_line(f"item={count}", row)
                        count += 1
                if count:
                    return
        except _BROKEN as error:
            yield prepared_line(f"item={count}", None, ("malformed_json", f"after {count} captions: {error}"[:400]))

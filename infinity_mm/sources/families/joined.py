"""The readers of annotations in two halves: questions with answers, captions with images.

Both halves are streamed; the smaller one is kept in memory as JSON bytes, and the joined rows are
written once as lines, so that splits can read their own range.
"""

from __future__ import annotations

import glob
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import orjson
import xxhash

from infinity_mm.errors import SourceError
from infinity_mm.fs import Location
from infinity_mm.sources.base import Plan, Raw, Split
from infinity_mm.sources.families.cut import BrokenOff, parse_row, pieces
from infinity_mm.sources.families.files import find_files
from infinity_mm.sources.families.lines import Fault, malformed, packed, prepared_line, read_lines, scan_prepared
from infinity_mm.sources.families.rowfiles import RowFiles, content_digest

#: Top-level arrays that are streamed, whichever of them is asked for.
_ARRAYS = ("images", "annotations", "questions")


class Joins(Protocol):
    """What `plan_joined` asks of a reader: which files belong together, and their rows as prepared lines."""

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Lower-case endings of the files."""
        ...

    def pairs(self, files: tuple[str, ...]) -> list[tuple[str, str | None]]:
        """Return (file, the one that completes it) of those among `files` that hold rows."""
        ...

    def join(self, root: Location, file: str, partner: str | None) -> Iterator[bytes]:
        """Yield the prepared lines of one pair."""
        ...


def plan_joined(reader: Joins, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
    """Write the rows of every pair of files once, below `prepare_to`, and cut them; streaming."""
    splits: list[Split] = []
    digests: list[tuple[str, str]] = []
    found = find_files(root, files, reader.suffixes)
    pairs = reader.pairs(found)
    if not pairs:
        raise SourceError(f"no file of questions or captions below {root}, only {', '.join(found)}")
    for file, partner in pairs:
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
    """VQA in two files, joined on `question_id`; a row is the question with "annotation" added.

    An annotation that no question takes is a row without question, ``{"annotation": ...}``, after the others.
    """

    suffixes: tuple[str, ...] = (".json",)
    version: int = 4

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Join every pair of files and cut the result."""
        return plan_joined(self, root, files, prepare_to, rows)

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield joined rows; the annotation is null where there is none."""
        return read_lines(root, split)

    def pairs(self, files: tuple[str, ...]) -> list[tuple[str, str | None]]:
        """Match question files to annotation files by name.

        The publisher's names differ in more than one word (v2_OpenEnded_mscoco_train2014_questions,
        v2_mscoco_train2014_annotations), so what distinguishes the task is left out on both sides. Beside files of
        questions, a file of annotations that belongs to none of them is paired with itself.
        """

        def plain(name: str) -> str:
            for word in ("questions", "annotations", "OpenEnded_", "MultipleChoice_"):
                name = name.replace(word, "")
            return name

        annotations = [name for name in files if "annotations" in name.rpartition("/")[2]]
        answers = {plain(name): name for name in annotations}
        pairs = [(name, answers.get(plain(name))) for name in files if "questions" in name.rpartition("/")[2]]
        taken = {partner for _, partner in pairs}
        return pairs and pairs + [(name, name) for name in annotations if name not in taken]

    def join(self, root: Location, file: str, partner: str | None) -> Iterator[bytes]:
        """Yield prepared lines in the order of the questions, then annotations that are left, and broken ones."""
        answers: dict[str, tuple[str, bytes]] = {}
        left: list[bytes] = []
        for _, locator, row, fault in () if partner is None else _rows(root / partner, ("annotations",)):
            locator = f"annotations.{locator}"
            if isinstance(row, dict):
                key = str(row.get("question_id"))
                if key in answers:  # the last one counts, as in a table by id
                    left.append(_without_question(*answers[key]))
                answers[key] = (locator, packed(row))
            else:
                left.append(prepared_line(locator, row, fault))
        taken: set[str] = set()
        subtype = "" if partner == file else _text_member(root / file, "data_subtype")
        for _, locator, row, fault in () if partner == file else _rows(root / file, ("questions",)):
            if isinstance(row, dict):
                key = str(row.get("question_id"))
                taken.add(key)
                found = orjson.loads(answers[key][1]) if key in answers else None
                row = {**row, "data_subtype": subtype, "annotation": found}
            yield prepared_line(locator, row, fault)
        yield from left
        for key, found in answers.items():
            if key not in taken:
                yield _without_question(*found)


@dataclass(frozen=True)
class OrJoined:
    """Reads files of questions and of annotations joined (see `QuestionsAndAnnotations`), all others as `base` does."""

    base: RowFiles

    @property
    def version(self) -> int:
        """Of both readers."""
        return 100 * self.base.version + QuestionsAndAnnotations().version

    @property
    def suffixes(self) -> tuple[str, ...]:
        """Those of `base`."""
        return self.base.suffixes

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Cut every file; see `infinity_mm.sources.base.Reader`."""
        joined = QuestionsAndAnnotations()
        found = find_files(root, files, self.suffixes, self.base.ignored)
        named = [name for name in found if re.search(r"(questions|annotations)[^/]*\.json$", name)]
        halves = named if joined.pairs(tuple(named)) else []
        others = [name for name in found if name not in set(halves)]
        plans = [
            reader.plan(root, tuple(map(glob.escape, names)), prepare_to, rows)
            for reader, names in ((joined, halves), (self.base, others))
            if names
        ]
        return Plan(
            tuple(split for plan in plans for split in plan.splits),
            tuple(digest for plan in plans for digest in plan.files),
        )

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield the rows of a split; what was joined is prepared, and prepared rows are read alike."""
        return self.base.read(root, split)


def _without_question(locator: str, annotation: bytes) -> bytes:
    return prepared_line(locator, {"annotation": orjson.Fragment(annotation)})


def _rows(location: Location, arrays: tuple[str, ...]) -> Iterator[tuple[str, str, Any, Fault | None]]:
    """Yield (array, locator, row, fault) of the arrays under the given keys; "" stands for a bare one.

    What is no JSON costs its own row; where the brackets do not match, or there is no such array, one fault
    stands for the rest.
    """
    count, opened = 0, False
    try:
        for piece in pieces(location, _ARRAYS):
            if piece.key is not None or piece.inside not in arrays:
                continue
            opened = True
            if piece.text is not None:
                row, problem = parse_row(piece.text)
                yield piece.inside, f"item={count}", row, None if problem is None else malformed(piece.text, problem)
                count += 1
    except BrokenOff as error:
        yield "", f"item={count}", None, ("malformed_json", f"after {count} rows: {error}")
        return
    if not opened:
        expected = " or ".join(repr(key) if key else "a bare list" for key in arrays)
        yield "", "item=0", None, ("unexpected_row", f"expected an array under {expected}")


def _by_key(location: Location, array: str, key: str) -> dict[str, bytes]:
    """Return the elements of an array as JSON, by one of their fields.

    What cannot be read is left out: its partners are reported one by one, as unjoined.
    """
    found: dict[str, bytes] = {}
    for _, _, row, _ in _rows(location, (array,)):
        if isinstance(row, dict):
            found[str(row.get(key))] = packed(row)
    return found


def _text_member(location: Location, key: str) -> str:
    """Return a text of the top-level object, wherever it stands; "" where there is none."""
    try:
        text = next((piece.text for piece in pieces(location, _ARRAYS) if piece.key == key), None)
    except BrokenOff:
        return ""
    value = parse_row(text)[0] if text is not None else ""
    return value if isinstance(value, str) else ""


@dataclass(frozen=True)
class CaptionsAndImages:
    """COCO captions: `annotations[]` joined with `images[]` of the same file; a row is the annotation with "image"."""

    suffixes: tuple[str, ...] = (".json",)
    version: int = 3

    def plan(self, root: Location, files: tuple[str, ...], prepare_to: Location, rows: int) -> Plan:
        """Join every file with itself and cut the result."""
        return plan_joined(self, root, files, prepare_to, rows)

    def read(self, root: Location, split: Split) -> Iterator[Raw]:
        """Yield joined rows; the image is null where there is none."""
        return read_lines(root, split)

    def pairs(self, files: tuple[str, ...]) -> list[tuple[str, str | None]]:
        """Return every file with itself."""
        return [(name, name) for name in files]

    def join(self, root: Location, file: str, partner: str | None) -> Iterator[bytes]:
        """Yield prepared lines in the order of the annotations; a bare list (Karpathy's form) passes as it is."""
        images = _by_key(root / file, "images", "id")
        for array, locator, row, fault in _rows(root / file, ("annotations", "")):
            if isinstance(row, dict) and array:
                found = images.get(str(row.get("image_id")))
                row = {**row, "image": orjson.loads(found) if found else None}
            yield prepared_line(locator, row, fault)

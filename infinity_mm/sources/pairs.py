"""Pairs of a picture's URL and a text, as web crawls publish them; also with the picture embedded or downloaded.

The files differ in the names, the letter case and the types of their columns. `PairColumns` says where the values are
found, and thereby which columns of a Parquet file are read at all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from infinity_mm.sources.answers import DESCRIBE
from infinity_mm.sources.base import ImageRef, Quarantine, Sample
from infinity_mm.sources.conversation import escape_placeholders, one_turn, read_images
from infinity_mm.sources.families.img2dataset import COLUMNS, PICTURE, UrlLists
from infinity_mm.sources.families.rowfiles import RowFiles

#: Formats in which such lists are kept.
SUFFIXES = (
    ".parquet",
    ".json",
    *(kind + packed for kind in (".jsonl", ".csv", ".tsv") for packed in ("", ".gz", ".bz2", ".zst", ".zip")),
)

#: What img2dataset adds, kept for every source; sizes are those of the picture as downloaded.
_DOWNLOADED = ("key", "original_width", "original_height", "exif")
_CHECKSUMS = (("md5", re.compile(r"[0-9a-f]{32}")), ("sha256", re.compile(r"[0-9a-f]{64}")))
_LANGUAGE = re.compile(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*")
_LICENSE_URL = re.compile(r"creativecommons\.org/(licenses|publicdomain)/([a-z-]+)/([0-9.]+)", re.IGNORECASE)
_LICENSE_LABEL = re.compile(r"cc[-_ ]?(zero|0|by(?:[-_ ](?:nc|nd|sa))*)(?:[-_ ]([0-9]\.[0-9]))?", re.IGNORECASE)


@dataclass(frozen=True)
class PairColumns:
    """Where a pair's values are found: names in lower case, the first that has a value counts."""

    #: The text that the picture is trained with; which of several captions is chosen here.
    text: tuple[str, ...] = ("text", "caption")
    url: tuple[str, ...] = ("url", "image_url")
    #: Embedded picture, which makes the URL a mere name.
    image: str = "image"
    source_id: tuple[str, ...] = ("sample_id", "id", "key")
    license: str = "license"
    language: str = "language"
    #: Kept in the record's extra under these names, beside the URL and the texts.
    extra: tuple[str, ...] = ("width", "height", "license")

    @cached_property
    def kept(self) -> tuple[str, ...]:
        """The columns that go to the extra, in lower case."""
        checksums = tuple(name for name, _ in _CHECKSUMS)
        return tuple(dict.fromkeys((*self.url, *self.text, *self.extra, *checksums, *_DOWNLOADED)))

    def names(self) -> tuple[str, ...]:
        """Return every column that is looked at, in lower case, sorted."""
        single = (self.image, self.license, self.language)
        return tuple(sorted({*self.kept, *self.source_id, *single, *COLUMNS}))


def pair_reader(columns: PairColumns, inside: tuple[str, ...] = ()) -> UrlLists:
    """Return the reader of files with these columns, and of what img2dataset made of such files."""
    return UrlLists(RowFiles(inside=inside, suffixes=SUFFIXES, ignored=("*_stats.json",), columns=columns.names()))


def parse_pair(row: Mapping[str, Any], columns: PairColumns) -> Sample | Quarantine:
    """Return a caption sample: InfiMM's caption prompt, and the text as the answer.

    Texts are kept as crawled, HTML entities included; only white space at the ends goes. A row without text, or
    without URL and picture, is a `missing_field`; one that img2dataset failed on is a `download_failed`.
    """
    values = {str(name).lower(): value for name, value in row.items()}
    key = _text(values, columns.source_id)
    text = _text(values, columns.text).strip()
    image = _downloaded(values, columns) if PICTURE in values else _picture(values, columns)
    if isinstance(image, Quarantine):
        return Quarantine(image.reason, image.detail, key)
    if not text:
        return Quarantine("missing_field", f"expected a text in {_shown(values, columns.text)}", key)
    answer, notes = escape_placeholders(text)
    present = {name: _plain(name, values[name]) for name in columns.kept if values.get(name) is not None}
    language = values.get(columns.language)
    return Sample(
        source_id=key,
        messages=one_turn(DESCRIBE, answer),
        images=(image,),
        license=read_license(values.get(columns.license)),
        language=language if isinstance(language, str) and _LANGUAGE.fullmatch(language) else None,
        extra={name: value for name, value in present.items() if value is not None},
        notes=notes,
    )


def _picture(values: Mapping[str, Any], columns: PairColumns) -> ImageRef | Quarantine:
    url = _text(values, columns.url).strip()
    embedded = read_images(values.get(columns.image))
    if isinstance(embedded, Quarantine):
        return embedded
    if len(embedded) > 1:
        return Quarantine("unexpected_row", f"{columns.image}: expected one picture, got {len(embedded)}")
    if embedded and embedded[0].url is not None:
        url, embedded = url or embedded[0].url, ()
    # A path without bytes is the name that the picture had on its publisher's machine.
    if embedded and (embedded[0].data is not None or not url):
        return ImageRef(path=embedded[0].path, data=embedded[0].data, uri=url or embedded[0].uri)
    if not url:
        return Quarantine("missing_field", f"expected a URL or a picture in {_shown(values, columns.url)}")
    return ImageRef(url=url, checksum=_checksum(values))


def _downloaded(values: Mapping[str, Any], columns: PairColumns) -> ImageRef | Quarantine:
    """Return the picture of a row of img2dataset's; its checksums are those of the original, so none is checked."""
    status, url = values.get("status"), _text(values, columns.url)
    if status != "success":
        problem = values.get("error_message")
        told = f"img2dataset: {status}: {problem}" if problem else f"img2dataset: {status}"
        return Quarantine("download_failed", f"{told} {url}".rstrip())
    found = read_images(values[PICTURE])
    if isinstance(found, Quarantine):
        return found
    if len(found) != 1:
        return Quarantine("missing_image", f"img2dataset: success, but {len(found)} pictures are there {url}".rstrip())
    return found[0]


def _checksum(values: Mapping[str, Any]) -> str:
    for name, pattern in _CHECKSUMS:
        value = values.get(name)
        if isinstance(value, str) and pattern.fullmatch(value.strip().lower()):
            return f"{name}:{value.strip().lower()}"
    return ""


def _text(values: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """Return the first value that is a text with a visible character, or a number; "" without any."""
    for name in names:
        value = values.get(name)
        if isinstance(value, float) and math.isfinite(value):
            value = int(value) if value.is_integer() else str(value)
        if isinstance(value, int) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and value.strip():
            return value
    return ""


def _shown(values: Mapping[str, Any], names: tuple[str, ...]) -> str:
    found = ", ".join(f"{name}={values[name]!r:.40}" for name in names if name in values)
    return f"{' or '.join(names)}, got {found or f'columns {sorted(values)}'}"


def _plain(name: str, value: Any) -> Any:
    """Return a value as JSON has it: sizes were written as floats with NaN by way of pandas."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, float) and name.endswith(("width", "height")) and value.is_integer():
        return int(value)
    if isinstance(value, str | int | float):
        return value
    return value if isinstance(value, list | dict) and value else None


def read_license(value: object) -> str | None:
    """Return the SPDX identifier of a Creative Commons licence given as address or label; None for anything else.

    Crawls write "?" where no licence was found, and that is almost everywhere.
    """
    if not isinstance(value, str):
        return None
    if found := _LICENSE_URL.search(value):
        kind, name, version = found.groups()
        if kind.lower() == "licenses":
            return f"CC-{name.upper()}-{version}"
        return f"CC0-{version}" if name.lower() == "zero" else None
    if found := _LICENSE_LABEL.fullmatch(value.strip()):
        name, version = found.groups()
        if name.lower() in ("zero", "0"):
            return "CC0-1.0"
        return "-".join(("CC", *re.split(r"[-_ ]", name.upper()), *((version,) if version else ())))
    return None

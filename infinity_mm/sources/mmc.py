"""What the two training parts of MMC share: names of fields that differ from file to file, and what to refuse.

No training row is quoted in a public document; the names are those that public converters of the files read.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from infinity_mm.sources.base import ImageRef, Quarantine

IMAGE = ("image_id", "image")
QUESTION = ("instruction", "question")
ANSWER = ("answer", "output", "label", "text")
CAPTION = ("caption", "text")

#: What a generator left to be filled in, as in "[insert value here]" or "<your answer>". Citations ("[12]"), intervals
#: and LaTeX use brackets too, so the words inside decide.
_PLACEHOLDER = re.compile(
    r"[\[<]\s*(?:please\s+)?(?:insert|fill\s+in|replace|enter|your|add)\s[^\[\]<>\n]{1,80}[\]>]"
    r"|[\[<]\s*(?:question|answer|placeholder)(?:\s+(?:here|text|\d+))?\s*[\]>]",
    re.IGNORECASE,
)


def text_under(row: Mapping[str, Any], names: tuple[str, ...]) -> str | Quarantine:
    """Return the text (or number, as text) under the first of the names that has one."""
    for name in names:
        value = row.get(name)
        if isinstance(value, int | float) and not isinstance(value, bool):
            return str(value)
        if isinstance(value, str) and value.strip():
            return value
    return Quarantine("missing_field", f"expected text under one of {', '.join(names)}, got keys {sorted(row)}")


def picture_of(row: Mapping[str, Any]) -> tuple[ImageRef, ...] | Quarantine:
    """Return the row's picture, named by its file."""
    name = text_under(row, IMAGE)
    return name if isinstance(name, Quarantine) else (ImageRef(path=name),)


def refusal(row: Mapping[str, Any]) -> Quarantine | None:
    """Return why a row is refused: it belongs to MMC-Benchmark, which lies in the same repository."""
    name = row.get("image_id")
    judged = row.get("label") in ("true", "false") and "task" in row
    if judged or (isinstance(name, str) and name.rpartition("/")[2].startswith("image_benchmark")):
        return Quarantine("unexpected_row", "a row of MMC-Benchmark: test data, not to be trained on", str(name or ""))
    return None


def placeholder_in(*texts: str) -> Quarantine | None:
    """Return a refusal where a text holds a generator's placeholder; 133 rows of early copies of the file did."""
    found = next((match for text in texts if (match := _PLACEHOLDER.search(text))), None)
    return None if found is None else Quarantine("unexpected_row", f"a generator's placeholder in the text: {found[0]}")

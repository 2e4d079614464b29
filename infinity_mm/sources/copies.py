"""Copies of annotated sets as finished conversations.

Most sets of questions or captions are also passed on by others, in LLaVA's form (InternVL's conversions, subsets of
LLaVA-OneVision) or in the Cauldron's. Rows of such copies carry their whole text: nothing of the set's own layout
applies to them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from infinity_mm.sources.base import Quarantine, Sample
from infinity_mm.sources.fields import parse_cauldron, parse_llava
from infinity_mm.sources.options import Options

_TURNS = ("conversations", "conversation", "messages")


@dataclass(frozen=True)
class OrConversation:
    """Parses rows that hold a conversation as such, and all others as `parse` does; with or without options."""

    parse: Callable[..., Sample | Quarantine]

    def __call__(self, row: Mapping[str, Any], *options: Options) -> Sample | Quarantine:
        """Parse one row."""
        if any(row.get(name) is not None for name in _TURNS):
            return parse_llava(row)
        if row.get("texts") is not None and row.get("images") is not None:
            # There the turns' `source` is the name of the set, the same in every row, and no key.
            sample = parse_cauldron(row)
            if isinstance(sample, Quarantine) or not sample.source_id:
                return sample
            return replace(sample, source_id="", extra={"source": sample.source_id})
        return self.parse(row, *options)

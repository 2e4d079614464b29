"""Fingerprints: the name of what made a partition.

A fingerprint is a hash of a JSON-like description (stage, version, parameters, fingerprints of the
inputs). Equal descriptions give equal fingerprints on any machine; nothing of the clock, the host or
an absolute path belongs in a description.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence

from pydantic import BaseModel

Json = None | bool | int | float | str | Sequence["Json"] | Mapping[str, "Json"]


def canonical(value: object) -> str:
    """Serialise a JSON-like value or a model, keys sorted, no white space: equal values have equal text.

    Raises TypeError for anything that JSON cannot hold.
    """
    if isinstance(value, BaseModel):
        value = value.model_dump(mode="json")
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True)


def fingerprint(*parts: object) -> str:
    """Return 16 hex digits (64 bits) that name the given description."""
    text = "\n".join(canonical(part) for part in parts)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:16]

from __future__ import annotations

import json
from pathlib import Path

import pytest

from infinity_mm.fs import Location
from infinity_mm.synth.cache.entries import Entry
from infinity_mm.synth.cache.files import GenerationFiles

ENGINE = json.dumps(
    {"engine": "vllm", "version": "1", "model": "m", "revision": "0", "batch_invariant": False}, separators=(",", ":")
)


def entry(number: int, text: str = "words", place: int | None = None) -> Entry:
    """An entry whose key is a function of its number, spread over all prefixes."""
    head = (number if place is None else place) * 0x9E3779B97F4A7C15 % 2**64
    return Entry(f"{head:016x}{number:032x}", text, "stop", 1, 10, 2, "tag.v1", ENGINE)


@pytest.fixture
def files(tmp_path: Path) -> GenerationFiles:
    return GenerationFiles(Location.of(tmp_path / "cache"))

"""What a validation saw: faults with their places, counts, and which keys occurred."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

#: What mends a shard: `infinity-mm export` writes those that are absent.
AGAIN = "delete that file and export again"


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong."""

    file: str
    #: Key, id or row inside the file; "" for the file as a whole.
    where: str
    #: What was expected, what came, and what to do.
    problem: str

    def __str__(self) -> str:
        return f"{self.file}{f' [{self.where}]' if self.where else ''}: {self.problem}"


@dataclass
class Findings:
    """What a validation saw."""

    errors: list[Fault] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def add(self, file: str, where: str, problem: str) -> None:
        """Note a fault."""
        self.errors.append(Fault(file, where, problem))

    def check_picture(self, file: str, where: str, found: str, expected: object) -> None:
        """Count a picture; note a fault where its SHA-256 (64 hex digits) is not the one its record states."""
        self.counts["pictures"] += 1
        if found != expected:
            self.add(file, where, f"picture's SHA-256 is {found}, the record says {expected}; the bytes changed")


class Keys:
    """Ids of 32 hex digits, 16 bytes each in memory (700 MB for 44 million)."""

    def __init__(self) -> None:
        self._ids = bytearray()

    def add(self, key: str) -> bool:
        """Note one key; False, and it is not noted, if it is no id."""
        try:
            raw = bytes.fromhex(key)
        except ValueError:
            return False
        if len(raw) != 16:
            return False
        self._ids += raw
        return True

    def repeated(self) -> Iterator[tuple[str, int]]:
        """Yield every id that occurred more than once, sorted, and how often."""
        values, counts = np.unique(np.frombuffer(self._ids, dtype="S16"), return_counts=True)
        for value, count in zip(values[counts > 1], counts[counts > 1], strict=True):
            yield value.ljust(16, b"\0").hex(), int(count)  # numpy strips zeros from the end

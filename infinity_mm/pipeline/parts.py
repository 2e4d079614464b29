"""Names of what a run folder holds, derived from the parts of the records."""

from __future__ import annotations

from dataclasses import dataclass

from infinity_mm.store import part_name

SYNTHETIC = "synthetic"


@dataclass(frozen=True, order=True)
class Part:
    """One part of `records`: a source, its ordinal, and the fingerprint of what made it."""

    source: str
    number: int
    fingerprint: str

    @property
    def records(self) -> str:
        """Path of the records themselves."""
        return f"records/{self.source}/{part_name(self.number, self.fingerprint)}"

    @property
    def ingest(self) -> str:
        """Path of what was measured while the pictures were decoded; made with the records."""
        return self.attributes("ingest", self.fingerprint)

    @property
    def quarantine(self) -> str:
        """Path of the raw rows of the same split that did not become records."""
        return f"quarantine/{self.source}/{part_name(self.number, self.fingerprint)}"

    def attributes(self, stage: str, fingerprint: str) -> str:
        """Path of a stage's attributes of this part."""
        return f"attributes/{stage}/{self.source}/{part_name(self.number, fingerprint)}"

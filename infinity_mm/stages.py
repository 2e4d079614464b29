"""What a pass did, as the manifest keeps it."""

from __future__ import annotations

from infinity_mm.frozen import Frozen


class StageReport(Frozen):
    """One stage of one run."""

    name: str
    #: Partitions that were there from an earlier run, and partitions made now.
    cached: int
    made: int
    #: Wall time of this run, seconds.
    seconds: float

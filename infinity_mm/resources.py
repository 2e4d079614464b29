"""What work occupies on a cluster, and what a cluster has."""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class Resources:
    """What one task or actor occupies on the cluster."""

    cpus: float = 1.0
    gpus: float = 0.0

    def __str__(self) -> str:
        return f"{self.cpus:g} CPUs and {self.gpus:g} GPUs"

    def how_many(self, need: Resources) -> int:
        """Return how many of `need` fit in here; ten tenths fit into 1, whatever floats say."""
        pairs = ((self.cpus, need.cpus), (self.gpus, need.gpus))
        return min((math.floor(there / needed + 1e-6) for there, needed in pairs if needed), default=sys.maxsize)

"""What a command and all that it starts take, Ray's daemons and workers included; Linux.

Ray's raylet lets the system forget its workers when they end, so no parent is told what they took; they are watched
while they live.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_INTERVAL = 0.1
_PR_SET_CHILD_SUBREAPER = 36


@dataclass(frozen=True)
class Tree:
    """CPU seconds of all processes, short of what each does after it is last looked at, and seconds on the clock."""

    cpu: float
    wall: float


def run_tree(command: list[str]) -> Tree:
    """Run a command to its end, and return what it and all its descendants took; raises SystemExit where it fails."""
    if sys.platform != "linux":
        raise SystemExit("processes are watched in /proc, which only Linux has: leave this measurement out")
    # Children that lose their parent become this process's, and so stay in sight.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    seen: dict[int, float] = {}
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        while process.poll() is None:
            seen |= _descendants(os.getpid())
            time.sleep(_INTERVAL)
        if process.returncode:
            said.seek(0)
            raise SystemExit(said.read())
    return Tree(sum(seen.values()), time.perf_counter() - began)


def _descendants(root: int) -> dict[int, float]:
    """Return the CPU seconds, own only, of every living process below `root`, by process id."""
    tick = os.sysconf("SC_CLK_TCK")
    parents: dict[int, int] = {}
    seconds: dict[int, float] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue  # it has just ended
            parents[int(entry.name)] = int(fields[1])
            seconds[int(entry.name)] = (int(fields[11]) + int(fields[12])) / tick
    below: set[int] = set()
    for number in parents:
        line = [number]
        while (above := parents.get(line[-1])) is not None and above != root and above not in below:
            line.append(above)
        if above is not None:
            below.update(line)
    return {number: seconds[number] for number in below}

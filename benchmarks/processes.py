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
    #: Bytes of the largest resident set of any of the processes.
    peak: int = 0
    #: What the command wrote.
    said: str = ""


def run_tree(command: list[str]) -> Tree:
    """Run a command to its end, and return what it and all its descendants took; raises SystemExit where it fails."""
    if sys.platform != "linux":
        raise SystemExit("processes are watched in /proc, which only Linux has: leave this measurement out")
    # Children that lose their parent become this process's, and so stay in sight.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    seen: dict[int, float] = {}
    peak = 0
    # Workers of an earlier command may still be ending.
    others = set(_descendants(os.getpid()))
    began = time.perf_counter()
    with tempfile.TemporaryFile("w+") as said, subprocess.Popen(command, stdout=said, stderr=said) as process:
        while process.poll() is None:
            alive = {number: used for number, used in _descendants(os.getpid()).items() if number not in others}
            seen |= alive
            peak = max([peak, *map(peak_of, alive)])
            time.sleep(_INTERVAL)
        said.seek(0)
        text = said.read()
        if process.returncode:
            raise SystemExit(text)
    return Tree(sum(seen.values()), time.perf_counter() - began, peak, text)


def cpu_of_tree() -> float:
    """Return the CPU seconds of this process and of every living process below it, short of what has ended."""
    # Children that lose their parent become this process's from the first call on.
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    return time.process_time() + sum(_descendants(os.getpid()).values())


def peak_of(process: int) -> int:
    """Return the bytes of the largest resident set that a process has had; 0 where it has ended.

    What `wait4` and `getrusage` tell includes that of the process which started it, from before the new program.
    """
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), 0)


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

"""How a process that works on table after table keeps house: freed memory, and garbage that refers to itself.

Tables and arrays of the same few sizes come and go with every task. Given back to the system, their memory is mapped
and cleared anew for the next one, which costs as much as filling it: an eighth of the CPU of deduplication, measured.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Mapping
from functools import cache

import pyarrow as pa

#: Of glibc's malloc.h.
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_ARENA_MAX = -1, -3, -8
#: Bytes of free memory that a worker keeps, and of an array that goes back at once, whatever it keeps.
_KEPT = 256 << 20


@cache
def keep_house() -> None:
    """Settle this process, a worker that runs one task after another; what is called again does nothing.

    It keeps up to 256 MiB of freed memory, for Arrow's tables as well as for NumPy's arrays, where the system's
    allocator is glibc's. What it has loaded by now stays: it is not looked through again whenever Python looks for
    cycles, which next to a million objects of numba and of schemas is most of that work.
    """
    if set_malloc({M_TRIM_THRESHOLD: _KEPT, M_MMAP_THRESHOLD: _KEPT}):
        pa.set_memory_pool(pa.system_memory_pool())
    gc.freeze()


def set_malloc(options: Mapping[int, int]) -> bool:
    """Set options of glibc's allocator (``man mallopt``); returns whether it is the one in use, and took them all."""
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(min(mallopt(option, value) for option, value in options.items()) == 1)

"""Settings of a process that does nothing but run compiled loops over large arrays, as `infinity-mm dedup` does."""

from __future__ import annotations

import gc
import os
import sys

from infinity_mm.housekeeping import M_ARENA_MAX, M_MMAP_THRESHOLD, M_TRIM_THRESHOLD, set_malloc

#: Bytes of free memory that stay with the process.
_KEPT = 1 << 30
#: Allocations of Python objects after which it looks for cycles, instead of after 700.
_ALLOCATIONS = 100_000
_BLAS = "scipy.linalg.cython_blas"


def run_lean() -> None:
    """Spend less on start and on memory; call at the start of a program, before anything that compiles is imported.

    Freed memory stays with the process: arrays of the same sizes come and go, and clearing their pages anew costs as
    much as filling them. Cyclic garbage is looked for less often, since what numba loads at its start consists of a
    million objects that stay. numba is kept from loading SciPy's linear algebra, which no loop of this project uses
    and which takes a fifth of its start; so functions compiled in this process have no `numpy.dot`.
    """
    gc.set_threshold(_ALLOCATIONS, 50, 100)
    # OpenBLAS starts a thread for each processor, and has nothing to do either.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    set_malloc({M_TRIM_THRESHOLD: _KEPT, M_MMAP_THRESHOLD: _KEPT, M_ARENA_MAX: 1})
    if _BLAS not in sys.modules and "numba.np.arraymath" not in sys.modules:
        sys.modules[_BLAS] = None  # type: ignore[assignment]  # makes an import of it fail
        try:
            import numba.np.arraymath  # noqa: F401
        finally:
            del sys.modules[_BLAS]

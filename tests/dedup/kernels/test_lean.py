"""What a lean process leaves out, it can still have."""

import subprocess
import sys

PROGRAM = """
import gc, sys
from infinity_mm.dedup.kernels.lean import run_lean
run_lean()
run_lean()
assert gc.get_threshold()[0] > 700 and gc.isenabled()
assert "scipy.linalg" not in sys.modules and "numba" in sys.modules
import numpy as np, scipy.linalg.cython_blas
from infinity_mm.dedup.kernels.hashing import permutations, signatures
found = signatures(np.arange(4, dtype=np.uint64), np.array([0, 4]), *permutations(16, 1))
assert found.shape == (1, 16) and np.linalg.det(np.eye(3)) == 1.0
"""


def test_compiled_code_and_linear_algebra_work():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

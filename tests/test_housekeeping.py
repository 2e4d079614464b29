"""What a worker keeps, it has once and only once."""

import subprocess
import sys

PROGRAM = """
import gc, platform
import numpy as np, pyarrow as pa
from infinity_mm.housekeeping import keep_house
keep_house()
frozen = gc.get_freeze_count()
kept = [[] for _ in range(1000)]
keep_house()
assert gc.isenabled() and gc.get_freeze_count() <= frozen > 1000
if platform.libc_ver()[0] == "glibc":
    assert pa.default_memory_pool().backend_name == "system"
assert pa.array(np.arange(1 << 20)).take(pa.array([7])).to_pylist() == [7]
"""


def test_a_process_is_settled_once():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

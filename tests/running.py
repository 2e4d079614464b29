"""Running the command line in tests, a Ray node for it, and fingerprints of what it wrote."""

import hashlib
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

#: Sources of the demo that small recipes use.
SMALL = ("llava_mix665k", "docdownstream", "infinity_mm", "infinity_instruct", "vqav2")


def digest_of(work: Path, folders: tuple[str, ...] = ("records", "ledger", "quarantine", "exports")) -> dict[str, str]:
    """Return path -> SHA-256 of everything whose bytes a run promises."""
    return {
        path.relative_to(work).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in folders
        for path in sorted((work / folder).rglob("*"))
        if path.is_file()
    }


def command(*arguments: object) -> list[str]:
    """Return the command line of `infinity-mm` in this interpreter."""
    return [sys.executable, "-c", "from infinity_mm.cli.main import main; main()", *map(str, arguments)]


def infinity_mm(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run `infinity-mm` in a process of its own."""
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False)


@contextmanager
def two_cpus() -> Iterator[str]:
    """Yield the address of a Ray node that several runs can share; its workers have this process's environment."""
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "include_dashboard": False})
    yield cluster.address
    cluster.shutdown()

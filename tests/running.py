"""Running the command line in tests, and fingerprints of what it wrote."""

import hashlib
import subprocess
import sys
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

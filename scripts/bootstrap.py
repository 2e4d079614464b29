"""Make the project's own `.venv` from the lock files; standard library only.

    python3 scripts/bootstrap.py [--dev]

Finds a Python 3.11 or 3.12, creates `.venv`, installs the pinned packages and the project itself
(editable), and leaves a stamp so that the next call takes no time. Prints what it does.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
SUPPORTED = ((3, 11), (3, 12))


def say(text: str) -> None:
    """Print a line at once, so that it stands before what a child process prints."""
    print(f"[setup] {text}", flush=True)


def find_python() -> str:
    """Return an interpreter of a supported version: the running one, or one on the PATH."""
    if sys.version_info[:2] in SUPPORTED:
        return sys.executable
    for major, minor in SUPPORTED:
        found = shutil.which(f"python{major}.{minor}")
        if found:
            return found
    versions = " or ".join(f"{major}.{minor}" for major, minor in SUPPORTED)
    raise SystemExit(
        f"[setup] needs Python {versions}; this is {sys.version.split()[0]} and no other is on the PATH. "
        "Install one, or name it: make PYTHON=/path/to/python3.11 ..."
    )


def run(command: list[str]) -> None:
    """Run a command; on failure say which one and stop."""
    # Compiled bytecode halves the start of every later command, so it is not suppressed here.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, cwd=ROOT, env=environment, check=False)
    if done.returncode:
        raise SystemExit(f"[setup] this command failed with status {done.returncode}: {' '.join(command)}")


def make_venv() -> None:
    """Create `.venv` unless a working one is there."""
    python = VENV / "bin" / "python"
    if (
        python.exists()
        and subprocess.run([python, "-c", "import pip"], capture_output=True, check=False).returncode == 0
    ):
        return
    chosen = find_python()
    say(f"creating .venv with {chosen}")
    done = subprocess.run([chosen, "-m", "venv", "--clear", str(VENV)], cwd=ROOT, check=False)
    if done.returncode:
        raise SystemExit("[setup] could not create .venv; on Debian and Ubuntu: apt-get install python3-venv")


def install(lock: Path) -> None:
    """Install one lock file and the project, unless its stamp says that this was done."""
    text = lock.read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    digest = hashlib.sha256(text).hexdigest()
    stamp = VENV / f".installed-{lock.stem}"
    if stamp.is_file() and stamp.read_text() == digest:
        return
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "install", "-q"]
    say(f"installing {lock.relative_to(ROOT)} (pinned; about a minute the first time)")
    run([*pip, "--no-deps", "-r", str(lock)])
    run([*pip, "setuptools>=77,<82"])
    run([*pip, "--no-deps", "--no-build-isolation", "-e", str(ROOT)])
    stamp.write_text(digest)


def main() -> None:
    """Set up `.venv`."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--dev", action="store_true", help="also install what the tests and checks need")
    arguments = parser.parse_args()
    make_venv()
    install(ROOT / "requirements" / ("dev.lock" if arguments.dev else "base.lock"))
    say(f"{VENV.relative_to(ROOT)} is ready")


if __name__ == "__main__":
    main()

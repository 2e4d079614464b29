"""How many tokens a checkpoint was made for, as its config.json tells, before anything is loaded.

vLLM refuses a longer `max_model_len` when it loads; transformers goes on, with positions that were never trained. The
figure is derived as vLLM 0.32 does, in its `vllm/config/model.py`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infinity_mm.synth.chat import ModelSpec
from infinity_mm.synth.engines.checkpoint import EMBEDDED, folder_at_hand
from infinity_mm.synth.models.families import read_object
from infinity_mm.synth.tiny_model import embedded_checkpoint, is_trained

#: Where a vision-language model's config.json has its language model; else it stands among the other keys.
_TEXT: Final = ("text_config", "llm_config")
#: Names under which models give their length; of several the smallest holds.
_KEYS: Final = (
    *("max_position_embeddings", "n_positions", "max_seq_len", "seq_length", "model_max_length"),
    *("max_target_positions", "max_sequence_length", "max_seq_length", "seq_len"),
)
#: This one holds whatever the others say.
_DECISIVE: Final = "model_max_length"
#: Kinds of rope scaling whose factor is in `max_position_embeddings` already, or plays no part in it.
_SCALED: Final = {"su", "longrope", "llama3", "yarn", "deepseek_yarn", "deepseek_llama_scaling"}
#: The variable by which vLLM is told to take any length.
_ALLOW: Final = "VLLM_ALLOW_LONG_MAX_MODEL_LEN"


@dataclass(frozen=True)
class OwnLength:
    """The longest context of a checkpoint."""

    #: Tokens of prompt and answer.
    tokens: int
    #: Where config.json says so.
    told: str


def own_length(config: Mapping[str, Any]) -> OwnLength | None:
    """Return how long a context the model of a config.json may have, None where the file does not tell."""
    text = next((config[key] for key in _TEXT if isinstance(config.get(key), dict)), config)
    found = {key: text[key] for key in _KEYS if isinstance(text.get(key), int | float) and text[key] > 0}
    if not found:
        return None
    key = _DECISIVE if _DECISIVE in found else min(found, key=lambda name: found[name])
    factor = _factor(text)
    told = f"{key} {found[key]:,}" + (f" times the factor {factor:g} of its rope scaling" if factor != 1 else "")
    return OwnLength(int(found[key] * factor), told)


def too_long(spec: ModelSpec, engine: str) -> str | None:
    """Say that `max_model_len` is more than the model's own config allows; None where it is not, or is not known.

    Looks only at a checkpoint that is on this machine. An endpoint's model is its server's business, and
    VLLM_ALLOW_LONG_MAX_MODEL_LEN is heeded as vLLM does.
    """
    if engine == "openai" or (engine == "vllm" and os.environ.get(_ALLOW, "0").strip().lower() in ("1", "true")):
        return None
    folder = _folder(spec)
    own = None if folder is None else own_length(read_object(folder / "config.json"))
    if own is None or spec.max_model_len <= own.tokens:
        return None
    return (
        f"{spec.max_model_len:,} tokens are more than {spec.name} was made for, {own.tokens:,} by its config.json "
        f"({own.told}); set max_model_len to at most {own.tokens}"
    )


def _folder(spec: ModelSpec) -> Path | None:
    if spec.name == EMBEDDED and is_trained():
        return embedded_checkpoint()
    return folder_at_hand(spec)


def _factor(text: Mapping[str, Any]) -> float:
    """Return by how much rope scaling stretches the length that a config gives."""
    rope = text.get("rope_parameters") or text.get("rope_scaling")
    if not isinstance(rope, dict) or "gemma3" in str(text.get("model_type")):  # Gemma 3 gives the stretched length
        return 1.0
    layers = [value for value in rope.values() if isinstance(value, dict)] or [rope]
    factor: float | None = 1.0
    for layer in layers:
        if layer.get("rope_type", layer.get("type")) not in _SCALED:
            factor = layer.get("factor", factor)
    return factor or 1.0

"""The families that are known, and which one a model belongs to."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Final, Literal

from infinity_mm.synth.models.idefics3 import IDEFICS3, SMOLVLM
from infinity_mm.synth.models.internvl import INTERNVL, INTERNVL_HF
from infinity_mm.synth.models.minicpm_v import MINICPM_V, MINICPM_V_4_6
from infinity_mm.synth.models.qwen_vl import QWEN2_5_VL, QWEN2_VL, QWEN3_VL
from infinity_mm.synth.models.rules import Family

FAMILIES: Final[tuple[Family, ...]] = (
    QWEN2_VL,
    QWEN2_5_VL,
    QWEN3_VL,
    MINICPM_V,
    MINICPM_V_4_6,
    INTERNVL_HF,
    INTERNVL,
    SMOLVLM,
    IDEFICS3,
)
#: ``model_type`` by which a recipe can name the family of a model whose name says nothing.
FamilyName = Literal[
    "qwen2_vl", "qwen2_5_vl", "qwen3_vl", "minicpmv", "minicpmv4_6", "internvl", "internvl_chat", "smolvlm", "idefics3"
]


def family_of_name(name: str) -> Family | None:
    """Return the family that a hub name or a folder's name tells, or None."""
    last = name.rstrip("/").rsplit("/", 1)[-1].lower()
    return next((family for family in FAMILIES if re.search(family.names, last)), None)


def family_of_type(model_type: str | None) -> Family | None:
    """Return the family of a ``model_type`` of config.json, or None."""
    return next((family for family in FAMILIES if model_type in family.model_types), None)


def defaults(value: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a model's specification with the family's lengths where it gives none.

    Of a model in a folder here, the folder's config.json tells the family, whatever its name.
    """
    name = str(value.get("name", ""))
    family = (
        family_of_type(value.get("family"))
        or family_of_type(read_object(Path(name).expanduser() / "config.json").get("model_type"))
        or family_of_name(name)
    )
    if family is None:
        return value
    return {"max_model_len": family.max_model_len, "max_image_side": family.max_image_side} | value


def read_object(path: Path) -> dict[str, Any]:
    """Return the JSON object in a file; {} where there is no file, or something else in it."""
    try:
        value = json.loads(path.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}

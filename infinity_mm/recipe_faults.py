"""What is wrong with a recipe, in the words of one who writes recipes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo

from infinity_mm.nearest import nearest

#: Longest example of a list that is shown, in characters.
_SHOWN = 120


def explain(path: Path, model: type[BaseModel], error: ValidationError, prefix: str = "") -> str:
    """Return a line for each fault: the file, the key behind `prefix`, what was expected and what came.

    `model` is the one that `error` came from.
    """
    lines = []
    for fault in error.errors():
        steps = fault["loc"]
        where = prefix + ".".join(str(step) for step in steps)
        if fault["type"] == "extra_forbidden":
            lines.append(f"{path}: unknown key {where!r}; {nearest(str(steps[-1]), _fields_at(model, steps[:-1]))}")
            continue
        got = "" if fault["type"] == "missing" else f", got {fault['input']!r}"
        said = fault["msg"]
        if fault["type"] == "tuple_type":
            said = f"expected a list{_example(fault['input'], _fields_at(model, steps[:-1]).get(str(steps[-1])))}"
        elif fault["type"] in ("model_type", "dict_type"):
            said = "expected keys and values"
        lines.append(f"{path}: {where}: {said}{got}")
    return "\n".join(lines)


def _example(value: Any, field: FieldInfo | None) -> str:
    """Return what was probably meant, as YAML; "" where that would be too long to read.

    A text may list several items with commas; where items have keys, it is taken for the first that they need.
    """
    items = [part.strip() for part in value.split(",")] if isinstance(value, str) else [value]
    elements = [] if field is None else _models_in(field.annotation)
    needed = [name for one in elements[:1] for name, key in _fields(one).items() if key.is_required()]
    if isinstance(value, str) and needed:
        items = [{needed[0]: item} for item in items]
    text = yaml.safe_dump([] if value is None else items, default_flow_style=True, sort_keys=False, width=2 * _SHOWN)
    return f", e.g. {text.strip()}" if len(text) <= _SHOWN else ""


def _fields_at(model: type[BaseModel], steps: Sequence[int | str]) -> dict[str, FieldInfo]:
    """Return the keys that the (nested) model accepts at a place of a validation error."""
    kinds: list[type[BaseModel]] = [model]
    for step in steps:
        if not isinstance(step, str):
            continue
        chosen = [k for k in kinds if "kind" in k.model_fields and step in get_args(k.model_fields["kind"].annotation)]
        fields = {name: field for kind in kinds for name, field in _fields(kind).items()}
        # A place in a union of kinds names the kind as well.
        kinds = chosen or (_models_in(fields[step].annotation) if step in fields else [])
    return {name: field for kind in kinds for name, field in _fields(kind).items()}


def _fields(model: type[BaseModel]) -> dict[str, FieldInfo]:
    return {field.alias or name: field for name, field in model.model_fields.items()}


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    """Return the models inside ``tuple[M, ...]``, ``M | None`` and the like."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return [annotation] if issubclass(annotation, BaseModel) else []
    return [model for argument in get_args(annotation) for model in _models_in(argument)]

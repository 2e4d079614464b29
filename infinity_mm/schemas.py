"""Renders `schemas/`: JSON Schema of the models, Arrow schemas as JSON. Outputs only; code never reads them."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa
from pydantic import BaseModel

from infinity_mm.ledger import LEDGER, QUARANTINE, LedgerRow
from infinity_mm.manifest import Manifest
from infinity_mm.recipe import Recipe
from infinity_mm.record import Record
from infinity_mm.schema import INGEST_ATTRIBUTES, RECORDS


def render_all() -> dict[str, str]:
    """Return file name -> content of every schema file."""
    models: dict[str, type[BaseModel]] = {"record": Record, "ledger": LedgerRow, "manifest": Manifest, "recipe": Recipe}
    tables = {
        "records": RECORDS,
        "ledger": LEDGER,
        "quarantine": QUARANTINE,
        "ingest_attributes": INGEST_ATTRIBUTES,
    }
    files = {f"{name}.schema.json": _text(model.model_json_schema()) for name, model in models.items()}
    files |= {f"{name}.arrow.json": _text([_field(field) for field in schema]) for name, schema in tables.items()}
    return files


def _text(tree: Any) -> str:
    return json.dumps(tree, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _field(field: pa.Field) -> dict[str, Any]:
    return {"name": field.name, "nullable": field.nullable, "type": _type(field.type)}


def _type(kind: pa.DataType) -> Any:
    if pa.types.is_list(kind):
        return {"list": _field(kind.value_field)}
    if pa.types.is_struct(kind):
        return {"struct": [_field(field) for field in kind]}
    return str(kind)

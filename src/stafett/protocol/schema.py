"""The JSON Schema of the language, made from the model: for editors that complete and check."""

from __future__ import annotations

import json
from typing import Any

import msgspec

from stafett.protocol import units
from stafett.protocol.duration import UNITS, Duration
from stafett.protocol.model import Protocol

PARAMETER = {"type": "string", "pattern": r"^\$\{[a-z][a-z0-9_]*\}$"}


def schema() -> dict[str, Any]:
    """Return the schema (JSON Schema 2020-12) of a protocol file.

    Numbers and units may also be written as `${name}`, a parameter of the product.
    """
    made = msgspec.json.schema(Protocol, schema_hook=_kind)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Stafett protocol, language 1",
        **_parametrised(made),
    }


def text() -> str:
    """Return the schema as JSON text, the same bytes each time."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _kind(kind: type) -> dict[str, Any]:
    if kind is Duration:
        return {
            "type": "string",
            "description": "a number and a unit, like 48 h, or ${parameter}",
            "pattern": rf"^\s*[0-9]+(\.[0-9]+)?\s*({'|'.join(UNITS)})\s*$|{PARAMETER['pattern']}",
        }
    raise NotImplementedError(kind)


def _parametrised(part: Any) -> Any:
    """Let every number also be a parameter."""
    if isinstance(part, list):
        return [_parametrised(entry) for entry in part]
    if not isinstance(part, dict):
        return part
    inner = {key: _parametrised(value) for key, value in part.items()}
    if any(one.get("enum") == list(units.NAMES) for one in inner.get("anyOf", ())):
        inner["anyOf"].insert(1, PARAMETER)
    if inner.get("type") in ("number", "integer"):
        default = {"default": inner.pop("default")} if "default" in inner else {}
        return {"anyOf": [inner, PARAMETER], **default}
    return inner

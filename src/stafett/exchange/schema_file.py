"""JSON Schemas as partners send them: what they describe, and whether our own export is right.

A schema holds no data. What can be said of one is whether it is a schema, what it asks of a
document, and, where that is a log of OCEL 2.0, whether what Stafett exports is valid by it.
"""

from __future__ import annotations

import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import jsonschema_rs
import msgspec

from stafett.exchange.ocel import OcelEvent, OcelJson, OcelObject
from stafett.exchange.problem import Finding, Problem, pointer

Json = dict[str, Any]
MAX_FINDINGS: Final = 100
_OCEL: Final = {"eventTypes", "objectTypes", "events", "objects"}


def looks_so(value: Json) -> bool:
    """Say whether a JSON object is a schema and not a document that names one."""
    return "$schema" in value and bool(
        value.keys() & {"properties", "$defs", "definitions", "$ref"}
    )


def judge(name: str, value: Json) -> tuple[Json, list[Finding]]:
    """Give what a schema asks for, and what of our own export is wrong by it.

    Raises `Problem` 400 if it is no valid schema, or needs another file (none is fetched).
    """
    try:
        validator = jsonschema_rs.validator_for(value, retriever=_refuse, validate_formats=True)
    except (jsonschema_rs.ValidationError, jsonschema_rs.ReferencingError, ValueError) as wrong:
        why = str(wrong).splitlines()[0]
        raise Problem(
            400, "ValidationException", f"{name} is no JSON schema that can be used: {why}"
        ) from None
    asks = value.get("required")
    summary: Json = {"schema": value["$schema"], "title": value.get("title", "–"),
                     "requires": asks if isinstance(asks, list) else []}  # fmt: skip
    properties = value.get("properties")
    if not isinstance(properties, dict) or not properties.keys() >= _OCEL:
        return summary, []
    amiss = [
        Finding(pointer(*error.instance_path), f"our own export: {error.message}")
        for _, error in zip(range(MAX_FINDINGS), validator.iter_errors(_sample()), strict=False)
    ]
    return {**summary, "describes": "OCEL 2.0", "our own export is valid": not amiss}, amiss


def _refuse(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")


def _sample() -> Any:
    """Give a small log with each kind of value, written by the writer that exports journeys."""
    moment = datetime(2026, 1, 1, 8, tzinfo=UTC)
    values = {"text": "a", "whole": 1, "number": 1.5, "truth": True, "time": moment.isoformat()}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sample.json"
        with OcelJson(path) as sink:
            sink.object(OcelObject("J", "journey", values))
            sink.object(OcelObject("M", "material", values, moment, (("J", "journey"),)))
            sink.event(OcelEvent("1", "released", moment, values, (("M", "carried"),)))
        return msgspec.json.decode(path.read_bytes())

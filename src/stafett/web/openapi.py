"""OpenAPI 3.1 from the endpoint table: nothing is described twice."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import msgspec

import stafett
from stafett.web.endpoint import Endpoint, Nothing
from stafett.web.problem import MEDIA_TYPE, Document
from stafett.web.session import SAFE

TEMPLATE = "#/components/schemas/{name}"


def document(endpoints: Iterable[Endpoint], also: Iterable[dict[str, Any]] = ()) -> dict[str, Any]:
    """Return the OpenAPI document of `endpoints`; `also` are parts of one, of what is mounted."""
    table = list(endpoints)
    wanted: list[Any] = [Document]
    for e in table:
        wanted += [kind for kind in (e.body, e.answer) if _is_json(kind)]
        wanted += [e.query] if e.query is not Nothing else []
    found = msgspec.json.schema_components(wanted, ref_template=TEMPLATE)
    schemas, components = (_said_right(list(found[0])), _said_right(found[1]))
    schema_of = {_key(kind): schema for kind, schema in zip(wanted, schemas, strict=True)}
    paths: dict[str, dict[str, Any]] = {}
    for e in table:
        operation = _operation(e, schema_of, components)
        paths.setdefault(re.sub(r":\w+}", "}", e.path), {})[e.method.lower()] = operation
    tags: list[dict[str, Any]] = []
    for part in also:
        paths |= part["paths"]
        components = {**components, **part["components"]["schemas"]}
        tags += part["tags"]
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Stafett",
            "version": stafett.__version__,
            "description": "The shared record and control tower for advanced therapies.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "tags": tags,
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "session": {"type": "apiKey", "in": "cookie", "name": "stafett"},
                "bearer": {"type": "http", "scheme": "bearer"},
            },
        },
    }


def _operation(
    e: Endpoint, schema_of: dict[str, Any], components: dict[str, Any]
) -> dict[str, Any]:
    problem = {"content": {MEDIA_TYPE: {"schema": schema_of[_key(Document)]}}}
    success: dict[str, Any] = {"description": "It worked."}
    if e.status != 204:
        success["content"] = _content(e.answer, schema_of, e.kind)
    answers: dict[str, Any] = {str(e.status): success}
    for status, meaning in _expected(e).items():
        answers[str(status)] = {"description": meaning, **problem}
    operation: dict[str, Any] = {
        "summary": e.summary,
        "operationId": _operation_id(e),
        "tags": [e.tag],
        "parameters": _parameters(e, schema_of, components),
        "responses": answers,
        "security": [] if e.may == "anyone" else [{"session": []}, {"bearer": []}],
        "x-may": e.may,
    }
    if e.body is not Nothing:
        operation["requestBody"] = {"required": True, "content": _content(e.body, schema_of)}
    return operation


def _operation_id(e: Endpoint) -> str:
    words = re.sub(r"[^a-z0-9]+", "_", e.path.lower()).strip("_")
    return f"{e.method.lower()}_{words}"


def _expected(e: Endpoint) -> dict[int, str]:
    table = dict(e.answers)
    if e.may != "anyone":
        table.setdefault(401, "Not signed in.")
        table.setdefault(403, "Not yours to see or do.")
    if "{" in e.path:
        table.setdefault(404, "There is no such thing, or it is not yours.")
    if e.body is not Nothing or e.query is not Nothing:
        table.setdefault(422, "Something in it does not fit; the reasons name the field.")
    if e.body is not Nothing:
        table.setdefault(413, "The body is too large.")
    if e.method not in SAFE and e.paced:
        table.setdefault(429, "Too many acts at once; Retry-After says when to go on.")
    if _is_json(e.body):
        table.setdefault(400, "The body is not JSON.")
        table.setdefault(415, "The body must be application/json.")
    return table


def _parameters(
    e: Endpoint, schema_of: dict[str, Any], components: dict[str, Any]
) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}}
        for name in re.findall(r"{(\w+)(?::\w+)?}", e.path)
    ]
    if e.query is not Nothing:
        schema = components[schema_of[_key(e.query)]["$ref"].rpartition("/")[2]]
        for name, kind in schema["properties"].items():
            required = name in schema.get("required", ())
            found.append({"name": name, "in": "query", "required": required, "schema": kind})
    return found


def _content(
    kind: Any, schema_of: dict[str, Any], written: str = "application/json"
) -> dict[str, Any]:
    if kind is bytes:
        return {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
    if isinstance(kind, str):
        # A file that is JSON is whatever its own format says.
        return {kind: {"schema": {} if kind.endswith("json") else {"type": "string"}}}
    return {written: {"schema": schema_of[_key(kind)]}}


def _said_right(node: Any) -> Any:
    """Leave out the format `duration` (RFC 3339, appendix A): it has no fractions of seconds.

    What is written is ISO 8601, which has them.
    """
    if isinstance(node, dict):
        kept = {k: _said_right(v) for k, v in node.items()}
        if kept.get("format") == "duration":
            del kept["format"]
            kept.setdefault("description", "A duration as ISO 8601 has it: PT6.9S")
        return kept
    return [_said_right(one) for one in node] if isinstance(node, list) else node


def _is_json(kind: Any) -> bool:
    return kind is not Nothing and kind is not bytes and not isinstance(kind, str)


def _key(kind: Any) -> str:
    return repr(kind)

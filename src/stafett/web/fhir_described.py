"""What `/openapi.json` says of `/fhir`: made of the tables that the searches are read by.

FHIR's own answer to "what can this server do" is `GET metadata`; this says the same to whoever
makes a client from an OpenAPI document, and to whoever tries each address with made-up input.
"""

from __future__ import annotations

from typing import Any, Final

from stafett.exchange.fhir_along import includable, revincludable
from stafett.exchange.fhir_parameters import parameters, references, types
from stafett.exchange.fhir_part import SUMMARIES
from stafett.exchange.fhir_search import DEFAULT_COUNT, MAX_COUNT
from stafett.exchange.fhir_sort import sortable
from stafett.service.fhir import PUBLIC
from stafett.service.fhir_along import OTHERS

Json = dict[str, Any]
MEDIA_TYPE: Final = "application/fhir+json"
FORM: Final = "application/x-www-form-urlencoded"
VERSIONS: Final = ("R5", "R4B", "R4")
_SIGNED_IN: Final[list[Json]] = [{"session": []}, {"bearer": []}]
_MEANT: Final = {
    "token": "A code, `system|code`, `|code` or `system|`; several with commas.",
    "reference": "`Type/id` or an id; several with commas.",
    "date": "A date or a time with its zone, with eq, ne, gt, lt, ge, le, sa, eb before it.",
    "text": "A part of the text, in any case.",
}
_SAID: Final = {
    400: "Something in it is not understood; the place is named.",
    401: "Not signed in.",
    403: "Not yours to see or do, or the token is missing.",
    404: "There is no such thing, or it is not yours.",
    405: "That is not done to this type: it is a view of the record.",
    406: "Of forms there is only JSON.",
    409: "It goes against what is there.",
    413: "More than is taken or given at once.",
    414: "The query is too long.",
    415: "Send application/fhir+json, not compressed.",
    422: "It is FHIR, and cannot be done; the place is named.",
    429: "Too many acts at once; Retry-After says when to go on.",
}


def described() -> Json:
    """Return paths, schemas and the tag of FHIR, to be part of an OpenAPI document."""
    paths: Json = {
        "/fhir/{version}/metadata": {"get": _metadata()},
        "/fhir/{version}": {"post": _transaction()},
        "/fhir/{version}/Bundle/$validate": {"post": _validate("Bundle", VERSIONS)},
    }
    for kind in dict.fromkeys((*types("R5"), *types("R4B"))):
        paths |= _of_type(kind, tuple(v for v in VERSIONS if kind in types(_model(v))))
    return {"paths": paths, "components": {"schemas": _schemas()}, "tags": [_TAG]}


_TAG: Final = {
    "name": "fhir",
    "description": "A view of the record as FHIR resources. GET metadata is FHIR's own list.",
    "externalDocs": {"url": "https://hl7.org/fhir/R5/http.html"},
}


def _model(version: str) -> str:
    return "R5" if version == "R5" else "R4B"


def _of_type(kind: str, versions: tuple[str, ...]) -> Json:
    under = f"/fhir/{{version}}/{kind}"
    paths: Json = {
        under: {"get": _search(kind, versions)},
        f"{under}/_search": {"post": _search(kind, versions, form=True)},
        f"{under}/{{id}}": {"get": _read(kind, versions)},
        f"{under}/$validate": {"post": _validate(kind, versions)},
        f"{under}/{{id}}/$validate": {"get": _validate(kind, versions, "get"),
                                      "post": _validate(kind, versions, "one")},
    }  # fmt: skip
    if kind == "Subscription":
        paths[under]["post"] = _operation(
            kind, versions, "Be told by a rest-hook when an order changes", 201, (403, 415, 422),
            answer=kind, body=kind, name="create",
        )  # fmt: skip
        paths[f"{under}/{{id}}"]["delete"] = _operation(
            kind, versions, "End a subscription", 204, (), name="delete", one=True
        )
    if kind not in (*OTHERS, *PUBLIC):
        paths[f"{under}/{{id}}/_history"] = {"get": _operation(
            kind, versions, "One resource as it was after each event", 200, (), answer="Bundle",
            name="history", one=True,
        )}  # fmt: skip
        paths[f"{under}/{{id}}/_history/{{number}}"] = {"get": _operation(
            kind, versions, "One resource as it was at a version", 200, (), answer=kind,
            name="vread", one=True, more=[_parameter("number", "path")],
        )}  # fmt: skip
    return paths


def _search(kind: str, versions: tuple[str, ...], form: bool = False) -> Json:
    asked = [
        _parameter(name, said=_MEANT[what])
        for name, (what, _) in parameters(kind).items()
    ]  # fmt: skip
    if "patient" in parameters(kind):
        asked.append(_parameter("patient.identifier", said=_MEANT["token"]))
    asked += _controls(kind)
    operation = _operation(
        kind, versions, f"Search {kind}", 200, (413, 414), answer="Bundle",
        name="search_form" if form else "search", more=[] if form else asked,
    )  # fmt: skip
    if form:
        fields = {one["name"]: one["schema"] for one in asked}
        schema = {"type": "object", "properties": fields, "additionalProperties": False}
        operation["requestBody"] = {"content": {FORM: {"schema": schema}}}
    return operation


def _controls(kind: str) -> list[Json]:
    sorts = f"With commas, - for down: {', '.join(sortable(kind))}"
    found = [
        _parameter("_count", said=f"Resources of a page ({DEFAULT_COUNT}, at most {MAX_COUNT}).",
                   schema={"type": "integer", "minimum": 0}),
        _parameter("_total", schema={"enum": ["none", "accurate", "estimate"]}),
        _parameter("_summary", schema={"enum": list(SUMMARIES)}),
        _parameter("_elements", said="Names of elements at the top, with commas."),
        _parameter("_sort", said=sorts),
        _parameter("_page", said="Of the Bundle's link `next`."),
        *_written(),
    ]  # fmt: skip
    along = tuple(includable(kind)) if references(kind) else ()
    back = tuple(dict.fromkeys(r for v in ("R5", "R4B") for r in revincludable(kind, v)))
    for name, some in (("_include", along), ("_revinclude", back)):
        if some:
            found.append(_parameter(name, said=f"{', '.join(some)}; also with :iterate."))
    return found


def _read(kind: str, versions: tuple[str, ...]) -> Json:
    more = [
        _parameter("_summary", schema={"enum": list(SUMMARIES[:-1])}),
        _parameter("_elements"),
        *_written(),
        _parameter("If-None-Match", "header"),
    ]
    operation = _operation(
        kind, versions, f"Read one {kind}", 200, (), answer=kind, name="read", more=more, one=True
    )
    operation["responses"]["304"] = {"description": "It is as it was: If-None-Match is its ETag."}
    return operation


def _validate(kind: str, versions: tuple[str, ...], way: str = "") -> Json:
    more = [_parameter("mode", schema={"enum": ["create", "update", "profile"]})]
    return _operation(
        kind, versions, f"Say whether a {kind} is right, and keep nothing", 200, (415, 422),
        answer="OperationOutcome", name=f"validate_{way}".rstrip("_"), one=way != "", more=more,
        body="" if way == "get" else "Resource", needed=way == "",
    )  # fmt: skip


def _metadata() -> Json:
    operation = _operation(
        "", VERSIONS, "What this server can do", 200, (), answer="CapabilityStatement",
        name="metadata", more=_written(),
    )  # fmt: skip
    return operation | {"security": []}


def _transaction() -> Json:
    return _operation(
        "", VERSIONS, "Open a journey by an order: a transaction Bundle of one Patient and one "
        "ServiceRequest", 200, (403, 409, 415, 422), answer="Bundle", body="Bundle", name="order",
    )  # fmt: skip


def _operation(
    kind: str, versions: tuple[str, ...], summary: str, status: int, also: tuple[int, ...], *,
    name: str, answer: str = "", body: str = "", needed: bool = True, one: bool = False,
    more: list[Json] | None = None,
) -> Json:  # fmt: skip
    success: Json = {"description": "It worked."}
    if answer:
        success["content"] = _content(answer)
    refused = {400, 401, 403, 404, 406, *also}
    refused |= {413, 429} if body or name == "delete" else set()
    operation: Json = {
        "summary": summary,
        "operationId": "_".join(part for part in ("fhir", name, kind) if part),
        "tags": ["fhir"],
        "parameters": [
            _parameter("version", "path", schema={"enum": list(versions)}),
            *([_parameter("id", "path")] if one else []),
            *(more or []),
        ],
        "responses": {
            str(status): success,
            **{str(code): {"description": _SAID[code], "content": _content("OperationOutcome")}
               for code in sorted(refused)},
        },
        "security": [] if kind in PUBLIC and name in ("read", "search") else _SIGNED_IN,
    }  # fmt: skip
    if body:
        operation["requestBody"] = {"required": needed, "content": _content(body)}
    return operation


def _written() -> list[Json]:
    return [
        _parameter("_format", schema={"enum": ["json", MEDIA_TYPE, "application/json"]}),
        _parameter("_pretty", schema={"enum": ["true", "false"]}),
    ]


def _parameter(name: str, where: str = "query", said: str = "", schema: Json | None = None) -> Json:
    found = {"name": name, "in": where, "required": where == "path",
             "schema": {"type": "string"} if schema is None else schema}  # fmt: skip
    return found | ({"description": said} if said else {})


def _content(name: str) -> Json:
    return {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/fhir.{name}"}}}


def _schemas() -> Json:
    """Say what each resource is known by; the rest is the standard's, and `$validate` holds it."""
    kinds = dict.fromkeys((*types("R5"), *types("R4B"), "CapabilityStatement"))
    schemas = {f"fhir.{kind}": _resource(kind) for kind in kinds}
    schemas["fhir.Resource"] = _resource("")
    issue = {"type": "object", "required": ["severity", "code"], "properties": {
        "severity": {"enum": ["fatal", "error", "warning", "information"]},
        "code": {"type": "string"}, "diagnostics": {"type": "string"},
        "expression": {"type": "array", "items": {"type": "string"}},
    }}  # fmt: skip
    schemas["fhir.OperationOutcome"] = _resource(
        "OperationOutcome", issue={"type": "array", "minItems": 1, "items": issue}
    )
    schemas["fhir.OperationOutcome"]["required"].append("issue")
    entry = {"type": "object", "properties": {
        "fullUrl": {"type": "string"}, "resource": {"$ref": "#/components/schemas/fhir.Resource"},
        "search": {"type": "object"}, "request": {"type": "object"}, "response": {"type": "object"},
    }}  # fmt: skip
    link = {"type": "object", "required": ["relation", "url"], "properties": {
        "relation": {"type": "string"}, "url": {"type": "string"},
    }}  # fmt: skip
    schemas["fhir.Bundle"] = _resource(
        "Bundle", type={"type": "string"}, total={"type": "integer", "minimum": 0},
        link={"type": "array", "items": link}, entry={"type": "array", "items": entry},
    )  # fmt: skip
    schemas["fhir.Bundle"]["required"].append("type")
    return schemas


def _resource(kind: str, **properties: Json) -> Json:
    named: Json = {"const": kind} if kind else {"type": "string"}
    known = {"resourceType": named, "id": {"type": "string"}, "meta": {"type": "object"}}
    return {"type": "object", "required": ["resourceType"], "properties": {**known, **properties}}

"""`$validate`: whether a resource is right, and could be taken, before anybody relies on it. Pure.

After the OperationDefinition Resource-validate of FHIR R5: the resource stands alone or in
Parameters, with `mode` and `profile` beside it or in the address. A transaction Bundle is held to
what an order needs as well. It is judged by the very code that reads what is sent to be kept.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from stafett.exchange import fhir_extra, fhir_order, fhir_read
from stafett.exchange.fhir_parameters import wrong
from stafett.exchange.problem import Finding, Problem, pointer

Json = dict[str, Any]
MODES: Final = ("create", "update", "profile")
KNOWN: Final = frozenset({"mode", "profile", "_format", "_pretty"})


def wrapped(body: Json) -> tuple[Json | None, dict[str, str]]:
    """Take a resource out of its Parameters: the resource, if there is one, and what is asked."""
    if body.get("resourceType") != "Parameters":
        return body, {}
    found: Json | None = None
    asked: dict[str, str] = {}
    parts = body.get("parameter", [])
    for i, one in enumerate(parts if isinstance(parts, list) else [None]):
        where = pointer("parameter", i)
        if not isinstance(one, dict):
            why = "a parameter is an object with its name"
            raise Problem(400, "ValidationException", f"{where}: {why}", [Finding(where, why)])
        name = one.get("name")
        if name == "resource" and isinstance(one.get("resource"), dict):
            found = one["resource"]
        else:
            values = [v for k, v in one.items() if k.startswith("value")]
            asked[str(name)] = str(values[0]) if values else ""
    return found, asked


def mode_asked(asked: Mapping[str, str]) -> None:
    """Raise `Problem` 400 for what is asked and not done here: never a judgement by half."""
    for name in asked:
        if name not in KNOWN:
            raise wrong(name[:80], "$validate takes a resource, mode and profile")
    mode = asked.get("mode")
    if mode is not None and mode not in MODES:
        raise wrong("mode", f"{mode[:80]!r} is not done here: {', '.join(MODES)}")
    if asked.get("profile"):
        why = "profiles are not known here: resources are held to the base definition"
        raise wrong("profile", why)


def validation(given: Json, kind: str, id_: str | None, version: str) -> Json:
    """Judge a resource that was sent to `kind` (and to `id_`) as an OperationOutcome."""
    said = given.get("resourceType")
    if said != kind:
        why = f"the resource is {said!r}, and was sent to {kind}"
        return fhir_extra.validation(kind, [Finding("/resourceType", why)], [])
    try:
        errors, remarks = fhir_read.validate(given, version)
        if kind == "Bundle" and given.get("type") == "transaction" and not errors:
            fhir_order.read(given)
        if kind == "Subscription" and not errors:
            fhir_extra.wish(given)
    except Problem as problem:
        found = problem.findings or [Finding("", problem.detail)]
        errors, remarks = [*found], []
    if id_ is not None and given.get("id") != id_:
        errors.append(Finding("/id", f"the id is not {id_!r}, the one in the address"))
    return fhir_extra.validation(kind, errors, remarks)

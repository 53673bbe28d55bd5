"""An order as a FHIR transaction: one ServiceRequest for one Patient opens one journey.

| In the bundle | In the order |
|---|---|
| `Patient.identifier` of system `urn:stafett:wristband` | the wristband number (vault only) |
| `ServiceRequest.code` coding of `urn:stafett:protocol` | the protocol |
| `ServiceRequest.code` coding of `urn:stafett:product` | the product |
| `ServiceRequest.performer` identifier of `urn:stafett:network` | the network |
| `ServiceRequest.requester` identifier of `urn:stafett:role` | the role in which you order |
| `ServiceRequest.identifier` of the CoI's system | a chain of identity issued elsewhere |

Anything else is refused rather than left out: an order is not half understood. What FHIR itself
lets a reader pass over (narrative, extensions that modify nothing) is, and so are identifiers and
codings of other systems, which say the same thing to somebody else.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import msgspec

from stafett.exchange.epcis import MAX_DEPTH, too_deep
from stafett.exchange.fhir_read import COI, picture
from stafett.exchange.problem import Finding, Problem, pointer

Json = dict[str, Any]
WRISTBAND: Final = "urn:stafett:wristband"
PROTOCOL: Final = "urn:stafett:protocol"
PRODUCT: Final = "urn:stafett:product"
NETWORK: Final = "urn:stafett:network"
ROLE: Final = "urn:stafett:role"
# What an order has a place for. All else is named: `doNotPerform`, `modifierExtension`, an
# occurrence or a priority left out would make another order of it.
_COMMON: Final = ("resourceType", "id", "meta", "language", "text", "extension", "identifier")
_FIELDS: Final = {
    "Patient": frozenset((*_COMMON, "active")),
    "ServiceRequest": frozenset(
        (*_COMMON, "status", "intent", "code", "subject", "performer", "requester", "authoredOn")
    ),
}


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What is ordered; what the sender may leave open is None."""

    protocol: str
    product: str | None
    network: str | None
    role: str | None
    wristband: str
    coi: str | None


def read(body: Json) -> Wanted:
    """Read a transaction Bundle; raise `Problem` with every finding where it is no order."""
    if too_deep(body):
        raise Problem(400, "ValidationException", f"it nests deeper than {MAX_DEPTH} levels")
    if body.get("resourceType") != "Bundle" or body.get("type") != "transaction":
        raise Problem(422, "ValidationException", "an order is a Bundle of type transaction")
    seen = picture(body)
    errors = list(seen.errors)
    entries = body.get("entry", [])
    found: dict[str, list[tuple[str, Json]]] = {"Patient": [], "ServiceRequest": []}
    for i, entry in enumerate(entries):
        where = pointer("entry", i, "resource")
        kind = entry["resource"]["resourceType"]
        if kind not in found:
            errors.append(Finding(where, f"{kind} is no part of an order here"))
            continue
        found[kind].append((where, entry["resource"]))
        request = entry.get("request")
        if not isinstance(request, dict) or (request.get("method"), request.get("url")) != (
            "POST", kind,
        ):  # fmt: skip
            there = pointer("entry", i, "request")
            errors.append(Finding(there, f"method POST and url {kind!r} are needed"))
        for field in sorted(
            request.keys() - {"method", "url"} if isinstance(request, dict) else ()
        ):
            why = "conditions are not heeded here; the same bundle again opens nothing anyway"
            errors.append(Finding(pointer("entry", i, "request", field), why))
        for field in sorted(entry["resource"].keys() - _FIELDS[kind]):
            why = f"an order here has no place for {field}; leave it out if it changes nothing"
            errors.append(Finding(where + pointer(field), why))
    for kind, those in found.items():
        if len(those) != 1:
            errors.append(Finding("/entry", f"exactly one {kind}; there are {len(those)}"))
    if errors:
        raise Problem(422, "ValidationException", "this is not an order", errors)
    (where_p, patient), (where_s, request) = found["Patient"][0], found["ServiceRequest"][0]
    codings = list(_codings(request.get("code")))
    named = list(_named(patient.get("identifier")))
    performer = list(_named(_identifiers(request.get("performer"))))
    requester = list(_named(_identifiers([request.get("requester")])))
    ordered = list(_named(request.get("identifier")))

    def one(pairs: list[tuple[str, str]], system: str, where: str) -> str | None:
        values = {value for said, value in pairs if said == system}
        if len(values) > 1:  # the first would do for a machine, and be somebody else's
            errors.append(Finding(where, f"{len(values)} values of system {system!r}: which one?"))
        return min(values, default=None)

    wanted = Wanted(
        protocol=one(codings, PROTOCOL, where_s + "/code") or "",
        product=one(codings, PRODUCT, where_s + "/code"),
        network=one(performer, NETWORK, where_s + "/performer"),
        role=one(requester, ROLE, where_s + "/requester"),
        wristband=one(named, WRISTBAND, where_p + "/identifier") or "",
        coi=one(ordered, COI, where_s + "/identifier"),
    )
    if patient.get("active", True) is not True:
        errors.append(Finding(where_p + "/active", "the patient's record is not in use"))
    if not wanted.protocol:
        errors.append(Finding(where_s + "/code", f"a coding of system {PROTOCOL!r} is missing"))
    if not 4 <= len(wanted.wristband) <= 80:
        why = f"an identifier of system {WRISTBAND!r} with 4 to 80 characters is missing"
        errors.append(Finding(where_p + "/identifier", why))
    subject = request.get("subject")
    names = {f"Patient/{patient.get('id')}", entries[_index(entries, patient)].get("fullUrl")}
    if not isinstance(subject, dict) or subject.get("reference") not in names:
        errors.append(Finding(where_s + "/subject", "it must be the Patient of this bundle"))
    if request.get("intent") not in ("order", "original-order"):
        errors.append(Finding(where_s + "/intent", "only an order opens a journey"))
    if request.get("status") != "active":
        errors.append(Finding(where_s + "/status", "only an active order opens a journey"))
    if errors:
        raise Problem(422, "ValidationException", "this is not an order", errors)
    return wanted


def response(body: Json, made: Sequence[tuple[str, str]], replayed: bool) -> Json:
    """Return the transaction-response: where each entry of the order now is, in its order."""
    entries = []
    for entry in body["entry"]:
        kind = entry["resource"]["resourceType"]
        name, version = next(one for one in made if one[0].startswith(kind + "/"))
        entries.append(
            {
                "response": {
                    "status": "200 OK" if replayed else "201 Created",
                    "location": f"{name}/_history/{version}",
                    "etag": f'W/"{version}"',
                }
            }
        )
    return {"resourceType": "Bundle", "type": "transaction-response", "entry": entries}


def _index(entries: list[Json], resource: Json) -> int:
    return next(i for i, entry in enumerate(entries) if entry["resource"] is resource)


def _codings(code: Any) -> Iterator[tuple[str, str]]:
    concept = code.get("concept", code) if isinstance(code, dict) else {}
    for coding in concept.get("coding", ()) if isinstance(concept, dict) else ():
        if isinstance(coding, dict) and isinstance(coding.get("code"), str):
            yield str(coding.get("system")), coding["code"]


def _identifiers(references: Any) -> list[Json]:
    found = references if isinstance(references, list) else []
    return [r["identifier"] for r in found if isinstance(r, dict) and "identifier" in r]


def _named(identifiers: Any) -> Iterator[tuple[str, str]]:
    """Give (system, value) of identifiers that are in use: an old one may be somebody else's."""
    for one in identifiers if isinstance(identifiers, list) else []:
        if isinstance(one, dict) and one.get("use") != "old" and isinstance(one.get("value"), str):
            yield str(one.get("system")), one["value"]

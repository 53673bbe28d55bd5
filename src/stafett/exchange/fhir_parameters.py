"""What FHIR resources are searched by, type by type, and what their references lead to. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final, Literal

from stafett.exchange.problem import Finding, Problem

Json = dict[str, Any]
Kind = Literal["token", "reference", "date", "text"]
# Where a parameter looks: dotted paths; a list is looked into.
Paths = tuple[Kind, tuple[str, ...]]

_ALL: Final[dict[str, Paths]] = {
    "_id": ("token", ("id",)),
    "_lastUpdated": ("date", ("meta.lastUpdated",)),
    "identifier": ("token", ("identifier",)),
}
BY_PATIENT: Final[Paths] = ("token", ("#identifier",))
_PATIENT: Final[Paths] = ("reference", ("subject", "for", "patient", "#patient"))
PARAMETERS: Final[dict[str, dict[str, Paths]]] = {
    "Patient": {},
    "Organization": {"name": ("text", ("name",))},
    "ServiceRequest": {
        "patient": _PATIENT, "subject": _PATIENT, "status": ("token", ("status",)),
        "requester": ("reference", ("requester",)), "authored": ("date", ("authoredOn",)),
    },
    "Task": {
        "patient": _PATIENT, "status": ("token", ("status",)), "owner": ("reference", ("owner",)),
        "requester": ("reference", ("requester",)), "focus": ("reference", ("focus",)),
        "authored-on": ("date", ("authoredOn",)), "modified": ("date", ("lastModified",)),
    },
    "Specimen": {
        "patient": _PATIENT, "subject": _PATIENT,
        "collected": ("date", ("collection.collectedDateTime",)),
    },
    "BiologicallyDerivedProduct": {
        "patient": _PATIENT, "status": ("token", ("productStatus", "status")),
        "product-status": ("token", ("productStatus",)),
        "product-category": ("token", ("productCategory",)),
        "biological-source-event": ("token", ("biologicalSourceEvent",)),
    },
    "BiologicallyDerivedProductDispense": {
        "patient": _PATIENT, "status": ("token", ("status",)),
        "product": ("reference", ("product",)),
    },
    "Transport": {
        "patient": _PATIENT, "status": ("token", ("status",)), "focus": ("reference", ("focus",)),
    },
    "SupplyDelivery": {
        "patient": _PATIENT, "status": ("token", ("status",)),
        "supplier": ("reference", ("supplier",)),
    },
    "Provenance": {
        "patient": _PATIENT, "target": ("reference", ("target",)),
        "recorded": ("date", ("recorded",)), "agent": ("reference", ("agent.who",)),
    },
    "AuditEvent": {
        "date": ("date", ("recorded",)), "entity": ("reference", ("entity.what",)),
        "patient": _PATIENT,
    },
    "ResearchStudy": {
        "status": ("token", ("status",)), "title": ("text", ("title",)),
        "condition": ("text", ("condition.text", "condition.coding.display")),
    },
    "Subscription": {
        "status": ("token", ("status",)), "url": ("text", ("endpoint", "channel.endpoint")),
    },
}  # fmt: skip
# What a bare code is of, by the value set that its element is bound to: who asks `system|code` for
# it finds it (FHIR R5, 3.2.1.5.12). ResearchStudy has another one in R4B than in R5.
_HL7: Final = "http://hl7.org/fhir/"
_STATUS: Final = {
    "ServiceRequest": ("request-status",), "Task": ("task-status",),
    "BiologicallyDerivedProduct": ("product-status",),
    "BiologicallyDerivedProductDispense": ("biologicallyderivedproductdispense-status",),
    "Transport": ("transport-status",), "SupplyDelivery": ("supplydelivery-status",),
    "ResearchStudy": ("publication-status", "research-study-status"),
    "Subscription": ("subscription-status",),
}  # fmt: skip
_R5_ONLY: Final = ("Transport", "BiologicallyDerivedProductDispense")
_R4B_ONLY: Final = ("SupplyDelivery",)

# What the references of a parameter lead to, in the resources that `fhir_write` makes.
_THING: Final = ("BiologicallyDerivedProduct", "Specimen")
_LEADS: Final[dict[str, tuple[str, ...]]] = {
    "patient": ("Patient",), "subject": ("Patient",), "requester": ("Organization",),
    "owner": ("Organization",), "supplier": ("Organization",), "agent": ("Organization",),
    "focus": _THING, "product": ("BiologicallyDerivedProduct",),
    "target": (*_THING, "ServiceRequest"), "entity": ("ServiceRequest",),
}  # fmt: skip


def types(version: str) -> tuple[str, ...]:
    """Return the resource types of a FHIR version."""
    not_here = _R4B_ONLY if version == "R5" else _R5_ONLY
    return tuple(t for t in PARAMETERS if t not in not_here)


def parameters(kind: str) -> dict[str, Paths]:
    """Return the search parameters of a resource type."""
    return {**_ALL, **PARAMETERS[kind]}


def systems(kind: str, name: str) -> tuple[str, ...]:
    """Return the systems that a bare code under a parameter of a type is of; () for others."""
    if (kind, name) == ("BiologicallyDerivedProduct", "product-category"):
        return (_HL7 + "product-category",)
    return tuple(_HL7 + one for one in _STATUS.get(kind, ())) if name == "status" else ()


def references(kind: str) -> dict[str, tuple[str, ...]]:
    """Return the parameters of a type that are references, with the types they lead to."""
    return {n: _LEADS[n] for n, (what, _) in parameters(kind).items() if what == "reference"}


def values_at(resource: Json, paths: Iterable[str], about: Mapping[str, Any]) -> list[Any]:
    """Give what a parameter looks at."""
    found: list[Any] = []
    for path in paths:
        if path.startswith("#"):
            found += [about[path[1:]]] if path[1:] in about else []
        else:
            found += list(_at(resource, path.split(".")))
    return found


def _at(node: Any, path: Sequence[str]) -> Iterable[Any]:
    if isinstance(node, list):
        for one in node:
            yield from _at(one, path)
    elif not path:
        yield node
    elif isinstance(node, dict) and path[0] in node:
        yield from _at(node[path[0]], path[1:])


def wrong(name: str, why: str) -> Problem:
    """Refuse a parameter, with its name as the place."""
    return Problem(400, "QueryParameterException", f"{name}: {why}", [Finding(name, why)])

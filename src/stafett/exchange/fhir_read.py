"""FHIR bundles in: what they say of orders, products, transports and handoffs.

R5 and R4B (and R4 where a resource did not change) are told apart by what only one of them has:
`BiologicallyDerivedProduct` is incompatible between them, `Transport` and
`BiologicallyDerivedProductDispense` are R5 only. With the extra `stafett[fhir]` each resource is
validated by `fhir.resources`; without it only structure and references are looked at, and that is
said. Direct identifiers of a patient (names, addresses, dates of birth) are refused: they belong in
the hospital's own vault, Stafett is told a pseudonym.
"""

from __future__ import annotations

import importlib.util
from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

import msgspec

from stafett.exchange.epcis import DEEP, deep, parse, too_deep
from stafett.exchange.problem import Finding, Problem, pointer

Json = dict[str, Any]

COI: Final = "https://www.isbt128.org/uri/ChainOfIdentityIdentifier"
DIN: Final = "https://www.isbt128.org/uri/DonationIdentificationNumber"
PDC: Final = "https://www.isbt128.org/uri/ProductDescriptionCode"
MAX_BYTES: Final = 32 * 1024 * 1024
MAX_ENTRIES: Final = 20_000
VERSIONS: Final = ("R5", "R4B")
_R5_ONLY: Final = frozenset(("Transport", "BiologicallyDerivedProductDispense"))
_DIRECT: Final = ("name", "telecom", "address", "birthDate", "photo", "contact")


class Product(msgspec.Struct, frozen=True):
    """A biologically derived product: identifiers by system, what it was made from."""

    reference: str
    identifiers: dict[str, str]
    parents: tuple[str, ...]
    coi: str | None
    din: str | None
    collected: str | None
    status: str | None


class Order(msgspec.Struct, frozen=True):
    """A request for a therapy, as a transaction bundle brings it."""

    reference: str
    patient: str
    status: str
    code: str | None
    requester: str | None
    performer: str | None
    wanted: str | None
    identifiers: dict[str, str]


class Picture(msgspec.Struct, frozen=True):
    """What a bundle says. `errors` make it unusable; `remarks` do not."""

    version: str
    kind: str
    counts: dict[str, int]
    patients: dict[str, str]
    products: tuple[Product, ...]
    orders: tuple[Order, ...]
    handoffs: tuple[tuple[str, str, str], ...]
    errors: tuple[Finding, ...]
    remarks: tuple[Finding, ...]


def read_bundle(data: bytes) -> Picture:
    """Read a FHIR Bundle (or a single resource) in JSON; raise `Problem` 400/413 if it is none."""
    value = parse(data, max_bytes=MAX_BYTES)
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise Problem(400, "ValidationException", "a FHIR document is an object with resourceType")
    if too_deep(value):
        raise Problem(400, "ValidationException", DEEP, [deep(value)])
    return picture(value)


def picture(value: Json) -> Picture:
    """Say what a parsed bundle holds."""
    entries = list(_resources(value))
    version = version_of([r for _, _, r in entries])
    errors, remarks = _check(entries, version)
    known = {name for _, name, _ in entries if name}
    for where, _, resource in entries:
        errors += _direct(where, resource)
        for place, reference in _references(resource, where):
            if _local(reference) and reference not in known:
                remarks.append(Finding(place, f"{reference!r} is not in the bundle"))
    return Picture(
        version=version,
        kind=str(value.get("type", value["resourceType"])),
        counts=dict(Counter(r["resourceType"] for _, _, r in entries)),
        patients={
            name: _first(r) or name for _, name, r in entries if r["resourceType"] == "Patient"
        },
        products=tuple(
            _product(name, r)
            for _, name, r in entries
            if r["resourceType"] == "BiologicallyDerivedProduct"
        ),
        orders=tuple(_order(n, r) for _, n, r in entries if r["resourceType"] == "ServiceRequest"),
        handoffs=tuple(h for _, _, r in entries for h in _handoffs(r)),
        errors=tuple(errors),
        remarks=tuple(remarks),
    )


def validate(value: Json, version: str) -> tuple[list[Finding], list[Finding]]:
    """Hold one resource (a Bundle with all in it) to a FHIR version: (errors, remarks)."""
    errors, remarks = _check([("", _name(value), value)], version)
    for where, _, resource in _resources(value):
        errors += _direct(where, resource)
    return errors, remarks


def version_of(resources: list[Json]) -> str:
    """Tell R5 from R4B by what only one of them has; R5 where nothing tells."""
    for resource in resources:
        kind = resource["resourceType"]
        if kind in _R5_ONLY:
            return "R5"
        if kind == "SupplyDelivery" and isinstance(resource.get("suppliedItem"), dict):
            return "R4B"
        if kind == "ServiceRequest" and isinstance(resource.get("code"), dict):
            return "R5" if {"concept", "reference"} & resource["code"].keys() else "R4B"
        if kind == "BiologicallyDerivedProduct":
            if isinstance(resource.get("productCategory"), str) or "storage" in resource:
                return "R4B"
            if "biologicalSourceEvent" in resource or "productStatus" in resource:
                return "R5"
    return "R5"


def validated() -> bool:
    """Tell whether `fhir.resources` is installed, so that resources are validated."""
    return importlib.util.find_spec("fhir") is not None and (
        importlib.util.find_spec("fhir.resources") is not None
    )


def _resources(value: Json) -> Iterator[tuple[str, str, Json]]:
    if value["resourceType"] != "Bundle":
        yield "", _name(value), value
        return
    entries = value.get("entry", [])
    if not isinstance(entries, list):
        raise _broken("/entry", "the entries of a bundle are a list")
    if len(entries) > MAX_ENTRIES:
        raise Problem(
            413, "CaptureLimitExceededException",
            f"the bundle has {len(entries):,} entries; this takes {MAX_ENTRIES:,} at a time",
        )  # fmt: skip
    for i, entry in enumerate(entries):
        where = pointer("entry", i, "resource")
        resource = entry.get("resource") if isinstance(entry, dict) else None
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise _broken(where, "an entry needs a resource with its resourceType")
        yield where, _name(resource), resource


def _broken(where: str, why: str) -> Problem:
    return Problem(400, "ValidationException", f"{where}: {why}", [Finding(where, why)])


def _name(resource: Json) -> str:
    identifier = resource.get("id")
    return f"{resource['resourceType']}/{identifier}" if isinstance(identifier, str) else ""


def _check(
    entries: list[tuple[str, str, Json]], version: str
) -> tuple[list[Finding], list[Finding]]:
    errors: list[Finding] = []
    remarks: list[Finding] = []
    if not validated():
        remarks.append(
            Finding("", "not validated resource by resource: install stafett[fhir] for that")
        )
        return errors, remarks
    model_of = _models(version)
    for where, _, resource in entries:
        try:
            model_of(resource["resourceType"]).model_validate(resource)
        except KeyError:
            errors.append(
                Finding(where, f"{resource['resourceType']!r} is no resource of FHIR {version}")
            )
        except ValueError as wrong:
            errors += list(_mistakes(where, wrong))
    return errors[:50], remarks


def _models(version: str) -> Any:
    # Imported only when a bundle is read: half a second that other commands need not wait.
    if version == "R4B":
        from fhir.resources.R4B import get_fhir_model_class as get
    else:
        from fhir.resources import get_fhir_model_class as get
    return get


def _mistakes(where: str, wrong: ValueError) -> Iterator[Finding]:
    details = getattr(wrong, "errors", None)
    if details is None:
        yield Finding(where, str(wrong)[:300])
        return
    for item in details():
        yield Finding(where + pointer(*item["loc"]), str(item["msg"])[:300])


def _direct(where: str, resource: Json) -> list[Finding]:
    if resource["resourceType"] not in ("Patient", "RelatedPerson", "Person"):
        return []
    return [
        Finding(
            where + pointer(field),
            "identifies the patient directly; send a pseudonym and keep this in your own vault",
        )
        for field in _DIRECT
        if resource.get(field)
    ]


def _references(node: Any, where: str) -> Iterator[tuple[str, str]]:
    if isinstance(node, dict):
        reference = node.get("reference")
        if isinstance(reference, str):
            yield where + "/reference", reference
        for key, value in node.items():
            if isinstance(value, dict | list):
                yield from _references(value, where + pointer(key))
    elif isinstance(node, list):
        for i, value in enumerate(node):
            yield from _references(value, where + pointer(i))


def _local(reference: str) -> bool:
    # References to people, organisations and places are often by agreement, not in the bundle.
    kind = reference.split("/")[0]
    return (
        "/" in reference
        and kind not in ("Organization", "Location", "Practitioner")
        and ("://" not in reference and not reference.startswith("urn:"))
    )


def _dicts(value: Any) -> list[Json]:
    """Give the objects of a list, or the object alone; nothing else (validation says what)."""
    items = value if isinstance(value, list) else [value]
    return [i for i in items if isinstance(i, dict)]


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _identifiers(resource: Json) -> dict[str, str]:
    return {
        _text(i.get("system")) or "": i["value"]
        for i in _dicts(resource.get("identifier"))
        if isinstance(i.get("value"), str)
    }


def _first(resource: Json) -> str | None:
    return next(iter(_identifiers(resource).values()), None)


def _reference(value: Any) -> str | None:
    return _text(value.get("reference")) if isinstance(value, dict) else None


def _product(name: str, resource: Json) -> Product:
    identifiers = _identifiers(resource)
    for event in _dicts(resource.get("biologicalSourceEvent")):
        if isinstance(event.get("value"), str):
            identifiers.setdefault(_text(event.get("system")) or DIN, event["value"])
    collection = (_dicts(resource.get("collection")) or [{}])[0]
    status = resource.get("productStatus", resource.get("status"))
    return Product(
        reference=name,
        identifiers=identifiers,
        parents=tuple(r for r in map(_reference, _dicts(resource.get("parent"))) if r),
        coi=identifiers.get(COI),
        din=identifiers.get(DIN),
        collected=_text(collection.get("collectedDateTime")),
        status=_text(status.get("code") if isinstance(status, dict) else status),
    )


def _order(name: str, resource: Json) -> Order:
    code = (_dicts(resource.get("code")) or [{}])[0]
    concept = (_dicts(code.get("concept", code)) or [{}])[0]
    coding = (_dicts(concept.get("coding")) or [{}])[0]
    performers = _dicts(resource.get("performer")) or [{}]
    return Order(
        reference=name,
        patient=_reference(resource.get("subject")) or "",
        status=_text(resource.get("status")) or "",
        code=_text(coding.get("code")) or _text(concept.get("text")),
        requester=_reference(resource.get("requester")),
        performer=_reference(performers[0]),
        wanted=_text(resource.get("occurrenceDateTime")),
        identifiers=_identifiers(resource),
    )


def _handoffs(resource: Json) -> Iterator[tuple[str, str, str]]:
    """Give (what, giver, receiver) where a Provenance tells of a change of custody."""
    if resource["resourceType"] != "Provenance":
        return
    who: dict[str, str] = {}
    for agent in _dicts(resource.get("agent")):
        kind, name = (_dicts(agent.get("type")) or [{}])[0], _reference(agent.get("who"))
        if name:
            who.setdefault(_text(kind.get("text")) or "", name)
    if "releaser" in who and "receiver" in who:
        for target in _dicts(resource.get("target")):
            yield _reference(target) or "", who["releaser"], who["receiver"]

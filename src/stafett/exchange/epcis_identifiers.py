"""Identifiers in answers, in the form that the header GS1-EPC-Format asks for (EPCIS 2.0 REST).

`Always_GS1_Digital_Link` (also what an absent header means) turns URNs into links and leaves links
as they are, in whatever domain; `Always_EPC_URN` turns links into URNs, by the company prefixes
known (`gs1urn`); `Never_Translates` and `No_Preference` give them as captured. What is no GS1
identifier stays as it is in each.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from stafett.exchange.epcis import Json
from stafett.exchange.gs1link import canonical
from stafett.exchange.gs1urn import Untold, urn_of
from stafett.exchange.problem import Finding, Problem, pointer

LINKS: Final = "Always_GS1_Digital_Link"
URNS: Final = "Always_EPC_URN"
FORMATS: Final = ("No_Preference", LINKS, URNS, "Never_Translates")
MAX_FINDINGS: Final = 100
_LISTS: Final = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")
_ITEMS: Final = {
    "quantityList": "epcClass", "childQuantityList": "epcClass", "inputQuantityList": "epcClass",
    "outputQuantityList": "epcClass", "bizTransactionList": "bizTransaction",
    "sourceList": "source", "destinationList": "destination",
}  # fmt: skip
_TEXTS: Final = ("parentID", "transformationID")
_PLACES: Final = ("readPoint", "bizLocation")

Place = tuple[str | int, ...]
One = Callable[[str, Place], str]


def check_format(wanted: str | None) -> str:
    """Check a GS1-EPC-Format header (None: it is absent); raise `Problem` 406 for another word."""
    if wanted is None:
        return LINKS
    if wanted in FORMATS:
        return wanted
    why = f"GS1-EPC-Format knows {', '.join(FORMATS)}, not {wanted[:40]!r}"
    raise Problem(406, "NotAcceptableException", why)


def link_of(uri: str) -> str:
    """Give an EPC URN as Digital Link; any other URI, a link in another domain too, unchanged."""
    return canonical(uri) if uri.startswith("urn:epc:") else uri


def formatted(
    events: list[Json], wanted: str, prefixes: Collection[str] = (), at: Place = ()
) -> list[Json]:
    """Give events with their identifiers in the form wanted; `at` is where the list stands.

    Raises `Problem` 406 with the place of each identifier that has no URN, or none that is known.
    """
    if wanted == LINKS:
        return [_each(e, lambda uri, _: link_of(uri), ()) for e in events]
    if wanted != URNS:
        return events
    findings: list[Finding] = []

    def urn(uri: str, place: Place) -> str:
        try:
            return urn_of(uri, prefixes)
        except Untold as why:
            findings.append(Finding(pointer(*place), str(why)))
            return uri

    out = [_each(e, urn, (*at, n)) for n, e in enumerate(events)]
    refuse(findings)
    return out


def members(uris: list[str], wanted: str, prefixes: Collection[str] = ()) -> list[str]:
    """Give a list of identifiers in the form wanted; raise `Problem` 406 like `formatted`."""
    if wanted != URNS:
        return [link_of(uri) for uri in uris] if wanted == LINKS else uris
    found, findings = [], []
    for n, uri in enumerate(uris):
        try:
            found.append(urn_of(uri, prefixes))
        except Untold as why:
            findings.append(Finding(pointer("member", n), str(why)))
    refuse(findings)
    return found


def refuse(findings: list[Finding]) -> None:
    """Raise `Problem` 406 if there are findings."""
    if findings:
        raise Problem(
            406, "NotAcceptableException",
            f"{len(findings)} identifier(s) cannot be given as EPC URN; ask for Never_Translates "
            f"or {LINKS}",
            findings[:MAX_FINDINGS],
        )  # fmt: skip


def _each(event: Json, one: One, at: Place) -> Json:
    out = dict(event)
    for field, value in event.items():
        here = (*at, field)
        if field in _LISTS:
            out[field] = [one(v, (*here, n)) for n, v in enumerate(value)]
        elif field in _ITEMS:
            key = _ITEMS[field]
            out[field] = [{**v, key: one(v[key], (*here, n, key))} for n, v in enumerate(value)]
        elif field in _TEXTS:
            out[field] = one(value, here)
        elif field in _PLACES:
            out[field] = {**value, "id": one(value["id"], (*here, "id"))}
        elif field == "sensorElementList":
            out[field] = [_sensor(v, one, (*here, n)) for n, v in enumerate(value)]
    return out


def _sensor(element: Json, one: One, at: Place) -> Json:
    out: dict[str, Any] = dict(element)
    if "sensorMetadata" in element:
        out["sensorMetadata"] = _device(element["sensorMetadata"], one, (*at, "sensorMetadata"))
    if "sensorReport" in element:
        reports = enumerate(element["sensorReport"])
        out["sensorReport"] = [_device(r, one, (*at, "sensorReport", n)) for n, r in reports]
    return out


def _device(reading: Json, one: One, at: Place) -> Json:
    if "deviceID" not in reading:
        return reading
    return {**reading, "deviceID": one(reading["deviceID"], (*at, "deviceID"))}

"""Answers as EPCIS documents: one context for events that came in many, identifiers as asked."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from stafett.exchange import epcis
from stafett.exchange.epcis import Json
from stafett.exchange.epcis_pages import Stored
from stafett.exchange.gs1link import canonical
from stafett.exchange.problem import Problem

FORMATS: Final = ("No_Preference", "Never_Translates", "Always_GS1_Digital_Link")
_LISTS: Final = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")
_QUANTITIES: Final = (
    "quantityList", "childQuantityList", "inputQuantityList", "outputQuantityList",
)  # fmt: skip


def merge(stored: Iterable[Stored]) -> tuple[list[Any], list[Json]]:
    """Give one context and the events with their record times.

    An event whose prefixes mean something else than in the common context carries its own.
    """
    common: dict[str, str] = {}
    events: list[Json] = []
    for item in stored:
        own = {
            k: v
            for k, v in epcis.prefixes_of(item.context).items()
            if epcis.STANDARD_PREFIXES.get(k) != v
        }
        event = {**item.event, "recordTime": _time(item.record_time)}
        if all(common.get(k, v) == v for k, v in own.items()):
            common.update(own)
        else:
            event = {"@context": item.context, **event}
        events.append(event)
    return [epcis.CONTEXT_URI, *([common] if common else [])], events


def formatted(event: Json, wanted: str) -> Json:
    """Give the event with its identifiers in the form that GS1-EPC-Format asks for."""
    if wanted != "Always_GS1_Digital_Link":
        return event
    out = dict(event)
    for field in _LISTS:
        if field in out:
            out[field] = [canonical(e) for e in out[field]]
    for field in _QUANTITIES:
        if field in out:
            out[field] = [{**q, "epcClass": canonical(q["epcClass"])} for q in out[field]]
    for field in ("parentID", "transformationID"):
        if field in out:
            out[field] = canonical(out[field])
    for field in ("readPoint", "bizLocation"):
        if field in out:
            out[field] = {**out[field], "id": canonical(out[field]["id"])}
    for field, item in (("sourceList", "source"), ("destinationList", "destination")):
        if field in out:
            out[field] = [{**s, item: canonical(s[item])} for s in out[field]]
    return out


def check_format(wanted: str) -> str:
    """Check a GS1-EPC-Format header; raise `Problem` 406 for what cannot be given."""
    if wanted in FORMATS:
        return wanted
    if wanted == "Always_EPC_URN":
        raise Problem(
            406, "NotAcceptableException",
            "a Digital Link does not say how long its company prefix is, so it has no one URN; "
            f"ask for one of {', '.join(FORMATS)}",
        )  # fmt: skip
    raise Problem(
        406, "NotAcceptableException", f"GS1-EPC-Format knows {', '.join(FORMATS)}, not {wanted!r}"
    )


def query_document(
    stored: Iterable[Stored],
    *,
    name: str = "SimpleEventQuery",
    subscription: str | None = None,
    wanted: str = "No_Preference",
) -> Json:
    """Give an EPCISQueryDocument of a page of events."""
    context, events = merge(stored)
    results: Json = {"queryName": name}
    if subscription is not None:
        results["subscriptionID"] = subscription
    results["resultsBody"] = {"eventList": [formatted(e, wanted) for e in events]}
    return {
        "@context": context,
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": _time(datetime.now(UTC)),
        "epcisBody": {"queryResults": results},
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

"""Answers as EPCIS documents: one context for events that came in many, identifiers as asked."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from stafett.exchange import epcis
from stafett.exchange.epcis import Json
from stafett.exchange.epcis_identifiers import formatted
from stafett.exchange.epcis_pages import Stored

_AT: Final = ("epcisBody", "queryResults", "resultsBody", "eventList")


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


def query_document(
    stored: Iterable[Stored],
    *,
    name: str = "SimpleEventQuery",
    subscription: str | None = None,
    wanted: str = "No_Preference",
    prefixes: Collection[str] = (),
) -> Json:
    """Give an EPCISQueryDocument of a page of events, identifiers in the form wanted.

    `prefixes` are the company prefixes known, for `Always_EPC_URN`; raises `Problem` 406 with the
    place of what cannot be given so.
    """
    context, events = merge(stored)
    results: Json = {"queryName": name}
    if subscription is not None:
        results["subscriptionID"] = subscription
    results["resultsBody"] = {"eventList": formatted(events, wanted, prefixes, _AT)}
    return {
        "@context": context,
        "type": "EPCISQueryDocument",
        "schemaVersion": "2.0",
        "creationDate": _time(datetime.now(UTC)),
        "epcisBody": {"queryResults": results},
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")

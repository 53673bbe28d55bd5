"""EPCIS 2.0 documents in JSON: read with limits, judged with the place of each mistake.

`read` takes bytes and gives a `Document`, or raises `Problem` with JSON pointers. Nothing here
touches a database.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from stafett.exchange.epcis_bytes import DEEP, MAX_BYTES, MAX_DEPTH, deep, parse, too_deep
from stafett.exchange.epcis_context import (
    CONTEXT_URI,
    STANDARD_PREFIXES,
    crowded,
    expand,
    joined,
    prefixes_of,
)
from stafett.exchange.epcis_findings import (
    CROWDED,
    MAX_FINDINGS,
    NO_FIELD,
    event_findings,
    findings_of,
    refuse,
    validator,
)
from stafett.exchange.epcis_odd import odd
from stafett.exchange.epcis_schema import EVENTS
from stafett.exchange.problem import Finding, Problem, pointer

__all__ = (
    "CONTEXT_URI",
    "DEEP",
    "KNOWN_TYPES",
    "MAX_BYTES",
    "MAX_DEPTH",
    "MAX_EVENTS",
    "MAX_FINDINGS",
    "NO_FIELD",
    "STANDARD_PREFIXES",
    "Document",
    "Json",
    "deep",
    "document",
    "event_findings",
    "expand",
    "joined",
    "judge",
    "parse",
    "prefixes_of",
    "read",
    "read_tolerant",
    "too_deep",
)  # fmt: skip

Json = dict[str, Any]

MAX_EVENTS: Final = 20_000


class Document(msgspec.Struct, frozen=True):
    """What a valid document holds: its context, events, master data and what was odd about it.

    `prefixes` maps each declared prefix to its namespace (the standard's own included).
    """

    context: Any
    prefixes: dict[str, str]
    events: list[Json]
    vocabularies: list[Json]
    warnings: tuple[Finding, ...] = ()
    kind: str = "EPCISDocument"
    places: tuple[int, ...] = ()  # where the events stood, if some were left out


def read(data: bytes, *, max_bytes: int = MAX_BYTES, max_events: int = MAX_EVENTS) -> Document:
    """Read an EPCISDocument, an EPCISQueryDocument or a single event.

    Raises `Problem` (400 not valid, 413 too large) that names each place that is wrong.
    """
    value = parse(data, max_bytes=max_bytes)
    return judge(value, max_events=max_events)


def judge(value: Any, *, max_events: int = MAX_EVENTS) -> Document:
    """Judge a parsed document; see `read`."""
    if not isinstance(value, dict):
        raise Problem(400, "ValidationException", "an EPCIS document is a JSON object")
    kind = value.get("type")
    root = {"EPCISDocument": "Document", "EPCISQueryDocument": "QueryDocument"}.get(
        kind if isinstance(kind, str) else "", "Event"
    )
    if not validator(root).is_valid(value):
        refuse(findings_of(root, value))
    if root == "Event" and "@context" not in value:
        refuse([Finding("", "'@context' is required of a single event")])
    events, vocabularies, at = _contents(root, value)
    _refuse_depth(root, value, events)
    if len(events) > max_events:
        raise Problem(
            413,
            "CaptureLimitExceededException",
            f"the document holds {len(events):,} events; this server takes {max_events:,} at a "
            "time: split it",
        )
    context = value.get("@context")
    places: list[tuple[str | int, ...]] = [
        (*at, i, "@context") for i, e in enumerate(events) if at and crowded(e.get("@context"))
    ]
    if crowded(context):
        places.insert(0, ("@context",))
    if places:
        refuse([Finding(pointer(*place), CROWDED) for place in places[:MAX_FINDINGS]])
    warnings = [w for i, e in enumerate(events) for w in odd(e, (*at, i) if at else ())]
    return Document(
        context=context,
        prefixes=prefixes_of(context),
        events=events,
        vocabularies=vocabularies,
        warnings=tuple(warnings[:MAX_FINDINGS]),
        kind=str(kind),
    )


def read_tolerant(
    data: bytes, *, max_bytes: int = MAX_BYTES, max_events: int = MAX_EVENTS
) -> tuple[Document, list[Finding]]:
    """Read a document whose wrong events are to be left out and named (capture that proceeds).

    The envelope must be right; raises `Problem` where it is not. The events keep their places:
    a finding's pointer is into the document as it was sent.
    """
    value = parse(data, max_bytes=max_bytes)
    body = value.get("epcisBody") if isinstance(value, dict) else None
    events = body.get("eventList") if isinstance(body, dict) else None
    if not isinstance(events, list) or value.get("type") != "EPCISDocument":
        return judge(value, max_events=max_events), []
    frame = judge({**value, "epcisBody": {"eventList": []}}, max_events=max_events)
    if len(events) > max_events:
        judge(value, max_events=max_events)
    good: list[Json] = []
    places: list[int] = []
    findings: list[Finding] = []
    at = ("epcisBody", "eventList")
    for i, event in enumerate(events):
        wrong = event_findings(event, (*at, i))
        findings += wrong
        if not wrong:
            good.append(event)
            places.append(i)
    strange = [w for i, e in zip(places, good, strict=True) for w in odd(e, (*at, i))]
    return msgspec.structs.replace(
        frame, events=good, places=tuple(places), warnings=tuple(strange[:MAX_FINDINGS])
    ), findings


_OPEN: Final = frozenset(
    ("@context", "ilmd", "sensorElementList", "errorDeclaration", "readPoint", "bizLocation")
)


def _refuse_depth(root: str, value: Json, events: list[Json]) -> None:
    # Only open parts can nest deeply once the schema holds; the rest need not be walked.
    envelope = {k: v for k, v in value.items() if root == "Event" or k != "epcisBody"}
    places = [v for e in events for k, v in e.items() if k in _OPEN or ":" in k]
    if too_deep(envelope) or too_deep(places, MAX_DEPTH - 3):
        raise Problem(400, "ValidationException", DEEP, [deep(value)])


def _contents(root: str, value: Json) -> tuple[list[Json], list[Json], tuple[str, ...]]:
    if root == "Document":
        master = value.get("epcisHeader", {}).get("epcisMasterData", {})
        at = ("epcisBody", "eventList")
        return value["epcisBody"]["eventList"], master.get("vocabularyList", []), at
    if root == "QueryDocument":
        body = value["epcisBody"]["queryResults"]["resultsBody"]
        at4 = ("epcisBody", "queryResults", "resultsBody", "eventList")
        return body["eventList"], body.get("vocabularyList", []), at4
    return [value], [], ()


def document(events: list[Json], context: Any = None, *, created: str, name: str = "") -> Json:
    """Wrap events in an EPCISDocument; `created` is RFC 3339 with zone."""
    return {
        "@context": context if context is not None else [CONTEXT_URI],
        **({"id": name} if name else {}),
        "type": "EPCISDocument",
        "schemaVersion": "2.0",
        "creationDate": created,
        "epcisBody": {"eventList": events},
    }


KNOWN_TYPES: Final = tuple(EVENTS)

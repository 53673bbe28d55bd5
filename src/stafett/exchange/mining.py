"""Journeys and analytic tables as logs for process mining: what becomes an object, what an event.

From the **record** (journey events as `journey.event.to_json` writes them): objects are the
journey, its materials (lots), the organisations and the people's pseudonyms; each journey event is
an OCEL event that names what it is about with a qualifier (`journey`, `material`, `parent`,
`input`, `carried`, `outer`, `giver`, `receiver`, `by`, `organisation`). From the **analytic table**
(`eventlog`): a row is an event, its case and groups are objects.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, Final

from stafett.eventlog.table import SCHEMA, EventLog
from stafett.exchange.ocel import OcelEvent, OcelObject, OcelSink
from stafett.exchange.xes import Trace

Json = Mapping[str, Any]
JOURNEY, MATERIAL, ORGANISATION, PERSON, ROLE = (
    "journey", "material", "organisation", "person", "role",
)  # fmt: skip
# Fields that name another thing or are told otherwise; every other scalar is an attribute.
_NAMED: Final = frozenset(
    ("type", "occurred_at", "by", "lot", "material", "parents", "outer", "giver", "receiver",
     "organisation", "journey", "coi", "patient", "inputs", "carries", "signatures", "parties",
     "identifiers", "fields", "answers")
)  # fmt: skip


def journey_to_ocel(journey: str, events: Iterable[Json], sink: OcelSink) -> int:
    """Write one journey's events; give how many. Organisations and people are shared objects."""
    count = 0
    parties: dict[str, str] = {}
    for count, event in enumerate(events, 1):
        moment = datetime.fromisoformat(event["occurred_at"])
        if event["type"] == "JourneyOpened":
            parties = dict(event["parties"])
            about = {k: event[k] for k in ("coi", "protocol", "version") if event.get(k)}
            sink.object(OcelObject(journey, JOURNEY, about, moment))
        links = [(journey, JOURNEY), *_about(journey, event, moment, parties, sink)]
        # `kind` alone would be read as the kind of a row of the analytic table.
        attributes = {
            ("deviation_kind" if k == "kind" else k): v
            for k, v in event.items()
            if k not in _NAMED and _is_scalar(v)
        }
        sink.event(
            OcelEvent(
                f"{journey}#{count}", event["type"], moment, attributes, tuple(dict.fromkeys(links))
            )
        )
    return count


def _about(
    journey: str, event: Json, moment: datetime, parties: dict[str, str], sink: OcelSink
) -> Iterator[tuple[str, str]]:
    by = event.get("by")
    if isinstance(by, Mapping):
        sink.object(OcelObject(f"person:{by['person']}", PERSON))
        sink.object(OcelObject(f"organisation:{by['organisation']}", ORGANISATION))
        yield f"person:{by['person']}", "by"
        yield f"organisation:{by['organisation']}", "organisation"
    if event["type"] == "MaterialCreated":
        parents = tuple((f"{journey}/{p}", "made from") for p in event["parents"])
        kind = {"material": event["material"]}
        sink.object(OcelObject(f"{journey}/{event['lot']}", MATERIAL, kind, moment, parents))
        for parent, _ in parents:
            yield parent, "parent"
    if event.get("lot"):
        name = f"{journey}/{event['lot']}"
        sink.object(OcelObject(name, MATERIAL, {"material": event["material"]}, moment))
        yield name, MATERIAL
    for field, qualifier in (("inputs", "input"), ("carries", "carried")):
        for lot in event.get(field) or ():
            name = f"{journey}/{lot}"
            sink.object(OcelObject(name, MATERIAL, {"material": lot.split("/")[0]}, moment))
            yield name, qualifier
    if event.get("outer"):
        name = f"{journey}/{event['outer']}"
        sink.object(OcelObject(name, MATERIAL, {"material": event["outer"].split("/")[0]}, moment))
        yield name, "outer"
    for side in ("giver", "receiver"):
        role = event.get(side)
        if role:
            organisation = f"organisation:{parties.get(role, role)}"
            sink.object(OcelObject(organisation, ORGANISATION))
            yield organisation, side


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str | int | float | bool) and value != ""


def journey_to_xes(journey: str, events: Iterable[Json]) -> Trace:
    """Give one journey's events as a trace: steps and handoffs by name, others by their type."""

    def one(event: Json) -> dict[str, Any]:
        by = event.get("by") or {}
        activity = event.get("step") or event.get("handoff") or event.get("activity")
        kind = event["type"]
        out: dict[str, Any] = {
            "concept:name": f"{activity}" if kind == "StepFinished" else _label(kind, activity),
            "time:timestamp": datetime.fromisoformat(event["occurred_at"]),
            "lifecycle:transition": "start" if kind == "StepStarted" else "complete",
            "org:resource": by.get("person"),
            "org:group": by.get("organisation"),
            "org:role": by.get("role"),
        }
        if kind == "StepStarted":
            out["concept:name"] = activity
        for field in ("result", "outcome", "material", "lot", "reason", "deviation"):
            if _is_scalar(event.get(field)):
                out[f"stafett:{field}"] = event[field]
        return out

    return journey, (one(e) for e in events)


def _label(kind: str, activity: Any) -> str:
    return f"{kind} {activity}" if activity else kind


def log_to_ocel(log: EventLog, sink: OcelSink) -> int:
    """Write an analytic table: cases and groups are objects, rows are events."""
    count = 0
    for count, row in enumerate(_rows(log), 1):
        case = f"case:{row['case']}"
        sink.object(OcelObject(case, "case"))
        links = [(case, "case")]
        for side in ("giver", "receiver"):
            if row[side] is not None:
                group = f"group:{row[side]}"
                sink.object(OcelObject(group, "group"))
                links.append((group, side))
        attributes = {
            k: v
            for k, v in row.items()
            if v is not None and k not in ("case", "activity", "giver", "receiver", "end")
        }
        moment = row["end"] or row["start"]
        sink.event(OcelEvent(str(count), row["activity"], moment, attributes, tuple(links)))
    return count


def log_to_xes(log: EventLog) -> Iterator[Trace]:
    """Give an analytic table's cases as traces, in the order of their work."""
    case: str | None = None
    events: list[dict[str, Any]] = []
    for row in _rows(log):
        if row["case"] != case:
            if events:
                yield str(case), events
            case, events = row["case"], []
        event: dict[str, Any] = {
            "concept:name": row["activity"],
            "time:timestamp": row["end"] or row["start"],
            "org:group": row["receiver"],
            "lifecycle:transition": "complete" if row["end"] else "start",
        }
        for name, value in row.items():
            if name not in ("case", "activity", "end", "receiver") and value is not None:
                event[f"stafett:{name}" if name in SCHEMA else name] = value
        events.append(event)
    if events:
        yield str(case), events


def _rows(log: EventLog) -> Iterator[dict[str, Any]]:
    frame = log.frame.sort("case", "start", maintain_order=True)
    return frame.iter_rows(named=True, buffer_size=4096)

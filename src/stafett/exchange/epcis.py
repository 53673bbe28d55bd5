"""EPCIS 2.0 documents in JSON: read with limits, judged with the place of each mistake.

`read` takes bytes and gives a `Document`, or raises `Problem` with JSON pointers. Nothing here
touches a database. The limits keep a hostile document from costing more than it is worth.
"""

from __future__ import annotations

import re
import uuid
from functools import cache
from typing import Any, Final

import jsonschema_rs
import msgspec

from stafett.exchange import json_place
from stafett.exchange.epcis_odd import odd
from stafett.exchange.epcis_schema import EVENTS, MAX_NAME, schema
from stafett.exchange.problem import Finding, Problem, pointer

Json = dict[str, Any]

CONTEXT_URI: Final = "https://ref.gs1.org/standards/epcis/2.0.0/epcis-context.jsonld"
MAX_BYTES: Final = 64 * 1024 * 1024
MAX_EVENTS: Final = 20_000
MAX_DEPTH: Final = 48
MAX_FINDINGS: Final = 50
DEEP: Final = f"the document nests deeper than {MAX_DEPTH} levels"
_BYTE: Final = re.compile(r" \(byte (\d+)\)")

# The prefixes that GS1's own context defines.
STANDARD_PREFIXES: Final = {
    "cbv": "https://ref.gs1.org/cbv/",
    "cbvmda": "urn:epcglobal:cbv:mda:",
    "gs1": "https://gs1.org/voc/",
    "epcis": "https://ref.gs1.org/epcis/",
    "rdfs": "http://www.w3.org/2000/01/rdf-schema#",
    "owl": "http://www.w3.org/2002/07/owl#",
    "xsd": "http://www.w3.org/2001/XMLSchema#",
    "dcterms": "http://purl.org/dc/terms/",
}


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


def parse(data: bytes, *, max_bytes: int = MAX_BYTES) -> Any:
    """Parse JSON within limits of size and nesting; raise `Problem` 413 or 400, with the place."""
    if len(data) > max_bytes:
        raise Problem(
            413,
            "CaptureLimitExceededException",
            f"the document has {len(data):,} bytes; this server takes {max_bytes:,} at a time: "
            "split it into several documents",
        )
    if (nul := json_place.nul_at(data)) is not None:
        what = "U+0000 (\\u0000) in a text"
        raise _unreadable(f"the document holds {what}", data, nul, what)
    try:
        return msgspec.json.decode(data)
    except RecursionError:
        at = json_place.too_deep_at(data, MAX_DEPTH)
        raise _unreadable(DEEP, data, at, "a level too many begins here") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as wrong:
        raise _not_json(data, str(wrong)) from None


def _not_json(data: bytes, said: str) -> Problem:
    """Say of bytes that are no JSON where they stop being it."""
    head = "the document is not JSON"
    try:
        data.decode()
    except UnicodeDecodeError as wrong:
        what = f"byte 0x{data[wrong.start]:02x} is no UTF-8"
        return _unreadable(f"{head}: {what}", data, wrong.start, what)
    if "truncated" in said:
        return _unreadable(f"{head}: it ends too early", data, len(data), "it ends here")
    found = _BYTE.search(said)
    what = _BYTE.sub("", said.removeprefix("JSON is malformed: "))[:300]
    at = int(found[1]) if found else None
    if at and "character" in what:
        at -= 1  # the parser has read the character that it complains of
    return _unreadable(f"{head}: {what}", data, at, what)


def _unreadable(what: str, data: bytes, at: int | None, here: str) -> Problem:
    if at is None:
        return Problem(400, "ValidationException", what)
    place = json_place.finding(data, at, here)
    where = place.detail.rpartition(" (")[2].removesuffix(")")
    return Problem(400, "ValidationException", f"{what} ({where})", [place])


def too_deep(value: Any, limit: int = MAX_DEPTH) -> bool:
    """Tell whether a parsed value nests deeper than `limit` (without recursion)."""
    level = [value]
    for _ in range(limit):
        deeper: list[Any] = []
        for item in level:
            if type(item) is dict:
                deeper += [v for v in item.values() if type(v) is dict or type(v) is list]
            elif type(item) is list:
                deeper += [v for v in item if type(v) is dict or type(v) is list]
        if not deeper:
            return False
        level = deeper
    return True


def deep(value: Any) -> Finding:
    """Name the place in a value that is `too_deep`."""
    return Finding(json_place.deep_field(value, MAX_DEPTH), "a level too many begins here")


@cache
def _validator(root: str) -> jsonschema_rs.Draft202012Validator:
    return jsonschema_rs.Draft202012Validator(schema(root), validate_formats=True)


def _say(error: jsonschema_rs.ValidationError) -> str:
    """Say what is wrong in words that tell what to do."""
    detail: Any = error.kind  # its members depend on the keyword
    kind, field = detail.name, str(error.instance_path[-1]) if error.instance_path else ""
    shown = repr(error.instance) if not isinstance(error.instance, dict | list) else "this"
    shown = shown if len(shown) <= 80 else shown[:77] + "..."
    if kind == "required":
        return f"{detail.property!r} is required here"
    if kind == "format" and detail.format == "date-time":
        return f"{shown} is no date-time with zone (RFC 3339, as 2026-11-23T08:00:00.000+01:00)"
    if kind == "format" and detail.format == "uri":
        if field in ("bizStep", "disposition", "type", "reason", "component", "exception"):
            return f"{shown} is neither a word of CBV 2.0 for {field} nor a URI of your own"
        return f"{shown} is no URI"
    if kind == "pattern" and "cbv" in str(detail.pattern):
        return f"{shown}: write words of the CBV bare (shipping), own ones outside its namespaces"
    if kind == "falseSchema":
        return "'ilmd' belongs only to an ObjectEvent with action ADD or a TransformationEvent"
    if kind == "anyOf":
        return "the event names no object: give an EPC list or a quantity list of the right kind"
    message = error.message
    return message if len(message) <= 200 else message[:197] + "..."


def _findings(root: str, value: Any, prefix: tuple[str | int, ...] = ()) -> list[Finding]:
    found: dict[Finding, None] = {}
    for error in _validator(root).iter_errors(value):
        at = (*prefix, *error.instance_path)
        for name in _strange(error):
            # The field itself is the place, unless its name is as long as a page.
            place = (*at, name) if len(name) <= MAX_NAME else at
            found.setdefault(Finding(pointer(*place), f"{name[:80]!r}: {_no_field(name)}"))
        if not _strange(error):
            found.setdefault(Finding(pointer(*at), _say(error)))
        if len(found) >= MAX_FINDINGS:
            break
    return sorted(found, key=lambda f: f.pointer)[:MAX_FINDINGS]


NO_FIELD: Final = "no field of that name; an extension's name has a prefix (prefix:name)"


def _no_field(name: str) -> str:
    if len(name) > MAX_NAME:
        return f"a name has at most {MAX_NAME} characters"
    if owners := [kind for kind, form in EVENTS.items() if name in form["properties"]]:
        return f"a field of {', '.join(owners)} only"
    return NO_FIELD


def _strange(error: jsonschema_rs.ValidationError) -> list[str]:
    """Give the names that no schema and no prefix stands behind, if that is the mistake."""
    detail: Any = error.kind
    found = detail.unexpected if detail.name == "additionalProperties" else ()
    return [str(name) for name in list(found)[:MAX_FINDINGS]]


def prefixes_of(context: Any) -> dict[str, str]:
    """Give prefix -> namespace of a JSON-LD context, the standard's own prefixes included."""
    out = dict(STANDARD_PREFIXES)
    for part in context if isinstance(context, list) else [context]:
        if isinstance(part, dict):
            for key, value in part.items():
                if isinstance(value, dict):
                    value = value.get("@id")
                if isinstance(value, str) and not key.startswith("@"):
                    out[key] = value
    return out


def expand(name: str, prefixes: dict[str, str]) -> str:
    """Give the full name `{namespace}local` of an extension field; full URIs stay themselves."""
    prefix, _, local = name.partition(":")
    namespace = prefixes.get(prefix)
    return f"{{{namespace}}}{local}" if namespace else name


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
    if not _validator(root).is_valid(value):
        _refuse(_findings(root, value))
    if root == "Event" and "@context" not in value:
        _refuse([Finding("", "'@context' is required of a single event")])
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


def event_findings(event: Any, at: tuple[str | int, ...] = ()) -> list[Finding]:
    """Give what is wrong with one event (for a capture that proceeds past wrong events)."""
    if not isinstance(event, dict):
        return [Finding(pointer(*at), "an event is a JSON object")]
    if too_deep(event):
        return [Finding(pointer(*at), f"nests deeper than {MAX_DEPTH} levels")]
    if _validator("Event").is_valid(event):
        return []
    return _findings("Event", event, at)


def _refuse(findings: list[Finding]) -> None:
    count = len(findings)
    more = "" if count < MAX_FINDINGS else " or more"
    first = findings[0]
    raise Problem(
        400,
        "ValidationException",
        f"{count}{more} mistake{'s' if count != 1 else ''}; first at {first}",
        findings,
    )


def with_id(event: Json) -> Json:
    """Give the event an eventID (a random UUID) where it has none, as §8.2 lets the server do."""
    if "eventID" in event:
        return event
    return {**event, "eventID": f"urn:uuid:{uuid.uuid4()}"}


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

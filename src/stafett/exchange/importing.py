"""One way in: what a file is, whether it is right, and what it holds; nothing is captured here."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import msgspec

from stafett.eventlog import ocel_sqlite
from stafett.eventlog.problems import LogUnreadableError
from stafett.eventlog.reading import read_log
from stafett.exchange import (
    epcis,
    epcis_xml,
    fhir_read,
    hl7,
    hl7_mapping,
    query_file,
    schema_file,
    tables,
)
from stafett.exchange.epcis import Document
from stafett.exchange.epcis_facts import ahead, facts, micros
from stafett.exchange.epcis_query import read_query
from stafett.exchange.problem import Finding, Problem, pointer
from stafett.exchange.xml_place import in_xml

_QUERY: Final = re.compile("(EQ|GE|GT|LE|LT|MATCH|WD|EXISTS|HASATTR|EQATTR)_")
_ROOT: Final = re.compile(rb"<log[\s>/]")
_NONE: Final = "and no EPCIS document, event or query, FHIR bundle, OCEL log or schema"
_LIST: Final = f"a list in JSON, {_NONE}"
_FUTURE: Final = "is in the future: is the clock or the zone wrong?"
SHOWN: Final = 20  # findings that a report holds


class Report(msgspec.Struct, frozen=True):
    """What a file is and holds. `ok` is false when it cannot be used as it stands."""

    file: str
    kind: str
    ok: bool
    summary: dict[str, Any]
    errors: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()
    document: Document | None = None  # what can be captured
    queries: tuple[query_file.Asked, ...] = ()  # what can be asked


def inspect(path: Path, mapping: bytes | None = None) -> Report:
    """Find out what a file is and judge it; raise `Problem` if it cannot be read at all."""
    name = path.name
    if path.stat().st_size > epcis.MAX_BYTES:
        raise Problem(
            413, "CaptureLimitExceededException",
            f"{name} has {path.stat().st_size:,} bytes; this takes {epcis.MAX_BYTES:,}: split it",
        )  # fmt: skip
    data = path.read_bytes()
    if data[:3] == b"MSH":
        return _hl7(name, data, mapping)
    if mapping is not None:
        return _table(name, data, mapping)
    low = name.lower().removesuffix(".gz")
    if low.endswith((".xes", ".csv", ".tsv")) or name.lower().endswith(".gz"):
        return _log(path)
    if ocel_sqlite.looks_so(path) or low.endswith(".xmlocel"):
        return _log(path)
    if data.lstrip()[:1] == b"<":
        if low.endswith(".xml") and _ROOT.search(data[:4096]):
            return _log(path)
        if not epcis_xml.looks_so(data):
            raise Problem(
                415, "UnsupportedMediaTypeException",
                f"{name} is XML; of XML only EPCIS, OCEL 2.0 and XES (.xes) are read",
            )  # fmt: skip
        value = epcis_xml.read_xml(data)
        return _judged(name, value, "EPCIS in XML", lambda wrong: in_xml(data, wrong))
    if data.lstrip()[:1] not in (b"{", b"["):
        raise Problem(
            415, "UnsupportedMediaTypeException",
            f"{name} is none of what is read here: JSON, XML, HL7 v2, or a table or log whose name "
            "ends in .csv, .tsv or .xes",
        )  # fmt: skip
    value = epcis.parse(data)
    if isinstance(value, dict) and "resourceType" in value:
        return _fhir(name, data)
    if isinstance(value, dict) and schema_file.looks_so(value):
        summary, amiss = schema_file.judge(name, value)
        remark = Finding("", "a schema says how data must look, and holds none to capture")
        return Report(name, "JSON schema", not amiss, summary, tuple(amiss[:SHOWN]), (remark,))
    if isinstance(value, dict) and {"events", "objects"} <= value.keys():
        return _log(path)
    if isinstance(value, dict) and not value.keys() & {"type", "eventTime"}:
        return _other(name, value)
    if isinstance(value, list):
        raise Problem(415, "UnsupportedMediaTypeException", f"{name} is {_LIST}")
    return _judged(name, value)


def _judged(
    name: str,
    value: Any,
    kind: str = "EPCIS 2.0",
    told: Callable[[Problem], Problem] = lambda wrong: wrong,
) -> Report:
    """Judge what can be read: what is wrong with it is in the report, each with its place.

    The events of a document that are right can still be captured, by who proceeds.
    """
    try:
        return _epcis(name, epcis.judge(value), kind)
    except Problem as refused:
        wrong = told(refused)
    errors = wrong.findings or (Finding("", wrong.detail),)
    summary: dict[str, Any] = {"mistakes": len(errors)}
    try:
        rest, _ = epcis.read_tolerant(msgspec.json.encode(value))
        right = _epcis(name, rest, kind)
    except Problem:
        return Report(name, kind, False, summary, errors[:SHOWN])
    summary["events left out"] = len(value["epcisBody"]["eventList"]) - len(rest.events)
    return Report(
        name, kind, False, summary | right.summary, errors[:SHOWN], right.remarks, right.document
    )


def _other(name: str, value: dict[str, Any]) -> Report:
    """Judge a JSON object that is neither document nor event: a query of EPCIS, or nothing."""
    if query_file.looks_so(value):
        return _queries(name, value)
    asked = value["query"] if isinstance(value.get("query"), dict) else value
    given = {key: one for key, one in asked.items() if key != "@context"}
    if any(key == "eventType" or _QUERY.match(key) for key in given):
        try:
            query = read_query(given)
        except Problem as refused:
            places = refused.findings or (Finding("", refused.detail),)
            return Report(name, "EPCIS query", False, {"mistakes": len(places)}, tuple(places))
        summary = {"conditions": len(query.conditions), "parameters": sorted(given)}
        remark = Finding("", "ask it at POST /epcis/queries, or GET /epcis/events")
        return Report(name, "EPCIS query", True, summary, (), (remark,))
    raise Problem(415, "UnsupportedMediaTypeException", f"{name} is JSON, {_NONE}")


def _queries(name: str, value: dict[str, Any]) -> Report:
    asked, wrong = query_file.read(value)
    refused = sum(one.expect.status != 200 for one in asked)
    summary = {"queries": len(asked), "answers expected": len(asked) - refused,
               "refusals expected": refused, "understood as expected": not wrong}  # fmt: skip
    return Report(
        name, "EPCIS queries with answers", not wrong, summary, tuple(wrong[:SHOWN]), queries=asked
    )


def _epcis(name: str, document: Document, kind: str = "EPCIS 2.0") -> Report:
    kinds = Counter(e["type"] for e in document.events)
    steps = Counter(e.get("bizStep", "(none)") for e in document.events)
    times = sorted((micros(e["eventTime"]), e["eventTime"]) for e in document.events)
    epcs = {
        token.partition("=")[2]
        for event in document.events
        for token in facts(event, document.prefixes).tokens
        if token.startswith(("epc=", "parentID=", "inputEPC=", "outputEPC="))
    }
    summary = {
        "document": document.kind,
        "events": len(document.events),
        "types": dict(kinds),
        "steps": dict(steps.most_common(8)),
        "identifiers": len(epcs),
        "error declarations": sum("errorDeclaration" in e for e in document.events),
        "with sensor data": sum("sensorElementList" in e for e in document.events),
        "master data": sum(len(v.get("vocabularyElementList", ())) for v in document.vocabularies),
    }
    if times:
        summary["from"], summary["to"] = times[0][1], times[-1][1]
    now = int(time.time() * 1e6)
    late = [
        Finding(pointer("epcisBody", "eventList", i, "eventTime"), f"{e['eventTime']} {_FUTURE}")
        for i, e in enumerate(document.events)
        if ahead(micros(e["eventTime"]), now)
    ]
    remarks = (*document.warnings, *late)[:SHOWN]
    return Report(name, kind, True, summary, (), remarks, document)


def _fhir(name: str, data: bytes) -> Report:
    found = fhir_read.read_bundle(data)
    summary: dict[str, Any] = {
        "bundle": found.kind,
        "resources": found.counts,
        "patients (pseudonyms)": sorted(found.patients.values()),
        "orders": [o.reference for o in found.orders],
        "products": {
            p.reference: {
                name: said
                for name, said in (("coi", p.coi), ("din", p.din), ("made from", list(p.parents)))
                if said
            }
            for p in found.products
        },
        "changes of custody": [f"{what}: {a} -> {b}" for what, a, b in found.handoffs],
        "validated by fhir.resources": fhir_read.validated(),
    }
    kind = f"FHIR {found.version}"
    return Report(
        name, kind, not found.errors, summary, found.errors[:SHOWN], found.remarks[:SHOWN]
    )


def _log(path: Path) -> Report:
    try:
        log = read_log(path)
    except LogUnreadableError as wrong:
        why = "; ".join(str(wrong).splitlines())
        raise Problem(
            400, "ValidationException",
            f"as an event log it cannot be read: {why} (an option of `stafett insight`). "
            "If it is a partner's table, say what its columns mean: --mapping FILE",
        ) from None  # fmt: skip
    period = log.period
    plain = path.name.lower().removesuffix(".gz")
    kind = "event log" if plain.endswith((".xes", ".csv", ".tsv")) else "OCEL 2.0"
    summary = {
        "cases": log.cases,
        "steps": log.steps.height,
        "handoffs": log.handoffs.height,
        "activities": log.frame["activity"].n_unique(),
        "from": period[0].isoformat() if period else None,
        "to": period[1].isoformat() if period else None,
    }
    remarks = tuple(Finding("", note) for note in log.notes)
    if any("--" in note for note in log.notes):
        remarks += (Finding("", "the options named here are those of `stafett insight`"),)
    return Report(path.name, kind, True, summary, (), remarks)


def _hl7(name: str, data: bytes, mapping: bytes | None) -> Report:
    message = hl7.read(data)
    kind = f"HL7 v{message.version} ORU^R01"
    results = sum(len(o.observations) for o in message.orders)
    summary: dict[str, Any] = {
        "message": message.control, "sender": message.sender, "orders": len(message.orders),
        "results": results,
        "codes": sorted({x.code for o in message.orders for x in o.observations}),
    }  # fmt: skip
    if mapping is None:
        remark = Finding("", "with --mapping FILE its results become events")
        return Report(name, kind, True, summary, (), (remark,))
    plan, wrong = hl7_mapping.read_mapping(mapping, "the mapping")
    if plan is None:
        found = [Finding("/mapping", str(error)) for error in wrong]
        raise Problem(400, "ValidationException", "the mapping cannot be used", found)
    try:
        made, waiting = hl7_mapping.events(message, plan)
    except hl7.Unread as wrong_in_it:  # it can be read; what it says is not in the mapping
        places = wrong_in_it.findings or (Finding("", wrong_in_it.detail),)
        return Report(name, kind, False, summary, tuple(places[:SHOWN]))
    value = epcis.document(made, hl7_mapping.CONTEXT, created=datetime.now(UTC).isoformat())
    judged = _epcis(name, epcis.judge(value))
    summary |= {"not final": waiting, **judged.summary}
    return Report(name, kind, True, summary, (), judged.remarks, judged.document)


def _table(name: str, data: bytes, mapping: bytes) -> Report:
    plan = tables.read_mapping(mapping)
    table = tables.read_table(data, plan)
    value = epcis.document(table.events, tables.CONTEXT, created=datetime.now(UTC).isoformat())
    document = epcis.judge(value, max_events=tables.MAX_ROWS)
    judged = _epcis(name, document)
    summary = {
        "table": plan.kind, "rows": table.rows, "rows left out": len(table.refused),
        **judged.summary,
    }  # fmt: skip
    return Report(
        name, f"table of {plan.kind}", not table.refused, summary,
        tuple(table.refused[:SHOWN]), judged.remarks, document,
    )  # fmt: skip

"""A naive evaluator of EPCIS queries on the event's JSON itself: the oracle of the fast one.

It shares nothing with the store's index but the normal forms of single identifiers and units.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from stafett.exchange.cbv import web_uri
from stafett.exchange.gs1link import canonical, pattern
from stafett.exchange.units import base

EPCS = {
    "MATCH_epc": ["epcList", "childEPCs"],
    "MATCH_parentID": ["parentID"],
    "MATCH_inputEPC": ["inputEPCList"],
    "MATCH_outputEPC": ["outputEPCList"],
    "MATCH_anyEPC": ["epcList", "childEPCs", "parentID", "inputEPCList", "outputEPCList"],
}
CLASSES = {
    "MATCH_epcClass": ["quantityList", "childQuantityList"],
    "MATCH_inputEPCClass": ["inputQuantityList"],
    "MATCH_outputEPCClass": ["outputQuantityList"],
}
CLASSES["MATCH_anyEPCClass"] = [f for fields in CLASSES.values() for f in fields]
WORDS = {"bizStep": "bizStep", "disposition": "disposition"}
COMPARE = {
    "EQ": lambda a, b: a == b,
    "GE": lambda a, b: a >= b,
    "GT": lambda a, b: a > b,
    "LE": lambda a, b: a <= b,
    "LT": lambda a, b: a < b,
}


def answers(event: dict[str, Any], query: dict[str, Any]) -> bool:
    """Tell whether the event answers each parameter of the query."""
    skip = ("orderBy", "orderDirection", "eventCountLimit", "maxEventCount")
    return all(_one(event, n, v) for n, v in query.items() if n not in skip)


def _one(event: dict[str, Any], name: str, wanted: Any) -> bool:
    operator, _, field = name.partition("_")
    values = wanted if isinstance(wanted, list) else [wanted]
    if name == "eventType":
        return event["type"] in values
    if name in EPCS:
        return any(_same_epc(e, w) for e in _epcs(event, EPCS[name]) for w in values)
    if name in CLASSES:
        items = [q["epcClass"] for f in CLASSES[name] for q in event.get(f, [])]
        return any(_same_epc(e, w) for e in items for w in values)
    if operator == "EXISTS":
        if field == "errorDeclaration":
            return field in event
        return bool(list(_extension(event, field)))
    if field in ("eventTime", "errorDeclarationTime"):
        given = (
            event["eventTime"]
            if field == "eventTime"
            else event.get("errorDeclaration", {}).get("declarationTime")
        )
        return given is not None and COMPARE[operator](_time(given), _time(wanted))
    found = list(_found(event, field))
    if operator == "EQ":
        return any(_norm(field, f) == _norm(field, w) for f in found for w in values)
    return any(
        COMPARE[operator](_number(f), _number(wanted))
        if not isinstance(wanted, str)
        else COMPARE[operator](_time(f), _time(wanted))
        for f in found
    )


def _found(event: dict[str, Any], field: str) -> Iterator[Any]:
    """Give the values a parameter's field names; amounts come in the parameter's unit's base."""
    kind, _, rest = field.partition("_")
    if kind in ("readPoint", "bizLocation"):
        if kind in event:
            yield event[kind]["id"]
    elif kind in ("bizTransaction", "source", "destination") and rest:
        for item in event.get(kind + "List", []):
            if item.get("type") == rest:
                yield item[kind]
    elif kind == "persistentDisposition":
        yield from event.get(kind, {}).get(rest, [])
    elif field in ("errorReason", "correctiveEventID"):
        error = event.get("errorDeclaration", {})
        yield from [error["reason"]] if field == "errorReason" and "reason" in error else []
        yield from error.get("correctiveEventIDs", []) if field == "correctiveEventID" else []
    elif kind == "quantity":
        for items in (
            "quantityList",
            "childQuantityList",
            "inputQuantityList",
            "outputQuantityList",
        ):
            for q in event.get(items, []):
                if "quantity" in q and _unit(q.get("uom", "")) == _unit(rest):
                    yield ("amount", q["quantity"], q.get("uom", ""), rest)
    elif kind in ("value", "minValue", "maxValue", "meanValue"):
        for reading in _readings(event):
            if kind in reading and _unit(reading.get("uom", "")) == _unit(rest):
                yield ("amount", reading[kind], reading.get("uom", ""), rest)
    elif field in ("type", "deviceID", "bizRules", "startTime", "endTime"):
        for reading in _readings(event):
            if field in reading:
                yield reading[field]
    elif ":" in field:
        yield from (v for v in _extension(event, field) if not isinstance(v, dict))
    elif field in event:
        yield event[field]


def _extension(event: dict[str, Any], field: str) -> Iterator[Any]:
    inner = field.startswith("INNER_")
    field = field.removeprefix("INNER_")
    holder: Any = event
    if field.startswith("ILMD_"):
        holder, field = event.get("ilmd", {}), field.removeprefix("ILMD_")
    else:
        holder = {k: v for k, v in event.items() if ":" in k}
    if not inner:
        yield from _flat(holder[field]) if field in holder else ()
        return
    queue = [v for v in holder.values() if isinstance(v, dict)]
    while queue:
        item = queue.pop()
        for key, value in item.items():
            if key == field:
                yield from _flat(value)
            if isinstance(value, dict):
                queue.append(value)


def _flat(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _readings(event: dict[str, Any]) -> Iterator[dict[str, Any]]:
    for element in event.get("sensorElementList", []):
        yield element.get("sensorMetadata", {})
        yield from element["sensorReport"]


def _epcs(event: dict[str, Any], fields: list[str]) -> Iterator[str]:
    for field in fields:
        value = event.get(field, [])
        yield from [value] if isinstance(value, str) else value


def _same_epc(epc: str, wanted: str) -> bool:
    shape = pattern(wanted)
    if shape is not None:
        return shape.fullmatch(canonical(epc)) is not None
    return canonical(epc) == canonical(wanted)


def _norm(field: str, value: Any) -> Any:
    if isinstance(value, tuple):
        return _number(value)
    if isinstance(value, str):
        kind = field.partition("_")[0]
        if kind == "persistentDisposition":
            kind = "disposition"
        return web_uri(kind, value) if kind in WORDS else canonical(value)
    return float(value)


def _unit(code: str) -> str:
    return base(0, code)[1]


def _number(value: Any) -> float:
    if isinstance(value, tuple):
        _, amount, unit, asked = value
        return _back(base(amount, unit)[0], asked)
    return float(value)


def _back(amount: float, unit: str) -> float:
    """Give an amount in the base unit in `unit`: the inverse of `base`."""
    zero, one = base(0, unit)[0], base(1, unit)[0]
    return float(f"{(amount - zero) / (one - zero):.8g}")


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)

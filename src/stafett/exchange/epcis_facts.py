"""What can be asked of an event: its words as tokens, its quantities as numbers.

Each question of the EPCIS query language about equality becomes "does the event hold one of these
tokens", each about size "is one of the event's numbers under this name greater". The store keeps
tokens as 128-bit digests under an inverted index; `epcis_query` builds the same tokens from a
query's parameters. Identifiers, words of the vocabulary and units are brought to one form first.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final

import msgspec

from stafett.exchange.cbv import web_uri
from stafett.exchange.epcis import Json, expand
from stafett.exchange.gs1link import canonical, classes_of
from stafett.exchange.problem import Finding, Problem, pointer
from stafett.exchange.units import base

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

MAX_AHEAD_S: Final = (
    600  # beyond this an event "happened" later than now: a clock or a zone is wrong
)

# Field of the event -> name in tokens, for lists of EPCs and of quantities.
EPC_LISTS: Final = {
    "epcList": "epc",
    "childEPCs": "epc",
    "inputEPCList": "inputEPC",
    "outputEPCList": "outputEPC",
}
CLASS_LISTS: Final = {
    "quantityList": "epcClass",
    "childQuantityList": "epcClass",
    "inputQuantityList": "inputEPCClass",
    "outputQuantityList": "outputEPCClass",
}
SENSOR_WORDS: Final = {"type": "measurement", "exception": "alert", "component": "component"}
SENSOR_TEXTS: Final = frozenset(
    (
        "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod", "bizRules",
        "microorganism", "chemicalSubstance", "coordinateReferenceSystem", "stringValue",
        "booleanValue", "hexBinaryValue", "uriValue",
    )
)  # fmt: skip
SENSOR_TIMES: Final = frozenset(("time", "startTime", "endTime"))
SENSOR_VALUES: Final = frozenset(("value", "minValue", "maxValue", "meanValue", "percValue"))
_REPORT_FIELDS: Final = (
    SENSOR_TEXTS | SENSOR_TIMES | SENSOR_VALUES | {"sDev", "percRank", "uom", *SENSOR_WORDS}
)


class Facts(msgspec.Struct):
    """The searchable side of one event. Times are microseconds since 1970 (UTC)."""

    tokens: set[str]
    numbers: list[tuple[str, float]]
    event_time: int
    error_time: int | None = None


# Extension fields by which partners name a chain of identity or a donation, in any namespace: such
# an event has a token that says so without it, so that nobody's namespaces need to be known.
NAMING: Final = frozenset(("coi", "chainOfIdentity", "chainOfIdentityIdentifier", "din",
                           "donationId", "donationIdentificationNumber"))  # fmt: skip
NAMED: Final = "named"


@lru_cache(maxsize=200_000)
def digest(token: str) -> bytes:
    """Give the 16 bytes that stand for a token in the store (BLAKE2b-128)."""
    return hashlib.blake2b(token.encode(), digest_size=16).digest()


def micros(text: str) -> int:
    """Give an RFC 3339 time as microseconds since 1970; ValueError if it is none.

    A leap second counts as the first second of the next minute.
    """
    leap = text[17:19] == "60"
    if leap:
        text = text[:17] + "59" + text[19:]
    moment = datetime.fromisoformat(text.upper())
    if moment.tzinfo is None:
        raise ValueError(f"{text!r} has no zone")
    return (moment - EPOCH) // timedelta(microseconds=1) + (1_000_000 if leap else 0)


def ahead(event_time: int, now: int) -> bool:
    """Say whether an event lies in the future by more than clocks may differ (both as `micros`)."""
    return event_time - now > MAX_AHEAD_S * 1_000_000


def plain(value: Any) -> str:
    """Give a scalar as the text it is compared by: URIs canonical, numbers shortest."""
    if isinstance(value, str):
        return canonical(value) if ":" in value else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"{_float(value):.15g}"
    return "null"


def facts(event: Json, prefixes: Mapping[str, str]) -> Facts:
    """Draw out what can be asked of an event that has been judged valid.

    `prefixes` are the document's (see `epcis.prefixes_of`). Raises `Problem` 400 where a time
    lies outside the calendar (year 0, 30 February).
    """
    try:
        return _facts(event, dict(prefixes))
    except (ValueError, OverflowError) as wrong:
        why = f"a time is not in the calendar, or a number too large: {wrong}"
        found = [Finding(pointer("eventTime"), str(wrong))]
        raise Problem(400, "ValidationException", why, found) from None


def _facts(event: Json, prefixes: dict[str, str]) -> Facts:
    kind = event["type"]
    tokens = {f"type={expand(kind, prefixes) if ':' in kind else kind}"}
    out = Facts(tokens, [], micros(event["eventTime"]))
    for field, value in event.items():
        if (handle := _FIELDS.get(field)) is not None:  # most fields are of this kind
            handle(out, value, prefixes)
        elif field in EPC_LISTS:
            _epcs(out, EPC_LISTS[field], value)
        elif field in CLASS_LISTS:
            _quantities(out, CLASS_LISTS[field], value)
        elif ":" in field:
            _extension(out, "", field, value, prefixes)
    return out


def _epcs(out: Facts, name: str, epcs: list[str]) -> None:
    for epc in epcs:
        link = canonical(epc)
        out.tokens.add(f"{name}={link}")
        for wider in classes_of(link):
            out.tokens.add(f"{name}^{wider}")


def _quantities(out: Facts, name: str, quantities: list[Json]) -> None:
    for item in quantities:
        link = canonical(item["epcClass"])
        out.tokens.add(f"{name}={link}")
        for wider in classes_of(link):
            out.tokens.add(f"{name}^{wider}")
        if "quantity" in item:
            amount, unit = item["quantity"], ""
            if "uom" in item:
                amount, unit = base(amount, item["uom"])
            out.numbers.append((f"quantity:{unit}", float(amount)))


def _parent(out: Facts, value: Any, _: dict[str, str]) -> None:
    _epcs(out, "parentID", [value])


def _action(out: Facts, value: Any, _: dict[str, str]) -> None:
    out.tokens.add(f"action={value}")


def _biz_step(out: Facts, value: Any, prefixes: dict[str, str]) -> None:
    out.tokens.add(f"bizStep={word('bizStep', value, prefixes)}")


def _disposition(out: Facts, value: Any, prefixes: dict[str, str]) -> None:
    out.tokens.add(f"disposition={word('disposition', value, prefixes)}")


def _persistent(out: Facts, value: Any, prefixes: dict[str, str]) -> None:
    out.tokens.add("has=persistentDisposition")
    for side, dispositions in value.items():
        for item in dispositions:
            out.tokens.add(f"persistent.{side}={word('disposition', item, prefixes)}")


def _place(name: str) -> Any:
    def place(out: Facts, value: Any, prefixes: dict[str, str]) -> None:
        out.tokens.add(f"{name}={canonical(value['id'])}")
        if len(value) > 1:
            for field, inner in value.items():
                if ":" in field:
                    _extension(out, name, field, inner, prefixes)

    return place


def _event_id(out: Facts, value: Any, _: dict[str, str]) -> None:
    out.tokens.add(f"eventID={value}")


def _transformation(out: Facts, value: Any, _: dict[str, str]) -> None:
    out.tokens.add(f"transformationID={canonical(value)}")


def _typed(list_name: str, item_name: str, vocabulary: str) -> Any:
    def typed(out: Facts, value: Any, prefixes: dict[str, str]) -> None:
        for item in value:
            kind = word(vocabulary, item["type"], prefixes) if "type" in item else ""
            out.tokens.add(f"{list_name}.{kind}={canonical(item[item_name])}")

    return typed


def _error(out: Facts, value: Any, prefixes: dict[str, str]) -> None:
    out.tokens.add("has=errorDeclaration")
    out.error_time = micros(value["declarationTime"])
    if "reason" in value:
        out.tokens.add(f"errorReason={word('errorReason', value['reason'], prefixes)}")
    for identifier in value.get("correctiveEventIDs", ()):
        out.tokens.add(f"correctiveEventID={identifier}")
    for field, inner in value.items():
        if ":" in field:
            _extension(out, "ERROR_DECLARATION", field, inner, prefixes)


def _ilmd(out: Facts, value: Any, prefixes: dict[str, str]) -> None:
    out.tokens.add("has=ilmd")
    for field, inner in value.items():
        _extension(out, "ILMD", field, inner, prefixes)


def _sensors(out: Facts, value: Any, prefixes: dict[str, str]) -> None:
    out.tokens.add("has=sensorElementList")
    for element in value:
        for field, inner in element.items():
            if field == "sensorMetadata":
                _reading(out, "SENSORMETADATA", inner, prefixes)
            elif field == "sensorReport":
                for report in inner:
                    _reading(out, "SENSORREPORT", report, prefixes)
            else:
                _extension(out, "SENSORELEMENT", field, inner, prefixes)


def _reading(out: Facts, level: str, reading: Json, prefixes: dict[str, str]) -> None:
    unit = reading.get("uom", "")
    for field, value in reading.items():
        if field not in _REPORT_FIELDS:
            _extension(out, level, field, value, prefixes)
        elif field in SENSOR_VALUES:
            amount, code = base(value, unit)
            out.numbers.append((f"{field}:{code}", amount))
        elif field in SENSOR_WORDS:
            out.tokens.add(f"{level}.{field}={word(SENSOR_WORDS[field], value, prefixes)}")
        elif field in SENSOR_TIMES:
            out.numbers.append((f"{level}.{field}@t", micros(value) / 1e6))
        elif field == "sDev":
            amount, code = base(value, unit, difference=True)
            out.numbers.append((f"sDev:{code}", amount))
        elif field == "percRank":
            out.numbers.append(("percRank", float(value)))
        elif field in SENSOR_TEXTS:
            out.tokens.add(f"{level}.{field}={plain(value)}")


_FIELDS: Final[dict[str, Any]] = {
    "action": _action,
    "bizStep": _biz_step,
    "disposition": _disposition,
    "persistentDisposition": _persistent,
    "readPoint": _place("readPoint"),
    "bizLocation": _place("bizLocation"),
    "eventID": _event_id,
    "parentID": _parent,
    "transformationID": _transformation,
    "bizTransactionList": _typed("bizTransaction", "bizTransaction", "bizTransaction"),
    "sourceList": _typed("source", "source", "sourceDest"),
    "destinationList": _typed("destination", "destination", "sourceDest"),
    "errorDeclaration": _error,
    "ilmd": _ilmd,
    "sensorElementList": _sensors,
}


def word(vocabulary: str, value: str, prefixes: Mapping[str, str]) -> str:
    """Give a vocabulary's value in one form; a CURIE of the document is expanded."""
    uri = web_uri(vocabulary, value)
    if uri is value or uri == value:
        prefix, colon, local = value.partition(":")
        if colon and prefix in prefixes and not local.startswith("//"):
            return prefixes[prefix] + local
    return uri


def _extension(
    out: Facts, level: str, name: str, value: Any, prefixes: dict[str, str], inner: str = ""
) -> None:
    full = expand(name, prefixes)
    key = f"{inner}{level}:{full}"
    out.tokens.add(key)
    names = not inner and not level and name.rpartition(":")[2] in NAMING
    for scalar in _leaves(value):
        if isinstance(scalar, dict):
            for field, nested in scalar.items():
                _extension(out, level, field, nested, prefixes, "INNER_")
            continue
        out.tokens.add(f"{key}={plain(scalar)}")
        if names:
            out.tokens.add(f"{NAMED}={plain(scalar)}")
        if isinstance(scalar, bool):
            continue
        if isinstance(scalar, int | float):
            out.numbers.append((key, _float(scalar)))
        elif isinstance(scalar, str) and 20 <= len(scalar) <= 40 and scalar[10:11] in "Tt":
            try:
                out.numbers.append((f"{key}@t", micros(scalar) / 1e6))
            except ValueError:
                continue  # a text that only looks like a time is compared as text


def _leaves(value: Any) -> Iterator[Any]:
    if isinstance(value, list):
        for item in value:
            yield from _leaves(item)
    else:
        yield value


def _float(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer beyond 1.8e308
        return float("inf") if value > 0 else float("-inf")

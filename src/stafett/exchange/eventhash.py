"""The CBV 2.0 event hash, by named profile: a bridge to other systems, not our integrity.

CBV 2.0 §8.9 derives an eventID from an event's content: the fields in a fixed order, values brought
to one form, then SHA-256 (`ni:///sha-256;...?ver=CBV2.0`). Independent implementations do not
agree on it (two give one hash for 36 of the 82 events of our corpus), so a hash is comparable only
within one named profile. Integrity of a journey rests on the ledger.

Profile `CBV2.0` equals the published reference implementation (RalphTro/epcis-event-hash-generator)
on all its vectors, and keeps the standard's rule that order inside lists and objects never matters,
where that implementation keeps the order of a business transaction's members.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from stafett.exchange.cbv import web_uri
from stafett.exchange.epcis import Json, expand
from stafett.exchange.gs1link import canonical

PROFILES: Final = ("CBV2.0",)

_ORDER: Final = (
    "eventTime", "eventTimeZoneOffset", "certificationInfo", "parentID", "epcList",
    "inputEPCList", "childEPCs", "quantityList", "childQuantityList", "inputQuantityList",
    "outputEPCList", "outputQuantityList", "action", "transformationID", "bizStep", "disposition",
    "persistentDisposition", "readPoint", "bizLocation", "bizTransactionList", "destinationList",
    "sourceList", "sensorElementList", "ilmd",
)  # fmt: skip
_METADATA: Final = (
    "time", "startTime", "endTime", "deviceID", "deviceMetadata", "rawData",
    "dataProcessingMethod", "bizRules",
)  # fmt: skip
_REPORT: Final = (
    "type", "exception", "deviceID", "deviceMetadata", "rawData", "dataProcessingMethod",
    "bizRules", "time", "microorganism", "chemicalSubstance", "coordinateReferenceSystem",
    "value", "component", "stringValue", "booleanValue", "hexBinaryValue", "uriValue",
    "minValue", "maxValue", "meanValue", "sDev", "percRank", "percValue", "uom",
)  # fmt: skip
_WORDS: Final = {
    "bizStep": "bizStep", "disposition": "disposition", "set": "disposition",
    "unset": "disposition", "exception": "alert", "component": "component",
}  # fmt: skip
_TIMES: Final = frozenset(("eventTime", "time", "startTime", "endTime"))
_TEXTS: Final = frozenset(("stringValue", "hexBinaryValue", "uom", "action", "eventTimeZoneOffset"))
_COMMENT: Final = "{http://www.w3.org/2000/01/rdf-schema#}comment"


def event_hash(event: Json, prefixes: Mapping[str, str], profile: str = "CBV2.0") -> str:
    """Give the event's hash as an `ni` URI (RFC 6920); ValueError for an unknown profile."""
    text = prehash(event, prefixes, profile)
    return f"ni:///sha-256;{hashlib.sha256(text.encode()).hexdigest()}?ver={profile}"


def prehash(event: Json, prefixes: Mapping[str, str], profile: str = "CBV2.0") -> str:
    """Give the text that is hashed."""
    if profile not in PROFILES:
        raise ValueError(f"{profile!r} is no event hash profile; known: {', '.join(PROFILES)}")
    names = dict(prefixes)
    kind = event["type"]
    out = "eventType=" + (expand(kind, names) if ":" in kind else kind)
    for field in _ORDER:
        if field in event and event[field] not in ([], {}):
            out += _FIELD.get(field, _simple)(field, event[field], names)
    return out + _extensions(event, names)


def milliseconds(text: str) -> str:
    """Give a time in UTC with milliseconds, rounded half up (CBV 2.0 §8.9.2)."""
    head, dot, tail = text.upper().partition(".")
    if not dot:
        moment, fraction = datetime.fromisoformat(head), Decimal(0)
    else:
        digits = tail.rstrip("Z").split("+")[0].split("-")[0]
        moment = datetime.fromisoformat(head + tail[len(digits) :])
        fraction = Decimal("0." + digits)
    rounded = fraction.quantize(Decimal("0.001"), ROUND_HALF_UP)
    moment = moment.astimezone(UTC) + timedelta(milliseconds=int(rounded * 1000))
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03d}Z"


def _value(field: str, value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return format(Decimal(repr(value)).normalize(), "f")
    text = str(value).strip()
    if field in _TIMES:
        return milliseconds(text)
    if field in _WORDS:
        return web_uri(_WORDS[field], text)
    return text if field in _TEXTS else canonical(text)


def _simple(field: str, value: Any, _: dict[str, str]) -> str:
    if isinstance(value, list):
        return "".join(sorted(f"{field}={_value(field, v)}" for v in value))
    return f"{field}={_value(field, value)}"


def _epcs(field: str, value: Any, _: dict[str, str]) -> str:
    return field + "".join(sorted(f"epc={_value('epc', v)}" for v in value))


def _members(item: Json, fields: Iterable[str], words: Mapping[str, str]) -> str:
    out = ""
    for field in fields:
        if field in item:
            text = _value(field, item[field])
            out += f"{field}={web_uri(words[field], text) if field in words else text}"
    return out


def _quantities(field: str, value: Any, _: dict[str, str]) -> str:
    members = ("epcClass", "quantity", "uom")
    return field + "".join(sorted("quantityElement" + _members(q, members, {}) for q in value))


def _typed(item: str, vocabulary: str) -> Callable[[str, Any, dict[str, str]], str]:
    def typed(field: str, value: Any, _: dict[str, str]) -> str:
        words = {"type": vocabulary}
        return field + "".join(sorted(_members(v, ("type", item), words) for v in value))

    return typed


def _place(field: str, value: Any, names: dict[str, str]) -> str:
    return f"{field}id={_value('id', value['id'])}" + _extensions(value, names)


def _persistent(field: str, value: Any, names: dict[str, str]) -> str:
    return field + "".join(_simple(s, value[s], names) for s in ("set", "unset") if s in value)


def _sensors(field: str, value: Any, names: dict[str, str]) -> str:
    elements = []
    for element in value:
        out = "sensorElement"
        metadata = element.get("sensorMetadata")
        if metadata:
            out += "sensorMetadata" + _members(metadata, _METADATA, {})
            out += _extensions(metadata, names)
        words = {"type": "measurement"}
        out += "".join(
            sorted(
                "sensorReport" + _members(r, _REPORT, words) + _extensions(r, names)
                for r in element["sensorReport"]
            )
        )
        elements.append(out + _extensions(element, names))
    return field + "".join(sorted(elements))


def _ilmd(field: str, value: Any, names: dict[str, str]) -> str:
    return field + _extensions(value, names)


_FIELD: Final[dict[str, Callable[[str, Any, dict[str, str]], str]]] = {
    "epcList": _epcs, "inputEPCList": _epcs, "childEPCs": _epcs, "outputEPCList": _epcs,
    "quantityList": _quantities, "childQuantityList": _quantities,
    "inputQuantityList": _quantities, "outputQuantityList": _quantities,
    "bizTransactionList": _typed("bizTransaction", "bizTransaction"),
    "sourceList": _typed("source", "sourceDest"),
    "destinationList": _typed("destination", "sourceDest"),
    "readPoint": _place, "bizLocation": _place, "persistentDisposition": _persistent,
    "sensorElementList": _sensors, "ilmd": _ilmd,
}  # fmt: skip


def _extensions(item: Json, names: dict[str, str]) -> str:
    found = []
    for field, value in item.items():
        if ":" in field:
            full = expand(field, names)
            if full != _COMMENT:
                found += _extension(full, value, names)
    return "".join(sorted(found))


def _extension(full: str, value: Any, names: dict[str, str]) -> list[str]:
    if isinstance(value, list):
        return [text for item in value for text in _extension(full, item, names)]
    if isinstance(value, dict):
        # Fields of the standard may stand in an extension, as in an own list of quantities.
        own = "".join(
            f"{field}={_value(field, one)}"
            for field, one in sorted(value.items())
            if ":" not in field and field[:1] != "@" and not isinstance(one, dict | list)
        )
        return [full + own + _extensions(value, names)]
    if value is None:
        return [full + "="]
    return [f"{full}={_value('', value)}"]

"""EPCIS documents written as XML of 2.0: the other way of `epcis_xml`, event for event.

    data = xml_of(query_document(page.events), words="Always_URN")

Fields stand in the order that the XML binding fixes for each kind of event. Words of the CBV are
URIs in XML: Web URIs, or the URNs of version 1 on request. An extension needs a namespace to have a
name in XML; what has none, or holds what XML cannot, is refused with its place: an answer never
leaves out what it cannot say. JSON's null becomes an empty element, a list repeated elements.
Source: EPCIS 2.0 §9.5 (XML binding: order of fields) and §8.2.2 (GS1-CBV-XML-Format).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from decimal import Decimal
from typing import Any, Final
from xml.sax.saxutils import escape, quoteattr

from stafett.exchange import epcis
from stafett.exchange.cbv import KINDS, web_uri
from stafett.exchange.epcis import Json
from stafett.exchange.problem import Finding, Problem, pointer

WORDS: Final = ("No_Preference", "Always_Web_URI", "Always_URN", "Never_Translates")
DOCUMENT: Final = "urn:epcglobal:epcis:xsd:2"
QUERY: Final = "urn:epcglobal:epcis-query:xsd:2"

_HEAD: Final = ("eventTime", "recordTime", "eventTimeZoneOffset", "eventID", "errorDeclaration",
                "certificationInfo")  # fmt: skip
_PLACED: Final = ("bizStep", "disposition", "readPoint", "bizLocation")
_TAIL: Final = (
    "sourceList",
    "destinationList",
    "sensorElementList",
    "persistentDisposition",
    "ilmd",
)
_ORDER: Final = {
    "ObjectEvent": ("epcList", "action", *_PLACED, "bizTransactionList", "quantityList", *_TAIL),
    "AggregationEvent": ("parentID", "childEPCs", "action", *_PLACED, "bizTransactionList",
                         "childQuantityList", *_TAIL),
    "TransactionEvent": ("bizTransactionList", "parentID", "epcList", "action", *_PLACED,
                         "quantityList", *_TAIL),
    "TransformationEvent": ("inputEPCList", "inputQuantityList", "outputEPCList",
                            "outputQuantityList", "transformationID", *_PLACED,
                            "bizTransactionList", *_TAIL),
    "AssociationEvent": ("parentID", "childEPCs", "childQuantityList", "action", *_PLACED,
                         "bizTransactionList", *_TAIL),
}  # fmt: skip
# Lists that the XML binding wants even when they are empty.
_REQUIRED: Final = {"ObjectEvent": "epcList", "AggregationEvent": "childEPCs",
                    "TransactionEvent": "epcList"}  # fmt: skip
_PAIRS: Final = {
    "bizTransactionList": ("bizTransaction", "bizTransaction"),
    "sourceList": ("source", "sourceDest"),
    "destinationList": ("destination", "sourceDest"),
}
_REPORT_WORDS: Final = {"type": "measurement", "exception": "alert", "component": "component"}
_WITH_URN: Final = ("bizStep", "disposition", "bizTransaction", "sourceDest", "errorReason")
_LOCAL: Final = re.compile(r"[^\W\d][\w.-]*")
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")

Place = tuple[str | int, ...]


def check_words(wanted: str) -> str:
    """Check a GS1-CBV-XML-Format header; raise `Problem` 406 for what cannot be given."""
    if wanted in WORDS:
        return wanted
    why = f"GS1-CBV-XML-Format knows {', '.join(WORDS)} here, not {wanted[:40]!r}"
    raise Problem(406, "NotAcceptableException", why)


def xml_of(document: Json, words: str = "No_Preference") -> bytes:
    """Write an EPCISDocument or EPCISQueryDocument that is valid in JSON.

    Raises `Problem` 406 with the place of what XML has no way to say; ask for JSON then.
    """
    return _Writer(epcis.prefixes_of(document.get("@context")), words).document(document)


class _Writer:
    def __init__(self, prefixes: dict[str, str], words: str) -> None:
        self._common = self._prefixes = prefixes
        self._urn = words == "Always_URN"
        # JSON has bare words besides, which XML has not: they are given as Web URIs.
        self._kept = words == "Never_Translates"
        self._spaces: dict[str, str] = {}  # namespace -> the one prefix it has in this document
        self._out: list[str] = []

    def document(self, document: Json) -> bytes:
        body = document["epcisBody"]
        query = document["type"] == "EPCISQueryDocument"
        if query:
            self._results(body["queryResults"])
        else:
            self._events(body["eventList"], ("epcisBody", "eventList"))
        inner = "".join(self._out)
        name, space = ("epcisq:EPCISQueryDocument", QUERY) if query else (
            "epcis:EPCISDocument", DOCUMENT)  # fmt: skip
        declared = "".join(
            f" xmlns:{prefix}={quoteattr(uri)}" for uri, prefix in self._spaces.items()
        )
        created = quoteattr(document["creationDate"])
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n'
            f'<{name} xmlns:{name.partition(":")[0]}="{space}"{declared} schemaVersion="2.0"'
            f" creationDate={created}><EPCISBody>{inner}</EPCISBody></{name}>\n"
        ).encode()

    def _results(self, results: Json) -> None:
        at = ("epcisBody", "queryResults")
        self._out.append("<epcisq:QueryResults>")
        for name in ("queryName", "subscriptionID"):
            if name in results:
                self._text(name, results[name], (*at, name))
        self._out.append("<resultsBody>")
        self._events(results["resultsBody"]["eventList"], (*at, "resultsBody", "eventList"))
        self._out.append("</resultsBody></epcisq:QueryResults>")

    def _events(self, events: list[Json], at: Place) -> None:
        def inner() -> None:
            for i, event in enumerate(events):
                own = event.get("@context")
                self._prefixes = {**self._common, **epcis.prefixes_of(own)} if own else self._common
                self._event(event, (*at, i))

        self._element("EventList", inner)

    def _event(self, event: Json, at: Place) -> None:
        kind = event["type"]
        if kind not in _ORDER:
            raise _cannot((*at, "type"), f"an event of the kind {kind[:60]!r} has no place in XML")

        def inner() -> None:
            for name in (*_HEAD, *_ORDER[kind]):
                if name in event:
                    self._field(name, event[name], (*at, name))
                elif _REQUIRED.get(kind) == name:
                    self._out.append(f"<{name}/>")
            self._extensions(event, at)

        self._element(kind, inner)

    def _field(self, name: str, value: Any, at: Place) -> None:
        if name in ("bizStep", "disposition"):
            self._text(name, self._word(name, value), at)
        elif name == "certificationInfo":
            for one in value if isinstance(value, list) else [value]:
                self._text(name, one, at)
        elif name in _PAIRS:
            item, kind = _PAIRS[name]
            self._list(name, value, lambda one, here: self._pair(item, kind, one, here), at)
        elif name.endswith("uantityList"):
            self._list(name, value, self._quantity, at)
        elif name.endswith(("EPCList", "EPCs")) or name == "epcList":
            self._list(name, value, lambda one, here: self._text("epc", one, here), at)
        elif name in ("readPoint", "bizLocation"):
            self._element(name, lambda: self._place(value, at))
        elif name == "ilmd":
            self._element(name, lambda: self._extensions(value, at))
        elif name == "sensorElementList":
            self._list(name, value, self._sensor, at)
        elif name == "persistentDisposition":
            self._element(name, lambda: self._persistent(value, at))
        elif name == "errorDeclaration":
            self._element(name, lambda: self._error(value, at))
        else:
            self._text(name, value, at)

    def _place(self, value: Json, at: Place) -> None:
        self._text("id", value["id"], (*at, "id"))
        self._extensions(value, at)

    def _persistent(self, value: Json, at: Place) -> None:
        for side in ("unset", "set"):
            for one in value.get(side, ()):
                self._text(side, self._word("disposition", one), (*at, side))

    def _error(self, value: Json, at: Place) -> None:
        self._text("declarationTime", value["declarationTime"], at)
        if "reason" in value:
            self._text("reason", self._word("errorReason", value["reason"]), (*at, "reason"))
        if "correctiveEventIDs" in value:
            self._list(
                "correctiveEventIDs", value["correctiveEventIDs"],
                lambda one, here: self._text("correctiveEventID", one, here), at,
            )  # fmt: skip
        self._extensions(value, at)

    def _pair(self, item: str, kind: str, value: Json, at: Place) -> None:
        told = value.get("type")
        attribute = "" if told is None else f" type={quoteattr(self._word(kind, told))}"
        self._text(item, value[item], (*at, item), attribute)

    def _quantity(self, value: Json, at: Place) -> None:
        def inner() -> None:
            self._text("epcClass", value["epcClass"], (*at, "epcClass"))
            if "quantity" in value:
                self._text("quantity", format(Decimal(repr(value["quantity"])), "f"), at)
            if "uom" in value:
                self._text("uom", value["uom"], (*at, "uom"))

        if "uom" in value and "quantity" not in value:
            raise _cannot((*at, "uom"), "a unit without a quantity has no place in XML")
        self._element("quantityElement", inner)

    def _sensor(self, value: Json, at: Place) -> None:
        def inner() -> None:
            if "sensorMetadata" in value:
                self._attributes("sensorMetadata", value["sensorMetadata"], (*at, "sensorMetadata"))
            for i, report in enumerate(value["sensorReport"]):
                self._attributes("sensorReport", report, (*at, "sensorReport", i))
            self._extensions(value, at)

        self._element("sensorElement", inner)

    def _attributes(self, name: str, value: Json, at: Place) -> None:
        parts = []
        for field, one in value.items():
            here = (*at, field)
            if isinstance(one, list | dict) or one is None:
                raise _cannot(here, "XML holds a reading in attributes: one text or number each")
            key = self._qualified(field, here) if ":" in field else field
            text = _scalar(one)
            if name == "sensorReport" and field in _REPORT_WORDS:
                text = self._word(_REPORT_WORDS[field], text)
            parts.append(f" {key}={quoteattr(_legal(text, here), _ENTITIES)}")
        self._out.append(f"<{name}{''.join(parts)}/>")

    def _extensions(self, value: Json, at: Place) -> None:
        for field, one in value.items():
            if ":" in field:
                self._extension(field, one, (*at, field))

    def _extension(self, field: str, value: Any, at: Place) -> None:
        name = self._qualified(field, at)
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, list):
                raise _cannot(at, "a list in a list has no place in XML")
            if isinstance(one, dict):
                self._element(name, lambda inner=one: self._members(inner, at))  # type: ignore[misc]
            elif one is None:
                self._out.append(f"<{name}/>")
            else:
                self._text(name, _scalar(one), at)

    def _members(self, value: Json, at: Place) -> None:
        for field, one in value.items():
            self._extension(field, one, (*at, field))

    def _qualified(self, field: str, at: Place) -> str:
        """Give an extension's name with the prefix that its namespace has in this document."""
        prefix, _, local = field.partition(":")
        uri = self._prefixes.get(prefix)
        if uri is None or not _LOCAL.fullmatch(local):
            raise _cannot(
                at, f"{field[:80]!r}: a name in XML is a prefix of the context and a plain word"
            )
        if uri not in self._spaces:
            wish = prefix if _LOCAL.fullmatch(prefix) and prefix[:3].lower() != "xml" else "ext"
            taken, name, n = {*self._spaces.values(), "epcis", "epcisq"}, wish, 2
            while name in taken:
                name, n = f"{wish}{n}", n + 1
            self._spaces[uri] = name
        return f"{self._spaces[uri]}:{local}"

    def _word(self, kind: str, value: str) -> str:
        uri = web_uri(kind, value)
        web, urn, known = KINDS[kind]
        bare = uri.removeprefix(web)
        if self._kept and value == urn + bare:
            return value
        return urn + bare if self._urn and kind in _WITH_URN and bare in known else uri

    def _list(
        self, name: str, values: Iterable[Any], one: Callable[[Any, Place], None], at: Place
    ) -> None:
        def inner() -> None:
            for i, value in enumerate(values):
                one(value, (*at, i))

        self._element(name, inner)

    def _element(self, name: str, inner: Callable[[], None]) -> None:
        self._out.append(f"<{name}>")
        inner()
        self._out.append(f"</{name}>")

    def _text(self, name: str, text: str, at: Place, attributes: str = "") -> None:
        body = escape(_legal(text, at), {"\r": "&#13;"})
        self._out.append(f"<{name}{attributes}>{body}</{name}>")


# An attribute's white space is normalised on reading unless it is written as references.
_ENTITIES: Final = {"\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


def _scalar(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else repr(value)


def _legal(text: str, at: Place) -> str:
    if _NOT_XML.search(text):
        raise _cannot(at, "the text holds a control character, which XML has no way to write")
    return text


def _cannot(at: Place, why: str) -> Problem:
    where = pointer(*at)
    what = f"the answer cannot be given in XML: {where}: {why}; ask for application/json"
    return Problem(406, "NotAcceptableException", what, [Finding(where, why)])

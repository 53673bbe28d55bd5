"""EPCIS documents in XML (1.2 and 2.0), brought into the JSON binding of 2.0 and judged there.

The XML of 1.2 wraps what came later into `extension` and `baseExtension`; the wrappers are undone.
Words of the CBV are written bare, as JSON wants them. A document type is refused: it is where
entity bombs live, and EPCIS needs none. What the JSON binding has no place for (attributes of
extensions, text between elements) refuses the document, with its line: nothing is left out.
Source: EPCIS 1.2 and 2.0 §9.5 (XML), EPCIS 2.0 §9.6 (JSON).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Any, Final
from xml.parsers import expat

from stafett.exchange import cbv
from stafett.exchange.epcis import CONTEXT_URI, KNOWN_TYPES, MAX_BYTES, MAX_DEPTH, Json
from stafett.exchange.problem import Finding, Problem

ROOTS: Final = ("urn:epcglobal:epcis:xsd:1", "urn:epcglobal:epcis:xsd:2")
_ANSWERS: Final = ("urn:epcglobal:epcis-query:xsd:1", "urn:epcglobal:epcis-query:xsd:2")
_SCHEMA: Final = "http://www.w3.org/2001/XMLSchema-instance"
WRAPPERS: Final = ("extension", "baseExtension")
_EPCS: Final = ("epcList", "childEPCs", "inputEPCList", "outputEPCList")
_QUANTITIES: Final = ("quantityList", "childQuantityList", "inputQuantityList",
                      "outputQuantityList")  # fmt: skip
_PAIRS: Final = {"bizTransactionList": ("bizTransaction", "bizTransaction"),
                 "sourceList": ("source", "sourceDest"),
                 "destinationList": ("destination", "sourceDest")}  # fmt: skip
_WORDS: Final = {"bizStep": "bizStep", "disposition": "disposition"}
_PLAIN: Final = ("eventTime", "recordTime", "eventTimeZoneOffset", "eventID", "action", "parentID",
                 "transformationID", "certificationInfo")  # fmt: skip
_NUMBERS: Final = frozenset(("value", "minValue", "maxValue", "meanValue", "sDev", "percRank",
                             "percValue"))  # fmt: skip
_REPORT_WORDS: Final = {"type": "measurement", "exception": "alert", "component": "component"}
_NUMBER: Final = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?")


@dataclass
class Node:
    """An element as it was written, with the line that it begins in."""

    space: str
    name: str
    attributes: dict[str, str]
    line: int
    children: list[Node] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The text directly in it, without the space around."""
        return "".join(self.parts).strip()


def looks_so(data: bytes) -> bool:
    """Say whether bytes look like an EPCIS document in XML rather than any other XML."""
    head = data[:4000]
    return b"EPCISDocument" in head or b"EPCISQueryDocument" in head


def read_xml(data: bytes) -> Json:
    """Return the document as in the JSON binding, not judged yet; raise `Problem` 400 or 413."""
    tree, prefixes = parsed(data)
    answer = tree.space in _ANSWERS and tree.name == "EPCISQueryDocument"
    if not answer and (tree.space not in ROOTS or tree.name != "EPCISDocument"):
        known = " or ".join(ROOTS)
        raise _wrong(tree, f"it is a <{tree.name}>, not the EPCISDocument of {known}")
    make = _Maker(prefixes)
    body = _only(tree, "EPCISBody")
    out: Json = {
        "@context": [CONTEXT_URI],
        "type": tree.name,
        "schemaVersion": "2.0",
        "creationDate": tree.attributes.get(" creationDate", ""),
    }
    if answer:
        out["epcisBody"] = {"queryResults": make.results(body)}
    else:
        out["epcisBody"] = {"eventList": make.events(body)}
    vocabularies = make.vocabularies(tree)
    if vocabularies:
        out["epcisHeader"] = {"epcisMasterData": {"vocabularyList": vocabularies}}
    if make.used:
        out["@context"].append({prefix: uri for uri, prefix in make.used.items()})
    return out


def parsed(data: bytes) -> tuple[Node, dict[str, str]]:
    """Return the tree, and each namespace with its first prefix; raise `Problem` 400 or 413."""
    if len(data) > MAX_BYTES:
        why = f"the document has {len(data):,} bytes; {MAX_BYTES:,} are taken: split it"
        raise Problem(413, "CaptureLimitExceededException", why)
    parser = expat.ParserCreate(namespace_separator=" ")
    stack: list[Node] = []
    roots: list[Node] = []
    prefixes: dict[str, str] = {}  # namespace -> the prefix that it was first given

    def opened(tag: str, attributes: dict[str, str]) -> None:
        space, _, name = tag.rpartition(" ")
        named = {k if " " in k else " " + k: v for k, v in attributes.items()}
        node = Node(space, name, named, parser.CurrentLineNumber)
        if len(stack) >= MAX_DEPTH:
            raise _wrong(node, f"it nests deeper than {MAX_DEPTH} levels")
        (stack[-1].children if stack else roots).append(node)
        stack.append(node)

    def declared(prefix: str | None, uri: str | None) -> None:
        if uri:
            prefixes.setdefault(uri, prefix or "")

    def doctype(*_: object) -> None:
        node = Node("", "!DOCTYPE", {}, parser.CurrentLineNumber)
        raise _wrong(node, "it declares a document type, which EPCIS does not need")

    parser.StartElementHandler = opened
    parser.EndElementHandler = lambda _: stack.pop()
    parser.CharacterDataHandler = lambda text: stack[-1].parts.append(text)
    parser.StartNamespaceDeclHandler = declared
    parser.StartDoctypeDeclHandler = doctype
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        where = f"line {error.lineno}"
        why = f"{where}: it is no XML: {expat.ErrorString(error.code)}"
        raise Problem(400, "ValidationException", why, [Finding(where, why)]) from None
    return roots[0], prefixes


class _Maker:
    """Makes JSON of elements; `used` collects the namespaces of extensions with their prefixes."""

    def __init__(self, prefixes: dict[str, str]) -> None:
        self._prefixes = prefixes
        self.used: dict[str, str] = {}

    def results(self, body: Node) -> Json:
        """Give what an answer to a query holds: its name and the events."""
        (inner,) = body.children if len(body.children) == 1 else (body,)
        if inner.space not in _ANSWERS or inner.name != "QueryResults":
            raise _wrong(inner, f"<{inner.name}> is no <QueryResults>")
        out: Json = {"queryName": _text(_only(inner, "queryName"))}
        told = [c for c in inner.children if c.name == "subscriptionID" and not c.space]
        if told:
            out["subscriptionID"] = _text(told[0])
        out["resultsBody"] = {"eventList": self.events(_only(inner, "resultsBody"))}
        return out

    def events(self, node: Node) -> list[Json]:
        """Give the events of the one list below an element."""
        return [self.event(one) for one in _flat(_only(node, "EventList"))]

    def event(self, node: Node) -> Json:
        if node.space or node.name not in KNOWN_TYPES:
            raise _wrong(node, f"<{node.name}> is no event of EPCIS ({', '.join(KNOWN_TYPES)})")
        out: Json = {"type": node.name}
        for child in _flat(node):
            self._put(out, child, self._field(child))
        if _about_nothing(out):
            # XML must write an empty list where there is none; JSON where it is all there is.
            named = any(not c.space and c.name == "epcList" for c in _flat(node))
            out |= {"epcList": []} if named else {}
        return out

    def _field(self, node: Node) -> Any:
        """Give the value of one field of an event; None for a list that is empty."""
        name = node.name
        if node.space:
            return self._extension(node)
        if name in _PLAIN:
            return _text(node)
        if name in _WORDS:
            return _word(_WORDS[name], _text(node))
        if name in _EPCS:
            return [_text(epc) for epc in _each(node, "epc")] or None
        if name in _QUANTITIES:
            return [self._quantity(one) for one in _each(node, "quantityElement")] or None
        if name in _PAIRS:
            inner, kind = _PAIRS[name]
            return [self._pair(one, inner, kind) for one in _each(node, inner)] or None
        if name in ("readPoint", "bizLocation", "ilmd"):
            return self._open(node)
        if name == "persistentDisposition":
            found: Json = {}
            for one in node.children:
                found.setdefault(one.name, []).append(_word("disposition", _text(one)))
            return found
        if name == "sensorElementList":
            return [self._sensor(one) for one in _each(node, "sensorElement")] or None
        if name == "errorDeclaration":
            return self._error(node)
        raise _wrong(node, f"<{name}> is no field of an event")

    def _put(self, out: Json, node: Node, value: Any) -> None:
        if value is None:
            return
        key = self._name(node)
        if key not in out:
            out[key] = value
        elif node.space or node.name == "certificationInfo":
            out[key] = [*(out[key] if isinstance(out[key], list) else [out[key]]), value]
        else:
            raise _wrong(node, f"<{node.name}> stands twice")

    def _name(self, node: Node) -> str:
        if not node.space:
            return node.name
        if node.space not in self.used:
            wish = self._prefixes.get(node.space) or "ext"
            taken, prefix, n = set(self.used.values()), wish, 2
            while prefix in taken:
                prefix, n = f"{wish}{n}", n + 1
            self.used[node.space] = prefix
        return f"{self.used[node.space]}:{node.name}"

    def _extension(self, node: Node) -> Any:
        _bare(node)
        if not node.children:
            return node.text
        if node.text:
            raise _wrong(node, f"<{node.name}> mixes text and elements")
        out: Json = {}
        for child in node.children:
            key, value = self._name(child), self._extension(child)
            if key in out:
                out[key] = [*(out[key] if isinstance(out[key], list) else [out[key]]), value]
            else:
                out[key] = value
        return out

    def _open(self, node: Node) -> Json:
        out: Json = {}
        for child in _flat(node):
            self._put(out, child, self._extension(child))
        return out

    def _quantity(self, node: Node) -> Json:
        out: Json = {}
        for child in node.children:
            value: Any = _text(child)
            self._put(out, child, _number(child, value) if child.name == "quantity" else value)
        return out

    def _pair(self, node: Node, inner: str, kind: str) -> Json:
        out: Json = {inner: _text(node, ("type",))}
        if " type" in node.attributes:
            out = {"type": _word(kind, node.attributes[" type"]), **out}
        return out

    def _sensor(self, node: Node) -> Json:
        out: Json = {"sensorReport": []}
        for child in _flat(node):
            if child.name == "sensorMetadata" and not child.space:
                out["sensorMetadata"] = self._attributes(child)
            elif child.name == "sensorReport" and not child.space:
                out["sensorReport"].append(self._attributes(child))
            else:
                self._put(out, child, self._extension(child))
        return out

    def _attributes(self, node: Node) -> Json:
        out: Json = {}
        for key, text in node.attributes.items():
            space, _, name = key.rpartition(" ")
            if space:
                out[self._name(Node(space, name, {}, node.line))] = text
            elif name in _NUMBERS:
                out[name] = _number(node, text)
            elif name == "booleanValue":
                out[name] = {"true": True, "1": True, "false": False, "0": False}.get(text, text)
            elif name in _REPORT_WORDS and node.name == "sensorReport":
                out[name] = _word(_REPORT_WORDS[name], text)
            else:
                out[name] = text
        if node.children or node.text:
            raise _wrong(node, f"<{node.name}> says everything in attributes")
        return out

    def _error(self, node: Node) -> Json:
        out: Json = {}
        for child in _flat(node):
            if child.name == "correctiveEventIDs" and not child.space:
                out[child.name] = [_text(one) for one in _each(child, "correctiveEventID")]
            elif child.name == "reason" and not child.space:
                out["reason"] = _word("errorReason", _text(child))
            else:
                self._put(out, child, self._extension(child))
        return out

    def vocabularies(self, tree: Node) -> list[Json]:
        """Give the master data of the header (EPCIS 1.2 §9.4: below extension/EPCISMasterData)."""
        out = []
        header = [c for c in tree.children if c.name == "EPCISHeader"]
        data = [d for h in header for d in _flat(h) if d.name == "EPCISMasterData"]
        for group in (v for d in data for one in _each(d, "VocabularyList") for v in one.children):
            elements = [
                self._element(one)
                for inner in group.children
                for one in _each(inner, "VocabularyElement")
            ]
            out.append({"type": group.attributes.get(" type", ""),
                        "vocabularyElementList": elements})  # fmt: skip
        return out

    def _element(self, node: Node) -> Json:
        out: Json = {"id": node.attributes.get(" id", "")}
        attributes, children = [], []
        for child in node.children:
            if child.name == "attribute":
                value = self._open(child) if child.children else child.text
                attributes.append({"id": child.attributes.get(" id", ""), "attribute": value})
            elif child.name == "children":
                children += [_text(one) for one in child.children]
            else:
                raise _wrong(child, f"<{child.name}> is no part of a vocabulary element")
        if attributes:
            out["attributes"] = attributes
        if children:
            out["children"] = children
        return out


def _about_nothing(event: Json) -> bool:
    """Tell whether an event names no object and is right only if it says so (a consent, an order).

    One that tells readings of a place, or takes a transaction off all that it was on, need not.
    """
    if "epcList" in event or "quantityList" in event:
        return False
    if event["type"] == "ObjectEvent":
        return not ("sensorElementList" in event and "readPoint" in event)
    return event["type"] == "TransactionEvent" and event.get("action") != "DELETE"


def _flat(node: Node) -> list[Node]:
    """Give an element's children, those in the wrappers of 1.2 in their place."""
    out: list[Node] = []
    for child in node.children:
        wrapped = not child.space and child.name in WRAPPERS
        out += _flat(child) if wrapped else [child]
    if node.text:
        raise _wrong(node, f"<{node.name}> holds text between its elements")
    return out


def _each(node: Node, name: str) -> list[Node]:
    for child in node.children:
        if child.space or child.name != name:
            raise _wrong(child, f"<{child.name}> does not belong into <{node.name}>")
    return node.children


def _only(node: Node, name: str) -> Node:
    found = [c for c in node.children if c.name == name and not c.space]
    if len(found) != 1:
        raise _wrong(node, f"<{node.name}> needs one <{name}>, and has {len(found)}")
    return found[0]


def _word(kind: str, text: str) -> str:
    """Give a word of the vocabulary bare; one that it does not have stays, and is judged so."""
    return cbv.bare_word(kind, text) if ":" in text else text


def _text(node: Node, may: tuple[str, ...] = ()) -> str:
    _bare(node, may)
    if node.children:
        raise _wrong(node.children[0], f"<{node.name}> holds a text, not elements")
    return node.text


def _bare(node: Node, may: tuple[str, ...] = ()) -> None:
    odd = [
        k for k in node.attributes
        if k.rpartition(" ")[0] != _SCHEMA and k.strip() not in may
    ]  # fmt: skip
    if odd:
        what = f"<{node.name}> has the attribute {odd[0].strip()!r}, which JSON has no place for"
        raise _wrong(node, what)


def _number(node: Node, text: str) -> float | int:
    if not _NUMBER.fullmatch(text.strip()):
        raise _wrong(node, f"{text[:40]!r} is no number")
    value = float(text)
    return int(value) if value.is_integer() and abs(value) < 2**53 else value


def _wrong(node: Node, why: str) -> Problem:
    where = f"line {node.line}"
    return Problem(400, "ValidationException", f"{where}: {why}", [Finding(where, why)])

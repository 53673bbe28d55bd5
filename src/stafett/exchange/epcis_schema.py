"""What an EPCIS 2.0 document must look like, as a JSON Schema of our own making.

Written from the field tables of EPCIS 2.0 §7 and §9 and the words of CBV 2.0 (module `cbv`). GS1's
published schema file is not copied (its notice is no plain open-source licence; decision 0020);
a test holds the two against each other wherever the published file is at hand. Each rule fails
at the field it is about, so that an error can name the place.
"""

from __future__ import annotations

from typing import Any, Final

from stafett.exchange import cbv

Schema = dict[str, Any]

MAX_NAME: Final = 512  # characters of an extension's name; a bound of this implementation
URI: Final[Schema] = {"type": "string", "format": "uri"}
TIME: Final[Schema] = {"type": "string", "format": "date-time"}
NUMBER: Final[Schema] = {"type": "number"}
TEXT: Final[Schema] = {"type": "string"}
OFFSET: Final[Schema] = {
    "type": "string",
    "pattern": r"^[+-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00)$",
}
EXTENSIONS: Final[Schema] = {rf"^[A-Za-z][A-Za-z0-9+._-]*:\S{{1,{MAX_NAME}}}$": True}


def _list(item: Schema, at_least: int = 0, unique: bool = False) -> Schema:
    out: Schema = {"type": "array", "items": item}
    if at_least:
        out["minItems"] = at_least
    if unique:
        out["uniqueItems"] = True
    return out


def _word(kind: str, foreign: str = r"^(?!urn:epcglobal:cbv|https?://ns\.gs1\.org/cbv/)") -> Schema:
    # A bare word of the vocabulary, or a URI from outside it.
    return {
        "type": "string",
        "if": {"enum": sorted(cbv.KINDS[kind][2])},
        "else": {"format": "uri", "pattern": foreign},
    }


def _closed(properties: Schema, required: tuple[str, ...] = (), extensible: bool = False) -> Schema:
    out: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
    if required:
        out["required"] = list(required)
    if extensible:
        out["patternProperties"] = EXTENSIONS
    return out


NON_GS1_VOC: Final = r"^(?!https?://(www\.)?gs1\.org/voc/)"
DISPOSITION: Final = _word("disposition")
PLACE: Final[Schema] = {"type": "object", "properties": {"id": URI}, "required": ["id"]}
QUANTITY: Final = _closed(
    {"epcClass": URI, "quantity": NUMBER, "uom": {"type": "string", "pattern": "^[A-Z0-9]{2,3}$"}},
    ("epcClass",),
)
PERSISTENT: Final[Schema] = {
    **_closed({"set": _list(DISPOSITION, 1, True), "unset": _list(DISPOSITION, 1, True)}),
    "minProperties": 1,
}
TRANSACTION: Final = _closed(
    {"type": _word("bizTransaction"), "bizTransaction": URI}, ("bizTransaction",)
)
SOURCE: Final = _closed({"type": _word("sourceDest"), "source": URI}, ("type", "source"))
DESTINATION: Final = _closed(
    {"type": _word("sourceDest"), "destination": URI}, ("type", "destination")
)
SENSOR_METADATA: Final = _closed(
    {
        "time": TIME, "startTime": TIME, "endTime": TIME, "deviceID": URI, "deviceMetadata": URI,
        "rawData": URI, "dataProcessingMethod": URI, "bizRules": URI,
    },
    extensible=True,
)  # fmt: skip
SENSOR_REPORT: Final = _closed(
    {
        "type": _word("measurement", NON_GS1_VOC), "exception": _word("alert", NON_GS1_VOC),
        "deviceID": URI, "deviceMetadata": URI, "rawData": URI, "dataProcessingMethod": URI,
        "bizRules": URI, "time": TIME, "microorganism": URI, "chemicalSubstance": URI,
        "coordinateReferenceSystem": URI, "component": _word("component"), "value": NUMBER,
        "stringValue": TEXT, "booleanValue": {"type": "boolean"},
        "hexBinaryValue": {"type": "string", "pattern": "^[A-Fa-f0-9]+$"}, "uriValue": URI,
        "minValue": NUMBER, "maxValue": NUMBER, "meanValue": NUMBER, "sDev": NUMBER,
        "percRank": NUMBER, "percValue": NUMBER, "uom": TEXT,
    },
    ("type",),
    extensible=True,
)  # fmt: skip
SENSOR: Final = _closed(
    {"sensorMetadata": SENSOR_METADATA, "sensorReport": _list(SENSOR_REPORT, 1)},
    ("sensorReport",),
    extensible=True,
)
ERROR: Final = _closed(
    {"declarationTime": TIME, "reason": _word("errorReason"), "correctiveEventIDs": _list(URI)},
    ("declarationTime",),
    extensible=True,
)
ILMD: Final[Schema] = {
    "type": "object",
    "patternProperties": EXTENSIONS,
    "additionalProperties": False,
}
CONTEXT: Final[Schema] = {
    "type": ["string", "object", "array"],
    "format": "uri",
    "uniqueItems": True,
    "items": {"type": ["string", "object"], "format": "uri"},
}

_COMMON: Final[Schema] = {
    "@context": CONTEXT, "type": TEXT, "eventTime": TIME, "recordTime": TIME,
    "eventTimeZoneOffset": OFFSET, "eventID": URI, "errorDeclaration": ERROR,
    "certificationInfo": {"type": ["array", "string"], "format": "uri", "items": URI},
    "bizStep": _word("bizStep"), "disposition": DISPOSITION, "readPoint": PLACE,
    "bizLocation": PLACE, "bizTransactionList": _list(TRANSACTION),
    "sourceList": _list(SOURCE), "destinationList": _list(DESTINATION),
    "sensorElementList": _list(SENSOR),
}  # fmt: skip
_ACTION: Final[Schema] = {"action": {"type": "string", "enum": list(cbv.ACTIONS)}}
_EPCS: Final = _list(URI, unique=True)
_CHILDREN: Final[Schema] = {
    "parentID": URI, "childEPCs": _list(URI), "childQuantityList": _list(QUANTITY), **_ACTION,
}  # fmt: skip


def _has(*fields: str, at_least: int = 1) -> Schema:
    return {
        "anyOf": [
            {"required": [field], "properties": {field: {"minItems": at_least}}} for field in fields
        ]
    }


def _unless_deleted(rule: Schema) -> Schema:
    # EPCIS 2.0 §7.4.3: DELETE without children means "all that were inside".
    return {"if": {"not": {"properties": {"action": {"const": "DELETE"}}}}, "then": rule}


def _event(fields: Schema, required: tuple[str, ...], *rules: Schema) -> Schema:
    out = _closed({**_COMMON, **fields}, ("eventTime", "eventTimeZoneOffset", *required), True)
    out["allOf"] = list(rules)
    return out


EVENTS: Final[dict[str, Schema]] = {
    "ObjectEvent": _event(
        {"epcList": _EPCS, "quantityList": _list(QUANTITY), "ilmd": ILMD,
         "persistentDisposition": PERSISTENT, **_ACTION},
        ("action",),
        {"anyOf": [
            {"required": ["epcList"]},
            {"required": ["quantityList"], "properties": {"quantityList": {"minItems": 1}}},
            {"required": ["sensorElementList", "readPoint"],
             "properties": {"sensorElementList": {"minItems": 1}}},
        ]},
        {"if": {"properties": {"action": {"enum": ["OBSERVE", "DELETE"]}}},
         "then": {"properties": {"ilmd": False}}},
    ),
    "AggregationEvent": _event(
        _CHILDREN, ("action",), _unless_deleted(_has("childEPCs", "childQuantityList"))
    ),
    "AssociationEvent": _event(
        _CHILDREN, ("action", "parentID"),
        _unless_deleted(_has("childEPCs", "childQuantityList")),
    ),
    "TransactionEvent": _event(
        {"parentID": URI, "epcList": _list(URI), "quantityList": _list(QUANTITY), **_ACTION},
        ("action", "bizTransactionList"),
        {"properties": {"bizTransactionList": {"minItems": 1}}},
        _unless_deleted({"anyOf": [
            {"required": ["epcList"]},
            {"required": ["quantityList"], "properties": {"quantityList": {"minItems": 1}}},
        ]}),
    ),
    "TransformationEvent": _event(
        {"inputEPCList": _EPCS, "inputQuantityList": _list(QUANTITY), "outputEPCList": _EPCS,
         "outputQuantityList": _list(QUANTITY), "transformationID": URI, "ilmd": ILMD,
         "persistentDisposition": PERSISTENT},
        (),
        # Inputs and outputs may be told in several events only if a transformationID ties them.
        {"if": {"not": {"required": ["transformationID"]}},
         "then": {"allOf": [_has("inputEPCList", "inputQuantityList"),
                            _has("outputEPCList", "outputQuantityList")]},
         "else": _has("inputEPCList", "inputQuantityList", "outputEPCList",
                      "outputQuantityList")},
    ),
}  # fmt: skip

EXTENDED: Final[Schema] = {
    "type": "object",
    "properties": {**{k: _COMMON[k] for k in _COMMON if k != "type"}, "type": URI},
    "required": ["eventTime", "eventTimeZoneOffset", "type"],
}


def _by_type() -> Schema:
    rules: list[Schema] = [
        {"if": {"properties": {"type": {"const": name}}}, "then": {"$ref": f"#/$defs/{name}"}}
        for name in EVENTS
    ]
    rules.append(
        {
            "if": {"properties": {"type": {"enum": list(EVENTS)}}},
            "else": {"$ref": "#/$defs/Extended"},
        }
    )
    return {"type": "object", "required": ["type"], "properties": {"type": TEXT}, "allOf": rules}


_ATTRIBUTE: Final[Schema] = {
    "type": "object",
    "properties": {"id": URI, "attribute": {"type": ["number", "string", "object"]}},
    "required": ["id"],
}
_VOCABULARY: Final[Schema] = {
    "type": "object",
    "required": ["type"],
    "properties": {
        "type": URI,
        "vocabularyElementList": _list(
            {
                "type": "object",
                "properties": {"id": URI, "attributes": _list(_ATTRIBUTE), "children": _list(URI)},
                "required": ["id"],
            }
        ),
    },
}
_VERSION: Final[Schema] = {"type": "string", "pattern": r"^\d+(\.\d+)*$"}
_EVENT_LIST: Final[Schema] = _list({"$ref": "#/$defs/Event"})

DOCUMENT: Final = _closed(
    {
        "@context": CONTEXT, "id": URI, "type": {"const": "EPCISDocument"},
        "schemaVersion": _VERSION, "creationDate": TIME, "instanceIdentifier": TEXT,
        "sender": TEXT, "receiver": TEXT,
        "epcisHeader": _closed(
            {"epcisMasterData": {"type": "object",
                                 "properties": {"vocabularyList": _list(_VOCABULARY)}}},
            extensible=True,
        ),
        "epcisBody": {"type": "object", "properties": {"eventList": _EVENT_LIST},
                      "required": ["eventList"]},
    },
    ("@context", "type", "schemaVersion", "creationDate", "epcisBody"),
    extensible=True,
)  # fmt: skip
QUERY_DOCUMENT: Final = _closed(
    {
        "@context": CONTEXT, "id": URI, "type": {"const": "EPCISQueryDocument"},
        "schemaVersion": _VERSION, "creationDate": TIME,
        "epcisBody": _closed(
            {"queryResults": _closed(
                {"queryName": TEXT, "subscriptionID": TEXT,
                 "resultsBody": _closed(
                     {"eventList": _EVENT_LIST, "vocabularyList": _list(_VOCABULARY)},
                     ("eventList",), extensible=True)},
                ("queryName", "resultsBody"), extensible=True)},
            ("queryResults",), extensible=True),
    },
    ("@context", "type", "epcisBody"),
    extensible=True,
)  # fmt: skip


def schema(root: str) -> Schema:
    """Give the JSON Schema (draft 2020-12) of `Document`, `QueryDocument` or `Event`."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": f"#/$defs/{root}",
        "$defs": {
            **EVENTS,
            "Extended": EXTENDED,
            "Event": _by_type(),
            "Document": DOCUMENT,
            "QueryDocument": QUERY_DOCUMENT,
        },
    }

"""EPCIS in XML: read into JSON with the published hashes, written back, or refused by place."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from stafett.exchange import cbv, epcis
from stafett.exchange.epcis_xml import read_xml
from stafett.exchange.epcis_xml_write import WORDS, check_words, xml_of
from stafett.exchange.eventhash import event_hash, prehash
from stafett.exchange.problem import Problem
from stafett.exchange.xml_place import in_xml

HEAD = (
    '<epcis:EPCISDocument xmlns:epcis="urn:epcglobal:epcis:xsd:1" xmlns:x="https://x.example/"'
    ' schemaVersion="1.2" creationDate="2026-11-23T08:00:00Z">'
)
OLD = f"""<?xml version="1.0"?>
{HEAD}
<EPCISHeader><extension><EPCISMasterData><VocabularyList>
<Vocabulary type="urn:epcglobal:epcis:vtype:ReadPoint"><VocabularyElementList>
<VocabularyElement id="urn:epc:id:sgln:4012345.00022.0"><attribute id="urn:a:n">Gate 3</attribute>
</VocabularyElement></VocabularyElementList></Vocabulary></VocabularyList></EPCISMasterData></extension>
</EPCISHeader>
<EPCISBody><EventList>
<ObjectEvent>
<eventTime>2026-11-23T08:30:00.000+01:00</eventTime>
<eventTimeZoneOffset>+01:00</eventTimeZoneOffset>
<baseExtension><eventID>urn:uuid:b1a7d7d1-2f0a-4f0f-9d7d-3c6d6b5f0a01</eventID><errorDeclaration>
<declarationTime>2026-11-23T09:00:00Z</declarationTime>
<reason>urn:epcglobal:cbv:er:incorrect_data</reason><correctiveEventIDs>
<correctiveEventID>urn:uuid:b1a7d7d1-2f0a-4f0f-9d7d-3c6d6b5f0a02</correctiveEventID>
</correctiveEventIDs></errorDeclaration></baseExtension>
<epcList/>
<action>ADD</action>
<bizStep>urn:epcglobal:cbv:bizstep:commissioning</bizStep>
<readPoint><id>urn:epc:id:sgln:4012345.00022.0</id></readPoint>
<extension><quantityList><quantityElement><epcClass>urn:epc:class:lgtin:4054739.099914.2016</epcClass>
<quantity>600.0</quantity><uom>KGM</uom></quantityElement></quantityList>
<ilmd><x:lot>A1</x:lot><x:part>1</x:part><x:part>2</x:part></ilmd>
<extension><sensorElementList><sensorElement><sensorMetadata time="2026-11-23T08:29:00Z"/>
<sensorReport type="gs1:Temperature" value="-150.5" uom="CEL" booleanValue="true" x:own="1"/>
</sensorElement></sensorElementList></extension></extension>
<x:note>kept</x:note>
</ObjectEvent>
<extension><TransformationEvent>
<eventTime>2026-11-23T10:30:00.000+01:00</eventTime>
<eventTimeZoneOffset>+01:00</eventTimeZoneOffset>
<inputEPCList><epc>urn:epc:id:sgtin:4047111.012345.1</epc></inputEPCList>
<outputEPCList><epc>urn:epc:id:sgtin:4047111.012345.2</epc></outputEPCList>
</TransformationEvent></extension>
</EventList></EPCISBody></epcis:EPCISDocument>
"""


def test_the_published_documents_in_xml_hash_to_the_published_values(shared: Path) -> None:
    """Both of the reference implementation's XML documents give its (pre-)hashes."""
    seen = 0
    for path in sorted((shared / "standards/hash_reference").glob("*.xml")):
        document = epcis.judge(read_xml(path.read_bytes()))
        expected = path.with_suffix(".hashes").read_text().split()
        told = [prehash(event, document.prefixes) for event in document.events]
        said = path.with_suffix(".prehashes").read_text().splitlines()
        assert [t.replace(" ", "") for t in told] == [s.replace(" ", "") for s in said if s]
        assert [event_hash(e, document.prefixes) for e in document.events] == expected, path.name
        seen += len(expected)
    assert seen >= 3


def test_spellings_in_xml_that_mean_the_same_hash_the_same(shared: Path) -> None:
    """Order, empty lists, precision and zone of a time: each published file is one event."""
    files = sorted((shared / "standards/hash_reference/expected_equal").glob("*.xml"))
    assert len(files) >= 6
    for path in files:
        document = epcis.judge(read_xml(path.read_bytes()))
        hashes = {event_hash(e, document.prefixes) for e in document.events}
        assert len(document.events) > 1 and len(hashes) == 1, path.name


def test_the_wrappers_of_1_2_are_undone_and_nothing_is_lost() -> None:
    """Extensions, error declaration, master data, sensor data: each at its place in JSON."""
    value = read_xml(OLD.encode())
    document = epcis.judge(value)
    first, second = document.events
    assert second["type"] == "TransformationEvent"
    assert first["bizStep"] == "commissioning" and "epcList" not in first
    assert first["eventID"].endswith("a01")
    assert first["errorDeclaration"]["reason"] == "incorrect_data"
    assert first["errorDeclaration"]["correctiveEventIDs"][0].endswith("a02")
    assert first["quantityList"][0]["quantity"] == 600
    assert first["ilmd"] == {"x:lot": "A1", "x:part": ["1", "2"]}
    (element,) = first["sensorElementList"]
    assert element["sensorReport"] == [{"type": "Temperature", "value": -150.5, "uom": "CEL",
                                        "booleanValue": True, "x:own": "1"}]  # fmt: skip
    assert first["x:note"] == "kept" and document.prefixes["x"] == "https://x.example/"
    (vocabulary,) = document.vocabularies
    assert vocabulary["vocabularyElementList"][0]["attributes"] == [
        {"id": "urn:a:n", "attribute": "Gate 3"}
    ]


def test_a_prefix_with_two_meanings_stays_two() -> None:
    """The same prefix of two namespaces, or none, never makes one name of two."""
    text = OLD.replace(
        "<x:note>kept</x:note>",
        '<y:a xmlns:y="urn:one">1</y:a><y:a xmlns:y="urn:two">2</y:a><a xmlns="urn:three">3</a>',
    )
    first, _ = epcis.judge(read_xml(text.encode())).events
    assert {k: v for k, v in first.items() if k.endswith(":a")} == {
        "y:a": "1", "y2:a": "2", "ext:a": "3",
    }  # fmt: skip


REFUSED = [
    ("an entity bomb", '<!DOCTYPE l [<!ENTITY a "ha">]><l>&a;</l>', "document type", 1),
    ("no XML", OLD.replace("</readPoint>", "</readpoint>"), "no XML", 20),
    ("cut short", OLD[:900], "no XML", None),
    ("another document", "<html/>", "not the EPCISDocument", 1),
    ("no body", f"{HEAD}</epcis:EPCISDocument>", "needs one <EPCISBody>", 1),
    ("an unknown event", OLD.replace("TransformationEvent", "MagicEvent"), "no event", 29),
    ("an unknown field", OLD.replace("bizStep>", "bizStop>"), "no field", 19),
    ("a field twice", OLD.replace("<action>", "<action>ADD</action><action>"), "twice", 18),
    ("no number", OLD.replace("600.0", "many"), "no number", 22),
    ("text between", OLD.replace("<ilmd>", "<ilmd>hm"), "between", 23),
    ("mixed text", OLD.replace("<x:lot>A1", "<x:lot>A<x:b/>1"), "mixes", 23),
    ("an extension's attribute", OLD.replace("<x:note>", '<x:note lang="en">'), "attribute", 27),
    ("nested endlessly", HEAD + "<a>" * 60 + "</a>" * 60 + "</epcis:EPCISDocument>", "deeper", 1),
]


@pytest.mark.parametrize(
    ("text", "what", "line"), [r[1:] for r in REFUSED], ids=[r[0] for r in REFUSED]
)
def test_what_cannot_be_said_in_json_is_refused_with_its_line(
    text: str, what: str, line: int | None
) -> None:
    """Nothing is guessed and nothing left out."""
    with pytest.raises(Problem) as refused:
        read_xml(text.encode())
    assert what in refused.value.detail
    if line is not None:
        assert refused.value.findings[0].pointer == f"line {line}"
    assert refused.value.status == 400


def valid_documents(shared: Path) -> list[tuple[str, dict[str, Any], epcis.Document]]:
    """Give every valid document of the standard's bodies: its name, as sent, and as judged."""
    root, out = shared / "standards", []
    for path in sorted([*root.glob("examples/**/*.json*"), *root.glob("hash_reference/*.jsonld"),
                        root / "celltherapy/corpus.json"]):  # fmt: skip
        try:
            judged = epcis.read(path.read_bytes())
        except Problem:
            continue
        value = json.loads(path.read_bytes())
        if value.get("type") in ("EPCISDocument", "EPCISQueryDocument"):
            out.append((path.name, value, judged))
    return out


def as_xml_tells(value: Any, spaces: dict[str, str]) -> Any:
    """Bring a value of an event to what both bindings can tell: full names, scalars as texts."""
    if isinstance(value, dict):
        return {
            epcis.expand(k, spaces): as_xml_tells(v, spaces)
            for k, v in value.items() if k != "@context" and v != []
        }  # fmt: skip
    if isinstance(value, list):
        told = [as_xml_tells(v, spaces) for v in value]
        return told[0] if len(told) == 1 else told
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int | float):
        return str(float(value))
    try:
        return str(float(value)) if value is not None else ""
    except ValueError:
        for kind in ("bizStep", "disposition", "bizTransaction", "sourceDest", "errorReason",
                     "component", "measurement", "alert"):  # fmt: skip
            value = cbv.bare_word(kind, value) if ":" in value else value
        return value


@pytest.mark.parametrize("words", WORDS)
def test_every_published_document_comes_back_from_xml_as_it_was(shared: Path, words: str) -> None:
    """Written and read again, each event has its hash, and each field its value."""
    seen = 0
    for name, value, before in valid_documents(shared):
        after = epcis.judge(read_xml(xml_of(value, words)))
        assert len(after.events) == len(before.events), name
        for one, two in zip(before.events, after.events, strict=True):
            spaces = {**before.prefixes, **epcis.prefixes_of(one.get("@context"))}
            assert event_hash(one, spaces) == event_hash(two, after.prefixes), name
            assert as_xml_tells(one, spaces) == as_xml_tells(two, after.prefixes), name
            seen += 1
    assert seen > 100


@pytest.mark.parametrize(
    "more",
    [
        {"type": "ObjectEvent", "action": "OBSERVE", "epcList": [], "bizStep": "inspecting"},
        {"type": "ObjectEvent", "action": "OBSERVE", "readPoint": {"id": "urn:a:b"},
         "sensorElementList": [{"sensorReport": [{"type": "Temperature", "value": 4}]}]},
        {"type": "TransactionEvent", "action": "ADD", "epcList": [],
         "bizTransactionList": [{"type": "po", "bizTransaction": "urn:a:order"}]},
        {"type": "TransactionEvent", "action": "DELETE",
         "bizTransactionList": [{"type": "po", "bizTransaction": "urn:a:order"}]},
        {"type": "AggregationEvent", "action": "DELETE", "parentID": "urn:a:b"},
    ],
)  # fmt: skip
def test_an_event_about_nothing_in_particular_comes_back_from_xml(more: dict[str, Any]) -> None:
    """Consents and orders of a journey name no object: their own XML was refused when captured."""
    event = {"eventTime": "2026-01-01T00:00:00Z", "eventTimeZoneOffset": "+00:00", **more}
    document = epcis.document([event], created="2026-01-01T00:00:00Z")
    back = epcis.judge(read_xml(xml_of(document)))
    assert back.events == [event]


def test_fields_stand_in_the_order_of_the_xml_binding() -> None:
    """Whatever order JSON had; a list that the binding requires stands there though empty."""
    text = xml_of(epcis.document([{
        "disposition": "active", "action": "ADD", "parentID": "urn:epc:id:sscc:4012345.0000000001",
        "childQuantityList": [{"epcClass": "urn:epc:idpat:sgtin:4012345.012345.*",
                               "quantity": 1e-7, "uom": "KGM"}],
        "eventTimeZoneOffset": "+01:00", "eventTime": "2026-01-01T00:00:00Z",
        "type": "AggregationEvent", "bizStep": "packing",
    }], created="2026-01-01T00:00:00Z")).decode()  # fmt: skip
    names = ["<eventTime>", "<eventTimeZoneOffset>", "<parentID>", "<childEPCs/>", "<action>",
             "<bizStep>https://ref.gs1.org/cbv/BizStep-packing<", "<disposition>",
             "<quantity>0.0000001<"]  # fmt: skip
    places = [text.find(name) for name in names]
    assert places == sorted(places) and -1 not in places


def test_a_prefix_means_one_namespace_in_the_whole_document() -> None:
    """Events whose own contexts give one prefix two meanings keep two names in XML."""
    base = {
        "type": "ObjectEvent",
        "eventTime": "2026-01-01T00:00:00Z",
        "action": "ADD",
        "eventTimeZoneOffset": "+00:00",
        "epcList": ["urn:epc:id:sgtin:4012345.012345.1"],
    }
    events = [
        {**base, "@context": [{"x": uri}], "x:note": "a <&> b\r\n"} for uri in ("urn:1", "urn:2")
    ]
    value = read_xml(xml_of(epcis.document(events, created="2026-01-01T00:00:00Z")))
    one, two = epcis.judge(value).events
    assert one["x:note"] == two["x2:note"] == "a <&> b"
    assert value["@context"][1] == {"x": "urn:1", "x2": "urn:2"}


@pytest.mark.parametrize(
    ("field", "value", "why"),
    [
        ("y:note", "1", "a name in XML"),
        ("x:1st", "1", "a name in XML"),
        ("x:note", [[1]], "a list in a list"),
        ("x:note", {"plain": 1}, "a name in XML"),
        ("x:note", "bell \x07", "control character"),
    ],
)
def test_what_xml_cannot_say_is_refused_with_its_place(field: str, value: Any, why: str) -> None:
    """A name without namespace, a list in a list, a control character: 406, and where."""
    event = {"type": "ObjectEvent", "eventTime": "2026-01-01T00:00:00Z", "action": "ADD",
             "eventTimeZoneOffset": "+00:00", "epcList": [], field: value}  # fmt: skip
    context = [epcis.CONTEXT_URI, {"x": "urn:x"}]
    with pytest.raises(Problem) as refused:
        xml_of(epcis.document([event], context, created="2026-01-01T00:00:00Z"))
    assert refused.value.status == 406 and why in refused.value.detail
    assert refused.value.findings[0].pointer.startswith(f"/epcisBody/eventList/0/{field}")


def test_words_are_web_uris_or_urns_and_nothing_else() -> None:
    """A spelling that cannot be promised is refused, not ignored."""
    assert [check_words(word) for word in WORDS] == list(WORDS)
    with pytest.raises(Problem, match="Sometimes_Translates"):
        check_words("Sometimes_Translates")


WELL = """<e:EPCISDocument xmlns:e="urn:epcglobal:epcis:xsd:2" creationDate="2026-01-01T00:00:00Z">
<EPCISHeader><extension><EPCISMasterData><VocabularyList>
<Vocabulary type="urn:epcglobal:epcis:vtype:BusinessLocation"><VocabularyElementList>
<VocabularyElement id="urn:epc:id:sgln:4012345.00005.0"/>
<VocabularyElement id="urn:epc:id:sgln:4012345.00006.0">
<attribute id="urn:epcglobal:cbv:mda:site">1</attribute>
</VocabularyElement></VocabularyElementList></Vocabulary>
</VocabularyList></EPCISMasterData></extension></EPCISHeader>
<EPCISBody><EventList>
<ObjectEvent><eventTime>2026-01-01T00:00:00Z</eventTime>
<eventTimeZoneOffset>+00:00</eventTimeZoneOffset>
<epcList><epc>urn:epc:id:sgtin:4012345.067890.1</epc>
<epc>urn:epc:id:sgtin:4012345.067890.2</epc></epcList><action>OBSERVE</action>
<bizStep>shipping</bizStep>
<readPoint>
<id>urn:epc:id:sgln:4012345.00005.0</id></readPoint>
<extension><quantityList><quantityElement>
<epcClass>urn:epc:class:lgtin:4012345.012345.998877</epcClass>
<quantity>200</quantity></quantityElement></quantityList>
<sensorElementList><sensorElement>
<sensorReport type="Temperature" value="26.0" uom="CEL"/>
<sensorReport type="Illuminance" value="800" uom="LUX"/>
</sensorElement></sensorElementList></extension></ObjectEvent></EventList></EPCISBody>
</e:EPCISDocument>"""


@pytest.mark.parametrize(
    ("right", "wrong", "place"),
    [
        ("<bizStep>shipping", "<bizStep>teleporting", "<bizStep>, line 14"),
        ("<epc>urn:epc:id:sgtin:4012345.067890.2", "<epc>second one", "<epc>, line 13"),
        ("<id>urn:epc:id:sgln:4012345.00005.0", "<id>no place", "<id>, line 16"),
        ("<epcClass>urn:epc:class:lgtin:4012345.012345.998877", "<epcClass>no class",
         "<epcClass>, line 18"),
        ('type="Illuminance"', 'type="no word"', "<sensorReport>, line 22"),
        ("<eventTime>2026-01-01T00:00:00Z", "<eventTime>yesterday", "<eventTime>, line 10"),
        ('Element id="urn:epc:id:sgln:4012345.00006.0"', 'Element id="no uri"',
         "<VocabularyElement>, line 5"),
        ('creationDate="2026-01-01T00:00:00Z"', 'creationDate="now"', "<EPCISDocument>, line 1"),
    ],
)  # fmt: skip
def test_a_finding_of_the_schema_names_the_element_and_line_of_the_xml(
    right: str, wrong: str, place: str
) -> None:
    """Whoever wrote XML looks for a line and an element, not for a place in JSON."""
    epcis.judge(read_xml(WELL.encode()))
    assert WELL.count(right) == 1
    data = WELL.replace(right, wrong).encode()
    with pytest.raises(Problem) as refused:
        epcis.judge(read_xml(data))
    told = in_xml(data, refused.value)
    assert f"({place} of the XML)" in str(told.findings[0]), told.findings
    assert place in told.detail

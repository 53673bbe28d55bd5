"""EPCIS in XML: brought into JSON with the published hashes, or refused with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from stafett.exchange import epcis
from stafett.exchange.epcis_xml import read_xml
from stafett.exchange.eventhash import event_hash, prehash
from stafett.exchange.problem import Problem

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

from __future__ import annotations

import copy
import json
import random
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from stafett.exchange import epcis
from stafett.exchange.problem import Problem, pointer

EVENT: dict[str, Any] = {
    "type": "ObjectEvent",
    "eventTime": "2026-01-02T03:04:05.000+01:00",
    "eventTimeZoneOffset": "+01:00",
    "action": "OBSERVE",
    "epcList": ["urn:epc:id:sscc:9529003.0003716508"],
    "bizStep": "shipping",
}


def doc(*events: Any, **more: Any) -> dict[str, Any]:
    """Wrap events in a document."""
    return {**epcis.document(list(events), created="2026-01-02T03:04:05Z"), **more}


def read(value: Any) -> epcis.Document:
    """Read a value as the bytes a partner would send."""
    return epcis.read(json.dumps(value).encode())


def pointers(value: Any) -> list[str]:
    """Give the places that a refused document names."""
    with pytest.raises(Problem) as refused:
        read(value)
    assert refused.value.status == 400
    return [f.pointer for f in refused.value.findings]


def published(shared: Path) -> dict[str, dict[str, Any]]:
    """Give what is said of each published document."""
    found: dict[str, dict[str, Any]] = json.loads(
        (shared / "standards/examples/expected_validity.json").read_text()
    )
    return found


def verdict(value: Any) -> bool:
    """Tell whether this room takes the document."""
    try:
        epcis.judge(value)
    except Problem:
        return False
    return True


def test_every_published_example_gets_the_verdict_of_the_published_schema(shared: Path) -> None:
    """On all 61 published documents this schema and GS1's agree, valid or not."""
    wrong = []
    for name, said in published(shared).items():
        value = json.loads((shared / "standards/examples" / name).read_bytes())
        if verdict(value) != said["gs1_repo_schema_with_formats"]:
            wrong.append(name)
    assert wrong == []


def test_this_schema_and_the_published_one_agree_on_damaged_documents(shared: Path) -> None:
    """Fields dropped, moved, retyped: 1,500 damaged documents get the same verdict from both."""
    peer = jsonschema_rs.Draft7Validator(
        json.loads((shared / "standards/schema/EPCIS-JSON-Schema.json").read_bytes()),
        validate_formats=True,
    )
    seed = 20261123
    print("seed", seed)
    dice = random.Random(seed)
    corpus = json.loads((shared / "standards/celltherapy/corpus.json").read_bytes())
    names = [n for n, said in published(shared).items() if said["gs1_repo_schema_with_formats"]]
    values = [corpus] + [
        json.loads((shared / "standards/examples" / n).read_bytes()) for n in names
    ]
    seen = {True: 0, False: 0}
    for _ in range(1500):
        value = copy.deepcopy(dice.choice(values))
        damage(value, dice)
        theirs = peer.is_valid(value)
        seen[theirs] += 1
        assert verdict(value) == theirs, json.dumps(value)[:2000]
    assert min(seen.values()) > 100


def damage(value: Any, dice: random.Random) -> None:
    """Change one place of a document to something plausible or wrong."""
    places: list[tuple[Any, Any]] = []

    def walk(node: Any) -> None:
        for key in node if isinstance(node, dict) else range(len(node)):
            places.append((node, key))
            if isinstance(node[key], dict | list):
                walk(node[key])

    body = value.get("epcisBody", value)
    walk(body)
    node, key = dice.choice(places)
    new: Any = dice.choice(
        [None, 7, "", "word", "ns:thing", [], {}, [{}], True, "2026-01-01T00:00:00Z", "DELETE",
         "urn:epcglobal:cbv:bizstep:shipping", "https://ref.gs1.org/cbv/BizStep-shipping",
         ["urn:a:b", "urn:a:b"], "+15:00", "shipping", "ObjectEvent"]
    )  # fmt: skip
    action = dice.random()
    if action < 0.35:
        del node[key]
    elif action < 0.8 or isinstance(node, list):
        node[key] = new
    else:
        node[dice.choice(["newField", "ns:new", "ilmd", "parentID", "transformationID"])] = new


def test_each_mistake_is_named_with_its_place() -> None:
    """A document with three mistakes is refused with three JSON pointers."""
    bad = {**EVENT, "bizStep": "transforming", "eventTime": "22-07-2026"}
    noid = {k: v for k, v in EVENT.items() if k != "action"}
    assert pointers(doc(EVENT, bad, noid)) == [
        "/epcisBody/eventList/1/bizStep",
        "/epcisBody/eventList/1/eventTime",
        "/epcisBody/eventList/2",
    ]


def test_a_hostile_extension_name_is_refused_by_name() -> None:
    """An extension without a prefix, with blanks or of absurd length is no field."""
    for name in ("plain", "a b:c", ":x", "p:" + "x" * 1000, "'; DROP TABLE x --"):
        place = pointer("epcisBody", "eventList", 0, *([name] if len(name) < 512 else []))
        assert pointers(doc({**EVENT, name: 1})) == [place]


def test_a_truncated_document_says_so() -> None:
    """Cut-off JSON is refused as such, with the byte where it ends."""
    text = json.dumps(doc(EVENT)).encode()
    for cut in (0, 1, len(text) // 2, len(text) - 1):
        with pytest.raises(Problem, match=f"not JSON: it ends too early .*byte {cut}") as refused:
            epcis.read(text[:cut])
        assert refused.value.status == 400


def test_a_document_that_says_a_name_twice_is_refused() -> None:
    """Of two actions neither is taken for the one that was meant (FHIR is read by the same)."""
    text = json.dumps(doc(EVENT)).replace('"action"', '"action": "ADD", "action"')
    with pytest.raises(Problem, match="says a name twice") as refused:
        epcis.read(text.encode())
    assert refused.value.status == 400
    assert [f.pointer for f in refused.value.findings] == ["/epcisBody/eventList/0/action"]


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ('{"a": [1,\n {"b/c": tru', "/a/1/b~1c", "line 2, column 13"),
        ('{"a": 1, "b": [[2], "c', "/b/1", "ends too early"),
        ('{"a": "x,{[\\"", "b": nul}', "/b", "byte 24"),
        ('{"a": [0, "\\u0000"]}', "/a/1", "U+0000"),
        ('{"a": {"\udcff": 1}}', "/a", "0xff"),
        ('{"a": {"n": ' + "[" * 3000, "/a/n" + "/0" * 46, "byte 58"),
        ('{"a": 1}]', "", "byte 8"),
    ],
)
def test_what_is_no_json_is_refused_at_its_line_and_field(
    text: str, place: str, words: str
) -> None:
    """Whoever sent a megabyte is told which member it breaks in, and at which line and byte."""
    with pytest.raises(Problem) as refused:
        epcis.parse(text.encode("utf-8", "surrogateescape"))
    assert [f.pointer for f in refused.value.findings] == [place]
    assert words in refused.value.detail


def test_a_backslash_before_u0000_is_text() -> None:
    """Only the escape of the character itself cannot be kept."""
    assert epcis.parse(rb'["\\u0000"]') == [r"\u0000"]


def test_a_level_too_many_is_named() -> None:
    """The pointer leads to the container that lies too deep."""
    value: Any = {}
    for _ in range(60):
        value = {"ns:in": value}
    (place,) = pointers(doc(EVENT, {**EVENT, "ns:deep": value}))
    assert place.startswith("/epcisBody/eventList/1/ns:deep/ns:in/")
    assert place.count("/") == epcis.MAX_DEPTH


def test_an_unknown_word_in_the_vocabularys_namespace_is_remarked() -> None:
    """GS1's schema lets it pass; who sent it is told, event by event and list by list."""
    cbv = "https://ref.gs1.org/cbv/"
    odd = {
        **EVENT, "bizStep": cbv + "BizStep-flying", "disposition": cbv + "Disp-in_transit",
        "bizTransactionList": [{"type": cbv + "BTT-po", "bizTransaction": "urn:a:1"},
                               {"type": cbv + "BTT-chat", "bizTransaction": "urn:a:2"}],
        "persistentDisposition": {"set": [cbv + "Disp-gone"]},
        "errorDeclaration": {"declarationTime": EVENT["eventTime"], "reason": cbv + "ER-whim"},
    }  # fmt: skip
    own = {**EVENT, "bizStep": "https://own.example/thaw"}
    assert [w.pointer for w in read(doc(own, odd)).warnings] == [
        f"/epcisBody/eventList/1/{place}"
        for place in ("bizStep", "persistentDisposition/set/0", "bizTransactionList/1/type",
                      "errorDeclaration/reason")
    ]  # fmt: skip


@pytest.mark.parametrize("depth", [100, 100_000])
def test_deep_nesting_is_refused_without_recursion(depth: int) -> None:
    """An extension nested 100 or 100,000 deep is refused, not followed."""
    head, tail = json.dumps(doc({**EVENT, "ns:deep": "@"})).split('"@"')
    data = (head + "[" * depth + "]" * depth + tail).encode()
    with pytest.raises(Problem, match="nests deeper"):
        epcis.read(data)


def test_enormous_documents_are_refused_before_they_are_parsed() -> None:
    """Too many bytes and too many events are 413, with the limit in the words."""
    with pytest.raises(Problem, match="split") as refused:
        epcis.read(b" " * 2000, max_bytes=1000)
    assert refused.value.status == 413
    with pytest.raises(Problem, match="split") as refused:
        epcis.read(json.dumps(doc(*[EVENT] * 11)).encode(), max_events=10)
    assert refused.value.status == 413


@pytest.mark.parametrize("text", [b'{"a":"\\u0000"}', b'"\\ud800"', b"\xff", b"NaN", b"[]", b"7"])
def test_what_cannot_be_kept_is_refused(text: bytes) -> None:
    """NUL, lone surrogates, wrong encodings, NaN and non-objects never reach the store."""
    with pytest.raises(Problem):
        epcis.read(text)


def test_inline_attributes_in_both_places_are_kept_and_remarked() -> None:
    """TCR-53 step 29: deviceID in metadata and report is accepted with a warning that says so."""
    device = {"deviceID": "urn:epc:id:giai:9529003.LOG1"}
    report = {"type": "Temperature", "value": 5, "uom": "CEL", **device}
    event = {
        **EVENT,
        "sensorElementList": [{"sensorMetadata": device, "sensorReport": [report]}],
    }
    found = read(doc(event)).warnings
    assert [w.pointer for w in found] == [
        "/epcisBody/eventList/0/sensorElementList/0/sensorMetadata/deviceID"
    ]


def test_a_single_event_needs_a_context_of_its_own() -> None:
    """An event outside a document must say what its words mean."""
    with pytest.raises(Problem, match="@context"):
        read(EVENT)
    assert read({**EVENT, "@context": [epcis.CONTEXT_URI]}).events[0]["bizStep"] == "shipping"


def test_prefixes_expand_to_their_namespaces() -> None:
    """Two prefixes of one namespace give one name; an undeclared prefix stays as written."""
    prefixes = epcis.prefixes_of(
        [epcis.CONTEXT_URI, {"a": "https://n.example/", "b": {"@id": "https://n.example/"}}]
    )
    assert epcis.expand("a:x", prefixes) == epcis.expand("b:x", prefixes) == "{https://n.example/}x"
    assert epcis.expand("zz:x", prefixes) == "zz:x"

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jsonschema_rs
import pytest

from stafett.exchange import epcis
from stafett.exchange.epcis_facts import facts
from stafett.exchange.epcis_query import matches, read_query
from stafett.exchange.fhir_read import read_bundle
from stafett.exchange.fhir_write import journey_bundle
from stafett.exchange.views import (
    ADMINISTERING,
    View,
    administering_steps,
    journey_document,
)
from stafett.journey.event import to_json
from stafett.journey.script import Fault, play
from stafett.protocol.builtin import builtin
from stafett.protocol.net import Net
from stafett.protocol.read import read

START = datetime(2026, 3, 2, 7, 30, tzinfo=UTC)
FAULTS = ("WRONG_LABEL", "BROKEN_SEAL", "TEMP_EXCURSION", "QUARANTINE", "REFUSE", "OOS_RESULT")


@pytest.fixture(scope="session")
def net() -> Net:
    """Return a chain with every kind of thing in it."""
    return Net(read(Path(__file__).parents[1] / "journey/rich.yaml").bind())


def walked(net: Net, *faults: Fault) -> list[tuple[int, dict[str, Any]]]:
    """Walk a journey and give its record."""
    story = play(net, START, faults=faults)
    return [(n, to_json(e)) for n, e in enumerate(story.events, 1)]


def view(record: list[tuple[int, dict[str, Any]]]) -> epcis.Document:
    """Give the journey as a judged EPCIS document."""
    return epcis.judge(journey_document("J 1/å", record, created="2026-03-02T07:30:00Z"))


@pytest.mark.parametrize("fault", ["", *FAULTS])
def test_each_walk_is_a_valid_document_by_both_schemas(net: Net, shared: Path, fault: str) -> None:
    """Whatever goes wrong on the way, the view is valid EPCIS, by our schema and by GS1's."""
    where = {"QUARANTINE": "H2", "REFUSE": "H4"}.get(fault)
    record = walked(net, *([Fault(fault, where)] if fault else []))
    document = journey_document("J1", record, created="2026-03-02T07:30:00Z")
    epcis.judge(document)
    peer = json.loads((shared / "standards/schema/EPCIS-JSON-Schema.json").read_bytes())
    jsonschema_rs.Draft7Validator(peer, validate_formats=True).validate(document)


def test_the_built_in_car_t_journey_is_valid_in_epcis_and_fhir(shared: Path) -> None:
    """All of its 500 events become valid EPCIS by both schemas, valid R5 and valid R4B."""
    protocol = builtin("autologous-car-t")
    net = Net(protocol.bind(next(iter(protocol.products))))
    record = walked(net)
    given = ADMINISTERING | administering_steps(protocol.value)
    document = journey_document("J1", record, created="2026-03-02T07:30:00Z", administering=given)
    steps = {e.get("bizStep") for e in epcis.judge(document).events}
    assert {"collecting", "shipping", "receiving", "accepting", "packing", "dispensing"} <= steps
    peer = json.loads((shared / "standards/schema/EPCIS-JSON-Schema.json").read_bytes())
    jsonschema_rs.Draft7Validator(peer, validate_formats=True).validate(document)
    for version in ("R5", "R4B"):
        bundle = journey_bundle("J1", record, version, given)  # type: ignore[arg-type]
        found = read_bundle(json.dumps(bundle).encode())
        assert [str(e) for e in (*found.errors, *found.remarks)] == []


def test_custody_can_be_followed_by_its_shipments_and_receipts(net: Net) -> None:
    """Each change of custody in the record is a receiving from the giver to the receiver."""
    record = walked(net)
    document = view(record)
    moved = [e for _, e in record if e["type"] == "CustodyMoved"]
    received = [e for e in document.events if e.get("bizStep") == "receiving"]
    assert len(received) == len(moved) > 3
    for event, source in zip(received, moved, strict=True):
        assert event["stafett:handoff"] == source["handoff"]
        assert event["destinationList"][0]["destination"].endswith(source["organisation"])
        assert event["sourceList"] != event["destinationList"]


def test_each_part_of_a_handoff_names_both_possessing_parties(net: Net) -> None:
    """Whoever asks by giver or receiver finds its shipping, its receiving and its accepting."""
    record = walked(net)
    document = view(record)
    handoffs = {e["handoff"]: e for _, e in record if e["type"] == "Accepted"}
    released = {e["handoff"]: e for _, e in record if e["type"] == "Released"}
    roles = record[0][1]["parties"]
    assert len(handoffs) > 3
    for name in handoffs:
        sides = [released[name]["giver"], released[name]["receiver"]]
        giver, receiver = [View("x").party(roles[side]) for side in sides]
        query = read_query(
            {"EQ_source_possessing_party": [giver], "EQ_destination_possessing_party": [receiver]}
        )
        found = {
            e["bizStep"] for e in document.events
            if e.get("stafett:handoff") == name and matches(query, facts(e, document.prefixes))
        }  # fmt: skip
        carried = {"receiving"} if released[name].get("carries") else set()
        assert {"shipping", "accepting", *carried} <= found, name


def test_what_is_collected_and_given_enters_and_leaves_the_chain(net: Net) -> None:
    """Collection adds an object; what is given to the patient is deleted, as dispensed."""
    events = view(walked(net)).events
    collected = [e for e in events if e.get("bizStep") == "collecting"]
    assert collected and {(e["type"], e["action"]) for e in collected} == {("ObjectEvent", "ADD")}
    given = [e for e in events if e.get("bizStep") == "dispensing"]
    assert [(e["type"], e["action"]) for e in given] == [("ObjectEvent", "DELETE")]


def test_a_decision_about_what_was_held_is_a_certificate_with_its_result(net: Net) -> None:
    """Quality decides: a transaction of type cert that says what and why."""
    record = walked(net, Fault("QUARANTINE", "H2"))
    decided = [e for _, e in record if e["type"] == "Decided"]
    told = [
        e for e in view(record).events
        if e["type"] == "TransactionEvent" and e["bizTransactionList"][0]["type"] == "cert"
    ]  # fmt: skip
    assert [(e["stafett:result"], e["stafett:reason"]) for e in told] == [
        (e["result"], e["reason"]) for e in decided
    ]
    assert told and {e["bizStep"] for e in told} == {"inspecting"}


def test_lineage_can_be_asked_for_in_epcis(net: Net) -> None:
    """Asking for the bag as input finds the manufacture, whose output is the dose."""
    document = view(walked(net))
    bag = View("J 1/å").lot("bag/1")
    query = read_query({"MATCH_inputEPC": [bag]})
    found = [e for e in document.events if matches(query, facts(e, document.prefixes))]
    assert any(View("J 1/å").lot("dose/1") in e["outputEPCList"] for e in found)
    ended = [e for e in document.events if e.get("disposition") == "dispensed"]
    assert [e["action"] for e in ended] == ["DELETE"]


def test_a_measured_check_is_a_sensor_reading(net: Net) -> None:
    """A temperature read at a handoff can be found by its value."""
    document = view(walked(net))
    query = read_query({"EQ_type": ["Temperature"], "LT_value_CEL": 100})
    assert any(matches(query, facts(e, document.prefixes)) for e in document.events)


def test_a_correction_is_an_error_declaration_with_a_successor(net: Net) -> None:
    """The wrong event appears again declared wrong, and names the event that replaces it."""
    record = walked(net)
    at, wrong = next(
        (n, e) for n, e in record
        if e["type"] == "CheckAnswered" and isinstance(e["value"], float | int)
        and e.get("unit") == "Cel"
    )  # fmt: skip
    corrected = {
        "type": "Corrected", "occurred_at": "2026-03-05T09:00:00+01:00", "by": wrong["by"],
        "position": at, "field": "value", "old": wrong["value"], "new": -150.5,
        "reason": "typing error", "result": "pass",
    }  # fmt: skip
    events = view([*record, (len(record) + 1, corrected)]).events
    first, declared, successor = [
        e for e in events
        if e["eventID"] in (View("J 1/å").event_id(at), View("J 1/å").event_id(len(record) + 1))
    ]  # fmt: skip
    assert {**declared, "errorDeclaration": None} == {**first, "errorDeclaration": None}
    assert declared["errorDeclaration"]["correctiveEventIDs"] == [successor["eventID"]]
    assert successor["sensorElementList"][0]["sensorReport"][0]["value"] == -150.5


def test_a_view_made_again_is_the_same(net: Net) -> None:
    """Event IDs come from journey and position, so capturing a view twice captures it once."""
    record = walked(net)
    assert view(record).events == view(record).events
    assert len({e["eventID"] for e in view(record).events}) == len(view(record).events)


def test_organisations_with_a_gln_are_named_by_it(net: Net) -> None:
    """A party URI that is known for an organisation takes the place of its URN."""
    record = walked(net)
    organisation = next(iter(record[0][1]["parties"].values()))
    link = "https://id.gs1.org/417/9529004000003"
    document = journey_document(
        "J1", record, created="2026-03-02T07:30:00Z", parties={organisation: link}
    )
    assert link in json.dumps(document)

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from stafett.exchange.fhir_read import COI, read_bundle, validated
from stafett.exchange.fhir_search import period
from stafett.exchange.fhir_write import Version, journey_bundle
from stafett.exchange.problem import Problem
from stafett.journey.event import to_json
from stafett.journey.script import Fault, play
from stafett.protocol.net import Net
from stafett.protocol.read import read


@pytest.fixture(scope="session")
def net() -> Net:
    """Return a chain with every kind of thing in it."""
    return Net(read(Path(__file__).parents[1] / "journey/rich.yaml").bind())


def walked(net: Net, *faults: Fault) -> list[tuple[int, dict[str, Any]]]:
    """Walk a journey and give its record."""
    story = play(net, datetime(2026, 3, 2, 7, 30, tzinfo=UTC), faults=faults)
    return [(n, to_json(e)) for n, e in enumerate(story.events, 1)]


@pytest.mark.parametrize(("name", "version"), [("r5", "R5"), ("r4", "R4B")])
def test_the_example_bundles_are_understood(shared: Path, name: str, version: str) -> None:
    """Version, products with their lineage and identifiers, and custody are read without error."""
    found = read_bundle((shared / f"standards/fhir/fhir_{name}_bundle.json").read_bytes())
    assert (found.version, found.kind) == (version, "collection")
    assert validated()
    assert [str(e) for e in found.errors] == []
    bag, product = found.products
    assert (bag.coi, bag.din) == ("CHA999925000041", "A999925000041")
    assert product.parents == (bag.reference,)
    assert found.patients["Patient/p1"]
    if version == "R5":
        assert found.handoffs == (
            ("BiologicallyDerivedProduct/aph", "Organization/courier", "Organization/cdmo"),
        )


@pytest.mark.parametrize("version", ["R5", "R4B"])
@pytest.mark.parametrize("fault", ["", "REFUSE", "OOS_RESULT"])
def test_a_journey_is_a_valid_bundle_in_both_versions(
    net: Net, version: Version, fault: str
) -> None:
    """`fhir.resources` takes each resource; references resolve; reading it tells the lineage."""
    faults = [Fault(fault, "H4" if fault == "REFUSE" else None)] if fault else []
    bundle = journey_bundle("J1", walked(net, *faults), version)
    found = read_bundle(json.dumps(bundle).encode())
    assert [str(f) for f in (*found.errors, *found.remarks)] == []
    assert found.version == version
    assert found.counts["ServiceRequest"] == found.counts["Patient"] == 1
    lots = {p.identifiers["urn:stafett:lot"]: p for p in found.products}
    assert lots["J1/dose/1"].parents == (lots["J1/bag/1"].reference,)
    assert lots["J1/dose/1"].coi == lots["J1/bag/1"].coi != ""
    assert len(found.handoffs) > 3
    assert ("Transport" in found.counts) == (version == "R5")
    assert ("SupplyDelivery" in found.counts) == (version == "R4B")


def test_an_order_is_read_from_a_transaction() -> None:
    """A ServiceRequest gives patient, requester, code and identifiers; R4 and R5 spell it apart."""
    for code in ({"concept": {"text": "CAR-T"}}, {"text": "CAR-T"}):
        request = {
            "resourceType": "ServiceRequest", "id": "o1", "status": "active", "intent": "order",
            "subject": {"reference": "Patient/p1"}, "code": code,
            "identifier": [{"system": COI, "value": "CHA9999240000A1"}],
            "requester": {"reference": "Organization/ward"},
        }  # fmt: skip
        marker = (
            {"resourceType": "BiologicallyDerivedProduct", "productCategory": "cells"}
            if "text" in code
            else {"resourceType": "Patient", "id": "p1", "identifier": [{"value": "P-7"}]}
        )
        bundle = {
            "resourceType": "Bundle", "type": "transaction",
            "entry": [{"resource": r, "request": {"method": "POST", "url": r["resourceType"]}}
                      for r in (request, marker)],
        }  # fmt: skip
        found = read_bundle(json.dumps(bundle).encode())
        assert found.errors == ()
        (order,) = found.orders
        assert (order.patient, order.code, order.requester) == (
            "Patient/p1", "CAR-T", "Organization/ward",
        )  # fmt: skip
        assert order.identifiers[COI] == "CHA9999240000A1"


def test_direct_identifiers_of_a_patient_are_refused_with_their_place() -> None:
    """Names, addresses and dates of birth are errors; a pseudonym is not."""
    patient = {
        "resourceType": "Patient", "id": "p", "name": [{"family": "Andersson"}],
        "birthDate": "1970-01-01", "identifier": [{"value": "P-7"}],
    }  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": patient}]}
    found = read_bundle(json.dumps(bundle).encode())
    assert [e.pointer for e in found.errors] == [
        "/entry/0/resource/name", "/entry/0/resource/birthDate",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ({"resourceType": "Transport", "id": "t", "status": "flying"}, "/entry/0/resource"),
        ({"resourceType": "Starship", "id": "s"}, "/entry/0/resource"),
        ({"resourceType": "Task", "id": "k", "status": 7, "intent": "order"},
         "/entry/0/resource/status"),
    ],
)  # fmt: skip
def test_a_wrong_resource_is_named_with_its_place(resource: Any, place: str) -> None:
    """Unknown resources, wrong types and missing fields are errors at a JSON pointer."""
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": resource}]}
    found = read_bundle(json.dumps(bundle).encode())
    assert any(e.pointer.startswith(place) for e in found.errors)


def test_a_reference_that_leads_nowhere_is_remarked() -> None:
    """A product whose parent is not in the bundle is usable, and that is said."""
    product = {
        "resourceType": "BiologicallyDerivedProduct", "id": "d",
        "parent": [{"reference": "BiologicallyDerivedProduct/gone"}],
    }  # fmt: skip
    found = read_bundle(json.dumps(product).encode())
    assert [r.pointer for r in found.remarks] == ["/parent/0/reference"]


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{}", b'{"resourceType":"Bundle","entry":{}}',
     b'{"resourceType":"Bundle","entry":[7]}', b'{"resourceType":"Bundle","entry":[{}]}',
     b'{"resourceType":"Patient","x":' + b"[" * 200 + b"]" * 200 + b"}"],
)  # fmt: skip
def test_what_is_no_bundle_is_refused(data: bytes) -> None:
    """Broken, empty and deeply nested documents are a 400."""
    with pytest.raises(Problem) as refused:
        read_bundle(data)
    assert refused.value.status == 400


@pytest.mark.parametrize(
    ("asked", "seconds"),
    [("2026-11-25T08:00Z", 60), ("2026-11-25T08:00:00Z", 1), ("2026-11-25T08:00:00.1Z", 0.1),
     ("2026-11-25T08:00:00.123456Z", 0.000001), ("2026-11-25", 86_400)],
)  # fmt: skip
def test_a_moment_in_a_search_is_as_long_as_it_is_written_to(asked: str, seconds: float) -> None:
    """A time to the minute means that whole minute (FHIR R5, 3.2.1.5.9), not its first second."""
    _, low, high = period(f"ge{asked}")
    assert (high - low).total_seconds() == seconds


@pytest.mark.parametrize("asked", ["2026-W48-3", "2026-11-25T08Z", "2026-11-25T08:00", "٢٠٢٦"])
def test_a_moment_of_another_notation_is_refused(asked: str) -> None:
    """A week's day, an hour alone, a time without zone and foreign digits are no dates of FHIR."""
    with pytest.raises(Problem):
        period(asked)

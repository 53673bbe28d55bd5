"""Whatever comes in, the answer is a result or a `Problem`; nothing else may be raised."""

from __future__ import annotations

import copy
import json
import uuid
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from stafett.exchange import epcis, fhir_read, tables
from stafett.exchange.epcis_facts import facts
from stafett.exchange.epcis_query import matches, read_query, resolve
from stafett.exchange.epcis_rows import events_copy, numbers_copy
from stafett.exchange.epcis_store import prepare
from stafett.exchange.eventhash import prehash
from stafett.exchange.gs1link import canonical, pattern
from stafett.exchange.gs1urn import to_urn
from stafett.exchange.problem import Problem

SCALARS = (
    st.none() | st.booleans() | st.integers(-(10**400), 10**400)
    | st.floats(allow_nan=False) | st.text(max_size=12)
    | st.sampled_from(["urn:a:b", "2026-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00",
                       "9999-12-31T23:59:60-14:00", "shipping", "ns:x", "https://id.gs1.org/01/1"])
)  # fmt: skip
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.text(max_size=8) | st.sampled_from(["ns:x", "id", "type"]), inner, max_size=3
        )
    ),
    max_leaves=8,
)
NAMES = st.sampled_from(
    ["eventType", "EQ_bizStep", "MATCH_anyEPC", "GE_eventTime", "LT_quantity", "EQ_quantity_MLT",
     "GE_value_CEL", "EQ_type", "EXISTS_ns:x", "EQ_ILMD_ns:x", "WD_readPoint", "HASATTR_readPoint",
     "EQATTR_readPoint_a", "orderBy", "orderDirection", "eventCountLimit", "maxEventCount",
     "EQ_source_x", "EQ_booleanValue", "GE_startTime", "EQ_SENSORREPORT_deviceID", "GT_INNER_ns:y"]
) | st.text(max_size=20)  # fmt: skip
SLOW = settings(
    deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)


@pytest.fixture(scope="session")
def samples(shared: Path) -> list[dict[str, Any]]:
    """Return valid events with as many fields as there are."""
    out = []
    for name in ("gs1/WithFullCombinationOfFields/transaction_event_all_possible_fields.jsonld",
                 "openepcis/JSON/Capture/Documents/ObjectEvent_all_possible_fields.json",
                 "openepcis/JSON/Capture/Documents/epcisDocWithSensorComponent.json"):  # fmt: skip
        out.append(json.loads((shared / "standards/examples" / name).read_bytes()))
    return out


def places(node: Any) -> list[tuple[Any, Any]]:
    """Give every (container, key) of a JSON value."""
    out = []
    keys = node if isinstance(node, dict) else range(len(node))
    for key in list(keys):
        out.append((node, key))
        if isinstance(node[key], dict | list):
            out += places(node[key])
    return out


@SLOW
@given(data=st.data())
def test_a_document_with_anything_anywhere_is_captured_or_refused(
    samples: list[dict[str, Any]], data: st.DataObject
) -> None:
    """Any JSON at any place of a real document: valid rows in the store's format, or a Problem."""
    value = copy.deepcopy(data.draw(st.sampled_from(samples)))
    for _ in range(data.draw(st.integers(1, 3))):
        node, key = data.draw(st.sampled_from(places(value)))
        node[key] = data.draw(JSON)
    try:
        document = epcis.judge(value)
        rows, _ = prepare(document)
    except Problem:
        return
    assert events_copy(rows, 1, "o", uuid.UUID(int=1), 0)
    numbers_copy(rows, 1)
    for event in document.events:
        assert prehash(event, document.prefixes).startswith("eventType=")


@SLOW
@given(value=JSON)
def test_any_json_is_judged(value: Any) -> None:
    """Any JSON value is a document or refused."""
    for judge in (epcis.judge, epcis.event_findings):
        try:
            judge(value)
        except Problem as refused:
            assert refused.status in (400, 413)


@SLOW
@given(parameters=st.dictionaries(NAMES, JSON, max_size=4), text=st.booleans())
def test_any_query_is_answered_or_refused(parameters: dict[str, Any], text: bool) -> None:
    """Any parameters make a query that can be evaluated, or a Problem with status 400 or 413."""
    event = {
        "type": "ObjectEvent", "eventTime": "2026-01-01T00:00:00Z",
        "eventTimeZoneOffset": "+00:00", "action": "ADD", "epcList": ["urn:a:b"], "ns:x": [1, {}],
    }  # fmt: skip
    try:
        query = read_query(parameters, text=text)
    except Problem as refused:
        assert refused.status in (400, 413)
        return
    matches(resolve(query, set, lambda a, v: set(a)), facts(event, {}))


@SLOW
@given(
    text=st.text(max_size=60)
    | st.from_regex(r"urn:epc:(id|class|idpat):[a-z]{3,5}:[0-9.*A-Z%]{0,30}", fullmatch=True)
    | st.from_regex(r"https?://[a-z.]{1,9}(/[0-9a-zA-Z%]{1,14}){0,6}(\?x=1)?", fullmatch=True)
)
def test_any_identifier_has_one_form_that_stays(text: str) -> None:
    """Normalising twice is normalising once; patterns and URNs fail only with a ValueError."""
    once = canonical(text)
    assert canonical(once) == once
    shape = pattern(text)
    assert shape is None or shape.fullmatch(once) is None or "*" in text
    try:
        assert canonical(to_urn(once, 7)).startswith("https://id.gs1.org/")
    except ValueError:
        return


@SLOW
@given(value=JSON)
def test_any_resource_is_read_or_refused(value: Any) -> None:
    """Any JSON inside a bundle is understood, found wrong, or refused."""
    for resource in ({"resourceType": "Patient", "id": "p", "identifier": value},
                     {"resourceType": "ServiceRequest", "code": value, "subject": value,
                      "performer": value},
                     {"resourceType": "Provenance", "agent": value, "target": value},
                     {"resourceType": "BiologicallyDerivedProduct", "parent": value,
                      "collection": value, "productStatus": value}):  # fmt: skip
        try:
            fhir_read.picture({"resourceType": "Bundle", "entry": [{"resource": resource}]})
        except Problem as refused:
            assert refused.status in (400, 413)


@SLOW
@given(table=st.binary(max_size=200), mapping=st.text(max_size=80))
def test_any_table_and_any_mapping_are_read_or_refused(table: bytes, mapping: str) -> None:
    """Bytes that are no table and texts that are no mapping end in a Problem."""
    plan = tables.read_mapping(
        b"{stafett_import: 1, kind: milestones, time: {column: t}, about: {column: a},"
        b" step: {column: s}}"
    )
    for attempt in (
        lambda: tables.read_table(b"t,a,s\n" + table, plan),
        lambda: tables.read_mapping(mapping),
    ):
        try:
            attempt()
        except Problem as refused:
            assert refused.status == 400

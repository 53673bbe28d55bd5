from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from stafett.exchange import epcis
from stafett.exchange.epcis_facts import Facts, facts, micros
from stafett.exchange.epcis_query import Query, matches, read_query, resolve
from stafett.exchange.problem import Problem


def _naive() -> ModuleType:
    path = Path(__file__).with_name("naive_query.py")
    spec = importlib.util.spec_from_file_location("naive_query", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


naive = _naive()


@pytest.fixture(scope="session")
def facts_of(corpus: epcis.Document) -> list[Facts]:
    """Return the searchable side of each event of the corpus."""
    return [facts(e, corpus.prefixes) for e in corpus.events]


def _label(event: dict[str, Any]) -> str:
    return str(event["eventID"]) + ("#err" if "errorDeclaration" in event else "")


def _read(parameters: dict[str, Any], corpus: epcis.Document) -> Query:
    return read_query(parameters, lambda name: [epcis.expand(name, corpus.prefixes)])


def test_all_published_queries_have_their_published_answers(
    corpus: epcis.Document, facts_of: list[Facts], asked: list[dict[str, Any]]
) -> None:
    """69 of 69: what matches, and for wrong queries which exception with which status."""
    assert len(asked) == 69
    for item in asked:
        expect = item["expect"]
        if expect["status"] == 400:
            with pytest.raises(Problem) as refused:
                _read(item["query"], corpus)
            assert (refused.value.status, refused.value.name) == (400, expect["exception"])
            continue
        query = _read(item["query"], corpus)
        found = [
            (f.event_time, _label(e))
            for e, f in zip(corpus.events, facts_of, strict=True)
            if matches(query, f)
        ]
        if expect["status"] == 413:
            assert query.ceiling is not None and len(found) > query.ceiling
            continue
        if query.order_by:
            found.sort(key=lambda pair: pair[0], reverse=query.descending)
        if query.limit is None:
            assert sorted(n for _, n in found) == sorted(expect["events"]), item["id"]
        else:
            assert [n for _, n in found][: query.limit] == expect["events"], item["id"]


def test_the_index_agrees_with_a_naive_reading_of_the_events(
    corpus: epcis.Document, facts_of: list[Facts], asked: list[dict[str, Any]]
) -> None:
    """600 random combinations of the published parameters: same events as the naive evaluator."""
    seed = 7
    print("seed", seed)
    dice = random.Random(seed)
    good = [q["query"] for q in asked if q["expect"]["status"] == 200]
    pool = [(n, v) for q in good for n, v in q.items() if not n.startswith(("order", "eventCount"))]
    hits = 0
    for _ in range(600):
        query = dict(dice.sample(pool, dice.randint(1, 3)))
        fast = _read(query, corpus)
        got = [matches(fast, f) for f in facts_of]
        assert got == [naive.answers(e, query) for e in corpus.events], query
        hits += any(got)
    assert hits > 100


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GE_eventTime", "2026-01-01T00:00:00"),  # no zone
        ("GE_eventTime", 7),
        ("EQ_bizStep", []),
        ("EQ_bizStep", [None]),
        ("EQ_bizStep", [{"a": 1}]),
        ("GE_quantity", "many"),
        ("GE_quantity", float("inf")),
        ("GE_quantity", True),
        ("EXISTS_errorDeclaration", False),
        ("MATCH_everything", ["urn:a:b"]),
        ("EQ_", ["x"]),
        ("", ["x"]),
        ("orderBy", "bizStep"),
        ("eventCountLimit", 0),
        ("eventType", ["ObjektEvent"]),
        ("EQATTR_readPoint", ["x"]),
        ("HASATTR_nofield", ["x"]),
    ],
)
def test_a_wrong_parameter_is_refused_by_its_name(name: str, value: Any) -> None:
    """Each mistake gives 400 QueryParameterException, and the finding points at the parameter."""
    with pytest.raises(Problem) as refused:
        read_query({name: value})
    assert (refused.value.status, refused.value.name) == (400, "QueryParameterException")
    assert refused.value.findings[0].pointer.startswith(f"/{name}")


def test_too_many_values_are_too_complex() -> None:
    """2,001 values in one parameter are refused with 413 rather than planned."""
    with pytest.raises(Problem) as refused:
        read_query({"MATCH_epc": ["urn:a:b"] * 2001})
    assert (refused.value.status, refused.value.name) == (413, "QueryTooComplexException")


def test_parameters_from_a_url_mean_the_same_as_from_json() -> None:
    """Lists joined by a bar, numbers as text and an unescaped plus sign give the same query."""
    json_form = {
        "EQ_bizStep": ["shipping", "receiving"],
        "GE_quantity_MLT": 1.5,
        "GE_eventTime": "2026-01-01T00:00:00+01:00",
    }
    url_form = {
        "EQ_bizStep": "shipping|receiving",
        "GE_quantity_MLT": "1.5",
        "GE_eventTime": "2026-01-01T00:00:00 01:00",
    }
    assert read_query(json_form) == read_query(url_form, text=True)


def test_master_data_widens_a_query_to_what_lies_below() -> None:
    """WD_ asks for a place and its descendants, HASATTR_ and EQATTR_ for what an element has."""
    query = read_query({"WD_readPoint": ["urn:x:site"], "EQATTR_bizLocation_kind": ["suite"]})
    event = {
        "type": "ObjectEvent",
        "eventTime": "2026-01-01T00:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [],
        "readPoint": {"id": "urn:x:room"},
        "bizLocation": {"id": "urn:x:suite1"},
    }
    asked: list[object] = []
    children = {"urn:x:site": {"urn:x:site", "urn:x:room"}}

    def having(attributes: frozenset[str], values: frozenset[str] | None) -> set[str]:
        asked.append((attributes, values))
        return {"urn:x:suite1"}

    full = resolve(query, lambda places: children[next(iter(places))], having)
    assert asked == [(frozenset({"kind"}), frozenset({"suite"}))]
    assert matches(full, facts(event, {}))
    assert not matches(full, facts({**event, "readPoint": {"id": "urn:x:other"}}, {}))
    with pytest.raises(TypeError, match="master data"):
        matches(query, facts(event, {}))


def test_numbers_and_times_in_extensions_compare_at_each_level() -> None:
    """Extension fields of event, ILMD, sensors and inside others answer GE_, EQ_, EXISTS_."""
    event = {
        "type": "ObjectEvent",
        "eventTime": "2026-01-01T00:00:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "ADD",
        "epcList": ["urn:a:b"],
        "ns:n": 5,
        "ns:when": "2026-03-01T00:00:00+01:00",
        "ns:box": {"ns:deep": [1, {"ns:deeper": "x"}]},
        "ilmd": {"ns:n": 9},
        "sensorElementList": [
            {
                "ns:e": "el",
                "sensorMetadata": {"ns:m": True},
                "sensorReport": [{"type": "Temperature", "ns:r": 2.5, "sDev": 1.8, "uom": "FAH"}],
            }
        ],
        "errorDeclaration": {"declarationTime": "2026-01-02T00:00:00Z", "ns:why": "typo"},
    }
    found = facts(event, {})
    for parameter, value in {
        "GE_ns:n": 5, "EQ_ns:n": [5], "GT_ILMD_ns:n": 5, "GE_ns:when": "2026-02-28T23:00:00Z",
        "EQ_INNER_ns:deep": [1], "EQ_INNER_ns:deeper": ["x"], "EXISTS_ns:box": True,
        "EXISTS_INNER_ns:deeper": True, "EQ_SENSORELEMENT_ns:e": ["el"],
        "EQ_SENSORMETADATA_ns:m": [True], "LT_SENSORREPORT_ns:r": 3, "EQ_sDev_KEL": [1.0],
        "EQ_ERROR_DECLARATION_ns:why": ["typo"], "EXISTS_sensorElementList": True,
    }.items():  # fmt: skip
        assert matches(read_query({parameter: value}), found), parameter
    for parameter, value in {
        "GT_ns:n": 5, "EQ_ILMD_ns:n": [5], "EXISTS_ns:deeper": True, "EXISTS_INNER_ns:box": True,
        "GE_INNER_ns:n": 0, "LT_ns:when": "2026-02-28T23:00:00Z", "EQ_SENSORREPORT_ns:e": ["el"],
    }.items():  # fmt: skip
        assert not matches(read_query({parameter: value}), found), parameter


@pytest.mark.parametrize("text", ["2026-02-30T00:00:00Z", "0000-01-01T00:00:00Z"])
def test_a_time_outside_the_calendar_is_refused(text: str) -> None:
    """What the format lets pass but no calendar holds is a 400, not a crash."""
    with pytest.raises(Problem, match="calendar"):
        facts({"type": "ObjectEvent", "eventTime": text}, {})


def test_a_leap_second_is_the_first_second_of_the_next_minute() -> None:
    """23:59:60 is kept, in order."""
    assert micros("2016-12-31T23:59:60Z") == micros("2017-01-01T00:00:00Z")

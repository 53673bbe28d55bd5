from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest

from stafett.exchange import epcis, epcis_pages
from stafett.exchange.epcis_answers import query_document
from stafett.exchange.epcis_query import read_query
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.problem import Problem

pytestmark = pytest.mark.anyio

SITE = "https://id.gs1.org/414/9529004000010"


def event(n: int, **more: Any) -> dict[str, Any]:
    """Make an event that differs from others by its number."""
    return {
        "type": "ObjectEvent",
        "eventID": f"urn:uuid:00000000-0000-4000-8000-{n:012d}",
        "eventTime": f"2026-01-01T{n // 60 % 24:02d}:{n % 60:02d}:00Z",
        "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE",
        "epcList": [f"urn:epc:id:sgtin:9529004.067890.DP{n}"],
        **more,
    }


def document(*events: Any, **more: Any) -> epcis.Document:
    """Judge events as one document."""
    return epcis.judge({**epcis.document(list(events), created="2026-01-02T03:04:05Z"), **more})


async def ids(store: EpcisStore, parameters: dict[str, Any], **more: Any) -> list[str]:
    """Ask for the eventIDs that answer a query, all pages of it."""
    query, found, token = read_query(parameters, store.names), [], None
    while True:
        page = await store.query(query, token=token, **more)
        found += [
            e.event["eventID"] + ("#err" if "errorDeclaration" in e.event else "")
            for e in page.events
        ]
        token = page.next_token
        if token is None:
            return found


@pytest.mark.parametrize(("limit", "few"), [(1000, 2000), (7, 2000), (7, 3)])
async def test_all_published_queries_are_answered_from_the_database(
    store: EpcisStore,
    corpus: epcis.Document,
    asked: list[dict[str, Any]],
    limit: int,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """69 of 69, in one page and in pages of seven, by the plan for few answers and for many."""
    monkeypatch.setattr(epcis_pages, "FEW", few)
    outcome = await store.capture(corpus, owner="maker")
    assert (outcome.captured, outcome.duplicates) == (82, 0)
    times = {e["eventID"]: e["eventTime"] for e in corpus.events}
    for item in asked:
        expect = item["expect"]
        if expect["status"] != 200:
            with pytest.raises(Problem) as refused:
                await ids(store, item["query"], limit=limit)
            assert refused.value.status == expect["status"], item["id"]
            assert refused.value.name == expect["exception"], item["id"]
            continue
        got = await ids(store, item["query"], limit=limit)
        assert sorted(got) == sorted(expect["events"]), item["id"]
        if expect["ordered"]:
            assert [times[i.removesuffix("#err")] for i in got] == [
                times[i.removesuffix("#err")] for i in expect["events"]
            ], item["id"]


async def test_every_valid_example_is_captured_and_read_back_unchanged(
    store: EpcisStore, shared: Path
) -> None:
    """What the publishers offer as examples comes back with every field it had."""
    root = shared / "standards/examples"
    expected = json.loads((root / "expected_validity.json").read_text())
    for name, said in expected.items():
        data = (root / name).read_bytes()
        if not said["gs1_repo_schema_with_formats"]:
            with pytest.raises(Problem):
                epcis.read(data)
            continue
        read = epcis.read(data)
        outcome = await store.capture(read, owner="partner", proceed=True)
        assert outcome.captured + outcome.duplicates + len(outcome.errors) == len(read.events)
        if outcome.captured == len(read.events):
            page = await store.query(
                read_query({}), limit=1000, after_seq=outcome.first_seq - 1,
                upto_seq=outcome.last_seq,
            )  # fmt: skip
            for before, after in zip(read.events, page.events, strict=True):
                before = {k: v for k, v in before.items() if k not in ("recordTime", "@context")}
                assert {**after.event, "eventID": before.get("eventID")} == {
                    **before, "eventID": before.get("eventID"),
                }  # fmt: skip


async def test_the_same_document_twice_is_captured_once(
    store: EpcisStore, corpus: epcis.Document
) -> None:
    """A document that is sent again, with or without eventIDs, is recognised and says so."""
    bare = document({k: v for k, v in event(1).items() if k != "eventID"})
    for sent in (corpus, bare):
        first = await store.capture(sent, owner="maker")
        again = await store.capture(sent, owner="maker")
        assert first.captured == again.duplicates == len(sent.events)
        assert (again.captured, again.event_ids) == (0, first.event_ids)


async def test_each_organisation_has_its_own_copy_of_what_it_captured(
    store: EpcisStore,
) -> None:
    """Both sides may tell the same event, or differ about it; neither hides the other."""
    first = await store.capture(document(event(1)), owner="maker")
    second = await store.capture(document(event(1)), owner="courier")
    third = await store.capture(document(event(1, action="ADD")), owner="clinic")
    assert first.captured == second.captured == third.captured == 1
    assert await ids(store, {}, owners=["courier"]) == [event(1)["eventID"]]


async def test_another_event_under_a_known_id_is_a_conflict_and_nothing_is_kept(
    store: EpcisStore,
) -> None:
    """One conflicting event refuses the whole batch; with `proceed` the others are kept."""
    await store.capture(document(event(1)), owner="maker")
    batch = document(event(2), event(1, action="DELETE"), event(3))
    with pytest.raises(Problem) as refused:
        await store.capture(batch, owner="maker")
    assert refused.value.status == 409
    assert refused.value.findings[0].pointer == "/epcisBody/eventList/1/eventID"
    assert await store.size() == 1
    outcome = await store.capture(batch, owner="maker", proceed=True)
    assert (outcome.captured, len(outcome.errors), await store.size()) == (2, 1, 3)


async def test_an_error_declaration_stands_beside_the_event_it_declares(
    store: EpcisStore,
) -> None:
    """The same eventID with an error declaration is a second record, and is found as such."""
    wrong = event(1)
    declared = {**wrong, "errorDeclaration": {"declarationTime": "2026-02-01T00:00:00Z"}}
    await store.capture(document(wrong), owner="maker")
    outcome = await store.capture(document(declared), owner="maker")
    assert outcome.captured == 1
    assert await ids(store, {"EXISTS_errorDeclaration": True}) == [wrong["eventID"] + "#err"]
    assert len(await ids(store, {"EQ_eventID": [wrong["eventID"]]})) == 2


async def test_captured_events_cannot_be_changed_or_removed(
    store: EpcisStore, database: str
) -> None:
    """Not even the owner of the database can update or delete an event by accident."""
    await store.capture(document(event(1)), owner="maker")
    with psycopg.connect(database, autocommit=True) as connection:
        for statement in ("DELETE FROM exchange.epcis_event", "TRUNCATE exchange.epcis_event"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege, match="append-only"):
                connection.execute(statement)


async def test_captures_at_once_leave_no_gap_and_lose_nothing(store: EpcisStore) -> None:
    """Forty captures at the same time, each sent twice: numbers 1 to 200 and forty duplicates."""
    batches = [document(*[event(100 * b + i) for i in range(5)]) for b in range(40)]
    outcomes = await asyncio.gather(
        *[store.capture(b, owner="maker") for b in batches for _ in range(2)]
    )
    assert sum(o.captured for o in outcomes) == sum(o.duplicates for o in outcomes) == 200
    page = await store.query(read_query({}), limit=1000)
    assert [e.seq for e in page.events] == list(range(1, 201))
    recorded = [e.record_time for e in page.events]
    assert recorded == sorted(recorded)


async def test_a_page_token_is_good_for_its_query_only(store: EpcisStore) -> None:
    """Pages follow without gap or repetition; a foreign or broken token is a 400."""
    await store.capture(document(*[event(i) for i in range(25)]), owner="maker")
    ascending = read_query({"orderBy": "eventTime", "orderDirection": "ASC"})
    first = await store.query(ascending, limit=10)
    await store.capture(document(event(99)), owner="maker")
    second = await store.query(ascending, limit=10, token=first.next_token)
    times = [e.event["eventTime"] for e in (*first.events, *second.events)]
    assert times == [event(i)["eventTime"] for i in range(20)]
    for query, token in ((read_query({}), first.next_token), (ascending, "x"), (ascending, "AAAA")):
        with pytest.raises(Problem) as refused:
            await store.query(query, limit=10, token=token)
        assert refused.value.findings[0].pointer == "/nextPageToken"


async def test_event_count_limit_holds_over_pages(store: EpcisStore) -> None:
    """The newest five of twenty-five, in pages of two."""
    await store.capture(document(*[event(i) for i in range(25)]), owner="maker")
    got = await ids(store, {"orderBy": "eventTime", "eventCountLimit": 5}, limit=2)
    assert got == [event(i)["eventID"] for i in (24, 23, 22, 21, 20)]


async def test_a_pattern_over_items_is_looked_at_event_by_event(store: EpcisStore) -> None:
    """`9529004.*.*` finds all products of a company, over pages, and no other company's."""
    other = event(50, epcList=["urn:epc:id:sgtin:9529005.067890.X"])
    await store.capture(document(*[event(i) for i in range(9)], other), owner="maker")
    query = {"MATCH_epc": ["urn:epc:idpat:sgtin:9529004.*.*"]}
    assert len(await ids(store, query, limit=2)) == 9
    with pytest.raises(Problem) as refused:
        await ids(store, {**query, "maxEventCount": 8})
    assert refused.value.status == 413


async def test_places_widen_by_captured_master_data(store: EpcisStore) -> None:
    """WD_readPoint finds what happened in the rooms of a site; the latest master data counts."""

    def master(children: list[str]) -> dict[str, Any]:
        element = {
            "id": "urn:epc:id:sgln:9529004.00001.0",
            "attributes": [{"id": "urn:x:kind", "attribute": "plant"}],
            "children": children,
        }
        vocabulary = {
            "type": "urn:epcglobal:epcis:vtype:ReadPoint",
            "vocabularyElementList": [element],
        }
        return {"epcisMasterData": {"vocabularyList": [vocabulary]}}

    room, hall = "urn:x:room", "urn:x:hall"
    await store.capture(
        document(event(1, readPoint={"id": room}), event(2, readPoint={"id": hall}),
                 event(3, readPoint={"id": SITE}), epcisHeader=master([room])), owner="maker",
    )  # fmt: skip
    assert len(await ids(store, {"WD_readPoint": [SITE]})) == 2
    assert await ids(store, {"HASATTR_readPoint": ["urn:x:kind"]}) == [event(3)["eventID"]]
    assert await ids(store, {"EQATTR_readPoint_urn:x:kind": ["hospital"]}) == []
    await store.capture(document(epcisHeader=master([room, hall])), owner="maker")
    assert len(await ids(store, {"WD_readPoint": [SITE]})) == 3
    # What another organisation says of the same place changes no answer, and tells it nothing.
    theirs = event(4, readPoint={"id": SITE})
    await store.capture(document(theirs, epcisHeader=master([])), owner="courier")
    for who, found in (("maker", 3), ("courier", 1)):
        assert len(await ids(store, {"WD_readPoint": [SITE]}, owners=[who])) == found
    await store.capture(document(event(5, readPoint={"id": SITE})), owner="stranger")
    assert await ids(store, {"HASATTR_readPoint": ["urn:x:kind"]}, owners=["stranger"]) == []


async def test_an_organisation_can_be_kept_to_what_it_may_see(store: EpcisStore) -> None:
    """A query restricted to owners answers from their captures only."""
    await store.capture(document(event(1)), owner="courier")
    await store.capture(document(event(2)), owner="maker")
    assert await ids(store, {}, owners=["courier"]) == [event(1)["eventID"]]
    assert await ids(store, {}, owners=[]) == []


async def test_one_prefix_with_two_meanings_finds_both(store: EpcisStore) -> None:
    """A query without context takes a prefix in every meaning it was captured in."""
    for n, space in enumerate(["https://a.example/", "https://b.example/"]):
        await store.capture(
            document(event(n, **{"p:x": 5}), **{"@context": [epcis.CONTEXT_URI, {"p": space}]}),
            owner="maker",
        )
    assert len(await ids(store, {"GE_p:x": 5})) == 2
    context = {"p": "https://b.example/"}
    one = read_query({"GE_p:x": 5}, lambda n: store.names(n, context))
    assert [e.event["eventID"] for e in (await store.query(one)).events] == [event(1)["eventID"]]


async def test_a_senders_wrong_clock_moves_nothing_but_its_own_event_time(
    store: EpcisStore,
) -> None:
    """Events of 1999 and 2099, one claiming when it was recorded: the server's clock says that."""
    before = datetime.now(UTC) - timedelta(seconds=5)
    late = event(1, eventTime="2099-01-01T00:00:00Z", recordTime="2099-01-01T00:00:01Z")
    early = event(2, eventTime="1999-01-01T00:00:00Z")
    await store.capture(document(late, early), owner="maker")
    since = {"GE_recordTime": before.isoformat()}
    assert await ids(store, since) == [late["eventID"], early["eventID"]]
    soon = {"LT_recordTime": (datetime.now(UTC) + timedelta(minutes=1)).isoformat()}
    assert await ids(store, soon) == [late["eventID"], early["eventID"]]
    assert await ids(store, {"GE_eventTime": "2090-01-01T00:00:00Z"}) == [late["eventID"]]


async def test_what_an_events_own_context_says_is_kept_and_found(store: EpcisStore) -> None:
    """In one document two events give one prefix two meanings: each comes back with its own."""
    context = [epcis.CONTEXT_URI, {"ext": "https://one.example/"}]
    own = [epcis.CONTEXT_URI, {"ext": "https://two.example/", "only": "https://three.example/"}]
    first = event(1, **{"ext:lot": "A"})
    second = event(2, **{"@context": own, "ext:lot": "A", "only:box": 7})
    envelope = epcis.document([first, second], context, created="2026-01-01T00:00:00Z")
    await store.capture(epcis.judge(envelope), owner="maker")
    for uri, found in (("https://one.example/", [first]), ("https://two.example/", [second])):
        asked = read_query(
            {"EQ_ext:lot": ["A"]},
            lambda n, uri=uri: store.names(n, {"ext": uri}),  # type: ignore[misc]
        )
        got = [e.event["eventID"] for e in (await store.query(asked)).events]
        assert got == [e["eventID"] for e in found]
    assert await ids(store, {"EQ_only:box": [7]}) == [second["eventID"]]  # as it was captured
    both = epcis.judge(query_document((await store.query(read_query({}))).events))
    told = [epcis.prefixes_of(e.get("@context", both.context))["ext"] for e in both.events]
    assert told == ["https://one.example/", "https://two.example/"]

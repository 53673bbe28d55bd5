"""Ordering captured events by an extension's field."""

from __future__ import annotations

import doctest
import random
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from stafett.exchange import epcis, epcis_order
from stafett.exchange.epcis_facts import facts
from stafett.exchange.epcis_order import in_order, rank
from stafett.exchange.epcis_query import read_query
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.problem import Problem

pytestmark = pytest.mark.anyio
CONTEXT = [epcis.CONTEXT_URI, {"ext": "https://ns.example/x/"}]


def event(n: int, **more: Any) -> dict[str, Any]:
    """Make an event that differs from others by its number."""
    return {
        "type": "ObjectEvent", "eventID": uuid.UUID(int=n).urn,
        "eventTime": "2026-01-01T00:00:00Z", "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE", "epcList": ["urn:a:b"], "bizStep": "storing", **more,
    }  # fmt: skip


async def put(store: EpcisStore, *events: Any) -> None:
    """Capture events in whose context `ext` is a prefix."""
    document = epcis.document(list(events), created="2026-01-01T00:00:00Z")
    await store.capture(epcis.judge({**document, "@context": CONTEXT}), owner="maker")


async def order(
    store: EpcisStore, field: str, *, limit: int = 100, direction: str = "ASC", **more: Any
) -> list[int]:
    """Give the numbers of the events in order, over all pages."""
    asked = {"orderBy": field, "orderDirection": direction, **more}
    query = read_query(asked, lambda n: store.names(n, CONTEXT))
    found, token = [], None
    while True:
        page = await store.query(query, limit=limit, token=token)
        found += [uuid.UUID(e.event["eventID"]).int for e in page.events]
        token = page.next_token
        if token is None:
            return found


@pytest.fixture
async def store(database: str, anyio_backend: str) -> AsyncIterator[EpcisStore]:
    """Open an event store on a fresh database."""
    async with EpcisStore(database) as opened:
        yield opened


def test_the_examples_in_the_documentation_hold() -> None:
    """What the module's documentation prints is what it answers."""
    assert doctest.testmod(epcis_order).failed == 0


@pytest.mark.parametrize(
    ("values", "ascending"),
    [
        ([10, 9, 100], [2, 1, 3]),  # by size, not as text
        ([1.5, -2.25, 0], [2, 3, 1]),
        (["b", "a", "B"], [3, 2, 1]),  # by octets: capitals first
        (["å", "z", "ö"], [2, 1, 3]),
        (["2026-01-01T02:00:00+02:00", "2025-12-31T23:00:00Z", "2026-01-01T00:30:00Z"], [2, 1, 3]),
    ],
)
async def test_events_come_in_the_order_of_the_field(
    store: EpcisStore, values: list[Any], ascending: list[int]
) -> None:
    """Integers and decimals by size, times by the moment, texts by their octets; both ways."""
    await put(store, *(event(n, **{"ext:weight": v}) for n, v in enumerate(values, 1)))
    assert await order(store, "ext:weight") == ascending
    assert await order(store, "ext:weight", direction="DESC") == ascending[::-1]


async def test_fields_of_each_level_and_full_names_order_too(store: EpcisStore) -> None:
    """ILMD, inner elements and places are named as in EQ_; a URI may stand for the prefix."""
    await put(store, *(
        event(n, ilmd={"ext:lot": v}, action="ADD", readPoint={"id": "urn:p", "ext:room": -n},
              **{"ext:box": {"ext:row": v}})
        for n, v in ((1, 30), (2, 10), (3, 20))
    ))  # fmt: skip
    assert await order(store, "ILMD_ext:lot") == [2, 3, 1]
    assert await order(store, "INNER_ext:row") == [2, 3, 1]
    assert await order(store, "readPoint_ext:room") == [3, 2, 1]
    assert await order(store, "ILMD_{https://ns.example/x/}lot") == [2, 3, 1]


async def test_events_without_the_field_come_last_and_none_is_lost_over_pages(
    store: EpcisStore,
) -> None:
    """Pages follow one another without a gap, though more is captured meanwhile."""
    await put(store, *(event(n, **({"ext:x": 50 - n} if n % 3 else {})) for n in range(1, 31)))
    whole = [n for n in range(30, 0, -1) if n % 3] + [n for n in range(1, 31) if not n % 3]
    assert await order(store, "ext:x", limit=7) == whole
    query = read_query(
        {"orderBy": "ext:x", "orderDirection": "ASC"}, lambda n: store.names(n, CONTEXT)
    )
    first = await store.query(query, limit=7)
    await put(store, event(99, **{"ext:x": 0}))
    then = await store.query(query, limit=100, token=first.next_token)
    found = [uuid.UUID(e.event["eventID"]).int for e in (*first.events, *then.events)]
    assert found == whole


async def test_the_largest_few_can_be_asked_for(store: EpcisStore) -> None:
    """eventCountLimit counts over pages, and conditions narrow as always."""
    await put(store, *(event(n, **{"ext:x": n, "bizStep": ["storing", "packing"][n % 2]})
                       for n in range(1, 21)))  # fmt: skip
    asked: dict[str, Any] = {
        "limit": 2,
        "direction": "DESC",
        "eventCountLimit": 5,
        "EQ_bizStep": ["packing"],
    }
    assert await order(store, "ext:x", **asked) == [19, 17, 15, 13, 11]


VALUES: list[Any] = [
    5, 5, 5, 1, -3, 0, -0.0, 2.5, 10**400, -(10**400), [9, 1], [1, 1], [2, "word"], "word", "Word",
    ["b", "a"], True, "2026-01-01T02:00:00+02:00", ["2026-01-01T00:00:00Z", 5], None, None, None,
    5, 1,
]  # fmt: skip


@pytest.mark.parametrize("direction", ["ASC", "DESC"])
@pytest.mark.parametrize("few", [10_000, 5])
async def test_many_come_in_the_order_that_few_come_in(
    store: EpcisStore, monkeypatch: pytest.MonkeyPatch, direction: str, few: int
) -> None:
    """Walked by the index in small steps, or put in order in memory: as by ranking them all."""
    monkeypatch.setattr("stafett.exchange.epcis_ordered.FEW", few)
    monkeypatch.setattr("stafett.exchange.epcis_ordered.CHUNK", 2)
    dice = random.Random(20261126)
    for trial in range(3):
        given = dice.sample(VALUES, len(VALUES))
        first = 1 + trial * len(given)
        events = [
            event(n, bizStep=["storing", "packing"][n % 3 > 0],
                  epcList=[f"urn:epc:id:sgtin:9529004.06789{n % 2}.X"],
                  **({} if v is None else {"ext:x": v}))
            for n, v in enumerate(given, first)
        ]  # fmt: skip
        await put(store, *events)
        for limit in (1, 3, 100):
            ranked = await _ranked(store, direction == "DESC")
            assert await order(store, "ext:x", limit=limit, direction=direction) == ranked
            for pattern, more in (("9529004.067890.*", {0}), ("9529004.*.*", {0, 1})):
                some = await order(
                    store, "ext:x", limit=limit, direction=direction, EQ_bizStep=["packing"],
                    MATCH_epc=[f"urn:epc:idpat:sgtin:{pattern}"],
                )  # fmt: skip
                assert some == [n for n in ranked if n % 3 and n % 2 in more]


async def _ranked(store: EpcisStore, down: bool) -> list[int]:
    """Rank every event by what it holds: the shortest way, and the slowest."""
    page = await store.query(read_query({}), limit=1000)
    places, numbers = [], {}
    for one in page.events:
        found = facts(one.event, {"ext": "https://ns.example/x/"})
        places.append((one.seq, rank(found, [":{https://ns.example/x/}x"], down)))
        numbers[one.seq] = uuid.UUID(one.event["eventID"]).int
    return [numbers[seq] for seq in in_order(places, down)]


async def test_many_words_are_put_in_order_by_an_index(
    store: EpcisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More than fit in memory: as by ranking them all, over pages, both ways, as more come in."""
    monkeypatch.setattr("stafett.exchange.epcis_ordered.FEW", 3)
    monkeypatch.setattr("stafett.exchange.epcis_ordered.MAX_SORTED", 3)
    monkeypatch.setattr("stafett.exchange.epcis_ordered.CHUNK", 2)
    monkeypatch.setattr("stafett.exchange.epcis_texts.WINDOW", 7)
    words = ["a", "ab", "b", "B", "å", "a\U0001f9ea", "x" * 3000, ["d", "c"], ["a", 4], "", "b"]
    dice = random.Random(20261127)
    for trial in range(3):
        given = dice.sample([*words, 1, 2, None, None], len(words) + 4)
        await put(store, *(event(n, **({} if v is None else {"ext:x": v}))
                           for n, v in enumerate(given, 1 + trial * len(given))))  # fmt: skip
        for direction in ("ASC", "DESC"):
            ranked = await _ranked(store, direction == "DESC")
            for limit in (1, 4, 100):
                assert await order(store, "ext:x", limit=limit, direction=direction) == ranked
            some = await order(store, "ext:x", direction=direction, limit=2, eventCountLimit=20)
            assert some == ranked[:20]


async def test_words_that_are_too_many_for_one_request_are_gone_on_with(
    store: EpcisStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """503 says how far it is and when to ask; what was done stays, and the order comes."""
    monkeypatch.setattr("stafett.exchange.epcis_ordered.FEW", 3)
    monkeypatch.setattr("stafett.exchange.epcis_ordered.MAX_SORTED", 3)
    monkeypatch.setattr("stafett.exchange.epcis_texts.WINDOW", 4)
    monkeypatch.setattr("stafett.exchange.epcis_texts.FILL_S", -1.0)
    await put(store, *(event(n, **{"ext:x": f"w{50 - n}"}) for n in range(1, 11)))
    for reached in ("4 of 10", "8 of 10"):
        with pytest.raises(Problem, match=reached) as refused:
            await order(store, "ext:x")
        assert (refused.value.status, refused.value.retry_after_s) == (503, 1)
    assert await order(store, "ext:x") == list(range(10, 0, -1))


async def test_the_index_gives_the_order(store: EpcisStore) -> None:
    """With the choice taken from the planner of sorting everything, numbers are not all sorted."""
    await put(store, *(event(n, **{"ext:x": n % 7}) for n in range(1, 400)))
    async with store.pool.connection() as connection, connection.transaction():
        for other in ("seqscan", "bitmapscan"):
            await connection.execute(f"SET LOCAL enable_{other} = off".encode())
        for way in ("value, seq", "value DESC, seq"):
            rows = await connection.execute(
                f"EXPLAIN SELECT value, seq FROM exchange.epcis_number WHERE name = %s"
                f" ORDER BY {way} LIMIT 10".encode(), [uuid.UUID(int=1)],
            )  # fmt: skip
            plan = "\n".join(row[0] for row in await rows.fetchall())
            assert "Index Only Scan" in plan and "Incremental Sort" in plan, plan


async def test_a_damaged_page_token_is_refused(store: EpcisStore) -> None:
    """Each changed letter is noticed: a page that begins elsewhere would skip events."""
    await put(store, *(event(n) for n in range(1, 5)))
    query = read_query({"orderBy": "eventTime"})
    token = (await store.query(query, limit=2)).next_token
    assert token is not None
    assert len((await store.query(query, limit=2, token=token)).events) == 2
    for n in range(len(token) - 1):  # of the last letter not every bit counts
        wrong = token[:n] + ("A" if token[n] != "A" else "B") + token[n + 1 :]
        with pytest.raises(Problem) as refused:
            await store.query(query, limit=2, token=wrong)
        assert (refused.value.status, refused.value.findings[0].pointer) == (400, "/nextPageToken")

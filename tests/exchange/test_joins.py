from __future__ import annotations

import asyncio
import uuid
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from stafett.exchange import epcis
from stafett.exchange.epcis_facts import digest
from stafett.exchange.epcis_store import EpcisStore
from stafett.exchange.joins import Joins, spellings
from stafett.exchange.room import Exchange, refused_host
from stafett.exchange.subscriptions import Subscriptions
from stafett.exchange.views import View
from stafett.ledger import Author, Draft, Ledger, Submission
from stafett.ledger.schema import migrate

pytestmark = pytest.mark.anyio
SSCC = "(00)095290030037165080"


def event(n: int, **more: Any) -> dict[str, Any]:
    """Make an event that differs from others by its number."""
    return {
        "type": "ObjectEvent", "eventID": uuid.UUID(int=n).urn,
        "eventTime": f"2026-01-01T00:00:{n:02d}Z", "eventTimeZoneOffset": "+00:00",
        "action": "OBSERVE", "epcList": [], **more,
    }  # fmt: skip


async def put(store: EpcisStore, *events: dict[str, Any]) -> None:
    """Capture events whose prefix `c` is a partner's namespace."""
    value = epcis.document(
        list(events), [epcis.CONTEXT_URI, {"c": "https://courier.example/"}],
        created="2026-01-01T00:00:00Z",
    )  # fmt: skip
    await store.capture(epcis.judge(value), owner="courier")


def numbers(stored: Any) -> list[int]:
    """Give the numbers of events."""
    return [uuid.UUID(e.event["eventID"]).int for e in stored]


async def test_events_join_a_journey_by_any_spelling_and_others_wait(store: EpcisStore) -> None:
    """URN, Digital Link, own URIs and a partner's extension all name the journey's things."""
    joins = Joins(store)
    await put(
        store,
        event(1, epcList=["urn:epc:id:sscc:9529003.0003716508"]),
        event(2, epcList=["https://x.example/00/095290030037165080"]),
        event(3, **{"c:coi": "CHA9999240000A1"}),
        event(4, epcList=["urn:stafett:coi:CHA9999240000A1"]),
        event(5, epcList=["urn:epc:id:sscc:9529003.0003716509"]),
        event(6, **{"c:other": "CHA9999240000A1"}),
    )
    assert numbers(await joins.waiting()) == [1, 2, 3, 4, 5, 6]
    await joins.register("J1", [SSCC, "&/CHA9999240000A1"])
    await joins.register("J1", [SSCC])
    assert numbers((await joins.events("J1")).events) == [1, 2, 3, 4]
    assert numbers(await joins.waiting()) == [5, 6]
    assert numbers(await joins.waiting(limit=1, after=5)) == [6]
    assert await joins.waiting(owner="maker") == []
    assert (await joins.events("J2")).events == ()


async def test_events_that_name_the_order_join_it_and_other_transactions_do_not(
    store: EpcisStore,
) -> None:
    """As a purchase order, or without a type; a despatch advice of the same text is another."""
    joins = Joins(store)
    order = View("J1").order("order")  # as the journey's own events have it
    types: list[dict[str, str]] = [{"type": "po"}, {}, {"type": "desadv"}]
    for n, kind in enumerate(types, 1):
        named = {"bizTransaction": order, **kind}
        await put(store, event(n, epcList=["urn:a:b"], bizTransactionList=[named]))
    await joins.register("J1", [order])
    assert numbers((await joins.events("J1")).events) == [1, 2]
    assert numbers(await joins.waiting()) == [3]


async def test_a_namespace_that_is_new_joins_at_once(store: EpcisStore) -> None:
    """A journey known before a partner's first document: nobody needs to know the namespace."""
    joins = Joins(store)
    await joins.register("J1", ["CHA9999240000A1"])
    await put(store, event(1, **{"c:coi": "CHA9999240000A1"}),
              event(2, **{"c:inner": {"c:coi": "CHA9999240000A1"}}))  # fmt: skip
    assert numbers((await joins.events("J1")).events) == [1]
    assert numbers(await joins.waiting()) == [2]


async def test_the_namespaces_that_partners_declare_cost_a_journey_nothing(
    store: EpcisStore,
) -> None:
    """Before, each of 20,000 became rows of every identifier, and the tower stood still."""
    joins = Joins(store)

    async def rows(journey: str) -> int:
        await joins.register(journey, [SSCC, "CHA9999240000A1"])
        async with store.pool.connection() as connection:
            found = await connection.execute(
                "SELECT count(*) FROM exchange.subject WHERE journey = %s", [journey]
            )
            (count,) = await found.fetchone() or (0,)
            return int(count)

    before = await rows("J1")
    for part in range(3):
        many = {f"p{n}": f"https://p{n}.example/" for n in range(part * 200, part * 200 + 200)}
        value = epcis.document([event(part + 1)], [epcis.CONTEXT_URI, many],
                               created="2026-01-01T00:00:00Z")  # fmt: skip
        await store.capture(epcis.judge(value), owner="courier")
    assert len(store.namespaces()) == 600
    assert await rows("J2") == before


async def test_an_event_about_two_journeys_does_not_tell_one_of_the_other(
    store: EpcisStore,
) -> None:
    """One scan of two shippers: each hospital reads of its own, and that there was another."""
    other = "(00)095290030037165097"
    joins = Joins(store)
    await joins.register("J1", [SSCC, "CHA9999240000A1"])
    await joins.register("J2", [other, "CHA9999240000B2"])
    await put(
        store,
        event(1, epcList=["urn:epc:id:sscc:9529003.0003716508", "urn:x:crate",
                          "https://partner.example/00/095290030037165097"],
              **{"c:coi": "CHA9999240000B2", "c:note": "both"}),
        event(2, epcList=["https://id.gs1.org/00/095290030037165080"]),
    )  # fmt: skip
    page = await joins.events("J1")
    one, two = (e.event for e in await joins.withheld(page.events, ["J1"]))
    assert one["epcList"] == [page.events[0].event["epcList"][0], "urn:x:crate",
                              "urn:stafett:withheld:1"]  # fmt: skip
    assert (one["c:coi"], one["c:note"]) == ("urn:stafett:withheld:2", "both")
    assert two == page.events[1].event
    both = await joins.withheld(page.events, ["J1", "J2"])
    assert [e.event for e in both] == [e.event for e in page.events]


async def test_an_event_from_before_is_found_by_the_namespaces_that_there_were(
    store: EpcisStore,
) -> None:
    """Its keys are never changed; a namespace that is marked as early is still looked under."""
    old = digest(":{https://courier.example/}coi=CHA9999240000A1")
    await put(store, event(1, **{"c:note": "CHA9999240000A1"}))
    async with store.pool.connection() as connection:
        await connection.execute("RESET ROLE")
        await connection.execute("UPDATE exchange.namespace SET early = true")
        await connection.execute("ALTER TABLE exchange.epcis_event DISABLE TRIGGER append_only")
        await connection.execute("UPDATE exchange.epcis_event SET keys = keys || %s",
                                 [[uuid.UUID(bytes=old)]])  # fmt: skip
        await connection.execute("ALTER TABLE exchange.epcis_event ENABLE TRIGGER append_only")
        await connection.execute("SET ROLE stafett_append")
    await store.refresh()
    joins = Joins(store)
    await joins.register("J1", ["CHA9999240000A1"])
    assert numbers((await joins.events("J1")).events) == [1]


_BACK = """
ALTER TABLE exchange.webhook DROP CONSTRAINT webhook_query_fkey;
ALTER TABLE exchange.named_query DROP CONSTRAINT named_query_pkey;
ALTER TABLE exchange.named_query ADD PRIMARY KEY (name);
ALTER TABLE exchange.webhook ADD FOREIGN KEY (query_name) REFERENCES exchange.named_query;
ALTER TABLE exchange.vocabulary DROP COLUMN owner;
CREATE INDEX vocabulary_id ON exchange.vocabulary (id, type, n DESC);
ALTER TABLE exchange.namespace DROP COLUMN early, DROP COLUMN owner;
ALTER TABLE exchange.namespace ADD PRIMARY KEY (prefix, uri);
UPDATE exchange.webhook SET owner = 'courier';
UPDATE stafett_migration SET version_num = 'exchange_0012' WHERE version_num = 'exchange_0014';
"""


async def test_only_the_namespaces_that_named_something_are_kept_from_before(
    store: EpcisStore,
) -> None:
    """A store that a partner filled with thousands of them is light again after the upgrade.

    Whose a namespace is, is found out; who was told of another's query has one of its own.
    """
    subscriptions = Subscriptions(store)
    await subscriptions.define("all", {}, owner="maker")
    wish = {"dest": "https://partner.example/hook", "stream": True}
    hook = await subscriptions.subscribe("all", wish, owner="maker")
    many = {f"p{n}": f"https://p{n}.example/" for n in range(200)}
    value = epcis.document([event(1, **{"p7:coi": "CHA9999240000A1"}, **{"p8:other": 1})],
                           [epcis.CONTEXT_URI, many], created="2026-01-01T00:00:00Z")  # fmt: skip
    await store.capture(epcis.judge(value), owner="courier")
    with psycopg.connect(store.url, autocommit=True) as before:
        before.execute(_BACK)
    await asyncio.to_thread(migrate, store.url)
    await store.refresh()
    assert store.early == {"https://p7.example/"}
    assert store.namespaces(["courier"])["p9"] == ["https://p9.example/"]
    assert store.namespaces(["maker"]) == {}
    assert [(await subscriptions.query("all", o)).owner for o in ("maker", "courier")] == [
        "maker", "courier",
    ]  # fmt: skip
    await subscriptions.remove("all", "maker")
    assert (await subscriptions.webhook(hook.id)).owner == "courier"


async def test_the_ledger_tells_which_journeys_there_are(database: str) -> None:
    """An opened journey, its order, a new material and a scanned label are followed and joined."""
    async with Ledger(database) as ledger, Exchange(database, ledger) as exchange:
        await put(
            exchange.store,
            event(1, **{"c:coi": "CHA9999240000A1"}),
            event(2, epcList=["https://id.gs1.org/00/095290030037165080"]),
            event(3, epcList=["urn:stafett:din:A999900001001"]),
            event(4, epcList=["urn:a:b"], bizTransactionList=[
                {"type": "po", "bizTransaction": View("J1").order("order")}]),
        )  # fmt: skip
        told = [
            {"type": "JourneyOpened", "coi": "CHA9999240000A1", "identifiers": {}},
            {"type": "MaterialCreated", "lot": "bag/1", "identifiers": {"din": "A999900001001"}},
            {"type": "IdentifierBound", "material": "shipper", "value": SSCC},
            {"type": "IdentifierBound", "material": "patient", "value": "19121212-1212"},
        ]
        drafts = [Draft(str(e["type"]), {"event": e}, datetime.now(UTC)) for e in told]
        await ledger.append(
            Submission("J1", None, drafts, ["clinic"], Author("clinic"), "key-0001", b"x")
        )
        for _ in range(100):
            found = numbers((await exchange.joins.events("J1")).events)
            if len(found) == 4:
                break
            await asyncio.sleep(0.05)
        assert found == [1, 2, 3, 4]
        async with exchange.store.pool.connection() as connection:
            cursor = await connection.execute(
                "SELECT count(*) FROM exchange.subject WHERE identifier LIKE '1912%'"
            )
            assert await cursor.fetchone() == (0,)


async def test_a_webhook_may_not_be_turned_against_the_server() -> None:
    """Loopback and link-local hosts are refused, in any spelling; others are not."""
    for host in ("localhost", "127.0.0.1", "::1", "169.254.169.254", "0.0.0.0", "2130706433"):
        assert await refused_host(host) is not None, host
    assert await refused_host("192.168.7.7") is None
    assert await refused_host("no.such.host.invalid") is not None


def test_a_number_is_known_in_its_spellings() -> None:
    """An element string, its link and its number are one thing; free text is only itself."""
    assert "https://id.gs1.org/00/095290030037165080" in spellings(SSCC)
    assert "urn:stafett:text:LOT%201" in spellings("LOT 1")

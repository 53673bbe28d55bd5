"""kill -9 in the middle of a replan: all of it is made or none, and the record says which."""

from __future__ import annotations

from datetime import datetime, timedelta

import psycopg
import pytest

from small_network import booking, killed, opened, person, resource
from stafett.capacity.booking import Chain
from stafett.capacity.calendar import Change
from stafett.capacity.disruption import Cause
from stafett.capacity.replanned import Replan
from stafett.service.bookings import Bookings

pytestmark = pytest.mark.anyio
PLANT = person("plant")
OTHERS = [person(name) for name in ("hospital", "courier", "laboratory")]

# The last acceptance, in a process of its own that stops where it is told to and says so.
LAST = """
import asyncio
from psycopg_pool import AsyncConnectionPool
from small_network import person
from stafett.ledger import Ledger
from stafett.service import replanning
from stafett.service.bookings import Bookings
from stafett.service.network import Networks

DATABASE, REPLAN, VERSION, WHERE = {database!r}, {replan!r}, {version}, {where!r}
moved = []

async def here():
    print(WHERE, flush=True)
    await asyncio.sleep(600)

def stopping(real, after):
    async def made(*given, **more):
        moved.append(given)
        if len(moved) > after:
            await here()
        return await real(*given, **more)
    return made

async def main():
    pool = AsyncConnectionPool(DATABASE, min_size=1, max_size=4, open=False)
    async with pool, Ledger(DATABASE) as ledger:
        bookings = Bookings(pool, ledger, Networks(pool))
        if WHERE == "in the middle":
            replanning.insert = stopping(replanning.insert, 1)
        elif WHERE == "before the end":
            replanning._tell = stopping(replanning._tell, 1)
        else:
            bookings.replans._record.relay = stopping(bookings.replans._record.relay, 0)
        await bookings.replans.accept(
            person("laboratory"), REPLAN, VERSION, "accept-laboratory"
        )
    print("it was not stopped", flush=True)

asyncio.run(main())
"""


def suite_begins(chain: Chain) -> datetime:
    """Return when a chain has the suite."""
    return next(p.begins for p in chain.slots if p.link == "manufacture")


async def waiting_for_the_last(bookings: Bookings) -> tuple[Replan, list[Chain]]:
    """Close the suite under three chains; all but the laboratory accept where they go."""
    chains = [await bookings.book(OTHERS[0], booking(n)) for n in range(3)]
    at = min(suite_begins(chain) for chain in chains)
    closing = Change(at - timedelta(hours=1), at + timedelta(days=4), 0, "leak")
    await bookings.calendars.put(
        PLANT, resource("suite", units=3, changes=(closing,)), "leak in the ceiling"
    )
    made = await bookings.replans.work_out(PLANT, Cause(kind="closed", resource="suite"))
    now = await bookings.replans.choose(PLANT, made.id, made.version, 0, "choose-1", "leak")
    for one in OTHERS[:2]:
        now = await bookings.replans.accept(one, made.id, now.version, f"accept-{one.id}")
    assert now.status == "chosen"
    assert len(now.options[0].moves) == 3
    return now, chains


async def told(bookings: Bookings, chain: Chain) -> list[str]:
    """Return what the record was told of a chain."""
    return [e.kind for e in await bookings.record.ledger.stream(f"capacity/chain/{chain.id}")]


@pytest.mark.parametrize("where", ["in the middle", "before the end"])
async def test_killed_before_it_was_whole_nothing_has_moved(database: str, where: str) -> None:
    """One of three chains written, or all but the last line: the next process finds none of it.

    The acceptance was not acknowledged, so it is made again, under the same key, and then whole.
    """
    async with opened(database, units=3) as bookings:
        now, chains = await waiting_for_the_last(bookings)
        code = LAST.format(database=database, replan=now.id, version=now.version, where=where)
        assert killed(code) == where
        seen = await bookings.replans.see(PLANT, now.id)
        assert (seen.status, seen.version, seen.accepted) == ("chosen", now.version, now.accepted)
        for chain in chains:
            assert await bookings.see(OTHERS[0], chain.id) == chain
        await bookings.record.relay()
        assert {kind for chain in chains for kind in await told(bookings, chain)} == {
            "SlotChainBooked"
        }
        done = await bookings.replans.accept(
            person("laboratory"), now.id, now.version, "accept-laboratory"
        )
        assert done.status == "applied"
        await whole(bookings, database, done, chains)


async def test_killed_when_it_was_durable_it_is_whole_and_told(database: str) -> None:
    """After the commit and before a word to the ledger: every chain has moved, each told once.

    Sent again with its key, the acceptance is answered and does nothing twice.
    """
    async with opened(database, units=3) as bookings:
        now, chains = await waiting_for_the_last(bookings)
        code = LAST.format(database=database, replan=now.id, version=now.version, where="told")
        assert killed(code) == "told"
        seen = await bookings.replans.see(PLANT, now.id)
        assert seen.status == "applied"
        again = await bookings.replans.accept(
            person("laboratory"), now.id, now.version, "accept-laboratory"
        )
        assert again.status == "applied"
        await bookings.record.relay()
        await whole(bookings, database, seen, chains)


async def whole(bookings: Bookings, database: str, done: Replan, chains: list[Chain]) -> None:
    """All three chains stand where the plan puts them, in the tables and in the record, once."""
    places = {move.chain: move.after for move in done.options[0].moves}
    for chain in chains:
        moved = await bookings.see(OTHERS[0], chain.id)
        assert moved.slots == places[chain.id]
        assert moved.version == chain.version + 1
        assert (await told(bookings, chain)).count("SlotChainMoved") == 1
    events = await bookings.record.ledger.stream(f"capacity/replan/{done.id}", organisation="plant")
    assert [e.kind for e in events].count("ReplanApplied") == 1
    assert [e.kind for e in events].count("ReplanAccepted") == 4
    with psycopg.connect(database) as connection:
        held = connection.execute("SELECT count(*) FROM capacity.slot").fetchone()
    assert held == (sum(len(chain.slots) for chain in chains),)

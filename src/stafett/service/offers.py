"""Freed slots are offered to those who wait, by the rule in force; each once, whatever happens.

What has been given back is written with the giving back (`capacity.freed`), so a process that dies
before it offers leaves it to another. An offer is a hold that names what it came of; the database
permits one for each, so two processes cannot both offer. An offer that is not taken in its time is
given back in turn, and goes to the next.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import msgspec
from psycopg import AsyncConnection, errors

from stafett.capacity import rule as rules
from stafett.capacity.booking import Chain, Place
from stafett.ledger.tending import Tended
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.bookings import Booking, Bookings
from stafett.service.refusal import No
from stafett.service.slots import CHAIN, filled
from stafett.service.todo import Todo
from stafett.service.waitlist import Waitlist

OFFER_MINUTES = 24 * 60  # assumption: a clinic answers within a day
TRIED = 5  # patients, before the slots are open to everybody
LOOK_S = 5.0  # at least this often: another process may hold for a shorter time


class Offers:
    """The offers of freed slots, and the timer of holds and ended journeys. One per process."""

    def __init__(self, pool: sql.Pool, bookings: Bookings, waitlist: Waitlist) -> None:
        self._pool, self._bookings, self._waitlist = pool, bookings, waitlist
        # One at a time: each holds one connection while it books with another.
        self._turn = asyncio.Lock()
        self._freed = Todo("could not offer the slots of")  # chains
        self.todos = (self._freed,)
        self.tended = (Tended("holds and offers", self.run),)

    async def run(self) -> None:
        """Let holds end in time, and offer what is freed, for ever."""
        while True:
            await self.sweep()
            left = await self._bookings.holds.next_s()
            await asyncio.sleep(LOOK_S if left is None else min(LOOK_S, max(0.02, left)))

    async def sweep(self) -> None:
        """Let holds end, and offer what has been given back and is not offered yet."""
        await self._bookings.holds.sweep()
        await self._bookings.releases.sweep()
        query = "SELECT chain FROM capacity.freed WHERE done IS NULL ORDER BY at"
        async with self._turn:
            waits = [row[0] for row in await sql.rows(self._pool, query)]
            self._freed.add(one for one in waits if one not in self._freed.failing)
            await self._freed.work_off(self._settle)

    async def cancel(
        self, person: Person, chain: str, seen: int, key: str, reason: str
    ) -> tuple[Chain, Chain | None]:
        """Cancel a chain and offer what has become free by the rule. Raises No."""
        old = await self._bookings.cancel(person, chain, seen, key, reason)
        await self.sweep()
        async with self._pool.connection() as connection:
            query = CHAIN + " WHERE offered ->> 'freed' = %s"
            made = await filled(connection, await sql.within(connection, query, (chain,)))
        return old, made[0] if made else None

    async def _settle(self, freed: str) -> None:
        """Offer what one chain gave back, unless that is done, or being done elsewhere."""
        query = (
            "SELECT slots FROM capacity.freed WHERE chain = %s AND done IS NULL"
            " FOR UPDATE SKIP LOCKED"
        )
        async with self._pool.connection() as connection:
            waits = await sql.within(connection, query, (freed,))
            if waits:
                await self._offer(connection, freed, msgspec.convert(waits[0][0], list[Place]))
                await connection.execute(
                    "UPDATE capacity.freed SET done = now() WHERE chain = %s", (freed,)
                )

    async def _offer(
        self, connection: AsyncConnection[Any], freed: str, slots: list[Place]
    ) -> None:
        """Hold the slots for the first on the list who can use them; say why in the record.

        Who was asked before for these slots is not asked again. Nobody can use them: they are free.
        """
        rows = await sql.within(connection, CHAIN + " WHERE id = %s", (freed,))
        old = (await filled(connection, rows))[0]
        now, in_force = datetime.now(UTC), await self._waitlist.rule()
        passed: list[str] = (old.offered or {}).get("passed", [])
        if old.offered is not None:
            passed = [*passed, f"{old.organisation}/{old.patient}"]
        first = slots[0].begins
        if first <= now or len(passed) >= TRIED:
            return
        able = [
            one
            for one in await self._waitlist.waiting()
            if one.template == old.template
            and f"{one.organisation}/{one.patient}" not in passed
            and (one.ready_from is None or one.ready_from <= first)
        ]
        ranked = rules.rank(in_force.rule, able, now)
        for n, one in enumerate(ranked):
            behind = ranked[n + 1] if n + 1 < len(ranked) else None
            who = one.waiting
            why: dict[str, Any] = {
                "freed": freed,
                "rule": in_force.version,
                "place": one.place,
                "of": len(ranked),
                "points": one.points,
                "terms": msgspec.to_builtins(one.terms),
                "before_next": rules.ahead(one, behind) if behind else [],
                "passed": passed,
            }
            asked = Booking(
                key=f"offer-{freed}-{n}", template=old.template, network=old.network,
                patient=who.patient, begin=first, end=first, hold_minutes=OFFER_MINUTES,
                urgency=int(who.urgency),
            )  # fmt: skip
            try:
                await self._bookings.book(Person("", "", "", who.organisation), asked, offered=why)
            except errors.UniqueViolation:
                return  # it was offered by a process that died before it could say so
            except No:
                passed = [*passed, f"{who.organisation}/{who.patient}"]
                continue
            return

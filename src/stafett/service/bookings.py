"""Slot chains kept: searched, held, booked, confirmed and cancelled whole, and told to the record.

A chain is one transaction: all its slots or none. That no unit is given twice is the database's own
rule (an exclusion constraint), so it holds whatever any process does. A hold ends by the database's
clock. What is to be told to the record is written in the same transaction, and waits there if the
ledger cannot be reached.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any

import msgspec
from psycopg import AsyncConnection, errors
from psycopg.types.json import Jsonb

from stafett.capacity.booking import Chain, Moment, Place, place_of
from stafett.capacity.calendar import Id, Patient, seconds
from stafett.capacity.search import Blocked, earliest, offers
from stafett.ledger import Ledger
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.booking_rules import chosen, named, near, need_reason, no_place, reach
from stafett.service.calendars import Calendars
from stafett.service.holds import Holds
from stafett.service.moves import Moves
from stafett.service.network import Networks
from stafett.service.refusal import No, Reason
from stafett.service.releases import Releases, need_going_on
from stafett.service.replanning import Replanning
from stafett.service.request import Key
from stafett.service.slot_record import SlotRecord, tell_chain
from stafett.service.slots import (
    CHAIN,
    LOCK,
    TRIES,
    Overtaken,
    calendars_of,
    filled,
    free,
    insert,
    once,
    see,
    take,
)

PATIENT = 2  # times overtaken before a booking waits in line
QUEUE = 0x43617051756575  # the line of those who were overtaken


class Window(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to look for: the first link begins in [begin, end]."""

    template: Id
    network: str
    begin: Moment
    end: Moment
    count: Annotated[int, msgspec.Meta(ge=1, le=20)] = 3


class Booking(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Book a chain: these `slots`, or else the earliest that begins in [begin, end].

    `hold_minutes`: only hold it so long, and until it begins at most. `patient` is a pseudonym or a
    journey, never a name. `deadline`: the last link must begin by then.
    """

    key: Key
    template: Id
    network: str
    patient: Patient
    slots: list[Place] | None = None
    begin: Moment | None = None
    end: Moment | None = None
    hold_minutes: Annotated[int, msgspec.Meta(ge=1, le=7 * 1440)] | None = None
    urgency: Annotated[int, msgspec.Meta(ge=1, le=3)] = 3
    deadline: Moment | None = None


class Bookings:
    """The chains kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: sql.Pool, ledger: Ledger, networks: Networks) -> None:
        self._pool, self._networks = pool, networks
        self._lines = {"": asyncio.Lock()}
        self.record = self._record = SlotRecord(pool, ledger)
        self.holds = Holds(pool, self.record)
        self.releases = Releases(pool, self.record)
        self.calendars = Calendars(pool, self.record, self.holds)
        self.moves = Moves(pool, self.record, networks)
        self.replans = Replanning(pool, self.record, networks, self.holds)

    def _line(self, network: str) -> asyncio.Lock:
        """Return the line of this process's bookings in a network: one looks and writes at a time.

        They would be overtaken by each other, and look again in vain. Other processes' bookings are
        kept apart by the database alone.
        """
        return self._lines.setdefault(network, asyncio.Lock())

    # -- reading -------------------------------------------------------------------------------

    async def see(self, person: Person, chain: str) -> Chain:
        """Return a chain that the person's organisation is in. Raises No."""
        async with self._pool.connection() as connection:
            return await see(connection, person, chain)

    async def chains(self, person: Person, begin: datetime, end: datetime) -> list[Chain]:
        """Return the organisation's chains with a slot in [begin, end), the earliest first."""
        await self.holds.sweep()
        async with self._pool.connection() as connection:
            rows = await sql.within(
                connection,
                CHAIN + " WHERE %s = ANY(organisations) AND status IN ('held', 'booked', 'ended')"
                " AND id IN"
                " (SELECT chain FROM capacity.slot WHERE ends > %s AND begins < %s)",
                (person.organisation, seconds(begin), seconds(end)),
            )
            found = await filled(connection, rows)
        return sorted(found, key=lambda c: c.slots[0].begins)

    async def search(self, person: Person, wanted: Window) -> list[list[Place]]:
        """Return free chains, the earliest first. Raises No: there is none, and why."""
        await self.holds.sweep()
        networks = await self._networks.all()
        async with self._pool.connection() as connection:
            template, calendars = await calendars_of(
                connection, networks, person, wanted.template, wanted.network, wanted.begin
            )
        begin, end = reach(wanted.begin, wanted.end)
        found = offers(template, calendars, begin, end, wanted.count)
        if not found:
            blocked = earliest(template, calendars, begin, end)
            assert isinstance(blocked, Blocked)
            raise no_place(template, blocked)
        return [[place_of(slot) for slot in chain] for chain in found]

    # -- booking -------------------------------------------------------------------------------

    async def book(
        self, person: Person, asked: Booking, *, offered: dict[str, Any] | None = None
    ) -> Chain:
        """Hold or book a chain: whole, or not at all. Raises No; nothing has changed then.

        `offered`: why the waitlist's rule offers it to this patient.
        """
        await self.holds.sweep()
        networks = await self._networks.all()  # never while a connection of the pool is held
        line = self._lines[""] if asked.network not in networks else self._line(asked.network)
        for attempt in range(TRIES):
            try:
                async with line, self._pool.connection() as connection:
                    if attempt >= PATIENT:
                        await connection.execute("SELECT pg_advisory_xact_lock(%s)", (QUEUE,))
                    chain, told = await self._book(connection, networks, person, asked, offered)
            except (Overtaken, errors.DeadlockDetected, errors.SerializationFailure):
                continue
            await self._record.relay(told)
            return chain
        what = "others book the same slots at this moment"
        raise No("busy", "Try again", Reason("slots", what, "send it again"))

    async def _book(
        self,
        connection: AsyncConnection[Any],
        networks: Mapping[str, dict[str, str]],
        person: Person,
        asked: Booking,
        offered: dict[str, Any] | None,
    ) -> tuple[Chain, list[int]]:
        near(*(at for at in (asked.begin, asked.end, asked.deadline) if at is not None))
        id_ = f"chain-{secrets.token_hex(8)}"
        known = await once(connection, person, asked.key, asked, id_)
        if known is not None:
            return await see(connection, person, known), []
        patient = named(asked.patient)
        await need_going_on(connection, person.organisation, patient)
        begin, end = asked.begin, asked.end
        if asked.slots:
            begin = end = min(place.begins for place in asked.slots)
        if begin is None or end is None:
            what = "give the slots, or between when the first may begin"
            raise No("bad-value", "Nothing to book", Reason("slots", what, "search first"))
        await connection.execute("SELECT pg_advisory_xact_lock_shared(%s)", (LOCK,))
        template, calendars = await calendars_of(
            connection, networks, person, asked.template, asked.network, begin
        )
        low, high = reach(begin, end)
        if asked.slots is not None:
            slots = chosen(template, calendars, asked.slots)
        else:
            deadline = None if asked.deadline is None else seconds(asked.deadline)
            found = earliest(template, calendars, low, high, deadline=deadline)
            if isinstance(found, Blocked):
                raise no_place(template, found)
            slots = found
        owner = {c.resource.id: c.resource.organisation for cs in calendars.values() for c in cs}
        organisations = sorted({person.organisation, *(owner[s.resource] for s in slots)})
        hold = asked.hold_minutes
        await connection.execute(
            "INSERT INTO capacity.chain (id, template, network, patient, organisation,"
            " organisations, status, hold_until, urgency, deadline, offered) VALUES"
            " (%s, %s, %s, %s, %s, %s, %s,"
            # What is only held when it begins is nobody's, and is used by nobody.
            " least(now() + %s * interval '1 minute', to_timestamp(%s)), %s, %s, %s)",
            (
                id_, asked.template, asked.network, patient, person.organisation,
                organisations, "held" if hold else "booked", hold,
                min(slot.begins for slot in slots) if hold else None, asked.urgency, asked.deadline,
                None if offered is None else Jsonb(offered),
            ),
        )  # fmt: skip
        await insert(connection, id_, slots)
        chain = await see(connection, person, id_)
        kind = "SlotChainHeld" if hold else "SlotChainBooked"
        if offered is not None:
            kind = "SlotOffered"
        return chain, await tell_chain(connection, kind, chain, person)

    async def confirm(self, person: Person, chain: str, seen: int, key: str) -> Chain:
        """Turn a hold into a booking. Raises No: it has ended, or changed meanwhile."""
        await self.holds.sweep()
        async with self._pool.connection() as connection:
            if await once(connection, person, key, ("confirm", chain, seen), chain):
                return await see(connection, person, chain)
            old = await take(connection, person, chain, seen, owner=True)
            if old.status == "booked":
                return old
            await connection.execute(
                "UPDATE capacity.chain SET status = 'booked', hold_until = NULL,"
                " version = version + 1 WHERE id = %s",
                (chain,),
            )
            if old.offered is not None:
                await connection.execute(
                    "DELETE FROM capacity.waiting WHERE organisation = %s AND patient = %s",
                    (old.organisation, old.patient),
                )
            new = await see(connection, person, chain)
            told = await tell_chain(connection, "SlotChainBooked", new, person)
        await self._record.relay(told)
        return new

    async def cancel(self, person: Person, chain: str, seen: int, key: str, reason: str) -> Chain:
        """Give all slots of a chain back. Raises No."""
        need_reason(reason)
        async with self._pool.connection() as connection:
            if await once(connection, person, key, ("cancel", chain, seen, reason), chain):
                return await see(connection, person, chain)
            old = await take(connection, person, chain, seen, owner=True)
            await free(connection, [old])
            await connection.execute(
                "UPDATE capacity.chain SET status = 'cancelled', hold_until = NULL,"
                " version = version + 1 WHERE id = %s",
                (chain,),
            )
            told = await tell_chain(connection, "SlotChainCancelled", old, person, reason=reason)
        await self._record.relay(told)
        return old

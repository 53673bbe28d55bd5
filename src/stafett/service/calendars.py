"""The calendars of what can be booked: kept by their organisation, shared as it says."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

import msgspec
from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

from stafett.capacity.booking import Free, free_starts
from stafett.capacity.calendar import Calendar, Resource, moment, problems, seconds
from stafett.capacity.chain import templates
from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.booking_rules import need_reason, now_s
from stafett.service.holds import Holds
from stafett.service.refusal import No, Reason, unknown
from stafett.service.slot_record import SlotRecord, tell
from stafett.service.slots import LOCK, busy_of

FREE = timedelta(weeks=4)
FRESH_S = 2.0


class Calendars:
    """The resources kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: sql.Pool, record: SlotRecord, holds: Holds) -> None:
        self._pool, self._record, self._holds = pool, record, holds
        self._free: tuple[float, dict[str, list[Free]]] | None = None

    async def own(self, person: Person) -> list[Resource]:
        """Return the organisation's own resources."""
        found = await sql.rows(
            self._pool,
            "SELECT value FROM capacity.resource WHERE organisation = %s ORDER BY id",
            (person.organisation,),
        )
        return [msgspec.convert(row[0], Resource) for row in found]

    async def titles(self, resources: Iterable[str]) -> dict[str, str]:
        """Return what these resources are called: for whoever sees a chain that stands in them."""
        found = await sql.rows(
            self._pool,
            "SELECT id, value->>'title' FROM capacity.resource WHERE id = ANY(%s)",
            (list(resources),),
        )
        return {str(id): str(title) for id, title in found}

    async def every(self) -> list[Resource]:
        """Return every resource: for the public figures, which show counts only."""
        found = await sql.rows(self._pool, "SELECT value FROM capacity.resource ORDER BY id")
        return [msgspec.convert(row[0], Resource) for row in found]

    async def free(self, now: datetime) -> dict[str, list[Free]]:
        """Return what is free in the four weeks from `now`, by organisation: counts only.

        Only of resources that are shared with everybody. A slot is as long as the built-in chains
        need it there, and slots are counted one after the other, as they could be booked. Counted
        anew every FRESH_S seconds, for all the public pages that show it.
        """
        if self._free is None or time.monotonic() - self._free[0] > FRESH_S:
            self._free = (time.monotonic(), await self._count(now))
        return self._free[1]

    async def _count(self, now: datetime) -> dict[str, list[Free]]:
        await self._holds.sweep()
        shared = [r for r in await self.every() if "*" in r.shared_with]
        begin, end = seconds(now), seconds(now + FREE)
        async with self._pool.connection() as connection:
            busy = await busy_of(connection, [r.id for r in shared], begin)
        found: dict[str, list[Free]] = {}
        for resource in shared:
            needs = [k.seconds for t in templates().values() for k in t.links
                     if k.kind == resource.kind]  # fmt: skip
            if needs:
                slots = free_starts(
                    Calendar(resource, busy.get(resource.id, ())), begin, end, min(needs)
                )
                first = moment(min(slots)) if slots else None
                one = Free(resource.title, len(slots), first, resource.zone, resource.kind)
                found.setdefault(resource.organisation, []).append(one)
        return found

    async def put(self, person: Person, value: Resource, reason: str) -> list[str]:
        """Keep a resource or change its calendar; return the chains that no longer fit it.

        What stands is not moved: that is replanning, which is seen before it is done. Raises No.
        """
        if value.organisation != person.organisation:
            raise unknown("resource", value.id)
        if faults := problems(value):
            raise No("bad-value", "The calendar is wrong", *(Reason(*fault) for fault in faults))
        need_reason(reason)
        plain = msgspec.to_builtins(value)
        async with self._pool.connection() as connection:
            await connection.execute("SELECT pg_advisory_xact_lock(%s)", (LOCK,))
            done = await connection.execute(
                "INSERT INTO capacity.resource (id, organisation, value) VALUES (%s, %s, %s)"
                " ON CONFLICT (id) DO UPDATE SET value = EXCLUDED.value,"
                " version = capacity.resource.version + 1"
                " WHERE capacity.resource.organisation = EXCLUDED.organisation",
                (value.id, value.organisation, Jsonb(plain)),
            )
            if done.rowcount == 0:
                raise No("taken", "The name is taken", Reason("id", value.id, "choose another"))
            told = await tell(
                connection, f"capacity/resource/{value.id}", "CalendarChanged",
                {"resource": plain, "reason": reason.strip()}, [person.organisation], person,
            )  # fmt: skip
            unfit = await self._unfit(connection, value)
        await self._record.relay(told)
        return unfit

    async def _unfit(self, connection: AsyncConnection[Any], value: Resource) -> list[str]:
        """Return the chains with a slot in `value` that its calendar has no room for."""
        rows = await sql.within(
            connection,
            "SELECT chain, unit, begins, ends FROM capacity.slot"
            " WHERE resource = %s AND ends > %s ORDER BY begins",
            (value.id, now_s()),
        )
        empty = Calendar(value)
        return [c for c, unit, b, e in rows if unit >= value.units or not empty.fits(unit, b, e)]

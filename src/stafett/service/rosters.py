"""Shifts and addresses: who is on call in a role, and where mail reaches them."""

from __future__ import annotations

import time as clock
from collections.abc import Sequence
from datetime import time
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from psycopg.rows import class_row, tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.service import sql
from stafett.service.accounts import Person
from stafett.service.refusal import No, Reason, unknown
from stafett.watch.roster import WEEK, Shift

FRESH_S = 5.0  # how long a process rests on the shifts that it has read


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One line of a roster. `days` are 0 (Monday) to 6; hours are the zone's."""

    id: int
    organisation: str
    role: str
    person: str
    deputy: bool
    days: list[int]
    begins: time
    ends: time
    zone: str

    @property
    def shift(self) -> Shift:
        """The line as the rules read it."""
        return Shift(self.person, tuple(self.days), self.begins, self.ends, self.zone, self.deputy)


class Rosters:
    """The rosters kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._known: list[Entry] = []
        self._able: frozenset[int] = frozenset()  # lines of who is there, and in the role still
        self._read = float("-inf")

    async def all(self) -> list[Entry]:
        """Return every line, at most FRESH_S old."""
        if clock.monotonic() - self._read > FRESH_S:
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=class_row(Entry)) as cursor,
            ):
                await cursor.execute(
                    "SELECT id, organisation, role, person, deputy, days, begins, ends, zone"
                    " FROM alerts.shift ORDER BY organisation, role, deputy, begins, person"
                )
                self._known = await cursor.fetchall()
            able = await sql.rows(
                self._pool,
                "SELECT s.id FROM alerts.shift s JOIN service.person p ON p.id = s.person"
                " WHERE p.active AND s.role = ANY(p.roles)",
            )
            self._able = frozenset(row[0] for row in able)
            self._read = clock.monotonic()
        return self._known

    async def shifts(self, organisation: str, role: str) -> list[Shift]:
        """Return the shifts of a role at an organisation, of people who can act in it now."""
        return [
            e.shift
            for e in await self.all()
            if (e.organisation, e.role) == (organisation, role) and e.id in self._able
        ]

    async def put(
        self,
        by: Person,
        person: Person,
        role: str,
        days: Sequence[int],
        begins: time,
        ends: time,
        zone: str,
        *,
        deputy: bool = False,
    ) -> None:
        """Give a person of `by`'s organisation hours in a role. Raises No."""
        if person.organisation != by.organisation:
            raise unknown("person", person.id)
        if role not in person.roles:
            raise No(
                "unknown-name", "Not in this role", Reason("role", f"{person.name} has it not")
            )
        if not days or any(not 0 <= day < WEEK for day in days):
            raise No("bad-value", "No such days", Reason("days", "0 (Monday) to 6", "choose some"))
        if begins == ends:
            what = "a shift that ends when it begins has no hours"
            raise No("bad-value", "No hours", Reason("ends", what, "00:00 to 23:59 is a whole day"))
        try:
            ZoneInfo(zone)
        except (KeyError, ValueError, OSError):
            raise No("bad-value", "No such zone", Reason("zone", f"{zone!r} is no zone")) from None
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO alerts.shift (organisation, role, person, deputy, days, begins, ends,"
                " zone) VALUES (%s, %s, %s, %s, %s, %s, %s, %s)"
                " ON CONFLICT (organisation, role, person, begins) DO UPDATE SET"
                " deputy = EXCLUDED.deputy, days = EXCLUDED.days, ends = EXCLUDED.ends,"
                " zone = EXCLUDED.zone",
                [
                    person.organisation, role, person.id, deputy, sorted(set(days)), begins, ends,
                    zone,
                ],
            )  # fmt: skip
        self._read = float("-inf")

    async def remove(self, by: Person, id_: int) -> None:
        """Take a line of `by`'s organisation away."""
        async with self._pool.connection() as connection:
            done = await connection.execute(
                "DELETE FROM alerts.shift WHERE id = %s AND organisation = %s",
                [id_, by.organisation],
            )
        self._read = float("-inf")
        if done.rowcount == 0:
            raise unknown("shift", str(id_))

    async def reach(self, person: str, mail: str) -> None:
        """Keep where mail reaches a person."""
        local, at, domain = mail.rpartition("@")
        plain = mail.isascii() and mail.isprintable() and " " not in mail and len(mail) <= 254
        if not (local and at and domain and plain):
            raise No("bad-value", "No address", Reason("mail", f"{mail[:80]!r} is no address"))
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO alerts.address (person, mail) VALUES (%s, %s)"
                " ON CONFLICT (person) DO UPDATE SET mail = EXCLUDED.mail",
                [person, mail],
            )

    async def address(self, person: str) -> str:
        """Return where mail reaches a person; empty if nowhere."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute("SELECT mail FROM alerts.address WHERE person = %s", [person])
            row = await cursor.fetchone()
        return str(row[0]) if row else ""

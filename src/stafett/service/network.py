"""Networks: which organisation plays which role. The parties of a new journey come from here."""

from __future__ import annotations

import time
from typing import Any

from psycopg import AsyncCursor
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

FRESH_S = 2.0  # as of people and sessions (`accounts`)


class Networks:
    """The networks kept in PostgreSQL."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._known: dict[str, dict[str, str]] = {}
        self._titles: dict[str, str] = {}
        self._read, self._changes = float("-inf"), 0

    async def put(self, network: str, parties: dict[str, str], title: str = "") -> None:
        """Set who plays which role in `network`, and what it is called."""
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO service.party (network, role, organisation) VALUES (%s, %s, %s)"
                " ON CONFLICT (network, role) DO UPDATE SET organisation = EXCLUDED.organisation",
                [(network, role, organisation) for role, organisation in parties.items()],
            )
            await entitle(cursor, network, title)
        self.forget()

    def forget(self) -> None:
        """Drop what is held in memory: somebody has changed the table."""
        self._read = float("-inf")
        self._changes += 1

    async def all(self) -> dict[str, dict[str, str]]:
        """Return every network: name -> role -> organisation."""
        await self._look()
        return self._known

    async def titles(self) -> dict[str, str]:
        """Return what each network is called; one without a name is left out."""
        await self._look()
        return self._titles

    async def _look(self) -> None:
        """Read the tables, unless that was a moment ago: another process may have changed them."""
        began, changes = time.monotonic(), self._changes
        if began - self._read <= FRESH_S:
            return
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute("SELECT network, role, organisation FROM service.party")
            rows = await cursor.fetchall()
            await cursor.execute("SELECT network, title FROM service.network")
            titles = dict(await cursor.fetchall())
        known: dict[str, dict[str, str]] = {}
        for network, role, organisation in rows:
            known.setdefault(network, {})[role] = organisation
        self._known, self._titles = known, titles
        if changes == self._changes:  # else they were changed while we read
            self._read = began

    async def parties(self, network: str) -> dict[str, str]:
        """Return role -> organisation of `network`; empty if there is no such network."""
        return (await self.all()).get(network, {})


async def entitle(cursor: AsyncCursor[Any], network: str, title: str) -> None:
    """Say what `network` is called; without a title it is shown by its identifier."""
    if not title:
        await cursor.execute("DELETE FROM service.network WHERE network = %s", (network,))
        return
    await cursor.execute(
        "INSERT INTO service.network (network, title) VALUES (%s, %s)"
        " ON CONFLICT (network) DO UPDATE SET title = EXCLUDED.title",
        (network, title),
    )

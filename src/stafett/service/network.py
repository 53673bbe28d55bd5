"""Networks: which organisation plays which role. The parties of a new journey come from here."""

from __future__ import annotations

from typing import Any

from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool


class Networks:
    """The networks kept in PostgreSQL."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._known: dict[str, dict[str, str]] = {}

    async def put(self, network: str, parties: dict[str, str]) -> None:
        """Set who plays which role in `network`."""
        async with self._pool.connection() as connection, connection.cursor() as cursor:
            await cursor.executemany(
                "INSERT INTO service.party (network, role, organisation) VALUES (%s, %s, %s)"
                " ON CONFLICT (network, role) DO UPDATE SET organisation = EXCLUDED.organisation",
                [(network, role, organisation) for role, organisation in parties.items()],
            )
        self._known.clear()

    def forget(self) -> None:
        """Drop what is held in memory: somebody has changed the table."""
        self._known.clear()

    async def all(self) -> dict[str, dict[str, str]]:
        """Return every network: name -> role -> organisation."""
        if not self._known:
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=tuple_row) as cursor,
            ):
                await cursor.execute("SELECT network, role, organisation FROM service.party")
                rows = await cursor.fetchall()
            for network, role, organisation in rows:
                self._known.setdefault(network, {})[role] = organisation
        return self._known

    async def parties(self, network: str) -> dict[str, str]:
        """Return role -> organisation of `network`; empty if there is no such network."""
        return (await self.all()).get(network, {})

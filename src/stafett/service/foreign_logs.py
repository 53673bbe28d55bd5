"""Event logs from elsewhere that an organisation has brought to learn from: its own only."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

MOST = 5
Judge = Callable[[bytes, str, str | None], Awaitable[dict[str, str] | list[str]]]


class LogRefused(ValueError):
    """A log that was not kept; `reasons` say why, each with its row where it has one."""

    def __init__(self, reasons: list[str]) -> None:
        super().__init__("; ".join(reasons))
        self.reasons = reasons


class ForeignLog(msgspec.Struct, frozen=True):
    """A log as it was brought."""

    id: str
    name: str
    added_at: datetime
    added_by: str


class ForeignLogs:
    """Foreign logs in PostgreSQL; `judge` reads one and says what is wrong with it."""

    def __init__(self, pool: AsyncConnectionPool[Any], judge: Judge) -> None:
        self._pool, self._judge = pool, judge

    async def keep(
        self, organisation: str, person: str, name: str, data: bytes, zone: str | None
    ) -> tuple[ForeignLog, dict[str, str]]:
        """Keep a log and say what it is; raise LogRefused if it cannot be read."""
        if len(await self.of(organisation)) >= MOST:
            raise LogRefused([f"{MOST} logs are kept for an organisation: take one away first"])
        found = await self._judge(data, name, zone)
        if isinstance(found, list):
            raise LogRefused(found)
        return await self.put(organisation, person, name, data, zone), found

    async def put(
        self, organisation: str, person: str, name: str, data: bytes, zone: str | None
    ) -> ForeignLog:
        """Keep a log that is known to be readable."""
        kept = ForeignLog(uuid.uuid4().hex, name, datetime.now(UTC), person)
        async with self._pool.connection() as connection:
            await connection.execute(
                "INSERT INTO insight.log (id, organisation, name, zone, bytes, added_at, added_by)"
                " VALUES (%s, %s, %s, %s, %s, %s, %s)",
                (kept.id, organisation, name, zone, data, kept.added_at, person),
            )
        return kept

    async def of(self, organisation: str) -> list[ForeignLog]:
        """Return the logs of an organisation, newest first."""
        async with (
            self._pool.connection() as connection,
            connection.cursor(row_factory=tuple_row) as cursor,
        ):
            await cursor.execute(
                "SELECT id, name, added_at, added_by FROM insight.log WHERE organisation = %s"
                " ORDER BY added_at DESC",
                (organisation,),
            )
            return [ForeignLog(*row) for row in await cursor.fetchall()]

    async def drop(self, organisation: str, log: str) -> bool:
        """Take a log away; say whether it was there."""
        async with self._pool.connection() as connection:
            done = await connection.execute(
                "DELETE FROM insight.log WHERE id = %s AND organisation = %s", (log, organisation)
            )
        return bool(done.rowcount == 1)

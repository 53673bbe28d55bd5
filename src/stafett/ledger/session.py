"""The appender's own connection: its settings, and whether what it committed is surely durable.

A commit that comes with a notice is in doubt: a cancelled wait for a synchronous standby commits
locally with a WARNING, and may vanish at fail-over. What follows from that is in `sequencer`.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any, LiteralString

import psycopg

from stafett.ledger.rows import Rows

FENCED = "SF001"  # what `ledger.append` raises where the head has moved on without us
CONNECT_S = 5.0

APPEND: LiteralString = (
    "SELECT ledger.append(%s::bigint, %s::bigint, %s, %s::float8, %s, %s, %s,"
    " %s::ledger.entry[], %s::ledger.claim[], %s, %s, %s)"
)
TYPES: LiteralString = """
SELECT coalesce(to_regtype('ledger.entry')::oid::bigint, 0),
       coalesce(to_regtype('ledger.claim')::oid::bigint, 0)
"""
# The session settings that durability and fencing rest on, whatever the server's defaults are.
SESSION: LiteralString = """
SET ROLE stafett_append;
SET synchronous_commit = on;
SET idle_in_transaction_session_timeout = '5s';
SET client_min_messages = warning;
SET jit = off;
"""


class Fenced(Exception):
    """Another sequencer has appended, or holds a newer epoch."""


class Doubtful(Exception):
    """The commit came with a notice: it may not be durable where it should be."""


class Session:
    """One connection to the database at `url`, made anew when it is lost."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection: psycopg.AsyncConnection[Any] | None = None
        self._types = (0, 0)  # what this database calls `ledger.entry` and `ledger.claim`
        self._notices: list[str] = []

    @property
    def lost(self) -> bool:
        """Whether there is no connection: with it went whatever lease was held."""
        return self.connection is None or self.connection.closed

    async def connected(self) -> psycopg.AsyncConnection[Any]:
        """Return the connection. Raises psycopg errors, and TimeoutError after `CONNECT_S`."""
        if self.connection is None or self.connection.closed:
            async with asyncio.timeout(CONNECT_S):
                connection = await psycopg.AsyncConnection.connect(self.url, autocommit=True)
            connection.add_notice_handler(
                lambda notice: self._notices.append(notice.message_primary or "a notice")
            )
            try:
                await connection.execute(SESSION)
                self._types = await (await connection.execute(TYPES)).fetchone() or (0, 0)
            except BaseException:
                await connection.close()
                raise
            self.connection = connection
        return self.connection

    async def committed(
        self, connection: psycopg.AsyncConnection[Any], query: LiteralString, values: Any
    ) -> Any:
        """Run one statement as its own transaction; return its row if it committed cleanly."""
        self._notices.clear()
        row = await (await connection.execute(query, values)).fetchone()
        if self._notices:
            raise Doubtful("; ".join(self._notices))
        return row

    async def append(self, connection: psycopg.AsyncConnection[Any], values: list[Any]) -> datetime:
        """Append one batch in one transaction; return the database's clock. Raises Fenced."""
        self._notices.clear()
        types = iter(self._types)
        values = [v.array(next(types)) if isinstance(v, Rows) else v for v in values]
        try:
            cursor = await connection.execute(APPEND, values, prepare=True)
        except psycopg.DatabaseError as error:
            if error.sqlstate == FENCED:
                raise Fenced from None
            raise
        if self._notices:
            raise Doubtful("; ".join(self._notices))
        row = await cursor.fetchone()
        assert row is not None
        clock: datetime = row[0]
        return clock

    async def close(self) -> None:
        """Drop the connection."""
        if self.connection is not None:
            await self.connection.close()
            self.connection = None

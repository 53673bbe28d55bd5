"""The few lines that every table of the service is read and written with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

Pool = AsyncConnectionPool[Any]


async def rows(pool: Pool, query: LiteralString, values: Sequence[Any] = ()) -> list[Any]:
    """Run `query` in a transaction of its own; return its rows as tuples."""
    async with pool.connection() as connection, connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall() if cursor.description else []


async def row(pool: Pool, query: LiteralString, values: Sequence[Any] = ()) -> Any:
    """Run `query` in a transaction of its own; return its first row, or None."""
    found = await rows(pool, query, values)
    return found[0] if found else None


async def done(pool: Pool, query: LiteralString, values: Sequence[Any] = ()) -> int:
    """Run `query` in a transaction of its own; return how many rows it touched."""
    async with pool.connection() as connection:
        return int((await connection.execute(query, values)).rowcount)


async def within(
    connection: AsyncConnection[Any], query: Any, values: Sequence[Any] | dict[str, Any] = ()
) -> list[tuple[Any, ...]]:
    """Run `query` within the connection's transaction; return its rows as tuples."""
    async with connection.cursor(row_factory=tuple_row) as cursor:
        await cursor.execute(query, values)
        return await cursor.fetchall()

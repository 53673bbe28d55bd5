"""Texts of an extension's field in an index of their own, made for who orders many events by it.

Numbers are indexed as they are captured; texts are not, for most are never ordered by, and each
would cost every capture. The first who orders more than fit in memory has the field's texts written
down, window by window; each window stays, so that who was told to ask again goes on where it was.
Later only what was captured since is added.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

import psycopg
from psycopg_pool import AsyncConnectionPool

from stafett.exchange.epcis_facts import Facts, digest
from stafett.exchange.epcis_order import texts
from stafett.exchange.problem import Problem

WINDOW: Final = 10_000  # positions of the store that are looked through in one transaction
FILL_S: Final = 15.0  # as long as one request works at it
Row = tuple[Any, ...]  # seq, record_time, context, body


async def fill(
    pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]],
    field: str,
    top: int,
    facts_of: Callable[[Row], Awaitable[Facts]],
) -> None:
    """Have the texts under `field` of all events up to `top` in the index.

    Raises `Problem` 503 with the seconds to wait where there are more than one request may do.
    """
    until = time.monotonic() + FILL_S
    while True:
        reach = await _window(pool, field, top, facts_of)
        if reach >= top:
            return
        if time.monotonic() > until:
            why = (
                f"the texts of this field are put in order for the first time, {reach:,} of "
                f"{top:,} events so far: ask again"
            )
            raise Problem(503, "ImplementationException", why, retry_after_s=1)


async def _window(
    pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]],
    field: str,
    top: int,
    facts_of: Callable[[Row], Awaitable[Facts]],
) -> int:
    """Write one window's texts; return the position reached."""
    name = UUID(bytes=digest(field))
    async with pool.connection() as connection, connection.transaction():
        # One at a time for each field: who waits finds what the other has written.
        await connection.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 12))", [field])
        cursor = await connection.execute(
            "SELECT seq FROM exchange.epcis_text_reach WHERE name = %s", [name]
        )
        row = await cursor.fetchone()
        reach = int(row[0]) if row else 0
        if reach >= top:
            return reach
        upto = min(top, reach + WINDOW)
        cursor = await connection.execute(
            "SELECT seq, record_time, context, body FROM exchange.epcis_event"
            " WHERE seq > %s AND seq <= %s AND keys @> %s",
            [reach, upto, [name]],
            prepare=False,
        )
        found: list[tuple[bytes, int]] = []
        for n, event in enumerate(await cursor.fetchall(), 1):
            held = {text for of, text in texts(await facts_of(event), [field]) if of == field}
            found += [(text, event[0]) for text in held]
            if n % 200 == 0:
                await asyncio.sleep(0)  # others are waiting
        await connection.execute(
            "INSERT INTO exchange.epcis_text (name, value, seq)"
            " SELECT %s, * FROM unnest(%s::bytea[], %s::bigint[])",
            [name, [text for text, _ in found], [seq for _, seq in found]],
        )
        await connection.execute(
            "INSERT INTO exchange.epcis_text_reach (name, seq) VALUES (%s, %s)"
            " ON CONFLICT (name) DO UPDATE SET seq = excluded.seq",
            [name, upto],
        )
        return upto

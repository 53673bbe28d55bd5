"""Whether the database's log reaches its archive: a recovery to a moment rests on it.

PostgreSQL tries again for ever and says so in its own log only. Nothing is missed by anybody until
the day on which it is needed.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, LiteralString

import psycopg
from psycopg_pool import AsyncConnectionPool

LOOK_S: Final = 20.0
FAILS: LiteralString = """
SELECT last_failed_wal, last_failed_time, last_archived_time FROM pg_stat_archiver
WHERE current_setting('archive_mode') <> 'off'
  AND last_failed_time > coalesce(last_archived_time, '-infinity')
"""


class NotArchived(OSError):
    """The newest part of the log could not be put into the archive."""


async def follow(pool: AsyncConnectionPool[psycopg.AsyncConnection[Any]]) -> None:
    """Look for ever. Raises NotArchived while the server keeps an archive and it does not grow."""
    while True:
        async with pool.connection() as connection:
            row = await (await connection.execute(FAILS)).fetchone()
        if row is not None:
            last = f"the last that is there is from {row[2]}" if row[2] else "nothing is there"
            raise NotArchived(
                f"{row[0]} could not be put into the archive at {row[1]}; {last}. Is its disk full "
                "or away? The database's own log says what its command said"
            )
        await asyncio.sleep(LOOK_S)

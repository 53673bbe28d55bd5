"""Holds that end: by the database's clock, whoever looks.

Each process looks when the next hold ends (`service.offers`), and before anything is booked. Ending
is one transaction with what the waitlist is still to be offered of it.
"""

from __future__ import annotations

from stafett.capacity.booking import Chain
from stafett.service import sql
from stafett.service.slot_record import SlotRecord, tell_chain
from stafett.service.slots import CHAIN, filled, free


class Holds:
    """The holds kept in PostgreSQL. One instance per process."""

    def __init__(self, pool: sql.Pool, record: SlotRecord) -> None:
        self._pool, self._record = pool, record

    async def sweep(self) -> list[Chain]:
        """Let every hold that has ended give its slots back; return those chains."""
        query = CHAIN + " WHERE status = 'held' AND hold_until <= now() FOR UPDATE SKIP LOCKED"
        due = "SELECT 1 FROM capacity.chain WHERE status = 'held' AND hold_until <= now() LIMIT 1"
        async with self._pool.connection() as connection:
            if not await sql.within(connection, due, ()):
                return []
            rows = await sql.within(connection, query, ())
            gone = await filled(connection, rows)
            ids = [chain.id for chain in gone]
            await free(connection, gone)
            await connection.execute(
                "UPDATE capacity.chain SET status = 'expired', hold_until = NULL,"
                " version = version + 1 WHERE id = ANY(%s)",
                (ids,),
            )
            told = []
            for chain in gone:
                told += await tell_chain(connection, "SlotChainExpired", chain, None)
        await self._record.relay(told)
        return gone

    async def next_s(self) -> float | None:
        """Return in how many seconds the next hold ends; None if nothing is held."""
        query = (
            "SELECT extract(epoch FROM min(hold_until) - now())::float8 FROM capacity.chain"
            " WHERE status = 'held'"
        )
        found = await sql.row(self._pool, query)
        return None if found is None or found[0] is None else float(found[0])

"""The chunks of each shipment, as far as this process has read them: what is new is read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.service.loggers import Id
from stafett.service.storing import FILE
from stafett.watch.reading import decode
from stafett.watch.series import EMPTY, Arrived, Series, merge
from stafett.watch.shipment import Shipment

KEPT: Final = 2000  # series in memory
_LONG_AGO: Final = datetime(1990, 1, 1, tzinfo=UTC)
# A second process may commit a little later than it stamped.
_BACK: Final = timedelta(minutes=1)
_BEFORE: Final = timedelta(days=2)
_QUERY: Final = (
    "SELECT sha256, payload, arrived_at, way FROM watch.chunk"
    " WHERE organisation = %s AND number = %s"
    " AND day >= %s AND arrived_at >= %s AND latest >= %s AND earliest <= %s"
)


@dataclass
class _Kept:
    arrived: dict[bytes, Arrived] = field(default_factory=dict)
    until: datetime = _LONG_AGO
    series: Series = EMPTY


class Chunks:
    """The series of shipments. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any]) -> None:
        self._pool = pool
        self._kept: dict[tuple[str, Id], _Kept] = {}

    async def follow(self, shipment: Shipment, id: Id) -> Series:
        """Return all that this shipment's logger has said, reading what is new."""
        kept = self._kept.setdefault((shipment.id, id), _Kept())
        if await self._read(shipment, id, kept, None):
            kept.series = merge(kept.arrived.values())
        while len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)))
        return kept.series

    async def of(self, shipment: Shipment, id: Id, organisation: str) -> Series:
        """Return what `organisation` may read, under the database's restricted role."""
        kept = _Kept()
        await self._read(shipment, id, kept, organisation)
        return merge(kept.arrived.values())

    async def _read(
        self, shipment: Shipment, id: Id, kept: _Kept, organisation: str | None
    ) -> bool:
        """Read the chunks that have come since the last time; say whether there were any."""
        since = kept.until - _BACK if kept.until > _LONG_AGO else _LONG_AGO
        since = max(since, shipment.since - _BEFORE)
        until = shipment.until or datetime.max.replace(tzinfo=UTC)
        values = [*id, since.date(), since, shipment.since, until]
        async with self._pool.connection() as connection, connection.transaction():
            if organisation is not None:
                await connection.execute("SET LOCAL ROLE stafett_read")
                await connection.execute(
                    "SELECT set_config('stafett.organisation', %s, true)", [organisation]
                )
            async with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
                await cursor.execute(_QUERY, values)
                rows = await cursor.fetchall()
        new = False
        for sha, payload, arrived, way in rows:
            if sha not in kept.arrived:
                kept.arrived[sha] = Arrived(decode(payload), arrived.timestamp(), way == FILE)
                kept.until = max(kept.until, arrived)
                new = True
        return new

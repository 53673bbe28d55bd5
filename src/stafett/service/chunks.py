"""The chunks of each shipment, as far as this process has read them: what is new is read once."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.service.loggers import Id
from stafett.service.read_in import NONE, Files, FilesRead
from stafett.service.storing import FILE
from stafett.watch.judgement import Gone
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
    files: Files = NONE
    series: Series = EMPTY


class Heard(NamedTuple):
    """What a logger has said of a shipment, and its files that count no more."""

    series: Series = EMPTY
    withdrawn: tuple[Gone, ...] = ()


class Chunks:
    """The series of shipments. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any], files: FilesRead) -> None:
        self._pool, self._files = pool, files
        self._kept: dict[tuple[str, Id], _Kept] = {}

    async def follow(self, shipment: Shipment, id: Id) -> Heard:
        """Return all that this shipment's logger has said, reading what is new."""
        kept = self._kept.setdefault((shipment.id, id), _Kept())
        new = await self._read(shipment, id, kept, None)
        files = await self._files_of(kept, id)
        if new or files is not kept.files:
            kept.files, kept.series = files, merge(files.standing(kept.arrived))
        while len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)))
        return Heard(kept.series, kept.files.withdrawn())

    async def of(self, shipment: Shipment, id: Id, organisation: str) -> Heard:
        """Return what `organisation` may read, under the database's restricted role."""
        kept = _Kept()
        await self._read(shipment, id, kept, organisation)
        files = await self._files_of(kept, id)
        return Heard(merge(files.standing(kept.arrived)), files.withdrawn())

    async def _files_of(self, kept: _Kept, id: Id) -> Files:
        """Return the logger's files, where any of what is known came in one."""
        if any(one.from_file for one in kept.arrived.values()):
            return await self._files.of(id)
        return NONE

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

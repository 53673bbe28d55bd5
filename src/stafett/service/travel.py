"""Which logger travels with which shipment: read from the record, written down for the database.

The table `watch.travel` is what row-level security reads: whose readings a party of a journey may
see. It is made from the record and can be made again.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from psycopg_pool import AsyncConnectionPool

from stafett.service.journeys import Live
from stafett.service.loggers import Id, Loggers
from stafett.watch.shipment import Shipment, shipments


class Travel:
    """The shipments that this process knows, and their loggers. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any], loggers: Loggers) -> None:
        self._pool, self._loggers = pool, loggers
        self.shipments: dict[str, Shipment] = {}
        self._of_journey: dict[str, list[str]] = {}
        self._with: dict[Id, set[str]] = {}
        self._ids: dict[str, tuple[Id, ...]] = {}

    def of(self, organisation: str) -> list[Shipment]:
        """Return the shipments of journeys that `organisation` takes part in, the latest first."""
        found = [s for s in self.shipments.values() if organisation in s.readers]
        return sorted(found, key=lambda s: (s.until is not None, -s.since.timestamp()))

    def under_way(self) -> set[str]:
        """Return the names of the shipments that have not arrived."""
        return {s.id for s in self.shipments.values() if s.until is None}

    def with_logger(self, id: Id) -> set[str]:
        """Return the names of the shipments that a logger travels or travelled with."""
        return self._with.get(id, set())

    def knows(self, journey: str) -> bool:
        """Say whether this process has read a journey's shipments."""
        return journey in self._of_journey

    def audience(self, id: Id) -> frozenset[str]:
        """Return who takes part in the journeys that a logger is travelling for now."""
        found: set[str] = set()
        for name in self.with_logger(id):
            shipment = self.shipments.get(name)
            if shipment is not None and shipment.until is None:
                found |= shipment.readers
        return frozenset(found)

    async def take_in(self, live: Live) -> set[str]:
        """Read a journey's shipments; return the names of those that are new or changed."""
        found = {s.id: s for s in shipments(live.net, live.state)}
        self._of_journey[live.state.journey] = list(found)
        return await self._bind_all(
            one
            for id, one in found.items()
            if not (self.shipments.get(id) == one and self._ids.get(id))
        )

    async def rebind(self) -> set[str]:
        """Look again at shipments without a logger that is known: one has been registered."""
        return await self._bind_all(
            one
            for one in list(self.shipments.values())
            if one.until is None and not self._ids.get(one.id)
        )

    async def _bind_all(self, changed: Iterable[Shipment]) -> set[str]:
        names = set()
        for shipment in changed:
            self.shipments[shipment.id] = shipment
            await self._bind(shipment)
            names.add(shipment.id)
        return names

    async def loggers(self, shipment: Shipment) -> tuple[Id, ...]:
        """Return the loggers that a shipment's number may mean: none, one, or a doubt."""
        if shipment.id not in self._ids:
            await self._bind(shipment)
        return self._ids[shipment.id]

    async def _bind(self, shipment: Shipment) -> None:
        ids: list[Id] = []
        if shipment.logger is not None:
            ids = await self._loggers.owners(shipment.logger, shipment.readers)
        for id in self._ids.get(shipment.id, ()):
            self._with.get(id, set()).discard(shipment.id)
        self._ids[shipment.id] = tuple(ids)
        for id in ids:
            self._with.setdefault(id, set()).add(shipment.id)
        async with self._pool.connection() as connection:
            await connection.execute(
                "DELETE FROM watch.travel WHERE journey = %s AND lot = %s"
                " AND NOT (organisation || '.' || number = ANY (%s))",
                (shipment.journey, shipment.lot, [id.user for id in ids]),
            )
            for id in ids:
                await connection.execute(
                    "INSERT INTO watch.travel VALUES (%s, %s, %s, %s, %s, %s, %s)"
                    " ON CONFLICT (journey, lot, organisation, number) DO UPDATE SET"
                    " since = EXCLUDED.since, until = EXCLUDED.until, readers = EXCLUDED.readers",
                    (*id, shipment.journey, shipment.lot, shipment.since, shipment.until,
                     sorted(shipment.readers)),
                )  # fmt: skip

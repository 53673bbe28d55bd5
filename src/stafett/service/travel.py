"""Which logger travels with which shipment, or stands where a lot stands: read from the record.

It is written down for the database: the table `watch.travel` is what row-level security reads:
whose readings a party of a journey may see. It is made from the record, and from where loggers are
fixed, and can be made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any

from psycopg_pool import AsyncConnectionPool

from stafett.service.live import Live
from stafett.service.loggers import Id, Loggers
from stafett.service.stands import Stands
from stafett.service.todo import Todo
from stafett.watch.shipment import Shipment, shipments
from stafett.watch.stay import Stand, Stay, Unheard, in_places, stays, unheard


class Travel:
    """The shipments that this process knows, and their loggers. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any], loggers: Loggers, stands: Stands) -> None:
        self._pool, self._loggers, self._stands = pool, loggers, stands
        self._fixed: tuple[Stand, ...] | None = None
        self._stays: dict[str, list[Stay]] = {}
        self.shipments: dict[str, Shipment] = {}
        self._of_journey: dict[str, list[str]] = {}
        self._with: dict[Id, set[str]] = {}
        self._ids: dict[str, tuple[Id, ...]] = {}
        # A journey that is read and a logger that is fixed come at once; what one has half
        # replaced, the other must not read.
        self._turn = asyncio.Lock()
        self._misplaced = Todo("could not place the loggers of")  # journeys
        self._unbound = Todo("could not look for the logger of")  # shipments
        self.todos = (self._misplaced, self._unbound)
        self._news: set[str] = set()  # shipments new or changed that nobody was told of yet

    def of(self, organisation: str) -> list[Shipment]:
        """Return the shipments of journeys that `organisation` takes part in, the latest first."""
        found = [s for s in self.shipments.values() if organisation in s.readers]
        return sorted(found, key=lambda s: (s.until is not None, -s.since.timestamp()))

    def unheard(self, organisation: str) -> list[Unheard]:
        """Return the lots that stand where no logger is fixed, in the order of their stores."""
        found = [
            one
            for those in self._stays.values()
            for stay in those
            if organisation in stay.readers and (one := unheard(stay, self._fixed or ()))
        ]
        return sorted(found, key=lambda one: (one.organisation, one.role, one.since))

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

    async def shipments_of(self, live: Live) -> list[Shipment]:
        """Return a journey's shipments, and what loggers of places tell of its lots."""
        fixed = await self._places()
        found = shipments(live.net, live.state)
        return found + [
            one for stay in stays(live.net, live.state) for one in in_places(stay, fixed)
        ]

    async def take_in(self, live: Live) -> set[str]:
        """Read a journey's shipments; return the names of those that are new or changed."""
        journey = live.state.journey
        async with self._turn:
            self._stays[journey] = stays(live.net, live.state)
            await self._replace(journey, await self.shipments_of(live))
            return self._told()

    async def rebind(self) -> set[str]:
        """Look again at shipments whose number may mean others: a logger has been registered."""
        async with self._turn:
            under_way = [
                one
                for one in self.shipments.values()
                if one.until is None and one.fixed is None and one.logger is not None
            ]
            owners: dict[str, set[Id]] = {}
            for id in await self._loggers.with_numbers({str(one.logger) for one in under_way}):
                owners.setdefault(id.number, set()).add(id)
            self._unbound.add(
                one.id
                for one in under_way
                if not self._ids.get(one.id)
                or set(self._ids[one.id])
                != {id for id in owners.get(str(one.logger), ()) if id.organisation in one.readers}
            )
            await self._look_at_places()
            return self._told()

    async def _look_for_logger(self, name: str) -> None:
        if (shipment := self.shipments.get(name)) is not None:
            await self._bind_all([shipment])

    async def look_at_places(self) -> set[str]:
        """Read where loggers are fixed; return the names of what is new or changed by that."""
        async with self._turn:
            await self._look_at_places()
            return self._told()

    def _told(self) -> set[str]:
        """Return what nobody was told of yet: also of a time that failed in the middle."""
        news, self._news = self._news, set()
        return news

    async def _look_at_places(self) -> None:
        fixed = await self._stands.all()
        if fixed != self._fixed:
            self._fixed = fixed
            self._misplaced.add(self._stays)
        await self._misplaced.work_off(self._place)
        await self._unbound.work_off(self._look_for_logger)

    async def _place(self, journey: str) -> None:
        """Look again which loggers of places stand where a journey's lots do."""
        of_journey = self._of_journey.get(journey, ())
        known = [self.shipments[name] for name in of_journey if name in self.shipments]
        on_the_way = [one for one in known if one.fixed is None]
        there = [
            one
            for stay in self._stays.get(journey, ())
            for one in in_places(stay, self._fixed or ())
        ]
        await self._replace(journey, [*on_the_way, *there])

    async def _places(self) -> tuple[Stand, ...]:
        if self._fixed is None:
            self._fixed = await self._stands.all()
        return self._fixed

    async def _replace(self, journey: str, those: list[Shipment]) -> None:
        """Keep these as the journey's shipments; the new and the changed are news."""
        found = {one.id: one for one in those}
        for name in set(self._of_journey.get(journey, ())) - found.keys():
            await self._forget(name)
        await self._bind_all(
            one
            for id, one in found.items()
            if not (self.shipments.get(id) == one and self._ids.get(id))
        )
        self._of_journey[journey] = list(found)

    async def _forget(self, name: str) -> None:
        """Drop a stay that is none any more: its loggers turned out to stand elsewhere."""
        gone = self.shipments.get(name)
        if gone is None:
            return  # it was dropped by a time that failed after it
        async with self._pool.connection() as connection:
            await connection.execute(
                "DELETE FROM watch.travel WHERE journey = %s AND lot = %s", (gone.journey, gone.lot)
            )
        # Only once nobody may read its loggers for it any more.
        self.shipments.pop(name, None)
        for id in self._ids.pop(name, ()):
            self._with.get(id, set()).discard(name)

    async def _bind_all(self, changed: Iterable[Shipment]) -> None:
        for shipment in changed:
            await self._bind(shipment)
            self.shipments[shipment.id] = shipment
            self._news.add(shipment.id)

    async def loggers(self, shipment: Shipment) -> tuple[Id, ...]:
        """Return the loggers that a shipment's number may mean: none, one, or a doubt."""
        if shipment.id not in self._ids:
            async with self._turn:
                if shipment.id not in self._ids:
                    await self._bind(shipment)
        return self._ids[shipment.id]

    async def _bind(self, shipment: Shipment) -> None:
        ids = [Id(*one) for one in shipment.fixed or ()]
        if shipment.fixed is None and shipment.logger is not None:
            ids = await self._loggers.owners(shipment.logger, shipment.readers)
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
        # Only once it is written: what could not be written is tried again.
        for id in self._ids.get(shipment.id, ()):
            self._with.get(id, set()).discard(shipment.id)
        self._ids[shipment.id] = tuple(ids)
        for id in ids:
            self._with.setdefault(id, set()).add(shipment.id)

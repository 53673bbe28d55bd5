"""What travels with what is read from the record while loggers are being fixed to places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.service.live import Live
from stafett.service.loggers import Id
from stafett.service.travel import Travel
from stafett.watch.shipment import shipments
from stafett.watch.stay import Stand, stays

pytestmark = pytest.mark.anyio


class Loggers:
    """Whose loggers there are; the database may be slow, and away `failing` times."""

    failing = 0

    async def owners(self, number: str, readers: Collection[str]) -> list[Id]:
        """Return the one logger of that number."""
        await asyncio.sleep(0.05)
        if self.failing:
            self.failing -= 1
            raise psycopg.OperationalError("the connection is lost")
        return [Id("courier", number)]


class Stands:
    """Where loggers are fixed: as a test says."""

    def __init__(self) -> None:
        self.every: tuple[Stand, ...] = ()

    async def all(self) -> tuple[Stand, ...]:
        """Return them."""
        return self.every


@pytest.fixture
async def pool(database: str) -> AsyncIterator[AsyncConnectionPool[Any]]:
    """Give a few connections of a database of the test's own."""
    async with AsyncConnectionPool(database, min_size=1, max_size=4) as pool:
        yield pool


@pytest.fixture
def live(states: tuple[Net, list[State]]) -> Live:
    """Return a journey whose shipment had a logger, and whose product stood in stores."""
    net, found = states
    return Live(net, found[-1], "p", "x")


def tank(live: Live) -> Stand:
    """Return a logger that stands in a store of that journey since before it began."""
    spell = stays(live.net, live.state)[0].spell
    return Stand(1, spell.organisation, "T-1", spell.role, "Tank 1", spell.since)


async def written(pool: AsyncConnectionPool[Any]) -> set[tuple[str, str]]:
    """Return which lots travel with which loggers, by the table that row-level security reads."""
    async with pool.connection() as connection:
        found = await connection.execute("SELECT lot, number FROM watch.travel")
        return set(await found.fetchall())


async def test_a_logger_is_fixed_while_a_journey_is_being_read(
    pool: AsyncConnectionPool[Any], live: Live
) -> None:
    """Neither stumbles over what the other has half done, and both are in what is kept."""
    stands = Stands()
    travel = Travel(pool, Loggers(), stands)  # type: ignore[arg-type]
    await travel.rebind()
    stands.every = (tank(live),)
    await asyncio.gather(travel.take_in(live), travel.rebind(), travel.look_at_places())
    moving = shipments(live.net, live.state)
    assert moving and {one.id for one in moving} < travel.shipments.keys()
    assert [s.logger for s in travel.shipments.values() if s.fixed] == ["T-1"]
    assert await written(pool) == {(s.lot, str(s.logger)) for s in travel.shipments.values()}


async def test_what_could_not_be_written_is_written_the_next_time(
    pool: AsyncConnectionPool[Any], live: Live
) -> None:
    """A lost connection leaves nothing half known: the same journey read again is read whole."""
    loggers = Loggers()
    travel = Travel(pool, loggers, Stands())  # type: ignore[arg-type]
    loggers.failing = 1
    with pytest.raises(psycopg.OperationalError):
        await travel.take_in(live)
    assert await travel.take_in(live) == {one.id for one in shipments(live.net, live.state)}
    assert await travel.take_in(live) == set()
    assert await written(pool) == {(s.lot, str(s.logger)) for s in travel.shipments.values()}

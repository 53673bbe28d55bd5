"""What travels with what is read from the record while loggers are being fixed to places."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from typing import Any

import psycopg
import pytest
from psycopg_pool import AsyncConnectionPool

from away_ import away
from stafett.journey.state import State
from stafett.protocol.net import Net
from stafett.service import todo
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

    async def with_numbers(self, numbers: Collection[str]) -> list[Id]:
        """Return the one logger of each number."""
        return [Id("courier", number) for number in numbers]


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


def reading(states: tuple[Net, list[State]]) -> tuple[Live, Live]:
    """Return a journey while its shipment is on the way, and after it has arrived."""
    net, found = states
    for n, state in enumerate(found):
        under_way = [s for s in shipments(net, state) if s.until is None and s.logger]
        if under_way:
            later = (s for s in found[n:] if s.journey == state.journey)
            names = {one.id for one in under_way}
            for after in later:
                arrived = [s for s in shipments(net, after) if s.id in names and s.until]
                if arrived:
                    return Live(net, state, "p", "x"), Live(net, after, "p", "x")
    raise AssertionError("no shipment of these arrives")


async def until_written(pool: AsyncConnectionPool[Any]) -> dict[str, Any]:
    """Return until when each lot travels, by the table that row-level security reads."""
    async with pool.connection() as connection:
        found = await connection.execute("SELECT lot, until FROM watch.travel")
        return dict(await found.fetchall())


async def test_an_arrival_that_could_not_be_written_is_written_the_next_time(
    pool: AsyncConnectionPool[Any], states: tuple[Net, list[State]]
) -> None:
    """A shipment that is known already counts as new until its change is written down."""
    before, after = reading(states)
    loggers = Loggers()
    travel = Travel(pool, loggers, Stands())  # type: ignore[arg-type]
    await travel.take_in(before)
    loggers.failing = 1
    with pytest.raises(psycopg.OperationalError):
        await travel.take_in(after)
    assert await travel.take_in(after)
    arrived = {s.lot: s.until for s in shipments(after.net, after.state) if s.until and s.logger}
    assert arrived and arrived.items() <= (await until_written(pool)).items()


async def test_a_stay_that_could_not_be_taken_away_is_taken_away_the_next_time(
    database: str, pool: AsyncConnectionPool[Any], live: Live
) -> None:
    """Until the table is told, a party could still read that logger; the next look tells it."""
    stands = Stands()
    travel = Travel(pool, Loggers(), stands)  # type: ignore[arg-type]
    await travel.take_in(live)
    stands.every = (tank(live),)
    placed = await travel.look_at_places()
    assert placed and "T-1" in {number for _, number in await written(pool)}
    stands.every = ()
    pool.timeout = 0.2
    with away(database):
        await travel.look_at_places()
    pool.timeout = 20
    await asyncio.sleep(todo.AGAIN_S)
    await travel.look_at_places()
    assert "T-1" not in {number for _, number in await written(pool)}
    assert not placed & travel.shipments.keys()


async def test_one_journey_that_cannot_be_placed_keeps_none_waiting(
    pool: AsyncConnectionPool[Any],
    live: Live,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where loggers stand is looked at journey by journey; the strange one is tried again."""
    stands = Stands()
    travel = Travel(pool, Loggers(), stands)  # type: ignore[arg-type]
    await travel.take_in(live)
    travel._stays = {"strange": [], **travel._stays}
    replace = travel._replace

    async def fails(journey: str, those: list[Any]) -> None:
        if journey == "strange":
            raise ValueError("nobody thought of this one")
        await replace(journey, those)

    monkeypatch.setattr(travel, "_replace", fails)
    stands.every = (tank(live),)
    assert await travel.look_at_places()
    assert "T-1" in {number for _, number in await written(pool)}


async def test_one_shipment_whose_logger_cannot_be_looked_for_keeps_none_waiting(
    pool: AsyncConnectionPool[Any], live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A logger was registered: it is found for all that travel, but for the strange one."""
    travel = Travel(pool, Loggers(), Stands())  # type: ignore[arg-type]
    await travel.take_in(live)
    under_way = [s._replace(until=None) for s in travel.shipments.values() if s.fixed is None]
    strange = under_way[0]._replace(lot="strange")
    travel.shipments = {one.id: one for one in (strange, *under_way)}
    travel._ids.clear()
    bind = travel._bind

    async def fails(shipment: Any) -> None:
        if shipment.lot == "strange":
            raise ValueError("nobody thought of this one")
        await bind(shipment)

    monkeypatch.setattr(travel, "_bind", fails)
    assert await travel.rebind() == {one.id for one in under_way}
    assert any(todo.trouble is not None for todo in travel.todos)

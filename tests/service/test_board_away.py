"""The board when the database is away, and when one of those whom it tells has a fault."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psycopg
import pytest

from away_ import away
from board_carrier import submissions
from stafett.service.board import Board
from stafett.service.tower import Tower

pytestmark = pytest.mark.anyio


@pytest.fixture
async def tower(database: str, tmp_path: Path) -> AsyncIterator[Tower]:
    """Run a tower that does not wait long for a database that is away."""
    tower = Tower(database, tmp_path, cheap_hashing=True)
    tower.ledger.pool.timeout = 0.3
    async with tower:
        await tower.board.ready.wait()
        yield tower


async def until(holds: Callable[[], bool], limit_s: float = 20.0) -> None:
    """Wait until something holds."""
    async with asyncio.timeout(limit_s):
        while not holds():
            await asyncio.sleep(0.02)


async def test_it_goes_on_after_the_database_was_away_for_longer_than_anybody_waits(
    tower: Tower,
) -> None:
    """What is recorded afterwards is on the board; meanwhile it says what it fails of."""
    first, second = list(submissions(tower, "J-1", 1))[:2]
    await tower.ledger.append(first)
    await until(lambda: tower.board.position == tower.ledger.known_size())
    follows = tower.board.tended[0]
    with away(tower.url):
        await until(lambda: follows.trouble is not None)
    receipt = await tower.ledger.append(second)
    await until(lambda: tower.board.position >= receipt.positions[-1])
    assert tower.board.rows["J-1"].position >= receipt.positions[-1]


async def test_a_journey_that_cannot_be_read_for_a_moment_is_not_left_as_it_was(
    tower: Tower,
) -> None:
    """The events are taken in again when the record can be read; none is passed over."""
    for submission in list(submissions(tower, "J-1", 1))[:2]:
        await tower.ledger.append(submission)
    events = await tower.ledger.stream("J-1")
    board = Board(tower.ledger, tower.journeys)
    tower.journeys.forget()
    with away(tower.url), pytest.raises(psycopg.OperationalError):
        await board.apply(events[3:])
    assert board.position == 0 and not board.broken
    tower.ledger.pool.timeout = 20
    await board.apply(events[3:])
    assert board.rows["J-1"].position == board.position == events[-1].position


async def test_a_listener_with_a_fault_keeps_the_news_from_nobody_else(tower: Tower) -> None:
    """The board goes on, and those after it are told."""
    told: list[str] = []

    def fails(wakes: object) -> None:
        raise ValueError("a fault of this listener")

    tower.board.listeners[:0] = [fails, lambda wakes: told.extend(wakes)]
    await tower.ledger.append(next(submissions(tower, "J-1", 1)))
    await until(lambda: "J-1" in told)
    assert tower.board.tended[0].trouble is None

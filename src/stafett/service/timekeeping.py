"""Whether the clocks that the record rests on are right, by the clocks of those who look at it.

Two clocks give the record its times: this process's and the database's. Each is held against the
witnesses, whose cosignatures carry the signed time of an independent machine, and, where the
database is on another machine, against each other. `skew` says what that proves. An answer is
good for `FRESH_S`; that our own clock is set meanwhile is seen at once, by the clock that only
counts.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any, Final, Literal, NamedTuple

import msgspec
import psycopg
from psycopg_pool import AsyncConnectionPool

from stafett.ledger.skew import BLOCK_S, Bounds, Verdict, bounds, judge
from stafett.ledger.tending import Tended
from stafett.service.refusal import No, Reason

log = logging.getLogger(__name__)

FRESH_S: Final = 300.0
EVERY_S: Final = 15.0
DATABASE: Final = "database"
HERE: Final = frozenset({"", "localhost", "127.0.0.1", "::1"})

Whose = Literal["server", "database"]


class Clock(msgspec.Struct, frozen=True):
    """What is known of one of our clocks.

    `ahead_s` is by how many seconds it is at least ahead of the others (negative: behind), 0 where
    nothing shows that it is not right. `others` counts the clocks that it was held against.
    """

    of: Whose
    state: Verdict
    ahead_s: float
    others: int
    blocks: bool = False


class _Sight(NamedTuple):
    found: Bounds
    at: float  # by the clock that only counts
    apart: float  # our clock's time less that


class Timekeeping:
    """Keeps what others' clocks said. `now` is the clock that is judged (POSIX seconds)."""

    def __init__(
        self, pool: AsyncConnectionPool[Any], now: Callable[[], float] = time.time
    ) -> None:
        self._pool, self._now = pool, now
        self._sights: dict[str, _Sight] = {}
        self._said: dict[Whose, Clock] = {}
        self.tended = (Tended("clocks", self._run),)

    def told(self, party: str, sent: float, told: float, got: float, grain: float = 1.0) -> None:
        """Take note of one answer: asked at `sent`, answered by `got`, its own time `told`."""
        found = bounds(sent, told, got, grain)
        if found is not None:
            counted = time.monotonic()
            self._sights[party] = _Sight(found, counted, got - counted)

    def clocks(self) -> tuple[Clock, ...]:
        """Return what is known now of each of our clocks; what changed is in the log."""
        fresh = self._fresh()
        database = fresh.pop(DATABASE, None)
        others = list(fresh.values())
        found = [self._judged("server", [*others, *([database] if database else [])])]
        if database is not None:
            server = Bounds(-database.most, -database.least)
            found.append(
                self._judged("database", [*(one.minus(database) for one in others), server])
            )
        return tuple(found)

    def wrong(self) -> tuple[Clock, ...]:
        """Return the clocks that people must be told of."""
        return tuple(one for one in self.clocks() if one.state in ("out", "unsure"))

    def hold(self) -> None:
        """Raise No where a clock is so wrong that nothing may be certified or given by it."""
        for one in self.clocks():
            if one.blocks:
                todo = "have it set right; then sign again"
                raise No("clock-wrong", "A clock is wrong", Reason("clock", _way(one), todo))

    def _fresh(self) -> dict[str, Bounds]:
        counted = time.monotonic()
        apart = self._now() - counted
        return {
            party: sight.found.shifted(apart - sight.apart)
            for party, sight in self._sights.items()
            if counted - sight.at <= FRESH_S
        }

    def _judged(self, of: Whose, others: list[Bounds]) -> Clock:
        before = self._said.get(of)
        was = before is not None and before.state == "out"
        state, ahead = judge(others, was_out=was)
        blocks = state == "out" and abs(ahead) >= BLOCK_S
        found = Clock(of, state, round(ahead, 1), len(others), blocks)
        if before is None or before.state != state:
            _log(found, mended=was)
        self._said[of] = found
        return found

    async def _run(self) -> None:
        while True:
            try:
                await self._ask_database()
            except psycopg.Error as error:  # whoever needs it says that it is away
                log.debug("the database does not tell its time: %s", error)
            self.clocks()
            await asyncio.sleep(EVERY_S)

    async def _ask_database(self) -> None:
        async with self._pool.connection() as connection:
            if connection.info.host.startswith(("/", "@")) or connection.info.host in HERE:
                return  # one machine, one clock
            sent = self._now()
            row = await (
                await connection.execute("SELECT extract(epoch FROM clock_timestamp())::float8")
            ).fetchone()
            got = self._now()
        self.told(DATABASE, sent, row[0], got, 0.0)


def _way(one: Clock) -> str:
    off = f"{abs(one.ahead_s):.0f}"
    if one.of == "server" and one.ahead_s > 0:
        return f"the clock of the server is {off} s ahead"
    if one.of == "server":
        return f"the clock of the server is {off} s behind"
    if one.ahead_s > 0:
        return f"the clock of the database is {off} s ahead"
    return f"the clock of the database is {off} s behind"


def _log(found: Clock, *, mended: bool) -> None:
    way = f"{abs(found.ahead_s):.1f} s {'ahead' if found.ahead_s > 0 else 'behind'}"
    if found.state == "out":
        log.error("the clock of the %s is %s, by %d others", found.of, way, found.others)
    elif found.state == "unsure":
        log.warning("the clock of the %s or of another is wrong: %s of one", found.of, way)
    elif mended:
        log.warning("the clock of the %s is right again", found.of)

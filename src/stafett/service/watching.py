"""The watch: what is late or silent becomes a deviation at the moment it is knowable.

A heap of moments, rebuilt from the record at start and refreshed by every event that the board
follows. When a moment has come, the limit is looked at again in the journey's present state, and
raised through the ledger under a key that every process would make alike: however many processes
watch, and however often they restart, each limit fires once.
"""

from __future__ import annotations

import asyncio
import hashlib
import heapq
from datetime import UTC, datetime, timedelta

from stafett.journey.command import (
    WATCH,
    Actor,
    Command,
    RaiseDeviation,
    ReportExpired,
    ReportSilence,
)
from stafett.journey.silence import Silence, silences
from stafett.ledger.tending import Tended, end_all
from stafett.service.board import Board
from stafett.service.journeys import Journeys
from stafett.service.live import Live
from stafett.service.todo import Todo
from stafett.watch.limits import Limit, passed

# The wall clock is read at least this often, so that a jump of it is noticed.
LOOK_S = 0.5
# What could not be raised now is looked at again after this long.
AGAIN = timedelta(seconds=2)


class Watch:
    """The timers of every journey. One instance per process."""

    def __init__(self, board: Board, journeys: Journeys) -> None:
        self._board, self._journeys = board, journeys
        self._heap: list[tuple[datetime, str]] = []
        self._fired: set[str] = set()
        self._todo = Todo("the watch could not look at")
        self.todos = (self._todo,)
        self.tended = (Tended("the watch", self._run, vital=True),)
        self.raised = 0
        board.listeners.append(self._heard)

    async def start(self) -> None:
        """Begin to watch; what the board reads sets the timers."""
        for one in self.tended:
            one.start()

    async def close(self) -> None:
        """Stop watching."""
        await end_all(*self.tended)

    def _heard(self, wakes: dict[str, datetime | None]) -> None:
        for journey, at in wakes.items():
            if at is not None:
                heapq.heappush(self._heap, (at, journey))

    async def _run(self) -> None:
        await self._board.ready.wait()
        while True:
            now = datetime.now(UTC)
            while self._heap and self._heap[0][0] <= now:
                self._todo.add([heapq.heappop(self._heap)[1]])
            await self._todo.work_off(self._look)
            wait = LOOK_S
            if self._heap:
                wait = min(wait, max((self._heap[0][0] - now).total_seconds(), 0.005))
            await asyncio.sleep(wait)

    async def _look(self, journey: str) -> None:
        now = datetime.now(UTC)
        live = await self._journeys.live(journey)
        if live is None:
            return
        for limit in passed(live.net, live.state, now):
            await self._raise(journey, limit.key, _command(live, limit, now), now)
        # What has just become late is silent no longer: it is looked at afresh.
        live = await self._journeys.live(journey) or live
        for one in silences(live.net, live.state):
            if one.at <= now:
                await self._raise(journey, one.key, _silent(live, one, now), now)
        fresh = await self._journeys.live(journey)
        if fresh is not None:
            moments = [*(x.at for x in fresh.limits), *(x.at for x in fresh.silences)]
            later = [at for at in moments if at > now]
            if later:
                heapq.heappush(self._heap, (min(later), journey))

    async def _raise(self, journey: str, name: str, command: Command, now: datetime) -> None:
        # Long names make long keys; the digest keeps two that differ at their end apart.
        key = f"watch.{hashlib.sha256(f'{journey}.{name}'.encode()).hexdigest()}"
        if key in self._fired:
            return
        done = await self._journeys.watch(journey, command, key)
        if done is None:
            # Not now (it is no longer so, or others were quicker): look again, hide nothing.
            heapq.heappush(self._heap, (now + AGAIN, journey))
            return
        self._fired.add(key)
        if not done.replayed:
            self.raised += 1


def _by(live: Live) -> Actor:
    return Actor(person=WATCH, organisation=live.state.owner.organisation, role=WATCH)


def _silent(live: Live, one: Silence, now: datetime) -> Command:
    task = one.task
    return ReportSilence(
        occurred_at=now,
        recorded_at=now,
        by=_by(live),
        activity=task.activity,
        side=task.side,
        about=task.about,
    )


def _command(live: Live, limit: Limit, now: datetime) -> Command:
    by = _by(live)
    if limit.kind == "expired":
        return ReportExpired(occurred_at=now, recorded_at=now, by=by, material=limit.subject)
    return RaiseDeviation(
        occurred_at=now,
        recorded_at=now,
        by=by,
        code=limit.code,
        about=limit.subject,
        note=limit.why,
        detected=limit.subject,
        originated=limit.originated,
    )

"""Telling people: from the record to alerts, at the moment each rung is due, once.

Every process watches every journey that its board follows. When an event or a clock changes what
somebody should be told, the ladder of each cause is held against the alerts that are there; what is
missing is called in one transaction whose keys every process makes alike. What the processes know
of alerts they read from the alerts' own log, so that all of them show the same.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any, Final

import psycopg

from stafett.ledger.tending import Tended, end_all
from stafett.service.accounts import Person
from stafett.service.alerts import CHANNEL, Alert, Alerts, Wanted
from stafett.service.board import Board, Wakes
from stafett.service.journeys import Journeys
from stafett.service.live import Live
from stafett.service.rosters import Rosters
from stafett.service.todo import Todo
from stafett.watch import ladder, roster

LOOK_S: Final = 0.5  # the wall clock is read at least this often, so that a jump is noticed
AGAIN_S: Final = 2.0  # before a look that failed is made again
DUTY_S: Final = 5.0  # how often shifts are looked at


class Alerting:
    """The loops that call, tell and follow. One instance per process."""

    def __init__(
        self, url: str, board: Board, journeys: Journeys, alerts: Alerts, rosters: Rosters
    ) -> None:
        self._url, self._board, self._journeys = url, board, journeys
        self._alerts, self._rosters = alerts, rosters
        self._heap: list[tuple[datetime, str]] = []
        self._todo = Todo("alerts: could not look at", AGAIN_S)
        self._shifts = Todo("alerts: could not look who is on duty for")  # alerts, by number
        self.todos = (self._todo, self._shifts)
        self._work = asyncio.Event()
        self._open: dict[int, Alert] = {}
        self._by_journey: dict[str, set[int]] = {}
        self._waiting: set[asyncio.Event] = set()
        self.tended = (
            Tended("alerts: calling", self._call, vital=True),
            Tended("alerts: telling", self._tell, vital=True),
            Tended("alerts: following", self._follow, vital=True),
        )
        self.position = 0
        self.called = 0
        board.listeners.append(self._heard)

    async def start(self) -> None:
        """Begin; what the board has read and reads is looked at."""
        for one in self.tended:
            one.start()

    async def close(self) -> None:
        """Stop."""
        await end_all(*self.tended)

    # -- calling -------------------------------------------------------------------------------

    def _heard(self, wakes: Wakes) -> None:
        self._todo.add(wakes)
        self._work.set()

    async def _call(self) -> None:
        await self._board.ready.wait()
        # An ended journey calls somebody only while a deviation of it is open.
        # (One that has an open alert is looked at too, when that is read.)
        self._todo.add(
            row.journey
            for row in self._board.rows.values()
            if row.status != "ended" or row.deviations
        )
        while True:
            self._work.clear()
            now = datetime.now(UTC)
            while self._heap and self._heap[0][0] <= now:
                self._todo.add([heapq.heappop(self._heap)[1]])
            await self._todo.work_off(self._look)
            wait = LOOK_S
            if self._heap:
                left = (self._heap[0][0] - datetime.now(UTC)).total_seconds()
                wait = min(wait, max(left, 0.005))
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._work.wait(), wait)

    async def _look(self, journey: str) -> None:
        now = datetime.now(UTC)
        live = await self._journeys.live(journey)
        if live is None:
            return
        causes = ladder.causes(live.net, live.state, now, live.tasks, live.limits)
        found = {cause.key: cause for cause in causes}
        due = [(c, call) for c in found.values() for call in c.calls if call.at <= now]
        if due or self._by_journey.get(journey):
            await self._bring(live, found, due, now)
        then = ladder.next_call(live.state, now, causes, live.limits)
        if then is not None:
            heapq.heappush(self._heap, (then, journey))

    async def _bring(
        self,
        live: Live,
        found: dict[str, ladder.Cause],
        due: list[tuple[ladder.Cause, ladder.Call]],
        now: datetime,
    ) -> None:
        """Bring the alerts of one journey to what its record and the clock say."""
        journey, version = live.state.journey, live.state.position
        there = await self._alerts.of_journey(journey)
        called = {(a.cause, a.rung, a.organisation, a.role) for a in there}
        taken = {a.cause for a in there if a.acknowledged is not None}
        wanted = []
        for cause, call in self._ripe(journey, due, there, now):
            if (cause.key, call.rung, call.organisation, call.role) in called:
                continue
            if cause.key in taken:
                continue  # somebody has it: the ladder stops until it is worse, a cause of its own
            shifts = await self._rosters.shifts(call.organisation, call.role)
            if call.deputy and not any(shift.deputy for shift in shifts):
                continue  # nobody stands behind them; the next rung is somebody else
            critical = cause.urgency == "critical"
            told = roster.delivery(shifts, now, critical=critical, deputy=call.deputy)
            wanted.append(Wanted(cause, call, told))
        over = [a.id for a in there if a.ended is None and a.cause not in found]
        again = [
            a.id
            for a in there
            if a.ended is not None and a.acknowledged is None and a.cause in found
        ]
        if wanted or over or again:
            new = await self._alerts.call(journey, version, wanted, over, again, now)
            self.called += len(new)

    def _ripe(
        self,
        journey: str,
        due: list[tuple[ladder.Cause, ladder.Call]],
        there: list[Alert],
        now: datetime,
    ) -> list[tuple[ladder.Cause, ladder.Call]]:
        """Return the calls whose turn has come.

        An acknowledgement clock runs from when the first rung was told, not from when the thing
        happened: what is recorded late, or held over quiet hours, climbs no faster for it.
        """
        begun = {alert.cause for alert in there}
        found = []
        for cause, call in due:
            lowest = cause.calls[0]
            if cause.key not in begun:
                if call.rung == lowest.rung:
                    found.append((cause, call))
                else:
                    heapq.heappush(self._heap, (now + (call.at - lowest.at), journey))
                continue
            told = [a for a in there if a.cause == cause.key and a.rung < call.rung]
            if not told:
                found.append((cause, call))
                continue
            before = max(told, key=lambda a: a.rung)
            turn = before.tell_at + (call.at - before.due)
            if turn <= now:
                found.append((cause, call))
            else:
                heapq.heappush(self._heap, (turn, journey))
        return found

    # -- telling -------------------------------------------------------------------------------

    async def _tell(self) -> None:
        last = datetime.now(UTC)
        while True:
            await asyncio.sleep(LOOK_S)
            await self._alerts.tell_due()
            now = datetime.now(UTC)
            if abs((now - last).total_seconds()) >= DUTY_S:
                await self._alerts.release_gone()
                await self._change_shifts(now)
                last = now

    async def _change_shifts(self, now: datetime) -> None:
        """What was told to people who have left and was not acknowledged goes to who came."""
        self._shifts.add(str(n) for n in self._open if str(n) not in self._shifts.failing)

        async def look(number: str) -> None:
            alert = self._open.get(int(number))
            if alert is None or alert.acknowledged is not None or alert.told is None:
                return
            shifts = await self._rosters.shifts(alert.organisation, alert.role)
            told = roster.delivery(
                shifts, now, critical=alert.urgency == "critical", deputy=alert.deputy
            )
            if alert.people and told.people and not set(told.people) & set(alert.people):
                await self._alerts.pass_on(alert, told.people, now)

        await self._shifts.work_off(look)

    # -- following -----------------------------------------------------------------------------

    async def _follow(self) -> None:
        async with await psycopg.AsyncConnection.connect(self._url, autocommit=True) as ears:
            await ears.execute(f"LISTEN {CHANNEL}".encode())
            position, there = await self._alerts.size(), await self._alerts.open()
            # In one go: whoever looks in between must not see that there are none.
            self.position = position
            self._open.clear()
            self._by_journey.clear()
            self._take(there)
            while True:
                await self._catch_up()
                async for _ in ears.notifies(timeout=1.0, stop_after=1):
                    pass

    async def _catch_up(self) -> None:
        while happened := await self._alerts.happened(self.position):
            self.position = happened[-1].position
            self._take(await self._alerts.several({h.alert for h in happened}))

    def _take(self, alerts: list[Alert]) -> None:
        for alert in alerts:
            of_journey = self._by_journey.setdefault(alert.journey, set())
            if alert.ended is None:
                before = self._open.get(alert.id)
                if before is None or (before.holder and not alert.holder):
                    # Its cause may be over already, with nobody left who would say so; or who had
                    # taken it is gone, and its ladder goes on.
                    self._todo.add([alert.journey])
                    self._work.set()
                self._open[alert.id] = alert
                of_journey.add(alert.id)
            else:
                self._open.pop(alert.id, None)
                of_journey.discard(alert.id)
                if not of_journey:
                    del self._by_journey[alert.journey]
        for waiting in self._waiting:
            waiting.set()

    def mine(self, person: Person) -> list[Alert]:
        """Return the open alerts that `person` has been told of: the most urgent first."""
        found = [a for a in self._open.values() if a.told is not None and a.is_for(person)]
        return sorted(found, key=_rank)

    def waiting_for(self, person: Person) -> int:
        """Return how many of them nobody has acknowledged; those told together count once."""
        return sum(a.acknowledged is None and a.joined is None for a in self.mine(person))

    async def follow(self, person: Person, beat_s: float) -> AsyncIterator[list[Alert] | None]:
        """Yield the person's open alerts now and at every change; None when nothing changed."""
        waiting, last = asyncio.Event(), None
        self._waiting.add(waiting)
        try:
            while True:
                waiting.clear()
                mine = self.mine(person)
                if mine != last:
                    last = mine
                    yield mine
                try:
                    await asyncio.wait_for(waiting.wait(), beat_s)
                except TimeoutError:
                    yield None
        finally:
            self._waiting.discard(waiting)


_URGENCY: Final = {"critical": 0, "major": 1, "warning": 2, "minor": 3}


def _rank(alert: Alert) -> tuple[Any, ...]:
    return (alert.acknowledged is not None, _URGENCY[alert.urgency], alert.raised)

"""Which open journeys are likely to run late: looked at again whenever one moves, and as time goes.

Curves are learnt from the journeys of the same protocol, finished and open, of its other versions
too: an activity that is called the same is taken to be the same (an assumption), or each new
version would begin with nothing. They are a view like any other: thrown away with the process and
made again from the record.

Looking ahead is arithmetic in the process that also serves people, so it gets a share of the time
and no more: after each look it rests nine times as long. With thousands of open journeys a round
takes longer then, and an outlook is older; whoever opens a journey's page has it made at once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from datetime import UTC, datetime
from typing import Final

import anyio.to_thread

from stafett.ledger.tending import Tended, end_all
from stafett.service.accounts import Person
from stafett.service.board import Board
from stafett.service.journeys import Journeys
from stafett.service.live import Live
from stafett.watch import course, prediction
from stafett.watch.plan import Plan, plan_of
from stafett.watch.prediction import Deadline, Learnt, Outlook, Saving

log = logging.getLogger(__name__)
LOOK_S: Final = 5.0
FRESH_S: Final = 60.0  # how old an outlook may be, though nothing has happened
LEARN_S: Final = 300.0  # how often the curves are learnt again
REST: Final = 9.0  # how many times as long as it worked it rests: a tenth of one core, at most
MOST: Final = 2000  # journeys learnt from: the latest ones


class Forecasts:
    """The outlooks of the open journeys. One instance per process."""

    def __init__(self, board: Board, journeys: Journeys) -> None:
        self._board, self._journeys = board, journeys
        self._learnt: dict[tuple[str, str | None], tuple[float, Plan, Learnt]] = {}
        self._known: dict[str, tuple[int, float, Outlook]] = {}
        self.tended = (Tended("forecasts", self._run),)

    async def start(self) -> None:
        """Begin to look ahead."""
        for one in self.tended:
            one.start()

    async def close(self) -> None:
        """Stop."""
        await end_all(*self.tended)

    async def _run(self) -> None:
        await self._board.ready.wait()
        while True:
            for journey, row in list(self._board.rows.items()):
                if row.status == "ended":
                    self._known.pop(journey, None)
                    continue
                known = self._known.get(journey)
                old = known is None or time.monotonic() - known[1] > FRESH_S
                if not old and known is not None and known[0] == row.position:
                    continue
                began = time.monotonic()
                try:
                    live = await self._journeys.live(journey)
                    if live is not None:
                        await self.of(live)
                except Exception:
                    log.exception("forecasts: could not look at %s", journey)
                await asyncio.sleep(REST * (time.monotonic() - began))
            await asyncio.sleep(LOOK_S)

    async def of(self, live: Live) -> Outlook:
        """Return the outlook of one journey as it is now."""
        journey = live.state.journey
        row = self._board.rows.get(journey)  # now: what happens meanwhile is not in the outlook
        plan, learnt = await self._learn(live)
        at = course.progress(live.net, live.state, datetime.now(UTC))
        outlook = await anyio.to_thread.run_sync(prediction.look_ahead, plan, learnt, at)
        self._known[journey] = (row.position if row else 0, time.monotonic(), outlook)
        return outlook

    async def _learn(self, live: Live) -> tuple[Plan, Learnt]:
        key = (live.pinned, live.state.product)
        found = self._learnt.get(key)
        if found is None or time.monotonic() - found[0] > LEARN_S:
            plan, past = plan_of(live.net), []
            now = datetime.now(UTC)
            name = live.state.protocol
            same = [r for r in self._board.rows.values() if r.protocol.rpartition(" ")[0] == name]
            for row in sorted(same, key=lambda r: -r.position)[:MOST]:
                other = await self._journeys.live(row.journey)
                if other is not None:
                    past.append(course.progress(other.net, other.state, now))
            learnt = await anyio.to_thread.run_sync(prediction.learn, plan, past)
            found = self._learnt[key] = (time.monotonic(), plan, learnt)
        return found[1], found[2]

    def likely_late(self, person: Person) -> dict[str, Deadline]:
        """Return the journeys of the person's organisation that are more likely late than not."""
        found = {}
        for journey, (_, _, outlook) in self._known.items():
            row = self._board.rows.get(journey)
            if row is None or person.organisation not in row.parties or row.status == "ended":
                continue
            worst = prediction.likely_late(outlook)
            if worst is not None:
                found[journey] = worst
        return found

    async def savings(self, live: Live) -> tuple[Saving, ...]:
        """Return which interfaces to come would buy the journey time, the most first."""
        plan, learnt = await self._learn(live)
        at = course.progress(live.net, live.state, datetime.now(UTC))
        return await anyio.to_thread.run_sync(prediction.savings, plan, learnt, at)

    async def learnt(self, live: Live) -> Learnt:
        """Return what the journey's outlook rests on."""
        return (await self._learn(live))[1]

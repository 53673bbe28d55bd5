"""The conditions of every shipment: its readings judged as they come; an excursion is raised once.

A shipment is judged at once when a reading passes its limit, within a second when anything else has
come, and every half minute for what does *not* come. What an alarm becomes in the record is told by
`excursions`; which logger travels with what by `travel`; the readings come from `chunks`. What
becomes of the material is a person's decision.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

import numpy as np
from psycopg_pool import AsyncConnectionPool

from stafett.ledger import Event
from stafett.ledger.tending import Tended, end_all
from stafett.service import excursions
from stafett.service import intake as taking
from stafett.service.accounts import Person
from stafett.service.board import Board
from stafett.service.chunks import Chunks, Heard
from stafett.service.journeys import Journeys
from stafett.service.live import Live
from stafett.service.loggers import Id, Loggers, Told
from stafett.service.read_in import FilesRead
from stafett.service.refusal import unknown
from stafett.service.stands import Stands
from stafett.service.storing import KIND
from stafett.service.todo import Todo
from stafett.service.travel import Travel
from stafett.watch import judgement
from stafett.watch.breach import CHANNELS, OPEN
from stafett.watch.finding import ORDER, Finding
from stafett.watch.judgement import Judgement
from stafett.watch.rules import Rules
from stafett.watch.series import Series
from stafett.watch.shipment import Shipment, rules_of
from stafett.watch.stay import Unheard

LOOK_S: Final = 1.0  # shipments with something new
SILENCE_S: Final = 30.0  # all that travel: what does not come is seen too
KEPT: Final = 2000  # judgements in memory
AGAIN_S: Final = 2.0  # after a look that failed


class Seen(NamedTuple):
    """A shipment with what is known of its conditions now. `loggers`: none, one, or a doubt."""

    shipment: Shipment
    loggers: tuple[Id, ...]
    rules: Rules
    series: Series
    judgement: Judgement
    at: float


class Conditions:
    """The watch over conditions. One instance per process."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        board: Board,
        journeys: Journeys,
        loggers: Loggers,
        intake: taking.Intake,
        stands: Stands,
        files: FilesRead,
    ) -> None:
        self._board, self._journeys = board, journeys
        self._loggers = loggers
        self.profile = Rules()
        self._travel, self._chunks = Travel(pool, loggers, stands), Chunks(pool, files)
        self._files = files
        self._seen: dict[str, Seen] = {}
        self._changed = Todo("could not read the shipments of")  # journeys
        self._looks = Todo("could not judge the conditions of", AGAIN_S)  # shipments
        self._urgent = Todo("could not judge the conditions of", AGAIN_S)
        self.todos = (self._changed, self._looks, self._urgent, *self._travel.todos)
        self.tended = (
            Tended("conditions", self._run, vital=True),
            Tended("conditions, urgent", self._run_urgent, vital=True),
            Tended("conditions, silence", self._sweep, vital=True),
        )
        self._registered: tuple[int, ...] | None = None  # loggers, as of the last rebinding
        self._listening: set[asyncio.Queue[str]] = set()
        self._wake, self._hurry = asyncio.Event(), asyncio.Event()
        self.raised = 0
        board.listeners.append(self._moved)
        board.of_rooms.append(self._heard)
        intake.audience = self._travel.audience
        intake.heard = self._took

    async def start(self) -> None:
        """Begin to watch; what the board reads tells which shipments there are."""
        for one in self.tended:
            one.start()

    async def close(self) -> None:
        """Stop watching."""
        await end_all(*self.tended)

    # -- reading -------------------------------------------------------------------------------

    def of(self, organisation: str) -> list[Shipment]:
        """Return the shipments of journeys that `organisation` takes part in, the latest first."""
        return self._travel.of(organisation)

    def unheard(self, organisation: str) -> list[Unheard]:
        """Return the lots of these journeys that stand where no logger is fixed, store by store."""
        return self._travel.unheard(organisation)

    async def see(self, person: Person, journey: str, lot: str) -> Seen:
        """Return a shipment's conditions. Raises No: there is none, or it is not the person's."""
        live = await self._journeys.see(person, journey)
        found = [s for s in await self._travel.shipments_of(live) if s.lot == lot]
        if not found:
            raise unknown("shipment", f"{journey}/{lot}")
        return await self.judge(live, found[0], as_of=person.organisation)

    async def of_journey(self, person: Person, live: Live) -> list[Seen]:
        """Return the conditions of each of a journey's shipments, as the person may see them."""
        return [
            await self.judge(live, one, as_of=person.organisation)
            for one in await self._travel.shipments_of(live)
        ]

    async def again(self, journey: str) -> None:
        """Judge a journey's shipments anew, also of one that was over before this process began."""
        live = await self._journeys.live(journey)
        if live is not None:
            await self._travel.take_in(live)
            self._looks.add(s.id for s in await self._travel.shipments_of(live))
            self._wake.set()

    def told_by(self, id: Id) -> list[Shipment]:
        """Return the shipments that a logger travels or travelled with."""
        names = self._travel.with_logger(id)
        return [one for name in names if (one := self._travel.shipments.get(name)) is not None]

    def latest(self, shipment: Shipment) -> Seen | None:
        """Return the last judgement that this process made of a shipment; None before the first."""
        return self._seen.get(shipment.id)

    async def follow(self, organisation: str, beat_s: float) -> AsyncIterator[str | None]:
        """Yield the id of each shipment that changed, for ever; None when nothing did."""
        queue: asyncio.Queue[str] = asyncio.Queue(maxsize=1000)
        self._listening.add(queue)
        try:
            while True:
                try:
                    id = await asyncio.wait_for(queue.get(), beat_s)
                except TimeoutError:
                    yield None
                    continue
                shipment = self._travel.shipments.get(id)
                if shipment is not None and organisation in shipment.readers:
                    yield id
        finally:
            self._listening.discard(queue)

    # -- hearing -------------------------------------------------------------------------------

    def _heard(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == KIND:
                said = event.body["readings"]
                self._looks.add(self._travel.with_logger(Id(said["organisation"], said["logger"])))
            elif (id := self._files.hear(event)) is not None:
                self._looks.add(self._travel.with_logger(id))
        self._wake.set()

    def _moved(self, wakes: Mapping[str, datetime | None]) -> None:
        self._changed.add(wakes)
        self._wake.set()

    def _took(self, taken: taking.Taken) -> None:
        """Look at once where a reading has passed its limit; soon at all others."""
        for name in self._travel.with_logger(taken.id):
            seen = self._seen.get(name)
            if seen is None or _passes(taken, seen.rules):
                self._urgent.add([name])
                self._hurry.set()
            else:
                self._looks.add([name])

    # -- working -------------------------------------------------------------------------------

    async def _run(self) -> None:
        await self._board.ready.wait()
        while True:
            self._wake.clear()
            await self._changed.work_off(self._take_in)
            await self._looks.work_off(self._look)
            await asyncio.sleep(0.1)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_S)

    async def _run_urgent(self) -> None:
        await self._board.ready.wait()
        while True:
            self._hurry.clear()
            await self._urgent.work_off(self._look)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._hurry.wait(), self._urgent.left_s())

    async def _sweep(self) -> None:
        """Look now and then at all that travels: what does not come is seen too."""
        await self._board.ready.wait()
        while True:
            # Another process may have been told of a logger, or that one stands elsewhere now.
            registered = await self._loggers.active()
            if registered == self._registered:
                names = await self._travel.look_at_places()
            else:
                names = await self._travel.rebind()
                self._registered = registered
            self._looks.add(names | self._travel.under_way())
            self._wake.set()
            swept = time.monotonic()
            while time.monotonic() - swept < SILENCE_S:
                await asyncio.sleep(LOOK_S)

    async def _take_in(self, journey: str) -> None:
        """Read a journey's shipments, and write down which loggers travel with them."""
        row = self._board.rows.get(journey)
        if not self._travel.knows(journey) and (row is None or row.status == "ended"):
            return  # over before this process began: read when somebody asks for it
        live = await self._journeys.live(journey)
        if live is not None:
            self._looks.add(await self._travel.take_in(live))

    async def rebind(self) -> None:
        """Look again which loggers travel or stand where: one has been registered or placed."""
        self._looks.add(await self._travel.rebind())
        self._wake.set()

    async def _look(self, name: str) -> None:
        shipment = self._travel.shipments.get(name)
        if shipment is None:
            return
        live = await self._journeys.live(shipment.journey)
        if live is None:
            return
        seen = await self.judge(live, shipment)
        await self._raise(live, seen)
        for queue in self._listening:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(name)

    async def judge(self, live: Live, shipment: Shipment, *, as_of: str | None = None) -> Seen:
        """Read what has come and judge it; `as_of`: only what that organisation may read."""
        rules = rules_of(live.net, live.state, shipment.material, self.profile)
        ids = await self._travel.loggers(shipment)
        now = time.time()
        start = shipment.since.timestamp()
        end = shipment.until.timestamp() if shipment.until else now
        each = []
        for id in ids if len(ids) == 1 or shipment.fixed is None else ():
            heard = await self._heard_of(shipment, id, as_of)
            each.append((heard, await self._loggers.told(id)))
        judged = []
        for heard, told in each or [(Heard(), Told())]:
            calibrated = told.calibrated_until
            made = judgement.judge(
                heard.series, rules, start=start, end=max(end, start),
                decided=excursions.decided(live, shipment, excursions.codes(rules)),
                decided_of=excursions.decided_each(live, shipment, rules),
                calibrated_until=calibrated.timestamp() if calibrated else None,
                stored=not told.live, now=now, withdrawn=heard.withdrawn,
            )  # fmt: skip
            judged.append((made, heard, told))
        made, heard, told = max(judged, key=lambda one: _weight(one[0]))
        if len(ids) != 1:
            kind = (
                "no-logger" if shipment.logger is None else "ambiguous" if ids else "unregistered"
            )
            if shipment.fixed is not None:
                kind = "which-place"
            finding = Finding(kind, "unknown", start, end, float(len(ids)))
            # That nothing is heard is known all the same, and the protocol may limit it. Of loggers
            # with one number either may be the one: what any of them says is raised.
            alarms = tuple(f for one, *_ in judged for f in one.findings if f.verdict == "alarm")
            if not ids:
                alarms = tuple(f for f in alarms if f.kind == "silent" and f.code)
            if shipment.fixed is not None:
                alarms = ()  # both places may well be heard
            verdict = max((f.verdict for f in (finding, *alarms)), key=ORDER.__getitem__)
            made = made._replace(verdict=verdict, findings=(*alarms, finding))
        series = heard.series.between(start, max(end, start))
        seen = Seen(shipment, ids, rules, series, made, now)
        if as_of is None:
            self._keep(seen)
            if not told.live:
                self._await_file(seen)
        return seen

    async def _heard_of(self, shipment: Shipment, id: Id, as_of: str | None) -> Heard:
        if as_of is None:
            return await self._chunks.follow(shipment, id)
        return await self._chunks.of(shipment, id, as_of)

    def _await_file(self, seen: Seen) -> None:
        """Look again when the file of a logger that has arrived is overdue."""
        if seen.shipment.until is None:
            return
        for one in seen.rules.conditions:
            if one.of == "silence" and one.at_most is not None:
                left = seen.shipment.until.timestamp() + one.at_most.seconds - seen.at
                if left >= 0:
                    self._looks.later(seen.shipment.id, left + 1)

    def _keep(self, seen: Seen) -> None:
        self._seen.pop(seen.shipment.id, None)
        self._seen[seen.shipment.id] = seen
        while len(self._seen) > KEPT:
            self._seen.pop(next(iter(self._seen)))

    async def _raise(self, live: Live, seen: Seen) -> None:
        at = datetime.now(UTC)
        for alarm in excursions.alarms(live, seen.shipment, seen.rules, seen.judgement, at):
            done = await self._journeys.watch(seen.shipment.journey, alarm.command, alarm.key)
            if done is None:
                self._looks.later(seen.shipment.id, AGAIN_S)
            elif not done.replayed:
                self.raised += 1


def _weight(made: Judgement) -> tuple[bool, int, int]:
    """Say which of several judgements is shown: an excursion, the worst, the one that was heard."""
    excursion = any(f.verdict == "alarm" and f.code is None for f in made.findings)
    return excursion, ORDER[made.verdict], made.readings


def _passes(taken: taking.Taken, rules: Rules) -> bool:
    channels = taken.chunk.channels
    bounds = [("temperature_c", rules.limit.low_c, rules.limit.high_c)]
    bounds += [
        (CHANNELS[one.of][0], None, OPEN if one.max is None else one.max)
        for one in rules.conditions
        if one.of in CHANNELS
    ]
    return any(
        (high is not None and bool(np.any(channels[name] > high)))
        or (low is not None and bool(np.any(channels[name] < low)))
        for name, low, high in bounds
        if name in channels
    )

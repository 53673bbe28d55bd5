"""The conditions of every shipment: its readings judged as they come; an excursion is raised once.

Which logger travels with which shipment is read from the record. A shipment is judged at once when
a reading passes its limit, within a second when anything else has come, and every half minute for
what does *not* come. An excursion becomes a deviation through the ledger under a key that every
process makes alike: the shipment, the deviation's code, and how many of that code the record has
for this shipment already. While one is undecided no other is raised; when a person has decided,
only what comes after counts. What becomes of the material is a person's decision.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

import numpy as np
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.journey.command import WATCH, Actor, RaiseDeviation
from stafett.journey.deviation import CHECK_FAILED, HOLD_TIME_EXCEEDED, TEMP_EXCURSION, catalogue
from stafett.journey.state import Raised
from stafett.ledger import Event
from stafett.service import intake as taking
from stafett.service.accounts import Person
from stafett.service.board import Board
from stafett.service.journeys import Journeys, Live
from stafett.service.loggers import Id, Loggers
from stafett.service.refusal import unknown
from stafett.watch import judgement
from stafett.watch.breach import CHANNELS, OPEN
from stafett.watch.finding import Finding
from stafett.watch.judgement import Judgement
from stafett.watch.reading import decode
from stafett.watch.rules import Rules
from stafett.watch.series import EMPTY, Arrived, Series, merge
from stafett.watch.shipment import Shipment, rules_of, shipments

log = logging.getLogger(__name__)
LOOK_S: Final = 1.0  # shipments with something new
SILENCE_S: Final = 30.0  # all that travel: what does not come is seen too
KEPT: Final = 2000  # series in memory
_LONG_AGO: Final = datetime(1990, 1, 1, tzinfo=UTC)
# A second process may commit a little later than it stamped.
_BACK: Final = timedelta(minutes=1)
_BEFORE: Final = timedelta(days=2)


class Seen(NamedTuple):
    """A shipment with what is known of its conditions now. `loggers`: none, one, or a doubt."""

    shipment: Shipment
    loggers: tuple[Id, ...]
    rules: Rules
    series: Series
    judgement: Judgement
    at: float


@dataclass
class _Kept:
    """A shipment's chunks, as far as this process has read them."""

    arrived: dict[bytes, Arrived] = field(default_factory=dict)
    until: datetime = _LONG_AGO
    series: Series = EMPTY
    seen: Seen | None = None


class Conditions:
    """The watch over conditions. One instance per process."""

    def __init__(
        self,
        pool: AsyncConnectionPool[Any],
        board: Board,
        journeys: Journeys,
        loggers: Loggers,
        intake: taking.Intake,
    ) -> None:
        self._pool, self._board, self._journeys = pool, board, journeys
        self._loggers = loggers
        self.profile = Rules()
        self._shipments: dict[str, Shipment] = {}
        self._of_journey: dict[str, list[str]] = {}
        self._travels: dict[Id, set[str]] = {}
        self._ids: dict[str, tuple[Id, ...]] = {}
        self._kept: dict[str, _Kept] = {}
        self._changed_journeys: set[str] = set()
        self._dirty: set[str] = set()
        self._urgent: asyncio.Queue[str] = asyncio.Queue()
        self._again: dict[str, float] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._listening: set[asyncio.Queue[str]] = set()
        self._wake = asyncio.Event()
        self.raised = 0
        board.listeners.append(self._moved)
        board.of_rooms.append(self._heard)
        intake.audience = self._audience
        intake.heard = self._took

    async def start(self) -> None:
        """Begin to watch; what the board reads tells which shipments there are."""
        self._tasks = [
            asyncio.create_task(self._run(), name="conditions"),
            asyncio.create_task(self._run_urgent(), name="conditions, urgent"),
        ]

    async def close(self) -> None:
        """Stop watching."""
        for task in self._tasks:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    # -- reading -------------------------------------------------------------------------------

    def of(self, organisation: str) -> list[Shipment]:
        """Return the shipments of journeys that `organisation` takes part in, the latest first."""
        found = [s for s in self._shipments.values() if organisation in s.readers]
        return sorted(found, key=lambda s: (s.until is not None, -s.since.timestamp()))

    async def see(self, person: Person, journey: str, lot: str) -> Seen:
        """Return a shipment's conditions. Raises No: there is none, or it is not the person's."""
        live = await self._journeys.see(person, journey)
        found = [s for s in shipments(live.net, live.state) if s.lot == lot]
        if not found:
            raise unknown("shipment", f"{journey}/{lot}")
        return await self.judge(live, found[0], as_of=person.organisation)

    async def of_journey(self, person: Person, live: Live) -> list[Seen]:
        """Return the conditions of each of a journey's shipments, as the person may see them."""
        return [
            await self.judge(live, one, as_of=person.organisation)
            for one in shipments(live.net, live.state)
        ]

    def latest(self, shipment: Shipment) -> Seen | None:
        """Return the last judgement that this process made of a shipment; None before the first."""
        kept = self._kept.get(shipment.id)
        return kept.seen if kept else None

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
                shipment = self._shipments.get(id)
                if shipment is not None and organisation in shipment.readers:
                    yield id
        finally:
            self._listening.discard(queue)

    # -- hearing -------------------------------------------------------------------------------

    def _audience(self, id: Id) -> frozenset[str]:
        """Return who takes part in the journeys that a logger is travelling for now."""
        found: set[str] = set()
        for name in self._travels.get(id, ()):
            shipment = self._shipments.get(name)
            if shipment is not None and shipment.until is None:
                found |= shipment.readers
        return frozenset(found)

    def _heard(self, events: list[Event]) -> None:
        for event in events:
            if event.kind == taking.KIND:
                said = event.body["readings"]
                self._dirty |= self._travels.get(Id(said["organisation"], said["logger"]), set())
        self._wake.set()

    def _moved(self, wakes: Mapping[str, datetime | None]) -> None:
        self._changed_journeys |= wakes.keys()
        self._wake.set()

    def _took(self, taken: taking.Taken) -> None:
        """Look at once where a reading has passed its limit; soon at all others."""
        for name in self._travels.get(taken.id, ()):
            kept = self._kept.get(name)
            rules = kept.seen.rules if kept and kept.seen else None
            if rules is None or _passes(taken, rules):
                self._urgent.put_nowait(name)
            else:
                self._dirty.add(name)

    # -- working -------------------------------------------------------------------------------

    async def _run(self) -> None:
        await self._board.ready.wait()
        swept = 0.0
        while True:
            try:
                journeys, self._changed_journeys = self._changed_journeys, set()
                for journey in journeys:
                    await self._take_in(journey)
                dirty, self._dirty = self._dirty, set()
                if time.monotonic() - swept > SILENCE_S:
                    swept = time.monotonic()
                    dirty |= {s.id for s in self._shipments.values() if s.until is None}
                due = {name for name, at in self._again.items() if at <= time.monotonic()}
                for name in dirty | due:
                    self._again.pop(name, None)
                    await self._look(name)
            except asyncio.CancelledError:
                raise
            except Exception:
                log.exception("the conditions could not be looked at")
                await asyncio.sleep(1)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), LOOK_S)
            self._wake.clear()
            await asyncio.sleep(0.1)

    async def _run_urgent(self) -> None:
        await self._board.ready.wait()
        while True:
            names = {await self._urgent.get()}
            while not self._urgent.empty():
                names.add(self._urgent.get_nowait())
            for name in names:
                await self._look(name)

    async def _take_in(self, journey: str) -> None:
        """Read a journey's shipments, and write down which loggers travel with them."""
        row = self._board.rows.get(journey)
        if journey not in self._of_journey and (row is None or row.status == "ended"):
            return  # over before this process began: read when somebody asks for it
        live = await self._journeys.live(journey)
        if live is None:
            return
        found = {s.id: s for s in shipments(live.net, live.state)}
        self._of_journey[journey] = list(found)
        for id, shipment in found.items():
            if self._shipments.get(id) == shipment and self._ids.get(id):
                continue
            self._shipments[id] = shipment
            await self._bind(shipment)
            self._dirty.add(id)

    async def rebind(self) -> None:
        """Look again which loggers travel: one has been registered."""
        for shipment in list(self._shipments.values()):
            if shipment.until is None and not self._ids.get(shipment.id):
                await self._bind(shipment)
                self._dirty.add(shipment.id)
        self._wake.set()

    async def _bind(self, shipment: Shipment) -> None:
        ids: list[Id] = []
        if shipment.logger is not None:
            ids = await self._loggers.owners(shipment.logger, shipment.readers)
        for id in self._ids.get(shipment.id, ()):
            self._travels.get(id, set()).discard(shipment.id)
        self._ids[shipment.id] = tuple(ids)
        for id in ids:
            self._travels.setdefault(id, set()).add(shipment.id)
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

    async def _look(self, name: str) -> None:
        shipment = self._shipments.get(name)
        if shipment is None:
            return
        try:
            live = await self._journeys.live(shipment.journey)
            if live is None:
                return
            seen = await self.judge(live, shipment)
            await self._raise(live, seen)
        except asyncio.CancelledError:
            raise
        except Exception:
            # The database was away, or one shipment is strange: look again, and at all others.
            log.exception("the conditions of %s could not be judged", name)
            self._again[name] = time.monotonic() + 2
            return
        for queue in self._listening:
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(name)

    async def judge(self, live: Live, shipment: Shipment, *, as_of: str | None = None) -> Seen:
        """Read what has come and judge it; `as_of`: only what that organisation may read."""
        rules = rules_of(live.net, live.state, shipment.material, self.profile)
        ids = self._ids.get(shipment.id)
        if ids is None:
            await self._bind(shipment)
            ids = self._ids[shipment.id]
        now = time.time()
        series, calibrated = EMPTY, None
        if len(ids) == 1:
            if as_of is None:
                series = await self._follow_series(shipment, ids[0])
            else:
                kept = _Kept()
                await self._read(shipment, ids[0], kept, as_of)
                series = merge(kept.arrived.values())
            until = await self._loggers.calibration(ids[0])
            calibrated = until.timestamp() if until else None
        start = shipment.since.timestamp()
        end = shipment.until.timestamp() if shipment.until else now
        made = judgement.judge(
            series, rules, start=start, end=max(end, start),
            decided=_decided(live, shipment, _codes(rules)),
            decided_of={
                one.deviation: at
                for one in rules.conditions
                if (at := _decided(live, shipment, (one.deviation,))) is not None
            },
            calibrated_until=calibrated,
        )  # fmt: skip
        if len(ids) != 1:
            kind = (
                "no-logger" if shipment.logger is None else "ambiguous" if ids else "unregistered"
            )
            finding = Finding(kind, "unknown", start, end, float(len(ids)))
            made = made._replace(verdict="unknown", findings=(finding,))
        seen = Seen(shipment, ids, rules, series.between(start, max(end, start)), made, now)
        if as_of is None:
            self._kept.setdefault(shipment.id, _Kept()).seen = seen
        return seen

    async def _follow_series(self, shipment: Shipment, id: Id) -> Series:
        kept = self._kept.setdefault(shipment.id, _Kept())
        if await self._read(shipment, id, kept, None):
            kept.series = merge(kept.arrived.values())
        while len(self._kept) > KEPT:
            self._kept.pop(next(iter(self._kept)))
        return kept.series

    async def _read(
        self, shipment: Shipment, id: Id, kept: _Kept, organisation: str | None
    ) -> bool:
        """Read the chunks that have come since the last time; say whether there were any."""
        query = (
            "SELECT sha256, payload, arrived_at FROM watch.chunk WHERE organisation = %s"
            " AND number = %s AND day >= %s AND arrived_at >= %s AND latest >= %s AND"
            " earliest <= %s"
        )
        since = kept.until - _BACK if kept.until > _LONG_AGO else _LONG_AGO
        since = max(since, shipment.since - _BEFORE)
        until = shipment.until or datetime.max.replace(tzinfo=UTC)
        values = [*id, since.date(), since, shipment.since, until]
        async with self._pool.connection() as connection, connection.transaction():
            if organisation is not None:
                await connection.execute("SET LOCAL ROLE stafett_read")
                await connection.execute(
                    "SELECT set_config('stafett.organisation', %s, true)", [organisation]
                )
            async with connection.cursor(row_factory=tuple_row, binary=True) as cursor:
                await cursor.execute(query, values)
                rows = await cursor.fetchall()
        new = False
        for sha, payload, arrived in rows:
            if sha not in kept.arrived:
                kept.arrived[sha] = Arrived(decode(payload), arrived.timestamp())
                kept.until = max(kept.until, arrived)
                new = True
        return new

    async def _raise(self, live: Live, seen: Seen) -> None:
        made = seen.judgement
        if made.verdict != "alarm" or live.state.ended_at is not None:
            return
        alarms: dict[str, Finding] = {}
        for finding in made.findings:
            if finding.verdict == "alarm":
                code = finding.code or _codes(seen.rules)[0]
                if finding.kind == "hold-spent":
                    code = HOLD_TIME_EXCEEDED
                known = code in catalogue(live.net.protocol)
                alarms.setdefault(code if known else CHECK_FAILED, finding)
        for code, finding in alarms.items():
            before = _raised(live, seen.shipment, code)
            if any(_decided_at(one) is None for one in before):
                continue
            if before and code == HOLD_TIME_EXCEEDED:
                continue  # it is spent for good: once is enough
            name = f"{seen.shipment.id}.{code}.{len(before)}"
            key = f"conditions.{hashlib.sha256(name.encode()).hexdigest()}"
            at = datetime.now(UTC)
            by = Actor(person=WATCH, organisation=live.state.owner.organisation, role=WATCH)
            command = RaiseDeviation(
                occurred_at=at, recorded_at=at, by=by, code=code, about=seen.shipment.material,
                note=said(seen, finding),
            )  # fmt: skip
            done = await self._journeys.watch(seen.shipment.journey, command, key)
            if done is None:
                self._again[seen.shipment.id] = time.monotonic() + 2
            elif not done.replayed:
                self.raised += 1


# What the record says of a breach of the protocol's other conditions.
_BREACHES: Final = {
    "door": "opened on the way",
    "shock": "a shock of {value} g",
    "side": "tilted by up to {value} degrees",
    "silent": "nothing heard for {minutes} min",
    "gap": "no reading for {minutes} min",
}


def said(seen: Seen, finding: Finding) -> str:
    """Return an alarm in one sentence, for the record."""
    made, rules = seen.judgement, seen.rules
    if finding.kind == "hold-spent":
        return (
            f"{seen.shipment.lot}: the hold time of the shipper was spent {finding.value:.1f} h ago"
        )
    if finding.kind in _BREACHES:
        how = _BREACHES[finding.kind].format(
            value=f"{finding.value:.3g}", minutes=f"{finding.value / 60:.0f}"
        )
        return f"{seen.shipment.lot}: {how}; logger {seen.shipment.logger}"
    most = f" to {made.exposure.most_s / 60:.0f}" if made.exposure.gaps else ""
    limit = " to ".join(
        f"{value:g}" for value in (rules.limit.low_c, rules.limit.high_c) if value is not None
    )
    how = "at a stretch" if finding.kind == "sustained" else "in all"
    return (
        f"{seen.shipment.lot}: outside {limit} °C for {finding.value / 60:.1f} min {how}"
        f" ({made.exposure.least_s / 60:.0f}{most} min in all), warmest {made.warmest:.1f} °C;"
        f" logger {seen.shipment.logger}"
    )


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


def _raised(live: Live, shipment: Shipment, code: str) -> list[Raised]:
    return [
        one
        for one in live.state.deviations.values()
        if one.code == code and one.about == shipment.material and one.raised_at >= shipment.since
    ]


def _codes(rules: Rules) -> tuple[str, ...]:
    """Return the deviation that an excursion of temperature is, and what stands for it."""
    own = [one.deviation for one in rules.conditions if one.of == "temperature"]
    return (*own, TEMP_EXCURSION, CHECK_FAILED)


def _decided(live: Live, shipment: Shipment, codes: tuple[str, ...]) -> float | None:
    """Return when a person last decided on a deviation of one of `codes` of this shipment."""
    moments = [
        at.timestamp()
        for code in codes
        for one in _raised(live, shipment, code)
        if (at := _decided_at(one)) is not None
    ]
    return max(moments, default=None)


def _decided_at(raised: Raised) -> datetime | None:
    """Return when a person decided what becomes of the material, or closed the matter."""
    return raised.work.decided_at or raised.closed_at

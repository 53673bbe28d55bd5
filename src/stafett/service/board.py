"""The board's read model: one row per journey, made from the ledger and kept by following it.

It holds nothing that the ledger does not say. At start it takes the rows that were kept
(stafett.service.kept) and reads only what came after them; where none can be relied on, it reads
every journey once and makes its row once. A subscriber names the position it has seen and gets
every row that changed since, then each change as it comes: a row is always the whole present, so
that coming back after a break misses nothing and doubles nothing.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from typing import Any

import msgspec

from stafett.ledger import Event, Ledger
from stafett.ledger.tending import AWAY, Tended, end_all
from stafett.service.journeys import Journeys
from stafett.service.kept import Kept, KeptRows
from stafett.service.live import Live, told
from stafett.service.row import Next, Row, row_of

__all__ = ["BATCH", "Board", "Next", "Row", "row_of"]

log = logging.getLogger(__name__)
BATCH = 2000
ROWS_AT_ONCE = 10
PAUSE_S = 0.03
# Rows are saved so that it takes at most one part in SHARE of the time, between these pauses.
SAVE_S, LONGEST_S, SHARE = 2.0, 120.0, 50
Wakes = dict[str, datetime | None]


class Board:
    """The rows of every journey. One instance per process."""

    def __init__(self, ledger: Ledger, journeys: Journeys, kept: KeptRows | None = None) -> None:
        self._ledger, self._journeys, self._kept = ledger, journeys, kept
        self.rows: dict[str, Row] = {}
        self.broken: set[str] = set()  # journeys whose row could not be made
        self.position = 0
        self.ready = asyncio.Event()
        self._encoded: dict[str, bytes] = {}
        self._waiting: set[asyncio.Event] = set()
        self._begun = False  # what there was at the start has been taken
        self.tended = [Tended("the board", self._follow, vital=True)]
        if kept is not None:
            self.tended.append(Tended("the board's kept rows", self._keep))
        self._order: dict[str, int] = {}
        # To be saved: when the watch must look next, or None for a row that could not be made.
        self._unsaved: dict[str, Kept | None] = {}
        self._wakes: Wakes = {}
        self._near: Wakes = {}
        # Told, for each journey that changed, when its next limit passes.
        self.listeners: list[Callable[[Wakes], None]] = []
        # Told the events of rooms' own streams, which are no journeys.
        self.of_rooms: list[Callable[[list[Event]], None]] = []

    async def start(self) -> None:
        """Begin to follow the ledger; `ready` is set once what there was has been read."""
        for one in self.tended:
            one.start()

    async def close(self) -> None:
        """Stop following; save what is not saved yet."""
        await end_all(*self.tended)
        if self.ready.is_set():
            await self.save()

    async def _follow(self) -> None:
        """Follow the ledger, for ever. Begun again it goes on from what has been taken in."""
        size = await self._ledger.size()
        if not self._begun:
            await self._begin(size)
            self._begun = True
        if self.position >= size:
            self.ready.set()
        # What is said in so short a time is taken in together: one look at the record for it.
        async for batch in self._ledger.follow(self.position, BATCH, rest_s=PAUSE_S):
            await self.apply(batch)
            if self.position >= size:
                self.ready.set()

    # -- at start ------------------------------------------------------------------------------

    async def _begin(self, size: int) -> None:
        """Take the rows that were kept, or make every row anew."""
        stored = None
        if self._kept is not None:
            try:
                stored = await self._kept.load(size)
            except Exception:
                log.exception("the kept rows cannot be read; they are made from the record")
        if stored is None:
            if self._kept is not None:
                await self._kept.discard()
            await self.rebuild(size)
            return
        every = sorted(stored.kept.items(), key=lambda item: item[1].row.position)
        for journey, one in every:
            self._take(journey, one)
        self.position = stored.position
        for journey in stored.broken:
            await self._mend(journey)
        if stored.broken:  # what follows a position is found from the end: keep the order
            self._order = dict(sorted(self._order.items(), key=lambda item: item[1]))
        self._tell({journey: one.wake for journey, one in every})

    async def _mend(self, journey: str) -> None:
        """Make one row again whose kept form cannot be used."""
        log.warning("the kept row of %s cannot be used; it is made from the record", journey)
        try:
            events = await self._ledger.stream(journey)
            live = await self._journeys.load(journey)
            self._put(live, events[-1].position, events[-1].recorded_at)
        except AWAY:
            raise
        except Exception:
            self._fail(journey)

    async def rebuild(self, size: int) -> None:
        """Make every row from the record's first `size` events: each journey read once, in order.

        No state is kept: a journey's is made again when somebody acts on it.
        """
        self.rows.clear()
        self._order.clear()
        made: list[tuple[str, Kept]] = []
        journey, live, broken = "", None, False
        position, changed = 0, None
        async for batch in self._ledger.leaves_by_stream(size, BATCH):
            for at, stream, leaf in batch:
                if is_of_a_room(stream):
                    continue
                if stream != journey:
                    if live is not None and changed is not None:
                        made.append((journey, _kept(live, position, changed)))
                    journey, live, broken = stream, None, False
                if broken:
                    continue
                try:
                    said = told(leaf)
                    if live is None:
                        await self._journeys.library.fetch(said.body.pinned or "")
                    live = self._journeys.follow(live, said.body)
                    position, changed = at, said.recorded_at
                except AWAY:
                    raise
                except Exception:
                    live, broken = None, True
                    self._fail(stream)
            await asyncio.sleep(0)
        if live is not None and changed is not None:
            made.append((journey, _kept(live, position, changed)))
        made.sort(key=lambda item: item[1].row.position)
        for name, one in made:
            self._take(name, one)
            self._unsaved[name] = one
        self.position = size
        self._tell({name: one.wake for name, one in made})

    def _fail(self, journey: str) -> None:
        # A row that cannot be made must not blind the board to all the others. (Where the database
        # is away nothing is wrong with the journey: then all of it is read again.)
        log.exception("the board could not follow the record of %s", journey)
        self.broken.add(journey)
        self._unsaved[journey] = None

    # -- following -----------------------------------------------------------------------------

    async def apply(self, batch: list[Event]) -> None:
        """Take in events, in order, and wake the subscribers.

        Raises one of AWAY where the record cannot be read: the position has not moved, and the same
        events may be taken in again.
        """
        changed: dict[str, tuple[Live, Event]] = {}
        failed: set[str] = set()
        rooms: list[Event] = []
        for event in batch:
            if is_of_a_room(event.stream):
                rooms.append(event)
                continue
            try:
                live = self._journeys.advance(event) or await self._journeys.load(event.stream)
            except AWAY:
                raise
            except Exception:
                if event.stream not in failed:
                    failed.add(event.stream)
                    self._fail(event.stream)
                continue
            changed.pop(event.stream, None)  # so that the last change gives the order
            changed[event.stream] = (live, event)
        if len(batch) >= BATCH and batch[-1].stream in changed:
            await self._complete(changed, batch[-1])
        wakes: Wakes = {}
        for i, (journey, (live, event)) in enumerate(changed.items()):
            if i % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                await asyncio.sleep(0)  # commands are answered in between
            try:
                wakes[journey] = self._put(live, event.position, event.recorded_at)
            except Exception:
                self._fail(journey)
        # Only now: who looks in between must not take what is still to come for seen.
        self.position = batch[-1].position
        for hear in self.of_rooms:
            _tell(hear, rooms)
        self._tell(wakes)

    async def _complete(self, changed: dict[str, tuple[Live, Event]], last: Event) -> None:
        """Take the last journey of a full batch as it stands in the record.

        The submission that a batch ends in may go on in the next one; nobody must see half of it.
        """
        try:
            changed[last.stream] = (await self._journeys.load(last.stream), last)
        except AWAY:
            raise
        except Exception:
            del changed[last.stream]
            self._fail(last.stream)

    def _put(self, live: Live, position: int, changed: datetime) -> datetime | None:
        journey = live.state.journey
        one = _kept(live, position, changed)
        self._take(journey, one)
        self._unsaved[journey] = one
        return one.wake

    def _take(self, journey: str, one: Kept) -> None:
        self.rows[journey] = one.row
        self._wakes[journey] = one.wake
        self._near[journey] = one.near
        self.broken.discard(journey)
        self._encoded.pop(journey, None)
        self._order.pop(journey, None)
        self._order[journey] = one.row.position

    def _tell(self, wakes: Wakes) -> None:
        for listener in self.listeners:
            _tell(listener, wakes)
        for waiting in self._waiting:
            waiting.set()

    # -- saving --------------------------------------------------------------------------------

    async def _keep(self) -> None:
        """Save the rows now and then, for ever: never more than a small part of the time."""
        await self.ready.wait()
        while True:
            started = time.monotonic()
            await self.save()
            took = time.monotonic() - started
            await asyncio.sleep(min(max(SAVE_S, SHARE * took), LONGEST_S))

    async def save(self) -> None:
        """Keep what changed since the last time."""
        if self._kept is None or not self._unsaved:
            return
        # Everything up to `position` is in the rows: nothing is awaited between these lines.
        changed, self._unsaved, position = self._unsaved, {}, self.position
        total = {*self.rows, *self.broken}
        try:
            if not await self._kept.save(position, changed, total):
                every: dict[str, Kept | None] = {
                    name: Kept(row, self._wakes.get(name), self._near.get(name))
                    for name, row in self.rows.items()
                }
                every |= dict.fromkeys(self.broken)
                position = self.position
                await self._kept.save(position, every, every.keys())
                await self._kept.clear(only_old=True)
        except BaseException as error:
            self._unsaved = {**changed, **self._unsaved}
            if not isinstance(error, Exception):
                raise  # stopped in the middle: `close` saves what was not
            log.exception("the board's rows could not be saved; they will be, or be made again")

    async def caught_up(self, limit_s: float = 5.0) -> None:
        """Wait until all that is recorded now has been taken in; `limit_s` seconds at most."""
        await self._taken_in(await self._ledger.size(), limit_s)

    async def heard(self, limit_s: float = 1.0) -> None:
        """Wait until all that this process has heard of is taken in: whoever acted here sees it."""
        await self._taken_in(self._ledger.known_size(), limit_s)

    async def _taken_in(self, size: int, limit_s: float) -> None:
        until = time.monotonic() + limit_s
        while self.position < size and time.monotonic() < until:
            await asyncio.sleep(PAUSE_S / 4)

    def of(self, organisation: str) -> list[Row]:
        """Return the rows of the journeys that `organisation` takes part in."""
        return [row for row in self.rows.values() if organisation in row.parties]

    def near(self, organisation: str, now: datetime) -> list[str]:
        """Return the journeys of `organisation` in which a limit may be about to pass at `now`."""
        return [
            row.journey
            for row in self.of(organisation)
            if (at := self._near.get(row.journey)) is not None and at <= now
        ]

    def current(self, live: Live) -> Row:
        """Return the row of a journey as it is at this moment."""
        row = self.rows.get(live.state.journey)
        position, changed = (row.position, row.changed) if row else (0, live.state.latest_at)
        return row_of(live, position, changed)

    def encoded(self, row: Row) -> bytes:
        """Return the row as JSON, made once for all who follow."""
        data = self._encoded.get(row.journey)
        if data is None or self.rows.get(row.journey) is not row:
            data = msgspec.json.encode(row)
            if self.rows.get(row.journey) is row:
                self._encoded[row.journey] = data
        return data

    def since(self, after: int, organisation: str | None) -> list[Row]:
        """Return the rows that changed beyond position `after`, in order; None: everybody's."""
        found = []
        for journey in reversed(self._order):
            if self._order[journey] <= after:
                break
            row = self.rows[journey]
            if organisation is None or organisation in row.parties:
                found.append(row)
        return found[::-1]

    async def follow(
        self, after: int, organisation: str, beat_s: float
    ) -> AsyncIterator[list[Row] | None]:
        """Yield what changed since `after`, for ever; None when nothing did for `beat_s`."""
        waiting = asyncio.Event()
        self._waiting.add(waiting)
        try:
            while True:
                waiting.clear()
                position = self.position
                rows = self.since(after, organisation)
                # Rows of a batch that is still being taken in come in order, and come once.
                after = max(after, position, rows[-1].position if rows else 0)
                if rows:
                    yield rows
                    continue
                try:
                    await asyncio.wait_for(waiting.wait(), beat_s)
                except TimeoutError:
                    yield None
        finally:
            self._waiting.discard(waiting)


def is_of_a_room(stream: str) -> bool:
    """Say whether a stream is a room's own (`registry/trial/...`) and not a journey."""
    return "/" in stream


def _tell(hear: Callable[[Any], None], what: object) -> None:
    """Tell a listener; one with a fault keeps the news from none of the others."""
    try:
        hear(what)
    except Exception:
        log.exception("what the board has read could not be told to %s", hear)


def _kept(live: Live, position: int, changed: datetime) -> Kept:
    ahead = [limit.soon_at for limit in live.limits if limit.at > changed]
    return Kept(row_of(live, position, changed), live.wake, min(ahead, default=None))

"""The board's read model: one row per journey, rebuilt from the ledger and kept by following it.

It holds nothing that the ledger does not say; at start it reads everything from position 0. A
subscriber names the position it has seen and gets every row that changed since, then each change as
it comes: a row is always the whole present, so that coming back after a break misses nothing and
doubles nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Callable
from datetime import datetime

import msgspec

from stafett.journey.state import State
from stafett.journey.tasks import Task, next_moves
from stafett.ledger import Event, Ledger
from stafett.protocol.model import text
from stafett.service.journeys import Journeys, Live

log = logging.getLogger(__name__)
BATCH = 2000
ROWS_AT_ONCE = 10


class Next(msgspec.Struct, frozen=True):
    """The one next act: what, whose, and since when it has been waiting."""

    activity: str
    side: str
    title: dict[str, str]
    role: str
    organisation: str
    about: str = ""
    due: datetime | None = None
    since: datetime | None = None


class Row(msgspec.Struct, frozen=True):
    """One journey on the board.

    `due` is the nearest deadline of what is open now, `since` when that began to be waited for.
    """

    journey: str
    coi: str
    product: str
    protocol: str
    opened: datetime
    changed: datetime
    position: int
    status: str
    owner: str
    baton: str | None
    lanes: tuple[str, ...]
    due: datetime | None
    since: datetime | None
    next: Next | None
    tasks: tuple[Next, ...]
    deviations: int
    critical: int
    outcome: str | None = None
    outcome_title: dict[str, str] | None = None
    parties: tuple[str, ...] = ()


class Board:
    """The rows of every journey. One instance per process."""

    def __init__(self, ledger: Ledger, journeys: Journeys) -> None:
        self._ledger, self._journeys = ledger, journeys
        self.rows: dict[str, Row] = {}
        self.position = 0
        self.ready = asyncio.Event()
        self._encoded: dict[str, bytes] = {}
        self._waiting: set[asyncio.Event] = set()
        self._task: asyncio.Task[None] | None = None
        self._order: dict[str, int] = {}
        self.listeners: list[Callable[[list[Event]], None]] = []

    async def start(self) -> None:
        """Begin to follow the ledger; `ready` is set once what there was has been read."""
        self._task = asyncio.create_task(self._follow())

    async def close(self) -> None:
        """Stop following."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _follow(self) -> None:
        size = await self._ledger.size()
        if size == 0:
            self.ready.set()
        async for batch in self._ledger.follow(0, BATCH):
            try:
                await self.apply(batch)
            except Exception:
                # A row that cannot be drawn must not blind the board to all the others.
                log.exception("the board could not follow the record at %s", batch[0].position)
                self.position = batch[-1].position
            if self.position >= size:
                self.ready.set()
            await asyncio.sleep(0)

    async def apply(self, batch: list[Event]) -> None:
        """Take in events, in order, and wake the subscribers."""
        changed: dict[str, tuple[Live, Event]] = {}
        for event in batch:
            self.position = event.position
            if is_of_a_room(event.stream):
                continue
            live = self._journeys.advance(event) or await self._journeys.load(event.stream)
            changed[event.stream] = (live, event)
        for i, (journey, (live, event)) in enumerate(changed.items()):
            if i % ROWS_AT_ONCE == ROWS_AT_ONCE - 1:
                await asyncio.sleep(0)  # commands are answered in between
            row = row_of(live, event.position, event.recorded_at)
            self.rows[journey] = row
            self._encoded.pop(journey, None)
            self._order.pop(journey, None)
            self._order[journey] = event.position
        for listener in self.listeners:
            listener(batch)
        for waiting in self._waiting:
            waiting.set()

    def of(self, organisation: str) -> list[Row]:
        """Return the rows of the journeys that `organisation` takes part in."""
        return [row for row in self.rows.values() if organisation in row.parties]

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

    def since(self, after: int, organisation: str) -> list[Row]:
        """Return the rows that changed beyond position `after`, in order."""
        found = []
        for journey in reversed(self._order):
            if self._order[journey] <= after:
                break
            row = self.rows[journey]
            if organisation in row.parties:
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
                after = max(after, position)
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


def row_of(live: Live, position: int, changed: datetime) -> Row:
    """Return the row that stands for a journey."""
    state, net = live.state, live.net
    tasks = [] if state.ended_at else next_moves(net, state)
    todo = tuple(_next(live, task) for task in tasks)
    timed = [task for task in tasks if task.due is not None]
    nearest = min(timed, key=_due, default=None)
    open_ = state.open_deviations()
    outcome = None
    if state.ended_at is not None and state.marking.outcome >= 0:
        outcome = net.outcomes[state.marking.outcome]
    held = bool(state.marking.pending)
    return Row(
        journey=state.journey,
        coi=state.coi,
        product=_product(live),
        protocol=f"{state.protocol} {state.version}",
        opened=state.opened_at,
        changed=changed,
        position=position,
        status="ended" if state.ended_at else "held" if held else "open",
        owner=state.owner.organisation,
        baton=_baton(state, todo),
        lanes=tuple(dict.fromkeys(state.parties.values())),
        due=nearest.due if nearest else None,
        since=nearest.since if nearest else None,
        next=todo[0] if todo else None,
        tasks=todo,
        deviations=len(open_),
        critical=sum(d.severity == "critical" for d in open_),
        outcome=outcome,
        outcome_title=_texts(net.protocol.outcomes[outcome].title) if outcome else None,
        parties=tuple(sorted(set(state.parties.values()))),
    )


def _due(task: Task) -> datetime:
    assert task.due is not None
    return task.due


def _next(live: Live, task: Task) -> Next:
    protocol = live.net.protocol
    activity = protocol.steps.get(task.activity) or protocol.handoffs[task.activity]
    return Next(
        task.activity,
        task.side,
        _texts(activity.title),
        task.role,
        task.organisation,
        task.about,
        task.due,
        task.since,
    )


def _texts(title: str | dict[str, str]) -> dict[str, str]:
    return {"en": title} if isinstance(title, str) else title


def _product(live: Live) -> str:
    products = live.net.protocol.products
    name = live.state.product
    return text(products[name].title) if name in products else live.state.protocol


def _baton(state: State, todo: tuple[Next, ...]) -> str | None:
    """Return where the baton is: who holds the material made last, else who must act next."""
    held = [
        lot.custody[-1]
        for lot in state.lots.values()
        if lot.ended_at is None and lot.custody and not lot.material.startswith("kit")
    ]
    if held:
        return max(held, key=lambda spell: spell.since).organisation
    return todo[0].organisation if todo else state.owner.organisation

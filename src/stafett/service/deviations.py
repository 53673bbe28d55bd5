"""The deviations of every journey an organisation takes part in: to be triaged, worked on, counted.

A list, not a store: what is known of a deviation is what its journey's record says.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

import msgspec
from psycopg.rows import tuple_row
from psycopg_pool import AsyncConnectionPool

from stafett.journey import assess, specification, supply
from stafett.journey.deviation import entry
from stafett.journey.raised import Raised
from stafett.protocol.model import Handoff
from stafett.service.accounts import Person
from stafett.service.board import Board, Wakes
from stafett.service.journeys import Journeys
from stafett.service.live import Live
from stafett.watch import ladder, limits

ORDER = {"critical": 0, "major": 1, "minor": 2}
STAGES = ("raised", "triaged", "decided", "closed")


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """One deviation in the list. `giver` and `receiver` are set where it was seen at a handoff.

    `failed` is an action that did not work and that no other follows.
    With `only_by_supply` nothing but a supply out of specification lets the product go on, and
    `lacking` says which parts of that are not recorded yet.
    """

    journey: str
    coi: str
    deviation: str
    code: str
    title: Any
    kind: str
    severity: str
    stage: Literal["raised", "triaged", "decided", "closed"]
    about: str
    detected: str | None
    originated: str | None
    giver: str | None
    receiver: str | None
    raised_at: datetime
    acknowledged_at: datetime | None
    closed_at: datetime | None
    note: str
    cause: str | None
    in_the_way: tuple[str, ...]
    actions: int
    actions_open: int
    actions_failed: int = 0
    failed: str | None = None
    only_by_supply: bool = False
    lacking: tuple[str, ...] = ()


class Coming(msgspec.Struct, frozen=True, kw_only=True):
    """What is about to become a deviation, and whose act can still prevent it.

    `code`, `title` and `severity` are those of the deviation that it will be at `due`; `activity`
    with `role` and `organisation` is what can be done now, if anybody can do anything about it.
    """

    journey: str
    coi: str
    code: str
    title: Any
    severity: str
    about: str
    originated: str | None
    due: datetime
    why: str
    activity: str | None
    activity_title: Any
    side: str | None
    role: str | None
    organisation: str | None


class Deviations:
    """The list. One instance per process."""

    def __init__(self, pool: AsyncConnectionPool[Any], board: Board, journeys: Journeys) -> None:
        self._pool, self._board, self._journeys = pool, board, journeys
        self._with: dict[str, None] | None = None
        self._new: dict[str, None] = {}
        board.listeners.append(self._heard)

    def _heard(self, wakes: Wakes) -> None:
        for journey in wakes:
            row = self._board.rows.get(journey)
            if row is not None and row.deviations:
                self._new[journey] = None

    async def lines(self, person: Person) -> list[Line]:
        """Return what the person's organisation may see: open first, by severity, oldest first."""
        found = []
        for journey in await self._deviating():
            live = await self._journeys.live(journey)
            if live is not None and person.organisation in live.state.parties.values():
                found += [line(live, raised) for raised in live.state.deviations.values()]
        return sorted(
            found, key=lambda one: (STAGES.index(one.stage), ORDER[one.severity], one.raised_at)
        )

    async def coming(self, person: Person, now: datetime) -> list[Coming]:
        """Return what is about to become a deviation if nobody acts, the nearest first."""
        found = []
        for journey in self._board.near(person.organisation, now):
            live = await self._journeys.live(journey)
            if live is not None:
                found += [coming(live, one) for one in limits.soon(live.net, live.state, now)]
        return sorted(found, key=lambda one: one.due)

    async def quiet(self, person: Person) -> list[Line]:
        """Return the deviations that call nobody, because nothing can be done any more."""
        found = []
        for journey in await self._deviating():
            live = await self._journeys.live(journey)
            if live is not None and person.organisation in live.state.parties.values():
                found += [line(live, raised) for raised, _ in ladder.quiet(live.net, live.state)]
        return found

    async def _deviating(self) -> list[str]:
        if self._with is None:
            async with (
                self._pool.connection() as connection,
                connection.cursor(row_factory=tuple_row) as cursor,
            ):
                await cursor.execute(
                    "SELECT DISTINCT stream FROM ledger.event WHERE kind = 'DeviationRaised'"
                )
                found = {str(row[0]): None for row in await cursor.fetchall()}
            # Somebody else may have read it meanwhile, and what was heard since is in theirs.
            self._with = found | (self._with or {})
        self._with |= self._new
        self._new.clear()
        return list(self._with)


def coming(live: Live, limit: limits.Limit) -> Coming:
    """Return the line of a limit that is about to pass."""
    net, state = live.net, live.state
    will = entry(net.protocol, limit.code)
    able = [t for t in live.tasks if t.activity == limit.subject and not t.blocked]
    task = able[0] if able else None
    return Coming(
        journey=state.journey,
        coi=state.coi,
        code=limit.code,
        title=will.title,
        severity=will.severity,
        about=limit.subject,
        originated=limit.originated,
        due=limit.at,
        why=limit.why,
        activity=task.activity if task else None,
        activity_title=net.activity(task.activity).title if task else None,
        side=task.side if task else None,
        role=task.role if task else None,
        organisation=task.organisation if task else None,
    )


def line(live: Live, raised: Raised) -> Line:
    """Return the line of one deviation."""
    net, state = live.net, live.state
    giver = receiver = None
    if raised.detected in net.protocol.handoffs:
        handoff: Handoff = net.protocol.handoffs[raised.detected]
        giver, receiver = state.parties.get(handoff.giver), state.parties.get(handoff.receiver)
    actions = raised.work.actions
    failed = assess.unanswered(raised)
    only = raised.work.disposition is None and specification.only_by_supply(net, state, raised)
    asked = only or bool(raised.work.statements)
    return Line(
        journey=state.journey,
        coi=state.coi,
        deviation=raised.deviation,
        code=raised.code,
        title=entry(net.protocol, raised.code).title,
        kind=raised.kind,
        severity=raised.severity,
        stage=raised.stage,
        about=raised.about,
        detected=raised.detected,
        originated=raised.originated,
        giver=giver,
        receiver=receiver,
        raised_at=raised.raised_at,
        acknowledged_at=raised.acknowledged_at,
        closed_at=raised.closed_at,
        note=raised.noted,
        cause=raised.work.cause,
        in_the_way=assess.in_the_way(raised),
        actions=len(actions),
        actions_open=sum(action.checked_at is None for action in actions),
        actions_failed=sum(action.effective is False for action in actions),
        failed=failed.action if failed else None,
        only_by_supply=only,
        lacking=supply.lacking(net, raised) if asked else (),
    )

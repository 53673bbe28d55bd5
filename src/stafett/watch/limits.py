"""What has passed its limit, and when the next one passes: from the protocol and the record alone.

Pure: `now` comes from the caller. A limit is a deadline, the time that an activity may take, the
time for a pending decision, or a shelf life. Each has a `key` that is the same in every process and
after every restart, so that whoever acts on it acts once.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final, Literal, NamedTuple

from stafett.journey import clock
from stafett.journey.state import State
from stafett.journey.tasks import Task, next_moves
from stafett.protocol.net import NONE, OPEN, PRESENT, Net

# A limit is about to pass when this share of its time is left: the board turns amber then too.
SOON: Final = 0.25


class Limit(NamedTuple):
    """A moment by which something must be done (`late`) or used (`expired`).

    `subject` is an activity or a material, `code` the deviation that passing it is, `since` when
    its time began to run.
    """

    at: datetime
    kind: Literal["late", "expired"]
    subject: str
    code: str
    why: str
    originated: str | None
    key: str
    since: datetime

    @property
    def soon_at(self) -> datetime:
        """When it is about to pass."""
        return self.at - (self.at - self.since) * SOON


def limits(net: Net, state: State, tasks: Sequence[Task] | None = None) -> list[Limit]:
    """Return every limit that runs now, the nearest first; none once the journey has ended.

    `tasks` are the journey's next moves, where the caller has them already.
    """
    if state.marking.outcome != NONE:
        return []
    todo = next_moves(net, state) if tasks is None else tasks
    found = [
        *_of_activities(net, state, todo),
        *_of_decisions(net, state),
        *_of_materials(net, state),
    ]
    return sorted(found)


def passed(net: Net, state: State, now: datetime) -> list[Limit]:
    """Return the limits that have passed at `now` and that the record does not know of yet."""
    return [limit for limit in limits(net, state) if limit.at <= now and not _known(state, limit)]


def soon(net: Net, state: State, now: datetime) -> list[Limit]:
    """Return the limits that are about to pass: not passed, and a quarter of the time is left."""
    return [limit for limit in limits(net, state) if limit.soon_at <= now < limit.at]


def next_at(net: Net, state: State, tasks: Sequence[Task] | None = None) -> datetime | None:
    """Return when the next limit passes that the record does not know of; None if none runs."""
    return first_unknown(state, limits(net, state, tasks))


def first_unknown(state: State, running: Sequence[Limit]) -> datetime | None:
    """Return when the first of the limits that run passes that the record does not know of."""
    return next((limit.at for limit in running if not _known(state, limit)), None)


def _known(state: State, limit: Limit) -> bool:
    """Say whether this very limit has been raised: its reason is the deviation's note.

    An expiry is raised once for a lot, whoever saw it first and however they put it.
    """
    return any(
        raised.code == limit.code
        and (raised.note == limit.why or limit.kind == "expired")
        and limit.subject in (raised.about, raised.detected)
        and raised.raised_at >= limit.at
        for raised in state.deviations.values()
    )


def _of_activities(net: Net, state: State, tasks: Sequence[Task]) -> list[Limit]:
    found = []
    waiting = {task.activity for task in tasks if task.kind != "decide"}
    for name in net.possible(state.marking):
        if name not in waiting and net.state(state.marking, name) != OPEN:
            continue
        for due in clock.dues(net, state, name):
            key = f"{name}.{state.round(name)}.{due.originated}.{due.at:%Y%m%dT%H%M%S}"
            found.append(
                Limit(
                    due.at, "late", name, due.code, clock.said(due), due.originated, key, due.since
                )
            )
    return found


def _of_decisions(net: Net, state: State) -> list[Limit]:
    found = []
    for pending in state.marking.pending:
        name = net.activities[pending.decision]
        due = clock.decide_by(net, state, name, pending.about)
        if due is not None:
            key = f"{name}.{pending.about}.{due.at:%Y%m%dT%H%M%S}"
            found.append(
                Limit(due.at, "late", name, due.code, clock.said(due), None, key, due.since)
            )
    return found


def _of_materials(net: Net, state: State) -> list[Limit]:
    found = []
    for name, held in zip(net.materials, state.marking.materials, strict=True):
        if held.state not in PRESENT:
            continue
        at = clock.expiry(net, state, name)
        lot = state.lot(name)
        # Without a route for it an expiry moves nothing (the proof says so, `no-expiry-route`): it
        # is raised all the same, and the core refuses the material's use.
        if at is None or lot is None:
            continue
        code, why = clock.expiry_code(net, name), f"{lot.lot} has outlived its shelf life"
        found.append(
            Limit(
                at,
                "expired",
                name,
                code,
                why,
                None,
                f"{lot.lot}.expired",
                _clock_from(net, name, at),
            )
        )
    return found


def _clock_from(net: Net, material: str, expires: datetime) -> datetime:
    """Return when the shelf life of `material` began to run."""
    life = net.protocol.materials[material].shelf_life
    assert life is not None
    return expires - life.at_most.timedelta

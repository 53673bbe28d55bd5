"""How a process is: whether it can serve, and what of that which goes on by itself does not.

Troubles are named for whoever watches over the process; of what, exactly, is in its log: the answer
is for everyone, and an error may quote what is not.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from stafett.ledger.tending import Tended, Trouble
from stafett.service.timekeeping import Clock
from stafett.service.todo import Todo

if TYPE_CHECKING:
    from stafett.service.tower import Tower

# One stumble is no reason to send people elsewhere: the database may have been away for them all.
STUMBLES: Final = 2


class Failing(msgspec.Struct, frozen=True):
    """Something that goes on by itself and fails: since when, and how many times by now."""

    name: str
    since: datetime
    times: int


class Health(msgspec.Struct, frozen=True):
    """Whether this process serves, and how far its board has read the record.

    `failing` is what does not go on as it should; `unreadable` counts the journeys whose record the
    board could not follow; `stopped` says that nothing more is signed, or appended, until a person
    has looked; `clocks` whether the clocks are right.
    """

    ready: bool
    position: int
    size: int
    at: datetime
    failing: tuple[Failing, ...] = ()
    unreadable: int = 0
    stopped: bool = False
    clocks: tuple[Clock, ...] = ()


async def health(tower: Tower) -> Health:
    """Look how a tower is. Raises what the database raises when it is away."""
    size = await tower.ledger.size()
    found = list(troubles(tower))
    ill = any(one.vital and (one.times > STUMBLES or one.for_good) for one in found)
    return Health(
        ready=tower.board.ready.is_set() and not ill,
        position=tower.board.position,
        size=size,
        at=datetime.now().astimezone(),
        failing=tuple(Failing(one.name, one.since, one.times) for one in found),
        unreadable=len(tower.board.broken),
        clocks=tower.publishing.clocks.clocks(),
        stopped=bool(tower.publishing.stopped) or tower.ledger.halted,
    )


def troubles(tower: Tower) -> Iterator[Trouble]:
    """Yield what does not go on."""
    yield from tower.ledger.troubles()
    work: list[Tended | Todo] = [*_tended(tower), *_todos(tower)]
    yield from (found for one in work if (found := one.trouble) is not None)


def _tended(tower: Tower) -> Iterator[Tended]:
    """Yield everything that goes on by itself."""
    yield from tower.tended
    yield from tower.publishing.tended
    yield from tower.board.tended
    yield from tower.watch.tended
    yield from tower.alerting.tended
    yield from tower.conditions.tended
    yield from tower.intake.tended
    yield from tower.offers.tended
    yield from tower.relays.tended
    yield from tower.forecasts.tended
    yield from tower.computing.tended
    yield from tower.exchange.tended
    if tower.mqtt is not None:
        yield from tower.mqtt.tended


def _todos(tower: Tower) -> Iterator[Todo]:
    """Yield all that is looked at name by name."""
    for each in (tower.watch, tower.alerting, tower.conditions, tower.offers, tower.relays):
        yield from each.todos

"""A journey's row on the board: what is said of it, and how that follows from its state. Pure."""

from __future__ import annotations

from datetime import datetime

import msgspec

from stafett.journey.state import State
from stafett.journey.tasks import Task
from stafett.protocol.model import text
from stafett.service.live import Live


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


def row_of(live: Live, position: int, changed: datetime) -> Row:
    """Return the row that stands for a journey."""
    state, net = live.state, live.net
    tasks = () if state.ended_at else live.tasks
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

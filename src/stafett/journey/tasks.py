"""What can be done now, and by whom: the queues and boards are made of this."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec

from stafett.journey import clock, excursion, gate, specification
from stafett.journey.command import WorkSide
from stafett.journey.state import State, awaited_key
from stafett.protocol.model import Handoff
from stafett.protocol.net import IDLE, NONE, OPEN, Move, Net, Pending

TaskKind = Literal["start", "work", "release", "receive", "decide", "acknowledge"]


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that one role can do next.

    `start` and `work` are about a step (to begin it, to carry it through), `release` and `receive`
    about a handoff, `decide` about what `about` names, `acknowledge` about a notification. `due`
    is the earliest limit, deadline or expiry; `blocked` says what still forbids it (a
    prerequisite, an excursion or a result that nobody has decided on); `deviations` are the open
    ones about it.
    """

    kind: TaskKind
    activity: str
    side: WorkSide
    role: str
    organisation: str
    since: datetime
    about: str = ""
    round: int = 1
    due: datetime | None = None
    blocked: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()


def next_moves(net: Net, state: State) -> list[Task]:
    """List what can be done now: decisions first, then activities in the protocol's order."""
    if state.marking.outcome != NONE:
        return _notices(state)
    decisions = [
        _decision(net, state, net.activities[p.decision], p.about) for p in state.marking.pending
    ]
    possible = net.possible(state.marking)
    work = [task for name in possible if (task := _task(net, state, name)) is not None]
    return decisions + work + _notices(state)


def task_at(net: Net, state: State, activity: str, side: WorkSide, about: str) -> Task | None:
    """Return the task of one side of one activity, if there is anything to do there now."""
    if state.marking.outcome != NONE:
        return None
    step = net.protocol.steps.get(activity)
    if step is not None and step.on_demand:
        pending = Pending(net.index[activity], about)
        if pending not in state.marking.pending:
            return None
        return _decision(net, state, activity, about)
    task = _task(net, state, activity)
    return task if task is not None and task.side == side and not about else None


def _decision(net: Net, state: State, decision: str, about: str) -> Task:
    role = gate.acting(state, net.protocol.steps[decision].role)
    return Task(
        kind="decide",
        activity=decision,
        side="step",
        role=role,
        organisation=state.parties[role],
        since=state.awaited[awaited_key(decision, about)],
        about=about,
        round=state.round(decision),
        due=_decide_by(net, state, decision, about),
        deviations=tuple(d.deviation for d in state.open_deviations(about)),
    )


def _decide_by(net: Net, state: State, decision: str, about: str) -> datetime | None:
    """A decision is due when its own limit is, or when what it holds expires."""
    own = clock.decide_by(net, state, decision, about)
    moments = [] if own is None else [own.at]
    if about in net.index:
        held = net.involved(state.marking, about)
    else:
        held = (about,) if about in net.material else ()
    moments += [at for m in held if (at := clock.expiry(net, state, m)) is not None]
    return min(moments, default=None)


def _task(net: Net, state: State, name: str) -> Task | None:
    at = net.state(state.marking, name)
    activity = net.activity(name)
    kind: TaskKind
    side: WorkSide = "step"
    blocked: list[str] = []
    if at == IDLE:
        if activity.on_demand or state.marking.pending or not net.is_enabled(state.marking, name):
            return None
        kind = "start"
        if isinstance(activity, Handoff):
            kind, side = "release", "release"
        move = Move("release" if side == "release" else "start", name)
        blocked = [violation.what for violation in net.violations(state.marking, move)]
        if kind == "start":
            blocked += [excursion.said(d) for d in excursion.doubts(net, state, name)]
            doubts = specification.doubts(net, state, name)
            blocked += [specification.said(net, state, d) for d in doubts]
    elif at == OPEN:
        kind = "work"
        if isinstance(activity, Handoff):
            kind, side = "receive", "accept"
    else:
        return None
    role = gate.desk(net, state, name, side).role
    return Task(
        kind=kind,
        activity=name,
        side=side,
        role=role,
        organisation=state.parties[role],
        since=clock.since(net, state, name),
        round=state.round(name),
        due=clock.due(net, state, name),
        blocked=tuple(blocked),
        deviations=tuple(d.deviation for d in state.open_deviations(name)),
    )


def _notices(state: State) -> list[Task]:
    return [
        Task(
            kind="acknowledge",
            activity=n.handoff,
            side="accept",
            role=n.receiver,
            organisation=state.parties[n.receiver],
            since=n.sent_at,
            about=n.notice,
        )
        for n in state.notices.values()
        if n.acknowledged_at is None
    ]

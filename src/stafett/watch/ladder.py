"""Who is told of what, and when: causes of alerts and their ladders, from the record alone.

Pure. A cause is something that a person can still mend: a limit that is about to pass, a deviation
that nobody has taken up, an activity in which nothing happens, work on a deviation that is overdue.
Each has a ladder of calls: first who can act, then their deputies, then the roles that the protocol
names, at last the accountable owner. Whoever acknowledges stops the calls that are still to come.
What nobody can mend any more calls nobody (`quiet` says what and why).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from stafett.journey import deviation, gate, silence
from stafett.journey.raised import Raised
from stafett.journey.state import State
from stafett.journey.tasks import Task, next_moves
from stafett.protocol.model import Handoff
from stafett.protocol.net import DONE, NONE, Net
from stafett.watch.cause import DEPUTY_AFTER, OWNER_AFTER, UNHEEDED_AT_MOST, Call, Cause, call
from stafett.watch.limits import Limit, limits
from stafett.watch.unfinished import decide_by, unfinished


def causes(
    net: Net,
    state: State,
    now: datetime,
    tasks: Sequence[Task] | None = None,
    running: Sequence[Limit] | None = None,
) -> list[Cause]:
    """Return what somebody should be told of at `now`, with all calls, also those to come.

    `tasks` are the journey's next moves and `running` its limits, where the caller has them.
    """
    tasks = next_moves(net, state) if tasks is None else tasks
    running = limits(net, state, tasks) if running is None else running
    # A silence that lasts has the ladder of its activity, not that of a deviation beside it.
    found = [
        _deviation(net, state, raised, tasks)
        for raised in _unheeded(state)
        if not silence.lasts(state, raised, tasks)
    ]
    found = [cause for cause in found if cause.calls]
    found += unfinished(net, state)
    if state.marking.outcome != NONE:
        return found
    for limit in running:
        if limit.at <= now:
            continue  # that is a deviation by now, or will be at the next look
        calls = _acting(net, state, limit.subject, tasks, limit.soon_at)
        if calls:
            found.append(_soon(limit, calls))
    spoken = {place for c in found if c.kind == "deviation" for place in (c.activity, c.about)}
    found += [
        cause
        for task in tasks
        if task.activity not in spoken and (cause := _silence(net, state, task)) is not None
    ]
    return found


def next_call(
    state: State, now: datetime, found: Sequence[Cause], running: Sequence[Limit]
) -> datetime | None:
    """Return the next moment after `now` at which somebody is told, or a limit comes near.

    `found` are the `causes` at `now`, `running` the journey's limits.
    """
    moments = [call.at for cause in found for call in cause.calls]
    if state.marking.outcome == NONE:
        moments += [at for limit in running for at in (limit.soon_at, limit.at)]
    moments += [
        at
        for raised in state.deviations.values()
        for at in (
            decide_by(raised),
            *(d for a in raised.work.actions for d in (a.due, a.check_by)),
        )
    ]
    return min((at for at in moments if at > now), default=None)


def quiet(net: Net, state: State) -> list[tuple[Raised, str]]:
    """Return the deviations that call nobody, because nothing can be done now, and why."""
    tasks = next_moves(net, state)
    return [
        (raised, "done")
        for raised in _unheeded(state)
        if not silence.lasts(state, raised, tasks)
        and not _deviation(net, state, raised, tasks).calls
    ]


# -- deviations ----------------------------------------------------------------------------------


def _unheeded(state: State) -> list[Raised]:
    """Deviations that nobody has acknowledged, assessed or closed."""
    return [
        d
        for d in state.deviations.values()
        if d.closed_at is None and d.acknowledged_at is None and d.work.triaged_at is None
    ]


def _deviation(net: Net, state: State, raised: Raised, tasks: Sequence[Task]) -> Cause:
    return Cause(
        key=f"{raised.deviation}.{raised.severity}",
        kind="deviation",
        urgency=raised.severity,
        code=raised.code,
        activity=raised.detected or "",
        about=raised.about,
        since=raised.raised_at,
        why=raised.note,
        worse="severity",
        calls=_ladder(net, state, raised, tasks),
        originated=raised.originated,
    )


def _ladder(net: Net, state: State, raised: Raised, tasks: Sequence[Task]) -> tuple[Call, ...]:
    at, severity = raised.raised_at, raised.severity
    subject = raised.detected or raised.about
    first = list(_acting(net, state, subject, tasks, at))
    if severity == "critical":
        # Both sides and the accountable owner know at once (DESIGN §5, journey).
        first += [call(state, 0, at, role) for role in _sides(net, state, subject)]
        first.append(call(state, 0, at, state.owner.role))
    elif raised.silence is not None or _is_past(net, state, raised, subject):
        return ()
    elif not first:
        first = [call(state, 0, at, state.owner.role)]
    first = list(dict.fromkeys(first))
    deputies = [c._replace(rung=1, at=at + DEPUTY_AFTER[severity], deputy=True) for c in first]
    rungs = _rungs(net, subject) if severity != "critical" else ()
    if rungs:
        sooner = min(1.0, UNHEEDED_AT_MOST / rungs[0][1])
        later = [
            call(state, 2 + i, at + after * sooner, gate.acting(state, tell))
            for i, (tell, after) in enumerate(rungs)
        ]
    else:
        later = [call(state, 2, at + OWNER_AFTER[severity], state.owner.role)]
    return (*first, *deputies, *later)


def _is_past(net: Net, state: State, raised: Raised, subject: str) -> bool:
    """Say whether it is about time, and the activity is done: it happened late, but it happened."""
    return (
        raised.kind == "timing"
        and subject in net.index
        and net.state(state.marking, subject) >= DONE
    )


def _sides(net: Net, state: State, subject: str) -> tuple[str, ...]:
    if subject not in net.index:
        return ()
    activity = net.activity(subject)
    if isinstance(activity, Handoff):
        roles: tuple[str, ...] = (activity.giver, activity.receiver)
    else:
        roles = (activity.role,)
    return tuple(role for role in roles if role in state.parties)


def _acting(
    net: Net, state: State, subject: str, tasks: Sequence[Task], at: datetime
) -> tuple[Call, ...]:
    """Return the calls to whoever can do something about `subject` now."""
    deciding = [t for t in tasks if t.kind == "decide"]
    able = deciding or [t for t in tasks if t.activity == subject and not t.blocked]
    if able:
        return tuple(dict.fromkeys(Call(0, at, t.role, t.organisation) for t in able))
    lot = state.lot(subject) if subject in net.material else None
    if lot is not None and lot.ended_at is None:
        return (Call(0, at, lot.custody[-1].role, lot.custody[-1].organisation),)
    return ()


def _rungs(net: Net, subject: str) -> tuple[tuple[str, timedelta], ...]:
    if subject not in net.index:
        return ()
    return tuple((r.tell, r.after.timedelta) for r in net.activity(subject).escalation)


# -- what comes near, and what does not happen ---------------------------------------------------


def _soon(limit: Limit, calls: tuple[Call, ...]) -> Cause:
    return Cause(
        key=f"{limit.key}.soon",
        kind="soon",
        urgency="warning",
        code=limit.code,
        activity=limit.subject,
        about=limit.subject,
        since=limit.soon_at,
        why=limit.why,
        worse="late",
        calls=calls,
        originated=limit.originated,
    )


def _silence(net: Net, state: State, task: Task) -> Cause | None:
    """Return the ladder that the protocol has for an activity in which nothing happens.

    Whoever takes up the deviation that the silence is stops it.
    """
    found = silence.of_task(net, state, task)
    recorded = silence.raised(state, task)
    if found is None or (recorded is not None and recorded not in _unheeded(state)):
        return None
    calls = tuple(
        call(state, i, found.since + after, gate.acting(state, tell))
        for i, (tell, after) in enumerate(_rungs(net, task.activity))
    )
    return Cause(
        key=found.key,
        kind="silence",
        urgency=deviation.entry(net.protocol, deviation.SILENCE).severity,
        code=deviation.SILENCE,
        activity=task.activity,
        about=task.about or task.activity,
        since=found.since,
        why=f"{task.activity} waits for {task.role} since {found.since.isoformat()}",
        worse="owner",
        calls=calls,
    )


__all__ = ["OWNER_AFTER", "Call", "Cause", "causes", "next_call", "quiet"]

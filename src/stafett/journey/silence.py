"""Silence: what should have been done by now, and nobody has done anything about. Pure.

A protocol says with its `escalation` how long nothing may happen in an activity before somebody is
told. At that moment the silence is knowable, and it is a deviation: one for each side of an
activity in each round. Work that is under way within the time that the protocol gives it is not
silent; when that time has passed it is late. When what was silent becomes late, the lateness takes
the silence over, so that one thing has one deviation.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from stafett.journey import command as c
from stafett.journey import deviation, gate
from stafett.journey import event as e
from stafett.journey.raised import Raised
from stafett.journey.refusal import refuse
from stafett.journey.state import State
from stafett.journey.tasks import Task, next_moves
from stafett.protocol.net import NONE, Net

if TYPE_CHECKING:
    from stafett.journey.draft import Draft  # it closes silences, so it knows of this module


class Silence(NamedTuple):
    """From `at` on it is silent: nothing has happened in `task` since `since`, for `after`.

    `tell` is whom the protocol has told then.
    """

    at: datetime
    task: Task
    since: datetime
    after: str
    tell: str

    @property
    def key(self) -> str:
        """Name it within the journey: the same in every process and after every restart."""
        return _key(self.task)


def of_task(net: Net, state: State, task: Task) -> Silence | None:
    """Return when `task` becomes silent if nothing happens; None if its silence is nobody's."""
    activity = net.activity(task.activity)
    if not activity.escalation or task.blocked:
        return None
    if task.kind == "work" and activity.takes is not None:
        return None
    sheet = state.sheet(task.activity, task.side, task.about)
    signs = [one.at for answers in sheet.answers.values() for one in answers]
    since = max([task.since, *signs, *(one.at for one in sheet.signatures)])
    first = activity.escalation[0]
    at = since + first.after.timedelta
    return Silence(at, task, since, first.after.text, gate.acting(state, first.tell))


def silences(net: Net, state: State, tasks: Sequence[Task] | None = None) -> list[Silence]:
    """Return the silences that the record does not have yet, those to come too, the first first.

    `tasks` are the journey's next moves, where the caller has them.
    """
    if state.marking.outcome != NONE:
        return []
    todo = next_moves(net, state) if tasks is None else tasks
    found = [
        one
        for task in todo
        if (one := of_task(net, state, task)) is not None
        and raised(state, task) is None
        and not _is_late(state, task)
    ]
    return sorted(found, key=lambda one: one.at)


def raised(state: State, task: Task) -> Raised | None:
    """Return the deviation that the silence of this side, in this round, has been made into."""
    key = _key(task)
    return next((d for d in state.deviations.values() if d.silence == key), None)


def lasts(state: State, one: Raised, tasks: Sequence[Task]) -> bool:
    """Say whether the silence that `one` records goes on: it still waits for the same side."""
    return one.silence is not None and any(one.silence == _key(task) for task in tasks)


def report(draft: Draft, command: c.ReportSilence) -> None:
    """Nothing has happened for as long as the protocol permits: raised once."""
    if command.by.role != c.WATCH:
        gate.takes_part(draft.state, command.by)
    wanted = (command.activity, command.side, command.about)
    found = [
        task
        for task in next_moves(draft.net, draft.state)
        if (task.activity, task.side, task.about) == wanted
    ]
    if not found or draft.state.marking.outcome != NONE:
        raise refuse("not-possible-now", "activity", f"{command.activity} waits for nobody there")
    task = found[0]
    if raised(draft.state, task) is not None or _is_late(draft.state, task):
        raise refuse("already-answered", "activity", "this has been raised already")
    one = of_task(draft.net, draft.state, task)
    if one is None or draft.known_at < one.at:
        when = f"it is from {one.at.isoformat()} on" if one else "the protocol has no time for it"
        raise refuse("not-possible-now", "activity", f"{command.activity} is not silent", when)
    draft.deviate(
        deviation.SILENCE,
        task.activity,
        said(one),
        detected=task.activity,
        originated=task.activity,
        silence=one.key,
    )


def said(one: Silence) -> str:
    """Return how a silence is noted."""
    task = one.task
    about = f" about {task.about}" if task.about else ""
    return (
        f"{task.activity}, {task.side}{about}, round {task.round}: {task.role} has done nothing "
        f"since {one.since.isoformat()}; {one.tell} is told after {one.after}"
    )


def taken_over(draft: Draft, activity: str, by: str) -> None:
    """Close the silences of `activity` that nobody has taken up: they go on as deviation `by`.

    One that somebody works on stays theirs to close.
    """
    for one in draft.state.open_deviations(activity):
        if one.silence is None or one.about != activity:
            continue
        if one.acknowledged_at is None and one.stage == "raised" and one.work.cause is None:
            draft.add(
                e.DeviationClosed(
                    occurred_at=draft.command.occurred_at,
                    by=draft.command.by,
                    deviation=one.deviation,
                    conclusion=f"the same thing goes on as {by}",
                )
            )


def _key(task: Task) -> str:
    return f"{task.activity}.{task.side}.{task.about}.{task.round}.silence"


def _is_late(state: State, task: Task) -> bool:
    """Say whether the record has it that this is late: then its silence says nothing more."""
    return any(
        one.kind == "timing"
        and one.silence is None
        and one.about == task.activity
        and one.raised_at >= task.since
        for one in state.deviations.values()
    )

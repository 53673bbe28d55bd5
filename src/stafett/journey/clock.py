"""Time in a journey: shelf life, deadlines, lateness, and times that cannot be right.

Nothing here reads a clock: every moment comes from the record or from the caller.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from stafett.journey import deviation
from stafett.journey.state import State, awaited_key
from stafett.protocol.model import Handoff, Ref, Step
from stafett.protocol.net import PRESENT, Net, target

# How far a station's clock may run ahead of the record's before its time is flagged. An assumption.
TOLERANCE = timedelta(minutes=2)
# How old a scan may be when its side is signed, where the protocol does not say. An assumption.
FRESH = timedelta(minutes=15)
# What a record of therapies can be about. A moment outside (year 1, year 9999) is a slip of whoever
# wrote it, and is in some zone no moment at all: it would be kept, and could be shown to nobody.
UNKEPT = "write a time from 1900 to 2199"
FIRST, LAST = datetime(1900, 1, 1, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)


class Due(NamedTuple):
    """A moment by which something must be done, what says so, and the deviation if it is not.

    `since` is when its time began to run.
    """

    at: datetime
    code: str
    why: str
    originated: str
    since: datetime


def scans_keep(net: Net) -> timedelta:
    """Return how long the scan of a wristband or a bag counts."""
    return FRESH if net.protocol.scans is None else net.protocol.scans.at_most.timedelta


def is_aware(moment: datetime) -> bool:
    """Say whether `moment` carries its zone."""
    return moment.tzinfo is not None and moment.utcoffset() is not None


def is_kept(moment: datetime) -> bool:
    """Say whether an aware `moment` is one that a record keeps: from 1900 to 2199."""
    return FIRST <= moment < LAST


def done_at(net: Net, state: State, ref: Ref) -> datetime | None:
    """Return when `ref` was done, or None if it is not."""
    return state.done.get(target(ref)) if net.is_done(state.marking, ref) else None


def expiry(net: Net, state: State, material: str) -> datetime | None:
    """Return when `material` outlives its shelf life, or None while no clock runs for it."""
    life = net.protocol.materials[material].shelf_life
    if life is None or state.marking.materials[net.material[material]].state not in PRESENT:
        return None
    since = done_at(net, state, life.counts_from)
    return None if since is None else since + life.at_most.timedelta


def expiry_code(net: Net, material: str) -> str:
    """Return the deviation that an expiry of `material` is."""
    life = net.protocol.materials[material].shelf_life
    if life is not None:
        step = net.protocol.steps.get(target(life.counts_from))
        if step is not None and step.kind == "thaw":
            return deviation.THAW_CLOCK_EXCEEDED
    return deviation.HOLD_TIME_EXCEEDED


def dues(net: Net, state: State, name: str) -> Iterator[Due]:
    """Yield every moment by which activity `name` must be done that is known by now."""
    activity = net.activity(name)
    for line in activity.deadlines:
        since = done_at(net, state, line.since)
        if since is not None:
            why = f"{name} within {line.at_most} of {line.since}"
            code = line.deviation or _late(activity)
            yield Due(since + line.at_most.timedelta, code, why, target(line.since), since)
    begun = state.begun.get(name)
    if activity.takes is not None and begun is not None:
        why = f"{name} takes at most {activity.takes.at_most}"
        yield Due(begun + activity.takes.at_most.timedelta, _late(activity), why, name, begun)


def decide_by(net: Net, state: State, decision: str, about: str) -> Due | None:
    """Return when a pending decision is late by its own limit, or None if it has none."""
    since = state.awaited.get(awaited_key(decision, about))
    takes = net.protocol.steps[decision].takes
    if since is None or takes is None:
        return None
    why = f"{decision} takes at most {takes.at_most}"
    return Due(since + takes.at_most.timedelta, deviation.LATE, why, decision, since)


def said(due: Due) -> str:
    """Return how a passed limit is noted: the same words for whoever sees it first."""
    return f"{due.why}: due {due.at.isoformat()}"


def _late(activity: Step | Handoff) -> str:
    if isinstance(activity, Handoff) or activity.kind == "transport":
        return deviation.LATE_DELIVERY
    return deviation.LATE


def due(net: Net, state: State, name: str) -> datetime | None:
    """Return the earliest moment by which `name` must be done: deadlines and shelf lives."""
    moments = [d.at for d in dues(net, state, name)]
    activity = net.activity(name)
    used = activity.inputs if isinstance(activity, Step) else activity.carries
    moments += [at for m in used if (at := expiry(net, state, m)) is not None]
    return min(moments, default=None)


def since(net: Net, state: State, name: str) -> datetime:
    """Return when activity `name` began, or from when on it could have begun."""
    if name in state.begun:
        return state.begun[name]
    after = [
        state.done[target(ref)] for ref in net.activity(name).after if target(ref) in state.done
    ]
    renewed = state.renewed.get(name)
    return max([state.opened_at, *after, *([renewed] if renewed else [])])


class Bound(NamedTuple):
    """A moment before which something cannot have happened, and why."""

    what: str
    at: datetime


def impossible(
    net: Net, state: State, name: str, occurred_at: datetime, recorded_at: datetime | None
) -> Bound | None:
    """Return what is impossible about `occurred_at` for activity `name`, if anything is."""
    if recorded_at is not None and occurred_at > recorded_at + TOLERANCE:
        return Bound("it lies in the future of the record", recorded_at)
    if occurred_at < state.opened_at:
        return Bound("it lies before the journey was opened", state.opened_at)
    if name not in net.index:
        return None
    begun = state.begun.get(name)
    if begun is not None:
        if occurred_at < begun:
            was = "released" if name in net.protocol.handoffs else "started"
            return Bound(f"it lies before {name} was {was}", begun)
        return None
    for ref in net.activity(name).after:
        done = state.done.get(target(ref))
        if done is not None and occurred_at < done:
            return Bound(f"it lies before {target(ref)} was done", done)
    return None

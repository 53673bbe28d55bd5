"""How far a journey has come, and how it came there: what was done, and what was done again.

A journey goes back when something that was done, or under way, is begun afresh: a second product is
made, a handoff that was refused is tried again. Each time, some activities begin a new round
together. Where it turned back is taken to be the last of them, in the protocol's order, that could
have been under way.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from stafett.journey.state import State
from stafett.protocol.net import DONE, Net
from stafett.watch.curve import Seen
from stafett.watch.plan import Plan


class Again(NamedTuple):
    """One activity begun afresh `at` a moment; `done` is when it had been done, if it had been."""

    activity: str
    done: float | None
    at: float


class Progress(NamedTuple):
    """How far a journey is: when each activity was done, in seconds of one clock, and now.

    `again` is what was begun afresh, in the order in which it was.
    """

    opened: float
    done: dict[str, float]
    now: float
    again: tuple[Again, ...] = ()


class Return(NamedTuple):
    """A journey that went back at activity `place`, and how long until that was done after all.

    That counts further returns there before it was. `activities` are those that began afresh.
    """

    place: str
    activities: frozenset[str]
    until: Seen


def progress(net: Net, state: State, now: datetime) -> Progress:
    """Return how far a journey is."""
    done = {
        name: at.timestamp()
        for name, at in state.done.items()
        if name in net.index and net.state(state.marking, name) >= DONE
    }
    again = tuple(
        Again(one.activity, one.done_at.timestamp() if one.done_at else None, one.at.timestamp())
        for one in state.afresh
    )
    end = state.ended_at or now
    return Progress(state.opened_at.timestamp(), done, min(end, now).timestamp(), again)


def as_of(journey: Progress, now: float) -> Progress:
    """Return a journey as it was at `now`: what was begun afresh later had been done until then."""
    again = tuple(one for one in journey.again if one.at <= now)
    done = {name: at for name, at in journey.done.items() if at <= now}
    # From the latest back, so that the round that went on at `now` has the last word.
    for one in reversed(journey.again):
        if one.at > now and one.done is not None and one.done <= now:
            done[one.activity] = one.done
    return Progress(journey.opened, done, min(now, journey.now), again)


def could_begin(plan: Plan, at: Progress, name: str) -> float | None:
    """Return from when on `name` could begin; None while something before it is not done."""
    moments = [at.done.get(b) for b in plan.before[name]]
    if any(moment is None for moment in moments):
        return None
    afresh = [one.at for one in at.again if one.activity == name]
    return max([at.opened, *afresh, *(m for m in moments if m is not None)])


def stretches(plan: Plan, at: Progress) -> Iterator[tuple[str, Seen]]:
    """Yield how long each activity took in each of its rounds, from when it could begin.

    One that is under way, or was begun afresh before it was done, is a stretch that is not whole;
    but the one where the journey went back has come to its end, if not to a good one.
    """
    for moment in sorted({one.at for one in at.again}):
        before, names = _before(at, moment), _names(at, moment)
        place = _place(plan, before, names)
        for name in names:
            for _, stretch in _stretch(plan, before, name):
                yield name, stretch._replace(whole=stretch.whole or name == place)
    for name in plan.order:
        yield from _stretch(plan, at, name)


def _before(at: Progress, moment: float) -> Progress:
    """Return a journey as it was just before it went back at `moment`."""
    known = as_of(at, moment)
    back = [one for one in at.again if one.at == moment]
    done = {n: d for n, d in known.done.items() if n not in {one.activity for one in back}}
    done.update({one.activity: one.done for one in back if one.done is not None})
    return Progress(at.opened, done, moment, tuple(o for o in known.again if o.at < moment))


def _stretch(plan: Plan, at: Progress, name: str) -> Iterator[tuple[str, Seen]]:
    if name not in plan.before:
        return
    begin, end = could_begin(plan, at, name), at.done.get(name)
    if begin is None:
        return
    if end is not None and end >= begin:
        yield name, Seen(end - begin, whole=True)
    elif end is None and at.now > begin:
        yield name, Seen(at.now - begin, whole=False)


def returns(plan: Plan, at: Progress) -> Iterator[Return]:
    """Yield each time that a journey went back."""
    for moment in sorted({one.at for one in at.again}):
        names = _names(at, moment)
        place = _place(plan, _before(at, moment), names)
        if place is None:
            continue
        later = [one.done for one in at.again if one.activity == place and one.at > moment]
        done = next((d for d in (*later, at.done.get(place)) if d is not None), None)
        until = Seen((at.now if done is None else done) - moment, whole=done is not None)
        yield Return(place, names, until)


def _names(at: Progress, moment: float) -> frozenset[str]:
    return frozenset(one.activity for one in at.again if one.at == moment)


def _place(plan: Plan, before: Progress, names: frozenset[str]) -> str | None:
    """Return where a journey turned back: the last of `names` that could have been under way."""
    could = [n for n in plan.order if n in names and could_begin(plan, before, n) is not None]
    return could[-1] if could else None


def dones(plan: Plan, at: Progress) -> Iterator[str]:
    """Yield each activity as often as it was done, also in rounds that did not last."""
    yield from (name for name in at.done if name in plan.before)
    yield from (one.activity for one in at.again if one.done and one.activity in plan.before)

"""When an open journey will be done with what is left, and which of its deadlines it will miss.

Each activity has a survival curve (`stafett.watch.curve`) of the time from when it could begin to
when it was done, learnt from finished and open journeys of the same protocol. What is left of a
journey is drawn many times along the protocol's order; each deadline's probability is the share of
draws that miss it. The journey is taken to go well: refusals and repetitions are in the lengths
that were seen, not in the paths.

The gain of an interface is how much less would be missed if it took no longer than its best tenth:
the same draws, with that one handoff shortened.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from stafett.journey.state import State
from stafett.protocol.model import Step
from stafett.protocol.net import DONE, NONE, Net, target
from stafett.watch.curve import Curve, Floats, Seen, Target, curve

DRAWS: Final = 400
BEST: Final = 0.1
# A deadline that is missed less often than this is not looked at further.
WORTH: Final = 0.02
# Where the protocol plans no time for an activity. An assumption.
UNPLANNED: Final = Target(3600.0, 4 * 3600.0)

Curves = Mapping[str, Curve]


class Limit(NamedTuple):
    """Activity `name` is to be done within `seconds` of `since` (an activity)."""

    name: str
    since: str
    seconds: float


class Plan(NamedTuple):
    """What must come before what, in an order that respects it; targets; deadlines; handoffs."""

    order: tuple[str, ...]
    before: dict[str, tuple[str, ...]]
    targets: dict[str, Target]
    limits: tuple[Limit, ...]
    handoffs: frozenset[str]


class Progress(NamedTuple):
    """How far a journey is: when each activity was done, in seconds of one clock, and now."""

    opened: float
    done: dict[str, float]
    now: float


class Deadline(NamedTuple):
    """The outlook for one deadline. `due` is None while its time has not begun to run.

    `best` is the interface whose best would help most, `gain` by how much less often it is missed.
    """

    activity: str
    since: str
    due: float | None
    miss: float
    median: float
    low: float
    high: float
    best: str | None
    gain: float


class Segment(NamedTuple):
    """How long from now until an activity is done, in seconds: median and the middle 80 %."""

    activity: str
    median: float
    low: float
    high: float


def plan(net: Net) -> Plan:
    """Return the plan of a protocol: everything that is not on demand."""
    names = [name for name in net.activities if not net.activity(name).on_demand]
    before = {
        name: tuple(
            dict.fromkeys(t for ref in net.activity(name).after if (t := target(ref)) in names)
        )
        for name in names
    }
    targets, limits = {}, []
    for name in names:
        activity = net.activity(name)
        takes = activity.takes
        targets[name] = UNPLANNED
        if takes is not None:
            most = takes.at_most.timedelta.total_seconds()
            usual = takes.usual.timedelta.total_seconds() if takes.usual else most / 2
            targets[name] = Target(max(min(usual, most), 1.0), max(most, 1.0))
        limits += [
            Limit(name, target(line.since), line.at_most.timedelta.total_seconds())
            for line in activity.deadlines
            if target(line.since) in names
        ]
    limits += [x for x in _shelf_lives(net) if x.name in names and x.since in names]
    return Plan(_ordered(names, before), before, targets, tuple(limits),
                frozenset(net.protocol.handoffs) & frozenset(names))  # fmt: skip


def _shelf_lives(net: Net) -> Iterable[Limit]:
    """Whatever works on or carries a material is done before the material expires."""
    for material, entry in net.protocol.materials.items():
        if entry.shelf_life is None:
            continue
        most = entry.shelf_life.at_most.timedelta.total_seconds()
        since = target(entry.shelf_life.counts_from)
        for name in net.activities:
            activity = net.activity(name)
            used = activity.inputs if isinstance(activity, Step) else activity.carries
            if material in used and name != since:
                yield Limit(name, since, most)


def _ordered(names: list[str], before: dict[str, tuple[str, ...]]) -> tuple[str, ...]:
    found: dict[str, None] = {}
    left = list(names)
    while left:
        ready = [n for n in left if all(b in found for b in before[n])]
        for name in ready or left[:1]:  # a protocol without a cycle always has one that is ready
            found[name] = None
        left = [n for n in left if n not in found]
    return tuple(found)


def progress(net: Net, state: State, now: datetime) -> Progress:
    """Return how far a journey is."""
    done = {
        name: at.timestamp()
        for name, at in state.done.items()
        if name in net.index and net.state(state.marking, name) >= DONE
    }
    end = state.ended_at or now
    return Progress(state.opened_at.timestamp(), done, min(end, now).timestamp())


def could_begin(plan: Plan, at: Progress, name: str) -> float | None:
    """Return from when on `name` could begin; None while something before it is not done."""
    moments = [at.done.get(b) for b in plan.before[name]]
    if any(moment is None for moment in moments):
        return None
    return max([at.opened, *(m for m in moments if m is not None)])


def learn(plan: Plan, journeys: Iterable[Progress]) -> dict[str, Curve]:
    """Return the curve of each activity, from journeys that are finished or still under way."""
    seen: dict[str, list[Seen]] = {name: [] for name in plan.order}
    for at in journeys:
        for name in plan.order:
            begin = could_begin(plan, at, name)
            if begin is None:
                continue
            end = at.done.get(name)
            if end is not None and end >= begin:
                seen[name].append(Seen(end - begin, whole=True))
            elif end is None and at.now > begin:
                seen[name].append(Seen(at.now - begin, whole=False))
    return {name: curve(seen[name], plan.targets[name]) for name in plan.order}


class Outlook(NamedTuple):
    """What is to be expected of one journey."""

    segments: tuple[Segment, ...]
    deadlines: tuple[Deadline, ...]


def look_ahead(
    plan: Plan, curves: Curves, at: Progress, seed: int = 1, draws: int = DRAWS
) -> Outlook:
    """Return when each activity that is left will be done, and each deadline's probability."""
    uniform = _uniform(len(plan.order), draws, seed)
    finished = _draw(plan, curves, at, uniform)
    left = [name for name in plan.order if name not in at.done]
    middles = _middles(left, finished)
    segments = tuple(Segment(name, *(q - at.now for q in middles[name])) for name in left)
    limits = [x for x in plan.limits if x.name not in at.done]
    missed = {limit: _missed(limit, finished) for limit in limits}
    best: dict[Limit, tuple[str | None, float]] = dict.fromkeys(limits, (None, 0.0))
    doubtful = [limit for limit in limits if missed[limit] >= WORTH]
    on_the_way = {limit: _on_the_way(plan, at, limit) for limit in doubtful}
    for handoff in dict.fromkeys(h for way in on_the_way.values() for h in way):
        shorter = _draw(plan, curves, at, uniform, handoff, finished)
        for limit in doubtful:
            gain = missed[limit] - _missed(limit, shorter)
            if handoff in on_the_way[limit] and gain > best[limit][1]:
                best[limit] = (handoff, gain)
    found = []
    for limit in limits:
        begun = at.done.get(limit.since)
        due = None if begun is None else begun + limit.seconds
        found.append(
            Deadline(
                limit.name, limit.since, due, missed[limit], *middles[limit.name], *best[limit]
            )
        )
    return Outlook(segments, tuple(sorted(found, key=lambda one: -one.miss)))


@functools.lru_cache(maxsize=16)
def _uniform(rows: int, draws: int, seed: int) -> Floats:
    """Return the same uniform numbers for every journey of a protocol."""
    numbers = np.random.default_rng(seed).random((rows, draws))
    numbers.flags.writeable = False
    return numbers


def _middles(
    names: list[str], finished: Mapping[str, Floats]
) -> dict[str, tuple[float, float, float]]:
    """Return the median and the middle 80 % of each, all in one go: one call costs as 40 do."""
    if not names:
        return {}
    found = np.quantile(np.stack([finished[name] for name in names]), (0.5, 0.1, 0.9), axis=1)
    return {name: (a, b, c) for name, (a, b, c) in zip(names, found.T.tolist(), strict=True)}


def _draw(
    plan: Plan,
    curves: Curves,
    at: Progress,
    uniform: Floats,
    shortened: str | None = None,
    known: Mapping[str, Floats] | None = None,
) -> dict[str, Floats]:
    """Return the moment at which each activity is done, for every draw.

    `known` are the moments without the shortening: what does not come after it is taken from there.
    """
    finished: dict[str, Floats] = {}
    changed = {shortened}
    for row, name in enumerate(plan.order):
        if known is not None and name not in changed and not changed & set(plan.before[name]):
            finished[name] = known[name]
            continue
        changed.add(name)
        if name in at.done:
            finished[name] = np.full(uniform.shape[1], at.done[name])
            continue
        begin = could_begin(plan, at, name)
        elapsed = 0.0 if begin is None else max(at.now - begin, 0.0)
        lengths = curves[name].draw(1 - uniform[row], elapsed)
        if name == shortened:
            lengths = np.maximum(np.minimum(lengths, curves[name].quantile(BEST)), elapsed)
        start = np.full(uniform.shape[1], at.opened if begin is None else begin)
        for earlier in plan.before[name]:
            start = np.maximum(start, finished[earlier])
        finished[name] = np.maximum(start + lengths, at.now)
    return finished


def _missed(limit: Limit, finished: Mapping[str, Floats]) -> float:
    late = finished[limit.name] - finished[limit.since] > limit.seconds
    return float(late.mean())


def _on_the_way(plan: Plan, at: Progress, limit: Limit) -> list[str]:
    """The handoffs that are still to be done before the deadline's activity, and itself."""
    todo, seen = [limit.name], set()
    while todo:
        name = todo.pop()
        if name not in seen and name not in at.done:
            seen.add(name)
            todo += plan.before[name]
    return [name for name in plan.order if name in seen & plan.handoffs]


def likely_late(outlook: Outlook, share: float = 0.5) -> Deadline | None:
    """Return the deadline that is most likely missed, if it is missed more often than not."""
    worst = next(iter(outlook.deadlines), None)
    return worst if worst is not None and worst.miss >= share else None


def is_running(state: State) -> bool:
    """Say whether there is something left to predict."""
    return state.marking.outcome == NONE


def moment(seconds: float) -> datetime:
    """Return a moment of the journeys' clock."""
    return datetime.fromtimestamp(seconds, UTC)


__all__ = ["learn", "likely_late", "look_ahead", "plan", "progress"]

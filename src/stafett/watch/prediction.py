"""When an open journey will be done with what is left, and which of its deadlines it will miss.

Each activity has a survival curve (`stafett.watch.curve`) of the time from when it could begin to
when it was done, learnt from finished and open journeys of the same protocol, round by round. What
is left of a journey is drawn many times along the protocol's order; each deadline's probability is
the share of draws that miss it. A draw may go back at an activity where journeys have gone back
(`stafett.watch.course`), as often as they did, and loses there the time that they lost, until they
were past it for good.

The gain of an interface is how much less would be missed if it took no longer than its best tenth,
its saving how much earlier the journey would end: the same draws, with that one handoff shortened.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Final, NamedTuple

import numpy as np

from stafett.journey.state import State
from stafett.protocol.net import NONE
from stafett.watch.course import Progress, could_begin, dones, returns, stretches
from stafett.watch.curve import Curve, Floats, Seen, Target, curve
from stafett.watch.plan import Limit, Plan

DRAWS: Final = 400
BEST: Final = 0.1
# A deadline that is missed less often than this is not looked at further.
WORTH: Final = 0.02
NOTHING_S: Final = 60.0  # what buys less time than this buys none


class Back(NamedTuple):
    """How often journeys go back at an activity, and how long until it is done after all.

    `share` is of the rounds that came to an end there; `seen` is how often it happened.
    """

    share: float
    seen: int
    curve: Curve


class Learnt(NamedTuple):
    """What a protocol's journeys teach: each activity's curve, and where journeys go back."""

    curves: Mapping[str, Curve]
    back: Mapping[str, Back]


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


def learn(plan: Plan, journeys: Iterable[Progress]) -> Learnt:
    """Return what is to be learnt from journeys that are finished or still under way."""
    seen: dict[str, list[Seen]] = {name: [] for name in plan.order}
    until: dict[str, list[Seen]] = {}
    again: dict[str, frozenset[str]] = {}
    done: Counter[str] = Counter()
    for at in journeys:
        for name, stretch in stretches(plan, at):
            seen[name].append(stretch)
        done.update(dones(plan, at))
        for one in returns(plan, at):
            until.setdefault(one.place, []).append(one.until)
            again[one.place] = again.get(one.place, frozenset()) | one.activities
    back = {}
    for name, those in until.items():
        # One more than there were: of few, a share says little, and one of one is not for sure.
        share = len(those) / (len(those) + done[name] + 1)
        back[name] = Back(share, len(those), curve(those, _way(plan, again[name], name)))
    return Learnt({name: curve(seen[name], plan.targets[name]) for name in plan.order}, back)


def _way(plan: Plan, again: frozenset[str], place: str) -> Target:
    """Return what the protocol plans for the longest way through `again` to `place`."""
    usual: dict[str, float] = {}
    most: dict[str, float] = {}
    for name in plan.order:
        own = plan.targets[name] if name in again else Target(0.0, 0.0)
        before = plan.before[name]
        usual[name] = own.usual + max((usual[b] for b in before), default=0.0)
        most[name] = own.at_most + max((most[b] for b in before), default=0.0)
    return Target(max(usual[place], 1.0), max(most[place], 1.0))


class Outlook(NamedTuple):
    """What is to be expected of one journey."""

    segments: tuple[Segment, ...]
    deadlines: tuple[Deadline, ...]


def look_ahead(
    plan: Plan, learnt: Learnt, at: Progress, seed: int = 1, draws: int = DRAWS
) -> Outlook:
    """Return when each activity that is left will be done, and each deadline's probability."""
    uniform = _uniform(2 * len(plan.order), draws, seed)
    finished = _draw(plan, learnt, at, uniform)
    left = [name for name in plan.order if name not in at.done]
    middles = _middles(left, finished)
    segments = tuple(Segment(name, *(q - at.now for q in middles[name])) for name in left)
    limits = [x for x in plan.limits if x.name not in at.done]
    missed = {limit: _missed(limit, finished) for limit in limits}
    best: dict[Limit, tuple[str | None, float]] = dict.fromkeys(limits, (None, 0.0))
    doubtful = [limit for limit in limits if missed[limit] >= WORTH]
    on_the_way = {limit: _on_the_way(plan, at, limit.name) for limit in doubtful}
    for handoff in dict.fromkeys(h for way in on_the_way.values() for h in way):
        shorter = _draw(plan, learnt, at, uniform, handoff, finished)
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


class Saving(NamedTuple):
    """An interface, and by how many seconds the journey would end earlier if it were at its best.

    The mean over all draws: what is waited for elsewhere all the same saves nothing.
    """

    handoff: str
    seconds: float


def savings(
    plan: Plan, learnt: Learnt, at: Progress, seed: int = 1, draws: int = DRAWS
) -> tuple[Saving, ...]:
    """Return the handoffs to come that would buy time at their best tenth, the most first."""
    left = [name for name in plan.order if name not in at.done]
    if not left:
        return ()
    uniform = _uniform(2 * len(plan.order), draws, seed)
    finished = _draw(plan, learnt, at, uniform)
    last = max(left, key=lambda name: float(np.median(finished[name])))
    found = []
    for handoff in _on_the_way(plan, at, last):
        shorter = _draw(plan, learnt, at, uniform, handoff, finished)
        seconds = float((finished[last] - shorter[last]).mean())
        if seconds >= NOTHING_S:
            found.append(Saving(handoff, seconds))
    return tuple(sorted(found, key=lambda one: -one.seconds))


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
    learnt: Learnt,
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
        lengths = learnt.curves[name].draw(1 - uniform[row], elapsed)
        if name == shortened:
            lengths = np.maximum(np.minimum(lengths, learnt.curves[name].quantile(BEST)), elapsed)
        start = np.full(uniform.shape[1], at.opened if begin is None else begin)
        for earlier in plan.before[name]:
            start = np.maximum(start, finished[earlier])
        back = learnt.back.get(name)
        if back is not None:
            lengths = lengths + _lost(back, uniform[len(plan.order) + row])
        finished[name] = np.maximum(start + lengths, at.now)
    return finished


def _lost(back: Back, uniform: Floats) -> Floats:
    """Return what going back costs each draw: nothing, or as long as it took those that did."""
    goes = uniform < back.share
    return np.where(goes, back.curve.draw(1 - uniform / back.share, 0.0), 0.0)


def _missed(limit: Limit, finished: Mapping[str, Floats]) -> float:
    late = finished[limit.name] - finished[limit.since] > limit.seconds
    return float(late.mean())


def _on_the_way(plan: Plan, at: Progress, activity: str) -> list[str]:
    """The handoffs that are still to be done before an activity, and itself."""
    todo, seen = [activity], set()
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

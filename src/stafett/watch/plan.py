"""What a protocol plans: what comes before what, how long it takes, and by when it must be done."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, NamedTuple

from stafett.protocol.model import Step
from stafett.protocol.net import Net, target
from stafett.watch.curve import Target

# Where the protocol plans no time for an activity. An assumption.
UNPLANNED: Final = Target(3600.0, 4 * 3600.0)


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


def plan_of(net: Net) -> Plan:
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
    return Plan(_ordered(names, before), before, targets, _strictest(limits),
                frozenset(net.protocol.handoffs) & frozenset(names))  # fmt: skip


def _strictest(limits: Iterable[Limit]) -> tuple[Limit, ...]:
    """Of several limits between the same two activities the shortest: it is missed first."""
    found: dict[tuple[str, str], Limit] = {}
    for one in limits:
        known = found.setdefault((one.name, one.since), one)
        if one.seconds < known.seconds:
            found[one.name, one.since] = one
    return tuple(found.values())


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

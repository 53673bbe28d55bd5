"""Who held it and who answered for it, at every instant; and the time in between hands.

The core cannot write a gap: custody and accountability are chains of spells that begin where the
one before ended. What it cannot help is time *between hands*: the giver has released and the
receiver has not accepted. On paper the giver is custodian still; nobody stands beside it. That time
has a length, is held against what the protocol permits, and is counted for each interface.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise
from statistics import median, quantiles
from typing import Literal, NamedTuple

from stafett.journey.state import Spell, State
from stafett.protocol.net import OPEN, Net


class Between(NamedTuple):
    """One stretch between release and acceptance; `until` is None while it lasts.

    `allowed` is what the protocol permits for it; `over` how much longer it was.
    """

    journey: str
    protocol: str
    handoff: str
    giver: str
    receiver: str
    since: datetime
    until: datetime | None
    length: timedelta
    allowed: timedelta | None
    over: timedelta


class Gap(NamedTuple):
    """An instant at which nobody or two were named: must never be found."""

    what: Literal["custody", "accountability"]
    lot: str
    since: datetime
    until: datetime


class Interface(NamedTuple):
    """One handoff of a protocol between two organisations, over many journeys; times in hours."""

    protocol: str
    handoff: str
    giver: str
    receiver: str
    n: int
    median_h: float
    p90_h: float
    total_h: float
    over: int
    over_h: float
    open: int


def between_hands(net: Net, state: State, now: datetime) -> list[Between]:
    """Return every stretch between release and acceptance, of all rounds, the oldest first."""
    found = [
        _between(net, state, one.handoff, one.since, one.until, one.until)
        for one in state.earlier
        if not net.protocol.handoffs[one.handoff].on_demand
    ]
    for name, handoff in net.protocol.handoffs.items():
        begun, done = state.begun.get(name), state.done.get(name)
        if begun is None or handoff.on_demand:
            continue
        is_open = net.state(state.marking, name) == OPEN
        if done is None and not is_open:
            continue
        until = None if is_open else done
        ends = until or min(now, state.ended_at or now)
        found.append(_between(net, state, name, begun, until, ends))
    return sorted(found, key=lambda one: one.since)


def _between(
    net: Net, state: State, name: str, since: datetime, until: datetime | None, ends: datetime
) -> Between:
    """Return a stretch with its length, which ends at `ends`, against what is permitted."""
    handoff = net.protocol.handoffs[name]
    length = max(ends - since, timedelta(0))
    allowed = handoff.takes.at_most.timedelta if handoff.takes else None
    over = max(length - allowed, timedelta(0)) if allowed is not None else timedelta(0)
    giver, receiver = state.parties[handoff.giver], state.parties[handoff.receiver]
    return Between(
        state.journey, net.protocol.protocol, name, giver, receiver, since, until, length, allowed,
        over,
    )  # fmt: skip


def gaps(state: State) -> list[Gap]:
    """Return the times without exactly one custodian or owner: none, or the record is broken."""
    found = [Gap("accountability", "", *pair) for pair in _breaks(state.accountability)]
    for lot in state.lots.values():
        found += [Gap("custody", lot.lot, *pair) for pair in _breaks(lot.custody)]
    return found


def _breaks(spells: tuple[Spell, ...]) -> Iterable[tuple[datetime, datetime]]:
    for before, after in pairwise(spells):
        if before.until is None or before.until != after.since:
            yield before.until or after.since, after.since


def interfaces(stretches: Iterable[Between]) -> list[Interface]:
    """Count the time between hands for each interface, the longest in all first."""
    by_place: dict[tuple[str, str, str, str], list[Between]] = defaultdict(list)
    for one in stretches:
        by_place[one.protocol, one.handoff, one.giver, one.receiver].append(one)
    found = []
    for (protocol, handoff, giver, receiver), mine in by_place.items():
        hours = [one.length.total_seconds() / 3600 for one in mine]
        p90 = quantiles(hours, n=10, method="inclusive")[-1] if len(hours) > 1 else hours[0]
        over = [one.over.total_seconds() / 3600 for one in mine if one.over]
        found.append(
            Interface(
                protocol, handoff, giver, receiver, len(mine), median(hours), p90, sum(hours),
                len(over), sum(over), sum(one.until is None for one in mine),
            )
        )  # fmt: skip
    return sorted(found, key=lambda one: -one.total_h)
